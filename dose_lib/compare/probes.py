"""Rows a local level could have: each quantity, way of counting, phantom and band of a practice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from dose_lib.compare.exams import PER_EXAM, PER_PROJECTION, Exams
from dose_lib.normalise import catalogue
from dose_lib.normalise.regions import components
from dose_lib.records import Phantom
from dose_lib.reference import Kind, Level, Per, PhantomBasis, Quantity

_UNITS = {
    Quantity.DLP: "mGy.cm", Quantity.CTDI_VOL: "mGy", Quantity.KAP: "Gy.cm2",
    Quantity.KA_R: "mGy", Quantity.FLUORO_TIME: "s", Quantity.KA_E: "mGy", Quantity.KA_I: "mGy",
    Quantity.AGD: "mGy", Quantity.ACTIVITY: "MBq",
}  # fmt: skip
_ON_PHANTOM = (
    (Phantom.HEAD_16CM, "dlp_16cm_mgy_cm"),
    (Phantom.BODY_32CM, "dlp_32cm_mgy_cm"),
)
# RP 185: trunk by weight (kg), head by age (years).
_TRUNK = ((0.0, 5.0), (5.0, 15.0), (15.0, 30.0), (30.0, 50.0), (50.0, 80.0))
_HEAD = ((0.0, 0.25), (0.25, 1.0), (1.0, 6.0), (6.0, None))
_BREAST_MM = (50.0, 60.0)  # compressed thickness of the standard breast (UK practice)


class _Counting(NamedTuple):
    quantity: Quantity
    per: Per
    phantom: Phantom | None = None


def exam_probes(name: str, exams: Exams) -> Iterator[Level]:
    """Rows for whole exams of one procedure, for what its exams state."""
    entry = catalogue().get(name)
    region = entry.region if entry else next((r for r in exams.body_region if r), None)
    modality = entry.modalities[0] if entry else "CT"
    for counting in _countings(exams):
        for band in _bands(region):
            yield _probe(name, counting, modality=modality, body_region=region, **band)


def _countings(exams: Exams) -> Iterator[_Counting]:
    for phantom, column in _ON_PHANTOM:
        if not np.isnan(exams.doses[column]).all():
            yield _Counting(Quantity.DLP, Per.EXAM, phantom)
            yield _Counting(Quantity.CTDI_VOL, Per.SCAN, phantom)
    for quantity, column in PER_EXAM.items():
        if not np.isnan(exams.doses[column]).all():
            yield _Counting(quantity, Per.EXAM)


def _bands(region: str | None) -> Iterator[dict[str, Any]]:
    """Adults, and the bands of children of RP 185."""
    yield {"population": "adult"}
    is_head = components(region or "") == {"head"}
    basis, unit, bands = ("age", "a", _HEAD) if is_head else ("weight", "kg", _TRUNK)
    for low, high in bands:
        yield {
            "population": "paediatric", "size_basis": basis, "size_min": low, "size_max": high,
            "size_unit": unit,
        }  # fmt: skip


def exposure_probes(name: str, shots: Exams) -> Iterator[Level]:
    """Rows for one projection; in mammography for the standard breast."""
    is_breast = name.startswith("Mammogram")
    region = next((r for r in shots.body_region if r), None)
    bands = [_standard_breast()] if is_breast else list(_bands(region))
    for quantity, column in PER_PROJECTION.items():
        if np.isnan(shots.doses[column]).all():
            continue
        counting = _Counting(quantity, Per.PROJECTION)
        for band in bands:
            modality = "MG" if is_breast else "DX"
            yield _probe(name, counting, modality=modality, body_region=region, **band)


def _standard_breast() -> dict[str, Any]:
    low, high = _BREAST_MM
    return {
        "population": "adult", "size_basis": "compressed_breast_thickness", "size_min": low,
        "size_max": high, "size_unit": "mm",
    }  # fmt: skip


def _probe(name: str, counting: _Counting, **fields: Any) -> Level:
    return Level(
        set_id="proposal",
        edition="proposal",
        row_id="proposal",
        kind=Kind.LOCAL,
        origin="site",
        procedure_name=name,
        quantity=counting.quantity,
        value=1.0,
        unit=_UNITS[counting.quantity],
        per=counting.per,
        phantom=counting.phantom,
        phantom_basis=None if counting.phantom is None else PhantomBasis.SOURCE,
        **fields,
    )
