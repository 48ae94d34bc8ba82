"""The days a page looks at, in the site's zone."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from dose_lib.errors import UsageError
from dose_lib.settings import Settings, load_settings


class Period(NamedTuple):
    """Days from `first` to `last`, both included, in the site's zone."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """Number of days."""
        return (self.last - self.first).days + 1

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """Start of the first day and end of the last, local, to be used as start <= t < end."""
        midnight = datetime.min.time()
        return (
            datetime.combine(self.first, midnight),
            datetime.combine(self.last + timedelta(days=1), midnight),
        )

    def __str__(self) -> str:
        first = f"{self.first.day} {self.first:%b}"
        year = "" if self.first.year == self.last.year else f" {self.first.year}"
        last = f"{self.last.day} {self.last:%b %Y}"
        return f"{first}{year} to {last} ({self.days:,} days)"

    def __repr__(self) -> str:
        return str(self)


def period(
    days: int = 84,
    until: date | str | None = None,
    *,
    settings: Settings | None = None,
    now: datetime | None = None,
) -> Period:
    """The last `days` days up to `until`.

    Parameters
    ----------
    days
        Number of days, at least 1.
    until
        Last day, as date or ISO text; default today in the site's zone.
    settings
        Of the installation, for its zone.
    now
        The present, for tests.

    Raises
    ------
    UsageError
        If `days` is below 1 or `until` is no date.
    """
    if days < 1:
        raise UsageError(f"days = {days}", expected="1 or more")
    zone = ZoneInfo((settings or load_settings()).timezone)
    last = _day(until) or (now or datetime.now(zone)).astimezone(zone).date()
    return Period(last - timedelta(days=days - 1), last)


def _day(until: date | str | None) -> date | None:
    if until is None or isinstance(until, date):
        return until.date() if isinstance(until, datetime) else until
    try:
        return date.fromisoformat(until)
    except ValueError:
        raise UsageError(f"until = {until!r} is no date", expected="as in 2026-11-22") from None
