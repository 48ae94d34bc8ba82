"""One device behind changing keys: the unit each device key belongs to.

A unit is known by the UID of its observer. After an upgrade that UID may be another one, and
images and radiopharmaceutical reports have none: but maker, model and serial number stay. So
the key under which a unit was first seen goes on being its key, unless a person says otherwise
(decision ``device_link``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import duckdb

from dose_lib.keys import is_placeholder_id, normalise_id
from dose_lib.records import Decision, Device

LINK = "device_link"
_SHORTEST_SERIAL = 4


def telling_serial(device: Device) -> tuple[str, str, str] | None:
    """Maker, model and serial number that name one unit; None where they do not.

    Placeholders and serials of fewer than four signs, or without a digit, name no unit.
    """
    serial = normalise_id(device.serial_number)
    maker, model = normalise_id(device.manufacturer), normalise_id(device.model)
    is_short = len(serial) < _SHORTEST_SERIAL or not any(c.isdigit() for c in serial)
    if is_short or is_placeholder_id(serial) or not maker or not model:
        return None
    return maker, model, serial


def resolve_units(con: duckdb.DuckDBPyConnection, devices: Iterable[Device]) -> Mapping[str, str]:
    """Unit key by device key, for devices of a batch; keys seen first are written down."""
    fresh = {d.device_key: d for d in devices if d.device_key}
    known = _known(con, list(fresh))
    for key, device in fresh.items():
        if key not in known:
            known[key] = _first_seen(con, device) or key
            maker, model, serial = telling_serial(device) or (None, None, None)
            con.execute(
                "INSERT INTO device_unit VALUES (?, ?, ?, ?, ?)",
                [key, known[key], maker, model, serial],
            )
    return known


def _known(con: duckdb.DuckDBPyConnection, keys: list[str]) -> dict[str, str]:
    rows = con.execute(
        "SELECT device_key, unit_key FROM device_unit WHERE device_key IN (SELECT unnest(?))",
        [keys],
    ).fetchall()
    return dict(rows)


def _first_seen(con: duckdb.DuckDBPyConnection, device: Device) -> str | None:
    words = telling_serial(device)
    if words is None:
        return None
    # A key that a person set apart is no longer its own unit's; rowid is the order of insertion.
    row = con.execute(
        "SELECT unit_key FROM device_unit"
        " WHERE manufacturer = ? AND model = ? AND serial_number = ? ORDER BY rowid LIMIT 1",
        list(words),
    ).fetchone()
    return None if row is None else str(row[0])


def link_units(con: duckdb.DuckDBPyConnection, decision: Decision) -> set[str]:
    """Put a device key to the unit a person named, or on its own; returns the units touched."""
    key = decision.subject
    other = decision.payload.get("same_as")
    before = _known(con, [key]).get(key, key)
    unit = _known(con, [str(other)]).get(str(other), str(other)) if other else key
    con.execute("DELETE FROM device_unit WHERE device_key = ?", [key])
    con.execute("INSERT INTO device_unit (device_key, unit_key) VALUES (?, ?)", [key, unit])
    return {before, unit}
