"""Entries as rows of the vault's tables, and rows as records again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
import pyarrow as pa

from dose_lib.records import Identity, Staff
from dose_lib.vault.groups import Forgotten
from dose_lib.vault.records import (
    ExamIdentity,
    PatientIdentity,
    StaffIdentity,
    VaultEntry,
)

R = TypeVar("R", PatientIdentity, ExamIdentity, StaffIdentity)

_WORKED_OUT = ("first_seen", "last_seen", "occurred_at")


def _content_names(kind: type[R], *keys: str) -> tuple[str, ...]:
    """What a version of a record holds: all but its keys and what sightings tell."""
    return tuple(n for n in kind.__struct_fields__ if n not in (*keys, *_WORKED_OUT))


PATIENT = _content_names(PatientIdentity, "patient_key")
EXAM = _content_names(ExamIdentity, "part_key", "patient_key")
STAFF = _content_names(StaffIdentity, "staff_key")
_JSON = frozenset(
    {
        "other_patient_ids",
        "grouped_accession_numbers",
        "calibration_responsible",
        "unkeyed_staff",
        "texts",
        "staff_role_in_organization",
    }
)
_TIMES = ("received_at", "occurred_at")

Row = dict[str, Any]
Times = tuple[datetime, datetime | None]
# Tables of versions: the key each has, and the column that holds its first 64 bits.
VERSIONS = {
    "patient": ("patient_key", "patient_no"),
    "exam": ("part_key", "part_no"),
    "staff": ("staff_key", "staff_no"),
}


def number_of(key: str) -> int:
    """The first 64 bits of a key or hash; see the first migration."""
    return int(key[:16], 16)


class Rows:
    """Rows of all tables for a batch of entries, each version once.

    Parameters
    ----------
    gone
        What may not be taken in: it is left out here, so that it never reaches the file.
    """

    def __init__(self, gone: Forgotten) -> None:
        self._gone = gone
        self._versions: dict[str, dict[tuple[str, int], Row]] = {t: {} for t in VERSIONS}
        self._links: dict[str, list[Row]] = {"sighting": [], "presence": [], "object": []}

    def add(self, entry: VaultEntry) -> bool:
        """Take in an entry; False if nothing of its patient may be kept."""
        times = (entry.received_at.astimezone(UTC), _utc(entry.occurred_at))
        seen: Row = {
            "object_no": number_of(entry.sha256),
            "sha256": entry.sha256,
            **dict(zip(_TIMES, times, strict=True)),
        }
        self._links["object"].append(seen)
        if self._gone.has_expired(*times):
            return False
        self._add_staff(entry.identity, seen, times)
        patient_key = entry.identity.patient_key or ""
        if self._gone.covers(patient_key, *times):
            return False
        patient = self._keep("patient", patient_key, _content(entry.identity, PATIENT))
        content = _exam(entry.identity)
        for part_key in entry.part_keys:
            exam = self._keep("exam", part_key, content)
            self._links["sighting"].append({**patient, **exam, **seen})
        return True

    def tables(self) -> dict[str, pa.Table]:
        """All rows as Arrow tables, by name of their table."""
        rows: dict[str, Sequence[Row]] = {t: list(v.values()) for t, v in self._versions.items()}
        return {table: _table(table, found) for table, found in {**rows, **self._links}.items()}

    def _add_staff(self, who: Identity, seen: Row, times: Times) -> None:
        for person in who.staff:
            key = person.staff_key
            if key is None or self._gone.covers(key, *times):
                continue
            row = {
                **self._keep("staff", key, _content(person, STAFF)),
                "staff_role_in_procedure": _json(person.staff_role_in_procedure),
                "staff_where": person.staff_where,
            }
            self._links["presence"].append({**row, **seen})

    def _keep(self, table: str, key: str, content: Row) -> Row:
        """Keep a version; returns the columns by which a link names it."""
        version = _hash(content)
        key_name, number_name = VERSIONS[table]
        named = {number_name: number_of(key), key_name: key}
        self._versions[table][key, version] = {**named, "version": version, **content}
        return {**named, f"{table}_version": version}


def record_of(kind: type[R], row: Mapping[str, Any]) -> R:
    """A record from a row by name; JSON columns are read."""
    plain = {
        name: msgspec.json.decode(value) if name in _JSON else value
        for name, value in row.items()
        if value is not None
    }
    return msgspec.convert(plain, kind)


def _exam(who: Identity) -> Row:
    """The content of an exam; people without a key have no other place."""
    unkeyed = tuple(p for p in who.staff if p.staff_key is None)
    plain = _content(who, tuple(n for n in EXAM if n != "unkeyed_staff"))
    return {**plain, "unkeyed_staff": _json(unkeyed)}


def _content(record: Identity | Staff, names: Iterable[str]) -> Row:
    values = ((name, getattr(record, name)) for name in names)
    return {name: _json(value) if name in _JSON else value for name, value in values}


def _json(value: object) -> str | None:
    return msgspec.json.encode(value).decode() if value else None


def _hash(content: Row) -> int:
    return number_of(hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest())


_OBJECT = ("object_no", "sha256")
_COLUMNS = {
    **{name: (number, key, "version") for name, (key, number) in VERSIONS.items()},
    "object": (*_OBJECT, *_TIMES),
    "sighting": (
        *_OBJECT,
        *("part_no", "part_key", "exam_version", "patient_no", "patient_key", "patient_version"),
        *_TIMES,
    ),
    "presence": (
        *_OBJECT,
        *("staff_no", "staff_key", "staff_version", "staff_role_in_procedure", "staff_where"),
        *_TIMES,
    ),
}
_CONTENT = {"patient": PATIENT, "exam": EXAM, "staff": STAFF}


def _table(name: str, rows: Sequence[Row]) -> pa.Table:
    columns = (*_COLUMNS[name], *_CONTENT.get(name, ()))
    schema = pa.schema([(column, _type(column)) for column in columns])
    return pa.Table.from_pylist(list(rows), schema=schema)


def _type(column: str) -> pa.DataType:
    if column in _TIMES:
        return pa.timestamp("us", "UTC")
    return pa.uint64() if column.endswith(("_no", "version")) else pa.string()


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment else None
