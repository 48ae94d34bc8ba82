"""Words and limits that every kind of picture shares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import mul
from typing import Any

import pandas as pd

from dose_lib.charts.fragments import Html, message
from dose_lib.charts.levels import LevelLine
from dose_lib.charts.words import Word, exams, shorten

_NO_NUMBERS = "no exam in this selection has a value for it"


def limit_of_site() -> int:
    """The small-cell limit of this installation."""
    from dose_lib.settings import load_settings

    return load_settings().small_cell_n


def caption_of(n: int, hidden: Iterable[str], limit: int, source: str | None) -> str:
    """The line under a picture: exams shown, groups hidden, source."""
    parts = [f"{exams(n)}."]
    small = [shorten(h) for h in hidden]
    if small:
        named = ", ".join(small[:4]) + (f" and {len(small) - 4} more" if len(small) > 4 else "")
        parts.append(f"Not shown, fewer than {limit} exams: {named}.")
    if source:
        parts.append(f"Source: {source}.")
    return " ".join(parts)


def overlay(parts: Sequence[Any]) -> Any:
    """Strokes laid over each other, the first at the bottom."""
    return reduce(mul, parts)


def titled(title: str | None, words: Word, ending: str) -> str:
    """The given title, else the quantity and what it is shown by."""
    return title or f"{words.label} {ending}"


# Ends of axes, per power of ten: round, and the same while the data grow a little.
_ENDS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


def upper(values: Iterable[float]) -> float:
    """The round end of an axis above the largest number."""
    found = [float(v) for v in values if not pd.isna(v) and v > 0]
    if not found:
        return 1.0
    largest = max(found) * 1.02
    power = 10.0 ** math.floor(math.log10(largest))
    return float(next(end for end in _ENDS if end * power >= largest) * power)


def nothing(title: str, hidden: Sequence[str], limit: int) -> Html:
    """Why a picture is not there; never an empty frame."""
    if hidden:
        return message(
            f"{title}: each group has fewer than {limit} exams, too few to show.",
            details=[", ".join(hidden[:8])],
        )
    return message(f"{title}: {_NO_NUMBERS}.")


def values(levels: Sequence[LevelLine]) -> list[float]:
    """The values of levels."""
    return [float(level.value) for level in levels]
