"""Rejected, corrected and moved objects: what counts, in any order of arrival.

| received                                   | counts                        |
| ------------------------------------------ | ----------------------------- |
| report, then the same UID with other doses | the second                    |
| report, then the same exposures under a    | the second, in its study;     |
| second Study UID, or these and further ones | the first study has no part  |
| report, note 113037 or 113038 about it     | nothing                       |
| report, note 113001 or 113039 about it     | the report: dose was given    |
| any of these in any order                  | the same                      |
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from dose_lib.settings import Settings
from dose_lib.simulate.writer import make_ct_rdsr
from dose_lib.store import Incoming, Status, Store
from pipelines.envelope import make_receipt
from pipelines.spool import Spool
from pipelines.worker import Worker
from tests.store.exams import ct_part, incoming
from tests.store.received import key_objects, numbered, received

TABLES = ("object", "reading", "part", "event", "issue", "provenance", "rejection")


@pytest.fixture
def real(settings: Settings) -> Iterator[Store]:
    """A store with the real steps."""
    with Store.open(settings) as store:
        yield store


def report(seed: int = 1, **given: Any) -> bytes:
    return make_ct_rdsr(events=3, seed=seed, **given)


def uids(data: bytes) -> tuple[str, str]:
    """Study and object."""
    (part,) = received(data, 0).parts
    return part.study_uid, part.sources[0].sop_instance_uid or ""


def doses(store: Store) -> list[tuple[Any, ...]]:
    return store.sql("SELECT study_uid, dlp_total_mgy_cm FROM studies ORDER BY ALL")


def ledger(store: Store) -> list[tuple[Any, ...]]:
    return store.sql("SELECT status, reason FROM object ORDER BY received_at")


def everything(store: Store) -> dict[str, list[Any]]:
    found = {}
    for table in TABLES:
        names = [row[0] for row in store.sql(f"DESCRIBE {table}")]
        kept = ", ".join(f'"{n}"' for n in names if n != "stored_at")
        found[table] = sorted(store.sql(f"SELECT {kept} FROM {table}"), key=repr)
    return found


@pytest.mark.parametrize("code", ["113037", "113038"])
def test_what_a_note_withdraws_counts_no_more(real: Store, code: str) -> None:
    exam, other = report(1), report(2)
    study, uid = uids(exam)
    real.commit(numbered([exam, other]))
    (outcome,) = real.commit([received(key_objects(code, study, uid), 3)])
    assert outcome.status is Status.NO_DOSE
    assert "1 objects withdrawn" in (outcome.reason or "")
    assert [row[0] for row in doses(real)] == [uids(other)[0]]
    assert real.sql("SELECT count(*) FROM event WHERE part_key IN (SELECT part_key FROM part)")
    (first, second, note) = ledger(real)
    assert first[0] == "superseded"
    assert code in first[1]
    assert second == ("stored", None)
    assert note[0] == "no_dose"
    assert sum(real.counts().values()) == 3


@pytest.mark.parametrize("code", ["113001", "113039", "113000"])
def test_dose_that_was_given_stays(real: Store, code: str) -> None:
    exam = report()
    before = doses(real)
    real.commit(numbered([exam]))
    before = doses(real)
    real.commit([received(key_objects(code, *uids(exam)), 2)])
    assert doses(real) == before
    assert ledger(real)[0] == ("stored", None)
    marked = real.sql("SELECT count(*) FROM event WHERE is_rejected")[0][0]
    assert marked == (3 if code == "113001" else 0)


def test_a_corrected_resend_takes_the_place_of_the_first(real: Store) -> None:
    wrong, right = report(dlp_total_mgy_cm=999.0), report(dlp_total_mgy_cm=111.0)
    assert uids(wrong) == uids(right)
    real.commit(numbered([wrong]))
    real.commit([received(right, 2)])
    assert [dlp for _, dlp in doses(real)] == [111.0]
    assert ledger(real) == [
        ("superseded", "the object was received again with other content"),
        ("stored", None),
    ]


def test_a_corrected_patient_takes_the_exam_along(real: Store) -> None:
    """The archive coerces the patient ID of an object and sends it again."""
    real.commit(numbered([report(patient_id="WRONG-1"), report(patient_id="RIGHT-2")]))
    keys = real.sql("SELECT patient_key FROM studies")
    assert keys == [(received(report(patient_id="RIGHT-2"), 0).parts[0].patient.patient_key,)]


def test_what_says_it_is_newer_wins_whenever_it_came(real: Store) -> None:
    """A backfill may bring the corrected object first, and the modality its own later."""
    part = ct_part(sop_instance_uid="1.9")
    source = part.sources[0]
    newer = msgspec.structs.replace(
        source, content_at=(source.content_at or part.started_at) + timedelta(hours=1)
    )
    corrected = msgspec.structs.replace(
        part,
        sources=(newer,),
        events=tuple(msgspec.structs.replace(e, dlp_mgy_cm=1.0) for e in part.events),
    )
    real.commit([incoming(corrected, number=1), incoming(part, number=2)])
    assert real.sql("SELECT DISTINCT dlp_mgy_cm FROM event") == [(1.0,)]


def test_a_moved_study_is_counted_once(real: Store) -> None:
    """One exam filed under two orders, or sent on by an archive under another Study UID."""
    exam = report()
    moved = report(study_uid="1.2.3.4.5", sop_instance_uid="1.2.3.4.5.6")
    real.commit(numbered([exam, moved]))
    assert [study for study, _ in doses(real)] == ["1.2.3.4.5"]
    assert ledger(real) == [
        ("superseded", "the same exposures were received again under another study"),
        ("stored", None),
    ]


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_a_moved_study_with_more_or_fewer_exposures_is_counted_once(
    real: Store, order: tuple[int, ...]
) -> None:
    """In any order of arrival; the fullest filing counts.

    | study      | exposures | counts |
    | ---------- | --------- | ------ |
    | first      | 1 2 3     |        |
    | 1.2.3.4.5  | 1 2 3 4   | yes    |
    | 1.2.3.4.6  | 1 2       |        |
    """
    objects = numbered(
        [
            make_ct_rdsr(events=3, seed=1),
            make_ct_rdsr(events=4, seed=1, study_uid="1.2.3.4.5", sop_instance_uid="1.2.3.4.5.6"),
            make_ct_rdsr(events=2, seed=1, study_uid="1.2.3.4.6", sop_instance_uid="1.2.3.4.6.6"),
        ]
    )
    for number in order:
        real.commit([objects[number]])
    assert [study for study, _ in doses(real)] == ["1.2.3.4.5"]
    moved = "the same exposures were received again under another study"
    assert ledger(real) == [("superseded", moved), ("stored", None), ("superseded", moved)]
    assert real.sql("SELECT count(*) FROM events") == [(4,)]
    # Without it the next fullest counts; erased, it leaves nothing behind.
    real.commit([received(key_objects("113037", "1.2.3.4.5", "1.2.3.4.5.6"), 9)])
    assert real.sql("SELECT count(*) FROM events") == [(3,)]


def test_a_study_that_shares_some_exposures_only_counts_too(real: Store) -> None:
    events = received(make_ct_rdsr(events=4, seed=1), 0).parts[0].events
    first = make_ct_rdsr(events=events[:3], seed=1)
    other = make_ct_rdsr(
        events=events[1:], seed=1, study_uid="1.2.3.4.5", sop_instance_uid="1.2.3.4.5.6"
    )
    real.commit(numbered([first, other]))
    assert [status for status, _ in ledger(real)] == ["stored", "stored"]


def test_a_note_about_the_moved_one_brings_the_first_back(real: Store) -> None:
    exam, moved = report(), report(study_uid="1.2.3.4.5", sop_instance_uid="1.2.3.4.5.6")
    real.commit(numbered([exam, moved]))
    real.commit([received(key_objects("113038", *uids(moved)), 3)])
    assert [study for study, _ in doses(real)] == [uids(exam)[0]]
    assert [status for status, _ in ledger(real)] == ["stored", "superseded", "no_dose"]


def _mixture() -> tuple[Incoming, ...]:
    exam, other, third = report(1), report(2), report(3)
    return numbered(
        [
            exam,
            report(1, dlp_total_mgy_cm=321.0),
            report(1, study_uid="1.2.3.4.5", sop_instance_uid="1.2.3.4.5.6"),
            other,
            key_objects("113037", *uids(other)),
            third,
            key_objects("113001", *uids(third)),
            third,
        ]
    )


MIXTURE = _mixture()


@pytest.mark.parametrize("seed", range(6))
def test_any_order_and_any_batches_give_the_same(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    stores = []
    for name, objects in (("a", list(MIXTURE)), ("b", chance.sample(MIXTURE, len(MIXTURE)))):
        with Store.open(Settings(home=tmp_path / name)) as store:
            left = objects
            while left:
                n = chance.randint(1, 4)
                store.commit(left[:n])
                left = left[n:]
            stores.append(everything(store))
    assert stores[0] == stores[1]
    assert len(stores[0]["part"]) == 2


def test_a_note_before_its_object(tmp_path: Path) -> None:
    exam = report()
    pair = [received(exam, 1), received(key_objects("113037", *uids(exam)), 2)]
    found = []
    for n, order in enumerate(permutations(pair)):
        with Store.open(Settings(home=tmp_path / str(n))) as store:
            for one in order:
                store.commit([one])
            found.append(everything(store))
    assert found[0] == found[1]
    assert found[0]["part"] == []


def test_the_worker_tells_notes_from_other_selections(settings: Settings) -> None:
    study, uid = uids(report())
    spool, worker = Spool(settings.spool_dir), Worker(settings)
    said = []
    for code in ("113037", "113000"):
        data = key_objects(code, study, uid)
        said.append(worker.read(spool.put(data, make_receipt(data, "c-store"))))
    note, other = said
    assert note.rejection is not None
    assert note.rejection.sop_instance_uids == (uid,)
    assert note.rejection.study_uids == (study,)
    assert note.failure is None
    assert note.parts == ()
    assert other.rejection is None
    assert other.failure is not None
    assert other.failure.is_doseless
    assert "rejects nothing (Of Interest)" in other.failure.seen


def test_readings_of_an_older_store_are_judged_once_opened(settings: Settings) -> None:
    """A store filled before there were marks counts the moved exam twice until it is opened."""
    exam = report()
    moved = report(study_uid="1.2.3.4.5", sop_instance_uid="1.2.3.4.5.6")
    with Store.open(settings) as store:
        store.commit(numbered([exam]))
        before = everything(store)["reading"]
    marks = (
        "sop_key = NULL, exposures_key = NULL, exposures = NULL, content_at = NULL,"
        " patient_key = NULL"
    )
    with duckdb.connect(str(settings.store_file)) as con:
        con.execute(f"UPDATE reading SET started_at = NULL, {marks}")
    with Store.open(settings) as store:
        assert everything(store)["reading"] == before
    with duckdb.connect(str(settings.store_file)) as con:
        con.execute("UPDATE reading SET exposures = NULL")  # as by the version in between
    with Store.open(settings) as store:
        assert everything(store)["reading"] == before
        store.commit([received(moved, 2)])
        assert len(doses(store)) == 1
