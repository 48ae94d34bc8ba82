"""The device behind a dose."""

from __future__ import annotations

from datetime import datetime

import msgspec

from dose_lib.records.source import Code


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """The physical unit that irradiated, read or recorded."""

    device_key: str | None = None
    device_observer_uid: str | None = None
    device_uid: str | None = None
    role: Code | None = None
    observer_type: Code | None = None
    manufacturer: str | None = None
    model: str | None = None
    serial_number: str | None = None
    name: str | None = None
    station_name: str | None = None
    station_ae_title: str | None = None
    software_versions: tuple[str, ...] = ()
    institution_name: str | None = None
    institution_address: str | None = None
    department: str | None = None
    location: str | None = None
    gantry_id: str | None = None
    detector_id: str | None = None
    detector_technology: str | None = None
    detector_calibrated_at: datetime | None = None
    last_calibrated_at: datetime | None = None
    spatial_resolution_mm: float | None = None
    display_name: str | None = None
    site: str | None = None
    room: str | None = None
