"""Structured logs: one JSON object a line, without identifiers of patients.

Our own messages are constants; what varies goes into `extra`, whose names are the closed
list below. Messages of libraries are kept without their arguments and without the text of
exceptions, since either may repeat a value of a received object.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import traceback
from datetime import UTC, datetime
from pathlib import Path

from pipelines.disk import make_folder

_OURS = ("dose_lib", "pipelines", "__main__")
# What may accompany a message. A name that is not here is left out, whatever it holds.
FIELDS = frozenset(
    {
        *("part", "pid", "signal", "exit_code", "attempt", "version", "seconds", "count"),
        *("caller", "called", "address", "port", "url", "route", "status", "reason"),
        *("arrival", "sha256", "size_bytes", "detector", "finding", "notebook", "run"),
    }
)


class JsonLines(logging.Formatter):
    """A log record as one line of JSON."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self._part = part

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        is_ours = record.name.startswith(_OURS)
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "part": self._part,
            "logger": record.name,
            "message": record.getMessage() if is_ours and not record.args else str(record.msg),
        }
        line |= {name: str(v) for name, v in vars(record).items() if name in FIELDS}
        if record.exc_info and record.exc_info[1]:
            line["error"] = clean_traceback(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def clean_traceback(error: BaseException) -> str:
    """Where an error came from, without its text: that may repeat a received value.

    Parameters
    ----------
    error
        Any exception.

    Returns
    -------
    str
        `file:line function` of each frame, oldest first, then the type of the error.
    """
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames]
    return " > ".join([*places, type(error).__name__])


def configure_logs(folder: Path, part: str, *, level: int = logging.INFO) -> None:
    """Send the log of this process to `folder/part.log`, 10 files of 5 MB at most.

    Parameters
    ----------
    folder
        Folder of the logs; made with mode 0700.
    part
        Name of this process.
    level
        Lowest level of our own messages; libraries speak from WARNING on.
    """
    make_folder(folder)
    handler = logging.handlers.RotatingFileHandler(
        folder / f"{part}.log", maxBytes=5_000_000, backupCount=9, encoding="utf-8"
    )
    handler.setFormatter(JsonLines(part))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)
