"""Decisions about units: their names, what is one unit, what happened to it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from dose_lib.equipment.timeline import find_device
from dose_lib.errors import UsageError, did_you_mean
from dose_lib.records import Decision
from dose_lib.settings import Settings, load_settings
from dose_lib.store import submit_decision


def name_device(
    con: Any,
    device: str,
    *,
    display_name: str | None = None,
    site: str | None = None,
    room: str | None = None,
    author: str,
    settings: Settings | None = None,
) -> Decision:
    """Say how a unit is called and where it stands; what is not said stays as it was.

    Parameters
    ----------
    device
        Present name, station name, serial number or key.
    display_name, site, room
        As they are to be shown, for exams of every day.
    author
        Who says so.
    """
    key = find_device(con, device)
    said = {"display_name": display_name, "site": site, "room": room}
    given = {name: value for name, value in said.items() if value is not None}
    if not given:
        raise UsageError("nothing was said of the unit", expected="a name, a site or a room")
    decision = Decision(
        kind="device_name", subject=key, payload=_former(con, key) | given, author=author
    )
    return submit_decision(settings or load_settings(), decision)[0]


def _former(con: Any, key: str) -> dict[str, Any]:
    """What earlier decisions said: the latest one holds, so it has to say all."""
    decisions = con.table("decisions")
    rows = decisions.filter(decisions.kind == "device_name", decisions.subject == key)
    said: dict[str, Any] = {}
    for row in rows.order_by(["decided_at", "decision_id"]).to_pyarrow().to_pylist():
        payload = row["payload"]
        said = json.loads(payload) if isinstance(payload, str) else dict(payload)
    return {k: v for k, v in said.items() if v is not None}


def join_devices(
    con: Any,
    device: str,
    same_as: str | None,
    *,
    author: str,
    because: str | None = None,
    settings: Settings | None = None,
) -> Decision:
    """Say that two entries are one unit, where no serial number tells it; None takes it back."""
    key = find_device(con, device) if same_as is not None else _joined(con, device)
    other = None if same_as is None else find_device(con, same_as)
    if key == other:
        raise UsageError("it is one unit already", where=key)
    payload = {"same_as": other} | ({"note": because} if because else {})
    decision = Decision(kind="device_link", subject=key, payload=payload, author=author)
    return submit_decision(settings or load_settings(), decision)[0]


def _joined(con: Any, device: str) -> str:
    """Key of an entry that was joined to another: it stands in the decisions alone."""
    decisions = con.table("decisions")
    rows = decisions.filter(decisions.kind == "device_link").select("subject").distinct()
    keys = [str(k) for k in rows.to_pyarrow().column("subject").to_pylist()]
    found = [k for k in keys if k == device or (len(device) >= 6 and k.startswith(device))]
    if len(found) != 1:
        raise UsageError(f"{device!r} was not joined to anything", todo=did_you_mean(device, keys))
    return found[0]


def log_event(
    con: Any,
    device: str,
    what: str,
    *,
    category: str = "service",
    at: datetime | None = None,
    author: str,
    note: str | None = None,
    settings: Settings | None = None,
) -> Decision:
    """Write down what was done to a unit, for its timeline.

    Parameters
    ----------
    what
        In a few words: "tube replaced", "chest protocol changed".
    category
        service, part replaced, protocol, calibration, test or other.
    at
        When; without a zone in the site's; by default now.
    """
    settings = settings or load_settings()
    zone = ZoneInfo(settings.timezone)
    moment = datetime.now(zone) if at is None else at if at.tzinfo else at.replace(tzinfo=zone)
    payload = {"what": what, "category": category, "at": moment.isoformat()}
    payload |= {"note": note} if note else {}
    decision = Decision(
        kind="device_event", subject=find_device(con, device), payload=payload, author=author
    )
    return submit_decision(settings, decision)[0]
