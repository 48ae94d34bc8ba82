"""What a mapping can fill: names of the records, their types and units."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from types import MappingProxyType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from dose_lib.records import (
    Administration,
    Code,
    CtEvent,
    CtSource,
    Device,
    Identity,
    Part,
    Patient,
    Staff,
    Totals,
    TotalsPlane,
    XRayEvent,
    contract,
)

RECORDS: Mapping[str, type[msgspec.Struct]] = MappingProxyType(
    {
        "part": Part,
        "device": Device,
        "patient": Patient,
        "totals": Totals,
        "totals_plane": TotalsPlane,
        "ct_event": CtEvent,
        "ct_source": CtSource,
        "xray_event": XRayEvent,
        "administration": Administration,
        "identity": Identity,
    }
)
# What we make ourselves, in every record: keys, bookkeeping, and what normalising gives.
_OURS = frozenset(
    {
        *("part_key", "is_history", "started_at_utc", "tz_source", "is_ambiguous_hour"),
        *("procedure_name", "procedure_rule", "procedure_confidence", "procedure_evidence"),
        *("body_region", "is_body_region_inferred", "patient_key", "is_linked", "device_key"),
        *("operator_keys", "physician_keys", "requester_key", "operator_key", "size_source"),
        *("size_measured_at", "age_source", "derived", "field_sources", "ordinal"),
        *("n_localiser_events", "n_spiral_events", "n_sequenced_events", "n_stationary_events"),
    }
)
_SIMPLE = (str, int, float, bool, datetime, Code)


class Target(msgspec.Struct, frozen=True):
    """A name that a cell can fill: its type, whether it is a list, and its unit."""

    name: str
    kind: type
    is_list: bool
    unit: str | None


@cache
def targets(record: str) -> Mapping[str, Target]:
    """Names of a record that a mapping may name, by name."""
    units = {c.name: c.unit for c in contract() if c.record == record}
    found = {}
    for name, annotation in get_type_hints(RECORDS[record]).items():
        kind, is_list = _plain(annotation)
        is_simple = kind in _SIMPLE or (isinstance(kind, type) and issubclass(kind, Enum))
        if is_simple and name not in _OURS:
            found[name] = Target(name, kind, is_list, units.get(name))
    if record == "identity":
        found = {n: t for n, t in found.items() if n not in Staff.__struct_fields__}
    return MappingProxyType(found)


def _plain(annotation: Any) -> tuple[Any, bool]:
    """The type of a field without its None, and whether it is a list of it."""
    if get_origin(annotation) in (Union, UnionType):
        kinds = [a for a in get_args(annotation) if a is not type(None)]
        if len(kinds) > 1:
            return annotation, False
        (annotation,) = kinds
    if get_origin(annotation) is tuple:
        return _plain(get_args(annotation)[0])[0], True
    return annotation, False
