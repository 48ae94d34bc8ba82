"""What the store knows of devices besides the exams that have just arrived."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from dose_lib.detect.detector import History
from dose_lib.records import Part

# A store is taught who is here first: what comes before is no news.
_TAUGHT = timedelta(days=14)
_RECENT = timedelta(days=7)  # older exams are being brought in, and are no news either


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """A device's exams in the store: when, and with which software."""

    first_started_at: datetime
    last_started_at: datetime
    first_received_at: datetime
    n_exams: int
    software: Mapping[tuple[str, ...], datetime]


class Knowledge(msgspec.Struct, frozen=True, kw_only=True):
    """The store's past: of some devices, and of all.

    Attributes
    ----------
    devices
        By device key.
    first_received_at, last_started_at
        Of any exam; None for an empty store.
    stations
        Device keys that a station name was seen with.
    """

    devices: Mapping[str, Past]
    first_received_at: datetime | None
    last_started_at: datetime | None
    stations: Mapping[str, frozenset[str]]

    def is_taught(self, past: Past) -> bool:
        """True if the store was at work for a while before this device came."""
        first = self.first_received_at
        return first is not None and past.first_received_at - first >= _TAUGHT

    def is_recent(self, at: datetime) -> bool:
        """True for an exam of the last days of the store."""
        return self.last_started_at is not None and self.last_started_at - at <= _RECENT


def of_devices(parts: Iterable[Part]) -> dict[str, list[Part]]:
    """Exams by device, in order of time; without those that name no device or time."""
    found: dict[str, list[Part]] = {}
    for part in parts:
        if part.device.device_key and part.started_at is not None:
            found.setdefault(part.device.device_key, []).append(part)
    return {key: sorted(some, key=_start) for key, some in found.items()}


def _start(part: Part) -> datetime:
    return (part.started_at or datetime.min).replace(tzinfo=None)


def read_knowledge(history: History, device_keys: Sequence[str]) -> Knowledge:
    """What the store knows of devices; the exams that are looked at are in it."""
    studies = history.table("studies")
    whole = (
        studies.aggregate(first=studies.received_at.min(), last=studies.started_at.max())
        .to_pyarrow()
        .to_pylist()[0]
    )
    mine = studies.filter(studies.device_key.isin(list(device_keys)))
    rows = (
        mine.group_by("device_key", "software_versions")
        .agg(
            first=mine.started_at.min(),
            last=mine.started_at.max(),
            received=mine.received_at.min(),
            n=mine.count(),
        )
        .to_pyarrow()
        .to_pylist()
    )
    stations = studies.filter(studies.station_name.notnull(), studies.device_key.notnull())
    pairs = stations.select("station_name", "device_key").distinct().to_pyarrow().to_pylist()
    by_station: dict[str, set[str]] = {}
    for pair in pairs:
        by_station.setdefault(pair["station_name"], set()).add(pair["device_key"])
    return Knowledge(
        devices=_pasts([r for r in rows if r["first"] is not None]),
        first_received_at=whole["first"],
        last_started_at=whole["last"],
        stations={s: frozenset(k) for s, k in by_station.items()},
    )


def _pasts(rows: Sequence[Mapping[str, Any]]) -> dict[str, Past]:
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        grouped.setdefault(str(row["device_key"]), []).append(row)
    return {
        key: Past(
            first_started_at=min(r["first"] for r in some),
            last_started_at=max(r["last"] for r in some),
            first_received_at=min(r["received"] for r in some),
            n_exams=sum(r["n"] for r in some),
            software={tuple(r["software_versions"] or ()): r["first"] for r in some},
        )
        for key, some in grouped.items()
    }
