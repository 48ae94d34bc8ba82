"""One number a week or month as lines: counts, shares, percentiles, control charts."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from dose_lib.questions.query import DoseQuery
from dose_lib.questions.result import Block, Result

if TYPE_CHECKING:
    import pandas as pd

_MOST_GROUPS = 8


class Lines(NamedTuple):
    """What is drawn: column of the groups, the figure, its unit, levels beside it."""

    group: str | None
    column: str
    unit: str
    levels: tuple[Any, ...] = ()


def series(query: DoseQuery, result: Result, block: Block, lines: Lines) -> Any:
    """A line of the table's own figures, one for each group; a control chart adds its limits."""
    import holoviews as hv
    import pandas as pd

    from dose_lib.charts import Chart, draw, word
    from dose_lib.charts.levels import legend, mark_sample
    from dose_lib.charts.style import GROUP_COLOURS, INK

    group, column, unit, levels = lines
    table = _points(block, result, column, group)
    if table.empty:
        return None
    names = list(table.groupby("group")["n"].sum().nlargest(_MOST_GROUPS).index)
    strokes: list[Any] = []
    for name, colour in zip(names, GROUP_COLOURS, strict=False):
        strokes += _line(table[table["group"] == name], str(result.grain), colour)
    across = [(level.value, level.label) for level in levels]
    if query.chart == "control" and group is None:
        across += control_limits(list(table.loc[~table["part"], "value"]))
    first, last = table["time"].min(), table["time"].max()
    for value, label in across:
        ends = pd.DataFrame({"time": [first, last], "value": [float(value)] * 2})
        strokes.append(draw.line(ends, "time", "value", colour=INK, width=1.6, dash="dashed"))
        strokes.append(draw.texts([(first, value, label)]))
    name = "Exams" if column == "n" else word(column).label
    top = max([*table["value"], *(value for value, _ in across)]) * 1.15
    entries = [
        (mark_sample(colour, "●"), str(each))
        for each, colour in zip(names, GROUP_COLOURS, strict=False)
    ]
    title = f"{name} by {result.grain}"
    return Chart(
        picture=draw.frame(
            hv.Overlay(strokes),
            xlabel="",
            ylabel=f"{name} ({unit})" if unit else name,
            height=320,
            ylim=(0, top or 1),
            is_time=True,
        ),
        data=table,
        title=title,
        legend=legend(entries) if group else "",
        caption=f"{int(table['n'].sum()):,} exams. Hollow marks are not complete.",
        shape=("series", column, query.chart, tuple(map(str, names))),
        height=320,
    )


def _points(block: Block, result: Result, column: str, group: str | None) -> pd.DataFrame:
    import pandas as pd

    rows = block.table
    return pd.DataFrame(
        {
            "time": pd.to_datetime(rows[result.grain]),
            "value": rows[column].astype("float64"),
            "n": rows["n"],
            "part": rows["is_partial"],
            "group": rows[group].astype(str) if group else "all",
        }
    ).dropna(subset=["value"])


def _line(table: pd.DataFrame, grain: str, colour: str) -> list[Any]:
    from dose_lib.charts import draw

    hover = [("", "@group"), (grain, "@time{%F}"), ("value", "@value{0,0.[0]}")]
    strokes = [draw.line(table, "time", "value", colour=colour)]
    for is_part in (False, True):
        rows = table[table["part"] == is_part]
        if len(rows):
            strokes.append(
                draw.dots(rows, "time", "value", colour=colour, is_hollow=is_part, hover=hover)
            )
    return strokes


def control_limits(values: list[float]) -> list[tuple[float, str]]:
    """Centre and limits of an individuals chart: mean and 2.66 times the mean moving range.

    The factor is 3 / 1.128, that of moving ranges of two (ISO 7870-2).
    """
    if len(values) < 3:
        return []
    centre = sum(values) / len(values)
    steps = [abs(b - a) for a, b in pairwise(values)]
    reach = 2.66 * sum(steps) / len(steps)
    return [
        (centre, "mean"),
        (centre + reach, "upper control limit"),
        (max(centre - reach, 0.0), "lower control limit"),
    ]
