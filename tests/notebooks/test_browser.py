"""Reports and dashboards in a real Chromium that may reach nothing but this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from dose_lib.records import Part
from dose_lib.report import find_notebook, run_notebook
from dose_lib.settings import Settings, load_settings
from tests.notebooks.conftest import MakeNotebook, Seen
from tests.notebooks.exams import department, fill, incoming, open_store

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]
Look = Callable[..., Seen]
Serve = Callable[..., str]
NAME = "how_do_our_ct_doses_compare"

# Share of pixels of a canvas that differ from its corner: an empty plot has axes at most.
_INK = """canvas => {
  const image = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let ink = 0;
  for (let i = 0; i < image.length; i += 4)
    if (image[i + 3] > 0 && (image[i] < 245 || image[i + 1] < 245 || image[i + 2] < 245)) ink++;
  return ink / (image.length / 4);
}"""


@pytest.fixture(scope="module")
def report(filled_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the filled store."""
    settings = load_settings(filled_home, site_name="St Elsewhere <Hospital>")
    out = tmp_path_factory.mktemp("report")
    return run_notebook(NAME, {"until": "2026-11-22"}, settings, out_dir=out).html


def test_the_report_is_whole_without_any_network(report: Path, look: Look) -> None:
    seen = look()
    page = seen.page
    page.goto(report.as_uri())
    seen.assert_clean()
    assert page.title() == "How do our CT doses compare? – St Elsewhere <Hospital>"
    pictures = page.locator("figure svg")
    assert pictures.count() >= 8
    for i in range(pictures.count()):
        drawn = pictures.nth(i)
        box = drawn.bounding_box()
        assert box is not None
        assert box["width"] > 300
        assert box["height"] > 100
        assert drawn.locator("path, use").count() > 10
        assert drawn.locator("text").count() > 3
    assert page.locator("script").count() == 0
    text = page.inner_text("main")
    assert "practices are above the national level" in text
    assert "National DRL" in text
    assert "Adult protocol used on a child" in text


def test_words_in_pictures_do_not_overlap(report: Path, look: Look) -> None:
    page = look(width=1200).page
    page.goto(report.as_uri())
    clashes = page.evaluate(
        """() => [...document.querySelectorAll('figure svg')].flatMap(svg => {
          const boxes = [...svg.querySelectorAll('text')].filter(t => t.textContent.trim())
            .map(t => [t.textContent, t.getBoundingClientRect()]);
          const found = [];
          boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
            const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
            const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
            if (wide > 2 && high > 4) found.push(a + ' | ' + b);
          }));
          return found;
        })"""
    )
    assert clashes == []
    wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wider <= 0


@pytest.mark.parametrize("options", [{"color_scheme": "dark"}, {"width": 420}, {"width": 800}])
def test_the_report_fits_dark_and_small_screens(
    report: Path, look: Look, options: dict[str, Any]
) -> None:
    seen = look(**options)
    seen.page.goto(report.as_uri())
    seen.assert_clean()
    assert seen.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    if "color_scheme" in options:
        ground = seen.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert ground == "rgb(18, 25, 31)"
        ink = seen.page.locator("figure svg text").first.evaluate("t => getComputedStyle(t).fill")
        assert ink != "rgb(27, 39, 51)"


def test_an_empty_store_gives_a_report_that_says_so(
    settings: Settings, look: Look, tmp_path: Path
) -> None:
    fill(settings, [])
    record = run_notebook(NAME, {}, settings, out_dir=tmp_path)
    seen = look()
    seen.page.goto(record.html.as_uri())
    seen.assert_clean()
    text = seen.page.inner_text("body")
    assert "The store is empty" in text
    assert seen.page.locator("figure svg").count() == 0
    assert "nan" not in text.lower().split()


def in_period(parts: Sequence[Part]) -> int:
    """Exams of patients in the 84 days up to 22 November 2026."""
    first = datetime(2026, 8, 31)
    return sum(bool(p.is_patient and p.started_at and p.started_at >= first) for p in parts)


def open_live(seen: Seen, address: str) -> None:
    """Open a dashboard and wait until its notebook has run."""
    seen.page.goto(address, timeout=120_000)
    seen.page.get_by_text("● Live").wait_for(timeout=120_000)


def canvases(seen: Seen) -> Any:
    """The drawing surfaces of the pictures, through the shadow of every component."""
    return seen.page.locator(".bk-Canvas canvas, canvas")


def wait_for_ink(seen: Seen, least: int) -> list[float]:
    """Share of ink of every canvas, once `least` of them have been drawn on."""
    shares: list[float] = []
    for _ in range(100):
        shares = [c.evaluate(_INK) for c in canvases(seen).all()]
        if sum(share > 0.01 for share in shares) >= least:
            return shares
        seen.page.wait_for_timeout(200)
    raise AssertionError(f"pictures stay empty: {shares}")


