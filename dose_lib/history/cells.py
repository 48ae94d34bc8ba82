"""Cells of a table as values: numbers, dates, codes, closed sets; never a guess."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from enum import Enum
from functools import lru_cache
from typing import Any

import msgspec

from dose_lib.records import Code

Cell = str | int | float | bool | datetime | date | time | timedelta | None

_DAY_ONE = datetime(1899, 12, 30)  # of Excel's calendar
_YES, _NO = ("1", "true", "yes", "y", "t"), ("0", "false", "no", "n", "f")


class UnreadableError(Exception):
    """A cell that does not hold what its column should; says what was expected."""


class Style(msgspec.Struct, frozen=True, kw_only=True):
    """How a table writes numbers, dates and nothing.

    Attributes
    ----------
    decimal, thousands
        The signs in numbers; `thousands` is empty where there is none.
    dates, times, datetimes
        Forms as `datetime.strptime` takes them; ISO 8601 is always read.
    missing
        Words for an empty cell, compared without case.
    """

    decimal: str = "."
    thousands: str = ""
    dates: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    datetimes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ("", "none", "nan", "nat", "null", "n/a")


def is_missing(cell: Cell, style: Style) -> bool:
    """True for an empty cell and for the words that stand for one."""
    if isinstance(cell, str):
        return not cell or cell.strip().casefold() in style.missing
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def shown(cell: Cell) -> str:
    """A cell as a report shows it."""
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, float):
        return f"{cell:.15g}"
    return cell.isoformat() if isinstance(cell, date | time) else str(cell).strip()


def read_number(cell: Cell, style: Style) -> float:
    """A finite number.

    Raises
    ------
    UnreadableError
        Also for a decimal sign other than the table's: 1,234 may be either.
    """
    if isinstance(cell, bool):
        raise UnreadableError("a number")
    value = float(cell) if isinstance(cell, int | float) else _number_of(shown(cell), style)
    if not math.isfinite(value):
        raise UnreadableError("a finite number")
    return value


def _number_of(text: str, style: Style) -> float:
    if not _number_form(style.decimal, style.thousands).fullmatch(text):
        raise UnreadableError(f"a number with the decimal sign {style.decimal!r}")
    plain = text.replace(style.thousands, "") if style.thousands else text
    return float(plain.replace(style.decimal, "."))


@lru_cache(maxsize=16)
def _number_form(decimal: str, thousands: str) -> re.Pattern[str]:
    grouped, point = re.escape(thousands), re.escape(decimal)
    digits = rf"\d{{1,3}}(?:{grouped}\d{{3}})+|\d+" if grouped else r"\d+"
    return re.compile(rf"[+-]?(?:(?:{digits})(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?")


def read_date(cell: Cell, style: Style) -> date:
    """A date; a number is a day of Excel's calendar."""
    if isinstance(cell, datetime):
        return cell.date()
    if isinstance(cell, date):
        return cell
    if isinstance(cell, int | float) and 1 < cell < 2_958_466:
        return (_DAY_ONE + timedelta(days=int(cell))).date()
    text = shown(cell)
    for form in style.dates:
        found = _strptime(text, form)
        if found is not None:
            return found.date()
    try:
        # A time of midnight after the date is how some programs write a date.
        return datetime.fromisoformat(text).date()
    except ValueError:
        raise UnreadableError(f"a date as {_forms('YYYY-MM-DD', style.dates)}") from None


def read_time(cell: Cell, style: Style) -> time:
    """A time of day; a number is a part of Excel's day."""
    if isinstance(cell, datetime):
        return cell.time()
    if isinstance(cell, time):
        return cell
    if isinstance(cell, timedelta):
        return (_DAY_ONE + cell).time()
    if isinstance(cell, float) and 0 <= cell < 1:
        return (_DAY_ONE + timedelta(seconds=round(cell * 86400))).time()
    text = shown(cell)
    for form in style.times:
        found = _strptime(text, form)
        if found is not None:
            return found.time()
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise UnreadableError(f"a time as {_forms('HH:MM:SS', style.times)}") from None


def read_datetime(cell: Cell, style: Style) -> datetime:
    """A date and time in one cell."""
    if isinstance(cell, datetime):
        return cell
    text = shown(cell)
    for form in style.datetimes:
        found = _strptime(text, form)
        if found is not None:
            return found
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        forms = _forms("YYYY-MM-DD HH:MM:SS", style.datetimes)
        raise UnreadableError(f"a date and time as {forms}") from None


def _strptime(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None


def _forms(iso: str, others: Sequence[str]) -> str:
    return " or ".join((iso, *others))


def read_value(cell: Cell, kind: type, style: Style, words: Mapping[str, str]) -> Any:
    """A cell as a value of a record's field.

    Parameters
    ----------
    cell
        Not missing.
    kind
        Type of the field.
    style
        Of the table.
    words
        What the mapping says certain texts mean, by the text without case.
    """
    said: Cell = words.get(shown(cell).casefold(), cell) if words else cell
    if kind is float:
        return read_number(said, style)
    if kind is int:
        return _read_count(said, style)
    if kind is datetime:
        return read_datetime(said, style)
    if kind is bool:
        return _read_bool(said)
    if issubclass(kind, Enum):
        return _read_choice(said, kind, words)
    return Code(meaning=shown(said)) if kind is Code else shown(said)


def _read_count(cell: Cell, style: Style) -> int:
    value = read_number(cell, style)
    if value != int(value):
        raise UnreadableError("a whole number")
    return int(value)


def _read_bool(cell: Cell) -> bool:
    text = shown(cell).casefold()
    if text not in (*_YES, *_NO):
        raise UnreadableError("yes or no")
    return text in _YES


def _read_choice(cell: Cell, kind: type[Enum], words: Mapping[str, str]) -> Enum:
    text = shown(cell).casefold()
    found = next((m for m in kind if str(m.value).casefold() == text), None)
    if found is None:
        known = dict.fromkeys((*(str(m.value) for m in kind), *words))
        raise UnreadableError("one of " + ", ".join(known))
    return found
