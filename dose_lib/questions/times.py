"""Grammar of time words, looking back and never ahead; built on pyparsing.

General date libraries put "last six weeks" in the future or stop it last Monday
(docs/questions.md), so the grammar is ours and small enough to test phrase by phrase.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache, partial
from threading import Lock

import pyparsing as pp

from dose_lib.questions.days import ranges, whole_parts
from dose_lib.questions.period import Period, Unit, floor, shift
from dose_lib.questions.text import NUMBERS
from dose_lib.questions.time_words import (
    CLOCK,
    TIME_WORDS,
    UNITS,
    Found,
    action,
    one_word,
    period_of,
    phrase,
)

__all__ = ["TIME_WORDS", "TimeSpan", "find_periods"]

_ONE_AT_A_TIME = Lock()  # parse actions read the day they count from in one place


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """A period found between two character places of the normalised question."""

    period: Period
    start: int
    end: int


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
    with _ONE_AT_A_TIME:
        CLOCK.today, CLOCK.day_first = today, day_first
        scanned = list(_grammar().scan_string(text))
    found = []
    for tokens, start, end in scanned:
        period = tokens[0]
        if isinstance(period, Period):
            words = text[start:end].strip()
            found.append(
                TimeSpan(
                    period.model_copy(update={"words": words[:200]}).clamped(today), start, end
                )
            )
    return found


@lru_cache(maxsize=1)
def _grammar() -> pp.ParserElement:
    number = pp.Regex(r"\d+(?![\d.])") | one_word(set(NUMBERS) - {"zero"})
    number = number.copy().set_parse_action(lambda t: int(NUMBERS.get(t[0]) or t[0]))
    couple = (pp.Optional(phrase("a", "the")) + phrase("couple of", "couple")).set_parse_action(
        lambda: 2
    )
    unit = one_word(UNITS).set_parse_action(lambda t: UNITS[t[0]])
    return pp.MatchFirst(
        [
            whole_parts(),
            *_rolling(number | couple, unit),
            *ranges(),
            *_calendar(unit),
            *_points(number, unit),
        ]
    )


def _rolling(number: pp.ParserElement, unit: pp.ParserElement) -> list[pp.ParserElement]:
    last = phrase(
        *("last", "past", "previous", "trailing", "preceding", "recent", "most recent", "latest"),
        *("prior", "rolling", "final"),
    )
    lead = pp.Suppress(
        pp.Optional(one_word(("over", "in", "for", "during", "within", "from", "since", "across")))
        + pp.Optional(phrase("the", "our", "these", "a"))
    )
    fill = pp.Suppress(pp.Optional(phrase("or so", "or", "running", "about")))
    full = pp.Suppress(phrase("full", "complete", "whole", "calendar", "completed"))

    def rolling(t: Found) -> Period | None:
        return period_of(kind="rolling", n=t["n"], unit=t["unit"])

    n, u = number("n"), unit("unit")
    counted = lead + pp.Suppress(last) + fill + n + fill + u
    whole = lead + pp.Suppress(last) + n + full + u
    whole.set_parse_action(
        action(lambda t: period_of(kind="calendar", unit=t["unit"], offset=-t["n"], n=t["n"]))
    )
    swapped = lead + pp.Suppress(pp.Keyword("the")) + n + pp.Suppress(last) + u
    ago = pp.Suppress(phrase("since", "from", "starting")) + n + u + pp.Suppress(pp.Keyword("ago"))
    back = (
        pp.Suppress(
            phrase(
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
    back_words = pp.Suppress(
        phrase("go back", "going back", "look back", "looking back", "back", "over", "in")
    )
    back_one = back_words + pp.Suppress(one_word(("a", "one"))) + u
    back_one.set_parse_action(action(lambda t: period_of(kind="rolling", n=1, unit=t["unit"])))
    behind = (
        pp.Suppress(phrase("over", "in", "for"))
        + n
        + u
        + pp.Suppress(phrase("to date", "to now", "back"))
    )
    until_today = lead + n + u + pp.Suppress(phrase("up to", "to", "until", "till"))
    until_today += pp.Suppress(phrase("today", "now"))
    window = (
        pp.Suppress(pp.Optional(phrase("a", "the")))
        + n
        + u
        + pp.Suppress(phrase("rolling", "trailing"))
    )
    rolled = [counted, swapped, ago, back, behind, until_today, window]
    found = [whole, *rolled, back_one]
    named: tuple[tuple[tuple[str, ...], str, int, Unit], ...] = (
        (("past", "last", "previous", "trailing"), "fortnight", 2, "week"),
        (("past", "last", "previous", "trailing"), "half year", 6, "month"),
        (("past", "last", "previous"), "half a year", 6, "month"),
        (("past", "last", "previous"), "decade", 10, "year"),
        (("past", "last", "previous"), "24 hours", 1, "day"),
    )
    for before, words, count, size in named:
        element = lead + pp.Suppress(phrase(*before)) + pp.Suppress(phrase(words))
        given = Period(kind="rolling", n=count, unit=size)
        found.append(element.set_parse_action(action(partial(_always, given))))
    single = lead + pp.Suppress(phrase("past", "trailing", "rolling")) + u
    found.append(
        single.set_parse_action(action(lambda t: period_of(kind="rolling", n=1, unit=t["unit"])))
    )
    for element in rolled:
        element.set_parse_action(action(rolling))
    return found


def _calendar(unit: pp.ParserElement) -> list[pp.ParserElement]:
    lead = pp.Suppress(
        pp.Optional(
            one_word(("over", "in", "for", "during", "within", "from", "since", "across", "of"))
        )
        + pp.Optional(phrase("the", "our"))
    )
    half = phrase("half year").set_parse_action(lambda: "half")
    size = (half | unit)("unit")
    ends = pp.Optional(
        pp.Suppress(phrase("so far", "to date", "until now", "up to now", "thus far"))
    )
    plain_this = lead + pp.Suppress(phrase("this", "current")) + size + ends
    far = lead + pp.Suppress(phrase("so far this", "so far in this")) + size
    to_date = lead + size + pp.Suppress(phrase("to date", "so far", "until now"))
    of_the = pp.Suppress(phrase("of the", "of this")) + size
    start_of = (
        pp.Suppress(phrase("since", "from", "starting", "starting from"))
        + pp.Suppress(pp.Optional("the"))
        + pp.Suppress(phrase("start of", "beginning of", "first day of", "turn of"))
        + pp.Suppress(phrase("the", "this"))
        + size
    )

    def current(t: Found) -> Period | None:
        return period_of(kind="to_date", unit=t["unit"])

    def previous(t: Found) -> Period | None:
        return period_of(kind="calendar", unit=t["unit"], offset=-1)

    last = (
        lead
        + pp.Suppress(phrase("last", "previous", "prior", "preceding"))
        + pp.Suppress(pp.Optional(phrase("full", "complete", "whole", "calendar")))
        + size
    )
    before_last = lead + size + pp.Suppress(phrase("before last"))
    short = one_word(("ytd", "mtd", "qtd", "wtd")).set_parse_action(
        action(
            lambda t: period_of(
                kind="to_date",
                unit={"y": "year", "m": "month", "q": "quarter", "w": "week"}[t[0][0]],
            )
        )
    )
    for element in (start_of, plain_this, far, to_date, of_the):
        element.set_parse_action(action(current))
    since_last = (
        pp.Suppress(phrase("since", "from")) + pp.Suppress(phrase("last", "previous")) + size
    )
    since_last.set_parse_action(
        action(
            lambda t: period_of(
                kind="since", start=shift(floor(CLOCK.today, t["unit"]), -1, t["unit"])
            )
        )
    )
    before_last.set_parse_action(
        action(lambda t: period_of(kind="calendar", unit=t["unit"], offset=-2))
    )
    last.set_parse_action(action(previous))
    return [start_of, before_last, since_last, far, to_date, plain_this, last, of_the, short]


def _points(number: pp.ParserElement, unit: pp.ParserElement) -> list[pp.ParserElement]:
    def day(offset: int) -> Period:
        return Period(kind="calendar", unit="day", offset=offset)

    lead = pp.Suppress(pp.Optional(one_word(("on", "from", "for", "of", "in"))))
    the_day = pp.Suppress(pp.Optional("the"))
    found = []
    for words, offset in (
        (("day before yesterday",), -2),
        (("yesterday",), -1),
        (("today", "this morning", "this afternoon", "this evening"), 0),
        (("last night",), -1),
    ):
        element = lead + the_day + phrase(*words)
        found.append(element.set_parse_action(action(partial(_always, day(offset)))))
    weekend = (
        lead
        + pp.Optional(one_word(("over", "during", "at")))
        + phrase(
            "last weekend",
            "this weekend",
            "the weekend",
            "past weekend",
            "the last weekend",
            "the past weekend",
        )("which")
    )
    found.append(weekend.set_parse_action(action(_weekend)))
    ago = pp.Suppress(pp.Optional(one_word(("from", "in", "of")))) + number("n") + unit("unit")
    ago += pp.Suppress(pp.Keyword("ago"))
    found.append(
        ago.set_parse_action(
            action(lambda t: period_of(kind="calendar", unit=t["unit"], offset=-t["n"]))
        )
    )
    return found


def _always(period: Period, _: Found) -> Period:
    """A phrase that means one period whatever its words."""
    return period


def _weekend(t: Found) -> Period:
    saturday = floor(CLOCK.today, "week") + timedelta(days=5)
    is_last = "last" in list(t) or "past" in list(t)
    if saturday > CLOCK.today or (is_last and CLOCK.today >= saturday):
        saturday -= timedelta(days=7)
    return Period(kind="fixed", start=saturday, end=saturday + timedelta(days=2))
