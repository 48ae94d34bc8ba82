"""What the store knows of exams like those that have just arrived: doses and sizes, by device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from dose_lib.compare import Expectation, PatientSize, SizeBasis, expect, sizes_of
from dose_lib.compare.exams import Floats
from dose_lib.detect.detector import History
from dose_lib.metrics import MIXED_SHARE, patients
from dose_lib.records import Modality, Part, Phantom
from dose_lib.reference import Quantity

LOOK_BACK = timedelta(days=365)
_ON = {
    Phantom.HEAD_16CM: ("dlp_16cm_mgy_cm", "ctdi_vol_16cm_max_mgy"),
    Phantom.BODY_32CM: ("dlp_32cm_mgy_cm", "ctdi_vol_32cm_max_mgy"),
}
_KAP, _ACTIVITY = "kap_gy_cm2", "administered_activity_mbq"
_DOSES = (*(name for pair in _ON.values() for name in pair), _KAP)
_DLP = ("dlp_16cm_mgy_cm", "dlp_32cm_mgy_cm", "dlp_10cm_mgy_cm", "dlp_unknown_phantom_mgy_cm")
_SIZES = ("age_y", "weight_kg", "derived_water_equivalent_diameter_mm", "size_method")
_WHO = (
    "part_key", "started_at", "modality", "procedure_name", "body_region", "device_key", "model",
    *_SIZES,
)  # fmt: skip

Row = Mapping[str, Any]


class Dose(NamedTuple):
    """One quantity of an exam: its column, value, unit, and what the value is of."""

    quantity: Quantity
    column: str
    value: float
    unit: str
    words: str


class Likes(NamedTuple):
    """An expectation, and the exams it rests on: of the same device, or of the same model."""

    expectation: Expectation
    group: str


class Neighbours(NamedTuple):
    """Exams by modality and procedure, the latest first; the exams judged among them."""

    rows: Mapping[tuple[str, str], Sequence[Row]]
    minimum_n: int

    def row_of(self, part: Part) -> Row | None:
        """What the store has of an exam; None if its name there is another by now."""
        rows = self.rows.get((part.modality.value, part.procedure_name or ""), ())
        return next((r for r in rows if r["part_key"] == part.part_key), None)

    def expectation(self, row: Row, dose: Dose) -> Likes | None:
        """What exams like this one usually get; None for too few of them, or without a size.

        By the best size that enough others have, too; of the same device, else of the model.
        """
        near = self.rows[row["modality"], row["procedure_name"]]
        alike = [r for r in near if self._is_alike(r, row) and r.get(dose.column) is not None]
        for size in row["sizes"]:
            is_enough = False
            for group in ("device_key", "model"):
                same = [r for r in alike if r[group] is not None and r[group] == row[group]]
                doses, sizes = _columns(same, size, dose.column)
                is_enough |= doses.size >= self.minimum_n
                found = expect(doses, sizes, size, minimum_n=self.minimum_n)
                if found is not None:
                    return Likes(found, "device" if group == "device_key" else "model")
            if is_enough:
                return None  # of a size that nobody had: a coarser one would not know it
        return None

    def _is_alike(self, other: Row, row: Row) -> bool:
        """Earlier, within the year before, and both of children or both of adults."""
        at: datetime = row["started_at"]
        started: datetime = other["started_at"]
        return other["is_child"] is row["is_child"] and at - LOOK_BACK <= started < at


def _columns(rows: Sequence[Row], size: PatientSize, column: str) -> tuple[Floats, Floats]:
    """Doses and sizes told by the same basis; a band of ages takes whoever is of the age."""
    pairs = [
        (row[column], own.value)
        for row in rows
        for own in row["sizes"]
        if own.basis is size.basis
        and (own.value == size.value or own.basis is not SizeBasis.AGE_BAND)
    ]
    both = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _with_sizes(row: Row, child_age_y: float) -> Row:
    """With the patient's size by each basis, the best first, and whether it is a child."""
    age = row["age_y"]
    sizes = sizes_of(
        diameter_mm=row["derived_water_equivalent_diameter_mm"],
        method=row["size_method"],
        weight_kg=row["weight_kg"],
        age_y=age,
        child_age_y=child_age_y,
        body_region=row["body_region"],
    )
    return {**row, "sizes": sizes, "is_child": None if age is None else age < child_age_y}


