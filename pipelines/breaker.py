"""A defect that all objects have in common is no object's fault: then reading stops.

One object that our code fails on goes to quarantine, and the others pass. But after a bad
upgrade the same defect meets every object, and quarantine would fill with a whole day. So
after some objects in a row with one defect the rest stay in the spool. From time to time one
is tried; the first that passes lets all go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pipelines.defects import Failure

LIMIT = 10  # objects in a row with one defect
_FIRST_WAIT_S, _LONGEST_WAIT_S = 15.0, 600.0
_FRESH_WAIT_S = 2.0  # an object that came since then tells more than one that waits


class Breaker:
    """Counts defects in a row, and says when to stop and what to try.

    Parameters
    ----------
    what
        Whose defects: `the reader`, `the store`.
    limit
        Objects in a row with one defect after which the rest stay where they are.
    clock
        Seconds, for the waits.
    """

    def __init__(
        self, what: str, *, limit: int = LIMIT, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what, self._limit, self._clock = what, limit, clock
        self._defect: str | None = None
        self._n = 0
        self._wait = _FIRST_WAIT_S
        self._tried_at = 0.0
        self._newest = ""

    @property
    def is_open(self) -> bool:
        """True while objects stay where they are."""
        return self._n > self._limit

    @property
    def problem(self) -> str | None:
        """What to say of it in the status; None if nothing is wrong."""
        if not self.is_open:
            return None
        return (
            f"{self._what} failed on {self._limit} objects in a row with one defect"
            f" ({self._defect}); the others stay in the spool and are tried from time to time."
            " Install the version before, or one that mends it; then `dose quarantine retry`"
        )

    def note(self, failure: Failure | None) -> bool:
        """Take in what became of an object; True if it has to stay where it is."""
        if failure is None or failure.defect is None:
            self._defect, self._n, self._wait = None, 0, _FIRST_WAIT_S
            return False
        defect = failure.defect.rsplit(" > ", 2)
        same = " > ".join(defect[-2:])  # the innermost frame, and the type of the error
        self._n = self._n + 1 if same == self._defect else 1
        self._defect = same
        if self._n == self._limit + 1:
            self._tried_at = self._clock()
        return self.is_open

    def choose(self, waiting: Sequence[Path]) -> list[Path]:
        """What to try now while it is open: the newest object, and in longer steps the oldest.

        Parameters
        ----------
        waiting
            Files of the spool, oldest first.
        """
        if not waiting:
            return []
        newest, since = waiting[-1], self._clock() - self._tried_at
        is_fresh = newest.name > self._newest and since >= _FRESH_WAIT_S
        if not is_fresh and since < self._wait:
            return []
        if not is_fresh:
            self._wait = min(2 * self._wait, _LONGEST_WAIT_S)
        self._newest, self._tried_at = newest.name, self._clock()
        return [newest] if is_fresh or newest == waiting[0] else [newest, waiting[0]]
