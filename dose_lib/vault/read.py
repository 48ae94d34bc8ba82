"""Looking into the vault by key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

import duckdb
import msgspec

from dose_lib.errors import UsageError
from dose_lib.vault.groups import Groups
from dose_lib.vault.records import ExamIdentity, Identification, PatientIdentity, StaffIdentity
from dose_lib.vault.rows import EXAM, PATIENT, STAFF, record_of
from dose_lib.vault.search import plain_name

R = TypeVar("R", PatientIdentity, ExamIdentity, StaffIdentity)

_SEEN = "min(l.received_at) AS first_seen, max(l.received_at) AS last_seen"


class Kind(StrEnum):
    """Whom a key stands for."""

    PATIENT = "patient"
    EXAM = "exam"
    STAFF = "staff"


_LENGTHS = {16: Kind.STAFF, 20: Kind.EXAM, 64: Kind.PATIENT}
_KEY = re.compile(r"^[0-9a-f]{8,64}$")


def resolve(con: duckdb.DuckDBPyConnection, key: str) -> tuple[Kind, str]:
    """Whom a key stands for, and its full length if only its beginning was given.

    Parameters
    ----------
    con
        The open vault.
    key
        A staff key (16 hexadecimal digits), part key (20) or patient key (64), or eight digits
        or more of one.

    Raises
    ------
    UsageError
        If it is no key, or the beginning of several or of none.
    """
    # What is no key may be an ID typed by mistake: it is not repeated.
    if not _KEY.match(key):
        raise UsageError(
            "this is no key",
            expected="8 to 64 hexadecimal digits, as in `patient_key`, `part_key`, `staff_key`",
            todo="To find the key of someone by name or number, search",
        )
    found = con.execute(
        "SELECT DISTINCT 'patient', patient_key FROM sighting WHERE starts_with(patient_key, $1)"
        " UNION SELECT DISTINCT 'exam', part_key FROM sighting WHERE starts_with(part_key, $1)"
        " UNION SELECT DISTINCT 'staff', staff_key FROM presence WHERE starts_with(staff_key, $1)"
        " LIMIT 3",
        [key],
    ).fetchall()
    exact = [f for f in found if f[1] == key]
    if exact or len(found) == 1:
        kind, full = (exact or found)[0]
        return Kind(kind), str(full)
    if not found and len(key) in _LENGTHS:
        return _LENGTHS[len(key)], key
    what = "the beginning of several keys" if found else "the beginning of no key here"
    raise UsageError(f"this is {what}", todo="Give more of its digits")


def patients(con: duckdb.DuckDBPyConnection, keys: Sequence[str]) -> tuple[PatientIdentity, ...]:
    """Every version of patients, the newest first."""
    query = f"""
        SELECT t.patient_key, {_columns(PATIENT)}, {_SEEN} FROM patient t
        JOIN sighting l ON l.patient_key = t.patient_key AND l.patient_version = t.version
        WHERE t.patient_key IN (SELECT unnest(?))
        GROUP BY ALL ORDER BY last_seen DESC, t.patient_key, patient_id
    """  # noqa: S608 - names of our records
    return _records(con, PatientIdentity, query, [list(keys)])


def exams(
    con: duckdb.DuckDBPyConnection,
    *,
    part_keys: Sequence[str] = (),
    patient_keys: Sequence[str] = (),
) -> tuple[ExamIdentity, ...]:
    """Every version of exams, by their keys or their patients', the newest first."""
    query = f"""
        SELECT t.part_key, l.patient_key, {_columns(EXAM)}, max(l.occurred_at) AS occurred_at,
            {_SEEN}
        FROM exam t JOIN sighting l ON l.part_key = t.part_key AND l.exam_version = t.version
        WHERE t.part_key IN (SELECT unnest($1)) OR l.patient_key IN (SELECT unnest($2))
        GROUP BY ALL ORDER BY last_seen DESC, t.part_key, accession_number
    """  # noqa: S608 - names of our records
    return _records(con, ExamIdentity, query, [list(part_keys), list(patient_keys)])


def staff(con: duckdb.DuckDBPyConnection, keys: Sequence[str] | None) -> tuple[StaffIdentity, ...]:
    """Every version of members of staff (None: of all), the newest first."""
    query = f"""
        SELECT t.staff_key, {_columns(STAFF)}, {_SEEN} FROM staff t
        JOIN presence l ON l.staff_key = t.staff_key AND l.staff_version = t.version
        WHERE $1 IS NULL OR t.staff_key IN (SELECT unnest($1))
        GROUP BY ALL ORDER BY last_seen DESC, t.staff_key, staff_name
    """  # noqa: S608 - names of our records
    return _records(con, StaffIdentity, query, [None if keys is None else list(keys)])


