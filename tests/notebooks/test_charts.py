"""Pictures: the right numbers, nothing of single persons, never an empty frame."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dose_lib import charts
from dose_lib.charts import Chart, Html, LevelLine, Side
from dose_lib.charts.levels import spread, stacked
from dose_lib.charts.statistics import buckets, counts, five_numbers, rolling

LEVELS = [LevelLine(350.0, "National DRL"), LevelLine(310.0, "Local DRL", "local")]


@pytest.fixture
def exams() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 200
    return pd.DataFrame(
        {
            "started_at": pd.Timestamp("2026-09-01") + pd.to_timedelta(rng.uniform(0, 80, n), "D"),
            "device": rng.choice(["Scanner 1", "Scanner 2"], n),
            "procedure_name": rng.choice(["CT Chest", "CT Head"], n),
            "dlp_total_mgy_cm": rng.normal(320, 60, n),
            "weight_kg": rng.normal(75, 12, n),
        }
    )


KINDS: dict[str, Callable[..., Any]] = {
    "box": lambda t, **k: charts.box(t, value="dlp_total_mgy_cm", by="device", **k),
    "trend": lambda t, **k: charts.trend(t, value="dlp_total_mgy_cm", **k),
    "lines": lambda t, **k: charts.trend(t, value="dlp_total_mgy_cm", by="device", **k),
    "histogram": lambda t, **k: charts.histogram(t, value="dlp_total_mgy_cm", **k),
    "bar": lambda t, **k: charts.bar(
        t.groupby("device", as_index=False).agg(
            n=("weight_kg", "size"), dlp_total_mgy_cm=("dlp_total_mgy_cm", "median")
        ),
        value="dlp_total_mgy_cm",
        by="device",
        n="n",
        **k,
    ),
    "heatmap": lambda t, **k: charts.heatmap(
        t, x="device", y="procedure_name", value="dlp_total_mgy_cm", **k
    ),
    "scatter": lambda t, **k: charts.scatter(t, x="weight_kg", y="dlp_total_mgy_cm", **k),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("render", ["live", "report"])
def test_each_kind_draws_in_both_modes(
    kind: str, render: str, exams: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOSE_RENDER", render)
    chart = KINDS[kind](exams, small_cell_n=5)
    assert isinstance(chart, Chart)
    assert "200 exams" in chart.caption or kind == "scatter"
    if render == "report":
        html = chart._repr_mimebundle_()["text/html"]
        assert "<svg" in html
        assert "<script" not in html
        assert html.count("<path") + html.count("<use") > 5
        assert "http://" not in html.replace("http://www.w3.org/", "")
    else:
        figure = _bokeh(chart)
        assert any(len(next(iter(r.data_source.data.values()))) for r in figure.renderers)


def _bokeh(chart: Chart) -> Any:
    import holoviews as hv

    return hv.render(chart.picture, backend="bokeh")


@pytest.mark.parametrize("kind", KINDS)
def test_no_exams_give_words_and_no_frame(kind: str, exams: pd.DataFrame) -> None:
    empty = KINDS[kind](exams.head(0), small_cell_n=5)
    assert isinstance(empty, Html)
    assert "no exam in this selection" in empty.text


@pytest.mark.parametrize("kind", ["box", "trend", "lines", "histogram", "scatter", "heatmap"])
def test_few_exams_are_not_shown(kind: str, exams: pd.DataFrame) -> None:
    few = KINDS[kind](exams.head(3), small_cell_n=5)
    assert isinstance(few, Html)
    assert "5 exams" in few.text


def test_a_small_group_is_named_but_has_no_number(exams: pd.DataFrame) -> None:
    rare = exams.head(3).assign(device="Scanner 9", dlp_total_mgy_cm=9876.0)
    chart = charts.box(
        pd.concat([exams, rare]), value="dlp_total_mgy_cm", by="device", small_cell_n=5
    )
    assert isinstance(chart, Chart)
    assert "Not shown, fewer than 5 exams: Scanner 9" in chart.caption
    assert "Scanner 9" not in set(chart.data["group"])
    assert "9876" not in repr(chart) + chart.data.to_csv()


def test_box_statistics_are_those_of_numpy(exams: pd.DataFrame) -> None:
    table = five_numbers(exams, "dlp_total_mgy_cm", "device", 5).table.set_index("group")
    for device, part in exams.groupby("device"):
        wanted = np.quantile(part["dlp_total_mgy_cm"], [0.05, 0.25, 0.5, 0.75, 0.95])
        got = table.loc[device, ["p5", "p25", "median", "p75", "p95"]].to_numpy(float)
        assert got == pytest.approx(wanted)
        assert table.loc[device, "n"] == len(part)


def test_weeks_start_on_monday_and_small_ones_leave_a_gap() -> None:
    days = pd.to_datetime(["2026-11-02", "2026-11-08", "2026-11-09", "2026-11-23"])
    table = pd.DataFrame({"t": days, "v": [1.0, 3.0, 5.0, 7.0]})
    got = buckets(table, "v", "t", "week", 2)
    assert list(got["start"]) == list(
        pd.to_datetime(["2026-11-02", "2026-11-09", "2026-11-16", "2026-11-23"])
    )
    assert list(got["n"]) == [2, 1, 0, 1]
    assert got["median"].iloc[0] == 2.0
    assert got["median"].isna().tolist() == [False, True, True, True]
    assert got["is_partial"].tolist() == [False, False, False, True]


def test_rolling_window_counts_days_and_not_rows() -> None:
    days = pd.to_datetime(["2026-01-01", "2026-01-02", "2026-02-15"])
    table = pd.DataFrame({"t": days, "v": [10.0, 20.0, 90.0]})
    got = rolling(table, "v", "t", 28, 1)
    assert got["median"].tolist() == [10.0, 15.0, 90.0]
    assert got["n"].tolist() == [1, 2, 1]


def test_histogram_counts_everyone_once_on_round_edges(exams: pd.DataFrame) -> None:
    got = counts(exams, "dlp_total_mgy_cm", None)
    assert got["n"].sum() == len(exams)
    step = (got["right"] - got["left"]).round(9).unique()
    assert len(step) == 1
    assert step[0] in (1, 2, 5, 10, 20, 50, 100)


def test_missing_and_infinite_values_are_left_out(exams: pd.DataFrame) -> None:
    spoilt = exams.copy()
    spoilt.loc[:9, "dlp_total_mgy_cm"] = np.nan
    spoilt.loc[10:12, "dlp_total_mgy_cm"] = np.inf
    chart = charts.box(spoilt, value="dlp_total_mgy_cm", by="device", small_cell_n=5)
    assert isinstance(chart, Chart)
    assert chart.caption.startswith("187 exams.")


def test_level_lines_are_labelled_with_value_and_unit(
    exams: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOSE_RENDER", "report")
    for kind in ("box", "trend", "histogram"):
        svg = KINDS[kind](exams, levels=LEVELS, small_cell_n=5).svg()
        unit = "" if kind == "trend" else " mGy·cm"  # there the axis beside them says it
        assert f"National DRL 350{unit}<" in svg
        assert f"Local DRL 310{unit}<" in svg


def test_axes_reach_beyond_data_and_levels(exams: pd.DataFrame) -> None:
    chart = charts.box(
        exams,
        value="dlp_total_mgy_cm",
        by="device",
        levels=[LevelLine(2000.0, "National DRL")],
        small_cell_n=5,
    )
    assert isinstance(chart, Chart)
    figure = _bokeh(chart)
    assert figure.x_range.start == 0
    # The words of the level stand on its right, inside the picture.
    assert figure.x_range.end > 2000 * 1.4


def test_labels_of_close_levels_do_not_meet() -> None:
    placed = spread([350.0, 345.0, 100.0], 20.0)
    assert placed == [365.0, 345.0, 100.0]
    assert [lv.value for lv in stacked(LEVELS)] == [350.0, 310.0]


def test_panels_draw_the_groups_with_most_exams(exams: pd.DataFrame) -> None:
    shown = charts.panels(
        charts.box,
        exams,
        panel="procedure_name",
        value="dlp_total_mgy_cm",
        by="device",
        levels={"CT Chest": LEVELS},
        small_cell_n=5,
    )
    assert isinstance(shown, Side)
    order = exams["procedure_name"].value_counts().index.tolist()
    assert [item.title for item in shown.items if isinstance(item, Chart)] == order


def test_words_of_the_data_are_escaped(
    exams: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOSE_RENDER", "report")
    evil = "<img src=x onerror=alert(1)>"
    table = exams.assign(device=evil, procedure_name=evil)
    shown = [
        charts.box(table, value="dlp_total_mgy_cm", by="device", title=evil, small_cell_n=5),
        charts.trend(table, value="dlp_total_mgy_cm", by="device", source=evil, small_cell_n=5),
        charts.panels(
            charts.histogram, table, panel="device", value="dlp_total_mgy_cm", small_cell_n=5
        ),
    ]
    pieces = [
        charts.table(table.head(2), title=evil),
        charts.message(evil, details=[evil]),
        charts.sentence(evil),
        charts.kpis([charts.Kpi(evil, 1, evil, evil)]),
    ]
    html = "".join(s._repr_mimebundle_()["text/html"] for s in shown)
    html += "".join(p._repr_html_() for p in pieces)
    assert "<img" not in html
    assert "&lt;img" in html


def test_pictures_on_one_page_do_not_share_ids(
    exams: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOSE_RENDER", "report")
    first = KINDS["box"](exams, title="One", small_cell_n=5).svg()
    second = KINDS["box"](exams.iloc[:120], title="Two", small_cell_n=5).svg()
    clips = [set(re.findall(r'<clipPath id="([^"]+)"', svg)) for svg in (first, second)]
    assert clips[0]
    assert not clips[0] & clips[1]


def test_table_formats_by_column_and_says_what_it_leaves_out(exams: pd.DataFrame) -> None:
    shown = charts.table(exams, max_rows=10, source="Test hospital")
    assert "DLP (mGy·cm)" in shown.body
    assert "190 more rows are not shown." in shown.body
    assert "Source: Test hospital." in shown.body
    assert charts.table(exams.head(0)).text == "There are no rows in this selection."


VERDICTS = pd.DataFrame(
    [
        {
            "procedure_name": "CT Chest",
            "name": "Room 2",
            "unit": "room",
            "band": "adult",
            "quantity": "dlp",
            "dose_unit": "mGy.cm",
            "n": 94,
            "median": 372.2,
            "ci_low": 352.0,
            "ci_high": 398.0,
            "level": 350.0,
            "level_name": "UKHSA 2022",
            "status": status,
            "text": "because of this",
            "notes": "note of this",
        }
        for status in (
            "within",
            "optimise",
            "exceeds",
            "consistently_exceeds",
            "no_verdict",
        )
    ]
)


def test_each_verdict_has_sign_and_word_beside_its_colour() -> None:
    rows = VERDICTS.assign(name=[f"Room {i}" for i in range(len(VERDICTS))])
    body = charts.verdicts(rows, small_cell_n=5).body
    for words in (
        "✓ Within the level",
        "◐ Within, optimisation possible",
        "▲ Above the level",
        "▲▲ Consistently above the level",
        "○ No verdict",
    ):
        assert words in body
    assert body.index("Consistently above") < body.index("Within the level")
    assert "372 mGy·cm" in body
    assert "352 to 398; level 350" in body
    assert body.count(">because of this<") == 1  # only where there is no verdict
    assert body.count(">note of this<") == 1  # once a procedure
    assert "Levels: UKHSA 2022." in body


def test_quantities_of_one_room_stand_in_one_line_with_the_gravest_verdict() -> None:
    first, second = VERDICTS.iloc[[0]], VERDICTS.iloc[[2]]
    rows = pd.concat([first, second.assign(quantity="ctdi_vol", dose_unit="mGy", median=11.7)])
    body = charts.verdicts(rows, small_cell_n=5).body
    assert body.count("<tr>") == 2  # head and one room
    assert "▲ Above the level" in body
    assert "✓ Within the level" not in body
    assert "372 mGy·cm" in body
    assert "11.7 mGy" in body


def test_verdicts_hide_medians_of_few_exams() -> None:
    body = charts.verdicts(VERDICTS.assign(n=3, n_all=3).tail(1), small_cell_n=5).body
    assert "372" not in body
    assert "352" not in body
    assert "&lt; 5" in body


def test_exams_left_out_of_a_comparison_are_said() -> None:
    body = charts.verdicts(VERDICTS.assign(n_all=101).head(1), small_cell_n=5).body
    assert ">94<" in body
    assert ">of 101<" in body


def test_findings_are_newest_first_or_said_to_be_none() -> None:
    rows = pd.DataFrame(
        {
            "severity": ["warning", "error"],
            "title": ["Older", "Newer"],
            "summary": ["", "why"],
            "device": ["Scanner 1", None],
            "procedure_name": [None, "CT Head"],
            "opened_at": pd.to_datetime(["2026-11-01", "2026-11-02"]),
            "state": ["open", "acknowledged"],
        }
    )
    body = charts.findings(rows).body
    assert body.index("Newer") < body.index("Older")
    assert "▲ Warning" in body
    assert "No finding is open" in charts.findings(rows.head(0)).text


def test_a_million_is_not_drawn_exam_by_exam() -> None:
    """A box holds quantiles only, however many exams stand behind it."""
    n = 200_000
    table = pd.DataFrame({"device": ["A", "B"] * (n // 2), "dlp_total_mgy_cm": np.arange(n) + 1.0})
    chart = charts.box(table, value="dlp_total_mgy_cm", by="device", small_cell_n=5)
    assert isinstance(chart, Chart)
    assert len(chart.data) == 2
    sizes = [len(next(iter(r.data_source.data.values()))) for r in _bokeh(chart).renderers]
    assert max(sizes) <= 2


def _contrast(first: str, second: str) -> float:
    """Contrast of WCAG 2.1, relative luminances."""

    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(first), light(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("sheet", ["CSS", "DARK_CSS"])
def test_status_words_can_be_read_on_their_ground(sheet: str) -> None:
    from dose_lib.charts import style

    text = getattr(style, sheet)
    for tone in ("good", "fair", "bad", "none"):
        ink = re.search(rf"--{tone}:(#[0-9a-f]{{6}})", text)
        ground = re.search(rf"--{tone}-bg:(#[0-9a-f]{{6}})", text)
        assert ink, tone
        assert ground, tone
        assert _contrast(ink[1], ground[1]) >= 4.5, tone
