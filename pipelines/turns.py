"""When the devices are looked at: every so many minutes, in a process that ends with the look.

The look needs the store's whole client. Its process lives for seconds; the scheduler, which
lives for months, loads none of it.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Sequence

from dose_lib import Settings

log = logging.getLogger(__name__)

_FIRST_LOOK_S = 120.0  # not at the very start
_LIMIT_S = 600.0
_END_S = 5.0


class Turns:
    """Starts a look when it is time to, one at a time.

    Parameters
    ----------
    settings
        Of the installation.
    command
        What looks; default `pipelines.silence`.
    first_s
        Seconds until the first look.
    """

    def __init__(
        self,
        settings: Settings,
        command: Sequence[str] | None = None,
        *,
        first_s: float = _FIRST_LOOK_S,
    ) -> None:
        ours = [sys.executable, "-m", "pipelines.silence", "--home", str(settings.home)]
        self._command = list(command or ours)
        self._period_s = 60.0 * settings.silence_minutes
        self._due = time.monotonic() + first_s
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self.looks = 0

    def look(self) -> None:
        """Start a look if it is time to, or see how the one under way ends."""
        if self._process is not None:
            self._attend(self._process)
        elif self._period_s and time.monotonic() >= self._due:
            self._started = time.monotonic()
            self._due = self._started + self._period_s
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )

    def stop(self) -> None:
        """End a look under way; the next start looks again."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _attend(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            if time.monotonic() - self._started > _LIMIT_S:
                log.error("the look at the devices hangs", extra={"pid": process.pid})
                process.kill()
            return
        self._process = None
        self.looks += 1
        if process.returncode:
            log.error("devices are not watched", extra={"exit_code": process.returncode})
