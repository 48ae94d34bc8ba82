"""What each exam is compared by: its value on one phantom, or why it has none."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import msgspec
import numpy as np

from dose_lib.compare.exams import (
    DLP_COLUMNS,
    PER_EXAM,
    PER_PROJECTION,
    Exams,
    Flags,
    Floats,
    Scans,
    Words,
)
from dose_lib.metrics import MIXED_SHARE
from dose_lib.normalise.regions import code_values, code_values_of, components
from dose_lib.records import Phantom
from dose_lib.reference import Level, Per, Quantity, Reason

_ON_PHANTOM = {
    Phantom.HEAD_16CM: "dlp_16cm_mgy_cm",
    Phantom.BODY_32CM: "dlp_32cm_mgy_cm",
}


PER_KG = "MBq/kg"  # levels of activity for any size of patient


class Measured(NamedTuple):
    """One value an exam (NaN for none), why it has none, and how values were made."""

    value: Floats
    reason: Words
    basis: str


def measure_exams(level: Level, exams: Exams, scans: Scans | None) -> Measured:
    """Values of exams as a level counts them.

    Parameters
    ----------
    level
        Its quantity, phantom, way of counting and body region decide.
    exams
        The exams.
    scans
        Their acquisitions; needed for levels per scan.

    Notes
    -----
    An exam in which more regions were irradiated than the level is for is left out: exams
    coded as something else cause most false alarms (detection.md §1).
    """
    measured = _measure(level, exams, scans)
    wider = np.array([_is_wider(r, level.body_region) for r in exams.body_region], dtype=bool)
    if not wider.any():
        return measured
    reason = np.where(wider, Reason.MORE_DONE, measured.reason)
    return Measured(np.where(wider, np.nan, measured.value), reason, measured.basis)


@cache
def _is_wider(done: str | None, named: str | None) -> bool:
    return bool(done and named) and components(done or "") > components(named or "")


def _measure(level: Level, exams: Exams, scans: Scans | None) -> Measured:
    if level.needs_phantom and level.phantom is None:
        return _on_commonest_phantom(level, exams, scans)
    if level.per in (Per.SCAN, Per.ACQUISITION) and scans is not None and level.needs_phantom:
        return _per_scan(level, exams, scans)
    if level.per is Per.EXAM and level.quantity is Quantity.DLP and level.phantom is not None:
        return _dlp_per_exam(level.phantom, exams)
    if level.per is Per.PROJECTION and level.quantity in PER_PROJECTION:
        value = exams.doses.get(PER_PROJECTION[level.quantity], np.full(exams.n, np.nan))
        return Measured(value, _why(value, Reason.NO_QUANTITY), "per projection, mean of an exam's")
    if level.per is Per.EXAM and level.quantity in PER_EXAM:
        return _per_exam(level, exams)
    nothing = np.full(exams.n, np.nan)
    return Measured(nothing, _why(nothing, Reason.PER_MISMATCH), f"per {level.per}")


def _on_commonest_phantom(level: Level, exams: Exams, scans: Scans | None) -> Measured:
    """Values to show beside a level without a phantom, which gives no verdict."""
    both = [_measure(msgspec.structs.replace(level, phantom=p), exams, scans) for p in _ON_PHANTOM]
    return max(both, key=lambda m: int((~np.isnan(m.value)).sum()))


def _why(value: Floats, reason: Reason) -> Words:
    out = np.full(value.size, None, dtype=object)
    out[np.isnan(value)] = reason
    return out


def _per_exam(level: Level, exams: Exams) -> Measured:
    """As stated; an activity by body weight needs the weight."""
    whole = exams.doses[PER_EXAM[level.quantity]]
    if level.unit != PER_KG:
        return Measured(whole, _why(whole, Reason.NO_QUANTITY), "as stated for the exam")
    value = whole / exams.weight_kg
    reason = _why(value, Reason.SIZE_UNKNOWN)
    reason[np.isnan(whole)] = Reason.NO_QUANTITY
    return Measured(value, reason, "as stated for the exam, by body weight")


def _dlp_per_exam(phantom: Phantom, exams: Exams) -> Measured:
    """Sum of DLP on one phantom; an exam with more than 5 % elsewhere is left out (ours)."""
    column = exams.doses[_ON_PHANTOM[phantom]]
    total = np.nansum([exams.doses[name] for name in DLP_COLUMNS], axis=0)
    unknown = np.nan_to_num(exams.doses["dlp_unknown_phantom_mgy_cm"])
    own = np.nan_to_num(column)
    pure = (own > 0) & (own >= (1 - MIXED_SHARE) * total)
    reason = np.full(exams.n, None, dtype=object)
    reason[~pure] = Reason.MIXED_PHANTOMS
    reason[(own == 0) & (total > 0)] = Reason.PHANTOM_MISMATCH
    reason[(own == 0) & (unknown > 0) & (unknown >= (1 - MIXED_SHARE) * total)] = (
        Reason.EXAM_PHANTOM
    )
    reason[total == 0] = Reason.NO_QUANTITY
    basis = f"sum of DLP on the {phantom} phantom"
    return Measured(np.where(pure, column, np.nan), reason, basis)


def _per_scan(level: Level, exams: Exams, scans: Scans) -> Measured:
    """Acquisitions of the level's region and phantom; several phases give one value.

    CTDIvol: mean weighted by DLP (that is, by length). DLP: mean over the acquisitions.
    """
    codes = _codes(level.body_region)
    of_region = np.array([r is None or r in codes for r in scans.region], dtype=bool)
    fits = of_region & (scans.phantom == (level.phantom and level.phantom.value))

    def total(column: Floats, keep: Flags) -> Floats:
        return np.bincount(
            scans.row[keep], weights=np.nan_to_num(column[keep]), minlength=exams.n
        ).astype(np.float64)

    n = total(scans.n, fits)
    value, basis = _weigh(level, total, scans, fits, n)
    reason = _why(value, Reason.NO_QUANTITY)
    elsewhere = of_region & ~fits
    has_none = elsewhere & np.array([p is None for p in scans.phantom], dtype=bool)
    reason[(n == 0) & (total(scans.n, elsewhere) > 0)] = Reason.PHANTOM_MISMATCH
    reason[(n == 0) & (total(scans.n, has_none) > 0)] = Reason.EXAM_PHANTOM
    return Measured(value, reason, basis)


def _weigh(level: Level, total: Any, scans: Scans, fits: Flags, n: Floats) -> tuple[Floats, str]:
    with np.errstate(divide="ignore", invalid="ignore"):
        if level.quantity is Quantity.DLP:
            value = np.where(total(scans.n_without_dlp, fits) == 0, total(scans.dlp_sum, fits) / n,
                             np.nan)  # fmt: skip
            return value, "mean DLP of the acquisitions"
        weighted = total(scans.ctdi_by_dlp, fits) / total(scans.dlp_sum, fits)
    whole = (total(scans.n_without_dlp, fits) == 0) & (total(scans.dlp_sum, fits) > 0)
    single = (n == 1) & (total(scans.n_without_ctdi, fits) == 0)
    value = np.where(single, total(scans.ctdi_sum, fits), np.where(whole, weighted, np.nan))
    value = np.where((n > 0) & (total(scans.n_without_ctdi, fits) == 0), value, np.nan)
    return value, "CTDIvol per acquisition, mean weighted by DLP where there are several"


def _codes(region: str | None) -> frozenset[str]:
    return frozenset(code_values() if region is None else code_values_of(region))
