"""The picture of a result, drawn by `dose_lib.charts`: which kind, of which columns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dose_lib.questions.catalogue import ORDERED, RESULT_COLUMNS, order_of
from dose_lib.questions.query import DoseQuery
from dose_lib.questions.reference_lines import LABELS
from dose_lib.questions.result import Block, Result
from dose_lib.questions.series import series

if TYPE_CHECKING:
    import pandas as pd

_KINDS = {
    "local_drl": "local",
    "national_drl": "national",
    "achievable_dose": "achievable",
    "drl": "national",
}
_DISTRIBUTION = ("box", "histogram", "scatter")
_FEWEST = 5


def kind_of(query: DoseQuery, result: Result) -> str:
    """Which picture answers the query: as asked, else by its shape."""
    if query.chart in ("table", "histogram", "scatter", "heatmap", "box", "control"):
        return query.chart
    if result.is_list:
        return "table"
    if result.grain:
        return "line"
    if query.chart == "bar":
        return "bar"
    if len(query.group_by) == 2 and query.statistic in (None, "median", "count"):
        return "heatmap"
    if query.group_by:
        return "box" if query.statistic in (None, "median") else "bar"
    return "histogram" if query.statistic in (None, "median", "p75", "mean") else "table"


def draw(query: DoseQuery, result: Result, *, small_cell_n: int) -> Any:
    """The picture, or None where the table says it all."""
    from dose_lib import charts

    block = result.main
    if block is None:
        return None
    kind = kind_of(query, result)
    if kind == "table":
        return None
    block = _in_percent(block)
    values = _values(block)
    levels = _levels(block)
    common: dict[str, Any] = {"source": "DoseLoop store", "small_cell_n": small_cell_n}
    group = _group(query)
    if kind in ("line", "control") and result.grain:
        return _over_time(query, result, block, values, levels, common)
    if kind == "bar" and group:
        value = main_column(query, block)
        return charts.bar(block.table, value=value, by=group, n="n", **common)
    if kind == "heatmap" and len(query.group_by) == 2 and values is not None:
        x, y = (RESULT_COLUMNS[d] for d in query.group_by)
        named = block.quantity.name if block.quantity else None
        return charts.heatmap(values, x=x, y=y, value=named, **common)
    if values is None or block.quantity is None:
        value = main_column(query, block)
        return charts.bar(block.table, value=value, by=group, n="n", **common) if group else None
    name = block.quantity.name
    if kind == "scatter":
        x = "age_y" if "age_band" in query.group_by else "weight_kg"
        return charts.scatter(values, x=x, y=name, **common)
    if kind == "histogram" and not group:
        if len(values) < max(_FEWEST, small_cell_n):
            return None
        return charts.histogram(values, value=name, levels=levels, **common)
    if kind == "histogram":
        return charts.panels(charts.histogram, values, panel=group, levels={}, value=name, **common)
    if group is None:
        values = values.assign(exams="all exams")
    return charts.box(values, value=name, by=group or "exams", levels=levels, **common)


def _group(query: DoseQuery) -> str | None:
    return RESULT_COLUMNS[query.group_by[0]] if query.group_by else None


def _values(block: Block) -> pd.DataFrame | None:
    """Values of single exams under the name of their quantity, groups in words."""
    import pandas as pd

    if block.values is None:
        return None
    frame = block.values.copy()
    if block.quantity is not None:
        frame = frame.rename(columns={"value": block.quantity.name})
    for band in ORDERED:
        if band in frame:
            kept = [label for label in order_of(band) if label in set(frame[band])]
            frame[band] = pd.Categorical(frame[band], kept, ordered=True)
            frame = frame.sort_values(band)
            frame[band] = frame[band].astype("object")
    return frame


def unit_of(block: Block, column: str) -> str:
    """Unit of a column of a block's table."""
    if column == "n":
        return ""
    if column == "share_percent":
        return "%"
    return block.quantity.unit if block.quantity else ""


def _in_percent(block: Block) -> Block:
    """Where several levels apply, each dose in percent of its own and one line at 100 %."""
    several = [lv for lv in block.levels if lv.value is None and lv.percent is not None]
    if not several or block.values is None or "percent" not in block.values or not block.quantity:
        return block
    label = f"{block.quantity.label} in percent of the {LABELS[several[0].reference]}"
    values = block.values.drop(columns=["value"]).rename(columns={"percent": "value"})
    level = replace(several[0], value=100.0)
    quantity = block.quantity._replace(name="dose_of_level_percent", label=label, unit="%")
    kept = values.dropna(subset=["value"])
    return replace(block, quantity=quantity, fetch=lambda: kept, levels=(level,))


def _levels(block: Block) -> tuple[Any, ...]:
    from dose_lib import charts

    return tuple(
        charts.LevelLine(level.value, LABELS[level.reference], _KINDS[level.reference])
        for level in block.levels
        if level.value is not None
    )


def main_column(query: DoseQuery, block: Block) -> str:
    columns = [c for c in block.table.columns if c == "share_percent"]
    if block.quantity:
        columns += [c for c in block.table.columns if c.endswith(f"_{block.quantity.name}")]
    return str(columns[0]) if columns and query.statistic != "count" else "n"


def _over_time(
    query: DoseQuery,
    result: Result,
    block: Block,
    values: pd.DataFrame | None,
    levels: tuple[Any, ...],
    common: dict[str, Any],
) -> Any:
    from dose_lib import charts

    group = _group(query)
    rich = query.statistic in (None, "median") and query.chart != "control"
    if rich and values is not None and block.quantity is not None:
        return charts.trend(
            values,
            value=block.quantity.name,
            time="started_at",
            by=group,
            grain=result.grain,
            levels=levels,
            **common,
        )
    column = main_column(query, block)
    return series(query, result, block, levels, group, column, unit_of(block, column))
