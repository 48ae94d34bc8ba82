"""How fast we ask: so many studies a minute, and longer pauses the more often it failed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import timedelta

Sleep = Callable[[float], object]
Clock = Callable[[], float]

_FIRST_S, _LONGEST_S = 1.0, 60.0
_FIRST_LATER, _LONGEST_LATER = timedelta(minutes=10), timedelta(hours=24)


class Pace:
    """Lets at most so many studies a minute pass.

    Parameters
    ----------
    per_minute
        0: no limit.
    sleep, clock
        Of this machine.
    """

    def __init__(
        self, per_minute: int, *, sleep: Sleep = time.sleep, clock: Clock = time.monotonic
    ) -> None:
        self._interval = 60.0 / per_minute if per_minute else 0.0
        self._sleep, self._clock = sleep, clock
        self._due = 0.0

    def wait(self) -> None:
        """Return when the next study may be asked for."""
        now = self._clock()
        if self._due > now:
            self._sleep(self._due - now)
        self._due = max(now, self._due) + self._interval


def pause_s(attempt: int, *, first_s: float = _FIRST_S) -> float:
    """Seconds before the next try after `attempt` failures: doubling, a fifth by chance."""
    # Chance keeps several clients that failed together from coming back together.
    return float(min(first_s * 2 ** (attempt - 1), _LONGEST_S)) * random.uniform(0.9, 1.1)  # noqa: S311


def later(attempts: int) -> timedelta:
    """When a study that failed so often is asked for again by the next run."""
    return min(_FIRST_LATER * float(2 ** min(max(attempts, 1) - 1, 10)), _LONGEST_LATER)
