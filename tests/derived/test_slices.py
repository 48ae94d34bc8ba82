"""Which event an image belongs to, which series of it counts, and what the exam has then.

Two phases of a chest and abdomen, and a localiser before them::

    events   0 localiser 09:00:00   1 spiral 09:01:00 (280 mGy·cm)   2 spiral 09:03:00 (560)
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import msgspec
import pytest

from dose_lib.codes import ACQUISITION_NUMBER
from dose_lib.derived import derive_part, dose_factors
from dose_lib.derived.derive import SIZE, SSDE_MAX
from dose_lib.derived.pixels import SliceSize
from dose_lib.derived.slices import Place, derived_slice, slice_name, slice_not_measured
from dose_lib.derived.ssde import conversion_factor
from dose_lib.records import Code, CtEvent, DerivedValue, Part, Phantom
from tests.derived.exams import ABDOMEN, HEAD, NINE, event, localiser, part

FACTORS = dose_factors("AAPM-96")
NUMBER = Code(*ACQUISITION_NUMBER)
Slices = dict[str, DerivedValue]


def at(minute: int, second: int = 0) -> datetime:
    return NINE + timedelta(minutes=minute, seconds=second)


def phases() -> tuple[CtEvent, ...]:
    first = {"event_uid": "1.1", "label": "2", "label_type": NUMBER, "started_at": at(1)}
    second = {"event_uid": "1.2", "label": "3", "label_type": NUMBER, "started_at": at(3)}
    scout = msgspec.structs.replace(localiser(), event_uid="1.0", started_at=at(0))
    return scout, event(**first), event(**second, dlp_mgy_cm=560.0, target_region=ABDOMEN)


def images(diameter_mm: float, uid: str, n: int = 4, *, cut: int = 0, **said: Any) -> Slices:
    """Slices of a series around a diameter; the first `cut` of them cut the patient off."""
    made = {}
    for k in range(n):
        size = SliceSize(diameter_mm + k - (n - 1) / 2, 320.0, -50.0, 8e4, 0.1 * (k < cut))
        place = Place(**{"series_uid": uid, "z_mm": 10.0 * k, **said})
        made[slice_name(f"{uid}.{k}")] = derived_slice(size, place)
    return made


def derive(exam: Part) -> Part:
    return derive_part(exam, factors=FACTORS)


def diameter(exam: Part, place: int) -> DerivedValue:
    return exam.derived[f"events[{place}].water_equivalent_diameter_mm"]


@pytest.mark.parametrize(
    ("said", "by"),
    [
        (({"event_uid": "1.1"}, {"event_uid": "1.2"}), "irradiation event UID"),
        (({"acquisition": "2"}, {"acquisition": "3"}), "acquisition number"),
        (({"acquired_at": at(1, 5)}, {"acquired_at": at(3, 5)}), "acquisition time"),
        (({"event_uid": "9", "acquired_at": at(1)}, {"acquisition": "3"}), None),
    ],
)
def test_each_event_has_the_size_of_its_own_images(
    said: tuple[dict[str, Any], ...], by: str | None
) -> None:
    derived = images(300.0, "7", **said[0]) | images(330.0, "8", **said[1])
    exam = derive(part(*phases(), derived=derived))
    assert (diameter(exam, 1).value, diameter(exam, 2).value) == (300.0, 330.0)
    if by is not None:
        assert diameter(exam, 1).inputs["assigned_by"] == by
    for place, cm in ((1, 30.0), (2, 33.0)):
        factor = conversion_factor(cm, Phantom.BODY_32CM)
        ssde = exam.derived[f"events[{place}].ssde_mgy"]
        assert ssde.value == pytest.approx(8.0 * (factor or 0), rel=1e-11)
    # The exam: weighted by DLP.
    assert exam.derived[SIZE].value == pytest.approx((300 * 280 + 330 * 560) / 840)
    assert exam.derived[SIZE].inputs["n_slices"] == 8.0
    assert not [i for i in exam.issues if i.code.startswith("size_")]
    assert derive(exam) == exam


def test_images_of_nothing_diagnostic_measure_nobody() -> None:
    scouts = images(500.0, "6", event_uid="1.0")
    exam = derive(part(*phases(), derived=scouts | images(300.0, "7", event_uid="1.1")))
    assert exam.derived[SIZE].value == 300.0
    assert "events[0].water_equivalent_diameter_mm" not in exam.derived


def test_images_that_name_no_event_are_of_the_only_one_or_of_the_exam() -> None:
    only = derive(part(localiser(), event(), derived=images(300.0, "7")))
    assert diameter(only, 1).inputs["assigned_by"] == "only diagnostic event"
    both = derive(part(*phases(), derived=images(300.0, "7")))
    assert both.derived[SIZE].value == 300.0
    assert "events[1].water_equivalent_diameter_mm" not in both.derived
    assert both.derived["events[1].ssde_mgy"].inputs["size_of"] == "exam"


def test_an_event_without_images_states_its_own_or_has_that_of_the_exam() -> None:
    own = images(300.0, "7", event_uid="1.1")
    scout, first, second = phases()
    stated = msgspec.structs.replace(second, water_equivalent_diameter_mm=350.0)
    exam = derive(part(scout, first, stated, derived=own))
    assert exam.derived["events[2].ssde_mgy"].inputs["diameter_mm"] == 350.0
    # Another region than the one that was measured: by weight and height.
    elsewhere = derive(part(scout, first, second, derived=own))
    assert elsewhere.derived["events[2].ssde_mgy"].inputs["method"] == "weight_and_height"
    same = msgspec.structs.replace(second, target_region=first.target_region)
    exam = derive(part(scout, first, same, derived=own))
    assert exam.derived["events[2].ssde_mgy"].inputs["method"] == "image"


def test_a_head_says_nothing_of_the_trunk() -> None:
    scout, first, second = phases()
    head = msgspec.structs.replace(first, target_region=HEAD, phantom=Phantom.HEAD_16CM)
    derived = images(180.0, "7", event_uid="1.1") | images(330.0, "8", event_uid="1.2")
    exam = derive(part(scout, head, second, derived=derived))
    assert exam.derived[SIZE].value == 330.0


def test_of_reconstructions_the_one_that_shows_the_whole_patient_counts() -> None:
    """A small field first, a lung kernel, thick slices made of others: one series counts."""
    small = images(250.0, "5", 9, cut=9, event_uid="1.1")
    whole = images(300.0, "7", 5, event_uid="1.1")
    thick = images(299.0, "6", 9, event_uid="1.1", is_original=False)
    groups = [small, whole, thick]
    for order in permutations(groups):
        derived = {name: value for group in order for name, value in group.items()}
        exam = derive(part(*phases()[:2], derived=derived))
        assert diameter(exam, 1).value == 300.0
        assert diameter(exam, 1).inputs["n_series"] == 3.0
        assert diameter(exam, 1).inputs["confidence"] == "high"
        assert not exam.issues


def test_the_central_slice_is_named_beside_the_mean() -> None:
    exam = derive(part(*phases()[:2], derived=images(300.0, "7", 5)))
    inputs = diameter(exam, 1).inputs
    assert (inputs["centre_slice_mm"], inputs["z_from_mm"], inputs["z_to_mm"]) == (300.0, 0.0, 40.0)
    assert (inputs["smallest_mm"], inputs["largest_mm"]) == (298.0, 302.0)


@pytest.mark.parametrize(("cut", "confidence"), [(1, "high"), (2, "high"), (3, "low")])
def test_cut_off_images_are_left_out_and_told(cut: int, confidence: str) -> None:
    """Ten images; above a fifth of them the mean is in doubt."""
    exam = derive(part(*phases()[:2], derived=images(300.0, "7", 10, cut=cut)))
    inputs = diameter(exam, 1).inputs
    assert (inputs["n_slices"], inputs["n_truncated"]) == (10.0 - cut, cut)
    assert inputs["confidence"] == confidence
    assert exam.derived["events[1].ssde_mgy"].inputs["confidence"] == confidence
    assert [(i.code, i.seen) for i in exam.issues] == [
        ("size_cut_off", "3 of 10 images cut the patient off")
    ][: confidence == "low"]


def test_where_most_images_cut_the_patient_off_the_next_method_counts() -> None:
    exam = derive(part(*phases()[:2], derived=images(300.0, "7", 10, cut=6)))
    assert diameter(exam, 1).value is None
    assert diameter(exam, 1).inputs["at_least_mm"] == 300.0
    assert exam.derived[SIZE].inputs["method"] == "weight_and_height"
    assert exam.derived[SSDE_MAX].inputs["method"] == "weight_and_height"
    (issue,) = exam.issues
    assert (issue.code, issue.where) == ("size_cut_off", "events[1]")


def test_few_images_are_in_doubt() -> None:
    exam = derive(part(*phases()[:2], derived=images(300.0, "7", 2)))
    assert (diameter(exam, 1).inputs["confidence"], exam.issues) == ("low", ())


def test_what_could_not_be_measured_leaves_an_issue() -> None:
    lost = {slice_name(f"3.{n}"): slice_not_measured("no decoder for X") for n in range(3)}
    exam = derive(part(*phases(), derived=lost))
    (issue,) = exam.issues
    assert (issue.code, issue.seen) == ("size_not_measured", "3 images: no decoder for X")
    assert exam.derived[SIZE].inputs["method"] == "weight_and_height"
    assert derive(exam) == exam
