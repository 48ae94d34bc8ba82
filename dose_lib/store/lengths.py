"""Functions that make a value as long as their argument says.

Their memory is taken in one step, past the limit that DuckDB keeps and before it looks
whether a query is to be stopped: `range(3000000000)` ended the owner. So the length must
stand in the query as a number, and be small.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MAX_ELEMENTS = 1_000_000
MAX_CHARACTERS = 10_000

Node = Mapping[str, Any]

# function -> place of the argument that says the length, and the largest
_LENGTHS: Mapping[str, tuple[int, int]] = {
    "repeat": (1, MAX_CHARACTERS),
    "lpad": (1, MAX_CHARACTERS),
    "rpad": (1, MAX_CHARACTERS),
    "list_resize": (1, MAX_ELEMENTS),
    "array_resize": (1, MAX_ELEMENTS),
    "bitstring": (1, MAX_ELEMENTS),
    "bar": (3, MAX_CHARACTERS),
}
_SERIES = frozenset({"range", "generate_series"})
_FORMATS = frozenset({"format", "printf"})
# Steps of a series of times; with shorter ones a series over years is too long.
_STEPS = frozenset({"to_days", "to_weeks", "to_months", "to_quarters", "to_years"})
_NUMBER = re.compile(r"^\s*[-+]?\d+(\.\d*)?(e\d{1,2})?\s*$", re.IGNORECASE)
_WIDE = re.compile(r"\d{4,}|\*|\{[^}]*\{")


def too_long(function: str, arguments: list[Node]) -> str | None:
    """Why a call may make too long a value; None if it cannot.

    Parameters
    ----------
    function
        Lower-case name.
    arguments
        Syntax trees, as DuckDB serialises them.
    """
    if function in _LENGTHS:
        place, largest = _LENGTHS[function]
        if place < len(arguments) and not _is_small(arguments[place], largest):
            return f"{function}() with a length that is not a number up to {largest}"
    elif function in _SERIES:
        if not all(_is_small(a, MAX_ELEMENTS) or _is_step(a) for a in arguments):
            return f"{function}() with bounds that are not numbers up to {MAX_ELEMENTS}"
    elif function in _FORMATS and arguments:
        value = _constant(arguments[0])
        if not isinstance(value, str) or _WIDE.search(value):
            return f"{function}() with a width that is not a number below 1000"
    return None


def _is_small(node: Node, largest: int) -> bool:
    """True for a constant that is no large number, and for the length of a text."""
    name = node.get("function_name")
    if name in ("length", "len", "strlen"):
        return True
    if name in ("greatest", "least"):
        return all(_is_small(c, largest) for c in node["children"])
    value = _constant(node)
    if isinstance(value, str):
        # A number in quotes is one after the cast; anything else is a date or time.
        value = float(value) if _NUMBER.match(value) else 0
    return isinstance(value, int | float) and abs(value) <= largest


def _is_step(node: Node) -> bool:
    return node.get("function_name") in _STEPS


def _constant(node: Node) -> object | None:
    while node.get("class") == "CAST":
        node = node["child"]
    if node.get("class") != "CONSTANT":
        return None
    value: object | None = node["value"].get("value")
    return value
