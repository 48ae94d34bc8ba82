"""Sizes from outside fill what the device left open, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dose_lib.derived import derive_part, dose_factors, fill_size
from dose_lib.records import MeasuredSize, SizeMethod, SizeSource
from tests.derived.exams import NINE, child, part

NOTHING = {"weight_kg": None, "height_cm": None}


def size(days: float = 0.0, source: SizeSource = SizeSource.HL7, **values: Any) -> MeasuredSize:
    """Measured so many days before the exam."""
    return MeasuredSize(
        patient_key="k",
        measured_at=NINE - timedelta(days=days),
        source=source,
        received_at=values.pop("received_at", datetime(2026, 6, 1, tzinfo=UTC)),
        **values,
    )


def test_a_gap_is_filled_and_says_from_where_and_how_old_the_value_is() -> None:
    filled = fill_size(part(patient=NOTHING), [size(2, weight_kg=83.0, height_cm=176.0)])
    assert (filled.patient.weight_kg, filled.patient.height_cm) == (83.0, 176.0)
    assert filled.patient.size_source is SizeSource.HL7
    assert filled.patient.size_measured_at == NINE - timedelta(days=2)
    evidence = filled.derived["patient.weight_kg"]
    assert evidence.value == 83.0
    assert evidence.inputs == {
        "source": "hl7",
        "measured_at": "2026-05-30T09:00:00",
        "days_before_exam": 2.0,
    }
    assert filled.derived["patient.bmi_kg_per_m2"].value == pytest.approx(83 / 1.76**2)


def test_what_the_device_recorded_stays() -> None:
    recorded = part(patient={"size_source": SizeSource.SR})
    assert fill_size(recorded, [size(weight_kg=90.0, height_cm=190.0)]) == recorded


def test_a_height_alone_is_filled_and_the_weight_keeps_its_source() -> None:
    given = part(patient={"height_cm": None, "size_source": SizeSource.SR})
    filled = fill_size(given, [size(400, weight_kg=90.0, height_cm=181.0)])
    assert (filled.patient.weight_kg, filled.patient.height_cm) == (70.0, 181.0)
    assert filled.patient.size_source is SizeSource.SR


@pytest.mark.parametrize(
    ("age_y", "days", "is_used"),
    [(60.0, 89, True), (60.0, 91, False), (4.0, 70, True), (4.0, 75, False), (0.1, 2, False)],
)
def test_a_weight_holds_for_a_while_only(age_y: float, days: float, is_used: bool) -> None:
    kilograms = {60.0: 80.0, 4.0: 16.0, 0.1: 4.0}[age_y]
    filled = fill_size(part(patient=child(age_y)), [size(days, weight_kg=kilograms)])
    assert (filled.patient.weight_kg is not None) is is_used


def test_the_nearest_counts_and_a_correction_of_the_same_moment() -> None:
    old = size(9, weight_kg=80.0)
    wrong = size(1, weight_kg=28.0, received_at=datetime(2026, 6, 1, 1, tzinfo=UTC))
    right = size(1, weight_kg=82.0, received_at=datetime(2026, 6, 1, 2, tzinfo=UTC))
    for order in ([old, wrong, right], [right, old, wrong]):
        assert fill_size(part(patient=NOTHING), order).patient.weight_kg == 82.0


def test_a_weight_no_child_of_this_age_has_is_not_used_and_says_why() -> None:
    filled = fill_size(part(patient=child(3.0)), [size(weight_kg=83.0)])
    assert filled.patient.weight_kg is None
    assert filled.derived["patient.weight_kg"].value is None
    reason = filled.derived["patient.weight_kg"].inputs["reason"]
    assert reason == "83 kg from hl7 is not possible at this age"


def test_the_size_estimate_names_source_and_age_of_the_weight() -> None:
    filled = fill_size(part(patient=NOTHING), [size(3, weight_kg=83.0, height_cm=176.0)])
    derived = derive_part(filled, factors=dose_factors("AAPM-96")).derived
    inputs = derived["patient.water_equivalent_diameter_mm"].inputs
    assert inputs["method"] == SizeMethod.WEIGHT_AND_HEIGHT.value
    assert inputs["weight_source"] == "hl7"
    assert inputs["weight_days_before_exam"] == 3.0
