"""The picture of a result, drawn by `dose_lib.charts`: which kind, of which columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dose_lib.questions.catalogue import ORDERED, RESULT_COLUMNS, order_of
from dose_lib.questions.query import DoseQuery
from dose_lib.questions.reference_lines import LABELS
from dose_lib.questions.result import Block, Result
from dose_lib.questions.series import Lines, series

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
    return _kind_of_groups(query)


def _kind_of_groups(query: DoseQuery) -> str:
    is_middle = query.statistic in (None, "median")
    if len(query.group_by) == 2 and (is_middle or query.statistic == "count"):
        return "heatmap"
    if query.group_by:
        return "box" if is_middle else "bar"
    return "histogram" if is_middle or query.statistic in ("p75", "mean") else "table"


@dataclass(frozen=True, slots=True)
class _Sheet:
    """What a picture is drawn from."""

    query: DoseQuery
    result: Result
    block: Block
    small_cell_n: int

    @property
    def common(self) -> dict[str, Any]:
        """What every picture is told."""
        return {"source": "DoseLoop store", "small_cell_n": self.small_cell_n}

    @property
    def group(self) -> str | None:
        """Column of the first dimension."""
        return RESULT_COLUMNS[self.query.group_by[0]] if self.query.group_by else None

    @property
    def is_measured(self) -> bool:
        """True if there are values of single exams to draw."""
        return self.block.quantity is not None and self.block.values is not None


def draw(query: DoseQuery, result: Result, *, small_cell_n: int) -> Any:
    """The picture, or None where the table says it all."""
    block = result.main
    kind = kind_of(query, result)
    if block is None or kind == "table":
        return None
    sheet = _Sheet(query, result, _in_percent(block), small_cell_n)
    if kind in ("line", "control") and result.grain:
        return _over_time(sheet)
    if kind == "heatmap" and len(query.group_by) == 2:
        return _heatmap(sheet)
    if kind == "bar" or not sheet.is_measured:
        return _bars(sheet)
    if kind == "scatter":
        return _scatter(sheet)
    return _histogram(sheet) if kind == "histogram" else _box(sheet)


def _heatmap(sheet: _Sheet) -> Any:
    from dose_lib import charts

    x, y = (RESULT_COLUMNS[d] for d in sheet.query.group_by)
    value = sheet.block.quantity.name if sheet.block.quantity else None
    return charts.heatmap(_values(sheet.block), x=x, y=y, value=value, **sheet.common)


def _bars(sheet: _Sheet) -> Any:
    from dose_lib import charts

    if sheet.group is None:
        return None
    value = main_column(sheet.query, sheet.block)
    return charts.bar(sheet.block.table, value=value, by=sheet.group, n="n", **sheet.common)


def _name(sheet: _Sheet) -> str:
    return sheet.block.quantity.name if sheet.block.quantity else "value"


def _scatter(sheet: _Sheet) -> Any:
    from dose_lib import charts

    x = "age_y" if "age_band" in sheet.query.group_by else "weight_kg"
    return charts.scatter(_values(sheet.block), x=x, y=_name(sheet), **sheet.common)


def _histogram(sheet: _Sheet) -> Any:
    from dose_lib import charts

    values = _values(sheet.block)
    if sheet.group is not None:
        return charts.panels(
            charts.histogram, values, panel=sheet.group, value=_name(sheet), **sheet.common
        )
    if len(values) < max(_FEWEST, sheet.small_cell_n):
        return None
    levels = _levels(sheet.block)
    return charts.histogram(values, value=_name(sheet), levels=levels, **sheet.common)


def _box(sheet: _Sheet) -> Any:
    from dose_lib import charts

    values = _values(sheet.block).assign(exams="all exams")
    by = sheet.group or "exams"
    levels = _levels(sheet.block)
    return charts.box(values, value=_name(sheet), by=by, levels=levels, **sheet.common)


def _values(block: Block) -> pd.DataFrame:
    """Values of single exams under the name of their quantity, groups in words."""
    import pandas as pd

    if block.values is None:
        return pd.DataFrame()
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
    """The figure of a table that a picture shows."""
    columns = [c for c in block.table.columns if c == "share_percent"]
    if block.quantity:
        columns += [c for c in block.table.columns if c.endswith(f"_{block.quantity.name}")]
    return str(columns[0]) if columns and query.statistic != "count" else "n"


def _over_time(sheet: _Sheet) -> Any:
    from dose_lib import charts

    query, block = sheet.query, sheet.block
    rich = query.statistic in (None, "median") and query.chart != "control"
    if rich and sheet.is_measured:
        return charts.trend(
            _values(block),
            value=_name(sheet),
            time="started_at",
            by=sheet.group,
            grain=sheet.result.grain,
            levels=_levels(block),
            **sheet.common,
        )
    column = main_column(query, block)
    lines = Lines(sheet.group, column, unit_of(block, column), _levels(block))
    return series(query, sheet.result, block, lines)
