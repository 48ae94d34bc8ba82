"""Grammar of time words, looking back and never ahead; built on pyparsing.

General date libraries put "last six weeks" in the future or stop it last Monday
(docs/questions.md), so the grammar is ours and small enough to test phrase by phrase.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import pyparsing as pp

from dose_lib.questions.period import Period, Unit, floor, shift
from dose_lib.questions.text import NUMBERS

_MONTHS = (
    ("january", "jan"),
    ("february", "feb", "febr"),
    ("march", "mar"),
    ("april", "apr"),
    ("may",),
    ("june", "jun"),
    ("july", "jul"),
    ("august", "aug"),
    ("september", "sep", "sept"),
    ("october", "oct"),
    ("november", "nov"),
    ("december", "dec"),
)
_DAYS = (
    ("monday", "mon"),
    ("tuesday", "tue", "tues"),
    ("wednesday", "wed"),
    ("thursday", "thu", "thur", "thurs"),
    ("friday", "fri"),
    ("saturday", "sat"),
    ("sunday", "sun"),
)
_UNITS: dict[str, Unit] = {
    **dict.fromkeys(("day", "days", "d"), "day"),
    **dict.fromkeys(("week", "weeks", "wk", "wks", "w"), "week"),
    **dict.fromkeys(("month", "months", "mth", "mths", "mo", "mos"), "month"),
    **dict.fromkeys(("quarter", "quarters", "qtr", "qtrs"), "quarter"),
    **dict.fromkeys(("year", "years", "yr", "yrs"), "year"),
}
_ORDINALS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4}
_ORDINALS |= {"4th": 4, "last": -1, "final": -1}
TIME_WORDS = frozenset(
    w for group in (*_MONTHS, *_DAYS, tuple(_UNITS), tuple(_ORDINALS)) for w in group
) | {
    *("last", "past", "previous", "this", "current", "yesterday", "today", "since", "until"),
    *("till", "through", "thru", "ytd", "mtd", "qtd", "fortnight", "weekend", "trailing"),
    *("rolling", "ago", "to", "date", "far", "before", "after", "onwards", "recent", "latest"),
    *("preceding", "beginning", "half", "couple", "quarter", "prior", "decade"),
}


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """A period found between two character places of the normalised question."""

    period: Period
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Range:
    """First day and first day after; `has_year` says whether a year was spoken."""

    start: date
    end: date
    has_year: bool
    unit: str = "day"


def find_periods(text: str, today: date, *, day_first: bool = True) -> list[TimeSpan]:
    """Every period in a normalised question (tokens joined by one blank).

    Parameters
    ----------
    text
        The question as `" ".join(token.text ...)`.
    today
        The day that "last week" counts from.
    day_first
        True where 01/09 is the first of September.
    """
    _CLOCK.today, _CLOCK.day_first = today, day_first
    found = []
    for tokens, start, end in _grammar().scan_string(text):
        period = tokens[0]
        if isinstance(period, Period):
            words = text[start:end].strip()
            found.append(
                TimeSpan(
                    period.model_copy(update={"words": words[:200]}).clamped(today), start, end
                )
            )
    return found


class _Clock:
    """The day the parse actions count from; one parse at a time sets it."""

    today: date = date(2000, 1, 1)
    day_first: bool = True


_CLOCK = _Clock()


def _one(words: Any) -> pp.ParserElement:
    return pp.one_of(sorted(words, key=len, reverse=True), as_keyword=True)


def _kw(*words: str) -> pp.ParserElement:
    phrases = [pp.And([pp.Keyword(w) for w in p.split()]) for p in words]
    return pp.MatchFirst(phrases)


def _period(**slots: Any) -> Period | None:
    try:
        return Period(**slots)
    except ValueError:
        return None


class _Found:
    """Tokens of one match: by place, or by name as one value (pyparsing may nest those)."""

    def __init__(self, tokens: pp.ParseResults) -> None:
        self._list = list(tokens)
        self._named = {name: self._single(tokens[name]) for name in tokens.keys()}  # noqa: SIM118

    @staticmethod
    def _single(value: Any) -> Any:
        return value[0] if isinstance(value, pp.ParseResults) else value

    def __getitem__(self, key: int | str) -> Any:
        return self._list[key] if isinstance(key, int) else self._named[key]

    def __contains__(self, name: str) -> bool:
        return name in self._named

    def __iter__(self) -> Iterator[Any]:
        return iter(self._list)

    def get(self, name: str, default: Any = None) -> Any:
        return self._named.get(name, default)


def _action(make: Callable[[_Found], object]) -> Callable[..., object]:
    def run(text: str, place: int, tokens: pp.ParseResults) -> object:
        try:
            made = make(_Found(tokens))
        except (ValueError, OverflowError) as error:
            raise pp.ParseException(text, place, str(error)) from None
        if made is None:
            raise pp.ParseException(text, place, "no period")
        return [made]

    return run


@lru_cache(maxsize=1)
def _grammar() -> pp.ParserElement:
    number = pp.Regex(r"\d+(?![\d.])") | _one(set(NUMBERS) - {"zero"})
    number = number.copy().set_parse_action(lambda t: int(NUMBERS.get(t[0]) or t[0]))
    couple = (pp.Optional(_kw("a", "the")) + _kw("couple of", "couple")).set_parse_action(lambda: 2)
    unit = _one(_UNITS).set_parse_action(lambda t: _UNITS[t[0]])
    return pp.MatchFirst(
        [
            _whole_parts(),
            *_rolling(number | couple, unit),
            *_ranges(),
            *_calendar(unit),
            *_points(number, unit),
        ]
    )


def _rolling(number: pp.ParserElement, unit: pp.ParserElement) -> list[pp.ParserElement]:
    last = _kw(
        *("last", "past", "previous", "trailing", "preceding", "recent", "most recent", "latest"),
        *("prior", "rolling", "final"),
    )
    lead = pp.Suppress(
        pp.Optional(_one(("over", "in", "for", "during", "within", "from", "since", "across")))
        + pp.Optional(_kw("the", "our", "these", "a"))
    )
    fill = pp.Suppress(pp.Optional(_kw("or so", "or", "running", "about")))
    full = pp.Suppress(_kw("full", "complete", "whole", "calendar", "completed"))

    def rolling(t: _Found) -> Period | None:
        return _period(kind="rolling", n=t["n"], unit=t["unit"])

    n, u = number("n"), unit("unit")
    counted = lead + pp.Suppress(last) + fill + n + fill + u
    whole = lead + pp.Suppress(last) + n + full + u
    whole.set_parse_action(
        _action(lambda t: _period(kind="calendar", unit=t["unit"], offset=-t["n"], n=t["n"]))
    )
    swapped = lead + pp.Suppress(pp.Keyword("the")) + n + pp.Suppress(last) + u
    ago = pp.Suppress(_kw("since", "from", "starting")) + n + u + pp.Suppress(pp.Keyword("ago"))
    back = (
        pp.Suppress(
            _kw(
                "go back",
                "going back",
                "look back",
                "looking back",
                "back",
                "extend to",
                "reaching back",
            )
        )
        + n
        + u
    )
    behind = (
        pp.Suppress(_kw("over", "in", "for"))
        + n
        + u
        + pp.Suppress(_kw("to date", "to now", "back"))
    )
    until_today = lead + n + u + pp.Suppress(_kw("up to", "to", "until", "till"))
    until_today += pp.Suppress(_kw("today", "now"))
    window = (
        pp.Suppress(pp.Optional(_kw("a", "the"))) + n + u + pp.Suppress(_kw("rolling", "trailing"))
    )
    rolled = [counted, swapped, ago, back, behind, until_today, window]
    found = [whole, *rolled]
    named = (
        (("past", "last", "previous", "trailing"), "fortnight", 2, "week"),
        (("past", "last", "previous", "trailing"), "half year", 6, "month"),
        (("past", "last", "previous"), "half a year", 6, "month"),
        (("past", "last", "previous"), "decade", 10, "year"),
        (("past", "last", "previous"), "24 hours", 1, "day"),
    )
    for before, words, count, size in named:
        element = lead + pp.Suppress(_kw(*before)) + pp.Suppress(_kw(words))
        found.append(
            element.set_parse_action(
                _action(lambda t, c=count, s=size: _period(kind="rolling", n=c, unit=s))
            )
        )
    single = lead + pp.Suppress(_kw("past", "trailing", "rolling")) + u
    found.append(
        single.set_parse_action(_action(lambda t: _period(kind="rolling", n=1, unit=t["unit"])))
    )
    for element in rolled:
        element.set_parse_action(_action(rolling))
    return found


def _calendar(unit: pp.ParserElement) -> list[pp.ParserElement]:
    lead = pp.Suppress(
        pp.Optional(
            _one(("over", "in", "for", "during", "within", "from", "since", "across", "of"))
        )
        + pp.Optional(_kw("the", "our"))
    )
    half = _kw("half year").set_parse_action(lambda: "half")
    size = (half | unit)("unit")
    ends = pp.Optional(pp.Suppress(_kw("so far", "to date", "until now", "up to now", "thus far")))
    plain_this = lead + pp.Suppress(_kw("this", "current")) + size + ends
    far = lead + pp.Suppress(_kw("so far this", "so far in this")) + size
    to_date = lead + size + pp.Suppress(_kw("to date", "so far", "until now"))
    of_the = pp.Suppress(_kw("of the", "of this")) + size
    start_of = (
        pp.Suppress(_kw("since", "from", "starting", "starting from"))
        + pp.Suppress(pp.Optional("the"))
        + pp.Suppress(_kw("start of", "beginning of", "first day of", "turn of"))
        + pp.Suppress(_kw("the", "this"))
        + size
    )

    def current(t: _Found) -> Period | None:
        return _period(kind="to_date", unit=t["unit"])

    def previous(t: _Found) -> Period | None:
        return _period(kind="calendar", unit=t["unit"], offset=-1)

    last = (
        lead
        + pp.Suppress(_kw("last", "previous", "prior", "preceding"))
        + pp.Suppress(pp.Optional(_kw("full", "complete", "whole", "calendar")))
        + size
    )
    before_last = lead + size + pp.Suppress(_kw("before last"))
    short = _one(("ytd", "mtd", "qtd", "wtd")).set_parse_action(
        _action(
            lambda t: _period(
                kind="to_date",
                unit={"y": "year", "m": "month", "q": "quarter", "w": "week"}[t[0][0]],
            )
        )
    )
    for element in (start_of, plain_this, far, to_date, of_the):
        element.set_parse_action(_action(current))
    since_last = pp.Suppress(_kw("since", "from")) + pp.Suppress(_kw("last", "previous")) + size
    since_last.set_parse_action(
        _action(
            lambda t: _period(
                kind="since", start=shift(floor(_CLOCK.today, t["unit"]), -1, t["unit"])
            )
        )
    )
    before_last.set_parse_action(
        _action(lambda t: _period(kind="calendar", unit=t["unit"], offset=-2))
    )
    last.set_parse_action(_action(previous))
    return [start_of, before_last, since_last, far, to_date, plain_this, last, of_the, short]


def _points(number: pp.ParserElement, unit: pp.ParserElement) -> list[pp.ParserElement]:
    def day(offset: int) -> Period:
        return Period(kind="calendar", unit="day", offset=offset)

    lead = pp.Suppress(pp.Optional(_one(("on", "from", "for", "of", "in"))))
    the_day = pp.Suppress(pp.Optional("the"))
    found = []
    for words, offset in (
        (("day before yesterday",), -2),
        (("yesterday",), -1),
        (("today", "this morning", "this afternoon", "this evening"), 0),
        (("last night",), -1),
    ):
        element = lead + the_day + _kw(*words)
        found.append(element.set_parse_action(_action(lambda t, o=offset: day(o))))
    weekend = (
        lead
        + pp.Optional(_one(("over", "during", "at")))
        + _kw(
            "last weekend",
            "this weekend",
            "the weekend",
            "past weekend",
            "the last weekend",
            "the past weekend",
        )("which")
    )
    found.append(weekend.set_parse_action(_action(_weekend)))
    ago = pp.Suppress(pp.Optional(_one(("from", "in", "of")))) + number("n") + unit("unit")
    ago += pp.Suppress(pp.Keyword("ago"))
    found.append(
        ago.set_parse_action(
            _action(lambda t: _period(kind="calendar", unit=t["unit"], offset=-t["n"]))
        )
    )
    return found


def _weekend(t: _Found) -> Period:
    saturday = floor(_CLOCK.today, "week") + timedelta(days=5)
    is_last = "last" in list(t) or "past" in list(t)
    if saturday > _CLOCK.today or (is_last and _CLOCK.today >= saturday):
        saturday -= timedelta(days=7)
    return Period(kind="fixed", start=saturday, end=saturday + timedelta(days=2))


# --- absolute dates ---------------------------------------------------------------------------


def _year_of(word: str) -> int:
    number = int(word)
    return number + 2000 if number < 100 else number


def _recent(month: int, day: int = 1, length: Unit = "month") -> date:
    """The most recent such day that is not in the future."""
    year = _CLOCK.today.year
    while True:
        try:
            found = date(year, month, day)
        except ValueError:  # 29 February
            if year < _CLOCK.today.year - 8:
                raise
            year -= 1
            continue
        if found <= _CLOCK.today:
            return found
        year -= 1


def _span(start: date, unit: Unit, has_year: bool) -> _Range:
    return _Range(start, shift(start, 1, unit), has_year, unit)


def _iso(t: _Found) -> _Range:
    parts = [int(p) for p in t[0].split("-")]
    if len(parts) == 2:
        return _span(date(parts[0], parts[1], 1), "month", True)
    return _span(date(*parts), "day", True)


def _iso_week(t: _Found) -> _Range:
    year = t.get("year", _CLOCK.today.year)
    start = date.fromisocalendar(year, t["week"], 1)
    if "year" not in t and start > _CLOCK.today:
        start = date.fromisocalendar(year - 1, t["week"], 1)
    return _span(start, "week", True)


def _slashed(t: _Found) -> _Range:
    first, second, year = (int(p) for p in t[0].replace(".", "/").split("/"))
    day_first = _CLOCK.day_first or "." in t[0]
    if first > 12 or (day_first and second <= 12):
        day, month = first, second
    else:
        day, month = second, first
    return _span(date(_year_of(str(year)), month, day), "day", True)


def _day_month(t: _Found) -> _Range:
    day, month = int(t["day"].rstrip("stndrh")), t["month"]
    if "year" in t:
        return _span(date(t["year"], month, day), "day", True)
    return _span(_recent(month, day), "day", False)


def _month_year(t: _Found) -> _Range:
    if "year" in t:
        return _span(date(t["year"], t["month"], 1), "month", True)
    if "last" in t:  # "last October" is the one before this year's running one
        start = _recent(t["month"])
        if start.year == _CLOCK.today.year and start.month == _CLOCK.today.month:
            start = start.replace(year=start.year - 1)
        return _span(start, "month", False)
    return _span(_recent(t["month"]), "month", False)


def _part_of_year(size: Unit) -> Callable[[_Found], _Range]:
    def make(t: _Found) -> _Range:
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
    months = {w: i + 1 for i, group in enumerate(_MONTHS) for w in group}
    not_verb = ~(pp.Keyword("may") + _one(("i", "we", "you", "be", "have", "not", "it")))
    month = not_verb + _one(months).set_parse_action(lambda t: months[t[0]])("month")
    year4 = pp.Regex(r"(?:19|20)\d\d(?![\d.-])").set_parse_action(lambda t: int(t[0]))
    this_year = _kw("this year", "the year", "the current year", "the current one")
    this_year = this_year.set_parse_action(lambda: _CLOCK.today.year)
    last_year = _kw("last year", "the previous year", "previous year", "the last year")
    last_year = last_year.set_parse_action(lambda: _CLOCK.today.year - 1)
    spoken = pp.Suppress(pp.Optional(pp.one_of(", of in"))) + (this_year | last_year | year4)
    year = pp.Optional(spoken("year"))
    day = pp.Regex(r"(?:[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?(?![\d.])")("day")
    iso = pp.Regex(r"\d{4}-\d{1,2}(?:-\d{1,2})?(?!\d)").set_parse_action(_action(_iso))
    week = pp.Suppress(
        _kw("calendar week", "iso week", "week number", "week no", "week", "cw", "kw")
    )
    week = week + pp.Regex(r"\d{1,2}(?!\d)").set_parse_action(lambda t: int(t[0]))("week") + year
    week.set_parse_action(_action(_iso_week))
    slashed = pp.Regex(r"\d{1,2}([./])\d{1,2}\1\d{2,4}(?!\d)").set_parse_action(_action(_slashed))
    weekday = pp.Suppress(pp.Optional(_one(x for group in _DAYS for x in group)))
    the = pp.Suppress(pp.Optional("the"))
    day_month = weekday + the + day + pp.Suppress(pp.Optional("of")) + month + year
    month_day = weekday + month + the + day + ~pp.FollowedBy(_one(("kg", "days"))) + year
    month_of = pp.Suppress(pp.Optional(_kw("the month of", "month of")))
    last = pp.Optional(_kw("last")("last"))
    month_year = month_of + last + month + year
    q = pp.Regex(r"q[1-4]\b").set_parse_action(lambda t: int(t[0][1]))
    h = pp.Regex(r"h[12]\b").set_parse_action(lambda t: int(t[0][1]))
    ordinal = _one(_ORDINALS).set_parse_action(lambda t: _ORDINALS[t[0]])
    quarter_word = pp.Suppress(_one(("quarter", "qtr")))
    number = ~pp.Keyword("last") + ordinal
    quarter = (
        (q("part") + year)
        | (spoken("year") + q("part"))
        | (the + number("part") + quarter_word + year)
        | (the + ordinal("part") + quarter_word + spoken("year"))
    )
    half_word = pp.Suppress(_one(("half",))) + pp.Suppress(pp.Optional("year"))
    half = (
        (h("part") + year)
        | (spoken("year") + h("part"))
        | (the + number("part") + half_word + year)
        | (the + ordinal("part") + half_word + spoken("year"))
    )
    calendar_year = (
        pp.Suppress(pp.Optional(_kw("calendar year", "the year", "year", "all of"))) + year4
    )
    calendar_year.set_parse_action(_action(lambda t: _span(date(t[0], 1, 1), "year", True)))
    day_month.set_parse_action(_action(_day_month))
    month_day.set_parse_action(_action(_day_month))
    month_year.set_parse_action(_action(_month_year))
    quarter.set_parse_action(_action(_part_of_year("quarter")))
    half.set_parse_action(_action(_part_of_year("half")))
    weekdays = {w: i for i, group in enumerate(_DAYS) for w in group if len(w) > 3}
    past_day = pp.Suppress(pp.Optional(_one(("last", "this", "past")))) + _one(weekdays)
    past_day.set_parse_action(_action(lambda t: _weekday(weekdays[t[0]])))
    yesterday = pp.Keyword("yesterday").set_parse_action(
        _action(lambda t: _span(_CLOCK.today - timedelta(days=1), "day", True))
    )
    today = _kw("today", "now", "the present", "present").set_parse_action(
        _action(lambda t: _span(_CLOCK.today, "day", True))
    )
    bounded = week | iso | slashed | day_month | month_day | quarter | half | month_year
    return bounded | past_day | yesterday | calendar_year, today


def _weekday(number: int) -> _Range:
    back = (_CLOCK.today.weekday() - number) % 7 or 7
    return _span(_CLOCK.today - timedelta(days=back), "day", True)


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


def _whole_parts() -> pp.ParserElement:
    """`first two weeks of October`, `last 3 months of 2025`: before the rolling ranges."""
    months = {w: i + 1 for i, group in enumerate(_MONTHS) for w in group}
    month = _one(months).set_parse_action(lambda t: months[t[0]])("month")
    year4 = pp.Regex(r"(?:19|20)\d\d(?![\d.-])").set_parse_action(lambda t: int(t[0]))
    last = _kw("last year", "previous year").set_parse_action(lambda: _CLOCK.today.year - 1)
    this = _kw("this year", "the year").set_parse_action(lambda: _CLOCK.today.year)
    spoken = last | this | year4
    ordinal = _one(_ORDINALS).set_parse_action(lambda t: _ORDINALS[t[0]])
    number = pp.Regex(r"\d+(?![\d.])") | _one(set(NUMBERS) - {"zero"})
    number = number.copy().set_parse_action(lambda t: int(NUMBERS.get(t[0]) or t[0]))
    unit = _one(_UNITS).set_parse_action(lambda t: _UNITS[t[0]])
    lead = pp.Suppress(
        pp.Optional(_one(("in", "over", "during", "for", "from"))) + pp.Optional("the")
    )
    year = pp.Optional(pp.Suppress(pp.Optional("of")) + spoken("year"))
    element = lead + ordinal("which") + pp.Optional(number("n")) + unit("unit")
    element += pp.Suppress(_one(("of", "in"))) + ((month + year) | spoken("year"))
    element.set_parse_action(_action(_part))
    return element


def _part(t: _Found) -> Period:
    whole = _month_year(t) if "month" in t else _span(date(t["year"], 1, 1), "year", True)
    count, size = t.get("n", 1), t["unit"]
    if t["which"] == -1:
        return Period(kind="fixed", start=shift(whole.end, -count, size), end=whole.end)
    start = shift(whole.start, (t["which"] - 1) * count, size)
    return Period(kind="fixed", start=start, end=shift(start, count, size))


def _ranges() -> list[pp.ParserElement]:
    day, now = _absolute()
    lead = pp.Suppress(
        pp.Optional(_one(("from", "in", "during", "for", "over", "of", "on", "within")))
    )
    lead += pp.Suppress(pp.Optional(_kw("the period", "period", "the months", "the years")))
    to = pp.Suppress(
        _kw("up to and including", "up to", "to", "until", "till", "through", "thru", "-")
    )
    a, b = day("a"), day("b")
    until_now = lead + a + to + pp.Suppress(now)
    span = lead + a + to + b
    between = (
        pp.Suppress(_kw("between", "from")) + a + pp.Suppress(_kw("and", "to", "until", "&")) + b
    )
    days_of = _days_of_month()
    since_words = _kw(
        *("since the start of", "since the beginning of", "since", "starting from", "starting in"),
        *("starting on", "starting", "as of", "from the beginning of", "from the start of"),
        *("beginning in", "beginning on", "as from", "ever since", "going back to", "back to"),
    )
    since = pp.Suppress(since_words) + pp.Suppress(pp.Optional("about")) + a
    onwards = (
        pp.Suppress(pp.Optional(pp.Keyword("from")))
        + a
        + pp.Suppress(
            _kw(
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
    after = pp.Suppress(_kw("after the end of", "later than", "after")) + a
    before = (
        pp.Suppress(_kw("before the start of", "before", "prior to", "earlier than", "up until"))
        + a
    )
    until = (
        pp.Suppress(
            _kw(
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

    since.set_parse_action(_action(lambda t: Period(kind="since", start=t["a"].start)))
    onwards.set_parse_action(_action(lambda t: Period(kind="since", start=t["a"].start)))
    until_now.set_parse_action(_action(lambda t: Period(kind="since", start=t["a"].start)))
    after.set_parse_action(_action(lambda t: Period(kind="since", start=t["a"].end)))
    before.set_parse_action(_action(lambda t: Period(kind="fixed", end=t["a"].start)))
    until.set_parse_action(_action(lambda t: Period(kind="fixed", end=t["a"].end)))
    for element in (span, between):
        element.set_parse_action(_action(lambda t: _joined(t["a"], t["b"])))
    plain.set_parse_action(
        _action(lambda t: Period(kind="fixed", start=t["a"].start, end=t["a"].end))
    )
    return [days_of, between, until_now, span, since, onwards, after, before, until, plain]


def _days_of_month() -> pp.ParserElement:
    """`1 to 15 October 2026`, `between 3 and 9 May`, `October 3-9`."""
    months = {w: i + 1 for i, group in enumerate(_MONTHS) for w in group}
    month = _one(months).set_parse_action(lambda t: months[t[0]])("month")
    day = pp.Regex(r"(?:[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?(?![\d.])")
    year = pp.Regex(r"(?:19|20)\d\d(?![\d.-])").set_parse_action(lambda t: int(t[0]))
    lead = pp.Suppress(pp.Optional(_one(("from", "between", "of"))) + pp.Optional("the"))
    to = pp.Suppress(
        _kw("to the", "until the", "and the", "to", "until", "till", "through", "-", "and")
    )
    of = pp.Suppress(pp.Optional("of"))
    maybe_year = pp.Optional(pp.Suppress(pp.Optional(",")) + year("year"))
    days_first = lead + day("first") + to + day("last") + of + month + maybe_year
    month_first = lead + month + day("first") + to + day("last") + maybe_year

    def make(t: _Found) -> Period | None:
        first, last = (int(t[k].rstrip("stndrh")) for k in ("first", "last"))
        start = date(t["year"], t["month"], first) if "year" in t else _recent(t["month"], first)
        end = start.replace(day=last) + timedelta(days=1)
        return Period(kind="fixed", start=start, end=end)

    element = pp.MatchFirst([days_first, month_first])
    return element.set_parse_action(_action(make))
