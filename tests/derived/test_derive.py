"""A part with all that we compute: values with their formula, or None with the reason."""

from __future__ import annotations

import math

import msgspec
import pytest

from dose_lib.derived import NAMES, derive_part, dose_factors
from dose_lib.derived.derive import EFFECTIVE_DOSE, SIZE, SSDE_MAX, SSDE_MEAN
from dose_lib.derived.pixels import SliceSize
from dose_lib.derived.slices import derived_slice, slice_name
from dose_lib.records import CtAcquisitionType, DerivedValue, Modality, Part, Phantom, SizeMethod
from tests.derived.exams import HEAD, child, event, localiser, part

FACTORS = dose_factors("AAPM-96")


def derive(exam: Part) -> Part:
    return derive_part(exam, factors=FACTORS)


def test_an_exam_of_two_phases() -> None:
    exam = derive(part(localiser(), event(), event(ctdi_vol_mgy=10.0, dlp_mgy_cm=350.0)))
    size = exam.derived[SIZE]
    assert size.value == pytest.approx(10 * (20 + 20 * 8 / 70))
    assert size.inputs["method"] == SizeMethod.WEIGHT_AND_HEIGHT
    factor = 3.704369 * math.exp(-0.03671937 * size.value / 10)
    assert exam.derived["events[1].ssde_mgy"].value == pytest.approx(8 * factor, rel=1e-11)
    assert exam.derived[SSDE_MAX].value == pytest.approx(10 * factor, rel=1e-11)
    mean = (8 * 280 + 10 * 350) / 630 * factor
    assert exam.derived[SSDE_MEAN].value == pytest.approx(mean, rel=1e-11)
    assert exam.derived[EFFECTIVE_DOSE].value == pytest.approx(0.014 * 634)
    assert "events[0].ssde_mgy" not in exam.derived


def test_twice_is_once() -> None:
    once = derive(part(event()))
    assert derive(once) == once


def test_what_reading_computed_stays() -> None:
    own = DerivedValue(value=1.0, formula="x", version="1")
    exam = derive(part(derived={"patient.bmi_kg_per_m2": own}))
    assert exam.derived["patient.bmi_kg_per_m2"] == own


def test_every_value_has_formula_version_and_inputs() -> None:
    for exam in (part(), part(patient=child(3.0)), part(event(phantom=None)), part(localiser())):
        derived = derive(exam).derived
        assert set(NAMES) <= set(derived)
        for value in derived.values():
            assert value.formula
            assert value.version
            assert value.inputs.get("reason") if value.value is None else value.inputs


def test_heads_have_no_ssde_yet() -> None:
    head = event(target_region=HEAD, phantom=Phantom.HEAD_16CM)
    exam = derive(part(head, body_region="head"))
    assert exam.derived[SSDE_MAX].value is None
    assert "293" in str(exam.derived[SSDE_MAX].inputs["reason"])
    assert exam.derived[EFFECTIVE_DOSE].value == pytest.approx(0.0021 * 280)


def test_an_adult_known_by_age_only_has_no_ssde() -> None:
    exam = derive(part(patient={"weight_kg": None, "height_cm": None}))
    assert exam.derived[SIZE].inputs["method"] == SizeMethod.AGE_BAND
    assert exam.derived[SSDE_MAX].value is None
    small = derive(part(patient=child(4.0)))
    assert small.derived[SSDE_MAX].value is not None
    assert small.derived[SSDE_MAX].inputs["method"] == SizeMethod.AGE_BAND


def test_bolus_tracking_and_stationary_scans_have_none() -> None:
    tracking = event(acquisition_type=CtAcquisitionType.STATIONARY, ctdi_vol_mgy=90.0)
    exam = derive(part(tracking, event()))
    assert "events[0].ssde_mgy" not in exam.derived
    assert exam.derived[SSDE_MAX].inputs["event"] == 1.0


def test_a_size_from_an_image_beats_all_others() -> None:
    size = SliceSize(300.0, 310.0, -60.0, 75_000.0, 0.0)
    stated = event(water_equivalent_diameter_mm=250.0)
    cut_off = size._replace(water_equivalent_diameter_mm=280.0, truncated_share=0.1)
    larger = size._replace(water_equivalent_diameter_mm=310.0)
    slices = {slice_name(f"1.{n}"): derived_slice(s) for n, s in enumerate((size, larger, cut_off))}
    exam = derive(part(stated, derived=slices))
    assert exam.derived[SIZE].value == 305.0
    assert exam.derived[SIZE].inputs["n_slices"] == 2.0
    assert exam.derived[SIZE].inputs["n_truncated"] == 1.0
    assert exam.derived[SSDE_MAX].inputs["method"] == SizeMethod.IMAGE
    assert derive(exam) == exam


def test_phantoms_have_no_patient_doses() -> None:
    assert not derive(part(is_patient=False)).derived


def test_other_modalities_are_left_alone() -> None:
    exam = Part(part_key="p", study_uid="1", modality=Modality.MG)
    assert derive(exam) == exam


def test_derived_values_survive_json() -> None:
    exam = derive(part())
    assert msgspec.json.decode(msgspec.json.encode(exam), type=Part) == exam
