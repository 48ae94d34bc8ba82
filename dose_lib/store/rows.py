"""Exam parts as rows: flat, columnar, without NaN; what the writer inserts through Arrow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any, get_args, get_origin

import msgspec
import pyarrow as pa

from dose_lib.records import (
    Administration,
    CtEvent,
    Device,
    Estimate,
    Issue,
    Part,
    Patient,
    Totals,
    XRayEvent,
)
from dose_lib.store.columns import (
    DERIVED_COLUMNS,
    EXAM,
    EXAM_COLUMNS,
    RENAMED,
    SIZE_METHOD,
    field_types,
    without_none,
)

Row = dict[str, Any]

_LOCAL = pa.timestamp("us")
_UTC = pa.timestamp("us", tz="UTC")
_SCALARS: Mapping[type, pa.DataType] = {
    str: pa.string(),
    float: pa.float64(),
    int: pa.int64(),
    bool: pa.bool_(),
    datetime: _LOCAL,
}
_KEYS: Mapping[str, pa.DataType] = {
    "part_key": pa.string(),
    "record": pa.string(),
    "event_index": pa.int32(),
    "administration_index": pa.int32(),
    "estimate_index": pa.int32(),
    "issue_index": pa.int32(),
    "n_issues": pa.int64(),
    SIZE_METHOD: pa.string(),
    **dict.fromkeys(DERIVED_COLUMNS, pa.float64()),
    **{name: _SCALARS[kind] for name, kind in EXAM_COLUMNS.items()},
    "received_at": _UTC,
    "started_at_utc": _UTC,
}


def part_rows(part: Part, received_at: datetime) -> dict[str, list[Row]]:
    """Rows of one part by table: part, event, administration, estimate, issue.

    Parameters
    ----------
    part
        Merged and normalised; numbers finite.
    received_at
        When the first object of the part arrived, with zone.
    """
    plain = msgspec.to_builtins(part, builtin_types=(datetime,))
    key = part.part_key
    return {
        "part": [_part_row(plain, received_at)],
        "event": [r | _of_exam(part) for r in _children(plain["events"], key, "event")],
        "administration": _children(plain["administrations"], key, "administration"),
        "estimate": _children(plain["estimates"], key, "estimate"),
        "issue": _children(plain["issues"], key, "issue"),
    }


def _part_row(plain: Row, received_at: datetime) -> Row:
    row = {
        name: value
        for name, value in plain.items()
        if name not in ("device", "patient", "totals", "events", "administrations")
        and name not in ("estimates", "issues", "provenance")
    }
    for record in ("device", "patient", "totals"):
        for name, value in plain[record].items():
            row[RENAMED.get((record, name), name)] = value
    derived = plain["derived"]
    row |= {c: derived[n]["value"] for c, n in DERIVED_COLUMNS.items() if n in derived}
    if size := derived.get(DERIVED_COLUMNS["derived_water_equivalent_diameter_mm"]):
        row[SIZE_METHOD] = size["inputs"].get("method")
    row["received_at"] = received_at
    row["n_issues"] = len(plain["issues"])
    return row


def _of_exam(part: Part) -> Row:
    """What queries over events ask of their exam, in the columns of table `event`."""
    device, patient = part.device, part.patient
    made = " ".join(w for w in (device.manufacturer, device.model) if w is not None)
    values = {
        "study_uid": part.study_uid,
        "modality": part.modality.value,
        "started_at": part.started_at,
        "device_key": device.device_key,
        "device": device.display_name or device.station_name or made or None,
        "procedure_name": part.procedure_name,
        "body_region": part.body_region,
        "age_y": patient.age_y,
        "sex": None if patient.sex is None else patient.sex.value,
        "weight_kg": patient.weight_kg,
        "is_patient": part.is_patient,
        "is_history": part.is_history,
    }
    return {EXAM + name: value for name, value in values.items()}


def _children(children: Sequence[Row], part_key: str, table: str) -> list[Row]:
    return [
        {**child, "part_key": part_key, f"{table}_index": index}
        for index, child in enumerate(children)
    ]


def arrow_table(table: str, rows: Sequence[Row]) -> pa.Table:
    """Rows of one store table as Arrow; columns that hold nothing are left out.

    Parameters
    ----------
    table
        part, event, administration, estimate or issue.
    rows
        Values as `part_rows` makes them; must not be empty.
    """
    types = _types(table)
    names: list[str] = []
    arrays: list[pa.Array] = []
    for name, column_type in types.items():
        values = [row.get(name) for row in rows]
        if any(value is not None for value in values):
            names.append(name)
            arrays.append(pa.array(_fit(values, column_type), type=column_type.arrow))
    return pa.table(arrays, names=names)


class _Column(msgspec.Struct, frozen=True):
    arrow: pa.DataType
    is_json: bool
    has_nested_times: bool


@cache
def _types(table: str) -> Mapping[str, _Column]:
    records: Mapping[str, tuple[type[msgspec.Struct], ...]] = {
        "part": (Part, Device, Patient, Totals),
        "event": (CtEvent, XRayEvent),
        "administration": (Administration,),
        "estimate": (Estimate,),
        "issue": (Issue,),
    }
    apart = {"device", "patient", "totals", "events", "administrations", "estimates", "issues"}
    found = {name: _Column(t, False, False) for name, t in _KEYS.items() if _has_key(table, name)}
    for record in records[table]:
        for name, annotation in field_types(record).items():
            column = RENAMED.get((record.__name__.lower(), name), name)
            if column not in found and not (record is Part and name in {*apart, "provenance"}):
                found[column] = _column(annotation)
    return found


def _has_key(table: str, name: str) -> bool:
    if table == "part":
        return name in ("n_issues", "received_at", "started_at_utc", SIZE_METHOD, *DERIVED_COLUMNS)
    if table == "event" and (name == "record" or name in EXAM_COLUMNS):
        return True
    return name in ("part_key", f"{table}_index")


def _column(annotation: Any) -> _Column:
    arrow = _arrow_type(annotation)
    nested = pa.types.is_nested(arrow)
    return _Column(arrow, _is_map(without_none(annotation)), nested and "timestamp" in str(arrow))


def _is_map(annotation: Any) -> bool:
    origin = get_origin(annotation)
    return origin is not None and issubclass(origin, Mapping)


def _arrow_type(annotation: Any) -> pa.DataType:
    annotation = without_none(annotation)
    if get_origin(annotation) is tuple:
        return pa.list_(_arrow_type(get_args(annotation)[0]))
    if _is_map(annotation) or issubclass(annotation, Enum):
        return pa.string()
    if issubclass(annotation, msgspec.Struct):
        return pa.struct([(n, _arrow_type(t)) for n, t in field_types(annotation).items()])
    return _SCALARS[annotation]


def _fit(values: list[Any], column: _Column) -> list[Any]:
    """Values in the form Arrow wants: maps as JSON text, local times without their offset."""
    if column.is_json:
        return [None if v is None else msgspec.json.encode(v).decode() for v in values]
    if column.arrow == _LOCAL:
        return [None if v is None else v.replace(tzinfo=None) for v in values]
    if column.arrow == _UTC:
        return [None if v is None else _utc(v) for v in values]
    if column.has_nested_times:
        return [_local(v) for v in values]
    return values


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _local(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, dict):
        return {name: _local(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_local(inner) for inner in value]
    return value


def column_names(table: str) -> Iterable[str]:
    """Names of a table's columns, in the order they are inserted."""
    return _types(table).keys()
