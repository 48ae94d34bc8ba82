"""Radiography and mammography: levels for one projection, told by its exposures."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from dose_lib.compare import Comparison, Status, Verdict, compare_practice
from dose_lib.normalise import name_projection, projections
from dose_lib.records import (
    Code,
    Laterality,
    MgMode,
    Modality,
    XRayEvent,
)
from dose_lib.reference import Kind, Level, Per, Quantity, Reason, published_levels
from dose_lib.settings import Settings
from tests.compare.practice import Row, exam, exposure, practice

CHEST_PA = Level(
    set_id="DE", edition="2022", row_id="DE/chest-pa", kind=Kind.NATIONAL, country="GB",
    modality="DX", procedure_name="Chest PA", source_procedure="Thorax p.a.",
    body_region="chest", quantity=Quantity.KAP, value=0.12, unit="Gy.cm2", per=Per.PROJECTION,
)  # fmt: skip
PA = {"procedure_name": "Chest PA", "quantities": ["kap"]}
BREAST = msgspec.structs.replace(
    CHEST_PA, row_id="MG", modality="MG", procedure_name="Mammogram 2D", quantity=Quantity.AGD,
    value=1.6, unit="mGy", body_region="breast", size_basis="compressed_breast_thickness",
    size_min=50.0, size_max=60.0, size_unit="mm",
)  # fmt: skip


def radiographs(n: int = 25, **fields: Any) -> tuple[list[Row], list[Row]]:
    """Exams of a chest from behind and from the side; KAP from behind 0.10 to 0.148."""
    studies = [
        exam(f"r{i}", modality="DX", procedure_name="Chest PA and LAT", room="X 1", **fields)
        for i in range(n)
    ]
    shots = [exposure(f"r{i}", kap_gy_cm2=0.10 + 0.002 * i) for i in range(n)]
    shots += [exposure(f"r{i}", kap_gy_cm2=0.9, projection="Chest LAT") for i in range(n)]
    return studies, shots


@pytest.fixture
def compare(settings: Settings) -> Any:
    def run(rows: tuple[list[Row], list[Row]], *levels: Level, **options: Any) -> Comparison:
        con = practice(*rows)
        return compare_practice(con, levels=levels, settings=settings, **options)

    return run


def only(found: Comparison) -> Verdict:
    (verdict,) = found.verdicts
    return verdict


def test_the_exposures_of_one_projection_are_compared(compare: Any) -> None:
    found = compare(radiographs(), CHEST_PA, **PA)
    (verdict,) = found.verdicts
    assert verdict.procedure_name == "Chest PA"
    assert verdict.figures.n == 25
    assert verdict.figures.median == pytest.approx(0.124)
    assert verdict.status is Status.EXCEEDS
    assert verdict.ratio == pytest.approx(0.124 / 0.12)


def test_all_projections_that_have_levels(compare: Any) -> None:
    """Asked for everything: the side view has no level and is told with its exam."""
    found = compare(radiographs(), CHEST_PA, quantities=["kap"])
    by_name = {v.procedure_name: v for v in found.verdicts}
    assert by_name["Chest PA"].status is Status.EXCEEDS
    assert "Chest LAT" not in by_name


def test_repeats_of_a_patient_count_once(compare: Any) -> None:
    studies, shots = radiographs()
    shots += [exposure("r0", kap_gy_cm2=1.0) for _ in range(40)]
    verdict = only(compare((studies, shots), CHEST_PA, **PA))
    assert verdict.figures.n == 25
    mean_of_first = (0.10 + 40 * 1.0) / 41
    values = [mean_of_first, *(0.10 + 0.002 * i for i in range(1, 25))]
    assert verdict.figures.median == pytest.approx(np.median(values), rel=1e-12)


def test_few_patients_give_no_verdict(compare: Any) -> None:
    verdict = only(compare(radiographs(19), CHEST_PA, **PA))
    assert verdict.reason is Reason.TOO_FEW
    assert verdict.figures.n == 19


def test_a_level_of_another_quantity_finds_none(compare: Any) -> None:
    level = msgspec.structs.replace(CHEST_PA, quantity=Quantity.KA_E, unit="mGy", value=0.3)
    found = compare(radiographs(), level, procedure_name="Chest PA", quantities=["ka_e"])
    assert found.verdicts == ()


def breasts(thickness: float = 55.0, n: int = 25) -> tuple[list[Row], list[Row]]:
    studies = [
        exam(f"m{i}", modality="MG", procedure_name="Screening Mammogram", body_region="breast")
        for i in range(n)
    ]
    shots = [
        exposure(
            f"m{i}", modality="MG", projection=f"Mammogram {view}", laterality=side,
            agd_mgy=1.5 + 0.01 * i, compressed_thickness_mm=thickness,
        )
        for i in range(n)
        for side in ("left", "right")
        for view in ("CC", "MLO")
    ]  # fmt: skip
    return studies, shots


def test_each_breast_and_view_counts_within_its_thickness(compare: Any) -> None:
    verdict = only(compare(breasts(), BREAST, quantities=["agd"], procedure_name="Mammogram 2D"))
    assert verdict.figures.n == 4 * 25
    assert verdict.figures.median == pytest.approx(1.62)
    assert verdict.status is Status.CONSISTENTLY_EXCEEDS or verdict.status is Status.EXCEEDS


@pytest.mark.parametrize(("thickness", "n"), [(49.9, 0), (50.0, 100), (59.9, 100), (60.0, 0)])
def test_edges_of_the_thickness_band(compare: Any, thickness: float, n: int) -> None:
    found = compare(breasts(thickness), BREAST, quantities=["agd"], procedure_name="Mammogram 2D")
    verdict = only(found)
    assert verdict.figures.n == n
    if not n:
        assert verdict.reason is Reason.SIZE_OUTSIDE


def test_published_levels_per_projection_have_our_names() -> None:
    usable = [x for x in published_levels() if x.per is Per.PROJECTION and x.is_comparable]
    assert {x.procedure_name for x in usable} - {"Panoramic Radiograph", "Intra-oral Radiograph",
        "Dental CBCT", "Whole Spine", "Hip"} <= set(projections())  # fmt: skip


CHEST = Code("T-D3000", "SRT", "Chest")
LUMBAR = Code("122496007", "SCT", "Lumbar spine")
SPINE = Code("421060004", "SCT", "Spine")
FROM_BEHIND = Code("272479007", "SCT", "postero-anterior")
AP = Code("R-10206", "SRT", "antero-posterior")
LEFT = Code("399173006", "SCT", "left lateral")
ODD = Code("399162004", "SCT", "cranio-caudal")


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"target_region": CHEST, "view": FROM_BEHIND}, "Chest PA"),
        ({"target_region": CHEST, "view": LEFT}, "Chest LAT"),
        ({"anatomical_structure": LUMBAR, "view": FROM_BEHIND}, "Lumbar Spine AP"),
        ({"target_region": SPINE, "acquisition_protocol": "LWS seitlich"}, "Lumbar Spine LAT"),
        ({"acquisition_protocol": "Becken a.p."}, "Pelvis AP"),
        ({"target_region": CHEST}, None),
        ({"view": FROM_BEHIND}, None),
        ({"target_region": CHEST, "view": ODD}, None),
        ({"acquisition_protocol": "Thorax pa/lat"}, None),
        ({"target_region": CHEST, "view": FROM_BEHIND, "is_rejected": True}, None),
        ({}, None),
    ],
)
def test_what_an_exposure_is(fields: dict[str, Any], name: str | None) -> None:
    assert name_projection(XRayEvent(**fields), Modality.DX) == name


CC = Code("399162004", "SCT", "cranio-caudal")
MLO = Code("R-10226", "SRT", "medio-lateral oblique")


@pytest.mark.parametrize(
    ("fields", "mode", "name"),
    [
        ({"view": CC}, None, "Mammogram CC"),
        ({"view": MLO}, MgMode.TWO_D, "Mammogram MLO"),
        ({"view": MLO}, MgMode.DBT, "Mammogram MLO DBT"),
        ({"view": CC, "mg_mode": MgMode.CEM}, MgMode.TWO_D, "Mammogram CC CEM"),
        ({"view": CC}, MgMode.COMBO, None),
        ({"acquisition_protocol": "R MLO"}, None, "Mammogram MLO"),
    ],
)
def test_what_a_mammogram_is(fields: dict[str, Any], mode: MgMode | None, name: str | None) -> None:
    event = XRayEvent(laterality=Laterality.LEFT, **fields)
    assert name_projection(event, Modality.MG, mode) == name


def test_fluoroscopy_has_no_projections() -> None:
    event = XRayEvent(target_region=CHEST, view=FROM_BEHIND)
    assert name_projection(event, Modality.RF) is None
