"""What was coded against what was done: each rule on both sides of its edge."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import pytest

from dose_lib.normalise import DISAGREEMENTS, SiteFacts, name_part, normalise_part
from dose_lib.normalise.passes import passes_of
from dose_lib.records import Code, CtAcquisitionType, CtEvent, Part, Patient
from tests.normalise.test_part import ABDOMEN, CHEST, event, part

SITE = SiteFacts(timezone="Europe/London")
TRUNK = Code("416775004", "SCT", "Chest, abdomen and pelvis")
WITH, WITHOUT = Code("27483000", "SCT"), Code("399331006", "SCT")
ADULT = Patient(age_y=60.0, height_cm=170.0)


def issues(done: Part) -> list[str]:
    return [i.code for i in name_part(done, SITE).issues]


def scan(length_mm: float | None, region: Code | None = None, **fields: object) -> CtEvent:
    return event("7 b", region, scanning_length_mm=length_mm, **fields)


@pytest.mark.parametrize(
    ("length_mm", "found"),
    [
        (189.9, ["shorter_than_coded"]),
        (190.0, []),
        (450.0, []),
        (450.1, ["longer_than_coded"]),
        (None, []),
    ],
)
def test_the_length_of_a_chest(length_mm: float | None, found: list[str]) -> None:
    """190 to 450 mm in an adult of 170 cm."""
    assert issues(part(scan(length_mm), study_description="CT Thorax", patient=ADULT)) == found


@pytest.mark.parametrize(
    ("patient", "most"),
    [
        (ADULT, 450.0),
        (Patient(age_y=60.0), 450.0),
        (Patient(age_y=60.0, height_cm=187.0), 495.0),
        (Patient(age_y=4.0, height_cm=102.0), 270.0),
        (Patient(age_y=0.1, height_cm=55.0), 270.0),  # never below six tenths
        (Patient(age_y=60.0, height_cm=17.0), 450.0),  # a slip is no height
    ],
)
def test_lengths_grow_with_the_patient(patient: Patient, most: float) -> None:
    for length, found in ((most - 1, []), (most + 1, ["longer_than_coded"])):
        assert issues(part(scan(length), study_description="CT Thorax", patient=patient)) == found


def test_a_child_of_unknown_height_has_no_span() -> None:
    child = Patient(age_y=4.0)
    assert issues(part(scan(900.0), study_description="CT Thorax", patient=child)) == []


def test_a_length_follows_from_dose_where_none_is_stated() -> None:
    long = scan(None, ctdi_vol_mgy=5.0, dlp_mgy_cm=300.0)
    assert issues(part(long, study_description="CT Thorax", patient=ADULT)) == ["longer_than_coded"]


def test_a_coarse_code_of_a_long_scan_is_no_disagreement() -> None:
    """Scanners code "Abdomen" for a scan of the whole trunk: the length tells."""
    whole = part(scan(640.0, ABDOMEN), study_description="CT TAP", patient=ADULT)
    assert issues(whole) == []
    short = part(scan(380.0, ABDOMEN), study_description="CT TAP", patient=ADULT)
    assert issues(short) == ["less_done_than_coded"]


def test_more_done_is_said_once() -> None:
    done = part(scan(640.0, TRUNK), study_description="CT Thorax", patient=ADULT)
    assert issues(done) == ["more_done_than_coded"]


@pytest.mark.parametrize(
    ("text", "contexts", "found"),
    [
        ("CT Thorax W/O", [WITH], ["phases_disagree"]),
        ("CT Thorax W/O", [WITHOUT], []),
        ("CT Thorax with contrast", [WITHOUT], ["phases_disagree"]),
        ("CT Thorax with contrast", [WITHOUT, WITH], []),  # a native phase is part of it
        ("CT Thorax with and without contrast", [WITH], ["phases_disagree"]),
        ("CT Thorax with contrast", [None], []),
        ("CT Thorax", [WITH], []),
    ],
)
def test_phases(text: str, contexts: list[Code | None], found: list[str]) -> None:
    scans = [scan(320.0, CHEST, procedure_context=c) for c in contexts]
    assert issues(part(*scans, study_description=text, patient=ADULT)) == found


def passes(*lengths_mm: float | None, **fields: object) -> tuple[CtEvent, ...]:
    """Spirals one after the other, half a minute apart."""
    at = datetime(2026, 3, 2, 9)
    times = (at + timedelta(seconds=30 * n) for n in range(len(lengths_mm)))
    where = fields.pop("target_region", CHEST)
    return tuple(
        scan(x, where, **{"started_at": t, **fields})  # type: ignore[arg-type]
        for x, t in zip(lengths_mm, times, strict=True)
    )


@pytest.mark.parametrize(
    ("text", "lengths", "seen"),
    [
        ("CT Thorax W/O", (320, 320), None),  # supine and prone, or in- and expiration
        ("CT Thorax W/O", (320, 320, 320), "without contrast by words, 3 passes"),
        ("CT Thorax W/O", (320, 320, 191), None),  # a part was repeated
        ("CT Thorax W/O", (320, 320, 240), "without contrast by words, 3 passes"),
        ("CT Thorax W/O", (320, 320, None), None),
        ("CT Thorax with contrast", (320, 320, 320), None),  # native, arterial, venous
        ("CT Thorax with contrast", (320, 320, 320, 320), "with contrast by words, 4 passes"),
        ("CT Thorax with and without contrast", (320, 320), None),
        ("CT Thorax with and without contrast", (320,), "1 pass over the same 320 mm"),
        ("CT Liver triphasic", (220,), "several phases by words, 1 pass"),
        ("CT Liver triphasic", (220, 220, 220), None),
        ("CT Thorax", (320,) * 5, None),
    ],
)
def test_passes_over_one_place(text: str, lengths: tuple[float, ...], seen: str | None) -> None:
    """Scanners that state no context of their acquisitions: passes tell what was done."""
    region = ABDOMEN if "Liver" in text else CHEST
    events = passes(*lengths, target_region=region)
    done = part(*events, study_description=text, patient=ADULT)
    found = [i for i in name_part(done, SITE).issues if i.code == "phases_disagree"]
    assert len(found) == (seen is not None)
    assert all(seen in str(i.seen) for i in found)


def test_what_is_no_further_pass() -> None:
    """Two tubes at one time, positions of a step-and-shoot scan, places beside each other."""
    text, at = "CT Thorax W/O", datetime(2026, 3, 2, 9)
    assert passes_of(part(scan(665.0))) == (1, 665.0), "an exam of one scan, wherever it was"
    assert passes_of(part(scan(320.0), scan(320.0))) is None, "nothing says where they were"
    assert passes_of(part(scan(320.0, CHEST), scan(320.0, ABDOMEN))) == (1, 320.0)
    beside = [
        scan(250.0, CHEST, scan_bottom_z_mm=z, scan_top_z_mm=z + 250.0) for z in (0.0, 110.0, 220.0)
    ]
    for events in (
        passes(320, 320, 320, started_at=at),
        passes(320, 320, 320, acquisition_type=CtAcquisitionType.SEQUENCED),
        beside,
    ):
        assert issues(part(*events, study_description=text, patient=ADULT)) == []
    for z, found in ((99.0, ["phases_disagree"]), (101.0, [])):  # six tenths of the shorter
        ranges = [(0.0, 250.0), (0.0, 250.0), (z, z + 250.0)]
        same = [scan(250.0, CHEST, scan_bottom_z_mm=a, scan_top_z_mm=b) for a, b in ranges]
        assert issues(part(*same, study_description=text, patient=ADULT)) == found


def test_interventions_and_planning_have_any_length() -> None:
    for text in ("CT guided biopsy lung", "Thorax^RTP_4DCT_Thorax_C (Adult)"):
        assert issues(part(scan(40.0, CHEST), study_description=text, patient=ADULT)) == []


def test_each_issue_is_known_and_left_once() -> None:
    done = part(scan(640.0, TRUNK), study_description="CT Thorax W/O", patient=ADULT)
    first = normalise_part(done, SITE)
    again = normalise_part(first, SITE)
    assert again.issues == first.issues
    assert {i.code for i in first.issues} <= set(DISAGREEMENTS)
    shorter = msgspec.structs.replace(first, events=(scan(320.0, CHEST),))
    assert normalise_part(shorter, SITE).issues == ()
