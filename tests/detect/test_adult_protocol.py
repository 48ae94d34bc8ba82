"""An adult protocol on a child is found at the first patient; nobody else is called out."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import pytest

from dose_lib.detect import AdultProtocolOnChild, detectors
from dose_lib.detect.size import body_size, reference_weight
from dose_lib.detect.wording import age_in_words
from dose_lib.records import (
    CtAcquisitionType,
    CtEvent,
    Finding,
    Modality,
    Patient,
    Phantom,
    Severity,
)
from dose_lib.reference import published_levels
from dose_lib.settings import Settings
from tests.compare.practice import practice, scan
from tests.detect.children import child

DETECTOR = AdultProtocolOnChild(published_levels())


def look(*parts: Any, history: Any = None) -> tuple[Finding, ...]:
    return DETECTOR.look(parts, history)


def confidence(*parts: Any, history: Any = None) -> str | None:
    found = look(*parts, history=history)
    return str(found[0].evidence["confidence"]) if found else None


# ---- found -----------------------------------------------------------------


def test_the_first_patient_is_found_with_its_evidence() -> None:
    (found,) = look(child())
    assert found.severity is Severity.WARNING
    assert found.subject == found.part_key == "p1"
    assert found.title == "Adult protocol on a child of 4 years: CT Chest"
    e = found.evidence
    assert (e["confidence"], e["adult_by"], e["adult_words"]) == ("high", "name", ["adult"])
    assert e["ctdi_vol_mgy"] == 8.0
    assert e["yardstick_mgy"] == 2.7  # RP 185, 15 to under 30 kg
    assert e["yardstick_ratio"] == pytest.approx(8 / 2.7, abs=0.001)
    assert e["yardstick_is_signed_off"] is False
    assert "Likely cause" in found.summary
    assert "What to do" in found.summary
    assert found.occurred_at == datetime(2026, 6, 1, 9)


@pytest.mark.parametrize(
    ("ctdi_vol_mgy", "words"),
    [(8.0, "3 times the"), (2.7, "about the"), (1.35, "50% of the"), (2.84, "1.1 times the")],
)
def test_a_ratio_reads_as_a_sentence(ctdi_vol_mgy: float, words: str) -> None:
    (found,) = look(child(ctdi_vol_mgy=ctdi_vol_mgy))
    assert f"{words} yardstick" in found.summary


def test_the_same_exam_is_the_same_finding() -> None:
    assert look(child()) == look(child(), child())[:1]
    assert len({f.finding_id for f in look(child(), child())}) == 1
    assert look(child(key="other"))[0].finding_id != look(child())[0].finding_id


def test_the_evidence_is_json_and_holds_no_identifier() -> None:
    text = msgspec.json.encode(look(child(comment="Smith^John"))).decode()
    assert "Smith" not in text
    assert "1.2.3" not in text


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"ctdi_vol_mgy": 8.0}, "high"),
        ({"ctdi_vol_mgy": 2.7 * 1.5}, "high"),
        ({"ctdi_vol_mgy": 2.7 * 1.49}, "medium"),
        ({"ctdi_vol_mgy": 2.7}, "low"),  # the scanner adapted: dose as for a child
        ({"ctdi_vol_mgy": None}, "medium"),  # nothing to measure, the name says it
        ({"phantom": Phantom.HEAD_16CM}, "medium"),  # no yardstick on that phantom
        ({"protocol": "Erwachsene Thorax"}, "high"),
        ({"protocol": "Thorax adulte"}, "high"),
        ({"protocol": "Thorax", "description": "Thorax^01_Thorax (Adult)"}, "high"),
        ({"weight_kg": None}, "high"),  # 17 kg by age
        ({"region": "head", "description": "CT head", "age_y": 2.0, "ctdi_vol_mgy": 60.0}, "high"),
        (
            {"region": "head", "description": "CT head", "age_y": 8.0, "ctdi_vol_mgy": 80.0},
            "medium",
        ),
        # no telling name, the dose tells
        ({"protocol": "ThoraxRoutine"}, "medium"),
        ({"protocol": "ThoraxRoutine", "ctdi_vol_mgy": 2.7 * 2.0}, "medium"),
        ({"protocol": "ThoraxRoutine", "ctdi_vol_mgy": 2.7 * 1.5, "kvp_kv": 120.0}, "medium"),
        ({"protocol": None, "ctdi_vol_mgy": 8.0}, "medium"),
    ],
)
def test_how_sure(fields: dict[str, Any], expected: str) -> None:
    assert confidence(child(**fields)) == expected


def test_low_confidence_is_information_only() -> None:
    assert look(child(ctdi_vol_mgy=2.0))[0].severity is Severity.INFO


def test_a_long_scan_is_measured_by_the_larger_of_its_regions() -> None:
    trunk = child(region="abdomen", description="CT thorax abdomen pelvis", ctdi_vol_mgy=12.0)
    (found,) = look(trunk)
    assert found.evidence["yardstick_mgy"] == 5.4  # abdomen, not chest at 2.7
    assert found.procedure_name == "CT Chest Abdomen Pelvis"


# ---- not found -----------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"protocol": "Thorax^ThoraxRoutineChild (Child)"},
        {"protocol": "Ped Chest 0-5y"},
        {"protocol": "Kinder Thorax"},
        {"protocol": "Thorax 10-20 kg"},
        {"protocol": "Thorax", "description": "Thorax^Thorax (Child)"},
        {"age_y": 16.0},
        {"age_y": 55.0, "weight_kg": 70.0},
        {"age_y": None},
        {"age_y": 15.0, "weight_kg": 62.0},  # a large adolescent
        {"age_y": 9.0, "weight_kg": 50.0},
        {"age_y": 14.0, "weight_kg": None},
        {"region": "head", "description": "CT head", "age_y": 6.0, "ctdi_vol_mgy": 47.0},
        {"region": "head", "description": "CT head", "age_y": 12.0, "ctdi_vol_mgy": 60.0},
        {"protocol": "ThoraxRoutine", "ctdi_vol_mgy": 2.5},
        {"protocol": "ThoraxRoutine", "ctdi_vol_mgy": 2.7 * 1.99},
        {"protocol": "ThoraxRoutine", "ctdi_vol_mgy": 2.7 * 1.9, "kvp_kv": 80.0},
        {"protocol": "ThoraxRoutine", "ctdi_vol_mgy": 2.7 * 2.4, "weight_kg": None},
        {"protocol": "ThoraxRoutine", "ctdi_vol_mgy": None},
        {"study_description": "Daily QA", "protocol": "QA adult phantom"},
        {"modality": Modality.DX},
        {"events": ()},
    ],
)
def test_nobody_else_is_called_out(fields: dict[str, Any]) -> None:
    assert look(child(**fields)) == ()


def test_localisers_and_bolus_tracking_alone_are_no_exam() -> None:
    helpers = (
        CtEvent(acquisition_protocol="Topogram (Adult)",
                acquisition_type=CtAcquisitionType.CONSTANT_ANGLE, ctdi_vol_mgy=0.2),
        CtEvent(acquisition_protocol="PreMonitoring (Adult)", ctdi_vol_mgy=9.0,
                acquisition_type=CtAcquisitionType.STATIONARY),
        CtEvent(acquisition_protocol="Adult timing", ctdi_vol_mgy=9.0, is_bolus_tracking=True,
                acquisition_type=CtAcquisitionType.SEQUENCED),
    )  # fmt: skip
    assert look(child(events=helpers)) == ()


def test_one_paediatric_scan_among_them_is_a_paediatric_exam() -> None:
    both = (
        CtEvent(acquisition_protocol="Thorax (Adult)", ctdi_vol_mgy=8.0,
                acquisition_type=CtAcquisitionType.SPIRAL),
        CtEvent(acquisition_protocol="Thorax child", ctdi_vol_mgy=2.0,
                acquisition_type=CtAcquisitionType.SPIRAL),
    )  # fmt: skip
    assert look(child(events=both)) == ()


def test_a_request_for_an_adult_says_nothing_of_the_protocol() -> None:
    assert look(child("ThoraxRoutine", description="CT chest adult", ctdi_vol_mgy=2.0)) == ()


# ---- with the device's history -----------------------------------------------------------------


def used(
    n: int, protocol: str, *, age: float, weight: float, ctdi: float, key: str
) -> list[dict[str, Any]]:
    return [
        scan(f"{key}{i}", acquisition_protocol=protocol, age_y=age, weight_kg=weight,
             ctdi_vol_mgy=ctdi, device_key="d1", body_region="chest", is_patient=True)
        for i in range(n)
    ]  # fmt: skip


def test_a_protocol_that_only_adults_get_is_an_adult_protocol() -> None:
    """No word in the name; 40 adults had it, and 8 children another one."""
    events = used(40, "Thx 5.1", age=60, weight=75, ctdi=7.0, key="a")
    events += used(8, "Thx 5.9", age=4, weight=17, ctdi=2.0, key="c")
    (found,) = look(child("Thx 5.1", ctdi_vol_mgy=3.5), history=practice([], events))
    assert found.evidence["adult_by"] == "use"
    assert found.evidence["protocol_uses_on_adults"] == 40
    assert found.evidence["device_children_ratio"] == pytest.approx(1.75)
    assert "8 of 8 children had another" in found.summary


@pytest.mark.parametrize(
    ("adults", "children_other", "children_same"),
    [(19, 8, 0), (40, 4, 0), (40, 8, 2), (30, 0, 8)],
)
def test_a_shared_or_new_protocol_is_nobodys(
    adults: int, children_other: int, children_same: int
) -> None:
    events = used(adults, "Thx 5.1", age=60, weight=75, ctdi=7.0, key="a")
    events += used(children_other, "Thx 5.9", age=4, weight=17, ctdi=2.0, key="c")
    events += used(children_same, "Thx 5.1", age=4, weight=17, ctdi=3.5, key="d")
    assert look(child("Thx 5.1", ctdi_vol_mgy=3.5), history=practice([], events)) == ()


def test_what_the_device_gives_every_child_is_not_this_childs_protocol() -> None:
    """A practice that is high for all children is a matter of the comparison with levels."""
    events = used(6, "ThoraxRoutine", age=4, weight=18, ctdi=7.0, key="c")
    history = practice([], events)
    assert look(child("ThoraxRoutine", ctdi_vol_mgy=8.0), history=history) == ()
    assert confidence(child("ThoraxRoutine", ctdi_vol_mgy=11.0), history=history) == "medium"
    few = practice([], events[:4])
    assert confidence(child("ThoraxRoutine", ctdi_vol_mgy=8.0), history=few) == "medium"


def test_the_exam_itself_is_no_history() -> None:
    events = used(6, "ThoraxRoutine", age=4, weight=17, ctdi=8.0, key="p")
    events = [e | {"part_key": "p1"} for e in events]
    assert confidence(child("ThoraxRoutine"), history=practice([], events)) == "medium"


# ---- the pieces -----------------------------------------------------------------


def test_reference_weights_are_those_of_icrp_89() -> None:
    for age, mass in ((0, 3.5), (1, 10), (5, 19), (10, 32), (15, 54.5), (40, 54.5)):
        assert reference_weight(age) == pytest.approx(mass)
    assert reference_weight(3) == pytest.approx(14.5)


@pytest.mark.parametrize(
    ("age", "weight", "region", "adult"),
    [(9, 49.99, "chest", False), (9, 50, "chest", True), (13.99, None, "chest", False),
     (14, None, "chest", True), (5.99, 80, "head", False), (6, 15, "head", True)],
)  # fmt: skip
def test_adult_size(age: float, weight: float | None, region: str, adult: bool) -> None:
    size = body_size(Patient(age_y=age, weight_kg=weight), region)
    assert size is not None
    assert size.is_adult is adult


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (0.0, "0 months"),
        (0.09, "1 month"),
        (1.99, "23 months"),
        (2.0, "2 years"),
        (15.99, "15 years"),
    ],
)
def test_ages_in_words(age: float, words: str) -> None:
    assert age_in_words(age) == words


def test_the_installation_has_its_detectors(settings: Settings) -> None:
    detector, *_ = detectors(settings)
    assert (detector.name, detector.version) == ("adult_protocol_on_child", "1")
    assert len(detector.look([child(), child(age_y=60.0, key="p2")])) == 1


def test_the_sites_age_of_adulthood_counts(settings: Settings) -> None:
    younger = AdultProtocolOnChild(published_levels(), child_age_y=12.0)
    teenager = child(age_y=13.0, weight_kg=40.0, ctdi_vol_mgy=12.0)
    assert look(teenager)
    assert younger.look([teenager]) == ()
