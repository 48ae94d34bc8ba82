"""Table in, picture out: the same call in JupyterLab, in a report and on a dashboard.

No queries and no thresholds here. A picture is interactive (hvPlot on Bokeh) in JupyterLab
and on dashboards, and a static SVG (hvPlot on Matplotlib) where `DOSE_RENDER=report`.
"""

from __future__ import annotations

from dose_lib.charts.bars import bar, histogram
from dose_lib.charts.boxes import box
from dose_lib.charts.fragments import Html, Kpi, kpis, message, sentence
from dose_lib.charts.levels import LevelLine
from dose_lib.charts.pairs import heatmap, scatter
from dose_lib.charts.panels import panels
from dose_lib.charts.picture import Chart, Mode, Side, mode, show
from dose_lib.charts.tables import findings, table
from dose_lib.charts.trends import trend
from dose_lib.charts.verdicts import verdicts
from dose_lib.charts.words import number, word

__all__ = [
    "Chart",
    "Html",
    "Kpi",
    "LevelLine",
    "Mode",
    "Side",
    "bar",
    "box",
    "findings",
    "heatmap",
    "histogram",
    "kpis",
    "message",
    "mode",
    "number",
    "panels",
    "scatter",
    "sentence",
    "show",
    "table",
    "trend",
    "verdicts",
    "word",
]
