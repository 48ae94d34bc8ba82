"""Sizes of patients from outside their exams: kept by key and time, lent to exams without one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa

from dose_lib.derived import ADULT_HEIGHT, height_reach, is_plausible, weight_reach
from dose_lib.records import OUTSIDE_SOURCES, MeasuredSize, Part, SizeSource
from dose_lib.store.people import Gone
from dose_lib.vault.groups import Forgotten

Sizes = Mapping[str, Sequence[MeasuredSize]]

SCHEMA = pa.schema(
    [
        ("size_id", pa.string()),
        ("patient_key", pa.string()),
        ("measured_at", pa.timestamp("us")),
        ("weight_kg", pa.float64()),
        ("height_cm", pa.float64()),
        ("source", pa.string()),
        ("received_at", pa.timestamp("us", tz="UTC")),
    ]
)
# Sizes of people who are never examined are no business of ours for longer than they can serve.
_KEPT_WITHOUT_EXAM = timedelta(days=400)
# Keys of one person after merges, by any of them.
_PERSON = """
    SELECT k.asked, coalesce(o.patient_key, coalesce(a.surviving_key, k.asked)) AS patient_key
    FROM (SELECT unnest(?) AS asked) AS k
    LEFT JOIN patient_alias AS a ON a.patient_key = k.asked
    LEFT JOIN (
        SELECT patient_key, surviving_key FROM patient_alias
        UNION SELECT surviving_key, surviving_key FROM patient_alias
    ) AS o ON o.surviving_key = coalesce(a.surviving_key, k.asked)
"""


def add_sizes(
    con: duckdb.DuckDBPyConnection, sizes: Sequence[MeasuredSize], gone: Gone
) -> list[MeasuredSize]:
    """Keep what is not there yet; returns it. Impossible and forgotten ones are left out."""
    asked = {s.size_id: s for s in sizes if _may_be_kept(s, gone)}
    rows = con.execute(
        "SELECT size_id FROM patient_size WHERE size_id IN (SELECT unnest(?))", [list(asked)]
    ).fetchall()
    new = [s for key, s in asked.items() if (key,) not in set(rows)]
    if new:
        con.register("incoming_rows", pa.Table.from_pylist([_row(s) for s in new], SCHEMA))
        try:
            con.execute("INSERT INTO patient_size BY NAME SELECT * FROM incoming_rows")
        finally:
            con.unregister("incoming_rows")
    return new


def sweep_sizes(con: duckdb.DuckDBPyConnection, now: datetime) -> set[str]:
    """Remove old sizes of people who have no exam here; returns their ids."""
    gone = con.execute(
        "DELETE FROM patient_size WHERE received_at < ?"
        " AND patient_key NOT IN (SELECT patient_key FROM part WHERE patient_key IS NOT NULL)"
        " AND patient_key NOT IN (SELECT patient_key FROM patient_alias) RETURNING size_id",
        [now - _KEPT_WITHOUT_EXAM],
    ).fetchall()
    return {size_id for (size_id,) in gone}


def erase_sizes(con: duckdb.DuckDBPyConnection, gone: Forgotten) -> set[str]:
    """Remove the sizes of erased patients, up to their erasure; returns their ids."""
    found: set[str] = set()
    for key, until in gone.patients.items():
        rows = con.execute(
            "DELETE FROM patient_size WHERE patient_key = ? AND received_at <= ? RETURNING size_id",
            [key, until],
        ).fetchall()
        found |= {size_id for (size_id,) in rows}
    return found


def sizes_of(con: duckdb.DuckDBPyConnection, parts: Iterable[Part]) -> Sizes:
    """Sizes from outside by part key, for parts whose device recorded no weight or no height."""
    wanting = {
        p.part_key: key
        for p in parts
        if (key := _linked(p)) and not (p.patient.weight_kg and p.patient.height_cm)
    }
    if not wanting:
        return {}
    rows = con.execute(
        f"SELECT w.asked, s.patient_key, s.measured_at, s.weight_kg, s.height_cm, s.source,"  # noqa: S608 - a constant
        f" s.received_at FROM ({_PERSON}) AS w JOIN patient_size AS s USING (patient_key)",
        [sorted(set(wanting.values()))],
    ).fetchall()
    found: dict[str, list[MeasuredSize]] = defaultdict(list)
    for asked, key, at, weight, height, source, received in rows:
        size = MeasuredSize(
            patient_key=key,
            measured_at=at,
            weight_kg=weight,
            height_cm=height,
            source=SizeSource(source),
            received_at=received.astimezone(UTC),
        )
        found[asked].append(size)
    return {part: found[key] for part, key in wanting.items() if key in found}


def studies_to_fill(
    con: duckdb.DuckDBPyConnection, sizes: Sequence[MeasuredSize], adult_age_y: float
) -> list[str]:
    """Stored studies that new sizes may fill, or fill better than an earlier one did."""
    by_key: dict[str, list[MeasuredSize]] = defaultdict(list)
    for size in sizes:
        by_key[size.patient_key].append(size)
    rows = con.execute(
        f"SELECT w.asked, p.study_uid, p.started_at, p.age_y FROM ({_PERSON}) AS w"  # noqa: S608 - a constant
        " JOIN part AS p USING (patient_key) WHERE p.is_linked AND p.started_at IS NOT NULL"
        " AND p.is_patient IS DISTINCT FROM FALSE"
        " AND (p.weight_kg IS NULL OR p.height_cm IS NULL OR p.size_source IN (SELECT unnest(?)))",
        [list(by_key), sorted(s.value for s in OUTSIDE_SOURCES)],
    ).fetchall()
    return sorted(
        {
            study
            for asked, study, at, age in rows
            if any(_reaches(s, at, age, adult_age_y) for s in by_key[asked])
        }
    )


def _reaches(size: MeasuredSize, at: datetime, age: float | None, adult_age_y: float) -> bool:
    away = abs(size.measured_at - at)
    if away > ADULT_HEIGHT:
        return False
    by_weight = size.weight_kg and away <= weight_reach(age, adult_age_y)
    return bool(by_weight or (size.height_cm and away <= height_reach(age, adult_age_y)))


def _may_be_kept(size: MeasuredSize, gone: Gone) -> bool:
    if size.weight_kg is None and size.height_cm is None:
        return False
    if not is_plausible(size.weight_kg, size.height_cm):
        return False
    measured = size.measured_at.replace(tzinfo=UTC)
    received = size.received_at.astimezone(UTC)
    erased: tuple[Forgotten, ...] = (gone, gone.unlinked)
    return not any(e.covers(size.patient_key, received, measured) for e in erased)


def _linked(part: Part) -> str | None:
    return part.patient.patient_key if part.patient.is_linked else None


def _row(size: MeasuredSize) -> dict[str, object]:
    row: dict[str, object] = {name: getattr(size, name) for name in size.__struct_fields__}
    return row | {"size_id": size.size_id, "source": size.source.value}
