"""What each exam is compared by: its value on one phantom, or why it has none."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from dose_lib.metrics import MIXED_SHARE, patients
from dose_lib.normalise.regions import code_values, code_values_of, components
from dose_lib.records import Phantom
from dose_lib.reference import Level, Per, Quantity, Reason

Floats: TypeAlias = npt.NDArray[np.float64]
Words: TypeAlias = npt.NDArray[np.object_]
Flags: TypeAlias = npt.NDArray[np.bool_]
Backend: TypeAlias = Any
Table: TypeAlias = Any

_ON_PHANTOM = {
    Phantom.HEAD_16CM: "dlp_16cm_mgy_cm",
    Phantom.BODY_32CM: "dlp_32cm_mgy_cm",
}
_DLP = (*_ON_PHANTOM.values(), "dlp_10cm_mgy_cm", "dlp_unknown_phantom_mgy_cm")
_PER_EXAM = {
    Quantity.KAP: "kap_gy_cm2",
    Quantity.KA_R: "ka_r_mgy",
    Quantity.FLUORO_TIME: "fluoro_time_s",
}
_WHO = (
    "part_key", "procedure_name", "body_region", "site", "room", "device", "device_key",
    "started_at", "age_y", "weight_kg",
)  # fmt: skip


class Scope(NamedTuple):
    """Which exams are looked at; None takes all."""

    procedures: tuple[str, ...] | None = None
    device: str | None = None
    room: str | None = None
    site: str | None = None
    start: date | None = None
    end: date | None = None


class Exams(NamedTuple):
    """Exams as columns, one row an exam part; missing numbers are NaN, missing words None."""

    part_key: Words
    procedure_name: Words
    body_region: Words
    site: Words
    room: Words
    device: Words
    device_key: Words
    on: npt.NDArray[np.datetime64]
    age_y: Floats
    weight_kg: Floats
    doses: dict[str, Floats]

    def take(self, keep: Flags) -> Exams:
        """The exams for which `keep` is True."""
        doses = {name: column[keep] for name, column in self.doses.items()}
        return Exams(
            self.part_key[keep], self.procedure_name[keep], self.body_region[keep],
            self.site[keep], self.room[keep],
            self.device[keep], self.device_key[keep], self.on[keep], self.age_y[keep],
            self.weight_kg[keep], doses,
        )  # fmt: skip

    @property
    def n(self) -> int:
        """How many exams these are."""
        return int(self.part_key.size)


class Scans(NamedTuple):
    """Diagnostic acquisitions, summed over an exam's events of one phantom and target region.

    `row` is the place of the exam in the `Exams` they belong to.
    """

    row: npt.NDArray[np.int64]
    phantom: Words
    region: Words
    n: Floats
    n_without_dlp: Floats
    n_without_ctdi: Floats
    ctdi_sum: Floats
    ctdi_by_dlp: Floats
    dlp_sum: Floats

    def take(self, rows: npt.NDArray[np.int64]) -> Scans:
        """The scans of the exams at `rows`, counted from there."""
        new = np.full(int(self.row.max(initial=-1)) + 1, -1, dtype=np.int64)
        rows = rows[rows < new.size]
        new[rows] = np.arange(rows.size)
        keep = new[self.row] >= 0 if self.row.size else np.zeros(0, dtype=bool)
        return Scans(
            new[self.row[keep]], self.phantom[keep], self.region[keep], self.n[keep],
            self.n_without_dlp[keep], self.n_without_ctdi[keep], self.ctdi_sum[keep],
            self.ctdi_by_dlp[keep], self.dlp_sum[keep],
        )  # fmt: skip


class Measured(NamedTuple):
    """One value an exam (NaN for none), why it has none, and how values were made."""

    value: Floats
    reason: Words
    basis: str


def read_exams(con: Backend, scope: Scope) -> Exams:
    """Exams of patients in a scope, with every dose that per-exam levels are about."""
    names = (*_WHO, *_DLP, *_PER_EXAM.values())
    found = _in_scope(con.table("studies"), scope).select(*names).to_pyarrow()
    words = {n: _words(found, n) for n in names if n in _WHO}
    on = found["started_at"].to_numpy(zero_copy_only=False).astype("datetime64[D]")
    doses = {n: _floats(found, n) for n in names if n not in _WHO}
    return Exams(
        words["part_key"], words["procedure_name"], words["body_region"], words["site"],
        words["room"], words["device"], words["device_key"], on, _floats(found, "age_y"),
        _floats(found, "weight_kg"), doses,
    )  # fmt: skip


def _in_scope(studies: Table, scope: Scope) -> Table:
    exams = patients(studies)
    exams = exams.filter(exams.procedure_name.notnull(), exams.started_at.notnull())
    if scope.procedures is not None:
        exams = exams.filter(exams.procedure_name.isin(scope.procedures))
    for name in ("device", "room", "site"):
        if (wanted := getattr(scope, name)) is not None:
            exams = exams.filter(exams[name] == wanted)
    if scope.start is not None:
        exams = exams.filter(exams.started_at >= datetime.combine(scope.start, time()))
    if scope.end is not None:
        after = datetime.combine(scope.end + timedelta(days=1), time())
        exams = exams.filter(exams.started_at < after)
    return exams


def _words(found: Any, name: str) -> Words:
    return np.array(found[name].to_pylist(), dtype=object)


def _floats(found: Any, name: str) -> Floats:
    column = found[name].to_numpy(zero_copy_only=False)
    return np.asarray(column, dtype=np.float64)


def read_scans(con: Backend, scope: Scope, exams: Exams) -> Scans:
    """Diagnostic acquisitions of the exams that were read for the same scope.

    Left out are localisers, stationary and free acquisitions and bolus tracking: a stationary
    table's CTDIvol can read several times too high while its DLP is right.
    """
    keys = _in_scope(con.table("studies"), scope).select("part_key")
    events = con.table("events")
    events = events.filter(
        events.record == "ct_event",
        events.acquisition_type.isin(("spiral", "sequenced")),
        ~events.is_bolus_tracking.fill_null(False),
    )
    events = events.semi_join(keys, "part_key")
    region = events.target_region["value"]
    known = region.isin(code_values()).ifelse(region, None)
    ctdi, dlp = events.ctdi_vol_mgy, events.dlp_mgy_cm
    grouped = events.group_by(
        part_key=events.part_key, phantom=events.phantom, region=known
    ).aggregate(
        n=events.count(),
        n_without_dlp=dlp.isnull().sum(),
        n_without_ctdi=ctdi.isnull().sum(),
        ctdi_sum=ctdi.sum(),
        ctdi_by_dlp=(ctdi * dlp).sum(),
        dlp_sum=dlp.sum(),
    )
    found = grouped.to_pyarrow()
    place = {key: i for i, key in enumerate(exams.part_key)}
    # An exam that arrived between the two queries has no place yet; it comes next time.
    row = np.array([place.get(k, -1) for k in found["part_key"].to_pylist()], dtype=np.int64)
    keep = row >= 0
    phantom, region = _words(found, "phantom")[keep], _words(found, "region")[keep]
    sums = (_floats(found, n)[keep] for n in Scans._fields[3:])
    return Scans(row[keep], phantom, region, *sums)


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
    if level.per in (Per.SCAN, Per.ACQUISITION) and scans is not None:
        return _per_scan(level, exams, scans)
    if level.per is Per.EXAM and level.quantity is Quantity.DLP and level.phantom is not None:
        return _dlp_per_exam(level.phantom, exams)
    if level.per is Per.EXAM and level.quantity in _PER_EXAM:
        value = exams.doses[_PER_EXAM[level.quantity]]
        return Measured(value, _why(value, Reason.NO_QUANTITY), "as stated for the exam")
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


def _dlp_per_exam(phantom: Phantom, exams: Exams) -> Measured:
    """Sum of DLP on one phantom; an exam with more than 5 % elsewhere is left out (ours)."""
    column = exams.doses[_ON_PHANTOM[phantom]]
    total = np.nansum([exams.doses[name] for name in _DLP], axis=0)
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
