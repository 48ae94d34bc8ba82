"""One unit behind changing names: its timeline."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

import dose_lib
from dose_lib.equipment import device_timeline, find_device, join_devices, list_devices
from dose_lib.errors import UsageError
from dose_lib.settings import Settings
from tests.mapping.department import exam, fill
from tests.store.exams import START


def at_unit(number: int, **device: Any) -> Any:
    """A chest CT of a unit that calls itself as given, a day an exam."""
    part = exam(number, "CT Thorax", 300.0)
    named = msgspec.structs.replace(part.device, **device)
    at = START + timedelta(days=number)
    return msgspec.structs.replace(part, device=named, started_at=at)


def test_new_software_and_names_are_events(settings: Settings) -> None:
    serial = {"serial_number": "S47110", "manufacturer": "ACME", "model": "Scan 64"}
    exams = [
        at_unit(n, device_key=f"key{n > 4}", software_versions=("VA1",) if n < 5 else ("VB2",),
                station_name="CT1" if n < 8 else "CT-EAST", **serial)
        for n in range(10)
    ]  # fmt: skip
    fill(settings, exams)
    con = dose_lib.connect(settings=settings)
    units = list_devices(con)
    assert len(units) == 1, "the observer UID changed with the software; the serial did not"
    told = device_timeline(con, "S47110", settings=settings)
    rows = {(r.what, r.value): (r.before, r.at, r.n_exams) for r in told.itertuples()}
    assert rows["new software", "VB2"] == ("VA1", datetime(2026, 3, 7, 8), 5)
    assert rows["new station name", "CT-EAST"] == ("CT1", datetime(2026, 3, 10, 8), 2)
    assert rows["first exam, software", "VA1"][2] == 5


def test_two_entries_joined_by_a_person_and_parted(settings: Settings) -> None:
    bare = {"serial_number": None}
    exams = [at_unit(n, device_key=k, station_name=k, **bare) for n, k in enumerate(("a1", "b2"))]
    fill(settings, exams)
    con = dose_lib.connect(settings=settings)
    assert len(list_devices(con)) == 2
    join_devices(con, "b2", "a1", author="mp", because="renamed", settings=settings)
    assert len(list_devices(con)) == 1
    told = device_timeline(con, "a1", settings=settings)
    assert ("joined", "b2") in [(r.what, r.value) for r in told.itertuples()]
    with pytest.raises(UsageError, match="not joined"):
        join_devices(con, "zz", None, author="mp", settings=settings)
    join_devices(con, "b2", None, author="mp", settings=settings)
    assert len(list_devices(con)) == 2


def test_an_unknown_unit_gets_a_hint(settings: Settings) -> None:
    fill(settings, [at_unit(1)])
    with pytest.raises(UsageError, match="CT1"):
        find_device(dose_lib.connect(settings=settings), "CT11")
