"""Sizes from outside in the store: in any order of arrival, once each, gone with their patient."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from dose_lib.records import Decision, MeasuredSize, Part, Patient, Sex, SizeSource
from dose_lib.settings import Settings
from dose_lib.store import Store, rebuild
from tests.store.exams import ARRIVED, START, ct_part, incoming

ANN, BEN = "a" * 64, "b" * 64


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """A fresh store with the site's own steps."""
    with Store.open(settings) as opened:
        yield opened


def exam(study: str = "1.1", patient: str = ANN, **given: Any) -> Part:
    """A CT of an adult whose size no device recorded."""
    who = Patient(patient_key=patient, is_linked=True, age_y=54.0, sex=Sex.F, **given)
    return ct_part(study, patient=who)


def measured(days: float = 1.0, weight_kg: float = 83.0, key: str = ANN) -> MeasuredSize:
    """So many days before the exam."""
    return MeasuredSize(
        patient_key=key,
        measured_at=START - timedelta(days=days),
        weight_kg=weight_kg,
        height_cm=176.0,
        source=SizeSource.HL7,
        received_at=ARRIVED,
    )


def sizes(store: Store) -> dict[str, tuple[Any, ...]]:
    query = "SELECT study_uid, weight_kg, height_cm, size_source, size_method FROM studies"
    return {row[0]: row[1:] for row in store.sql(query)}


FILLED = (83.0, 176.0, "hl7", "weight_and_height")


def test_a_size_that_was_here_first_fills_the_exam(store: Store) -> None:
    assert store.add_sizes([measured()]) == 0
    store.commit([incoming(exam())])
    assert sizes(store) == {"1.1": FILLED}


def test_a_size_that_comes_later_makes_the_exam_anew_once(store: Store) -> None:
    store.commit([incoming(exam()), incoming(exam("1.2", BEN), number=1)])
    before = store.sql("SELECT derived_ssde_max_mgy FROM studies WHERE study_uid = '1.1'")
    assert store.add_sizes([measured()]) == 1
    assert store.add_sizes([measured()]) == 0
    assert sizes(store) == {"1.1": FILLED, "1.2": (None, None, None, "age_band")}
    after = store.sql("SELECT derived_ssde_max_mgy FROM studies WHERE study_uid = '1.1'")
    assert before == [(None,)]
    assert after[0][0] > 0
    assert store.add_sizes([measured(days=0.5, weight_kg=84.0)]) == 1  # nearer to the exam
    assert sizes(store)["1.1"][0] == 84.0


def test_a_recorded_weight_is_not_touched_and_not_lent_as_measured_then(store: Store) -> None:
    store.commit([incoming(exam(weight_kg=70.0, height_cm=170.0))])
    assert store.add_sizes([measured()]) == 0
    assert sizes(store)["1.1"][:3] == (70.0, 170.0, None)


def test_what_no_human_weighs_is_not_kept(store: Store) -> None:
    store.add_sizes([measured(weight_kg=83000.0)])
    assert store.sql("SELECT count(*) FROM patient_size") == [(0,)]


def test_merged_patients_share_their_sizes(store: Store) -> None:
    store.decide(_decision("patient_merge", BEN, surviving=ANN))
    store.commit([incoming(exam("1.1", BEN)), incoming(exam("1.2", ANN), number=1)])
    assert store.add_sizes([measured(key=BEN)]) == 2
    assert set(sizes(store).values()) == {FILLED}


@pytest.mark.parametrize("scope", ["everything", "identities"])
def test_sizes_go_with_an_erased_patient_and_stay_out(store: Store, scope: str) -> None:
    store.add_sizes([measured(), measured(key=BEN)])
    store.decide(_decision("patient_erase", ANN, scope=scope, cause="request"))
    store.add_sizes([measured()])
    assert store.sql("SELECT patient_key FROM patient_size") == [(BEN,)]


def test_a_rebuild_keeps_them(settings: Settings) -> None:
    with Store.open(settings) as store:
        store.commit([incoming(exam())])
        store.add_sizes([measured()])
    rebuild(settings, [incoming(exam())])
    with Store.open(settings) as store:
        assert sizes(store) == {"1.1": FILLED}


def _decision(kind: str, subject: str, **payload: str) -> Decision:
    at = ARRIVED + timedelta(days=30)
    return Decision(kind=kind, subject=subject, payload=payload, author="officer", decided_at=at)
