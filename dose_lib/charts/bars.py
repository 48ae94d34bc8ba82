"""Bars: one number a group, or how often each range of a number occurs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dose_lib.charts import draw
from dose_lib.charts.boxes import level_columns
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
    room_for_words,
)
from dose_lib.charts.picture import Chart
from dose_lib.charts.statistics import counts, numbers_only
from dose_lib.charts.words import exams, number, shorten, word


def bar(
    table: pd.DataFrame,
    *,
    value: str,
    by: str,
    n: str | None = None,
    title: str | None = None,
    source: str | None = None,
    small_cell_n: int | None = None,
    top: int = 20,
) -> Chart | Html:
    """A number for each group as lying bars with the number written at their ends.

    Parameters
    ----------
    table
        One row a group.
    value, by
        Columns: the number and the group.
    n
        Column with the number of exams behind each; groups below the limit are not drawn.
    title, source, small_cell_n
        As in `box`.
    top
        Bars drawn, largest first.
    """
    limit = limit_of_site() if small_cell_n is None else small_cell_n
    words = word(value)
    heading = titled(title, words, f"by {word(by).label.lower()}")
    kept = numbers_only(table, value) if len(table) else table
    is_small = kept[n] < limit if n and len(kept) else pd.Series(False, index=kept.index)
    hidden = tuple(kept.loc[is_small, by].astype(str)) if len(kept) else ()
    rows = kept[~is_small].sort_values(value, ascending=False).head(top) if len(kept) else kept
    if rows.empty:
        return nothing(heading, hidden, limit)
    rows = rows.iloc[::-1].reset_index(drop=True)
    rows = rows.assign(y=np.arange(len(rows), dtype=float), group=rows[by].astype(str), zero=0.0)
    rows = rows.assign(low=rows["y"] - 0.36, high=rows["y"] + 0.36)
    right = upper(rows[value] * 1.22)
    ends = [
        (v + right * 0.01, y, number(v, words.unit))
        for v, y in zip(rows[value], rows["y"], strict=True)
    ]
    bars = draw.rectangles(
        rows,
        ["zero", "low", value, "high"],
        ["group"],
        alpha=0.75,
        hover=[(word(by).label, "@group")],
    )
    height = 90 + 30 * len(rows)
    total = int(rows[n].sum()) if n else len(rows)
    return Chart(
        picture=draw.frame(
            bars * draw.texts(ends),
            xlabel=words.axis,
            ylabel="",
            height=height,
            xlim=(0, right),
            ylim=(-0.6, len(rows) - 0.4),
            yticks=[(float(y), shorten(g)) for y, g in zip(rows["y"], rows["group"], strict=True)],
            grid="x",
        ),
        data=rows[[by, value, *([n] if n else [])]],
        title=heading,
        caption=caption_of(total, hidden, limit, source)
        if n
        else (f"Source: {source}." if source else ""),
        shape=("bar", tuple(rows["group"]), right),
        height=height,
        is_wide=False,
        words=", ".join(
            f"{g} {number(v, words.unit)}" for g, v in zip(rows["group"], rows[value], strict=True)
        )
        + ".",
    )


def histogram(
    table: pd.DataFrame,
    *,
    value: str,
    levels: Sequence[LevelLine] = (),
    bins: int | None = None,
    title: str | None = None,
    source: str | None = None,
    small_cell_n: int | None = None,
) -> Chart | Html:
    """How often each range of a number occurs, with the reference levels as lines.

    Parameters
    ----------
    table
        One row an exam.
    value
        Column of the number.
    bins
        About how many bars; default by the number of exams. Edges are round numbers.
    levels, title, source, small_cell_n
        As in `box`.
    """
    limit = limit_of_site() if small_cell_n is None else small_cell_n
    words = word(value)
    heading = titled(title, words, "of single exams")
    kept = numbers_only(table, value) if len(table) else table
    if len(kept) < max(limit, 1):
        return nothing(heading, (f"{exams(len(kept))} in all",) if len(kept) else (), limit)
    data = counts(kept, value, bins).assign(zero=0.0)
    right = max(float(data["right"].max()), room_for_words(0.0, levels, words.unit))
    tall = upper(data["n"])
    bars = draw.rectangles(
        data,
        ["left", "zero", "right", "n"],
        [],
        alpha=0.6,
        hover=[("from", "@left{0,0.[0]}"), ("to", "@right{0,0.[0]}"), ("exams", "@n{0,0}")],
    )
    strokes = [
        bars,
        *level_columns(levels, words.unit, right, bottom=0.0, first=tall * 1.03, step=tall * 0.1),
    ]
    return Chart(
        picture=draw.frame(
            overlay(strokes),
            xlabel=words.axis,
            ylabel="Exams",
            height=320,
            xlim=(min(0.0, float(data["left"].min())), right),
            ylim=(0, tall * (1.0 + 0.1 * len(levels))),
        ),
        data=data.drop(columns="zero"),
        title=heading,
        caption=caption_of(len(kept), (), limit, source),
        shape=("histogram", len(levels), right, tall),
        is_wide=False,
        words=f"Median {number(float(kept[value].median()), words.unit)}.",
    )
