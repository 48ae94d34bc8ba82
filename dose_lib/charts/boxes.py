"""The spread of a number in each group, as lying boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from dose_lib.charts import draw
from dose_lib.charts.captions import (
    caption_of,
    limit_of_site,
    nothing,
    overlay,
    titled,
    upper,
)
from dose_lib.charts.fragments import Html
from dose_lib.charts.levels import (
    LevelLine,
    band_sample,
    legend,
    level_words,
    line_sample,
    room_for_words,
    stacked,
)
from dose_lib.charts.picture import Chart
from dose_lib.charts.statistics import five_numbers
from dose_lib.charts.style import BLUE, INK, MUTED
from dose_lib.charts.words import number, shorten, word

_LEGEND = (
    (band_sample(BLUE), "middle half of exams"),
    (line_sample(INK), "median"),
    (line_sample(MUTED), "5th to 95th percentile"),
)


def box(
    table: pd.DataFrame,
    *,
    value: str,
    by: str,
    levels: Sequence[LevelLine] = (),
    title: str | None = None,
    source: str | None = None,
    small_cell_n: int | None = None,
) -> Chart | Html:
    """Spread of a number in each group, as lying boxes with the reference levels as lines.

    The box holds the middle half of the exams (25th to 75th percentile), the stroke in it is
    the median, the whiskers reach from the 5th to the 95th percentile. Single exams are not
    drawn: the extreme ones would be single patients.

    Parameters
    ----------
    table
        One row an exam.
    value, by
        Columns: the number, with its unit in the name, and the group.
    levels
        Reference levels in the unit of `value`.
    title, source
        Words above and below; `source` names where the rows come from.
    small_cell_n
        Smallest group drawn; default: the site's setting.
    """
    limit = limit_of_site() if small_cell_n is None else small_cell_n
    words = word(value)
    heading = titled(title, words, f"by {word(by).label.lower()}")
    rows, hidden = five_numbers(table, value, by, limit) if len(table) else (table, ())
    if rows.empty:
        return nothing(heading, hidden, limit)
    rows = rows.assign(y=np.arange(len(rows), dtype=float))
    rows = rows.assign(low=rows["y"] - 0.32, high=rows["y"] + 0.32)
    names = [
        f"{shorten(group)} (n = {n:,})" for group, n in zip(rows["group"], rows["n"], strict=True)
    ]
    right = upper([room_for_words(0.0, levels, words.unit, max(map(len, names))), *rows["p95"]])
    hover = [(word(by).label, "@group"), ("exams", "@n{0,0}"), ("95 %", "@p95{0,0.[0]}")]
    hover += [("75 %", "@p75{0,0.[0]}"), ("median", "@median{0,0.[0]}")]
    hover += [("25 %", "@p25{0,0.[0]}"), ("5 %", "@p5{0,0.[0]}")]
    strokes = [
        draw.segments(rows, ["p5", "y", "p95", "y"], colour=MUTED, width=1.6),
        draw.rectangles(
            rows,
            ["p25", "low", "p75", "high"],
            ["group", "n", "p5", "p25", "median", "p75", "p95"],
            hover=hover,
        ),
        draw.segments(rows, ["median", "low", "median", "high"], colour=INK, width=3),
        *level_columns(levels, words.unit, right, bottom=-0.6, first=len(rows) - 0.35, step=0.48),
    ]
    height = int(96 + 46 * len(rows) + 24 * len(levels))
    picture = draw.frame(
        overlay(strokes),
        xlabel=words.axis,
        ylabel="",
        height=height,
        xlim=(0, right),
        ylim=(-0.6, len(rows) - 0.4 + 0.48 * len(levels)),
        yticks=list(zip(rows["y"], names, strict=True)),
        grid="x",
    )
    return Chart(
        picture=picture,
        data=rows.drop(columns=["low", "high"]),
        title=heading,
        legend=legend(_LEGEND),
        caption=caption_of(int(rows["n"].sum()), hidden, limit, source),
        shape=("box", tuple(rows["group"]), len(levels), right),
        height=height,
        is_wide=False,
        words="Medians: "
        + ", ".join(
            f"{r.group} {number(r.median, words.unit)} (n = {r.n})" for r in rows.itertuples()
        )
        + ".",
    )


def level_columns(
    levels: Sequence[LevelLine],
    unit: str | None,
    right: float,
    *,
    bottom: float,
    first: float,
    step: float,
) -> list[Any]:
    """Upright level lines from `bottom` up, each with its words on a row of its own.

    Parameters
    ----------
    levels, unit
        What is drawn and written.
    right
        End of the value axis.
    bottom, first, step
        Height where lines start, of the lowest words, and between words.
    """
    parts: list[Any] = []
    order = stacked(levels)
    for i, (level, text) in enumerate(zip(order, level_words(order, unit), strict=True)):
        line, y = level.line, first + step * i
        top = (level.value, y + step * 0.4)
        parts.append(draw.stroke((level.value, bottom), top, colour=line.colour, dash=line.dash))
        place = (level.value + right * 0.012, y, text)
        parts.append(draw.texts([place], colour=line.colour, is_bold=True))
    return parts
