"""A notebook run into a report: self-contained, accounted for, whole or not at all."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import pytest

from dose_lib.errors import ReportError, UsageError
from dose_lib.report import find_notebook, notebooks, run_notebook
from dose_lib.report.files import write_whole
from dose_lib.report.pdf import NO_BROWSER, find_browser
from dose_lib.settings import Settings
from tests.notebooks.conftest import MakeNotebook

NOW = datetime(2026, 11, 22, 18, 5, 9, tzinfo=UTC)
QUESTION = (
    "# Is this a question?\n\nSome words.",
    ("days: int = 84  # Days looked back\nname: str | None = None", "parameters"),
    ("f'{days} days'", "period"),
    "from dose_lib import charts\ncharts.mode(), days, name",
    "charts.message('<b>bold</b>')",
)


@pytest.mark.slow
def test_a_run_leaves_page_notebook_and_record(
    settings: Settings, make_notebook: MakeNotebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOSE_RENDER", raising=False)
    seen: list[tuple[int, int]] = []
    record = run_notebook(
        make_notebook(*QUESTION),
        {"days": "28", "name": "Scanner <1>"},
        settings,
        now=NOW,
        on_cell=lambda i, n: seen.append((i, n)),
    )
    html = record.html.read_text(encoding="utf-8")
    assert record.html.parent == settings.reports_dir
    assert record.html.name == "question.2026-11-22_180509.html"
    assert "<title>Is this a question? – My hospital</title>" in html
    assert html.count("Is this a question?</h1>") == 1
    assert "<p>Some words.</p>" in html
    assert "28 days" in html
    assert "22 November 2026, 18:05 (GMT)" in html
    assert "DoseLoop 0.1.0" in html
    assert "('report', 28, 'Scanner &lt;1&gt;')" in html.replace("&#39;", "'")
    assert "&lt;b&gt;bold&lt;/b&gt;" in html
    assert "Days looked back" in html
    _assert_self_contained(html)
    assert seen[-1] == (6, 6)  # the injected parameters are a cell of their own

    written = json.loads(record.json.read_bytes())
    assert written["parameters"] == {"days": 28, "name": "Scanner <1>"}
    assert written["period"] == "28 days"
    assert written["versions"]["doseloop"] == "0.1.0"
    assert written["duration_s"] > 0
    assert written["inputs"] == {}  # no store yet
    for name, digest in written["outputs"].items():
        data = (settings.reports_dir / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == digest
    assert not list(settings.reports_dir.glob(".*"))
    again = run_notebook(make_notebook(*QUESTION), {}, settings, now=NOW)
    assert again.html.name == "question.2026-11-22_180509-2.html"
    assert record.html.read_text(encoding="utf-8") == html


def _assert_self_contained(html: str) -> None:
    for word in ("<script", "<link", "@import", 'src="http', "url(http", "require.js", "mathjax"):
        assert word not in html.lower(), word
    assert "default-src 'none'" in html


@pytest.mark.slow
def test_inputs_are_counted(filled_home: Path, make_notebook: MakeNotebook, tmp_path: Path) -> None:
    from dose_lib.settings import load_settings

    record = run_notebook(
        make_notebook("1 + 1"), {}, load_settings(filled_home), out_dir=tmp_path / "out"
    )
    assert record.inputs["studies"] == 420
    assert record.inputs["objects"] == 420
    assert record.inputs["findings"] == 1
    assert str(record.inputs["newest_object_at"]).startswith("2026-11-22")


@pytest.mark.slow
def test_a_failing_cell_is_named_and_what_was_reached_is_kept(
    settings: Settings, make_notebook: MakeNotebook
) -> None:
    parameters = ("days: int = 84  # Days", "parameters")
    path = make_notebook("# Q", parameters, "reached = 41 + 1\nreached", "print(1/0)", "'never'")
    with pytest.raises(ReportError) as caught:
        run_notebook(path, {"days": 7}, settings, now=NOW)
    message = str(caught.value)
    assert "question.ipynb, cell 4" in message
    assert "print(1/0)" in message
    assert "ZeroDivisionError: division by zero" in message
    kept = settings.reports_dir / "question.2026-11-22_180509.failed.ipynb"
    assert str(kept) in message
    node = nbformat.read(kept, as_version=4)
    assert "42" in json.dumps(node)
    assert sorted(p.name for p in settings.reports_dir.iterdir()) == [kept.name]


@pytest.mark.slow
def test_a_kernel_that_dies_is_an_error_of_ours(
    settings: Settings, make_notebook: MakeNotebook
) -> None:
    with pytest.raises(ReportError, match="kernel"):
        run_notebook(make_notebook("import os\nos._exit(3)"), {}, settings)


@pytest.mark.slow
def test_a_cell_that_takes_too_long_is_given_up(
    settings: Settings, make_notebook: MakeNotebook
) -> None:
    hasty = settings.model_copy(update={"report_cell_timeout_s": 1.0})
    with pytest.raises(ReportError, match="longer than 1 s"):
        run_notebook(make_notebook("import time\ntime.sleep(30)"), {}, hasty)


def test_parameters_are_refused_before_anything_runs(
    settings: Settings, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    marker = tmp_path / "ran"
    path = make_notebook(*QUESTION, f"open({str(marker)!r}, 'w')")
    with pytest.raises(UsageError, match="did you mean 'days'"):
        run_notebook(path, {"day": 3}, settings)
    with pytest.raises(UsageError, match="whole number"):
        run_notebook(path, {"days": "a few"}, settings)
    assert not marker.exists()
    assert not settings.reports_dir.exists()


def test_notebooks_are_found_by_name_and_the_sites_own_win(
    settings: Settings, make_notebook: MakeNotebook
) -> None:
    shipped = find_notebook("how_do_our_ct_doses_compare", settings)
    assert shipped.parent.name == "notebooks"
    own = settings.site_dir / "notebooks"
    own.mkdir(parents=True)
    make_notebook("1").rename(own / "how_do_our_ct_doses_compare.ipynb")
    assert find_notebook("how_do_our_ct_doses_compare.ipynb", settings).parent == own.resolve()
    assert notebooks(settings)["how_do_our_ct_doses_compare"].parent == own
    with pytest.raises(UsageError, match="did you mean 'how_do_our_ct_doses_compare'"):
        find_notebook("how_do_our_ct_dose_compare", settings)


@pytest.mark.browser
def test_pdf_when_there_is_a_browser_and_a_word_when_not(
    settings: Settings, make_notebook: MakeNotebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pypdf import PdfReader

    from tests.conftest import require

    require("chromium")
    path = make_notebook(*QUESTION)
    record = run_notebook(path, {}, settings, with_pdf=True)
    assert record.pdf is not None
    reader = PdfReader(record.pdf)
    text = reader.pages[0].extract_text()
    assert "Is this a question?" in text
    assert "1 / 1" in text
    assert record.pdf.name in record.outputs
    monkeypatch.setenv("PATH", "/nonexistent")
    assert find_browser() is None
    assert "apt-get install" in NO_BROWSER


def test_files_are_whole_or_not_there(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.html"
    write_whole(target, b"first")
    write_whole(target, b"second")
    assert target.read_bytes() == b"second"
    assert [p.name for p in target.parent.iterdir()] == ["file.html"]
