"""Reference levels as a picture shows them: a labelled line of its own colour and dash."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

from dose_lib.charts.style import BLACK, LEVEL_LINES, Line, on_page
from dose_lib.charts.words import number


class LevelLine(NamedTuple):
    """A level to draw beside the data; its value is in the unit of the data."""

    value: float
    label: str
    kind: str = "national"

    @property
    def line(self) -> Line:
        """Colour and dash of its kind."""
        return LEVEL_LINES.get(self.kind, Line(BLACK, "dashed"))


def level_words(levels: Sequence[LevelLine], unit: str | None) -> list[str]:
    """Each level as "National DRL 350 mGy·cm"."""
    return [f"{level.label} {number(float(level.value), unit)}" for level in levels]


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Legend entries as HTML: (sample, words); the sample is HTML made here."""
    return "".join(f"<span>{sample}{escape(words)}</span>" for sample, words in entries)


def line_sample(colour: str, css: str = "solid") -> str:
    """A stroke for a legend."""
    return f'<i class="line" style="border-color:{on_page(colour)};border-top-style:{css}"></i>'


def band_sample(colour: str) -> str:
    """A patch of an area for a legend."""
    return f'<i class="band" style="background:{on_page(colour)};opacity:.3"></i>'


def mark_sample(colour: str, glyph: str) -> str:
    """A mark for a legend."""
    return f'<i style="color:{on_page(colour)}">{glyph}</i>'


def spread(values: Sequence[float], gap: float) -> list[float]:
    """Places for labels near their values, at least `gap` apart, in the order given."""
    order = sorted(range(len(values)), key=values.__getitem__)
    placed = list(values)
    for before, after in pairwise(order):
        placed[after] = max(placed[after], placed[before] + gap)
    return placed


# Least width of a picture beside another, and of one character of its bold and of its plain
# words, pixels.
_PICTURE_PX, _BOLD_PX, _PLAIN_PX = 500.0, 7.2, 6.3


def room_for_words(
    right: float, levels: Sequence[LevelLine], unit: str | None, label_length: int = 0
) -> float:
    """The end of a value axis on which each level has room for its words on its right.

    Parameters
    ----------
    right
        Where the axis would end without words.
    levels, unit
        What is written.
    label_length
        Characters of the longest label left of the axis, which takes from its width.
    """
    plot = max(120.0, _PICTURE_PX - _PLAIN_PX * label_length)
    texts = level_words(levels, unit)
    shares = [min(0.75, (_BOLD_PX * len(text) + 16) / plot) for text in texts]
    ends = [float(lv.value) / (1 - s) for lv, s in zip(levels, shares, strict=True)]
    return max([right, *ends])


def gutter_for_words(levels: Sequence[LevelLine], *, is_wide: bool) -> float:
    """Room right of the data of a trend, as a share of their span, for the words of levels."""
    if not levels:
        return 0.02
    longest = max(map(len, level_words(levels, None)))
    plot = (1000.0 if is_wide else _PICTURE_PX) - 70
    share = min(0.6, (_BOLD_PX * longest + 16) / plot)
    return share / (1 - share)


def stacked(levels: Sequence[LevelLine]) -> list[LevelLine]:
    """Levels in the order of their labels from bottom to top: the largest lowest.

    The line of each level ends at its label, so that no line crosses the words of another.
    """
    return sorted(levels, key=lambda level: -float(level.value))
