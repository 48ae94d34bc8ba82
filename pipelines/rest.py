"""What a part does once after work, when nothing more has come for a while."""

from __future__ import annotations

import time
from collections.abc import Callable

from pipelines.memory import give_back

_QUIET_S = 5.0


class Rest:
    """Notices that work has come to rest, and tidies up once.

    Parameters
    ----------
    progress
        A number that grows with the work.
    tidy
        Done before memory is given back.
    quiet_s
        Seconds without progress that are a rest.
    """

    def __init__(
        self,
        progress: Callable[[], int],
        tidy: Callable[[], None] = lambda: None,
        *,
        quiet_s: float = _QUIET_S,
    ) -> None:
        self._progress, self._tidy, self._quiet_s = progress, tidy, quiet_s
        self._seen = self._rested = progress()
        self._since = time.monotonic()

    def look(self) -> None:
        """Tidy up if it is time to."""
        now, progress = time.monotonic(), self._progress()
        if progress != self._seen:
            self._seen, self._since = progress, now
        elif progress != self._rested and now - self._since >= self._quiet_s:
            self._rested = progress
            self._tidy()
            give_back()
