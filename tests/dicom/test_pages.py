"""The coverage page says what the reader does with real reports, and nothing is unexplained."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.reading_pages import coverage, coverage_page

PAGE = Path(__file__).parents[2] / "docs" / "reading-coverage.md"


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
