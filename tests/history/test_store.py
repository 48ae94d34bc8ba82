"""Exams of exports in the store: DICOM wins, nothing counts twice, undoing is a decision.

export   DICOM                                   counts
x                                                export
x        same study, station, dose, time         DICOM, in any order of arrival
x        another dose, or another patient        both
x x      the same exam in two exports            the later import
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from dose_lib.history import (
    Origin,
    Row,
    make_plan,
    read_exam,
    read_exam_bytes,
    shipped_mappings,
    write_exam,
)
from dose_lib.records import Decision, Rejection, RejectionReason
from dose_lib.settings import Settings
from dose_lib.store import Incoming, Store, rebuild
from tests.history import exports
from tests.store.exams import ARRIVED, ct_part, incoming

KEY = b"k" * 32
MAPPING = next(m for m in shipped_mappings() if m.name == "openrem-ct")
PLAN = make_plan(MAPPING, list(exports.ct_row(1)))


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with Store.open(settings) as opened:
        yield opened


def history(n: int = 1, import_uid: str = "2.25.1", later: int = 0, mass: str = "82") -> Incoming:
    """Exam `n` of an export, as it arrives at the store."""
    row = exports.ct_row(n, **{"Mass (kg)": mass})
    exam, problems = read_exam(
        PLAN, [Row(n + 2, tuple(row.values()))], Origin("ab" * 32, import_uid, KEY)
    )
    assert exam is not None, problems
    data = write_exam(exam)
    parts, _ = read_exam_bytes(data, site_key=KEY)
    return Incoming(
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        received_at=ARRIVED + timedelta(hours=later),
        route="history",
        parts=parts,
    )


def dicom(n: int = 1, dose: float | None = None, **given: Any) -> Incoming:
    """The same exam as a dose report says it, with a study UID of its own."""
    part = ct_part(f"1.2.{n}", started_at=datetime(2019, 3, 1, 10, n + 7), **given)
    dlp = 403.75 + n / 100 if dose is None else dose
    totals = msgspec.structs.replace(part.totals, dlp_total_mgy_cm=dlp)
    patient = msgspec.structs.replace(part.patient, patient_key=None, age_y=54.0, sex=None)
    return incoming(msgspec.structs.replace(part, totals=totals, patient=patient))


def counting(store: Store) -> list[tuple[str, bool]]:
    rows = store.sql("SELECT study_uid, coalesce(is_history, false) FROM studies ORDER BY 1")
    return [(study[:4], is_history) for study, is_history in rows]


def status(store: Store) -> list[tuple[str, str | None]]:
    rows = store.sql("SELECT status, reason FROM objects WHERE route = 'history' ORDER BY 1, 2")
    return [(status, reason) for status, reason in rows]


def test_an_exam_of_an_export_is_a_study_that_can_be_filtered(store: Store) -> None:
    store.commit([history()])
    (row,) = store.sql("SELECT is_history, dlp_total_mgy_cm, device, procedure_name FROM studies")
    assert row == (True, 403.76, "CT One", "CT Chest")
    assert store.sql("SELECT count(*) FROM events WHERE is_history") == [(2,)]


@pytest.mark.parametrize("order", ["dicom last", "dicom first", "together"])
def test_dicom_wins_in_any_order(store: Store, order: str) -> None:
    export, report = history(), dicom()
    batches = [[export], [report]] if order == "dicom last" else [[report], [export]]
    for batch in [[export, report]] if order == "together" else batches:
        store.commit(batch)
    assert counting(store) == [("1.2.", False)]
    assert status(store) == [("superseded", "the exam is known from DICOM")]


@pytest.mark.parametrize("order", [0, 1])
def test_the_same_study_uid_is_the_same_exam(store: Store, order: int) -> None:
    export = history()
    part = msgspec.structs.replace(export.parts[0], study_uid="1.2.1")
    export = msgspec.structs.replace(export, parts=(part,))
    both = [export, dicom(dose=999.0)]
    for one in both[::-1] if order else both:
        store.commit([one])
    assert counting(store) == [("1.2.", False)]


@pytest.mark.parametrize(
    "other",
    [{"dose": 404.5}, {"dose": 403.76, "age_y": 31.0}],
)
def test_another_exam_of_the_same_scanner_is_none(store: Store, other: dict[str, Any]) -> None:
    age = other.pop("age_y", None)
    report = dicom(**other)
    if age is not None:
        patient = msgspec.structs.replace(report.parts[0].patient, age_y=age)
        part = msgspec.structs.replace(report.parts[0], patient=patient)
        report = msgspec.structs.replace(report, parts=(part,))
    store.commit([history(), report])
    assert [is_history for _, is_history in counting(store)] == [False, True]


def test_an_exam_comes_back_when_its_report_is_withdrawn(store: Store) -> None:
    store.commit([history(1), history(2)])
    report = dicom()
    store.commit([report])
    assert counting(store) == [("1.2.", False), ("2.25", True)]
    note = Rejection(
        reason=RejectionReason.WRONG_WORKLIST_ENTRY,
        sop_instance_uids=(report.parts[0].sources[0].sop_instance_uid or "",),
    )
    store.commit([incoming(number=9, rejection=note)])
    assert counting(store) == [("2.25", True), ("2.25", True)]
    assert status(store) == [("stored", None)] * 2


def test_a_rebuild_comes_to_the_same(store: Store, settings: Settings) -> None:
    objects = [history(1), history(2), dicom(), history(3, import_uid="2.25.9")]
    store.commit(objects)
    _decide(store, "2.25.9", is_undone=True)
    before = counting(store), status(store)
    store.close()
    rebuild(settings, objects[::-1])
    with Store.open(settings) as again:
        assert (counting(again), status(again)) == before
        assert len(before[0]) == 2


def test_the_same_bytes_again_are_a_duplicate(store: Store) -> None:
    store.commit([history()])
    store.commit([history(later=1)])
    assert len(counting(store)) == 1
    assert [s for s, _ in status(store)] == ["duplicate", "stored"]


def test_of_two_exports_with_one_exam_the_later_import_counts(store: Store) -> None:
    store.commit([history(later=1, import_uid="2.25.2", mass="70")])
    store.commit([history()])
    assert store.sql("SELECT weight_kg FROM studies") == [(70.0,)]
    assert ("superseded", "the exam was imported again later") in status(store)


def test_undoing_is_a_decision_that_can_be_taken_back(store: Store) -> None:
    store.commit([history(1), history(2), history(3, import_uid="2.25.2")])
    _decide(store, is_undone=True)
    assert len(counting(store)) == 1
    assert status(store).count(("superseded", "its import was undone")) == 2
    store.commit([history(4)])  # more of the undone import
    assert len(counting(store)) == 1
    _decide(store, is_undone=False)
    assert len(counting(store)) == 4
    assert {s for s, _ in status(store)} == {"stored"}


def _decide(store: Store, import_uid: str = "2.25.1", *, is_undone: bool) -> None:
    store.decide(
        Decision(
            kind="history_import",
            subject=import_uid,
            payload={"is_undone": is_undone},
            author="physicist",
        )
    )


def test_the_file_and_row_of_a_number_can_be_asked(store: Store) -> None:
    from dose_lib.store.reading import unpack_trace

    store.commit([history()])
    ((trace,),) = store.sql("SELECT trace FROM provenance")
    places = {p.name: p.path for p in unpack_trace(trace)}
    assert places["totals.dlp_total_mgy_cm"] == "row 3, DLP total (mGy.cm)"
