"""The demo hospital: the same to the byte, true to its levels, with its truth written down."""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from statistics import median

import pydicom
import pytest

from dose_lib.errors import SimulationError
from dose_lib.records import CtAcquisitionType, CtEvent
from dose_lib.simulate import Exam, Hospital, load_scenario, scenario_names, write_truth

END = date(2026, 11, 20)


@pytest.fixture(scope="module")
def demo() -> list[Exam]:
    return list(Hospital.load("demo", seed=1, end=END).exams())


def diagnostic(exam: Exam) -> list[CtEvent]:
    kinds = (CtAcquisitionType.SPIRAL, CtAcquisitionType.SEQUENCED)
    events = (e for e in exam.part.events if isinstance(e, CtEvent))
    return [e for e in events if e.acquisition_type in kinds]


def test_same_seed_same_bytes_other_seed_other_hospital() -> None:
    runs = [
        [
            o.data
            for e in Hospital.load("demo", seed=s, end=END, days=3).exams()
            for o in e.objects()
        ]
        for s in (1, 1, 2)
    ]
    assert runs[0] == runs[1]
    assert not set(runs[0]) & set(runs[2])


def test_a_day_is_the_same_in_a_longer_run() -> None:
    """Running again tomorrow sends today's objects once more, not others with the same UIDs."""
    short = Hospital.load("demo", end=END, days=2)
    long = Hospital.load("demo", end=END + timedelta(days=1), days=9)
    day = END - timedelta(days=1)
    elective = [e.objects()[0].data for e in short.exams_on(day) if not e.truths]
    assert elective == [e.objects()[0].data for e in long.exams_on(day) if not e.truths]
    assert elective


def test_exams_come_in_order_of_time_within_the_period(demo: list[Exam]) -> None:
    times = [e.started_at for e in demo]
    assert times == sorted(times)
    assert times[-1].date() == END
    assert END - times[0].date() == timedelta(days=89)
    assert 400 <= len(demo) <= 950


def test_every_event_and_object_has_its_own_uid(demo: list[Exam]) -> None:
    events = [e.event_uid for x in demo for e in x.part.events]
    assert len(events) == len(set(events))
    assert len({e.part.sources[0].sop_instance_uid for e in demo}) == len(demo)


def test_dlp_is_ctdi_times_length(demo: list[Exam]) -> None:
    for exam in demo:
        for event in diagnostic(exam):
            assert event.ctdi_vol_mgy and event.scanning_length_mm and event.dlp_mgy_cm
            expected = event.ctdi_vol_mgy * event.scanning_length_mm / 10
            assert event.dlp_mgy_cm == pytest.approx(expected, abs=0.006)


def test_medians_of_adults_lie_where_the_scenario_says(demo: list[Exam]) -> None:
    """Per procedure and scanner, within the error of a median of that many patients."""
    scenario = load_scenario("demo")
    for device in scenario.devices:
        for key, names in device.procedures.items():
            doses = [
                e.ctdi_vol_mgy or 0.0
                for x in demo
                if x.device.alias == device.alias
                and x.part.study_description == names.study
                and not x.truths
                for e in diagnostic(x)
            ]
            if len(doses) < 20:
                continue
            aim = scenario.procedure(key).adult.reference
            assert median(doses) == pytest.approx(aim.median, rel=0.22), (device.alias, key)
            assert median(doses) < aim.value


def test_big_patients_get_more(demo: list[Exam]) -> None:
    chest = [
        (x.part.patient.weight_kg, diagnostic(x)[0].ctdi_vol_mgy or 0.0)
        for x in demo
        if x.part.study_description in ("CT Thorax", "Thorax^ThoraxRoutine (Adult)")
        and x.part.patient.weight_kg
        and not x.truths
    ]
    light = median(dose for weight, dose in chest if weight < 65)
    heavy = median(dose for weight, dose in chest if weight > 90)
    assert 1.2 < heavy / light < 2.5


