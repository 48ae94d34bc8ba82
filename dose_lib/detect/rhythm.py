"""How often a device examines: its own rate for each hour of each weekday, and what is silence.

Exams of one device are counted by weekday and hour over some weeks; a thin hour leans on the
same hour of its kind of day (working day, Saturday, Sunday). Time is then measured in exams
that would be expected: in that time gaps between exams are exponential with mean one, so
the chance of a gap of L expected exams is exp(-L). A device with N exams a year has N gaps;
a limit of ln(N / a) lets a false alarms a year pass. Real gaps are longer than that where
exams come in bursts: the limit is stretched by how the device's own long gaps compare.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from itertools import accumulate, pairwise

import msgspec

WEEKS = 10
_LEAST_EXAMS, _LEAST_WEEKS = 20, 3
_LEANING_WEEKS = 3.0  # so many weeks does the kind of day count beside the weekday itself
_HOUR, _DAY, _WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
_WEEK_H, _YEAR_H = 168, 8766.0
_TAIL = 0.95  # share of gaps that are shorter than what the stretch is read from
_MOST_STRETCH = 4.0

DayFactors = Mapping[date, float]
"""Share of the usual work that was done on a day; 1 for days that are not named."""


class Rhythm(msgspec.Struct, frozen=True):
    """A device's rhythm.

    Attributes
    ----------
    rates
        Exams an hour, for the 168 hours of a week from Monday midnight on.
    sums
        Exams expected from Monday midnight to the beginning of each hour, and to its end.
    n_exams, weeks
        What it was learned from.
    stretch
        How much longer its long gaps are than those of independent exams; 1 or more.
    """

    rates: tuple[float, ...]
    sums: tuple[float, ...]
    n_exams: int
    weeks: float
    stretch: float = 1.0

    @property
    def per_year(self) -> float:
        """Exams a year."""
        return self.sums[-1] / _WEEK_H * _YEAR_H

    def limit(self, false_alarms_per_year: float) -> float:
        """Expected exams without one, after which silence is an alarm."""
        return self.stretch * math.log(max(self.per_year / false_alarms_per_year, math.e))

    def expected(self, begin: datetime, end: datetime, factors: DayFactors | None = None) -> float:
        """Exams expected between two moments."""
        if end <= begin:
            return 0.0
        if not factors:
            return self._since_monday(end) - self._since_monday(begin, end)
        total, at = 0.0, begin
        while at < end:
            upto = min(end, datetime.combine(at.date() + _DAY, time()))
            usual = self._since_monday(upto) - self._since_monday(at, upto)
            total += usual * factors.get(at.date(), 1.0)
            at = upto
        return total

    def _since_monday(self, at: datetime, origin: datetime | None = None) -> float:
        """Exams expected since the Monday before `origin` (before `at`); may be negative."""
        monday = _monday(origin or at)
        weeks, rest = divmod(at - monday, _WEEK)
        hours = rest / _HOUR
        whole = int(hours)
        within = self.sums[whole] + (self.rates[whole] * (hours - whole) if whole < _WEEK_H else 0)
        return weeks * self.sums[-1] + within


def learn_rhythm(exams: Sequence[datetime], until: datetime) -> Rhythm | None:
    """The rhythm of a device by its exams of the last weeks; None for too few.

    Parameters
    ----------
    exams
        Their starts, in order, local time.
    until
        The end of what counts: the last exam before a silence.
    """
    first = until - timedelta(weeks=WEEKS)
    some = exams[bisect_left(exams, first) : bisect_left(exams, until + timedelta(microseconds=1))]
    if len(some) < _LEAST_EXAMS:
        return None
    begin = max(first, datetime.combine(some[0].date(), time()))
    weeks = (until - begin) / timedelta(weeks=1)
    if weeks < _LEAST_WEEKS:
        return None
    rates = _rates(some, begin, until)
    sums = (0.0, *accumulate(rates))
    rhythm = Rhythm(rates, sums, len(some), round(weeks, 1))
    return msgspec.structs.replace(rhythm, stretch=_stretch(rhythm, some))


def _rates(exams: Sequence[datetime], begin: datetime, until: datetime) -> tuple[float, ...]:
    counts = [0] * _WEEK_H
    for exam in exams:
        counts[_hour_of_week(exam)] += 1
    hours = _hours(begin, until)
    rates = []
    for slot in range(_WEEK_H):
        alike = [s for s in range(slot % 24, _WEEK_H, 24) if _kind(s) == _kind(slot)]
        usual_hours = sum(hours[s] for s in alike)
        usual = sum(counts[s] for s in alike) / usual_hours if usual_hours else 0.0
        leaning = _LEANING_WEEKS if len(alike) > 1 else 0.0
        weight = hours[slot] + leaning
        rates.append((counts[slot] + leaning * usual) / weight if weight else 0.0)
    return tuple(rates)


def _hours(begin: datetime, until: datetime) -> list[float]:
    """How long each hour of the week was between two moments, hours."""
    weeks, rest = divmod(until - begin, _WEEK)
    found = [float(weeks)] * _WEEK_H
    at, end = begin, begin + rest
    while at < end:
        upto = min(end, _next_hour(at))
        found[_hour_of_week(at)] += (upto - at) / _HOUR
        at = upto
    return found


def _stretch(rhythm: Rhythm, exams: Sequence[datetime]) -> float:
    """How the device's long gaps compare with those of independent exams."""
    gaps = sorted(rhythm.expected(a, b) for a, b in pairwise(exams))
    if not gaps:
        return 1.0
    long = gaps[min(len(gaps) - 1, math.ceil(_TAIL * len(gaps)))]
    return min(_MOST_STRETCH, max(1.0, long / -math.log(1 - _TAIL)))


def _kind(slot: int) -> int:
    """Kind of day of an hour of the week: working day, Saturday, Sunday."""
    return max(0, slot // 24 - 4)


def _monday(at: datetime) -> datetime:
    return datetime.combine(at.date() - timedelta(days=at.weekday()), time())


def _hour_of_week(at: datetime) -> int:
    return at.weekday() * 24 + at.hour


def _next_hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0) + _HOUR