def test_the_dashboard_draws_and_refreshes_itself(
    settings: Settings, serve: Serve, look: Look
) -> None:
    """New exams appear within seconds, in the same figures, without a reload."""
    parts = department(150)
    fill(settings, parts, with_levels=True)
    quick = settings.model_copy(update={"dashboards_refresh_s": 0.5, "site_name": "St Elsewhere"})
    address = serve(quick, [find_notebook(NAME, quick)])
    seen = look(width=1400, height=2000)
    open_live(seen, f"{address}/{NAME}?until=2026-11-22")
    page = seen.page
    assert page.title() == "How do our CT doses compare? – St Elsewhere"
    wait_for_ink(seen, 8)
    for canvas in canvases(seen).all():
        canvas.evaluate("c => { c.dataset.mine = '1' }")
    before = canvases(seen).count()
    exams = page.locator(".kpi b").first
    assert exams.inner_text() == str(in_period(parts))

    new = department(12, seed=3, first=5000)
    store = open_store(settings)
    store.commit(incoming(new))
    store.close()
    total = in_period([*parts, *new])
    page.wait_for_function(
        """total => {
          const all = root => [...root.querySelectorAll('*')].flatMap(
            e => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);
          return all(document).some(
            e => e.classList.contains('kpi') && e.innerText.includes(total));
        }""",
        arg=str(total),
        timeout=60_000,
    )
    kept = page.locator("canvas[data-mine]").count()
    assert kept >= before * 0.5  # pictures whose axes and groups are as before
    seen.assert_clean()


def test_parameters_and_questions_on_the_page(settings: Settings, serve: Serve, look: Look) -> None:
    fill(settings, department(150), with_levels=True)
    address = serve(settings, [find_notebook(NAME, settings)])
    seen = look(width=1400, height=1200)
    open_live(seen, f"{address}/{NAME}?until=2026-11-22&nonsense=1&days=many")
    page = seen.page
    exams = page.locator(".kpi b").first
    all_exams = int(exams.inner_text())
    page.get_by_label("Device").select_option("Scanner 2")
    page.wait_for_function("() => location.search.includes('device=')", timeout=30_000)
    for _ in range(150):
        if int(exams.inner_text()) < all_exams:
            break
        page.wait_for_timeout(200)
    assert 0 < int(exams.inner_text()) < all_exams
    assert page.locator("table").get_by_text("Scanner 2").count() > 0
    assert page.locator("table").get_by_text("Scanner 1", exact=True).count() == 0

    answers = page.locator("text=How it was computed")
    answers.first.wait_for(timeout=60_000)
    page.locator("input[placeholder^='Ask about doses']").fill("how many CT exams by device?")
    page.locator("button", has_text="Ask").first.click()
    answers.nth(1).wait_for(timeout=60_000)
    page.locator("button", has_text="show only patients over 80 kg").click()
    answers.nth(2).wait_for(timeout=60_000)
    page.get_by_text("only weight over 80 kg").first.wait_for(timeout=10_000)
    seen.assert_clean()


def test_an_empty_store_gives_a_page_that_says_so(
    settings: Settings, serve: Serve, look: Look
) -> None:
    fill(settings, [])
    address = serve(settings, [find_notebook(NAME, settings)])
    seen = look()
    open_live(seen, f"{address}/{NAME}")
    seen.page.get_by_text("The store is empty").first.wait_for(timeout=10_000)
    assert seen.page.locator("canvas").count() == 0
    seen.assert_clean()


def test_a_store_that_cannot_be_reached_is_said_and_waited_for(
    settings: Settings, serve: Serve, look: Look
) -> None:
    """The page starts before the service has made its store, and comes alive with it."""
    quick = settings.model_copy(update={"dashboards_refresh_s": 0.5})
    address = serve(quick, [find_notebook(NAME, quick)])
    seen = look()
    seen.page.goto(f"{address}/{NAME}")
    seen.page.wait_for_selector("text=▲", timeout=90_000)
    fill(settings, [])
    seen.page.wait_for_selector("text=● Live", timeout=90_000)
    seen.assert_clean()


def test_a_failing_cell_leaves_the_rest_and_recovers(
    settings: Settings, serve: Serve, look: Look, make_notebook: MakeNotebook
) -> None:
    fill(settings, [])
    quick = settings.model_copy(update={"dashboards_refresh_s": 0.5})
    path = make_notebook("# Is it well?", "'**fine**'")
    address = serve(quick, [path])
    seen = look()
    open_live(seen, f"{address}/question")
    seen.page.wait_for_selector("text=fine", timeout=20_000)
    good = path.read_text(encoding="utf-8")
    path.write_text(good.replace("'**fine**'", "1/0"), encoding="utf-8")
    seen.page.wait_for_selector("text=division by zero", timeout=30_000)
    assert seen.page.locator("text=fine").count() == 1  # what was shown stays
    path.write_text(good.replace("fine", "well again"), encoding="utf-8")
    seen.page.wait_for_selector("text=well again", timeout=30_000)
    seen.assert_clean()


def test_plain_panel_serve_of_the_notebook_works_too(
    settings: Settings, serve: Serve, look: Look
) -> None:
    fill(settings, department(60), with_levels=True)
    address = serve(settings, [find_notebook(NAME, settings)], plain=True)
    seen = look(width=1400, height=1200)
    open_live(seen, f"{address}/{NAME}?until=2026-11-22")
    assert seen.page.locator(".kpi").count() >= 4
    seen.assert_clean()


def test_the_index_lists_the_notebooks(
    settings: Settings, serve: Serve, look: Look, make_notebook: MakeNotebook
) -> None:
    fill(settings, [])
    paths: Sequence[Path] = [
        make_notebook("# First question?", name="first.ipynb"),
        make_notebook("# Second question?", name="second.ipynb"),
    ]
    address = serve(settings, paths)
    seen = look()
    seen.page.goto(address)
    assert seen.page.locator("a").all_inner_texts() == ["First question?", "Second question?"]
    seen.page.locator("a").first.click()
    seen.page.wait_for_selector("text=● Live", timeout=60_000)
    seen.assert_clean()
