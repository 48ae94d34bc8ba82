"""The coverage page says what the reader does with real reports, and nothing is unexplained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.reading_pages import coverage, coverage_page

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "reading-coverage.md"


@pytest.mark.corpus
def test_every_item_of_a_real_report_has_a_fate(corpus: Path) -> None:
    fates, left = coverage(corpus)
    assert "?" not in fates, [item for item in left if item[2] == "?"]
    assert fates["read"] > 0.95 * sum(fates.values())


@pytest.mark.corpus
def test_coverage_page_is_up_to_date(corpus: Path) -> None:
    assert PAGE.read_text(encoding="utf-8") == coverage_page(corpus), (
        "run `python -m docs.reading_pages`"
    )


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (DOCS / "reading.md").read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, {})
    total, *places = capsys.readouterr().out.splitlines()
    assert total.startswith("CT ")
    assert [p.split()[0] for p in places] == ["/113701/113811/113813"]
