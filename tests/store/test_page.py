"""The page about the store: its code runs, its views exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dose_lib.settings import Settings
from dose_lib.store import Store
from tests.store.exams import ct_part, incoming, merge, unchanged

FOLDER = Path(__file__).parents[2] / "docs"
PAGE = (FOLDER / "store.md").read_text(encoding="utf-8")


@pytest.fixture
def filled(settings: Settings) -> Settings:
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        store.commit([incoming(ct_part(f"1.{n}"), number=n) for n in range(3)])
    return settings


@pytest.mark.usefixtures("filled")
def test_its_code_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "docs/store.md", "exec"), names)
    assert names["frame"]["n"].sum() == 3
    assert names["frame"]["median_dlp_mgy_cm"][0] == 464.0


def test_its_views_exist(filled: Settings) -> None:
    (table,) = re.findall(r"\| view .*?\n\n", PAGE, re.DOTALL)
    rows = [row.split("|")[1] for row in table.splitlines()[2:] if row.startswith("|")]
    views = {view for row in rows for view in re.findall(r"`(\w+)`", row)}
    with Store.open(filled, merge=merge, normalise=unchanged) as store:
        known = {row[0] for row in store.sql("SELECT view_name FROM duckdb_views()")}
    assert len(views) == 9
    assert views <= known


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https)([^)#]+)\)", PAGE)
    assert links
    assert not [link for link in links if not (FOLDER / link).exists()]