def read_neighbours(
    history: History, parts: Sequence[Part], *, child_age_y: float, minimum_n: int
) -> Neighbours:
    """Exams of a year of the same procedures, on the same devices or models, in one query."""
    studies = patients(history.table("studies"))
    starts = [_plain(p.started_at) for p in parts if p.started_at is not None]
    names = sorted({p.procedure_name for p in parts if p.procedure_name})
    devices = sorted({p.device.device_key for p in parts if p.device.device_key})
    models = sorted({p.device.model for p in parts if p.device.model})
    wanted = studies.select(*_WHO, *_DOSES, *(n for n in _DLP if n not in _DOSES))
    wanted = wanted.filter(
        wanted.procedure_name.isin(names),
        wanted.device_key.isin(devices) | wanted.model.isin(models),
        wanted.started_at >= min(starts) - LOOK_BACK,
        wanted.started_at <= max(starts),
    )
    rows = wanted.order_by(wanted.started_at.desc(), wanted.part_key).to_pyarrow().to_pylist()
    given = _activities(history, parts, min(starts) - LOOK_BACK)
    known: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        own = _with_sizes(_on_one_phantom(row), child_age_y)
        own = {**own, _ACTIVITY: given.get(row["part_key"])}
        known.setdefault((row["modality"], row["procedure_name"]), []).append(own)
    return Neighbours(known, minimum_n)


def _on_one_phantom(row: Row) -> Row:
    """Without the doses of an exam that used two phantoms: neither is the exam's."""
    total = sum(row[name] or 0.0 for name in _DLP)
    kept = dict(row)
    for dlp, ctdi in _ON.values():
        if (row[dlp] or 0.0) < (1 - MIXED_SHARE) * total or not row[dlp]:
            kept |= {dlp: None, ctdi: None}
    return kept


def _activities(history: History, parts: Sequence[Part], since: datetime) -> dict[str, float]:
    """Activity given in each exam of the procedures, MBq; none where nothing was given."""
    names = sorted({p.procedure_name for p in parts if p.administrations and p.procedure_name})
    if not names:
        return {}
    rows = history.table("administrations")
    rows = rows.select("part_key", "procedure_name", "study_started_at", _ACTIVITY)
    rows = rows.filter(rows.procedure_name.isin(names), rows.study_started_at >= since)
    sums = rows.group_by("part_key").aggregate(
        total=rows[_ACTIVITY].sum(), n_silent=rows[_ACTIVITY].isnull().sum()
    )
    found = sums.filter(sums.n_silent == 0).to_pyarrow().to_pylist()
    return {r["part_key"]: r["total"] for r in found}


def doses_of(row: Row) -> list[Dose]:
    """The quantities by which an exam is judged, as far as it states them."""
    if row["modality"] == Modality.CT:
        found = []
        for phantom, (dlp, ctdi) in _ON.items():
            on = f"on the {phantom.value} phantom"
            found.append(Dose(Quantity.CTDI_VOL, ctdi, row[ctdi], "mGy", f"largest CTDIvol {on}"))
            found.append(Dose(Quantity.DLP, dlp, row[dlp], "mGy.cm", f"DLP of the exam {on}"))
    else:
        found = [
            Dose(Quantity.KAP, _KAP, row[_KAP], "Gy.cm2", "KAP of the exam"),
            Dose(Quantity.ACTIVITY, _ACTIVITY, row[_ACTIVITY], "MBq", "administered activity"),
        ]
    return [d for d in found if d.value is not None and d.value > 0]


def _plain(at: datetime) -> datetime:
    return at.replace(tzinfo=None)
