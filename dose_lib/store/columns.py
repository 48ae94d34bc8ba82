"""Columns of the store, derived from the records: what SQL and Arrow types a name has.

The migrations write the columns out; a test compares them with what is derived here, so
that a name added to the records and forgotten in SQL is found at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

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

# Names of Part that are not columns of table `part`: flattened, or tables of their own.
_FLATTENED: Mapping[str, type[msgspec.Struct]] = {
    "device": Device,
    "patient": Patient,
    "totals": Totals,
}
_OWN_TABLES = frozenset({"events", "administrations", "estimates", "issues", "provenance"})

# The one name that stands in two of the records that make up `part`.
RENAMED: Mapping[tuple[str, str], str] = {("totals", "derived"): "totals_derived"}

# Columns of `part` beside the records: copies of what `derived` holds under the second name.
DERIVED_COLUMNS: Mapping[str, str] = {
    "derived_water_equivalent_diameter_mm": "patient.water_equivalent_diameter_mm",
    "derived_ssde_max_mgy": "totals.ssde_max_mgy",
    "derived_ssde_mean_mgy": "totals.ssde_mean_mgy",
    "derived_effective_dose_msv": "totals.effective_dose_msv",
}
# Columns of `event` beside the records: what queries over events ask of their exam.
EXAM = "exam_"
EXAM_COLUMNS: Mapping[str, type] = {
    EXAM + "study_uid": str,
    EXAM + "modality": str,
    EXAM + "started_at": datetime,
    EXAM + "device_key": str,
    EXAM + "device": str,
    EXAM + "procedure_name": str,
    EXAM + "body_region": str,
    EXAM + "age_y": float,
    EXAM + "sex": str,
    EXAM + "weight_kg": float,
    EXAM + "is_patient": bool,
    EXAM + "is_history": bool,
}
SIZE_METHOD = "size_method"  # input `method` of the diameter

_SCALARS: Mapping[type, str] = {
    str: "VARCHAR",
    float: "DOUBLE",
    int: "BIGINT",
    bool: "BOOLEAN",
    datetime: "TIMESTAMP",
}

JSON = "JSON"


def sql_type(annotation: Any) -> str:
    """SQL type of a record field: scalars, STRUCT for records, T[] for lists, JSON for maps."""
    annotation = without_none(annotation)
    origin = get_origin(annotation)
    if origin is tuple:
        return f"{sql_type(get_args(annotation)[0])}[]"
    if origin is not None and issubclass(origin, Mapping):
        return JSON
    if issubclass(annotation, Enum):
        return "VARCHAR"
    if issubclass(annotation, msgspec.Struct):
        fields = ", ".join(f'"{n}" {sql_type(t)}' for n, t in field_types(annotation).items())
        return f"STRUCT({fields})"
    return _SCALARS[annotation]


def without_none(annotation: Any) -> Any:
    """The type of an optional field without its None."""
    if get_origin(annotation) in (Union, UnionType):
        (kept,) = (a for a in get_args(annotation) if a is not type(None))
        return kept
    return annotation


@cache
def field_types(record: type[msgspec.Struct]) -> Mapping[str, Any]:
    """Field names of a record with their types."""
    hints = get_type_hints(record)
    return {name: hints[name] for name in record.__struct_fields__}


def _columns(*records: type[msgspec.Struct]) -> dict[str, str]:
    return {n: sql_type(t) for record in records for n, t in field_types(record).items()}


@cache
def part_columns() -> Mapping[str, str]:
    """Columns of table `part`: every scalar and list of part, device, patient and totals."""
    found: dict[str, str] = {}
    for name, annotation in field_types(Part).items():
        if name in _FLATTENED:
            for inner, column_type in _columns(_FLATTENED[name]).items():
                found[RENAMED.get((name, inner), inner)] = column_type
        elif name not in _OWN_TABLES:
            found[name] = sql_type(annotation)
    found["started_at_utc"] = "TIMESTAMP WITH TIME ZONE"
    return found


@cache
def event_columns() -> Mapping[str, str]:
    """Columns of table `event`: names of CT and projection events united."""
    return _columns(CtEvent, XRayEvent)


@cache
def child_columns() -> Mapping[str, Mapping[str, str]]:
    """Columns of the tables with several rows a part, by table."""
    return {
        "event": event_columns(),
        "administration": _columns(Administration),
        "estimate": _columns(Estimate),
        "issue": _columns(Issue),
    }
