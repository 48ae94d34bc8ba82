"""Multiples of the expected dose: both sides of each limit, and where there is no expectation."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from dose_lib.compare import expect, multiples_of, sizes_of
from dose_lib.compare.expectation import PatientSize, SizeBasis
from dose_lib.detect import ExpectedDose
from dose_lib.records import Finding, Issue, Modality, Part, Severity
from dose_lib.reference import load_levels, published_levels
from dose_lib.settings import Settings
from tests.compare.practice import Row, exam, practice
from tests.store.exams import ct_part

AT = datetime(2026, 6, 1, 9)
DETECTOR = ExpectedDose(published_levels())
CT = {"dlp_32cm_mgy_cm": 300.0, "ctdi_vol_32cm_max_mgy": 8.0}


def usual(weight_kg: float) -> float:
    """One hundredth more for each kilogram."""
    return math.exp((weight_kg - 70.0) / 100.0)


def others(n: int = 20, **given: Any) -> list[Row]:
    """Earlier exams of patients of 51 to 89 kg, whose doses follow their weight exactly."""
    rows = []
    for i in range(n):
        kg = 51.0 + 2 * i % 40
        doses = {k: v * usual(kg) for k, v in CT.items()}
        at = AT - timedelta(days=n - i)
        rows.append(exam(f"o{i}", **{"started_at": at, "weight_kg": kg, **doses, **given}))
    return rows


def judged(rows: list[Row], **given: Any) -> list[Finding]:
    """What is found on one exam of a patient of 80 kg beside others."""
    values: dict[str, Any] = {"weight_kg": 80.0, "started_at": AT, **given}
    row = exam("mine", **values)
    return list(DETECTOR.look([part_of(row)], practice([*rows, row])))


def part_of(row: Row) -> Part:
    part = ct_part("1.2.3", (1,))
    device = msgspec.structs.replace(
        part.device, device_key=row["device_key"], model=row["model"], display_name="Scanner 1"
    )
    return msgspec.structs.replace(
        part,
        part_key="mine",
        modality=Modality(row["modality"]),
        procedure_name=row["procedure_name"],
        started_at=row["started_at"],
        is_patient=row["is_patient"],
        device=device,
        issues=(),
    )


def dose(times: float, kg: float = 80.0) -> dict[str, float]:
    """DLP a multiple of what is expected, CTDIvol as expected."""
    return {"dlp_32cm_mgy_cm": 300.0 * usual(kg) * times, "ctdi_vol_32cm_max_mgy": 8.0 * usual(kg)}


def test_a_finding_says_what_it_rests_on() -> None:
    (found,) = judged(others(), **dose(3.2))
    assert found.title == "3.2 times the expected dose: CT Chest"
    assert found.severity is Severity.WARNING
    assert "expected for 80 kg by 20 exams of this device" in found.summary
    (reached,) = found.evidence["reached"]  # type: ignore[misc]
    assert reached["expected"] == pytest.approx(300.0 * usual(80.0), rel=1e-9)
    assert reached["multiple"] == pytest.approx(3.2, rel=1e-9)
    assert reached["slope_of_log"] == pytest.approx(0.01, rel=1e-9)
    assert (reached["n"], reached["group"], reached["quantity"]) == (20, "device", "dlp")
    assert reached["row"].startswith("DOSELOOP-MULTIPLES/")
    assert (found.evidence["size_basis"], found.evidence["size_method"]) == ("weight", "weight")
    msgspec.json.encode(found.evidence)


@pytest.mark.parametrize(
    ("modality", "name", "column", "factor"),
    [
        ("CT", "CT Chest", "dlp_32cm_mgy_cm", 3.0),
        ("CT", "CT Chest", "ctdi_vol_32cm_max_mgy", 2.0),
        ("DX", "Chest PA", "kap_gy_cm2", 4.0),
        ("RF", "Barium Swallow", "kap_gy_cm2", 5.0),
        ("XA", "PCI", "kap_gy_cm2", 5.0),
    ],
)
def test_both_sides_of_each_multiple(modality: str, name: str, column: str, factor: float) -> None:
    shared: dict[str, Any] = {"modality": modality, "procedure_name": name}
    rows = [
        r
        | shared
        | ({} if modality == "CT" else {**dict.fromkeys(CT), column: usual(r["weight_kg"])})
        for r in others()
    ]
    usual_doses = dose(1.0) if modality == "CT" else dict.fromkeys(CT)
    base = {"kap_gy_cm2": 1.0, **CT}[column] * usual(80.0)
    for times, n in ((factor * 0.999, 0), (factor * 1.001, 1)):
        found = judged(rows, **{**shared, **usual_doses, column: base * times})
        assert len(found) == n, times


def test_every_published_multiple_is_tested() -> None:
    limits = {(m, q.value): x.value for (m, q), x in multiples_of(published_levels()).items()}
    assert limits == {
        ("CT", "ctdi_vol"): 2.0, ("CT", "dlp"): 3.0, ("DX", "kap"): 4.0, ("RF", "kap"): 5.0,
        ("NM", "activity"): 1.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "given", "n"),
    [
        (others(20), {}, 1),
        (others(19), {}, 0),
        (others(), {"weight_kg": None}, 0),
        (others(), {"age_y": None}, 0),
        (others(), {"age_y": 15.9}, 0),  # adults say nothing of a child
        (others(), {"procedure_name": None}, 0),
        (others(), {"is_patient": False}, 0),
        (others(procedure_name="CT Head"), {}, 0),
        (others(started_at=AT - timedelta(days=366)), {}, 0),
        (others(dlp_32cm_mgy_cm=150.0, dlp_16cm_mgy_cm=150.0), {}, 0),  # two phantoms
        (others(device_key="d2", model="M"), {"model": "M"}, 1),
        (others(device_key="d2", model="M"), {"model": "N"}, 0),
    ],
    ids=[
        "twenty", "nineteen", "no weight", "no age", "child", "no name", "no patient",
        "another procedure", "long ago", "mixed phantoms", "same model", "other model",
    ],
)  # fmt: skip
def test_where_there_is_an_expectation(rows: list[Row], given: dict[str, Any], n: int) -> None:
    assert len(judged(rows, **{**dose(4.0), **given})) == n


def test_a_size_far_from_those_seen_has_none() -> None:
    """51 to 89 kg were seen; a quarter of that range more is allowed."""
    for kg, n in ((98.4, 1), (98.6, 0), (41.6, 1), (41.4, 0)):
        assert len(judged(others(), **dose(4.0, kg), weight_kg=kg)) == n
    child = {"age_y": 5.0, "weight_kg": 120.0}
    assert not judged([r | {"age_y": 5.0} for r in others()], **dose(4.0), **child), "nor by age"


def test_a_measured_diameter_counts_before_the_weight() -> None:
    measured = {"derived_water_equivalent_diameter_mm": 280.0, "size_method": "image"}
    (found,) = judged(others(), **dose(4.0), **measured)
    assert found.evidence["size_basis"] == "weight", "nobody else was measured"
    (found,) = judged(others(**measured), **dose(4.0), **measured)
    assert found.evidence["size_basis"] == "water_equivalent_diameter"
    by_weight = {**measured, "size_method": "weight"}
    (found,) = judged(others(**by_weight), **dose(4.0), **by_weight)
    assert found.evidence["size_basis"] == "weight"


def test_children_without_weight_by_age_and_heads_of_adults_without() -> None:
    child = {"weight_kg": None, "age_y": 5.0}
    rows = [r | child for r in others()]
    (found,) = judged(rows, **dose(4.0), **child)
    assert found.evidence["size_method"] == "child of 4 years to under 10 years"
    assert not judged(rows, **dose(4.0), **(child | {"age_y": 10.0}))
    head = {"weight_kg": None, "body_region": "head", "procedure_name": "CT Head"}
    assert len(judged([r | head for r in others()], **dose(4.0), **head)) == 1


def test_what_varies_by_its_nature_is_no_multiple() -> None:
    """Doses of an intervention vary by a factor of three either way: six times is usual."""
    rng = np.random.default_rng(1)
    doses, sizes = np.exp(rng.normal(0.0, 0.7, 60)), rng.uniform(50, 90, 60)
    found = expect(doses, sizes, PatientSize(SizeBasis.WEIGHT, 70.0, "weight"), minimum_n=20)
    assert found is not None
    low, high = found.usual
    assert low < 0.2 < 5.0 < high
    for value, is_reached in ((high * 0.999, False), (high * 1.001, True)):
        assert found.is_reached(value, 3.0) is is_reached


def test_wrong_doses_among_the_others_move_little() -> None:
    """A quarter of the others with ten times the dose: the expectation moves by a tenth."""
    rows = others(40)
    for row in rows[::4]:
        row["dlp_32cm_mgy_cm"] *= 10
    (found,) = judged(rows, **dose(4.0))
    (reached,) = found.evidence["reached"]  # type: ignore[misc]
    assert reached["expected"] == pytest.approx(300.0 * usual(80.0), rel=0.1)


def test_it_keeps_silent_on_exams_recorded_as_something_else() -> None:
    row = exam("mine", weight_kg=80.0, started_at=AT, **dose(4.0))
    issue = Issue(
        code="longer_than_coded", severity=Severity.INFO, where="x", message="x", rule="x"
    )
    part = msgspec.structs.replace(part_of(row), issues=(issue,))
    con = practice([*others(), row])
    assert not DETECTOR.look([part], con)
    assert DETECTOR.look([part_of(row)], con)
    assert not DETECTOR.look([part_of(row)], None)


def test_exams_that_are_brought_in_later_are_no_news() -> None:
    latest = exam("latest", started_at=AT + timedelta(days=8))
    assert not judged([*others(), latest], **dose(4.0))


def test_a_site_names_its_own(settings: Settings) -> None:
    folder = settings.site_dir / "drl"
    folder.mkdir(parents=True)
    (folder / "own.csv").write_text(
        "drl_set,modality,procedure,population,quantity,value,unit,per,kind\n"
        "OURS,CT,any,adult,DLP,2.5,times,exam,trigger\n",
        encoding="utf-8",
    )
    rows = multiples_of(load_levels(settings), settings.trigger_sets)
    assert {x.set_id for (m, q), x in rows.items() if q.value == "dlp"} == {"OURS"}
    assert not multiples_of(published_levels(), [])


def test_sizes() -> None:
    known = {"diameter_mm": None, "method": None, "child_age_y": 16.0}
    (by_weight,) = sizes_of(weight_kg=70.0, age_y=50.0, **known)
    assert by_weight.basis == "weight"
    assert sizes_of(weight_kg=None, age_y=50.0, **known) == ()
    ages = (0.05, 0.09, 3.9, 4.0, 9.9, 15.9)
    bands = [b.value for a in ages for b in sizes_of(weight_kg=None, age_y=a, **known)]
    assert bands == [0, 1, 1, 2, 2, 4]
    best = sizes_of(weight_kg=20.0, age_y=5.0, **known | {"diameter_mm": 200.0, "method": "image"})
    assert [b.basis.value for b in best] == ["water_equivalent_diameter", "weight", "age_band"]
