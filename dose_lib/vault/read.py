"""Looking into the vault by key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

import duckdb
import msgspec

from dose_lib.codes.values import IRRADIATION_ADMINISTERING
from dose_lib.errors import UsageError
from dose_lib.vault.groups import Groups
from dose_lib.vault.records import ExamIdentity, Identification, PatientIdentity, StaffIdentity
from dose_lib.vault.rows import EXAM, PATIENT, STAFF, VERSIONS, number_of, record_of
from dose_lib.vault.search import plain_name

R = TypeVar("R", PatientIdentity, ExamIdentity, StaffIdentity)


class Kind(StrEnum):
    """Whom a key stands for."""

    PATIENT = "patient"
    EXAM = "exam"
    STAFF = "staff"


_LENGTHS = {16: Kind.STAFF, 20: Kind.EXAM, 64: Kind.PATIENT}
_KEY = re.compile(r"^[0-9a-f]{8,64}$")


_LINKS = {"patient": "sighting", "exam": "sighting", "staff": "presence"}
_BEGINS_WITH = " UNION ".join(
    f"SELECT DISTINCT '{name}', {key} FROM {_LINKS[name]}"  # noqa: S608 - names of our tables
    f" WHERE {number} BETWEEN $1 AND $2 AND starts_with({key}, $3)"
    for name, (key, number) in VERSIONS.items()
)


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
    ends = [int(key[:16].ljust(16, digit), 16) for digit in "0f"]
    found = con.execute(_BEGINS_WITH, [*ends, key]).fetchall()
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
    return _records(
        con, PatientIdentity, "patient", PATIENT, _seen(con, "patient", "patient", keys)
    )


def exams(
    con: duckdb.DuckDBPyConnection,
    *,
    part_keys: Sequence[str] = (),
    patient_keys: Sequence[str] = (),
) -> tuple[ExamIdentity, ...]:
    """Every version of exams, by their keys or else their patients', the newest first."""
    by, keys = ("exam", part_keys) if part_keys else ("patient", patient_keys)
    return _records(con, ExamIdentity, "exam", EXAM, _seen(con, "exam", by, keys))


def staff(con: duckdb.DuckDBPyConnection, keys: Sequence[str] | None) -> tuple[StaffIdentity, ...]:
    """Every version of members of staff (None: of all), the newest first."""
    return _records(con, StaffIdentity, "staff", STAFF, _seen(con, "staff", "staff", keys))


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


def told_of(
    con: duckdb.DuckDBPyConnection, patient_keys: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Exam parts, and hashes of received objects, of patients."""
    return _parts_and_objects(con, *_among("patient", patient_keys))


def expiring(
    con: duckdb.DuckDBPyConnection, before: datetime
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Exam parts and hashes of objects whose exam was before `before`."""
    return _parts_and_objects(con, "coalesce(occurred_at, received_at) < ?", [before])


def operators(con: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """Keys of all who administered irradiation (DCM 113851)."""
    found = con.execute(
        "SELECT DISTINCT staff_key FROM presence"
        " WHERE contains(staff_role_in_procedure, ?) ORDER BY staff_key",
        [f'"{IRRADIATION_ADMINISTERING.value}"'],
    ).fetchall()
    return tuple(str(key) for (key,) in found)


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


class _Seen(NamedTuple):
    """That objects named a version of someone between two dates."""

    key: str
    version: int
    patient_key: str | None
    occurred_at: datetime | None
    first_seen: datetime
    last_seen: datetime


def _seen(
    con: duckdb.DuckDBPyConnection, table: str, by: str, keys: Sequence[str] | None
) -> list[_Seen]:
    """Versions of `table` that objects name, by keys of `by` (None: all), the newest first."""
    if keys is not None and not keys:
        return []
    link = _LINKS[table]
    exam = "patient_key, max(occurred_at)" if table == "exam" else "NULL, NULL"
    condition, values = ("true", []) if keys is None else _among(by, keys)
    found = con.execute(
        f"SELECT {VERSIONS[table][0]}, {table}_version, {exam},"  # noqa: S608
        f" min(received_at), max(received_at) FROM {link} WHERE {condition}"
        " GROUP BY ALL ORDER BY 6 DESC, 1, 2",
        values,
    ).fetchall()
    return [_Seen(*(_utc(value) for value in row)) for row in found]


def _records(
    con: duckdb.DuckDBPyConnection,
    kind: type[R],
    table: str,
    names: Sequence[str],
    seen: Sequence[_Seen],
) -> tuple[R, ...]:
    """Records of the versions that were seen."""
    if not seen:
        return ()
    key, _ = VERSIONS[table]
    condition, values = _among(table, list(dict.fromkeys(s.key for s in seen)))
    found = con.execute(
        f"SELECT {key}, version, {', '.join(names)} FROM {table} WHERE {condition}",  # noqa: S608
        values,
    ).fetchall()
    content = {row[:2]: dict(zip(names, row[2:], strict=True)) for row in found}
    return tuple(
        record_of(kind, {key: s.key, **_times(s, table), **content[s.key, s.version]}) for s in seen
    )


def _times(seen: _Seen, table: str) -> dict[str, Any]:
    times: dict[str, Any] = {"first_seen": seen.first_seen, "last_seen": seen.last_seen}
    if table == "exam":
        times |= {"patient_key": seen.patient_key, "occurred_at": seen.occurred_at}
    return times


def _among(table: str, keys: Sequence[str]) -> tuple[str, list[Any]]:
    """The condition that a row is of one of `keys`, and its values: numbers first, for speed."""
    key, number = VERSIONS[table]
    marks = ", ".join("?" * len(keys))
    return f"{number} IN ({marks}) AND {key} IN ({marks})", [*map(number_of, keys), *keys]


def _parts_and_objects(
    con: duckdb.DuckDBPyConnection, condition: str, values: list[Any]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    query = f"SELECT DISTINCT part_key, sha256 FROM sighting WHERE {condition}"  # noqa: S608
    found = con.execute(query, values).fetchall()
    return tuple(sorted({p for p, _ in found})), tuple(sorted({o for _, o in found}))


def _utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
