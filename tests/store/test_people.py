"""Merged and erased patients, by decisions as the vault makes them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dose_lib.errors import NoDoseError, ReadError, UsageError
from dose_lib.records import Decision, Finding, Patient, Severity
from dose_lib.settings import Settings
from dose_lib.store import Status, Store
from dose_lib.store.reading import unpack_part
from tests.store.exams import ARRIVED, START, ct_part, failed, incoming, merge, unchanged

ANN, BEN = "a" * 64, "b" * 64
LATER = ARRIVED + timedelta(days=30)


def exam(study: str, patient: str, **given: Any) -> Any:
    return ct_part(study, patient=Patient(patient_key=patient, is_linked=True), **given)


def decide(kind: str, subject: str, after: int = 0, **payload: str) -> Decision:
    at = LATER + timedelta(minutes=after)
    return Decision(kind=kind, subject=subject, payload=payload, author="officer", decided_at=at)


def patients(store: Store) -> list[str]:
    return [r[0] for r in store.sql("SELECT patient_key FROM studies ORDER BY study_uid")]


def test_merged_patients_are_one_and_can_be_parted(store: Store) -> None:
    store.commit([incoming(exam("1.1", ANN), number=1), incoming(exam("1.2", BEN), number=2)])
    store.decide(decide("patient_merge", BEN, surviving=ANN))
    assert patients(store) == [ANN, ANN]
    store.commit([incoming(exam("1.3", BEN), number=3)])
    assert patients(store) == [ANN, ANN, ANN]
    store.decide(decide("patient_unmerge", BEN, 1, surviving=ANN))
    assert patients(store) == [ANN, BEN, BEN]


def test_erasing_takes_the_doses_and_leaves_the_receipt(store: Store) -> None:
    kept = incoming(exam("1.1", ANN), number=1)
    gone = incoming(exam("1.2", BEN), number=2)
    store.commit([kept, gone])
    key = gone.parts[0].part_key
    finding = Finding(
        finding_id="f",
        detector="d",
        rule_version="1",
        severity=Severity.INFO,
        subject=key,
        part_key=key,
        title="t",
        summary="s",
    )
    store.add_findings([finding])
    store.decide(decide("patient_erase", BEN, scope="everything", cause="request"))
    assert patients(store) == [ANN]
    for table in ("part", "event", "issue", "provenance", "reading", "finding"):
        rows = store.sql(f"SELECT count(*) FROM {table} WHERE part_key = ?", [key])
        assert rows == [(0,)], table
    row = store.sql(
        "SELECT sha256, reason, part_keys, sop_instance_uid, study_uid FROM objects"
        " WHERE status = 'erased'"
    )
    assert row == [(gone.sha256, "the patient's data were erased", [], None, None)]
    assert sum(store.counts().values()) == 2


def test_what_was_erased_stays_out_and_a_later_visit_comes_in(store: Store) -> None:
    old = exam("1.1", BEN)
    store.commit([incoming(old, number=1)])
    store.decide(decide("patient_erase", BEN, scope="everything", cause="request"))
    again = incoming(old, number=2, received_at=LATER + timedelta(hours=1), route="folder")

    def normalise(part: Any) -> Any:
        at = ARRIVED if part.study_uid.startswith("1.") else LATER + timedelta(days=2)
        return msgspec.structs.replace(part, started_at_utc=at)

    store._rules = msgspec.structs.replace(store._rules, normalise=normalise)
    new_visit = incoming(exam("2.1", BEN), number=3, received_at=LATER + timedelta(days=2))
    outcomes = store.commit([again, new_visit])
    assert [o.status for o in outcomes] == [Status.ERASED, Status.STORED]
    assert store.sql("SELECT study_uid FROM studies") == [("2.1",)]
    assert store.sql("SELECT count(*) FROM reading") == [(1,)]


def test_erasing_a_merged_patient_takes_all_keys(store: Store) -> None:
    store.commit([incoming(exam("1.1", ANN), number=1), incoming(exam("1.2", BEN), number=2)])
    store.decide(decide("patient_merge", BEN, surviving=ANN))
    store.decide(decide("patient_erase", ANN, 1, scope="everything", cause="request"))
    assert patients(store) == []
    assert store.counts()[Status.ERASED] == 2


def test_erasing_identities_alone_leaves_the_doses_of_nobody(store: Store) -> None:
    exams = [incoming(exam("1.1", ANN), number=1), incoming(exam("1.2", ANN), number=2)]
    store.commit(exams)
    doses = store.sql("SELECT sum(dlp_total_mgy_cm) FROM studies")
    store.decide(decide("patient_erase", ANN, scope="identities", cause="request"))
    keys = patients(store)
    assert store.sql("SELECT sum(dlp_total_mgy_cm) FROM studies") == doses
    assert len(set(keys)) == 2, "the exams are no longer of one person"
    assert ANN not in keys
    assert store.sql("SELECT DISTINCT is_linked FROM studies") == [(False,)]
    kept = [unpack_part(r) for (r,) in store.sql("SELECT record FROM reading ORDER BY study_uid")]
    assert [p.patient.patient_key for p in kept] == keys
    # The bytes as received still name her: they are to go.
    gone = store.sql("SELECT sha256, keeps_doses FROM raw_removal ORDER BY 1")
    assert gone == [(h, True) for h in sorted(e.sha256 for e in exams)]


def test_what_comes_late_is_of_nobody_either(tmp_path: Path) -> None:
    exams = [
        incoming(exam("1.1", ANN), number=1),
        incoming(exam("1.1", ANN, numbers=(3,)), number=2),
    ]
    erasure = decide("patient_erase", ANN, scope="identities", cause="request")
    found = []
    for n, early in enumerate((exams, exams[:1], [])):
        home = Settings(home=tmp_path / str(n))
        with Store.open(home, merge=merge, normalise=unchanged, clock=lambda: LATER) as store:
            store.commit(early)
            store.decide(erasure)
            store.commit(exams[len(early) :])
            tables = ("part", "reading", "object", "event")
            found.append([sorted(store.sql(f"SELECT * FROM {t}"), key=repr) for t in tables])
    assert found[0] == found[1] == found[2]


def test_expired_identities_leave_the_keys(store: Store) -> None:
    store.commit([incoming(exam("1.1", ANN), number=1)])
    store.decide(decide("identity_expire", "identities", 1, before=LATER.isoformat()))
    assert patients(store) == [ANN]


def test_an_exam_that_was_first_sent_under_another_name_goes_too(store: Store) -> None:
    """First filed as Ann's, then corrected: the exam is Ben's, and Ben is erased."""
    wrong = exam("1.1", ANN, sop_instance_uid="1.1.9")
    right = exam("1.1", BEN, sop_instance_uid="1.1.9")
    moved = exam("1.7", ANN, sop_instance_uid="1.7.9", events=right.events)
    store.commit([incoming(moved, number=1), incoming(wrong, number=2), incoming(right, number=3)])
    assert patients(store) == [BEN]
    store.decide(decide("patient_erase", BEN, scope="everything", cause="request"))
    assert patients(store) == []
    assert store.sql("SELECT count(*) FROM reading") == [(0,)]
    assert store.counts()[Status.ERASED] == 3


def test_only_the_wrong_filing_goes_with_whom_it_named(store: Store) -> None:
    wrong = exam("1.1", ANN, sop_instance_uid="1.1.9")
    right = exam("1.1", BEN, sop_instance_uid="1.1.9")
    store.commit([incoming(wrong, number=1), incoming(right, number=2)])
    store.decide(decide("patient_erase", ANN, scope="everything", cause="request"))
    assert patients(store) == [BEN]
    assert store.sql("SELECT status FROM object ORDER BY received_at") == [("erased",), ("stored",)]
    assert store.sql("SELECT DISTINCT patient_key FROM reading") == [(BEN,)]


def test_objects_without_dose_go_with_their_patient(store: Store) -> None:
    mute = failed(NoDoseError("an image"), 1, patient_key=ANN, study_uid="1.1")
    other = failed(ReadError("not known"), 2, patient_key=BEN, study_uid="1.2")
    late = failed(NoDoseError("an image"), 3, patient_key=ANN, study_uid="1.1")
    store.commit([mute, other])
    store.decide(decide("patient_erase", ANN, scope="everything", cause="request"))
    store.commit([late])
    rows = store.sql("SELECT status, study_uid, patient_key FROM object ORDER BY received_at")
    assert rows == [("erased", None, None), ("quarantined", "1.2", BEN), ("erased", None, None)]
    gone = {row[0] for row in store.sql("SELECT sha256 FROM raw_removal WHERE NOT keeps_doses")}
    assert gone == {mute.sha256, late.sha256}


def test_doses_leave_when_they_are_old(store: Store) -> None:
    old, new = exam("1.1", ANN), exam("1.2", ANN, started_at=START + timedelta(days=60))
    store.commit([incoming(old, number=1), incoming(new, number=2)])
    before = (ARRIVED + timedelta(days=30)).isoformat()
    store.decide(decide("dose_expire", "doses", before=before))
    store.commit([incoming(exam("1.3", BEN), number=3)])
    assert store.sql("SELECT study_uid FROM studies") == [("1.2",)]
    rows = store.sql("SELECT status, reason FROM object ORDER BY received_at")
    gone = ("erased", "older than doses are kept")
    assert rows == [gone, ("stored", None), gone]


def test_decisions_hold_after_opening_again(settings: Settings) -> None:
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        store.decide(decide("patient_erase", BEN, scope="everything", cause="request"))
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        (outcome,) = store.commit([incoming(exam("1.2", BEN), number=2)])
        assert outcome.status is Status.ERASED


@pytest.mark.parametrize(
    ("kind", "subject", "payload"),
    [
        ("patient_erase", "Meier^Anna", {"scope": "everything"}),
        ("patient_merge", ANN, {"surviving": "Meier^Anna"}),
        ("patient_erase", ANN, {"scope": "some"}),
        ("staff_erase", ANN, {}),
    ],
)
def test_no_name_gets_in_by_a_decision(
    store: Store, kind: str, subject: str, payload: dict[str, str]
) -> None:
    with pytest.raises(UsageError):
        store.decide(decide(kind, subject, **payload))
