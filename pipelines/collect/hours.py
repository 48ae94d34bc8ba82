"""Quiet hours: when an archive is left alone, such as `mon-fri 07:30-18:00`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FORM = re.compile(
    r"(?:(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))?\s+)?"
    r"(?P<start>\d{1,2}:\d{2})\s*-\s*(?P<end>\d{1,2}:\d{2})"
)
_FAR = timedelta(days=8)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Hours of some days of the week; an end before the start is on the next day."""

    days: frozenset[int]
    start: time
    end: time

    def covers(self, moment: datetime) -> bool:
        """True if a local time lies within."""
        clock, day = moment.time(), moment.weekday()
        if self.start < self.end:
            return day in self.days and self.start <= clock < self.end
        began_today = day in self.days and clock >= self.start
        began_yesterday = (day - 1) % 7 in self.days and clock < self.end
        return began_today or began_yesterday


def parse_hours(text: str) -> QuietHours:
    """Read `07:30-18:00`, `mon-fri 07:30-18:00` or `sun 00:00-24:00`.

    Raises
    ------
    ValueError
        With what was expected.
    """
    match = _FORM.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(f"{text!r} is no time of the week, such as 'mon-fri 07:30-18:00'")
    return QuietHours(
        _days(match["first"], match["last"]), _clock(match["start"]), _clock(match["end"])
    )


def next_opening(hours: tuple[QuietHours, ...], moment: datetime) -> datetime:
    """The first minute from `moment` on that no quiet hours cover; `moment` if none do now."""
    at, last = moment, moment + _FAR
    while any(h.covers(at) for h in hours):
        at = (at + timedelta(minutes=1)).replace(second=0, microsecond=0)
        if at > last:
            raise ValueError("quiet hours cover the whole week")
    return at


def _days(first: str | None, last: str | None) -> frozenset[int]:
    if first is None:
        return frozenset(range(7))
    for name in (first, last or first):
        if name not in _DAYS:
            raise ValueError(f"{name!r} is no day; they are {', '.join(_DAYS)}")
    begin, end = _DAYS.index(first), _DAYS.index(last or first)
    return frozenset((begin + n) % 7 for n in range((end - begin) % 7 + 1))


def _clock(text: str) -> time:
    hour, minute = (int(w) for w in text.split(":"))
    return time(0, 0) if (hour, minute) == (24, 0) else time(hour, minute)
