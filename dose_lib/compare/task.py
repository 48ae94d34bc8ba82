"""One comparison to make: exams of one procedure, one quantity, and the levels for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dose_lib.compare.exams import (
    DLP_COLUMNS,
    PER_EXAM,
    PER_PROJECTION,
    Exams,
    Flags,
    Floats,
    Scans,
)
from dose_lib.compare.rule import Rule
from dose_lib.reference import Level, Quantity, Reason, slot_of


class Unit(NamedTuple):
    """What is judged: a room, or a device where the room is not known."""

    kind: str
    name: str
    site: str | None


class Task(NamedTuple):
    """Exams of one procedure with the unit each belongs to, and the rule of the comparison.

    `is_projection`: the rows are exposures of one projection, for levels per projection.
    """

    name: str
    quantity: Quantity
    exams: Exams
    scans: Scans | None
    units: tuple[Unit, ...]
    unit_of: npt.NDArray[np.int64]
    rule: Rule
    is_projection: bool = False

    @property
    def has_quantity(self) -> bool:
        """False where exams are of another modality: a knee radiograph has no missing DLP."""
        if self.quantity is Quantity.CTDI_VOL:
            return self.scans is not None and self.scans.row.size > 0
        return any(not np.isnan(self.exams.doses[c]).all() for c in self._columns)

    @property
    def _columns(self) -> tuple[str, ...]:
        if self.quantity is Quantity.DLP:
            return () if self.is_projection else DLP_COLUMNS
        known = PER_PROJECTION if self.is_projection else PER_EXAM
        return (known[self.quantity],) if self.quantity in known else ()

    def units_in(self, rows: Flags) -> list[int]:
        """Units that have an exam among `rows`, by name."""
        found = np.unique(self.unit_of[rows]).tolist()
        return sorted(found, key=lambda code: str(self.units[code]))

    def devices_in(self, rows: Flags) -> tuple[str, ...]:
        """Names of the devices of the exams among `rows`."""
        return tuple(sorted({d for d in self.exams.device[rows] if d}))

    def in_period(self, start: date | None, end: date | None) -> Flags:
        """Exams from `start` to `end`, both inclusive."""
        on = self.exams.on
        inside = np.ones(on.size, dtype=bool)
        if start is not None:
            inside &= on >= np.datetime64(start)
        if end is not None:
            inside &= on <= np.datetime64(end)
        return inside


def units_of(
    exams: Exams, *, by_device: bool = False
) -> tuple[tuple[Unit, ...], npt.NDArray[np.int64]]:
    """Units of exams and, for each exam, which it belongs to.

    The unit is the room, where one is known; with `by_device` always the device.
    """
    codes: dict[Unit, int] = {}
    seen: dict[tuple[object, ...], int] = {}
    out = np.empty(exams.n, dtype=np.int64)
    for i, place in enumerate(
        zip(exams.room, exams.device, exams.device_key, exams.site, strict=True)
    ):
        code = seen.get(place)
        if code is None:
            room, device, key, site = place
            named = device or key or "unknown device"
            has_room = room and not by_device
            unit = Unit("room", room, site) if has_room else Unit("device", named, site)
            code = seen[place] = codes.setdefault(unit, len(codes))
        out[i] = code
    return tuple(codes), out


def fits_level(level: Level, task: Task, family: Sequence[Level] = ()) -> Flags:
    """Exams a level is for, by date, population, size band and contrast.

    Parameters
    ----------
    level
        The level.
    task
        Exams and rule.
    family
        All levels of the task: where none of them is for another contrast, an exam whose
        contrast is not known may be compared with this one.

    Notes
    -----
    The same rule as `reference.fits_patient`, for columns; a test compares the two.
    """
    exams = task.exams
    fits = task.in_period(level.valid_from, level.valid_to)
    children = exams.age_y < task.rule.child_age_y
    adults = exams.age_y >= task.rule.child_age_y  # neither, where the age is not known
    fits &= children if level.population == "paediatric" else adults
    fits &= _fits_contrast(level, task, family)
    size = _sizes(level, exams)
    if size is None:
        return fits
    fits &= size >= (level.size_min or 0)
    if level.size_max is not None:
        fits &= (size <= level.size_max) if level.is_nominal_size else (size < level.size_max)
    return fits


def _sizes(level: Level, exams: Exams) -> Floats | None:
    """What the level's band is about, NaN for all where we do not have it; None without band."""
    by_basis: dict[str, Floats] = {
        "age": exams.age_y,
        "weight": exams.weight_kg,
        "compressed_breast_thickness": exams.thickness_mm,
    }
    if level.size_basis is None:
        return None
    nothing: Floats = np.full(exams.n, np.nan)
    return by_basis.get(level.size_basis, nothing)


def _fits_contrast(level: Level, task: Task, family: Sequence[Level]) -> Flags:
    exams = task.exams
    if level.contrast is None:
        return np.ones(exams.n, dtype=bool)
    same = exams.contrast == level.contrast
    if task.rule.contrast is not None or _is_only_contrast(level, family):
        same |= np.array([c is None for c in exams.contrast], dtype=bool)
    return np.asarray(same, dtype=bool)


def _is_only_contrast(level: Level, family: Sequence[Level]) -> bool:
    return not any(
        slot_of(x) == slot_of(level)
        and x.quantity is level.quantity
        and x.contrast != level.contrast
        for x in family
    )


def why_no_level(levels: Sequence[Level], task: Task, rows: Flags) -> tuple[Reason, str]:
    """Why exams met none of the levels of their procedure: the commonest reason, with counts."""
    exams = task.exams
    in_force = np.zeros(exams.n, dtype=bool)
    needs_weight = np.zeros(exams.n, dtype=bool)
    of_contrast = np.zeros(exams.n, dtype=bool)
    children = exams.age_y < task.rule.child_age_y
    for level in levels:
        current = task.in_period(level.valid_from, level.valid_to)
        in_force |= current
        of_contrast |= current & _fits_contrast(level, task, levels)
        if level.size_basis == "weight":
            needs_weight |= current & (children == (level.population == "paediatric"))
    is_silent = np.array([c is None for c in exams.contrast], dtype=bool)
    counts: dict[Reason, int] = {}
    left = rows.copy()
    for reason, cause in (
        (Reason.NOT_IN_FORCE, ~in_force),
        (Reason.AGE_UNKNOWN, np.isnan(exams.age_y)),
        (Reason.CONTRAST_UNKNOWN, ~of_contrast & is_silent),
        (Reason.CONTRAST_DIFFERS, ~of_contrast),
        (Reason.SIZE_UNKNOWN, needs_weight & np.isnan(exams.weight_kg)),
        (Reason.SIZE_OUTSIDE, np.ones(exams.n, dtype=bool)),
    ):
        counts[reason] = int((left & cause).sum())
        left &= ~cause
    main = max(counts, key=lambda r: counts[r])
    sets = ", ".join(sorted({f"{x.set_id} {x.edition}" for x in levels}))
    told = ", ".join(f"{r.value.replace('_', ' ')} {n}" for r, n in counts.items() if n)
    return main, f"no row of {sets} is for these exams ({told})"
