"""Cells run again and again: what they show, and how a page takes it over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dose_lib import charts
from dose_lib.charts import Chart, LevelLine
from dose_lib.errors import SettingsError, UsageError
from dose_lib.live import dashboard_command, dashboard_environment
from dose_lib.live.asking import AskBox, answer_all
from dose_lib.live.cells import load_notebook, run_cells
from dose_lib.live.items import make_item
from dose_lib.live.pulse import Pulse, look
from dose_lib.live.widgets import from_widget, make_widget, offer_choices, shown_parameters
from dose_lib.report.parameters import parse_cell
from dose_lib.settings import Settings, load_settings
from tests.notebooks.conftest import MakeNotebook
from tests.notebooks.exams import child_finding, ct_part, department, fill, incoming, open_store


def outputs(path: Path, **values: Any) -> list[tuple[Any, ...]]:
    return [shown.outputs for shown in run_cells(load_notebook(path), values)]


def test_cells_show_what_jupyter_shows(make_notebook: MakeNotebook) -> None:
    path = make_notebook(
        "# Title",
        ("days = 84", "parameters"),
        "days",
        "display('a', 'b')\nprint('c', 1)\n'd'",
        "'quiet';",
        "x = 3",
        "None",
        "if True:\n    'not the last expression of the cell'",
    )
    assert outputs(path, days=7) == [
        ("# Title",), (), (7,), ("a", "b", "c 1", "d"), (), (), (), (),
    ]  # fmt: skip
    assert outputs(path)[2] == (84,)
    assert load_notebook(path).title == "Title"


def test_each_run_starts_afresh(make_notebook: MakeNotebook) -> None:
    path = make_notebook("seen = globals().get('seen', 0) + 1\nseen")
    assert outputs(path) == outputs(path) == [(1,)]


def test_a_failing_cell_is_the_last_and_names_its_line(make_notebook: MakeNotebook) -> None:
    import traceback

    path = make_notebook("1", "ok = 2\nok / 0", "3")
    shown = list(run_cells(load_notebook(path), {}))
    assert [s.outputs for s in shown] == [(1,), ()]
    error = shown[-1].error
    assert isinstance(error, ZeroDivisionError)
    text = "".join(traceback.format_exception(error))
    assert "question.ipynb cell 2" in text
    assert "ok / 0" in text


def test_magics_are_refused_with_the_cell(make_notebook: MakeNotebook) -> None:
    with pytest.raises(UsageError, match="cell 2"):
        load_notebook(make_notebook("1", "%matplotlib inline"))


def test_connections_of_cells_are_closed(make_notebook: MakeNotebook, settings: Settings) -> None:
    """An open reader would keep the service from opening the store."""
    fill(settings, [ct_part(1)])
    path = make_notebook(
        "import dose_lib as dl\ncon = dl.connect()\nint(con.table('studies').count().execute())"
    )
    assert outputs(path) == [(1,)]
    store = open_store(settings)
    store.close()


def test_the_pulse_changes_with_everything_a_page_shows(settings: Settings) -> None:
    from dose_lib.records import Decision

    fill(settings, [ct_part(1)], with_finding=False)
    beats = [look(settings)]
    store = open_store(settings)
    store.commit(incoming([ct_part(2)]))
    store.add_findings([child_finding(ct_part(2))])
    store.close()
    beats.append(look(settings))
    store = open_store(settings)
    store.decide(
        Decision(
            kind="finding_state",
            subject=child_finding(ct_part(2)).finding_id,
            payload={"state": "acknowledged"},
            author="physicist",
        )
    )
    store.close()
    beats.append(look(settings))
    assert [b.n_objects for b in beats] == [1, 2, 2]
    assert [b.n_findings for b in beats] == [0, 1, 1]
    assert len(set(beats)) == 3
    assert look(settings) == beats[-1]


def test_many_pages_share_one_look(settings: Settings) -> None:
    fill(settings, [ct_part(1)], with_finding=False)
    pulse = Pulse(settings, every_s=3600)
    assert pulse.beat() is pulse.beat()


LEVEL = [LevelLine(350.0, "National DRL")]


def exams_table(n: int) -> pd.DataFrame:
    parts = department(n)
    return pd.DataFrame(
        {
            "started_at": [p.started_at for p in parts],
            "device": [p.device.display_name for p in parts if p.device],
            "dlp_total_mgy_cm": [p.totals.dlp_total_mgy_cm for p in parts if p.totals],
        }
    )


def box(n: int, title: str = "Box") -> Any:
    return charts.box(
        exams_table(n), value="dlp_total_mgy_cm", by="device", levels=LEVEL, title=title,
        small_cell_n=5,
    )  # fmt: skip


def test_a_picture_takes_over_new_data_in_its_own_figure() -> None:
    import holoviews as hv

    first, second = box(300), box(330)
    assert isinstance(first, Chart)
    assert first.shape == second.shape
    item = make_item(first)
    pane = item.pane
    plot = hv.renderer("bokeh").get_plot(pane[1].object)
    before = dict(plot.state.yaxis[0].major_label_overrides)
    assert item.update(second)
    assert item.pane is pane
    assert plot.state.yaxis[0].major_label_overrides != before
    assert "330 exams" in pane[-1].object
    drawn = [r.data_source.data for r in plot.state.renderers if "median" in r.data_source.data]
    assert drawn[0]["median"].tolist() == pytest.approx(second.data["median"].tolist())


def test_a_picture_of_another_shape_is_built_anew() -> None:
    item = make_item(box(300))
    other = charts.histogram(exams_table(300), value="dlp_total_mgy_cm", small_cell_n=5)
    assert not item.update(other)
    assert not item.update(charts.message("too few"))


def test_html_is_touched_only_where_it_changed() -> None:
    item = make_item(charts.message("one"))
    changes: list[Any] = []
    item.pane.param.watch(changes.append, "object")
    assert item.update(charts.message("one"))
    assert changes == []
    assert item.update(charts.message("two"))
    assert len(changes) == 1


def test_side_by_side_replaces_only_what_differs() -> None:
    first = charts.show(box(300, "A"), charts.message("note"))
    item = make_item(first)
    kept = item.pane[0]
    assert item.update(charts.show(box(300, "A"), box(310, "B")))
    assert item.pane[0] is kept
    assert len(item.pane) == 2


def test_tables_and_texts_are_shown_readably() -> None:
    shown = make_item(exams_table(20))
    assert "DLP (mGy·cm)" in shown.pane.object
    assert make_item("## Words").pane.object == "## Words"


CELL = """
days: int = 84  # Days looked back
device: str | None = None
until: "date | None" = None
level: "Literal['national', 'local']" = "national"
question: str = "How many?"  # Report only: asked at the end
"""


def test_parameters_become_widgets() -> None:
    parameters = shown_parameters(parse_cell(CELL))
    assert [p.name for p in parameters] == ["days", "device", "until", "level"]
    changes: list[tuple[str, Any]] = []
    widgets = {
        p.name: make_widget(p, p.default, lambda n, v: changes.append((n, v))) for p in parameters
    }
    offer_choices(widgets, parameters, {"device": ["Scanner 1", "Scanner 2"]})
    assert widgets["device"].options == ["All", "Scanner 1", "Scanner 2"]
    assert widgets["level"].options == ["national", "local"]
    widgets["days"].value = 7
    widgets["device"].value = "Scanner 2"
    widgets["device"].value = "All"
    widgets["level"].value = "local"
    assert changes == [("days", 7), ("device", "Scanner 2"), ("device", None), ("level", "local")]
    offer_choices(widgets, parameters, {"device": ["Scanner 2"]})
    assert changes[-1] == ("level", "local")


def test_a_chosen_device_that_is_gone_stays_chosen() -> None:
    parameters = shown_parameters(parse_cell(CELL))
    device = parameters[1]
    widget = make_widget(device, "Scanner 9", lambda *_: None)
    offer_choices({"device": widget}, parameters, {"device": ["Scanner 1"]})
    assert widget.value == "Scanner 9"
    assert from_widget(device, "All") is None


class FakeAnswer:
    """Stands in for the answer of a model that is not asked here."""

    def __init__(self, words: str) -> None:
        self.words = words

    def _repr_html_(self) -> str:
        return f"<p>{self.words}</p>"


def test_a_report_answers_question_and_refinements_in_turn() -> None:
    asked: list[tuple[str, Any]] = []

    def ask(words: str, previous: Any = None, **_: Any) -> Any:
        asked.append((words, previous and previous.words))
        if words == "bad":
            raise UsageError("no such scanner", todo="did you mean 'Scanner 3'?")
        return FakeAnswer(words)

    shown = answer_all("first", ["bad", "second"], ask)
    assert asked == [("first", None), ("bad", "first"), ("second", None)] or asked == [
        ("first", None),
        ("bad", "first"),
        ("second", "first"),
    ]
    assert "<p>first</p>" in shown.body
    assert "did you mean &#x27;Scanner 3&#x27;?" in shown.body


def test_the_box_keeps_its_conversation_while_the_notebook_asks_the_same() -> None:
    def ask(words: str, previous: Any = None, **_: Any) -> Any:
        return charts.message(words)

    item = make_item(AskBox("q", ["then"], ask))
    pane = item.pane
    assert item.update(AskBox("q", ["then"], ask))
    assert item.pane is pane
    assert not item.update(AskBox("another", ["then"], ask))


def test_the_command_serves_everything_from_here(
    settings: Settings, make_notebook: MakeNotebook
) -> None:
    path = make_notebook("# Is it <safe>?")
    command = dashboard_command(settings, port=5123, notebooks=[path])
    joined = " ".join(command)
    assert "--address 127.0.0.1 --port 5123" in joined
    assert "--allow-websocket-origin 127.0.0.1:5123" in joined
    assert dashboard_environment(settings)["BOKEH_RESOURCES"] == "server"
    index = (settings.run_dir / "dashboards" / "index.html").read_text(encoding="utf-8")
    assert "Is it &lt;safe&gt;?" in index
    assert "http" not in index
    script = (settings.run_dir / "dashboards" / "question.py").read_text(encoding="utf-8")
    assert repr(str(path)) in script
    with pytest.raises(SettingsError, match="no notebook"):
        dashboard_command(settings, port=5123, notebooks=[])
    with pytest.raises(SettingsError, match="port"):
        dashboard_command(load_settings(settings.home, dashboards_port=0), notebooks=[path])
