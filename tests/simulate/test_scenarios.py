"""The scenarios: true to the published levels they name, honest about what they injected."""

from __future__ import annotations

import ast
import csv
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from statistics import median

import pytest

from dose_lib.records import CtAcquisitionType, CtEvent, XRayEvent
from dose_lib.simulate import Exam, Hospital, load_scenario, scenario_names
from dose_lib.simulate.injections import HARMLESS
from dose_lib.simulate.procedures import (
    CtProcedure,
    FluoroscopyProcedure,
    MammographyProcedure,
    NuclearProcedure,
    RadiographyProcedure,
    Reference,
)
from dose_lib.simulate.scenario import Scenario

ROOT = Path(__file__).parents[2]
END = date(2026, 11, 20)
DIAGNOSTIC = (CtAcquisitionType.SPIRAL, CtAcquisitionType.SEQUENCED)


def references(scenario: Scenario) -> Iterator[tuple[str, str, Reference]]:
    """Key, quantity and level of every protocol."""
    for procedure in scenario.procedures:
        match procedure:
            case CtProcedure(key=key, adult=adult, child=child):
                yield key, "ctdi_vol", adult.reference
                if child is not None:
                    yield f"{key} (child)", "ctdi_vol", child.reference
            case RadiographyProcedure(key=key, projections=projections):
                for projection in projections:
                    yield key, "kap", projection.reference
            case FluoroscopyProcedure(key=key, reference=reference):
                yield key, "kap", reference
            case MammographyProcedure(key=key, reference=reference):
                yield key, "agd", reference
            case NuclearProcedure(key=key, reference=reference):
                yield key, "activity", reference


