"""New devices and new software: told once, not while the store learns, not of the past."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

import dose_lib
from dose_lib.detect import NewDevice, NewSoftware
from dose_lib.records import Device, Finding, Part
from dose_lib.settings import Settings
from dose_lib.store import Store
from tests.store.exams import ARRIVED, START, ct_part, incoming, merge, unchanged


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """A store that has been served for 30 days with one device, three exams a day."""
    with Store.open(settings, merge=merge, normalise=unchanged) as opened:
        opened.serve()
        opened.commit([received(exam(f"1.{n}", hours=8 * n), n) for n in range(90)])
        yield opened


def exam(study: str, *, hours: float, serial: str = "S-1", **device: Any) -> Part:
    """An exam so many hours after the first."""
    part = ct_part(study, serial_number=serial, started_at=START + timedelta(hours=hours))
    versions = device.pop("software_versions", ("v1",))
    own = msgspec.structs.replace(part.device, software_versions=versions, **device)
    return msgspec.structs.replace(part, device=own)


def received(part: Part, number: int) -> Any:
    """Received an hour after its start."""
    started = part.started_at or START
    return incoming(part, number=number, received_at=ARRIVED + (started - START))


def look(store: Store, *parts: Part, detector: Any) -> list[Finding]:
    start = 1000
    store.commit([received(p, start + n) for n, p in enumerate(parts)])
    history = dose_lib.connect(settings=store.settings)
    return list(detector.look(parts, history))


LATER = 30 * 24.0


def test_a_device_that_was_never_seen(store: Store) -> None:
    (found,) = look(store, exam("2.1", hours=LATER, serial="S-2"), detector=NewDevice())
    assert found.evidence["station_name"] == "CT1"
    assert found.evidence["same_station_as"]  # the other unit had this station name
    assert "may have been replaced" in found.summary
    again = look(store, exam("2.2", hours=LATER + 1, serial="S-2"), detector=NewDevice())
    assert [f.finding_id for f in again] == [found.finding_id]


def test_a_known_device_is_no_news(store: Store) -> None:
    assert look(store, exam("2.1", hours=LATER), detector=NewDevice()) == []


def test_exams_from_years_ago_are_no_news(store: Store) -> None:
    old = exam("2.1", hours=LATER, serial="S-2")
    old = msgspec.structs.replace(old, started_at=datetime(2020, 1, 1))
    store.commit([incoming(old, number=1000, received_at=ARRIVED + timedelta(days=30))])
    assert list(NewDevice().look([old], dose_lib.connect(settings=store.settings))) == []


def test_a_store_that_learns_who_is_there_tells_nothing(settings: Settings) -> None:
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        store.serve()
        store.commit([received(exam("1.1", hours=0), 1)])
        assert look(store, exam("2.1", hours=24, serial="S-2"), detector=NewDevice()) == []


def test_software_that_a_device_never_had(store: Store) -> None:
    fresh = exam("2.1", hours=LATER, software_versions=("v2",))
    (found,) = look(store, fresh, detector=NewSoftware())
    assert found.evidence["software_before"] == ["v1"]
    assert found.title == "New software on CT1: v2"
    second = exam("2.2", hours=LATER + 1, software_versions=("v2",))
    again = look(store, second, detector=NewSoftware())
    assert {f.finding_id for f in again} <= {found.finding_id}
    back = exam("2.3", hours=LATER + 2)
    assert look(store, back, detector=NewSoftware()) == []


def test_the_first_software_is_no_change(store: Store) -> None:
    other = exam("2.1", hours=LATER, serial="S-2", software_versions=("v9",))
    assert look(store, other, detector=NewSoftware()) == []


def test_without_a_store_or_a_device_nothing_is_said(store: Store) -> None:
    part = msgspec.structs.replace(exam("2.1", hours=LATER), device=Device())
    for detector in (NewDevice(), NewSoftware()):
        assert detector.look([part], None) == []
        assert look(store, part, detector=detector) == []
