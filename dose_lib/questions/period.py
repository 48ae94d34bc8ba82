"""Time ranges: what was said ("last six weeks") beside the days it stands for today.

Ranges are half-open: `start` is the first day, `end` the first day after. A saved question
keeps the symbolic part, so that "last six weeks" does not freeze.
"""

from __future__ import annotations

import calendar
from datetime import date, timedelta
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Unit = Literal["day", "week", "month", "quarter", "half", "year"]
_MONTHS = {"month": 1, "quarter": 3, "half": 6, "year": 12}


def shift(day: date, n: int, unit: Unit) -> date:
    """`day` moved by n units; months keep the day of the month where it exists."""
    if unit in ("day", "week"):
        return day + timedelta(days=n * (7 if unit == "week" else 1))
    index = day.year * 12 + day.month - 1 + n * _MONTHS[unit]
    year, month = divmod(index, 12)
    if not 1 <= year <= 9998:
        raise ValueError("the period reaches beyond the calendar")
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def floor(day: date, unit: Unit) -> date:
    """First day of the calendar unit that holds `day`; weeks start on Monday (ISO 8601)."""
    if unit == "day":
        return day
    if unit == "week":
        return day - timedelta(days=day.weekday())
    size = _MONTHS[unit]
    return date(day.year, (day.month - 1) // size * size + 1, 1)


class Period(BaseModel):
    """A time range.

    Attributes
    ----------
    kind
        rolling: the last n units up to today; calendar: whole units (n, else one), the first
        `offset` from the current one; to_date: start of the current unit up to today; since:
        from `start` up to today; fixed: from `start` to `end`, either may be open.
    start, end
        First day and first day after; resolved for a `today`, never in the future.
    words
        The words it came from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["rolling", "calendar", "to_date", "since", "fixed"]
    n: int | None = Field(default=None, ge=1, le=1000)
    unit: Unit | None = None
    offset: int | None = Field(default=None, ge=-1000, le=0)
    start: date | None = None
    end: date | None = None
    words: str = Field(default="", max_length=200)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needs = {
            "rolling": (self.n, self.unit),
            "calendar": (self.unit, self.offset),
            "to_date": (self.unit,),
            "since": (self.start,),
            "fixed": (self.start or self.end,),
        }
        if any(v is None for v in needs[self.kind]):
            raise ValueError(f"a {self.kind} period is incomplete")
        if self.start and self.end and self.start >= self.end:
            raise ValueError("a period ends before it starts")
        return self

    def resolve(self, today: date) -> Period:
        """The same period with the days it stands for on `today`."""
        tomorrow = today + timedelta(days=1)
        start, end = self.start, self.end
        if self.kind == "rolling" and self.n and self.unit:
            start, end = shift(today, -self.n, self.unit), tomorrow
        elif self.kind == "calendar" and self.unit and self.offset is not None:
            start = shift(floor(today, self.unit), self.offset, self.unit)
            end = min(shift(start, self.n or 1, self.unit), tomorrow)
        elif self.kind == "to_date" and self.unit:
            start, end = floor(today, self.unit), tomorrow
        elif self.kind == "since":
            end = tomorrow
        return self.model_copy(update={"start": start, "end": end})

    def clamped(self, today: date) -> Period:
        """Resolved, and a fixed range that reaches beyond today cut there."""
        found = self.resolve(today)
        tomorrow = today + timedelta(days=1)
        if found.end and found.end > tomorrow and (found.start is None or found.start < tomorrow):
            return found.model_copy(update={"end": tomorrow})
        return found

    @property
    def last_day(self) -> date | None:
        """The last day inside."""
        return self.end - timedelta(days=1) if self.end else None

    @property
    def calendar_unit(self) -> Unit | None:
        """The unit whose start this period begins at and within which it ends, if any."""
        if self.kind == "rolling" or self.start is None or self.end is None:
            return None
        units: tuple[Unit, ...] = ("day", "week", "month", "quarter", "half", "year")
        whole = [u for u in units if floor(self.start, u) == self.start]
        for unit in whole:
            if shift(self.start, 1, unit) == self.end:
                return unit
        if self.kind in ("calendar", "to_date"):
            return self.unit
        fits = [u for u in whole if shift(self.start, 1, u) > self.end]
        return fits[0] if fits and fits[0] != "day" else None

    def before(self) -> Period:
        """The period directly before: the whole calendar unit, else the same length."""
        start, end = self._closed()
        unit = self.calendar_unit
        if self.kind == "calendar" and self.unit and self.n and self.n > 1:
            return Period(kind="fixed", start=shift(start, -self.n, self.unit), end=start)
        if unit:
            return Period(kind="fixed", start=shift(start, -1, unit), end=start)
        if self.kind == "rolling" and self.n and self.unit:
            return Period(kind="fixed", start=shift(start, -self.n, self.unit), end=start)
        return Period(kind="fixed", start=start - (end - start), end=start)

    def year_before(self) -> Period:
        """The same days one year earlier."""
        start, end = self._closed()
        return Period(kind="fixed", start=shift(start, -1, "year"), end=shift(end, -1, "year"))

    def _closed(self) -> tuple[date, date]:
        if self.start is None or self.end is None:
            raise ValueError("an open period has no earlier one to compare with")
        return self.start, self.end

    def to_text(self) -> str:
        """The days in words, as in `11 Oct 2026 to 22 Nov 2026`."""
        first = f"{self.start:%-d %b %Y}" if self.start else None
        last = f"{self.last_day:%-d %b %Y}" if self.last_day else None
        if first and last:
            return first if first == last else f"{first} to {last}"
        return f"from {first}" if first else f"up to {last}"
