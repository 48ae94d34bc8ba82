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
    """A device's exams in the store: when, and with which software since when."""

    first_started_at: datetime
    last_started_at: datetime
    first_received_at: datetime
    n_exams: int
    software: Mapping[tuple[str, ...], datetime]

    @property
    def is_short(self) -> bool:
        """True if all of them lie within a few days."""
        return self.last_started_at - self.first_started_at <= _RECENT


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """When the store received its first exam, and when its last one was done."""

    first_received_at: datetime
    last_started_at: datetime

    def is_taught(self, past: Past) -> bool:
        """True if the store was at work for a while before this device came."""
        return past.first_received_at - self.first_received_at >= _TAUGHT

    def is_recent(self, at: datetime) -> bool:
        """True for an exam of the last days of the store."""
        return self.last_started_at - at <= _RECENT


def of_devices(parts: Iterable[Part]) -> dict[str, list[Part]]:
    """Exams by device, in order of time; without those that name no device or time."""
    found: dict[str, list[Part]] = {}
    for part in parts:
        if part.device.device_key and part.started_at is not None:
            found.setdefault(part.device.device_key, []).append(part)
    return {key: sorted(some, key=_start) for key, some in found.items()}


def _start(part: Part) -> datetime:
    return (part.started_at or datetime.min).replace(tzinfo=None)


def read_pasts(history: History, device_keys: Sequence[str]) -> dict[str, Past]:
    """What the store knows of devices, by key; the exams that are looked at are in it."""
    studies = history.table("studies")
    mine = studies.filter(studies.device_key.isin(list(device_keys)), studies.started_at.notnull())
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
    return _pasts(rows)


def read_span(history: History) -> Span:
    """The span of the store; of one with exams."""
    studies = history.table("studies")
    row = studies.aggregate(first=studies.received_at.min(), last=studies.started_at.max())
    (found,) = row.to_pyarrow().to_pylist()
    return Span(first_received_at=found["first"], last_started_at=found["last"])


def read_station(history: History, station_name: str | None) -> frozenset[str]:
    """Keys of the devices that a station name was seen with."""
    if station_name is None:
        return frozenset()
    studies = history.table("studies")
    mine = studies.filter(studies.station_name == station_name, studies.device_key.notnull())
    rows = mine.select("device_key").distinct().to_pyarrow().to_pylist()
    return frozenset(row["device_key"] for row in rows)


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
