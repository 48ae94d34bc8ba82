"""A simulated department in a real store, and the lake made of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dose_lib import connect, load_settings
from dose_lib.lake import export_lake
from dose_lib.settings import Settings
from dose_lib.simulate import Hospital, fill_store
from dose_lib.store import Store, site_key


class Department(NamedTuple):
    settings: Settings
    con: Any
    lake: Path


@pytest.fixture(scope="package")
def department(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Department]:
    """A fortnight of a district hospital, and its lake; nothing may be changed."""
    folder = tmp_path_factory.mktemp("department")
    settings = load_settings(folder / "home")
    hospital = Hospital.load("district", seed=3, days=14, end=date(2026, 11, 20))
    with Store.open(settings) as store:
        fill_store(hospital, store, site_key=site_key(settings))
    con = connect(settings=settings)
    export_lake(con, folder / "lake", "district")
    yield Department(settings, con, folder / "lake")
