"""Two things against each other: as a grid of cells or as a dot an exam."""

from __future__ import annotations

from typing import Any

import pandas as pd

from dose_lib.charts import draw
from dose_lib.charts.captions import (
    caption_of,
    limit_of_site,
    nothing,
    upper,
)
from dose_lib.charts.fragments import Html
from dose_lib.charts.picture import Chart
from dose_lib.charts.statistics import cells, numbers_only
from dose_lib.charts.style import BLUE
from dose_lib.charts.words import Word, exams, number, shorten, word


def heatmap(
    table: pd.DataFrame,
    *,
    x: str,
    y: str,
    value: str | None = None,
    title: str | None = None,
    source: str | None = None,
    small_cell_n: int | None = None,
) -> Chart | Html:
    """Median of a number, or the number of exams, for each pair of two groupings.

    Parameters
    ----------
    table
        One row an exam.
    x, y
        Columns of the groupings.
    value
        Column of the number; without it exams are counted.
    title, source, small_cell_n
        As in `box`. Cells below the limit stay blank.
    """
    limit = limit_of_site() if small_cell_n is None else small_cell_n
    words = word(value) if value else Word("Exams", None)
    label = f"Median {words.label}" if value else "Exams"
    heading = title or f"{label} by {word(x).label.lower()} and {word(y).label.lower()}"
    data = cells(table, x, y, value, limit) if len(table) else pd.DataFrame({"value": []})
    if data["value"].notna().sum() == 0:
        return nothing(heading, ("every cell",) if len(data) else (), limit)
    blank = int(data["value"].isna().sum())
    hidden = [f"{blank} cells"] if blank else []
    return Chart(
        picture=_heat_picture(data.dropna(subset=["value"]), words, word(x).label, word(y).label),
        data=data,
        title=heading,
        caption=caption_of(int(data["n"].sum()), hidden, limit, source),
        shape=("heatmap", tuple(map(str, data["x"].unique())), tuple(map(str, data["y"].unique()))),
        height=90 + 34 * data["y"].nunique(),
        words=f"From {number(float(data['value'].min()), words.unit)} "
        f"to {number(float(data['value'].max()), words.unit)}.",
    )


def _heat_picture(data: pd.DataFrame, words: Word, xlabel: str, ylabel: str) -> Any:
    from hvplot import hvPlot

    backend_is_bokeh = draw.is_bokeh()
    rows = data.assign(x=data["x"].astype(str), y=data["y"].astype(str).map(shorten))
    picture = hvPlot(rows).heatmap(x="x", y="y", C="value", cmap="cividis", colorbar=True)
    if backend_is_bokeh:
        picture = picture.opts(hover_tooltips=[("", "@x, @y"), (words.axis, "@value{0,0.[0]}")])
    else:
        picture = picture.opts(show_values=False)
    height = 90 + 34 * data["y"].nunique()
    return draw.frame(
        picture, xlabel=xlabel, ylabel="", height=height, grid="", clabel=words.axis, xrotation=30
    )


def scatter(
    table: pd.DataFrame,
    *,
    x: str,
    y: str,
    title: str | None = None,
    source: str | None = None,
    small_cell_n: int | None = None,
) -> Chart | Html:
    """One number against another, a dot an exam.

    Parameters
    ----------
    table
        One row an exam.
    x, y
        Columns of the numbers.
    title, source, small_cell_n
        As in `box`.
    """
    limit = limit_of_site() if small_cell_n is None else small_cell_n
    heading = title or f"{word(y).label} against {word(x).label.lower()}"
    kept = numbers_only(numbers_only(table, y), x)[[x, y]] if len(table) else table
    if len(kept) < max(limit, 1):
        return nothing(heading, (f"{exams(len(kept))} in all",) if len(kept) else (), limit)
    tall = upper(kept[y])
    picture = draw.dots(kept, x, y, colour=BLUE, size=5, alpha=0.45)
    return Chart(
        picture=draw.frame(
            picture,
            xlabel=word(x).axis,
            ylabel=word(y).axis,
            height=360,
            ylim=(0, tall),
            grid="xy",
        ),
        data=kept,
        title=heading,
        caption=caption_of(len(kept), (), limit, source),
        shape=("scatter", tall),
        height=360,
        is_wide=False,
        words=f"{exams(len(kept))}.",
    )
