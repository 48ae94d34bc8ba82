"""Levels of a site from its own data: typical values of rooms and devices, local levels.

ICRP 135: a local level is the third quartile of the medians of a reasonable number of rooms
(10 to 20); with fewer rooms the median is a typical value, and that is what is proposed. A
proposal becomes a level only when somebody adopts it, as a signed, dated edition.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from dose_lib.compare.exams import (
    Backend,
    Exams,
    Flags,
    Scans,
    Scope,
    by_name,
    read_exams,
    read_exposures,
    read_scans,
)
from dose_lib.compare.probes import exam_probes, exposure_probes
from dose_lib.compare.room import Case, Sample, over_rooms, sample_of
from dose_lib.compare.rule import Rule
from dose_lib.compare.summary import Summary, summarise
from dose_lib.compare.task import Task, Unit, fits_level, units_of
from dose_lib.compare.values import measure_exams
from dose_lib.records import Decision
from dose_lib.reference import Basis, Kind, Level, Per, adoption
from dose_lib.settings import Settings, load_settings

if TYPE_CHECKING:
    import pandas as pd

ROOMS_FOR_A_LEVEL = 10
"""Rooms from which on the third quartile of their medians is a local level (ICRP 135)."""


class Method(StrEnum):
    """How the value of a proposed level is made from the data of the rooms."""

    TYPICAL = "typical"
    ROOMS = "p75_of_rooms"
    PATIENTS = "p75_of_patients"


class TypicalValue(NamedTuple):
    """Median of one room or device, or why it counts for nothing."""

    unit: Unit
    figures: Summary
    size_rule: str
    reason: str | None


class LocalLevel(NamedTuple):
    """One proposed level, the figures it rests on, the method, and the values of each room."""

    level: Level
    basis: Basis
    method: Method
    typical: tuple[TypicalValue, ...]


class LocalLevels(NamedTuple):
    """Proposals of one period."""

    rows: tuple[LocalLevel, ...]
    start: date
    end: date

    def to_frame(self) -> pd.DataFrame:
        """One row a proposal, with its figures."""
        import pandas as pd

        return pd.DataFrame([_cells(row) for row in self.rows])

    def typical_values(self) -> pd.DataFrame:
        """One row a proposal and room or device, also of those that have too few patients."""
        import pandas as pd

        rows = [_typical_cells(row, value) for row in self.rows for value in row.typical]
        return pd.DataFrame(rows)

    def adopt(
        self,
        set_id: str,
        *,
        author: str,
        valid_from: date,
        edition: str | None = None,
        procedures: Iterable[str] | None = None,
        digits: int | None = 3,
        note: str | None = None,
    ) -> tuple[Decision, ...]:
        """Decisions that make the proposals the site's levels from a day on.

        Parameters
        ----------
        set_id
            Name of the site's set, such as ``MAIN-LOCAL``.
        author
            Who signs.
        valid_from
            First day of exams that are compared with them.
        edition
            Name of the edition; by default the day it holds from.
        procedures
            Only these; all by default.
        digits
            Significant digits the values are rounded to; None keeps them as computed.
        note
            For the record.

        Raises
        ------
        LevelError
            If no proposal is left.
        """
        chosen = None if procedures is None else set(procedures)
        rows = [r for r in self.rows if chosen is None or r.level.procedure_name in chosen]
        return adoption(
            [(_rounded(r.level, digits), r.basis) for r in rows],
            set_id=set_id,
            edition=edition or valid_from.isoformat(),
            valid_from=valid_from,
            period=(self.start, self.end),
            author=author,
            note=note,
        )


def local_levels(
    con: Backend,
    *,
    start: date,
    end: date,
    procedure_name: str | Sequence[str] | None = None,
    site: str | None = None,
    method: Method | str | None = None,
    by_device: bool = False,
    settings: Settings | None = None,
    minimum_n: int | None = None,
) -> LocalLevels:
    """Levels that the site's own data suggest.

    Parameters
    ----------
    con
        ibis backend with the views `studies` and `events`.
    start, end
        First and last day of the data, inclusive.
    procedure_name
        Procedures or projections; all that occur by default.
    site
        One facility; all by default.
    method
        How a level is made of the rooms; by default their third quartile from
        `ROOMS_FOR_A_LEVEL` rooms on, else the typical value.
    by_device
        True counts devices instead of rooms.
    settings, minimum_n
        Installation and least n of a room.

    Returns
    -------
    LocalLevels
        One row a procedure, quantity, way of counting, phantom and band with at least one
        room of enough patients: `n`, median with its exact interval and quartiles over all
        patients that counted, the medians of the rooms, and the proposed value. Sizes, scans,
        phantoms and what is left out follow the rules of comparison.
    """
    settings = settings or load_settings()
    least = settings.minimum_n if minimum_n is None else minimum_n
    rule = Rule(Kind.LOCAL, settings.country, settings.child_age_y, least, None, None, start, end)
    names = (procedure_name,) if isinstance(procedure_name, str) else procedure_name
    scope = Scope(None if names is None else tuple(names), None, None, site, start, end)
    wanted = None if method is None else Method(method)
    rows = [
        row
        for task, probe in _probes(con, scope, rule, by_device=by_device)
        if (row := _propose(task, probe, wanted)) is not None
    ]
    return LocalLevels(tuple(rows), start, end)


def _probes(
    con: Backend, scope: Scope, rule: Rule, *, by_device: bool
) -> Iterator[tuple[Task, Level]]:
    """Each task with the rows a level of it could have; their values are to be found."""
    exams = read_exams(con, scope)
    scans = read_scans(con, scope, exams)
    for name, rows in by_name(exams):
        own, own_scans = exams.take(rows), scans.take(rows)
        for probe in exam_probes(name, own):
            yield _task(name, probe, own, own_scans, rule, by_device=by_device), probe
    shots = read_exposures(con, scope)
    for name, rows in by_name(shots):
        own = shots.take(rows)
        for probe in exposure_probes(name, own):
            yield _task(name, probe, own, None, rule, by_device=by_device), probe


def _task(
    name: str, probe: Level, exams: Exams, scans: Scans | None, rule: Rule, *, by_device: bool
) -> Task:
    units, unit_of = units_of(exams, by_device=by_device)
    shots = probe.per is Per.PROJECTION
    return Task(name, probe.quantity, exams, scans, units, unit_of, rule, is_projection=shots)


def _propose(task: Task, probe: Level, method: Method | None) -> LocalLevel | None:
    if not task.has_quantity:
        return None
    fits = fits_level(probe, task) & task.in_period(task.rule.start, task.rule.end)
    case = Case(task, probe, None, measure_exams(probe, task.exams, task.scans))
    samples = [
        (task.units[code], sample_of(case, fits & (task.unit_of == code)))
        for code in task.units_in(fits)
    ]
    counted = [s for _, s in samples if s.blocked is None]
    if not counted:
        return None
    pooled = _pooled(case, fits, samples, task)
    basis = Basis(
        n=pooled.n, n_rooms=len(counted), median=pooled.median or 0.0, ci_low=pooled.ci_low,
        ci_high=pooled.ci_high, p25=pooled.p25, p75=pooled.p75,
    )  # fmt: skip
    chosen = method or (Method.ROOMS if len(counted) >= ROOMS_FOR_A_LEVEL else Method.TYPICAL)
    value, statistic = _value(chosen, pooled, [s.figures for s in counted])
    level = msgspec.structs.replace(probe, value=value, statistic=statistic)
    typical = tuple(_typical(unit, sample) for unit, sample in samples)
    return LocalLevel(level, basis, chosen, typical)


def _pooled(case: Case, fits: Flags, samples: Sequence[tuple[Unit, Sample]], task: Task) -> Summary:
    """Figures over all patients of the rooms that count, by the size rule of their room."""
    values = []
    for unit, sample in samples:
        if sample.blocked is None:
            rows = fits & (task.unit_of == task.units.index(unit))
            known = rows & ~np.isnan(case.measured.value)
            values.append(case.measured.value[known][sample.size.keep])
    return summarise(np.concatenate(values))


def _value(method: Method, pooled: Summary, rooms: Sequence[Summary]) -> tuple[float, str]:
    over = over_rooms(rooms)
    if method is Method.ROOMS:
        return over.p75 or 0.0, "p75"
    if method is Method.PATIENTS:
        return pooled.p75 or 0.0, "p75"
    return over.median or 0.0, "p50"


def _typical(unit: Unit, sample: Sample) -> TypicalValue:
    reason = None if sample.blocked is None else sample.blocked[1]
    return TypicalValue(unit, sample.figures, sample.size.rule, reason)


def _rounded(level: Level, digits: int | None) -> Level:
    if digits is None:
        return level
    return msgspec.structs.replace(level, value=float(f"{level.value:.{digits}g}"))


def _cells(row: LocalLevel) -> dict[str, Any]:
    level = row.level
    return {
        "procedure_name": level.procedure_name,
        "quantity": level.quantity.value,
        "per": level.per.value,
        "phantom": level.phantom and level.phantom.value,
        "band": level.band,
        "value": level.value,
        "unit": level.unit,
        "statistic": level.statistic,
        "method": row.method.value,
        **msgspec.to_builtins(row.basis),
    }


def _typical_cells(row: LocalLevel, value: TypicalValue) -> dict[str, Any]:
    cells = _cells(row)
    kept = ("procedure_name", "quantity", "per", "phantom", "band", "unit")
    return {
        **{name: cells[name] for name in kept},
        "by": value.unit.kind,
        "name": value.unit.name,
        "site": value.unit.site,
        **value.figures._asdict(),
        "size_rule": value.size_rule,
        "reason": value.reason,
    }
