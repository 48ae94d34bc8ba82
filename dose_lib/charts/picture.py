"""One picture in three lives: interactive in JupyterLab and dashboards, SVG in reports."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any, Literal

from dose_lib.charts.fragments import STYLE, Html, message
from dose_lib.charts.style import BLUE, CSS, INK, MUTED, on_page

if TYPE_CHECKING:
    import pandas as pd

Mode = Literal["live", "report"]
_BACKENDS = {"live": "bokeh", "report": "matplotlib"}
_WIDTH_IN = {True: 13.1, False: 6.4}


def mode() -> Mode:
    """`report` where the notebook runs into a report (`DOSE_RENDER=report`), else `live`."""
    return "report" if os.environ.get("DOSE_RENDER") == "report" else "live"


def select_backend() -> str:
    """Make HoloViews and hvPlot draw for the present mode; returns the backend's name.

    Loading the plotting module registers it. `hv.extension` would do the same and also
    publish scripts into the notebook, which a report must not hold.
    """
    import holoviews as hv

    backend = _BACKENDS[mode()]
    if hv.Store.current_backend == backend and backend in hv.Store.renderers:
        return backend  # selecting it again would build every option anew
    if backend == "matplotlib":
        import matplotlib as mpl

        mpl.use("agg")
        import holoviews.plotting.mpl
    else:
        import holoviews.plotting.bokeh
    hv.Store.set_current_backend(backend)
    return backend


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture with its title, legend and caption.

    Attributes
    ----------
    picture
        HoloViews element or overlay, drawn for the mode it was made in.
    data
        What is drawn: one row a box, bucket, bin or cell.
    title, legend, caption
        Title as text, legend as HTML, caption (exams shown, what is hidden, source).
    shape
        What must stay the same for the picture to be updated in place by new data.
    is_wide
        True if it wants the full width of the page.
    """

    picture: Any
    data: pd.DataFrame
    title: str
    legend: str = ""
    caption: str = ""
    shape: tuple[object, ...] = ()
    height: int = 320
    is_wide: bool = True
    words: str = field(default="")

    @property
    def text(self) -> str:
        """The picture in words, for logs and for readers who cannot see it."""
        return f"{self.title}. {self.words} {self.caption}".replace("  ", " ").strip()

    @property
    def head(self) -> str:
        """Title and legend as HTML."""
        legend = f'<div class="legend">{self.legend}</div>' if self.legend else ""
        return f'<div class="dl"><div class="title">{escape(self.title)}</div>{legend}</div>'

    @property
    def foot(self) -> str:
        """Caption as HTML."""
        return f'<div class="dl"><p class="caption">{escape(self.caption)}</p></div>'

    def svg(self) -> str:
        """The picture as an SVG element; only in report mode."""
        return draw_svg(self.picture, wide=self.is_wide, height=self.height, salt=self.title)

    def figure(self) -> str:
        """The whole card as HTML with the picture inside; only in report mode."""
        return (
            f'<figure class="dl{"" if self.is_wide else " narrow"}" role="img" '
            f'aria-label="{escape(self.text, quote=True)}">'
            f'<div class="title">{escape(self.title)}</div>'
            + (f'<div class="legend">{self.legend}</div>' if self.legend else "")
            + self.svg()
            + f'<figcaption class="caption">{escape(self.caption)}</figcaption></figure>'
        )

    def pane(self, picture: Any = None) -> Any:
        """The card for Panel; `picture` stands in for the own one (a live stream of it)."""
        import panel as pn

        shown = pn.pane.HoloViews(
            self.picture if picture is None else picture,
            backend="bokeh",
            sizing_mode="stretch_width",
            height=self.height,
            linked_axes=False,
            margin=0,
        )
        parts = [_pane(self.head), shown, _pane(self.foot)]
        return pn.Column(*parts, sizing_mode="stretch_width", margin=0)

    def __panel__(self) -> Any:
        return self.pane()

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        if mode() == "report":
            return {"text/html": STYLE + self.figure(), "text/plain": self.text}
        return self.pane()._repr_mimebundle_(include, exclude)


def _pane(html: str) -> Any:
    import panel as pn

    return pn.pane.HTML(html, stylesheets=[CSS], sizing_mode="stretch_width", margin=0)


@dataclass(frozen=True, slots=True)
class Side:
    """Pictures and pieces side by side where the page is wide enough, else below each other."""

    items: tuple[Chart | Html, ...]

    @property
    def text(self) -> str:
        """Every piece in words."""
        return "\n".join(item.text for item in self.items)

    def __repr__(self) -> str:
        return self.text

    def __panel__(self) -> Any:
        import panel as pn

        cells = [pn.panel(item) for item in self.items]
        return pn.Column(*cells, sizing_mode="stretch_width", margin=0, stylesheets=[_SIDE_CSS])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        if mode() == "report":
            narrow = (replace(i, is_wide=False) if isinstance(i, Chart) else i for i in self.items)
            cells = "".join(i.figure() if isinstance(i, Chart) else i.body for i in narrow)
            body = f'<div class="dl"><div class="side">{cells}</div></div>'
            return {"text/html": STYLE + body, "text/plain": self.text}
        return self.__panel__()._repr_mimebundle_(include, exclude)


_SIDE_CSS = """:host(.bk-panel-models-layout-Column){display:grid;gap:22px 28px;
grid-template-columns:repeat(auto-fit,minmax(min(100%,500px),1fr))}"""


def show(*items: Chart | Html | Side) -> Chart | Html | Side:
    """Lay pictures and pieces out side by side.

    Parameters
    ----------
    *items
        Pictures, tables, messages. One alone is given back as it is.
    """
    flat: list[Chart | Html] = []
    for item in items:
        flat.extend(item.items if isinstance(item, Side) else [item])
    if not flat:
        return message("There is nothing to show here.")
    return flat[0] if len(flat) == 1 else Side(tuple(flat))


def join(charts: Sequence[Chart | Html], empty: str) -> Chart | Html | Side:
    """Several pictures as one answer; a message where there is none."""
    return show(*charts) if charts else message(empty)


# Matplotlib names its clip paths after a salt; two pictures on one page must not share one.
_SVG_PROLOGUE = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_SVG_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)


def draw_svg(picture: Any, *, wide: bool, height: int, salt: str) -> str:
    """A HoloViews object drawn by Matplotlib as one SVG element that fits its column."""
    import holoviews as hv
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    inches = (_WIDTH_IN[wide], height / 72)
    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "axes.unicode_minus": False,
    }
    with mpl.rc_context(settings), warnings.catch_warnings():
        # HoloViews hands Matplotlib a format string beside our line style; ours wins.
        warnings.filterwarnings("ignore", message="linestyle is redundantly defined")
        figure = hv.render(picture, backend="matplotlib")
        figure.set_size_inches(*inches)
        has_colour_bar = len(figure.axes) > 1
        if not has_colour_bar:
            figure.set_layout_engine("tight", pad=0.3)
        out = StringIO()
        figure.savefig(
            out, format="svg", transparent=True, bbox_inches="tight" if has_colour_bar else None
        )
        plt.close(figure)
    text = _SVG_METADATA.sub("", _SVG_PROLOGUE.sub("", out.getvalue(), count=1))
    head, rest = text.split(">", 1)
    head = re.sub(r'\s(?:width|height)="[^"]*"', "", head)
    for colour in (INK, MUTED, BLUE):
        rest = rest.replace(colour.lower(), on_page(colour))
    return f'{head} role="presentation">{rest.replace("#ffffff", "var(--paper)")}'
