"""What the store has of some studies and days: exam parts, devices, and the ledger's reasons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import msgspec

import dose_lib
from dose_lib import Settings

_AT_ONCE = 500
# What became of an object, best first: the best of a study's objects tells its fate.
_RANK = ("stored", "superseded", "duplicate", "waiting", "quarantined", "no_dose", "erased")


class StoredPart(msgspec.Struct, frozen=True, kw_only=True):
    """An exam part of the store."""

    study_uid: str
    modality: str
    started_at: datetime | None
    device_key: str | None = None
    device: str | None = None
    station: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    is_patient: bool | None = None


class StoredDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A device of the store."""

    device_key: str
    device: str | None = None
    station: str | None = None
    manufacturer: str | None = None
    model: str | None = None


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger says of an object that was received."""

    study_uid: str | None
    sop_instance_uid: str | None
    status: str
    reason: str | None = None


class StoreView:
    """Reads the store for a comparison; an installation without one has nothing."""

    def __init__(self, settings: Settings) -> None:
        self._con: Any = (
            dose_lib.connect(settings=settings) if settings.store_file.exists() else None
        )

    def parts(self, study_uids: Iterable[str], days: Sequence[date]) -> list[StoredPart]:
        """Parts of these studies, and all that began on these days."""
        if self._con is None:
            return []
        studies = self._con.table("studies")
        begin = datetime.combine(min(days), time())
        end = datetime.combine(max(days), time()) + timedelta(days=1)
        of_days = studies.filter(studies.started_at >= begin, studies.started_at < end)
        found = _parts(of_days)
        known = {p.study_uid for p in found}
        rest = sorted(set(study_uids) - known)
        for at in range(0, len(rest), _AT_ONCE):
            found += _parts(studies.filter(studies.study_uid.isin(rest[at : at + _AT_ONCE])))
        return found

    def devices(self) -> list[StoredDevice]:
        """All devices."""
        if self._con is None:
            return []
        devices = self._con.table("devices")
        names = ("device_key", "device", "station_name", "manufacturer", "model")
        rows = devices.select(*names).to_pyarrow().to_pylist()
        return [StoredDevice(station=r.pop("station_name"), **r) for r in rows]

    def received(
        self, study_uids: Iterable[str] = (), object_uids: Iterable[str] = ()
    ) -> dict[str, Received]:
        """By study, or by object, what became of the best of what was received of it."""
        found: dict[str, Received] = {}
        for column, uids in (("study_uid", study_uids), ("sop_instance_uid", object_uids)):
            for row in self._objects(column, sorted(set(uids))):
                key = getattr(row, column)
                before = found.get(key)
                if before is None or _RANK.index(row.status) < _RANK.index(before.status):
                    found[key] = row
        return found

    def _objects(self, column: str, uids: Sequence[str]) -> Iterable[Received]:
        if self._con is None:
            return
        objects = self._con.table("objects")
        for at in range(0, len(uids), _AT_ONCE):
            some = objects.filter(objects[column].isin(list(uids[at : at + _AT_ONCE])))
            rows = some.select("study_uid", "sop_instance_uid", "status", "reason").distinct()
            for row in rows.to_pyarrow().to_pylist():
                yield Received(**row)


def _parts(studies: Any) -> list[StoredPart]:
    rows = (
        studies.select(
            *("study_uid", "modality", "started_at", "device_key", "device", "station_name"),
            *("manufacturer", "model", "is_patient"),
        )
        .to_pyarrow()
        .to_pylist()
    )
    return [StoredPart(station=r.pop("station_name"), **r) for r in rows]


def by_study(parts: Iterable[StoredPart]) -> dict[str, list[StoredPart]]:
    """Parts by their study."""
    found: dict[str, list[StoredPart]] = defaultdict(list)
    for part in parts:
        found[part.study_uid].append(part)
    return dict(found)
