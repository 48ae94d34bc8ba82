"""The strokes of a picture, once for both backends.

hvPlot and HoloViews take the same data for Bokeh and for Matplotlib, but styles have other
names there. Nothing above this module knows which of the two draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dose_lib.charts.picture import select_backend
from dose_lib.charts.style import BLUE, INK, MUTED

if TYPE_CHECKING:
    import pandas as pd

_DASHES = {"solid": "-", "dashed": "--", "dotted": ":", "dotdash": "-."}
_MARKS = {
    "circle": "o",
    "square": "s",
    "triangle": "^",
    "diamond": "D",
    "inverted_triangle": "v",
    "cross": "P",
    "x": "X",
    "star": "*",
}
_ALIGN = {"left": "left", "center": "center", "right": "right"}


def is_bokeh() -> bool:
    """True if Bokeh draws; selects the backend of the present mode."""
    return select_backend() == "bokeh"


def _plot(table: pd.DataFrame) -> Any:
    from hvplot import hvPlot

    return hvPlot(table)


def line(
    table: pd.DataFrame, x: str, y: str, *, colour: str, width: float = 2.5, dash: str = "solid"
) -> Any:
    """A line through the rows; missing values leave a gap."""
    if is_bokeh():
        return _plot(table).line(
            x=x, y=y, color=colour, line_width=width, line_dash=dash, hover=False, responsive=True
        )
    return _plot(table).line(x=x, y=y, color=colour, linewidth=width, linestyle=_DASHES[dash])


def band(table: pd.DataFrame, x: str, low: str, high: str, *, colour: str) -> Any:
    """The area between two columns; rows without numbers are left out."""
    import holoviews as hv

    rows = table.dropna(subset=[low, high])
    area = hv.Area(rows, kdims=[x], vdims=[low, high])
    if is_bokeh():
        return area.opts(color=colour, alpha=0.18, line_width=0)
    return area.opts(color=colour, alpha=0.18, linewidth=0)


def dots(
    table: pd.DataFrame,
    x: str,
    y: str,
    *,
    colour: str,
    mark: str = "circle",
    size: float = 7,
    is_hollow: bool = False,
    alpha: float = 1.0,
    hover: list[tuple[str, str]] | None = None,
) -> Any:
    """A mark for each row; `hover` names what a pointer shows (label, column format)."""
    import holoviews as hv

    rows = table.dropna(subset=[y])
    others = [c for c in rows.columns if c not in (x, y)]
    points = hv.Scatter(rows, kdims=[x], vdims=[y, *others])
    fill = "white" if is_hollow else colour
    if is_bokeh():
        return points.opts(
            marker=mark,
            size=size,
            fill_color=fill,
            line_color=colour,
            alpha=alpha,
            tools=["hover"] if hover else [],
            **({"hover_tooltips": hover} if hover else {}),
        )
    return points.opts(
        marker=_MARKS[mark], s=size**2 * 0.6, facecolors=fill, edgecolors=colour, alpha=alpha
    )


def texts(
    rows: list[tuple[Any, float, str]],
    *,
    colour: str = INK,
    align: str = "left",
    is_bold: bool = False,
    size: float = 9.5,
) -> Any:
    """Words at places: (x, y, text)."""
    import holoviews as hv

    labels = hv.Labels(rows, kdims=["x", "y"], vdims=["text"])
    if is_bokeh():
        return labels.opts(
            text_color=colour,
            text_align=align,
            text_baseline="middle",
            text_font_size=f"{size}pt",
            text_font_style="bold" if is_bold else "normal",
        )
    return labels.opts(
        color=colour,
        horizontalalignment=_ALIGN[align],
        verticalalignment="center",
        size=size,
        weight="bold" if is_bold else "normal",
    )


def segments(rows: Any, ends: list[str], *, colour: str, width: float, dash: str = "solid") -> Any:
    """A straight stroke for each row: `ends` are the columns of x0, y0, x1, y1."""
    import holoviews as hv

    strokes = hv.Segments(rows, kdims=ends, vdims=[])
    if is_bokeh():
        return strokes.opts(color=colour, line_width=width, line_cap="butt", line_dash=dash)
    return strokes.opts(color=colour, linewidth=width, linestyle=_DASHES[dash])


def stroke(
    start: tuple[Any, float], end: tuple[Any, float], *, colour: str, dash: str, width: float = 2
) -> Any:
    """One straight stroke from a place to another."""
    return segments(
        [(*start, *end)], ["x0", "y0", "x1", "y1"], colour=colour, width=width, dash=dash
    )


def rectangles(
    rows: pd.DataFrame,
    corners: list[str],
    vdims: list[str],
    *,
    colour: str = BLUE,
    alpha: float = 0.28,
    hover: list[tuple[str, str]] | None = None,
) -> Any:
    """A filled box for each row: `corners` are the columns of left, bottom, right, top."""
    import holoviews as hv

    boxes = hv.Rectangles(rows, kdims=corners, vdims=vdims)
    if is_bokeh():
        return boxes.opts(
            fill_color=colour,
            fill_alpha=alpha,
            line_color=colour,
            line_width=1.2,
            tools=["hover"] if hover else [],
            **({"hover_tooltips": hover} if hover else {}),
        )
    return boxes.opts(facecolor=colour, edgecolor=colour, alpha=alpha, linewidth=1.2)


def frame(
    picture: Any,
    *,
    xlabel: str,
    ylabel: str,
    height: int,
    xlim: tuple[Any, Any] | None = None,
    ylim: tuple[Any, Any] | None = None,
    xticks: list[tuple[float, str]] | None = None,
    yticks: list[tuple[float, str]] | None = None,
    grid: str = "y",
    is_time: bool = False,
    **more: Any,
) -> Any:
    """Axes, limits and grid around an overlay."""
    options: dict[str, Any] = {"xlabel": xlabel, "ylabel": ylabel, "show_legend": False, **more}
    limits = {"xlim": xlim, "ylim": ylim, "xticks": xticks, "yticks": yticks}
    options |= {name: given for name, given in limits.items() if given is not None}
    if is_bokeh():
        options |= {
            "height": height,
            "responsive": True,
            "toolbar": "right",
            "default_tools": ["save", "box_zoom", "pan", "reset"],
            "active_tools": [],
            "fontsize": {"labels": "10pt", "xticks": "9.5pt", "yticks": "9.5pt"},
            "hooks": [_grid_hook(grid)],
        }
    else:
        options |= {
            "hooks": [_mpl_hook(grid, is_time)],
            "fig_inches": (10, height / 72),
            "aspect": None,
        }
        options["fontsize"] = {"labels": 10, "xticks": 9.5, "yticks": 9.5}
    return picture.opts(**options)


def _grid_hook(grid: str) -> Any:
    def hook(plot: Any, element: Any) -> None:
        figure = plot.state
        # A browser keeps 16 WebGL contexts at most; a page has more pictures, of few points.
        figure.output_backend = "canvas"
        figure.toolbar.logo = None
        figure.toolbar.autohide = True
        figure.outline_line_color = None
        # Not transparent: Bokeh would leave pixels of an earlier layout standing.
        figure.background_fill_color = figure.border_fill_color = "white"
        for axis, name in ((figure.xaxis, "x"), (figure.yaxis, "y")):
            axis.axis_line_color = axis.major_tick_line_color = "#b8c2cb"
            axis.minor_tick_line_color = None
            axis.axis_label_text_font_style = "normal"
            axis.axis_label_text_color = axis.major_label_text_color = INK
            if name not in grid:
                axis.axis_line_color = axis.major_tick_line_color = None
        for lines, name in ((figure.xgrid, "x"), (figure.ygrid, "y")):
            lines.grid_line_color = "#e3e8ec" if name in grid else None

    return hook


def _mpl_hook(grid: str, is_time: bool) -> Any:
    from matplotlib import dates, ticker

    def hook(plot: Any, element: Any) -> None:
        axis = plot.handles["axis"]
        axis.set_aspect("auto")
        axis.set_box_aspect(None)
        axis.set_facecolor("none")
        if is_time:
            ticks: Any = dates.AutoDateLocator(minticks=4, maxticks=9)
            axis.xaxis.set_major_locator(ticks)
            axis.xaxis.set_major_formatter(dates.ConciseDateFormatter(ticks, show_offset=False))
        elif grid == "x":
            axis.xaxis.set_major_locator(ticker.MaxNLocator(nbins=6))
        axis.set_axisbelow(True)
        for side in axis.spines.values():
            side.set_visible(False)
        axis.tick_params(length=0, colors=INK, labelsize=9.5)
        axis.xaxis.label.set_color(MUTED)
        axis.yaxis.label.set_color(MUTED)
        axis.grid(visible=False)
        for name in grid:
            axis.grid(visible=True, axis=name, color="#9aa7b2", alpha=0.35, linewidth=0.8)

    return hook
