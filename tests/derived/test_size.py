"""The ladder of sizes: the best method counts, and each value says which it was."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dose_lib.derived import OtherStudy, Size, measure_size, reference_body
from dose_lib.derived.size import trunk_diameter_cm
from dose_lib.records import Code, CtEvent, Sex, SizeMethod
from tests.derived.exams import ABDOMEN, NINE, child, event, localiser, part

FROM_LOCALISER = Code("113984", "DCM", "Water Equivalent Diameter From Localizer")
EARLIER = OtherStudy(NINE - timedelta(days=30), 80.0, 175.0)


def by(size: Size) -> SizeMethod | None:
    return size.method


def test_each_rung_is_used_where_the_better_ones_are_missing() -> None:
    """The same patient, with less and less known."""
    full = event(
        water_equivalent_diameter_mm=250.0,
        water_equivalent_diameter_method=FROM_LOCALISER,
    )
    steps = [
        (part(full), SizeMethod.LOCALISER),
        (part(event(water_equivalent_diameter_mm=251.0)), SizeMethod.REPORT),
        (part(event(effective_diameter_mm=260.0)), SizeMethod.EFFECTIVE_DIAMETER),
        (part(event(ap_mm=200.0, lateral_mm=320.0)), SizeMethod.EFFECTIVE_DIAMETER),
        (part(), SizeMethod.WEIGHT_AND_HEIGHT),
        (part(patient={"height_cm": None}), SizeMethod.WEIGHT),
        (part(patient={"weight_kg": None, "height_cm": None}), SizeMethod.OTHER_STUDY),
    ]
    for exam, expected in steps:
        assert by(measure_size(exam, [EARLIER])) is expected
    assert by(measure_size(steps[-1][0])) is SizeMethod.AGE_BAND
    used = [*dict.fromkeys(method for _, method in steps), SizeMethod.AGE_BAND]
    assert used == list(SizeMethod)[1:]  # the first is measured on images, on their arrival


def test_the_middle_of_several_events_counts() -> None:
    events = [event(water_equivalent_diameter_mm=d) for d in (240.0, 300.0, 260.0)]
    found = measure_size(part(*events))
    assert found.diameter_mm == 260.0
    assert found.inputs["n_events"] == 3
    assert measure_size(part(*events), event=events[1]).diameter_mm == 300.0


def test_implausible_statements_are_passed_over() -> None:
    exam = part(event(water_equivalent_diameter_mm=3.1))
    assert by(measure_size(exam)) is SizeMethod.WEIGHT_AND_HEIGHT


@pytest.mark.parametrize("region", ["head", "neck", "head-neck", "extremity", "breast", None])
def test_where_weight_says_nothing_there_is_a_reason(region: str | None) -> None:
    found = measure_size(part(event(target_region=None), body_region=region))
    assert found.diameter_mm is None
    assert "no relation" in (found.reason or "")


def test_without_an_age_there_is_no_estimate() -> None:
    found = measure_size(part(patient={"age_y": None}))
    assert found.diameter_mm is None
    assert "age" in (found.reason or "")


def test_published_relations_of_adults() -> None:
    """Huda 2010: 20 cm at 50 kg, 28 cm at 120 kg; O'Neill 2018: 0.76 BMI + 9.4."""
    at = {"is_adult": True}
    assert trunk_diameter_cm("chest", 50.0, 170.0, **at) == pytest.approx(20.0)
    assert trunk_diameter_cm("chest", 120.0, 170.0, **at) == pytest.approx(28.0)
    assert trunk_diameter_cm("abdomen-pelvis", 72.25, 170.0, **at) == pytest.approx(28.4)
    both = trunk_diameter_cm("chest-abdomen-pelvis", 70.0, 170.0, **at)
    chest = trunk_diameter_cm("chest", 70.0, 170.0, **at)
    abdomen = trunk_diameter_cm("abdomen", 70.0, 170.0, **at)
    assert both == pytest.approx((chest + abdomen) / 2)


@given(st.floats(3, 60), st.floats(50, 175))
def test_children_are_cylinders(weight: float, height: float) -> None:
    """Twice the weight at the same height: √2 times the diameter."""
    one = trunk_diameter_cm("abdomen", weight, height, is_adult=False)
    two = trunk_diameter_cm("abdomen", 2 * weight, height, is_adult=False)
    assert two / one == pytest.approx(2**0.5)


def test_children_and_adults_meet_at_the_standard_body() -> None:
    for region in ("chest", "abdomen", "chest-abdomen-pelvis"):
        adult = trunk_diameter_cm(region, 70.0, 170.0, is_adult=True)
        assert trunk_diameter_cm(region, 70.0, 170.0, is_adult=False) == pytest.approx(adult)


@pytest.mark.parametrize(
    ("age", "days", "holds"),
    [
        (60.0, 365, True), (60.0, 366, False),
        (1.0, 18, True), (1.0, 19, False),
        (10.0, 182, True), (10.0, 183, False),
    ],
)  # fmt: skip
def test_how_long_a_size_holds(age: float, days: int, holds: bool) -> None:
    exam = part(patient=child(age))
    for direction in (-1, 1):
        other = OtherStudy(NINE + direction * timedelta(days=days), 33.0, 140.0)
        expected = SizeMethod.OTHER_STUDY if holds else SizeMethod.AGE_BAND
        assert by(measure_size(exam, [other])) is expected


def test_the_nearest_other_study_counts_in_any_order() -> None:
    near, far = EARLIER, OtherStudy(NINE + timedelta(days=200), 95.0, 175.0)
    exam = part(patient={"weight_kg": None, "height_cm": None})
    one, two = measure_size(exam, [near, far]), measure_size(exam, [far, near])
    assert one == two
    assert one.inputs["weight_kg"] == 80.0
    assert one.inputs["days_to_other_study"] == 30.0
    twin = OtherStudy(NINE + timedelta(days=30), 82.0, None)
    assert measure_size(exam, [twin, near]) == measure_size(exam, [near, twin]) == one


def test_events_have_the_size_of_their_own_region() -> None:
    exam = part(event(), event(target_region=ABDOMEN), body_region="chest-abdomen")
    chest, abdomen = (measure_size(exam, event=e) for e in exam.events if isinstance(e, CtEvent))
    whole = measure_size(exam)
    assert chest.diameter_mm is not None
    assert abdomen.diameter_mm is not None
    assert whole.diameter_mm == pytest.approx((chest.diameter_mm + abdomen.diameter_mm) / 2)


def test_a_localiser_says_nothing_of_its_own() -> None:
    tagged = localiser()
    assert by(measure_size(part(tagged, event()))) is SizeMethod.WEIGHT_AND_HEIGHT


@pytest.mark.parametrize(
    ("age", "weight", "height"),
    [(0.0, 3.5, 50.0), (1.0, 10.0, 75.0), (5.0, 18.2, 108.5), (10.0, 32.5, 138.5)],
)
def test_reference_bodies_of_children(age: float, weight: float, height: float) -> None:
    """Medians of the growth charts, both sexes."""
    found = reference_body(age)
    assert found.weight_kg == pytest.approx(weight, rel=0.03)
    assert found.height_cm == pytest.approx(height, rel=0.03)
    girl, boy = (reference_body(age, s) for s in (Sex.F, Sex.M))
    assert found.weight_kg == pytest.approx((girl.weight_kg + boy.weight_kg) / 2)


def test_reference_bodies_of_adults() -> None:
    assert reference_body(40.0).weight_kg == 70.0
    assert 160 < reference_body(40.0, Sex.F).height_cm < 165
    assert 174 < reference_body(40.0, Sex.M).height_cm < 178
