"""What a cell shows, as something that can take over newer content without flicker.

A picture keeps its Bokeh figure and gets new data through a stream; HTML is replaced only
where it changed. Only a picture of another shape is built anew.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Protocol

from dose_lib.charts import Chart, Html, Side, message, table

_MARKDOWN_CSS = files("dose_lib.live").joinpath("words.css").read_text(encoding="utf-8")
_GRID_CSS = """:host(.bk-panel-models-layout-Column){display:grid;gap:22px 28px;
grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr))}"""


class Stays(Protocol):
    """Something with a state of its own, such as a box to ask in: kept while its key stays."""

    stays: object


class Item:
    """One output in the page.

    Attributes
    ----------
    pane
        What Panel shows.
    """

    def __init__(self, value: Any) -> None:
        self.value = value
        self.pane = self._build(value)

    def update(self, value: Any) -> bool:
        """Take over a newer value; False if it needs an item of its own."""
        value = readable(value)
        if _kind(value) is not _kind(self.value):
            return False
        taken = self._take(value)
        if taken:
            self.value = value
        return taken

    def _build(self, value: Any) -> Any:
        import panel as pn

        return pn.panel(value, sizing_mode="stretch_width")

    def _take(self, value: Any) -> bool:
        return value is self.value


class HtmlItem(Item):
    """A piece of HTML."""

    def _build(self, value: Html) -> Any:
        return value.__panel__()

    def _take(self, value: Html) -> bool:
        if value.body != self.value.body:
            self.pane.object = value.body
        return True


class WordsItem(Item):
    """Markdown of a cell, or a text a cell shows."""

    def _build(self, value: str) -> Any:
        import panel as pn

        return pn.pane.Markdown(
            value, stylesheets=[_MARKDOWN_CSS], sizing_mode="stretch_width", margin=0
        )

    def _take(self, value: str) -> bool:
        if value != self.value:
            self.pane.object = value
        return True


class ChartItem(Item):
    """A picture: its figure stays, its data stream in."""

    def _build(self, value: Chart) -> Any:
        import holoviews as hv

        self._pipe = hv.streams.Pipe(data=value.picture)
        return value.pane(hv.DynamicMap(lambda data: data, streams=[self._pipe]))

    def _take(self, value: Chart) -> bool:
        if value.shape != self.value.shape or value.height != self.value.height:
            return False
        if not value.data.equals(self.value.data):
            self._pipe.send(value.picture)
        head, foot = self.pane[0], self.pane[-1]
        for pane, new in ((head, value.head), (foot, value.foot)):
            if pane.object != new:
                pane.object = new
        return True


class SideItem(Item):
    """Several items side by side."""

    def _build(self, value: Side) -> Any:
        import panel as pn

        self._items = [make_item(item) for item in value.items]
        return pn.Column(
            *(item.pane for item in self._items),
            sizing_mode="stretch_width",
            margin=0,
            stylesheets=[_GRID_CSS],
        )

    def _take(self, value: Side) -> bool:
        if len(value.items) != len(self._items):
            return False
        replace_changed(self._items, list(value.items), self.pane)
        return True


class StayingItem(Item):
    """A widget that keeps its state as long as its key is the same."""

    def _take(self, value: Any) -> bool:
        return bool(value.stays == self.value.stays)


def replace_changed(items: list[Item], values: list[Any], column: Any) -> None:
    """Let each item take over its value; put a new one where it cannot."""
    for i, value in enumerate(values):
        if not items[i].update(value):
            items[i] = make_item(value)
            column[i] = items[i].pane


def make_item(value: Any) -> Item:
    """The item that shows a value."""
    shown = readable(value)
    return _kind(shown)(shown)


def readable(value: Any) -> Any:
    """Tables as tables of ours; an unbound ibis expression as its rows."""
    if type(value).__module__.startswith("ibis."):
        value = value.head(200).to_pandas() if hasattr(value, "head") else value.execute()
    if type(value).__name__ == "DataFrame":
        return table(value)
    return value


def _kind(value: Any) -> type[Item]:
    for kinds, item in _ITEMS:
        if isinstance(value, kinds):
            return item
    return StayingItem if hasattr(value, "stays") else Item


_ITEMS: tuple[tuple[type, type[Item]], ...] = (
    (Chart, ChartItem),
    (Side, SideItem),
    (Html, HtmlItem),
    (str, WordsItem),
)


def failure(error: Exception, where: str) -> Html:
    """An error of a cell as a reader can use it."""
    return message(f"{where} could not be run.", tone="bad", details=[f"{error}"])