def test_a_quarter_has_no_weight_and_some_operators_are_anonymous(demo: list[Exam]) -> None:
    unknown = sum(e.part.patient.weight_kg is None for e in demo) / len(demo)
    assert unknown == pytest.approx(0.25, abs=0.05)
    roles = Counter(len(e.identity.staff) for e in demo)
    assert roles[1] > 0
    assert roles[2] > roles[1]


def test_the_questions_of_the_demo_have_data(demo: list[Exam]) -> None:
    """CT chest on Scanner 3, last six weeks, by technologist, over 80 kg."""
    since = END - timedelta(weeks=6)
    chest = [
        e
        for e in demo
        if e.device.alias == "Scanner 3"
        and e.part.study_description in ("CT Thorax", "CT Pulmonary Angiogram")
        and e.started_at.date() >= since
    ]
    assert len([e for e in chest if e.part.study_description == "CT Thorax"]) >= 20
    operators = {s.staff_name for e in chest for s in e.identity.staff[:1]}
    assert len(operators) >= 3
    assert sum((e.part.patient.weight_kg or 0) > 80 for e in chest) >= 5


def test_the_injected_child_is_written_down(demo: list[Exam], tmp_path: Path) -> None:
    truths = [t for e in demo for t in e.truths]
    assert [t.kind for t in truths] == ["adult_protocol_on_child"]
    exam = next(e for e in demo if e.truths)
    assert exam.part.patient.age_y == 2.0
    assert "(Adult)" in exam.part.protocol_names[-1]
    assert truths[0].effect and truths[0].effect > 1.7
    assert truths[0].at.date() == END - timedelta(days=1)
    file = tmp_path / "truth.csv"
    assert write_truth(truths, file) == 1
    row = next(csv.DictReader(file.read_text().splitlines()))
    assert row["study_uid"] == exam.part.study_uid


def test_children_have_protocols_of_their_own_otherwise(demo: list[Exam]) -> None:
    children = [e for e in demo if (e.part.patient.age_y or 99) < 16 and not e.truths]
    assert len(children) > 20
    words = ("child", "paed", "ped ", "<10y")
    for exam in children:
        names = f"{exam.part.study_description} {' '.join(exam.part.protocol_names)}".lower()
        assert any(w in names for w in words), names


def test_objects_carry_what_the_record_says(demo: list[Exam]) -> None:
    for exam in demo[:40]:
        (sent,) = exam.objects()
        header = pydicom.dcmread(io.BytesIO(sent.data))
        assert sent.calling_ae_title == exam.device.ae_title
        assert header.StudyInstanceUID == exam.part.study_uid
        assert header.SOPInstanceUID == sent.sop_instance_uid
        assert str(header.PatientName) == exam.identity.patient_name
        assert header.StationName == exam.device.station


def test_identifiers_name_everybody() -> None:
    hospital = Hospital.load("demo", end=END, days=3)
    planted = hospital.identifiers()
    for exam in hospital.exams():
        assert exam.identity.patient_id in planted
        assert exam.identity.accession_number in planted
        assert set((exam.identity.patient_name or "").split("^")) <= planted


def test_a_wrong_scenario_says_where_and_what(tmp_path: Path) -> None:
    good = (Path(__file__).parents[2] / "dose_lib/simulate/scenarios/demo.toml").read_text("utf-8")
    wrong = {
        "kv = 120": ("kv = 1200", "1200"),
        'dialect = "siemens"': ('dialect = "simens"', "did you mean 'siemens'"),
        "fraction = 0.8 ": ("fraction = 1.4 ", "exception"),
        'operators = ["Novak^A"': ('operators = ["Nowak^A"', "did you mean 'Novak^A'"),
        "days = 90": ("day = 90", "day"),
    }
    for text, (instead, message) in wrong.items():
        assert text in good
        file = tmp_path / "mine.toml"
        file.write_text(good.replace(text, instead), encoding="utf-8")
        with pytest.raises(SimulationError, match=r"mine\.toml") as caught:
            load_scenario(file)
        assert message in str(caught.value)
    with pytest.raises(SimulationError, match="did you mean 'demo'"):
        load_scenario("demoo")
    assert "demo" in scenario_names()
