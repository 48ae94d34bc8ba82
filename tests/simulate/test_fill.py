"""Simulated exams straight into a store, and a store multiplied in place."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

import dose_lib
from dose_lib.errors import SimulationError
from dose_lib.normalise import SiteFacts, unit_key
from dose_lib.settings import Settings
from dose_lib.simulate import Hospital, fill_store, repeat_exams
from dose_lib.simulate.picture import picture_of_day
from dose_lib.store import Incoming, Store, site_key

END = date(2026, 11, 20)


def test_a_store_is_filled_with_what_the_hospital_did(settings: Settings) -> None:
    hospital = Hospital.load("district", end=END, days=2)
    exams = list(hospital.exams())
    with Store.open(settings) as store:
        result = fill_store(hospital, store, site_key=site_key(settings), batch=50)
        assert result.n_exams == len(exams)
        ((n, patients, devices),) = store.sql(
            "SELECT count(*), count(DISTINCT patient_key), count(DISTINCT device_key) FROM studies"
        )
        parts = [p for e in exams for p in e.parts]
        assert n == len(parts)
        # The two reports of a PET-CT name one unit, with and without its observer's UID.
        assert devices == len({unit_key(p.device, SiteFacts()) for p in parts})
        assert patients == len({e.identity.patient_id for e in exams})
        # Again: the same receipts change nothing.
        fill_store(hospital, store, site_key=site_key(settings))
        assert store.sql("SELECT count(*) FROM objects") == [(n,)]


def test_simulated_exams_are_not_mixed_with_received_ones(settings: Settings) -> None:
    exam = next(Hospital.load("demo", end=END, days=3).exams())
    received = Incoming(
        sha256="0" * 64,
        size_bytes=1,
        received_at=datetime(2026, 11, 20, tzinfo=UTC),
        route="c-store",
        parts=exam.parts,
    )
    with Store.open(settings) as store:
        store.commit([received])
        with pytest.raises(SimulationError, match="received objects"):
            fill_store(Hospital.load("demo", end=END, days=3), store)


def test_a_store_can_be_multiplied(settings: Settings) -> None:
    hospital = Hospital.load("demo", end=END, days=3)
    with Store.open(settings) as store:
        fill_store(hospital, store)
        ((n, events, dose),) = store.sql(
            "SELECT (SELECT count(*) FROM studies), (SELECT count(*) FROM events),"
            " (SELECT median(dlp_total_mgy_cm) FROM studies)"
        )
    assert repeat_exams(settings, 3) == 3 * n
    assert repeat_exams(settings, 5) == 5 * n  # goes on from three
    assert repeat_exams(settings, 2) == 5 * n  # there are more already
    con = dose_lib.connect(settings=settings)
    studies = con.table("studies")
    assert studies.part_key.nunique().execute() == 5 * n
    assert con.table("events").count().execute() == 5 * events
    assert studies.dlp_total_mgy_cm.median().execute() == pytest.approx(dose)
    per_day = studies.group_by(studies.started_at.date().name("day")).count().execute()
    assert len(per_day) == 5 * len({e.started_at.date() for e in hospital.exams()})
    assert con.table("objects").count().execute() == 5 * n
    with pytest.raises(SimulationError, match="at least 1"):
        repeat_exams(settings, 0)


def test_the_picture_in_the_documentation_is_of_this_code() -> None:
    drawn = Path(__file__).parents[2] / "docs" / "simulation_day.svg"
    hospital = Hospital.load("district", seed=1, end=END)
    assert drawn.read_text("utf-8") == picture_of_day(hospital, date(2026, 11, 19))
