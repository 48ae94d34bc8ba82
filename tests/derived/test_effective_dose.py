"""Effective dose by published factors; the phantom trap is a refusal, not a wrong number."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from dose_lib.derived import FACTOR_SETS, DoseFactors, dose_factors
from dose_lib.derived.effective_dose import effective_dose
from dose_lib.records import (
    Code,
    DerivedValue,
    Filter,
    Modality,
    Part,
    Patient,
    Phantom,
    XRayEvent,
)
from tests.derived.exams import ABDOMEN, CHEST, HEAD, child, event, localiser, part

AAPM = dose_factors("AAPM-96")
TABLE = Path(__file__).parents[2] / "drl" / "tables" / "dlp_to_effective_dose_k.csv"
COPPER = Code("66925006", "SCT", "Copper")


def dose(exam: Part, factors: DoseFactors = AAPM) -> DerivedValue:
    found = effective_dose(exam, factors)
    assert found is not None
    return found


def reason(exam: Part, factors: DoseFactors = AAPM) -> str:
    found = dose(exam, factors)
    assert found.value is None
    return str(found.inputs["reason"])


def test_every_factor_of_the_table_is_in_a_set() -> None:
    rows = list(csv.DictReader(TABLE.read_text(encoding="utf-8").splitlines()))
    assert sum(len(dose_factors(name).k) for name in FACTOR_SETS) == len(rows)


@pytest.mark.parametrize(
    ("region", "target", "phantom", "k"),
    [
        ("chest", CHEST, "32cm", 0.014),
        ("abdomen-pelvis", ABDOMEN, "32cm", 0.015),
        ("head", HEAD, "16cm", 0.0021),
    ],
)
def test_adults(region: str, target: Code, phantom: str, k: float) -> None:
    """AAPM report 96, table 3."""
    exam = part(event(phantom=Phantom(phantom), target_region=target), body_region=region)
    found = dose(exam)
    assert found.value == pytest.approx(k * 280.0, rel=1e-12)
    assert "AAPM Report 96" in found.formula
    assert found.inputs["age_group"] == "adult"


def test_a_childs_trunk_on_32_cm_is_refused() -> None:
    """The factor assumes 16 cm: used here it would be too low by about two."""
    exam = part(patient=child(5.0))
    assert "16cm phantom, stated on 32cm" in reason(exam)
    right = part(event(phantom=Phantom.HEAD_16CM), patient=child(5.0))
    assert dose(right).value == pytest.approx(0.018 * 280.0)


def test_an_adults_head_on_32_cm_is_refused() -> None:
    exam = part(event(target_region=HEAD), body_region="head")
    assert "16cm phantom" in reason(exam)


def test_sets_that_do_not_say_the_childs_phantom_are_for_adults() -> None:
    lee = dose_factors("LEE-2012-ICRP103")
    assert dose(part(), lee).value == pytest.approx(0.021 * 280.0)
    exam = part(event(phantom=Phantom.HEAD_16CM), patient=child(17.9))
    assert "phantom the DLP of children" in reason(exam, lee)
    adult = part(patient=child(18.0))
    assert dose(adult, lee).value == pytest.approx(0.021 * 280.0)


@pytest.mark.parametrize(
    ("age", "group"),
    [
        (0.0, 0.0), (0.49, 0.0), (0.5, 1.0), (2.99, 1.0), (3.0, 5.0), (7.49, 5.0), (7.5, 10.0),
        (14.99, 10.0), (15.0, None), (40.0, None),
    ],
)  # fmt: skip
def test_edges_of_age_groups(age: float, group: float | None) -> None:
    assert AAPM.group(age) == group


def test_missing_inputs_have_a_reason() -> None:
    assert "age" in reason(part(patient={"age_y": None}))
    assert "phantom" in reason(part(event(phantom=None)))
    assert "DLP" in reason(part(event(dlp_mgy_cm=None)))
    nowhere = part(event(target_region=None), body_region=None, procedure_name=None)
    assert "not known" in reason(nowhere)
    assert "extremity" in reason(part(event(target_region=None), body_region="extremity"))


def test_each_acquisition_has_the_factor_of_its_region() -> None:
    head = event(target_region=HEAD, phantom=Phantom.HEAD_16CM, dlp_mgy_cm=900.0)
    exam = part(head, event(), body_region="whole-body")
    assert dose(exam).value == pytest.approx(0.0021 * 900 + 0.014 * 280)
    assert dose(exam).inputs["regions"] == "chest, head"


def test_a_long_scan_coded_as_one_region_has_the_exams_factor() -> None:
    exam = part(event(target_region=CHEST, dlp_mgy_cm=600.0), body_region="chest-abdomen-pelvis")
    assert dose(exam).value == pytest.approx(0.015 * 600)


def test_localisers_count_and_little_may_be_left_out() -> None:
    with_localiser = part(localiser(), event())
    assert dose(with_localiser).value == pytest.approx(0.014 * 284)
    odd = event(phantom=None, dlp_mgy_cm=14.0)  # 14 of 294: under 5 %
    found = dose(part(event(), odd))
    assert found.value == pytest.approx(0.014 * 280)
    assert found.inputs["left_out_share"] == pytest.approx(14 / 294, abs=1e-6)
    too_much = event(phantom=None, dlp_mgy_cm=15.0)
    assert "phantom" in reason(part(event(), too_much))


def heart(*events: XRayEvent, age_y: float = 60.0) -> Part:
    return Part(
        part_key="p",
        study_uid="1",
        modality=Modality.XA,
        body_region="heart",
        patient=Patient(age_y=age_y),
        events=events,
    )


def beam(copper_mm: float | None, kap: float = 10.0, **values: Any) -> XRayEvent:
    layer = Filter(material=COPPER, thickness_min_mm=copper_mm, thickness_max_mm=copper_mm)
    return XRayEvent(kap_gy_cm2=kap, filters=(layer,), **values)


@pytest.mark.parametrize(
    ("copper", "factor"), [(0.0, 0.16), (0.1, 0.27), (0.4, 0.34), (0.9, 0.40), (0.65, 0.37)]
)
def test_interventions_on_the_heart(copper: float, factor: float) -> None:
    assert dose(heart(beam(copper))).value == pytest.approx(10 * factor)


def test_interventions_without_filter_or_table() -> None:
    assert "filtration" in reason(heart(XRayEvent(kap_gy_cm2=10.0)))
    assert "filtration" in reason(heart(beam(1.0)))
    assert "adults" in reason(heart(beam(0.1), age_y=10.0))
    assert "KAP" in reason(heart(XRayEvent()))


def test_other_projections_have_no_method() -> None:
    exam = Part(part_key="p", study_uid="1", modality=Modality.DX, body_region="chest")
    assert effective_dose(exam, AAPM) is None
