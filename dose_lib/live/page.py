"""A notebook as a page that refreshes itself."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from dose_lib.errors import DoseError, UsageError
from dose_lib.live.cells import Notebook, Shown, load_notebook, run_cells
from dose_lib.live.items import Item, failure, make_item, readable, replace_changed
from dose_lib.live.pulse import Beat, Pulse
from dose_lib.live.widgets import make_widget, offer_choices, read_choices, shown_parameters
from dose_lib.report.page import PERIOD_TAG
from dose_lib.report.parameters import TAG, convert

if TYPE_CHECKING:
    from dose_lib.settings import Settings

_log = logging.getLogger(__name__)
_HERE = Path(__file__).parent
# Cells run here, so that one page's run does not hold up the pages of others.
_RUNS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="dashboard")
# A run may take this share of the time at most; slower notebooks refresh less often.
_BUSY_SHARE = 0.25
_STATUS_CSS = """:host{color:#fff;font-size:13.5px;text-align:right}.bad{background:#fde8dc;
color:#7a2f00;border-radius:6px;padding:5px 10px;display:inline-block;text-align:left}"""


@cache
def _pulse(settings: Settings) -> Pulse:
    return Pulse(settings)


class Slot:
    """The place of one cell in the page."""

    def __init__(self, is_half: bool) -> None:
        import panel as pn

        self.items: list[Item] = []
        span = {} if is_half else {"grid-column": "1 / -1"}
        self.pane = pn.Column(sizing_mode="stretch_width", margin=0, styles=span, visible=False)

    def show(self, values: list[Any]) -> None:
        """Show newer outputs; what has not changed is not touched."""
        if len(values) == len(self.items):
            replace_changed(self.items, values, self.pane)
        else:
            self.items = [make_item(v) for v in values]
            self.pane[:] = [item.pane for item in self.items]
        if self.pane.visible is not bool(values):
            self.pane.visible = bool(values)


class Page:
    """One notebook shown to one visitor.

    Parameters
    ----------
    path
        The notebook.
    settings
        Of the installation.
    arguments
        Parameters from the address, as text by name.
    """

    def __init__(self, path: Path, settings: Settings, arguments: dict[str, str]) -> None:
        self._path = path
        self._settings = settings
        self._stamp = path.stat().st_mtime_ns
        self._notebook = load_notebook(path)
        self._offered = shown_parameters(self._notebook.parameters)
        self._values = _from_address(self._notebook, arguments)
        self._beat: Beat | None = None
        self._is_running = self._is_wanted = self._has_content = False
        self._rest_until = 0.0
        self._document: Any = None
        self._build()

    def _build(self) -> None:
        import panel as pn

        known = {p.name: self._values.get(p.name, p.default) for p in self._offered}
        self._widgets = {p.name: make_widget(p, known[p.name], self._set) for p in self._offered}
        self._slots = [Slot("half" in c.tags) for c in self._notebook.cells]
        self._main = pn.Column(
            *(slot.pane for slot in self._slots), sizing_mode="stretch_width", stylesheets=[_GRID]
        )
        self._side = pn.Column(*self._widgets.values(), sizing_mode="stretch_width", margin=0)
        self._status = pn.pane.HTML("Reading the store …", stylesheets=[_STATUS_CSS], margin=0)

    def template(self) -> Any:
        """The page for Panel: header, parameters at the side, cells in the main part."""
        import panel as pn

        text = (_HERE / "page.html.j2").read_text(encoding="utf-8")
        page = pn.Template(text, location=True)
        page.add_variable("page_title", self._notebook.title)
        page.add_variable("page_site", self._settings.site_name)
        page.add_variable("page_css", (_HERE / "page.css").read_text(encoding="utf-8"))
        page.add_panel("status", self._status)
        page.add_panel("side", self._side)
        page.add_panel("main", self._main)
        return page

    def start(self) -> None:
        """Run for the first time and look for new data from then on."""
        import panel as pn

        self._document = pn.state.curdoc
        period_ms = max(250, int(self._settings.dashboards_refresh_s * 1000))
        pn.state.add_periodic_callback(self.tick, period=period_ms)
        self.run()

    def tick(self) -> None:
        """Look for new data, unless a run goes on or the last one was long."""
        if not self._is_running and time.monotonic() >= self._rest_until:
            self._is_running = True
            _RUNS.submit(self._work, False)

    def run(self) -> None:
        """Run the notebook; if a run goes on, once more after it."""
        if self._is_running:
            self._is_wanted = True
            return
        self._is_running = True
        _RUNS.submit(self._work, True)

    def _set(self, name: str, value: Any) -> None:
        """A widget was changed."""
        import panel as pn

        self._values[name] = value
        if pn.state.location is not None:
            pn.state.location.update_query(**{name: value})
        self.run()

    def _work(self, is_forced: bool) -> None:
        """In a thread: look, run, hand the result to the page."""
        began = time.monotonic()
        try:
            beat = _pulse(self._settings).beat()
            if not is_forced and beat == self._beat and not self._is_edited():
                self._hand_over(self._rest, None)
                return
            if self._is_edited():
                self._notebook, self._stamp = (
                    load_notebook(self._path),
                    self._path.stat().st_mtime_ns,
                )
            choices = read_choices(self._offered, self._settings)
            shown = [_readable(s) for s in run_cells(self._notebook, dict(self._values))]
        except DoseError as error:
            self._hand_over(self._fail, str(error))
            return
        except Exception:  # noqa: BLE001  the page must say so, and go on
            _log.exception("the dashboard could not be refreshed")
            self._hand_over(self._fail, "the notebook could not be run; see the service's log")
            return
        took = time.monotonic() - began
        if self._has_content:  # the first run also loads libraries
            self._rest_until = time.monotonic() + took * (1 / _BUSY_SHARE - 1)
        self._hand_over(self._apply, (shown, choices, beat))

    def _is_edited(self) -> bool:
        return self._path.stat().st_mtime_ns != self._stamp

    def _hand_over(self, action: Any, argument: Any) -> None:
        """Run an action in the page's own thread, with its document locked."""
        from panel.io import hold
        from panel.io.state import set_curdoc

        def in_page() -> None:
            with set_curdoc(self._document), hold(self._document):
                action(argument)
            self._is_running = False
            if self._is_wanted:
                self._is_wanted = False
                self.run()

        self._document.add_next_tick_callback(in_page)

    def _rest(self, _: None) -> None:
        """Nothing is new."""

    def _fail(self, reason: str) -> None:
        since = f"Not updated: {reason}" if self._has_content else reason
        self._say(f'<span class="bad" role="alert">▲ {escape(since)}</span>')

    def _apply(self, result: tuple[list[Shown], dict[str, list[str]], Beat]) -> None:
        shown, choices, beat = result
        offer_choices(self._widgets, self._offered, choices)
        broken = next((s for s in shown if s.error is not None), None)
        if broken is not None:
            _log.warning("cell %d of %s failed", broken.cell.number + 1, self._path.name)
            if self._has_content:
                self._fail(f"cell {broken.cell.number + 1}: {broken.error}")
                return
        self._fit_slots(len(self._notebook.cells))
        for slot, one in zip(self._slots, shown, strict=False):
            slot.show(_visible(one))
        self._beat, self._has_content = beat, True
        self._say(self._fresh(beat))

    def _fit_slots(self, n: int) -> None:
        """After the notebook was edited: as many places as cells."""
        if n != len(self._slots):
            self._slots = [Slot("half" in c.tags) for c in self._notebook.cells]
            self._main[:] = [slot.pane for slot in self._slots]

    def _fresh(self, beat: Beat) -> str:
        now = datetime.now(ZoneInfo(self._settings.timezone))
        every = f"{self._settings.dashboards_refresh_s:g}"
        return (
            f"<b>● Live</b> · {beat.n_objects:,} objects received · updated {now:%H:%M:%S}"
            f"<br>looks for new data every {every} s"
        )

    def _say(self, html: str) -> None:
        if self._status.object != html:
            self._status.object = html


_GRID = """:host(.bk-panel-models-layout-Column){display:grid;gap:6px 28px;align-items:start;
grid-template-columns:repeat(2,minmax(0,1fr))}
@media(max-width:1100px){:host(.bk-panel-models-layout-Column){grid-template-columns:minmax(0,1fr)}}"""


def _from_address(notebook: Notebook, arguments: dict[str, str]) -> dict[str, Any]:
    """Parameters given in the address; what does not fit is left at its default."""
    values: dict[str, Any] = {}
    for parameter in notebook.parameters:
        if parameter.name in arguments:
            try:
                values[parameter.name] = convert(
                    parameter, arguments[parameter.name], where="address"
                )
            except UsageError as error:
                _log.info("ignored in the address: %s", error)
    return values


def _readable(shown: Shown) -> Shown:
    """Tables read while the connection is open."""
    return shown._replace(outputs=tuple(readable(o) for o in shown.outputs))


def _visible(shown: Shown) -> list[Any]:
    """What of a cell stands in the page: the title, parameters and period are in its head."""
    tags = shown.cell.tags
    if shown.error is not None:
        return [*shown.outputs, failure(shown.error, f"Cell {shown.cell.number + 1}")]
    if TAG in tags or PERIOD_TAG in tags:
        return []
    if shown.cell.kind == "markdown" and shown.cell.number == 0:
        lines = [x for x in shown.cell.source.splitlines() if not x.startswith("# ")]
        text = "\n".join(lines).strip()
        return [text] if text else []
    return list(shown.outputs)
