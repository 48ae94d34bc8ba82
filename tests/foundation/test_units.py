"""Units: every spelling seen in real files, and nothing guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dose_lib.records import contract
from dose_lib.units import canonical_units, factor, fold_unit

# (recorded, canonical, factor): dicom_dose §1.6 and the units found in real files.
SEEN = [
    ("Gy.m2", "Gy.cm2", 1e4),
    ("Gym2", "Gy.cm2", 1e4),
    ("dGy.cm2", "Gy.cm2", 0.1),
    ("cGy.cm2", "Gy.cm2", 0.01),
    ("mGy.cm2", "Gy.cm2", 1e-3),
    ("uGy.m2", "Gy.cm2", 0.01),
    ("µGy.m2", "Gy.cm2", 0.01),
    ("Gy.cm^2", "Gy.cm2", 1.0),
    ("Gy.cm2", "Gy.cm2", 1.0),
    ("Gy", "mGy", 1000.0),
    ("mGy", "mGy", 1.0),
    ("dGy", "mGy", 100.0),
    ("uGy", "mGy", 1e-3),
    ("mGy.cm", "mGy.cm", 1.0),
    ("mGycm", "mGy.cm", 1.0),
    ("mGy*cm", "mGy.cm", 1.0),
    ("uA.s", "mA.s", 1e-3),
    ("uAs", "mA.s", 1e-3),
    ("mAs", "mA.s", 1.0),
    ("ms", "s", 1e-3),
    ("s", "ms", 1000.0),
    ("m2", "cm2", 1e4),
    ("{pulse}/s", "Hz", 1.0),
    ("pulse/s", "Hz", 1.0),
    ("{X-Ray sources}", "1", 1.0),
    ("X-ray sources", "1", 1.0),
    ("{events}", "1", 1.0),
    ("no units", "1", 1.0),
    ("Bq", "MBq", 1e-6),
    ("mCi", "MBq", 37.0),
    ("mGy x cm", "mGy.cm", 1.0),
    ("dGy*cm*cm", "Gy.cm2", 0.1),
    ("mcGy.m2", "Gy.cm2", 0.01),
    ("mGy.cm2{total}", "Gy.cm2", 1e-3),
    ("{exposures}", "1", 1.0),
    ("{img}/s", "Hz", 1.0),
    ("sec", "ms", 1000.0),
]


@pytest.mark.parametrize(("recorded", "to", "expected"), SEEN)
def test_seen_spellings(recorded: str, to: str, expected: float) -> None:
    assert factor(recorded, to) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("recorded", "to"),
    [
        ("Gy.m-2", "Gy.cm2"),
        ("Gy/m2", "Gy.cm2"),
        ("mA/s", "Hz"),
        ("mGy", "Gy.cm2"),
        ("Gy.cm2", "mGy"),
        ("furlong", "mm"),
        ("kV", "mA"),
    ],
)
def test_a_unit_of_another_quantity_is_refused(recorded: str, to: str) -> None:
    assert factor(recorded, to) is None


def test_an_unknown_target_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError):
        factor("mGy", "rad")


def test_every_unit_of_the_contract_can_be_converted_to() -> None:
    units = {c.unit for c in contract() if c.unit}
    assert units <= canonical_units()


@given(st.sampled_from(SEEN), st.sampled_from(["", " ", ".", "*", "·"]))
def test_dots_and_spaces_never_change_a_factor(row: tuple[str, str, float], dot: str) -> None:
    recorded, to, expected = row
    assert factor(recorded.replace(".", dot), to) == pytest.approx(expected, rel=1e-15)


def test_folding_is_stable() -> None:
    for recorded, _, _ in SEEN:
        assert fold_unit(fold_unit(recorded)) == fold_unit(recorded)
