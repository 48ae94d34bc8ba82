"""Words of time and the small pieces the time grammar is built of (pyparsing)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pyparsing as pp

from dose_lib.questions.period import Period, Unit

MONTHS = (
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

DAYS = (
    ("monday", "mon"),
    ("tuesday", "tue", "tues"),
    ("wednesday", "wed"),
    ("thursday", "thu", "thur", "thurs"),
    ("friday", "fri"),
    ("saturday", "sat"),
    ("sunday", "sun"),
)

UNITS: dict[str, Unit] = {
    **dict.fromkeys(("day", "days", "d"), "day"),
    **dict.fromkeys(("week", "weeks", "wk", "wks", "w"), "week"),
    **dict.fromkeys(("month", "months", "mth", "mths", "mo", "mos"), "month"),
    **dict.fromkeys(("quarter", "quarters", "qtr", "qtrs"), "quarter"),
    **dict.fromkeys(("year", "years", "yr", "yrs"), "year"),
}

ORDINALS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4}
ORDINALS |= {"4th": 4, "last": -1, "final": -1}

TIME_WORDS = frozenset(
    w for group in (*MONTHS, *DAYS, tuple(UNITS), tuple(ORDINALS)) for w in group
) | {
    *("last", "past", "previous", "this", "current", "yesterday", "today", "since", "until"),
    *("till", "through", "thru", "ytd", "mtd", "qtd", "fortnight", "weekend", "trailing"),
    *("rolling", "ago", "to", "date", "far", "before", "after", "onwards", "recent", "latest"),
    *("preceding", "beginning", "half", "couple", "quarter", "prior", "decade"),
}


class Clock:
    """The day the parse actions count from; one parse at a time sets it."""

    today: date = date(2000, 1, 1)
    day_first: bool = True


CLOCK = Clock()


def one_word(words: Any) -> pp.ParserElement:
    """One of some single words."""
    return pp.one_of(sorted(words, key=len, reverse=True), as_keyword=True)


def phrase(*words: str) -> pp.ParserElement:
    """One of some phrases, in the order given."""
    phrases = [pp.And([pp.Keyword(w) for w in p.split()]) for p in words]
    return pp.MatchFirst(phrases)


def period_of(**slots: Any) -> Period | None:
    """A period, None if its parts do not fit."""
    try:
        return Period(**slots)
    except ValueError:
        return None


class Found:
    """Tokens of one match: by place, or by name as one value (pyparsing may nest those)."""

    def __init__(self, tokens: pp.ParseResults) -> None:
        self._list = list(tokens)
        self._named = {name: self._single(tokens[name]) for name in tokens.as_dict()}

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
        """The value of a name."""
        return self._named.get(name, default)


def action(make: Callable[[Found], object]) -> Callable[..., object]:
    """A parse action that makes one value; what cannot be made is no match."""

    def run(text: str, place: int, tokens: pp.ParseResults) -> object:
        try:
            made = make(Found(tokens))
        except (ValueError, OverflowError) as error:
            raise pp.ParseException(text, place, str(error)) from None
        if made is None:
            raise pp.ParseException(text, place, "no period")
        return [made]

    return run
