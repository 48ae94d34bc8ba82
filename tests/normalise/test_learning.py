"""What a name may mean: sure only where nothing but spelling differs from a known one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dose_lib.normalise import KnownName, SiteFacts, suggest_names
from dose_lib.records import Modality

KNOWN = [
    KnownName("Thorax Zwickel seriell 2", "CT Chest", 50),
    KnownName("CT Thorax", "CT Chest", 900),
    KnownName("CTPA", "CTPA", 100),
    KnownName("CT Abdomen Becken", "CT Abdomen Pelvis", 300),
]
SURE = SiteFacts().accept_from


@pytest.mark.parametrize(
    ("text", "is_sure"),
    [
        ("THORAX ZWICKEL SERIELL 2", True),
        ("Thx Zwickel seriell (2)", True),  # the same concepts in other words
        ("Thorax Zwickl seriell 2", True),  # a letter is missing
        ("2 Zwickel seriell Thorax", True),
        ("Thorax Zwickel seriell 3", False),  # a number may matter
        ("Thorax Zwickel 2", False),  # a word is missing
        ("Thorax Zwickel seriell spät 2", False),
        ("Abdomen Zwickel seriell 2", False),  # another region
        ("CTA Thorax Zwickel seriell 2", False),  # another examination
        ("Thorax PE", False),
        ("", False),
    ],
)
def test_only_spelling_may_differ(text: str, is_sure: bool) -> None:
    found = suggest_names(text, Modality.CT, known=KNOWN)
    best = found[0] if found else None
    assert (best is not None and best.confidence >= SURE) is is_sure
    if is_sure and best is not None:
        assert best.procedure_name == "CT Chest"
        assert "like 'Thorax Zwickel seriell 2' (50 exams)" in best.evidence


def test_what_was_irradiated_elsewhere_is_not_likely() -> None:
    text = "Thorax Zwickel seriell 2"
    there = suggest_names(text, Modality.CT, known=KNOWN, done_region="chest")
    elsewhere = suggest_names(text, Modality.CT, known=KNOWN, done_region="head")
    assert there[0].confidence > SURE > elsewhere[0].confidence
    assert "but irradiated: head" in elsewhere[0].evidence


def test_a_place_is_a_hint_and_no_proof() -> None:
    (one, *_) = suggest_names(
        "Protokoll Q", Modality.CT, known=KNOWN, done_region="abdomen-pelvis", is_region_coded=True
    )
    assert one.procedure_name == "CT Abdomen Pelvis"
    assert one.confidence < 0.5
    assert suggest_names("Protokoll Q", Modality.CT) == ()


def test_two_procedures_of_one_name_make_neither_sure() -> None:
    twice = [*KNOWN, KnownName("Thorax Zwickel seriell 2", "CTPA", 60)]
    found = suggest_names("Thorax zwickel seriell 2", Modality.CT, known=twice)
    assert found[0].confidence < SURE


@given(st.permutations(KNOWN), st.sampled_from(["Thx zwickel 2", "CT Thorax alt", "PE Q", "x"]))
def test_the_order_of_known_names_does_not_matter(known: list[KnownName], text: str) -> None:
    assert set(suggest_names(text, Modality.CT, known=known)) == set(
        suggest_names(text, Modality.CT, known=KNOWN)
    )
