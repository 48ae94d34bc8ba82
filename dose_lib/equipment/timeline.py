"""What happened to a unit: names, software versions and services in order of time.

Software, station name, AE title and department are taken from the exams themselves: each new
value is an event at the first exam that has it. Services, replaced parts and protocol changes are
what people wrote down.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from dose_lib.errors import UsageError, did_you_mean
from dose_lib.settings import Settings, load_settings

if TYPE_CHECKING:
    import pandas as pd

_WATCHED = {
    "software_versions": "software",
    "station_name": "station name",
    "station_ae_title": "AE title",
    "manufacturer": "maker",
    "model": "model",
    "serial_number": "serial number",
}
COLUMNS = ("at", "what", "value", "before", "n_exams", "author", "note")
_DECIDED = ("device_event", "device_name", "device_link")


def list_devices(con: Any) -> pd.DataFrame:
    """Units by their names, with what they are and how busy.

    Returns
    -------
    pandas.DataFrame
        ``device, site, room, manufacturer, model, serial_number, station_name,
        software_versions, modalities, n_parts, first_started_at, last_started_at, device_key``.
    """
    devices = con.table("devices")
    columns = [
        "device", "site", "room", "manufacturer", "model", "serial_number", "station_name",
        "software_versions", "modalities", "n_parts", "first_started_at", "last_started_at",
        "device_key",
    ]  # fmt: skip
    table: pd.DataFrame = (
        devices.order_by("device", "device_key").select(*columns).to_pyarrow().to_pandas()
    )
    return table


def find_device(con: Any, name: str) -> str:
    """Key of the unit somebody means by its name, station name, serial number or key.

    Raises
    ------
    UsageError
        If there is none of this name, or several.
    """
    rows = con.table("devices").to_pyarrow().to_pylist()
    wanted = name.strip().casefold()
    names = ("device", "station_name", "serial_number", "device_key")
    exact = [r for r in rows if wanted in [str(r[n] or "").casefold() for n in names]]
    found = exact or [r for r in rows if len(wanted) >= 6 and r["device_key"].startswith(wanted)]
    keys = sorted({r["device_key"] for r in found})
    if len(keys) == 1:
        return str(keys[0])
    if keys:
        raise UsageError(
            f"{name!r} is the name of {len(keys)} units", todo=f"Keys: {', '.join(keys)}"
        )
    known = [str(r["device"]) for r in rows if r["device"]]
    raise UsageError(f"there is no unit {name!r}", todo=did_you_mean(name, known))


def device_timeline(con: Any, device: str, *, settings: Settings | None = None) -> pd.DataFrame:
    """Everything known to have happened to a unit, in order of time.

    Parameters
    ----------
    con
        From `dose_lib.connect`.
    device
        Name, station name, serial number or key.

    Returns
    -------
    pandas.DataFrame
        ``at, what, value, before, n_exams, author, note``: `n_exams` counts the exams with this
        value up to the next change of it.
    """
    import pandas as pd

    settings = settings or load_settings()
    key = find_device(con, device)
    events = [*_seen(con, key), *_decided(con, key, ZoneInfo(settings.timezone))]
    events.sort(key=lambda row: (row[0] or datetime.min, row[1]))
    return pd.DataFrame(events, columns=list(COLUMNS))


_Event = tuple[datetime | None, str, str | None, str | None, int | None, str | None, str | None]


def _seen(con: Any, key: str) -> Iterator[_Event]:
    """Values that changed from one exam to the next, by the exams' own times."""
    studies = con.table("studies")
    rows = studies.filter(studies.device_key == key, studies.started_at.notnull())
    chosen = rows.select("started_at", "part_key", *_WATCHED)
    exams = chosen.order_by(["started_at", "part_key"]).to_pyarrow().to_pylist()
    for name, what in _WATCHED.items():
        said = [(e["started_at"], _text(e[name])) for e in exams]
        yield from _changes(what, [(at, value) for at, value in said if value])


def _changes(what: str, said: list[tuple[datetime, str]]) -> Iterator[_Event]:
    """First exam of each run of one value.

    A value that a unit leaves and takes up again soon (two interfaces of one unit, a late
    report of the old software) is no change: only the first exam with a value counts.
    """
    first: dict[str, datetime] = {}
    count: dict[str, int] = {}
    for at, value in said:
        first.setdefault(value, at)
        count[value] = count.get(value, 0) + 1
    before: str | None = None
    for value, at in first.items():
        label = f"first exam, {what}" if before is None else f"new {what}"
        yield at, label, value, before, count[value], None, None
        before = value


def _text(value: Any) -> str | None:
    if isinstance(value, list | tuple):
        return "; ".join(str(v) for v in value if v) or None
    return None if value is None else str(value)


def _decided(con: Any, key: str, zone: ZoneInfo) -> Iterator[_Event]:
    """What people wrote down; local times of the site."""
    decisions = con.table("decisions")
    rows = decisions.filter(decisions.kind.isin(list(_DECIDED)))
    for row in rows.order_by(["decided_at", "decision_id"]).to_pyarrow().to_pylist():
        payload = row["payload"]
        said = json.loads(payload) if isinstance(payload, str) else dict(payload)
        if row["subject"] != key and said.get("same_as") != key:
            continue
        at = row["decided_at"].astimezone(zone).replace(tzinfo=None)
        if row["kind"] == "device_event":
            moment = datetime.fromisoformat(said["at"])
            at = moment.astimezone(zone).replace(tzinfo=None) if moment.tzinfo else moment
            yield at, said["category"], said["what"], None, None, row["author"], said.get("note")
        elif row["kind"] == "device_name":
            name = ", ".join(str(v) for k in ("display_name", "site", "room") if (v := said.get(k)))
            yield at, "named", name or None, None, None, row["author"], None
        else:
            other = row["subject"] if row["subject"] != key else said.get("same_as")
            what = "joined" if said.get("same_as") else "parted"
            yield at, what, other, None, None, row["author"], said.get("note")
