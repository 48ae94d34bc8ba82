"""Exam parts as far as naming looks at them, from the store's tables: no doses, no objects."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from dose_lib.normalise import SiteFacts, read_site
from dose_lib.records import Administration, CtEvent, Decision, Part, XRayEvent
from dose_lib.settings import Settings

NAMING_KINDS = ("procedure_mapping", "device_link", "device_name")

_PART = (
    "part_key", "study_uid", "modality", "study_description", "procedure_code",
    "requested_procedure", "performed_procedure_step_description", "nm_procedure",
    "protocol_names", "mg_mode", "contrast_agent", "contrast_volume_ml",
)  # fmt: skip
_CT = (
    "acquisition_protocol", "acquisition_type", "is_bolus_tracking", "target_region",
    "is_target_region_inferred", "procedure_context",
)  # fmt: skip
_XRAY = (
    "acquisition_protocol", "target_region", "anatomical_structure", "view", "mg_mode",
    "is_rejected", "projection",
)  # fmt: skip
_GIVEN = ("radiopharmaceutical", "brand_name")


def read_parts(con: Any, part_keys: Sequence[str]) -> tuple[Part, ...]:
    """Parts with what their names, regions and contrast are told by, and nothing else.

    Parameters
    ----------
    con
        From `dose_lib.connect`.
    part_keys
        Which parts; unknown keys give none.

    Notes
    -----
    `dose_lib.normalise.name_part` says of such a part what it says of the whole one.
    """
    found: list[Part] = []
    for start in range(0, len(part_keys), _AT_ONCE):
        found += _read_some(con, list(part_keys[start : start + _AT_ONCE]))
    return tuple(found)


_AT_ONCE = 10_000  # keys a query may name and stay well below its longest length


def _read_some(con: Any, part_keys: list[str]) -> list[Part]:
    rows = _rows(con, "part", _PART, part_keys)
    events = _grouped(con, "event", ("record", *dict.fromkeys((*_CT, *_XRAY))), part_keys)
    given = _grouped(con, "administration", _GIVEN, part_keys)
    return [_part(row, events[row["part_key"]], given[row["part_key"]]) for row in rows]


def _rows(con: Any, table: str, names: Iterable[str], part_keys: list[str]) -> list[dict[str, Any]]:
    rows = con.table(table)
    chosen = rows.filter(rows.part_key.isin(part_keys)).select(*names)
    found: list[dict[str, Any]] = chosen.to_pyarrow().to_pylist()
    return found


def _grouped(
    con: Any, table: str, names: Sequence[str], part_keys: list[str]
) -> Mapping[str, list[dict[str, Any]]]:
    index = f"{table}_index"
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    rows = _rows(con, table, ("part_key", index, *names), part_keys)
    for row in sorted(rows, key=lambda r: r[index]):
        found[row["part_key"]].append(row)
    return found


def _part(row: Mapping[str, Any], events: list[Any], given: list[Any]) -> Part:
    whole = msgspec.convert({n: v for n, v in row.items() if v is not None}, Part)
    return msgspec.structs.replace(
        whole,
        events=tuple(_event(e) for e in events),
        administrations=tuple(msgspec.convert(_only(g, _GIVEN), Administration) for g in given),
    )


def _event(row: Mapping[str, Any]) -> CtEvent | XRayEvent:
    if row["record"] == "ct_event":
        return msgspec.convert(_only(row, _CT), CtEvent)
    return msgspec.convert(_only(row, _XRAY), XRayEvent)


def _only(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {n: row[n] for n in names if row.get(n) is not None}


def read_decisions(con: Any, *kinds: str, as_of: datetime | None = None) -> tuple[Decision, ...]:
    """Decisions of some kinds in the order they were taken; those up to a moment with `as_of`."""
    table = con.table("decisions")
    rows = table.filter(table.kind.isin(list(kinds)))
    if as_of is not None:
        rows = rows.filter(rows.decided_at <= as_of)
    ordered = rows.order_by(["decided_at", "decision_id"])
    return tuple(_decision(row) for row in ordered.to_pyarrow().to_pylist())


def _decision(row: Mapping[str, Any]) -> Decision:
    payload = row["payload"]
    return Decision(
        kind=row["kind"],
        subject=row["subject"],
        payload=json.loads(payload) if isinstance(payload, str) else dict(payload),
        author=row["author"],
        decided_at=row["decided_at"].astimezone(UTC),
    )


def site_facts(con: Any, settings: Settings, *more: Decision) -> SiteFacts:
    """The site's facts by its files and the store's decisions, and by further ones."""
    return read_site(settings, (*read_decisions(con, *NAMING_KINDS), *more))
