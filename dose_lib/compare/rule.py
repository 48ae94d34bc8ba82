"""How a comparison is made; the same for all its verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from dose_lib.reference import Kind


class Rule(NamedTuple):
    """Kind of level, country, ages, least n, the period, and the moment it is told of."""

    kind: str | Kind | Sequence[str | Kind]
    country: str
    child_age_y: float
    minimum_n: int
    indication: str | None = None
    contrast: str | None = None
    start: date | None = None
    end: date | None = None
    as_of: datetime | None = None

    @property
    def before(self) -> tuple[date, date] | None:
        """The period of the same length before; None if the period is open."""
        if self.start is None or self.end is None:
            return None
        length = self.end - self.start + timedelta(days=1)
        return self.start - length, self.start - timedelta(days=1)

    @property
    def first_day(self) -> date | None:
        """First day to read: that of the period before, where there is one."""
        return self.before[0] if self.before else self.start