@pytest.mark.parametrize("name", scenario_names())
def test_every_level_is_a_row_of_the_published_tables(name: str) -> None:
    """What is no published level says so, and why."""
    with (ROOT / "drl/tables/levels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    known: dict[tuple[str, str, str], list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        known[row["set_id"], row["source_procedure"], row["quantity"]].append(row)
    for key, quantity, reference in references(load_scenario(name)):
        if reference.set == "assumption":
            assert reference.exception, key
            continue
        found = known[reference.set, reference.procedure, quantity]
        wanted = reference.size_min
        values = [
            float(r["value"])
            for r in found
            if wanted is None or (r["size_min"] and float(r["size_min"]) == wanted)
        ]
        assert reference.value in values, (key, reference)


def test_names_of_procedures_are_not_the_catalogue_that_maps_them() -> None:
    """Mapping is judged on names it was not made with: neither side imports the other."""
    for path in (ROOT / "dose_lib/normalise").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            assert not any("simulate" in n for n in (*names, module)), path
    for path in (ROOT / "dose_lib/simulate").rglob("*.py"):
        assert "dose_lib.normalise" not in path.read_text("utf-8"), path


def test_sizes_of_the_shipped_scenarios() -> None:
    district, network = load_scenario("district"), load_scenario("network")
    kinds = Counter(type(p) for p in district.procedures)
    assert kinds[CtProcedure] >= 12
    assert kinds[RadiographyProcedure] == 8
    assert {d.modality for d in district.devices} == {"CT", "DX", "RF", "XA", "MG", "NM", "PT"}
    weekly = sum(
        5 * d.studies_per_weekday + 2 * d.studies_per_weekend_day for d in district.devices
    )
    assert 28_000 < 52 * weekly < 32_000
    assert len({d.site for d in network.devices}) == 8
    assert len({d.ae_title for d in network.devices}) == len(network.devices)
    assert len({d.serial for d in network.devices}) == len(network.devices)


def test_a_quiet_scenario_has_no_problem() -> None:
    assert {t.kind for t in load_scenario("quiet").truths} <= HARMLESS
    hospital = Hospital.load("quiet", end=END, days=20)
    assert not [t for e in hospital.exams() for t in e.truths if t.is_problem]


@pytest.fixture(scope="module")
def year() -> list[Exam]:
    """The quiet district over nine months: no injection disturbs a distribution."""
    return list(Hospital.load("quiet", seed=3, end=END, days=270).exams())


def adults(exams: list[Exam], device: str, study: str) -> list[Exam]:
    return [
        e
        for e in exams
        if e.is_patient
        and e.device.alias == device
        and e.part.study_description == study
        and (e.part.patient.age_y or 0) >= 16
    ]


def standard(exams: list[Exam]) -> list[Exam]:
    """Patients of 60 to 90 kg, whose mean is near the reference patient's weight."""
    return [e for e in exams if 60 <= (e.part.patient.weight_kg or 0) <= 90]


@pytest.mark.slow
def test_medians_of_standard_patients_are_what_the_scenario_names(year: list[Exam]) -> None:
    """Every protocol of every unit with 40 standard patients, within 15 % of its aim."""
    scenario = load_scenario("quiet")
    judged = 0
    for device in scenario.devices:
        for key, spelling in device.procedures.items():
            procedure = scenario.procedure(key)
            words = {spelling.study, spelling.on(0).study}
            exams = [e for w in words for e in standard(adults(year, device.alias, w))]
            if len(exams) < 40:
                continue
            found, aim, spread = measured(procedure, exams)
            # The error of a median of a log-normal sample: 1.25 σ / √n; three of them.
            allowed = max(0.15, 3 * 1.25 * math.log(spread) / math.sqrt(len(exams)))
            assert found == pytest.approx(aim, rel=allowed), (device.alias, key, len(exams))
            judged += 1
    assert judged > 35


def measured(procedure: object, exams: list[Exam]) -> tuple[float, float, float]:
    """Median of the judged quantity, what the scenario aims at, spread between patients."""
    match procedure:
        case CtProcedure(adult=adult, spread_gsd=spread):
            doses = [
                e.ctdi_vol_mgy or 0.0
                for x in exams
                for e in x.part.events
                if isinstance(e, CtEvent) and e.acquisition_type in DIAGNOSTIC
            ]
            return median(doses), adult.reference.median, spread
        case RadiographyProcedure(projections=projections, spread_gsd=spread):
            first = projections[0]
            kap = [x.part.events[0].kap_gy_cm2 for x in exams]
            return median(k for k in kap if k), first.reference.median, spread
        case FluoroscopyProcedure(reference=reference, spread_gsd=spread):
            totals = [x.part.totals.kap_gy_cm2 or 0.0 for x in exams]
            # Time and number of runs spread the dose further.
            return median(totals), reference.median, spread * 1.5
        case MammographyProcedure(reference=reference, spread_gsd=spread):
            doses = [
                e.agd_mgy or 0.0
                for x in exams
                for e in x.part.events
                if isinstance(e, XRayEvent) and (e.acquisition_protocol or "").endswith("2D")
            ]
            return median(doses), reference.median, spread
        case NuclearProcedure(reference=reference, per_kg=per_kg, spread_gsd=spread):
            found = [
                a.administered_activity_mbq / (x.part.patient.weight_kg or 1.0 if per_kg else 1.0)
                for x in exams
                for a in x.part.administrations
                if a.administered_activity_mbq
            ]
            return median(found), reference.median, spread
    raise AssertionError(procedure)


@pytest.mark.slow
def test_doses_of_patients_are_log_normal_and_follow_size(year: list[Exam]) -> None:
    """Log CTDIvol of the chest on one scanner: slope with weight, spread of what is left."""
    points = [
        (e.part.patient.weight_kg, math.log(event.ctdi_vol_mgy))
        for e in adults(year, "Scanner 3", "CT Chest") + adults(year, "Scanner 3", "CT Thorax")
        for event in e.part.events
        if isinstance(event, CtEvent)
        and event.acquisition_type in DIAGNOSTIC
        and event.ctdi_vol_mgy
        and e.part.patient.weight_kg
    ]
    n = len(points)
    assert n > 100
    mean_x = sum(x for x, _ in points) / n
    mean_y = sum(y for _, y in points) / n
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum(
        (x - mean_x) ** 2 for x, _ in points
    )
    rest = [y - mean_y - slope * (x - mean_x) for x, y in points]
    spread = math.sqrt(sum(r * r for r in rest) / (n - 2))
    assert 0.005 < slope < 0.02
    assert math.log(1.12) < spread < math.log(1.30)
    skewness = sum(r**3 for r in rest) / n / spread**3
    assert abs(skewness) < 0.6


@pytest.mark.slow
def test_patients_of_the_year(year: list[Exam]) -> None:
    patients = [e for e in year if e.is_patient]
    unknown = sum(e.part.patient.weight_kg is None for e in patients) / len(patients)
    assert unknown == pytest.approx(0.25, abs=0.01)
    adult = [e.part.patient for e in patients if (e.part.patient.age_y or 0) >= 18]
    men = [p.weight_kg for p in adult if p.sex == "M" and p.weight_kg]
    women = [p.weight_kg for p in adult if p.sex == "F" and p.weight_kg]
    # BMI 27.0 at 176 cm, 26.4 at 163 cm: the scenario's own figures.
    assert median(men) == pytest.approx(27.0 * 1.76**2, rel=0.02)
    assert median(women) == pytest.approx(26.4 * 1.63**2, rel=0.02)
    people = Counter(e.identity.patient_id for e in patients)
    assert sum(n > 1 for n in people.values()) > 100
    assert all(e.part.patient.sex == "F" for e in patients if e.part.modality == "MG")


def test_phantoms_are_exposed_in_the_morning_and_marked() -> None:
    exams = list(Hospital.load("district", end=END, days=3).exams())
    checks = [e for e in exams if not e.is_patient]
    assert {e.device.alias for e in checks} == {"Scanner 1", "Scanner 2", "Scanner 3", "ER CT"}
    for exam in checks:
        assert exam.started_at.hour == 7
        assert exam.part.intent is not None
        assert exam.part.intent.value == "113680"
        assert [t.kind for t in exam.truths] == ["quality_control"]


def test_cumulative_split_and_single_reports() -> None:
    """Scanner 2 reports after each acquisition; ER CT sometimes in two halves."""
    exams = list(Hospital.load("district", end=END, days=45).exams())
    growing = next(e for e in exams if e.device.alias == "Scanner 2" and len(e.part.events) > 2)
    objects = growing.objects()
    assert len(objects) == len(growing.part.events)
    assert [o.sent_at for o in objects] == sorted(o.sent_at for o in objects)
    assert objects[-1].sop_instance_uid == growing.part.sources[0].sop_instance_uid
    emergency = [e.objects() for e in exams if e.device.alias == "ER CT" and e.is_patient]
    halves = [o for o in emergency if len(o) == 2]
    assert 0 < len(halves) / len(emergency) < 0.15
    assert {len(e.objects()) for e in exams[:200] if e.device.alias == "Scanner 3"} == {1}


def test_names_change_with_the_years() -> None:
    words = load_scenario("district").device("Scanner 3").procedures["chest"]
    assert words.on(-300).study == "CT Thorax"
    assert words.on(-10).study == "CT Chest"


def test_objects_come_in_the_order_they_are_sent() -> None:
    hospital = Hospital.load("district", end=END, days=2)
    exams: list[Exam] = []
    objects = list(hospital.objects(exams.append))
    assert [o.sent_at for o in objects] == sorted(o.sent_at for o in objects)
    assert len(objects) == sum(len(e.objects()) for e in exams)


def test_a_pet_ct_has_two_parts_of_one_study() -> None:
    hospital = Hospital.load("district", end=END, days=20)
    exam = next(e for e in hospital.exams() if e.device.alias == "PET-CT")
    assert [p.modality for p in exam.parts] == ["PT", "CT"]
    assert len({p.study_uid for p in exam.parts}) == 1
    assert {o.sop_class[-2:] for o in exam.objects()} == {"68", "67"}


def effects(exams: list[Exam], device: str, key: str, start: date, end: date) -> list[float]:
    """CTDIvol of diagnostic scans of a procedure, by what was done."""
    scenario = load_scenario("district")
    spelling = scenario.device(device).procedures[key]
    return [
        e.ctdi_vol_mgy or 0.0
        for x in exams
        if x.device.alias == device
        and start <= x.started_at.date() <= end
        and x.part.study_description in (spelling.study, spelling.on(0).study)
        for e in x.part.events
        if isinstance(e, CtEvent) and e.acquisition_type in DIAGNOSTIC
    ]


@pytest.fixture(scope="module")
def injected() -> list[Exam]:
    """The district with everything that goes wrong in it, over a year."""
    return list(Hospital.load("district", seed=5, end=END).exams())


def days_ago(n: int) -> date:
    return END - timedelta(days=n)


@pytest.mark.slow
def test_what_was_injected_is_in_the_doses(injected: list[Exam]) -> None:
    """Wrong kV, drift, tube: the data show the effect that truth.csv states."""
    truths = [t for e in injected for t in e.truths]
    stated = defaultdict(list)
    for truth in truths:
        stated[truth.truth_id].append(truth.effect or 0.0)
    assert median(stated["kv-scanner-2"]) == pytest.approx((140 / 120) ** 2.5, rel=0.02)
    assert median(stated["tube-scanner-1"]) == pytest.approx(1.12)
    assert median(stated["noise-scanner-1"]) == pytest.approx((12 / 9) ** 2, rel=0.05)
    assert median(stated["rotation-er-ct"]) == pytest.approx(1.5, rel=0.03)
    before = effects(injected, "Scanner 2", "abdomen-pelvis", days_ago(300), days_ago(41))
    wrong = effects(injected, "Scanner 2", "abdomen-pelvis", days_ago(40), days_ago(12))
    ratio = median(stated["kv-scanner-2"])
    assert median(wrong) / median(before) == pytest.approx(ratio, rel=0.15)
    early = effects(injected, "Scanner 3", "chest", days_ago(360), days_ago(150))
    late = effects(injected, "Scanner 3", "chest", days_ago(30), END)
    assert median(late) / median(early) == pytest.approx(1.02 ** (135 / 30.4), rel=0.12)


@pytest.mark.slow
def test_every_injection_left_its_truth(injected: list[Exam]) -> None:
    """All but the season, which moves exams and changes none."""
    found = {t.truth_id for e in injected for t in e.truths}
    planned = {t.id for t in load_scenario("district").truths if t.kind != "seasonal_mix"}
    assert found == planned | {"quality-control"}


@pytest.mark.slow
def test_an_operator_and_a_season_show_in_the_data(injected: list[Exam]) -> None:
    words = "Hartkatheterisatie diagnostisch"
    coronary = [e for e in injected if e.part.study_description == words]
    kap = {True: [], False: []}  # type: dict[bool, list[float]]
    for exam in coronary:
        kinds = {t.kind for t in exam.truths}
        if "wrong_parameter" not in kinds:
            kap["high_operator" in kinds].append(exam.part.totals.kap_gy_cm2 or 0.0)
    assert 1.1 < median(kap[True]) / median(kap[False]) < 2.0
    angiograms = [
        (e.started_at.date() - END).days
        for e in injected
        if "LungEmbolism" in str(e.part.study_description)
    ]
    winter = range(-150, -74)
    in_winter = sum(d in winter for d in angiograms) / len(winter)
    otherwise = sum(d not in winter for d in angiograms) / (365 - len(winter))
    assert 1.5 < in_winter / otherwise < 3.5
