"""Exams, acquisitions and exposures of a practice as columns, read once for all comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dose_lib.metrics import patients
from dose_lib.normalise.regions import code_values
from dose_lib.reference import Quantity

Floats: TypeAlias = npt.NDArray[np.float64]
Words: TypeAlias = npt.NDArray[np.object_]
Flags: TypeAlias = npt.NDArray[np.bool_]
Backend: TypeAlias = Any
Table: TypeAlias = Any

DLP_COLUMNS = (
    "dlp_16cm_mgy_cm", "dlp_32cm_mgy_cm", "dlp_10cm_mgy_cm", "dlp_unknown_phantom_mgy_cm",
)  # fmt: skip
PER_EXAM = {
    Quantity.KAP: "kap_gy_cm2",
    Quantity.KA_R: "ka_r_mgy",
    Quantity.FLUORO_TIME: "fluoro_time_s",
    Quantity.ACTIVITY: "administered_activity_mbq",
}
# Of one exposure; entrance dose that does not say how it was derived is none of them.
PER_PROJECTION = {
    Quantity.KAP: "kap_gy_cm2",
    Quantity.KA_E: "ka_e_mgy",
    Quantity.KA_I: "ka_i_mgy",
    Quantity.AGD: "agd_mgy",
}
_WHO = (
    "part_key", "procedure_name", "body_region", "contrast", "site", "room", "device",
    "device_key",
)  # fmt: skip


class Scope(NamedTuple):
    """Which exams are looked at; None takes all.

    With `as_of` the store is looked at as it was then: exams that had arrived, under the names
    they had.
    """

    procedures: tuple[str, ...] | None = None
    device: str | None = None
    room: str | None = None
    site: str | None = None
    start: date | None = None
    end: date | None = None
    as_of: datetime | None = None


class Exams(NamedTuple):
    """What is compared, as columns; missing numbers are NaN, missing words None.

    One row an exam part; for levels per projection one row a projection (and breast) of an
    exam part, `procedure_name` its name and doses the means over its exposures.
    """

    part_key: Words
    procedure_name: Words
    body_region: Words
    contrast: Words
    site: Words
    room: Words
    device: Words
    device_key: Words
    on: npt.NDArray[np.datetime64]
    age_y: Floats
    weight_kg: Floats
    thickness_mm: Floats
    doses: dict[str, Floats]

    def take(self, keep: Flags | npt.NDArray[np.int64]) -> Exams:
        """The rows for which `keep` is True, or at the places it names."""
        columns: list[Any] = [c[keep] for c in self[:-1]]
        return Exams._make((*columns, {n: c[keep] for n, c in self.doses.items()}))

    @property
    def n(self) -> int:
        """How many rows these are."""
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
        others: list[Any] = [c[keep] for c in self[1:]]
        return Scans._make((new[self.row[keep]], *others))


def by_name(exams: Exams) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
    """Names of procedures in order, and the rows of each."""
    encoded = pa.array(exams.procedure_name, pa.string()).dictionary_encode()
    names = encoded.dictionary.to_pylist()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(len(names) + 1))
    for i in sorted(range(len(names)), key=names.__getitem__):
        yield names[i], order[ends[i] : ends[i + 1]]


def read_exams(con: Backend, scope: Scope) -> Exams:
    """Exams of patients in a scope, with every dose that per-exam levels are about."""
    activity = PER_EXAM[Quantity.ACTIVITY]
    doses = (*DLP_COLUMNS, *(n for n in PER_EXAM.values() if n != activity))
    names = (*_WHO, "started_at", "age_y", "weight_kg", *doses)
    # A lake or a table in memory may be without nuclear medicine.
    has_nuclear = "n_administrations" in con.table("studies").columns
    names += ("n_administrations",) if has_nuclear else ()
    exams = _in_scope(con, scope, names)
    exams = exams.filter(exams.procedure_name.notnull())
    if scope.procedures is not None:
        exams = exams.filter(exams.procedure_name.isin(scope.procedures))
    found = exams.select(*names).to_pyarrow()
    read = _exams(found, doses)
    given = np.zeros(read.n, dtype=bool)
    if has_nuclear:
        given = np.nan_to_num(_floats(found, "n_administrations")) > 0
    return read._replace(doses={**read.doses, activity: _activities(con, scope, read, given)})


def _activities(con: Backend, scope: Scope, exams: Exams, given: Flags) -> Floats:
    """Activity given in each exam, MBq: the sum, NaN where one administration states none."""
    values = np.full(exams.n, np.nan)
    if not given.any():
        return values
    rows = con.table("administrations")
    rows = rows.select("part_key", "study_started_at", "administered_activity_mbq")
    rows = _started(rows, rows.study_started_at, scope)
    activity = rows.administered_activity_mbq
    found = rows.group_by("part_key").aggregate(
        total=activity.sum(), n_silent=(activity.isnull() | activity.isnan()).sum()
    )
    known = found.filter(found.n_silent == 0).select("part_key", "total").to_pyarrow().to_pydict()
    totals = dict(zip(known["part_key"], known["total"], strict=True))
    for place in np.flatnonzero(given):
        values[place] = totals.get(exams.part_key[place], np.nan)
    return values


def _exams(found: Any, doses: tuple[str, ...]) -> Exams:
    nothing = np.full(found.num_rows, np.nan)
    has_thickness = "thickness_mm" in found.column_names
    words: list[Any] = [_words(found, n) for n in _WHO]
    on = found["started_at"].to_numpy(zero_copy_only=False).astype("datetime64[D]")
    thickness = _floats(found, "thickness_mm") if has_thickness else nothing
    numbers = (_floats(found, "age_y"), _floats(found, "weight_kg"), thickness)
    return Exams._make((*words, on, *numbers, {n: _floats(found, n) for n in doses}))


def _in_scope(con: Backend, scope: Scope, names: Sequence[str]) -> Table:
    """Exams of a scope with the columns named, and those the scope is about.

    Columns are chosen first: every further step costs time with each column of a wide table.
    """
    table = con.table("studies")
    needed = {*names, "part_key", "started_at", "is_patient", "device", "room", "site"}
    needed |= {"received_at", "body_region", "contrast"} if scope.as_of is not None else set()
    exams = patients(table.select(*(c for c in table.columns if c in needed)))
    exams = _started(exams, exams.started_at, scope)
    for name in ("device", "room", "site"):
        if (wanted := getattr(scope, name)) is not None:
            exams = exams.filter(exams[name] == wanted)
    return exams if scope.as_of is None else _as_of(con, exams, scope.as_of)


def _started(table: Table, started: Any, scope: Scope) -> Table:
    """Rows of exams that started within the period."""
    wanted = [started.notnull()]
    if scope.start is not None:
        wanted.append(started >= datetime.combine(scope.start, time()))
    if scope.end is not None:
        wanted.append(started < datetime.combine(scope.end + timedelta(days=1), time()))
    return table.filter(*wanted)


def _as_of(con: Backend, exams: Table, moment: datetime) -> Table:
    """Exams as they stood at a moment: those that had arrived, by their names of then."""
    exams = exams.filter(exams.received_at <= moment)
    later = con.table("former_name")
    later = later.filter(later.until > moment)
    names = ("procedure_name", "body_region", "contrast")
    # The name that held at the moment is the one the earliest later change ended; "" is NULL.
    then = later.group_by("part_key").aggregate(
        **{f"former_{n}": later[n].fill_null("").argmin(later.until) for n in names}
    )
    joined = exams.left_join(then, "part_key")
    is_former = joined.former_procedure_name.notnull()
    return joined.mutate(
        **{n: is_former.ifelse(joined[f"former_{n}"].nullif(""), joined[n]) for n in names}
    )


def _words(found: Any, name: str) -> Words:
    return np.array(found[name].to_pylist(), dtype=object)


def _floats(found: Any, name: str) -> Floats:
    column = found[name].to_numpy(zero_copy_only=False)
    return np.asarray(column, dtype=np.float64)


def read_exposures(con: Backend, scope: Scope) -> Exams:
    """Exposures of radiography and mammography by projection, one row a projection of an exam.

    Several exposures of one projection give one value, their mean; in mammography each breast
    counts, for each has its own thickness. Rejected exposures have no projection.
    """
    names = (*(n for n in _WHO if n != "procedure_name"), "started_at", "age_y", "weight_kg")
    exams = _in_scope(con, scope, (*names, "procedure_name", "modality"))
    exams = exams.filter(exams.modality.isin(("DX", "MG"))).select(*names)
    events = _events(con, scope, ("projection", "laterality", "compressed_thickness_mm",
                                  *PER_PROJECTION.values()))  # fmt: skip
    events = events.filter(events.record == "xray_event", events["projection"].notnull())
    if scope.procedures is not None:
        events = events.filter(events["projection"].isin(scope.procedures))
    # A breast is told apart; a left and a right knee are two exposures of one projection.
    side = events.agd_mgy.notnull().ifelse(events.laterality, None)
    means = {n: events[n].mean() for n in PER_PROJECTION.values()}
    grouped = events.group_by(
        part_key=events.part_key, procedure_name=events["projection"], side=side
    ).aggregate(**means, thickness_mm=events.compressed_thickness_mm.mean())
    found = grouped.inner_join(exams, "part_key").to_pyarrow()
    return _exams(found, tuple(PER_PROJECTION.values()))


def _events(con: Backend, scope: Scope, names: Sequence[str]) -> Table:
    """Events of the period; `names` and what tells whose they are."""
    table = con.table("events")
    needed = {*names, "part_key", "record", "study_started_at"}
    events = table.select(*(c for c in table.columns if c in needed))
    return _started(events, events.study_started_at, scope)


def read_scans(con: Backend, scope: Scope, exams: Exams) -> Scans:
    """Diagnostic acquisitions of the exams that were read for the same scope.

    Left out are localisers, stationary and free acquisitions and bolus tracking: a stationary
    table's CTDIvol can read several times too high while its DLP is right.
    """
    events = _events(con, scope, (
        "acquisition_type", "is_bolus_tracking", "target_region", "phantom", "ctdi_vol_mgy",
        "dlp_mgy_cm", "procedure_name",
    ))  # fmt: skip
    events = events.filter(
        events.record == "ct_event",
        events.acquisition_type.isin(("spiral", "sequenced")),
        ~events.is_bolus_tracking.fill_null(False),
    )
    # Names of then are known of exams only; what is of none of them has no place below.
    if scope.procedures is not None and scope.as_of is None:
        events = events.filter(events.procedure_name.isin(scope.procedures))
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
    words = [_words(found, n)[keep] for n in ("phantom", "region")]
    sums = [_floats(found, n)[keep] for n in Scans._fields[3:]]
    return Scans._make((row[keep], *words, *sums))
