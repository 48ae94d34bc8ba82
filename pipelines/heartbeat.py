"""What a part of the service says of itself: one small file, written every second.

Files instead of calls, so that a part that hangs or dies cannot take its observer along:
the last word stays readable, with its age.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import msgspec

from pipelines.disk import make_folder

Value = str | int | float | bool | None


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """The last word of a part.

    Attributes
    ----------
    part
        Name of the part.
    pid
        Its process.
    started_at, beat_at
        When it started, and when it said this.
    problem
        What keeps it from doing its work; None if nothing does.
    exit_code
        What its process ends with; None while it runs.
    facts
        Ports, counters.
    """

    part: str
    pid: int
    started_at: datetime
    beat_at: datetime
    problem: str | None = None
    exit_code: int | None = None
    facts: dict[str, Value] = msgspec.field(default_factory=dict)

    @property
    def is_ready(self) -> bool:
        """True if it runs and nothing keeps it from its work."""
        return self.problem is None and self.exit_code is None

    @property
    def age_s(self) -> float:
        """Seconds since it was written."""
        return (datetime.now(UTC) - self.beat_at).total_seconds()


class Heartbeat:
    """Writes the beat of this process until it is left.

    Parameters
    ----------
    folder
        Where the beats lie (`Settings.run_dir`).
    part
        Name of this part.
    facts
        Called for each beat; ports, counters.
    problem
        Called for each beat; what keeps the part from working.
    interval_s
        Seconds between beats.
    """

    def __init__(
        self,
        folder: Path,
        part: str,
        facts: Callable[[], Mapping[str, Value]] = dict,
        problem: Callable[[], str | None] = lambda: None,
        *,
        interval_s: float = 1.0,
    ) -> None:
        self._file = beat_file(folder, part)
        self._part, self._facts, self._interval = part, facts, interval_s
        self._problem = problem
        self._started_at = datetime.now(UTC)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat-{part}", daemon=True)

    def __enter__(self) -> Heartbeat:
        make_folder(self._file.parent)
        self.beat()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        if error is None:  # an error's own words are left by `process.run_part`
            self._write("stopped", exit_code=0)

    def beat(self) -> None:
        """Write one beat now."""
        self._write(self._problem())

    def _write(self, problem: str | None, *, exit_code: int | None = None) -> None:
        write_beat(
            self._file,
            Beat(
                part=self._part,
                pid=os.getpid(),
                started_at=self._started_at,
                beat_at=datetime.now(UTC),
                problem=problem,
                exit_code=exit_code,
                facts=dict(self._facts()),
            ),
        )

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self.beat()


def beat_file(folder: Path, part: str) -> Path:
    """File of a part's beats."""
    return folder / f"{part}.beat.json"


def write_beat(file: Path, beat: Beat) -> None:
    """Write a beat so that a reader sees the old or the new one, never half."""
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    temporary.write_bytes(msgspec.json.encode(beat))
    temporary.replace(file)


def read_beat(folder: Path, part: str) -> Beat | None:
    """Last word of a part; None if it never spoke or its file is damaged."""
    try:
        return msgspec.json.decode(beat_file(folder, part).read_bytes(), type=Beat)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