def identification(
    con: duckdb.DuckDBPyConnection, kind: Kind, key: str, merged: Groups, *, with_patient: bool
) -> Identification:
    """All that is known of a key.

    Parameters
    ----------
    con
        The open vault.
    kind, key
        From `resolve`.
    merged
        Which patient keys are one person.
    with_patient
        Whether the patient of an exam, and texts that may name them, are shown too.
    """
    if kind is Kind.STAFF:
        return Identification(key=key, kind=kind.value, staff=staff(con, [key]))
    if kind is Kind.PATIENT:
        keys = merged.members(key)
        known = patients(con, keys)
        return Identification(
            key=key,
            kind=kind.value,
            patient_keys=keys,
            patients=known,
            exams=exams(con, patient_keys=keys),
        )
    found = exams(con, part_keys=[key])
    if not with_patient:
        bare = tuple(msgspec.structs.replace(e, texts=(), unkeyed_staff=()) for e in found)
        return Identification(key=key, kind=kind.value, exams=bare)
    heads = dict.fromkeys(merged.survivor(e.patient_key) for e in found if e.patient_key)
    keys = tuple(k for head in heads for k in merged.members(head))
    return Identification(
        key=key, kind=kind.value, patient_keys=keys, patients=patients(con, keys), exams=found
    )


def counts(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """How many patients, exams, members of staff and objects the vault knows."""
    row = con.execute(
        "SELECT count(DISTINCT patient_key), count(DISTINCT part_key), count(DISTINCT sha256),"
        " (SELECT count(DISTINCT staff_key) FROM presence) FROM sighting"
    ).fetchone()
    n_patients, n_exams, n_objects, n_staff = row or (0, 0, 0, 0)
    return {
        "n_patients": int(n_patients),
        "n_exams": int(n_exams),
        "n_objects": int(n_objects),
        "n_staff": int(n_staff),
    }


def parts_of(con: duckdb.DuckDBPyConnection, patient_keys: Sequence[str]) -> tuple[str, ...]:
    """Exam parts that objects of these patients tell of."""
    return _strings(con, "part_key", "patient_key IN (SELECT unnest(?))", [list(patient_keys)])


def objects_of(con: duckdb.DuckDBPyConnection, patient_keys: Sequence[str]) -> tuple[str, ...]:
    """Hashes of received objects of these patients."""
    return _strings(con, "sha256", "patient_key IN (SELECT unnest(?))", [list(patient_keys)])


def expiring(
    con: duckdb.DuckDBPyConnection, before: datetime
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Exam parts and hashes of objects whose exam was before `before`."""
    condition = "coalesce(occurred_at, received_at) < ?"
    return (
        _strings(con, "part_key", condition, [before]),
        _strings(con, "sha256", condition, [before]),
    )


def same_staff(con: duckdb.DuckDBPyConnection) -> tuple[tuple[str, ...], ...]:
    """Staff keys that are very likely one person: the same name, and at most one ID among them.

    A modality that sends an operator's ID and one that sends the name only give two keys.
    Only keys leave the vault here.
    """
    query = f"""
        SELECT list(DISTINCT t.staff_key ORDER BY t.staff_key)
        FROM staff t JOIN presence l ON l.staff_key = t.staff_key AND l.staff_version = t.version
        WHERE t.staff_name IS NOT NULL
        GROUP BY {plain_name("t.staff_name")}
        HAVING count(DISTINCT t.staff_key) > 1 AND count(DISTINCT t.staff_id) <= 1
        ORDER BY 1
    """  # noqa: S608 - names of our records
    return tuple(tuple(keys) for (keys,) in con.execute(query).fetchall())


def _columns(names: Sequence[str]) -> str:
    return ", ".join(f"t.{name}" for name in names)


def _strings(
    con: duckdb.DuckDBPyConnection, column: str, condition: str, values: list[Any]
) -> tuple[str, ...]:
    query = f"SELECT DISTINCT {column} FROM sighting WHERE {condition} ORDER BY 1"  # noqa: S608
    return tuple(str(found) for (found,) in con.execute(query, values).fetchall())


def _records(
    con: duckdb.DuckDBPyConnection, kind: type[R], query: str, values: list[Any]
) -> tuple[R, ...]:
    cursor = con.execute(query, values)
    names = [column[0] for column in cursor.description]
    return tuple(
        record_of(kind, {n: _utc(v) for n, v in zip(names, row, strict=True)})
        for row in cursor.fetchall()
    )


def _utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
