"""Findings about exams that no longer stand: closed with the reason, opened again, or gone.

| the exam                                      | its finding                               |
| --------------------------------------------- | ----------------------------------------- |
| is withdrawn by a note, or moved              | closed, with the reason of the ledger     |
| counts again                                  | as it was before                          |
| was withdrawn before the detector had answered | closed at once                           |
| is corrected; the detector finds nothing now  | closed; open when it finds it again       |
| is not corrected                              | stays, whatever a detector finds          |
| is erased, withdrawn or not                   | gone                                      |
| is none of the machine's business any more    | as the person says                        |
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from dose_lib.records import Decision
from dose_lib.settings import Settings
from dose_lib.store import LookedAt, Store, rebuild
from tests.store.exams import ARRIVED
from tests.store.received import key_objects, numbered, received
from tests.store.test_decisions import a_finding
from tests.store.test_people import decide
from tests.store.test_standing import report, uids

EXAM = report()
MOVED = report(study_uid="1.2.3.4.5", sop_instance_uid="1.2.3.4.5.6")
PART = received(EXAM, 0).parts[0].part_key
DETECTOR = a_finding().detector
IN_OTHER_STUDY = "the exam counts no longer: the same exposures were received again under another"


class Clock:
    """A second later each time."""

    def __init__(self) -> None:
        self.now = ARRIVED + timedelta(days=1)

    def __call__(self) -> Any:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """A store with the real steps, one exam, and a finding about it."""
    with Store.open(settings, clock=Clock()) as opened:
        opened.commit(numbered([EXAM]))
        opened.add_findings([a_finding(part_key=PART)])
        yield opened


def state(store: Store) -> tuple[str, str | None]:
    """State of the finding, and by whom."""
    ((said, by),) = store.sql("SELECT state, state_by FROM findings")
    return said, by


def note(store: Store) -> str:
    return str(store.sql("SELECT state_note FROM findings")[0][0])


def answer(store: Store, word: str) -> None:
    payload = {"state": word}
    subject = a_finding().finding_id
    store.decide(
        Decision(kind="finding_state", subject=subject, payload=payload, author="physicist")
    )


def look(store: Store, *found: str) -> None:
    store.review(LookedAt(part_keys=(PART,), detectors=(DETECTOR,), found=frozenset(found)))


def test_withdrawn_exams_close_their_findings(store: Store) -> None:
    (outcome,) = store.commit([received(key_objects("113037", *uids(EXAM)), 2)])
    assert state(store) == ("closed", "doseloop")
    assert "Rejected for Patient Safety Reasons (113037)" in note(store)
    assert outcome.parts == ()


def test_an_exam_that_counts_again_has_its_finding_back(store: Store) -> None:
    answer(store, "acknowledged")
    store.commit([received(MOVED, 2)])
    assert state(store) == ("closed", "doseloop")
    assert note(store).startswith(IN_OTHER_STUDY)
    (outcome,) = store.commit([received(key_objects("113038", *uids(MOVED)), 3)])
    assert state(store) == ("acknowledged", "doseloop")
    assert outcome.parts == (), "the study that the note names has nothing left"


def test_what_a_person_says_afterwards_holds(store: Store) -> None:
    store.commit([received(MOVED, 2)])
    answer(store, "open")
    store.commit([received(MOVED, 3), received(report(9), 4)])
    assert state(store) == ("open", "physicist")
    answer(store, "dismissed")
    store.commit([received(key_objects("113038", *uids(MOVED)), 5)])
    assert state(store) == ("dismissed", "physicist")


def test_a_finding_that_comes_late_is_closed_at_once(store: Store) -> None:
    store.commit([received(MOVED, 2)])
    store.add_findings([a_finding(finding_id="0" * 16, part_key=PART)])
    assert set(store.sql("SELECT state FROM findings")) == {("closed",)}


def test_a_corrected_exam_closes_what_is_not_found_any_more(store: Store) -> None:
    look(store)
    assert state(store) == ("open", None), "nothing was corrected"
    store.commit([received(report(dlp_total_mgy_cm=3.0), 2)])
    assert state(store) == ("open", None), "nobody has looked yet"
    store.review(LookedAt(part_keys=(PART,), detectors=("another",), found=frozenset()))
    assert state(store) == ("open", None), "its detector has not looked"
    look(store)
    assert state(store) == ("closed", "doseloop")
    assert note(store) == "the exam was corrected, and nothing is found in it any more"
    look(store, a_finding().finding_id)
    assert state(store) == ("open", "doseloop")


def test_erased_exams_leave_no_finding(store: Store, settings: Settings) -> None:
    patient = received(EXAM, 0).parts[0].patient.patient_key or ""
    store.commit([received(MOVED, 2)])
    store.decide(decide("patient_erase", patient, 10_000, scope="everything"))
    assert store.sql("SELECT count(*) FROM finding") == [(0,)]
    assert store.journals.findings.read() == []


def test_a_rebuild_knows_the_answers(store: Store, settings: Settings) -> None:
    objects = numbered([EXAM, MOVED])
    store.commit(objects)
    before = store.sql("SELECT * FROM findings"), sorted(store.sql("SELECT * FROM decisions"))
    assert state(store) == ("closed", "doseloop")
    store.close()
    shutil.rmtree(settings.store_file.parent)
    rebuild(settings, objects)
    with Store.open(settings) as again:
        found = again.sql("SELECT * FROM findings"), sorted(again.sql("SELECT * FROM decisions"))
    assert found == before
