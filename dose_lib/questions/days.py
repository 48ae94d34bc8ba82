"""Grammar of days, months, quarters and years by name, and of ranges between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import pyparsing as pp

from dose_lib.questions.period import Period, Unit, shift
from dose_lib.questions.text import NUMBERS
from dose_lib.questions.time_words import (
    CLOCK,
    DAYS,
    MONTHS,
    ORDINALS,
    UNITS,
    Found,
    action,
    one_word,
    phrase,
)


@dataclass(frozen=True, slots=True)
class _Range:
    """First day and first day after; `has_year` says whether a year was spoken."""

    start: date
    end: date
    has_year: bool
    unit: str = "day"


def _year_of(word: str) -> int:
    number = int(word)
    return number + 2000 if number < 100 else number


def _recent(month: int, day: int = 1, length: Unit = "month") -> date:
    """The most recent such day that is not in the future."""
    year = CLOCK.today.year
    while True:
        try:
            found = date(year, month, day)
        except ValueError:  # 29 February
            if year < CLOCK.today.year - 8:
                raise
            year -= 1
            continue
        if found <= CLOCK.today:
            return found
        year -= 1


def _span(start: date, unit: Unit, has_year: bool) -> _Range:
    return _Range(start, shift(start, 1, unit), has_year, unit)


def _iso(t: Found) -> _Range:
    parts = [int(p) for p in t[0].split("-")]
    if len(parts) == 2:
        return _span(date(parts[0], parts[1], 1), "month", True)
    return _span(date(*parts), "day", True)


def _iso_week(t: Found) -> _Range:
    year = t.get("year", CLOCK.today.year)
    start = date.fromisocalendar(year, t["week"], 1)
    if "year" not in t and start > CLOCK.today:
        start = date.fromisocalendar(year - 1, t["week"], 1)
    return _span(start, "week", True)


def _slashed(t: Found) -> _Range:
    first, second, year = (int(p) for p in t[0].replace(".", "/").split("/"))
    day_first = CLOCK.day_first or "." in t[0]
    if first > 12 or (day_first and second <= 12):
        day, month = first, second
    else:
        day, month = second, first
    return _span(date(_year_of(str(year)), month, day), "day", True)


def _day_month(t: Found) -> _Range:
    day, month = int(t["day"].rstrip("stndrh")), t["month"]
    if "year" in t:
        return _span(date(t["year"], month, day), "day", True)
    return _span(_recent(month, day), "day", False)


def _month_year(t: Found) -> _Range:
    if "year" in t:
        return _span(date(t["year"], t["month"], 1), "month", True)
    if "last" in t:  # "last October" is the one before this year's running one
        start = _recent(t["month"])
        if start.year == CLOCK.today.year and start.month == CLOCK.today.month:
            start = start.replace(year=start.year - 1)
        return _span(start, "month", False)
    return _span(_recent(t["month"]), "month", False)


def _part_of_year(size: Unit) -> Callable[[Found], _Range]:
    def make(t: Found) -> _Range:
        number = t["part"]
        months = 3 if size == "quarter" else 6
        if number == -1:
            number = 12 // months
        month = (number - 1) * months + 1
        if "year" in t:
            return _span(date(t["year"], month, 1), size, True)
        return _span(_recent(month), size, False)

    return make


def _absolute() -> tuple[pp.ParserElement, pp.ParserElement]:
    months = {w: i + 1 for i, group in enumerate(MONTHS) for w in group}
    not_verb = ~(pp.Keyword("may") + one_word(("i", "we", "you", "be", "have", "not", "it")))
    month = not_verb + one_word(months).set_parse_action(lambda t: months[t[0]])("month")
    year4 = pp.Regex(r"(?:19|20)\d\d(?![\d.-])").set_parse_action(lambda t: int(t[0]))
    this_year = phrase("this year", "the year", "the current year", "the current one")
    this_year = this_year.set_parse_action(lambda: CLOCK.today.year)
    last_year = phrase("last year", "the previous year", "previous year", "the last year")
    last_year = last_year.set_parse_action(lambda: CLOCK.today.year - 1)
    spoken = pp.Suppress(pp.Optional(pp.one_of(", of in"))) + (this_year | last_year | year4)
    year = pp.Optional(spoken("year"))
    day = pp.Regex(r"(?:[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?(?![\d.])")("day")
    iso = pp.Regex(r"\d{4}-\d{1,2}(?:-\d{1,2})?(?!\d)").set_parse_action(action(_iso))
    week_words = pp.Suppress(
        phrase("calendar week", "iso week", "week number", "week no", "week", "cw", "kw")
    )
    week = (
        week_words + pp.Regex(r"\d{1,2}(?!\d)").set_parse_action(lambda t: int(t[0]))("week") + year
    )
    week.set_parse_action(action(_iso_week))
    slashed = pp.Regex(r"\d{1,2}([./])\d{1,2}\1\d{2,4}(?!\d)").set_parse_action(action(_slashed))
    weekday = pp.Suppress(pp.Optional(one_word(x for group in DAYS for x in group)))
    the = pp.Suppress(pp.Optional("the"))
    day_month = weekday + the + day + pp.Suppress(pp.Optional("of")) + month + year
    month_day = weekday + month + the + day + ~pp.FollowedBy(one_word(("kg", "days"))) + year
    month_of = pp.Suppress(pp.Optional(phrase("the month of", "month of")))
    last = pp.Optional(phrase("last")("last"))
    month_year = month_of + last + month + year
    q = pp.Regex(r"q[1-4]\b").set_parse_action(lambda t: int(t[0][1]))
    h = pp.Regex(r"h[12]\b").set_parse_action(lambda t: int(t[0][1]))
    ordinal = one_word(ORDINALS).set_parse_action(lambda t: ORDINALS[t[0]])
    quarter_word = pp.Suppress(one_word(("quarter", "qtr")))
    number = ~pp.Keyword("last") + ordinal
    quarter = (
        (q("part") + year)
        | (spoken("year") + q("part"))
        | (the + number("part") + quarter_word + year)
        | (the + ordinal("part") + quarter_word + spoken("year"))
    )
    half_word = pp.Suppress(one_word(("half",))) + pp.Suppress(pp.Optional("year"))
    half = (
        (h("part") + year)
        | (spoken("year") + h("part"))
        | (the + number("part") + half_word + year)
        | (the + ordinal("part") + half_word + spoken("year"))
    )
    calendar_year = (
        pp.Suppress(pp.Optional(phrase("calendar year", "the year", "year", "all of"))) + year4
    )
    calendar_year.set_parse_action(action(lambda t: _span(date(t[0], 1, 1), "year", True)))
    day_month.set_parse_action(action(_day_month))
    month_day.set_parse_action(action(_day_month))
    month_year.set_parse_action(action(_month_year))
    quarter.set_parse_action(action(_part_of_year("quarter")))
    half.set_parse_action(action(_part_of_year("half")))
    weekdays = {w: i for i, group in enumerate(DAYS) for w in group if len(w) > 3}
    past_day = pp.Suppress(pp.Optional(one_word(("last", "this", "past")))) + one_word(weekdays)
    past_day.set_parse_action(action(lambda t: _weekday(weekdays[t[0]])))
    yesterday = pp.Keyword("yesterday").set_parse_action(
        action(lambda t: _span(CLOCK.today - timedelta(days=1), "day", True))
    )
    today = phrase("today", "now", "the present", "present").set_parse_action(
        action(lambda t: _span(CLOCK.today, "day", True))
    )
    bounded = week | iso | slashed | day_month | month_day | quarter | half | month_year
    return bounded | past_day | yesterday | calendar_year, today


def _weekday(number: int) -> _Range:
    back = (CLOCK.today.weekday() - number) % 7 or 7
    return _span(CLOCK.today - timedelta(days=back), "day", True)


def _joined(first: _Range, last: _Range) -> Period | None:
    """From the first day of one to the last day of the other; the year may be said once."""
    start, end = first.start, last.end
    if last.has_year and not first.has_year:
        while start.year > last.start.year or start >= end:
            start = start.replace(year=start.year - 1)
        if start.replace(year=last.start.year) < end:
            start = start.replace(year=last.start.year)
    elif first.has_year and not last.has_year:
        end = shift(end, start.year - last.start.year, "year")
        if end <= start:
            end = shift(end, 1, "year")
    elif not first.has_year and start >= end:
        start = shift(start, -1, "year")
    return Period(kind="fixed", start=start, end=end)


def whole_parts() -> pp.ParserElement:
    """`first two weeks of October`, `last 3 months of 2025`: before the rolling ranges."""
    months = {w: i + 1 for i, group in enumerate(MONTHS) for w in group}
    month = one_word(months).set_parse_action(lambda t: months[t[0]])("month")
    year4 = pp.Regex(r"(?:19|20)\d\d(?![\d.-])").set_parse_action(lambda t: int(t[0]))
    last = phrase("last year", "previous year").set_parse_action(lambda: CLOCK.today.year - 1)
    this = phrase("this year", "the year").set_parse_action(lambda: CLOCK.today.year)
    spoken = last | this | year4
    ordinal = one_word(ORDINALS).set_parse_action(lambda t: ORDINALS[t[0]])
    number = pp.Regex(r"\d+(?![\d.])") | one_word(set(NUMBERS) - {"zero"})
    number = number.copy().set_parse_action(lambda t: int(NUMBERS.get(t[0]) or t[0]))
    unit = one_word(UNITS).set_parse_action(lambda t: UNITS[t[0]])
    lead = pp.Suppress(
        pp.Optional(one_word(("in", "over", "during", "for", "from"))) + pp.Optional("the")
    )
    year = pp.Optional(pp.Suppress(pp.Optional("of")) + spoken("year"))
    element = lead + ordinal("which") + pp.Optional(number("n")) + unit("unit")
    element += pp.Suppress(one_word(("of", "in"))) + ((month + year) | spoken("year"))
    element.set_parse_action(action(_part))
    return element


def _part(t: Found) -> Period:
    whole = _month_year(t) if "month" in t else _span(date(t["year"], 1, 1), "year", True)
    count, size = t.get("n", 1), t["unit"]
    if t["which"] == -1:
        return Period(kind="fixed", start=shift(whole.end, -count, size), end=whole.end)
    start = shift(whole.start, (t["which"] - 1) * count, size)
    return Period(kind="fixed", start=start, end=shift(start, count, size))


def ranges() -> list[pp.ParserElement]:
    """Days and months by name, ranges of them, and ranges open at one end."""
    day, now = _absolute()
    small = pp.Suppress(
        pp.Optional(one_word(("from", "in", "during", "for", "over", "of", "on", "within")))
    )
    lead = small + pp.Suppress(
        pp.Optional(phrase("the period", "period", "the months", "the years"))
    )
    to = pp.Suppress(
        phrase("up to and including", "up to", "to", "until", "till", "through", "thru", "-")
    )
    a, b = day("a"), day("b")
    until_now = lead + a + to + pp.Suppress(now)
    span = lead + a + to + b
    between = (
        pp.Suppress(phrase("between", "from"))
        + a
        + pp.Suppress(phrase("and", "to", "until", "&"))
        + b
    )
    days_of = _days_of_month()
    since_words = phrase(
        *("since the start of", "since the beginning of", "since", "starting from", "starting in"),
        *("starting on", "starting", "as of", "from the beginning of", "from the start of"),
        *("beginning in", "beginning on", "as from", "ever since", "going back to", "back to"),
    )
    since = pp.Suppress(since_words) + pp.Suppress(pp.Optional("about")) + a
    onwards = (
        pp.Suppress(pp.Optional(pp.Keyword("from")))
        + a
        + pp.Suppress(
            phrase(
                "on",
                "onwards",
                "onward",
                "and later",
                "or later",
                "and after",
                "forward",
                "and onwards",
            )
        )
    )
    after = pp.Suppress(phrase("after the end of", "later than", "after")) + a
    before = (
        pp.Suppress(phrase("before the start of", "before", "prior to", "earlier than", "up until"))
        + a
    )
    until = (
        pp.Suppress(
            phrase(
                "until the end of",
                "until end of",
                "to the end of",
                "till the end of",
                "up to and including",
                "until",
                "till",
                "up to",
                "through",
                "by the end of",
                "up to the end of",
            )
        )
        + a
    )
    plain = lead + a

    since.set_parse_action(action(lambda t: Period(kind="since", start=t["a"].start)))
    onwards.set_parse_action(action(lambda t: Period(kind="since", start=t["a"].start)))
    until_now.set_parse_action(action(lambda t: Period(kind="since", start=t["a"].start)))
    after.set_parse_action(action(lambda t: Period(kind="since", start=t["a"].end)))
    before.set_parse_action(action(lambda t: Period(kind="fixed", end=t["a"].start)))
    until.set_parse_action(action(lambda t: Period(kind="fixed", end=t["a"].end)))
    for element in (span, between):
        element.set_parse_action(action(lambda t: _joined(t["a"], t["b"])))
    plain.set_parse_action(
        action(lambda t: Period(kind="fixed", start=t["a"].start, end=t["a"].end))
    )
    return [days_of, between, until_now, span, since, onwards, after, before, until, plain]


def _days_of_month() -> pp.ParserElement:
    """`1 to 15 October 2026`, `between 3 and 9 May`, `October 3-9`."""
    months = {w: i + 1 for i, group in enumerate(MONTHS) for w in group}
    month = one_word(months).set_parse_action(lambda t: months[t[0]])("month")
    day = pp.Regex(r"(?:[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?(?![\d.])")
    year = pp.Regex(r"(?:19|20)\d\d(?![\d.-])").set_parse_action(lambda t: int(t[0]))
    lead = pp.Suppress(pp.Optional(one_word(("from", "between", "of"))) + pp.Optional("the"))
    to = pp.Suppress(
        phrase("to the", "until the", "and the", "to", "until", "till", "through", "-", "and")
    )
    of = pp.Suppress(pp.Optional("of"))
    maybe_year = pp.Optional(pp.Suppress(pp.Optional(",")) + year("year"))
    days_first = lead + day("first") + to + day("last") + of + month + maybe_year
    month_first = lead + month + day("first") + to + day("last") + maybe_year

    def make(t: Found) -> Period | None:
        first, last = (int(t[k].rstrip("stndrh")) for k in ("first", "last"))
        start = date(t["year"], t["month"], first) if "year" in t else _recent(t["month"], first)
        end = start.replace(day=last) + timedelta(days=1)
        return Period(kind="fixed", start=start, end=end)

    element = pp.MatchFirst([days_first, month_first])
    return element.set_parse_action(action(make))
