"""The neutral form of a query: slots of the question exam, plain lists and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from dose_lib.questions.query import DoseQuery

_LISTS = (
    "modality",
    "body_region",
    "procedure",
    "device",
    "operator",
    "site",
    "manufacturer",
    "group_by",
    "compare_to",
)
_SINGLE = ("statistic", "grain", "exceeds", "chart", "order", "limit")


def to_spec(query: DoseQuery) -> dict[str, Any]:
    """Slots that are set; `date` holds the inclusive days `from` and `to`."""
    spec: dict[str, Any] = {n: list(v) for n in _LISTS if (v := getattr(query, n))}
    spec |= {n: v for n in _SINGLE if (v := getattr(query, n)) is not None}
    if query.measure:
        spec["measure"] = query.measure[0] if len(query.measure) == 1 else list(query.measure)
    if query.filters:
        spec["filters"] = [
            f.model_dump() | {"value": list(f.value) if isinstance(f.value, tuple) else f.value}
            for f in query.filters
        ]
    if query.period:
        days = {"from": query.period.start, "to": query.period.last_day}
        spec["date"] = {k: v for k, v in days.items() if v}
    return spec


def from_spec(spec: Mapping[str, Any]) -> DoseQuery:
    """The query of a neutral form; its dates become a fixed period.

    Raises
    ------
    pydantic.ValidationError
        For an unknown slot or value.
    """
    slots = {k: v for k, v in spec.items() if k != "date"}
    measure = slots.get("measure")
    if isinstance(measure, str):
        slots["measure"] = [measure]
    if days := spec.get("date"):
        last = _day(days.get("to"))
        slots["period"] = {
            "kind": "fixed",
            "start": _day(days.get("from")),
            "end": last + timedelta(days=1) if last else None,
        }
    return DoseQuery.model_validate(slots)


def _day(value: date | str | None) -> date | None:
    return date.fromisoformat(value) if isinstance(value, str) else value
