"""How a part of the service runs: one process with a stop signal, a log and an exit code."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from dose_lib import DoseError, Settings, load_settings
from pipelines.disk import make_folder
from pipelines.heartbeat import Beat, beat_file, write_beat
from pipelines.logs import clean_traceback, configure_logs
from pipelines.memory import give_back

log = logging.getLogger(__name__)


class Stop:
    """Set when the process should end: SIGTERM, SIGINT, or the end of its supervisor.

    The supervisor holds the other end of our standard input. When it dies, even by
    kill -9, we read the end of file: no part outlives its service.
    """

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Ask the process to end."""
        self._event.set()

    def is_set(self) -> bool:
        """True if the process should end."""
        return self._event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end; True if it has come."""
        return self._event.wait(timeout)

    def watch_signals(self) -> None:
        """Let SIGTERM and SIGINT set this."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def watch_input(self) -> None:
        """Let the end of standard input set this."""
        threading.Thread(target=self._read_to_end, name="lifeline", daemon=True).start()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._event.set()

    def _read_to_end(self) -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        self._event.set()


def run_part(
    part: str, serve: Callable[[Settings, Stop], None], arguments: Sequence[str] | None
) -> int:
    """Run one part of the service and return its exit code.

    An error on purpose (`DoseError`) is left in the part's heartbeat, where the supervisor
    and `dose status` find it, and ends the process with its exit code.
    """
    parser = argparse.ArgumentParser(prog=f"python -m pipelines.{part}")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--lifeline", action="store_true", help="end when standard input ends")
    given = parser.parse_args(arguments)
    settings = load_settings(given.home)
    configure_logs(settings.logs_dir, part)
    stop = Stop()
    stop.watch_signals()
    if given.lifeline:
        stop.watch_input()
    give_back()  # importing took more than it keeps
    try:
        serve(settings, stop)
    except DoseError as error:
        log.error("part ended", extra={"reason": str(error), "exit_code": error.exit_code})
        _leave_word(settings, part, str(error), error.exit_code)
        return error.exit_code
    except BaseException as error:
        log.critical("part died", exc_info=error)
        _leave_word(settings, part, f"died of a defect: {clean_traceback(error)}", 1)
        raise
    return 0


def _leave_word(settings: Settings, part: str, problem: str, exit_code: int) -> None:
    now = datetime.now(UTC)
    make_folder(settings.run_dir)
    word = Beat(
        part=part,
        pid=os.getpid(),
        started_at=now,
        beat_at=now,
        problem=problem,
        exit_code=exit_code,
    )
    write_beat(beat_file(settings.run_dir, part), word)
