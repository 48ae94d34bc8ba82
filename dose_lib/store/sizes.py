"""Sizes of patients lent from one study to another: weights of the same patient nearby in time.

A part without a weight takes that of the nearest other study of its patient, whichever of the
two arrived first; so a weight that comes in may change what was computed for earlier parts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import duckdb

from dose_lib.derived import OtherStudy, is_within_reach
from dose_lib.records import OUTSIDE_SOURCES, Modality, Part

Lent = Mapping[str, list[OtherStudy]]


def others_of(con: duckdb.DuckDBPyConnection, parts: Iterable[Part]) -> Lent:
    """Sizes in other studies of the patients of `parts`, by part key, for those without weight.

    Parameters
    ----------
    con
        The store; rows of the same parts may still be in it.
    parts
        What is about to be written: its weights count, its stored rows do not.
    """
    fresh = list(parts)
    known: dict[str, list[OtherStudy]] = defaultdict(list)
    for part in fresh:
        size = _size(part)
        if size is not None and (who := _linked(part)):
            known[who].append(size)
    wanting = [p for p in fresh if _wants_size(p)]
    for who, size in _stored(con, wanting, {p.part_key for p in fresh}):
        known[who].append(size)
    return {p.part_key: known[who] for p in wanting if (who := _linked(p)) in known}


def _linked(part: Part) -> str | None:
    """Key of a patient whose studies are known to be one person's."""
    return part.patient.patient_key if part.patient.is_linked else None


def _size(part: Part) -> OtherStudy | None:
    weight, at = part.patient.weight_kg, part.started_at
    if part.patient.size_source in OUTSIDE_SOURCES:
        return None  # measured at another time, and known to the other study as such
    if not weight or at is None or part.is_patient is False:
        return None
    return OtherStudy(at, weight, part.patient.height_cm)


def _wants_size(part: Part) -> bool:
    is_ct = part.modality is Modality.CT
    return is_ct and not part.patient.weight_kg and _linked(part) is not None


def _stored(
    con: duckdb.DuckDBPyConnection, wanting: Iterable[Part], without: set[str]
) -> Iterable[tuple[str, OtherStudy]]:
    people = list({w for p in wanting if (w := _linked(p))})
    if not people:
        return
    rows = con.execute(
        "SELECT patient_key, part_key, started_at, weight_kg, height_cm FROM part"
        " WHERE patient_key IN (SELECT unnest(?)) AND is_linked AND weight_kg > 0"
        " AND started_at IS NOT NULL AND is_patient IS DISTINCT FROM FALSE"
        " AND coalesce(size_source, '') NOT IN (SELECT unnest(?))",
        [people, sorted(s.value for s in OUTSIDE_SOURCES)],
    ).fetchall()
    for who, part_key, at, weight, height in rows:
        if part_key not in without:
            yield who, OtherStudy(at, weight, height)


def borrowers(
    con: duckdb.DuckDBPyConnection, parts: Iterable[Part], adult_age_y: float
) -> list[str]:
    """Stored studies that may take a size from parts that were just written."""
    fresh = list(parts)
    lenders: dict[str, list[OtherStudy]] = defaultdict(list)
    for part in fresh:
        size = _size(part)
        if size is not None and (who := _linked(part)):
            lenders[who].append(size)
    if not lenders:
        return []
    rows = con.execute(
        "SELECT study_uid, patient_key, started_at, age_y FROM part"
        " WHERE patient_key IN (SELECT unnest(?)) AND is_linked AND weight_kg IS NULL"
        " AND modality = 'CT' AND started_at IS NOT NULL",
        [list(lenders)],
    ).fetchall()
    written = {p.study_uid for p in fresh}
    found = {
        study
        for study, who, at, age in rows
        if study not in written
        and any(
            is_within_reach(at, o.started_at.replace(tzinfo=None), age, adult_age_y)
            for o in lenders[who]
        )
    }
    return sorted(found)
