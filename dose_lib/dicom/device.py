"""The device behind the dose, from observers, participants and the header."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import asdict, replace

from dose_lib.dicom import tags as t
from dose_lib.dicom.attributes import Attribute, Attributes
from dose_lib.dicom.elements import DataSet
from dose_lib.dicom.fields import Kind
from dose_lib.dicom.observers import is_irradiating
from dose_lib.dicom.reading import Reading
from dose_lib.keys import device_key
from dose_lib.records import Device

HEADER = (
    Attribute(t.DeviceUID, "device_uid", Kind.WORD),
    Attribute(t.Manufacturer, "manufacturer", Kind.WORD),
    Attribute(t.ManufacturerModelName, "model", Kind.WORD),
    Attribute(t.DeviceSerialNumber, "serial_number", Kind.WORD),
    Attribute(t.StationName, "station_name", Kind.WORD),
    Attribute(t.StationAETitle, "station_ae_title", Kind.WORD),
    Attribute(t.PerformedStationAETitle, "station_ae_title", Kind.WORD),
    Attribute(t.PerformedStationName, "station_name", Kind.WORD),
    Attribute(t.SoftwareVersions, "software_versions", Kind.TEXTS),
    Attribute(t.InstitutionName, "institution_name", Kind.WORD),
    Attribute(t.InstitutionAddress, "institution_address", Kind.WORD),
    Attribute(t.InstitutionalDepartmentName, "department", Kind.WORD),
    Attribute(t.GantryID, "gantry_id", Kind.WORD),
    Attribute(t.DetectorID, "detector_id", Kind.WORD),
    Attribute(t.DetectorType, "detector_technology", Kind.WORD),
    Attribute(t.SpatialResolution, "spatial_resolution_mm"),
)
_SAYS_WHICH = ("manufacturer", "model", "serial_number")


def read_header_device(reading: Reading, header: DataSet) -> dict[str, Any]:
    """Values of `Device` that the header gives, with their provenance."""
    record = Attributes(reading, header, "device.")
    record.read(HEADER)
    record.joined_time(
        "detector_calibrated_at", t.DateOfLastDetectorCalibration, t.TimeOfLastDetectorCalibration
    )
    record.joined_time("last_calibrated_at", t.DateOfLastCalibration, t.TimeOfLastCalibration)
    return record.values


def read_devices(
    reading: Reading,
    header: DataSet,
    observers: Sequence[Device] = (),
    *,
    trust_observer_uid: bool = True,
    exam_uids: Iterable[str | None] = (),
) -> tuple[Device, tuple[Device, ...]]:
    """The irradiating device, and all others that the object names.

    Each value comes from the first of: device observer, irradiating participant, header.

    Parameters
    ----------
    observers
        Device observers of the report's root.
    trust_observer_uid
        False where a dialect says that the observer UID changes with each exam.
    exam_uids
        UIDs of study, series and object: a device UID that repeats one is none.
    """
    own = [d for d in observers if is_irradiating(d)][:1]
    own += [d for d in _distinct(reading.devices) if is_irradiating(d)][:1]
    others = [d for d in (*observers, *_distinct(reading.devices)) if d not in own]
    values: dict[str, Any] = {}
    for device in own:
        _fill(values, asdict(device))
    known = len(reading.provenance)
    from_header = read_header_device(reading, header)
    used = _fill(values, from_header)
    reading.provenance[known:] = [
        p for p in reading.provenance[known:] if p.name.removeprefix("device.") in used
    ]
    device = Device(**values)
    uid = device.device_observer_uid
    if uid and uid in set(exam_uids):
        reading.note("observer_uid_ignored", "device.device_observer_uid")
        trust_observer_uid = False
    key = device_key(device, trust_observer_uid=trust_observer_uid)
    return replace(device, device_key=key), tuple(
        replace(d, device_key=device_key(d)) for d in others if not _repeats(d, device)
    )


def _fill(values: dict[str, Any], more: dict[str, Any]) -> set[str]:
    """Add what is missing; returns the names that were added."""
    added = {n for n, v in more.items() if v not in (None, ()) and values.get(n) in (None, ())}
    values |= {n: more[n] for n in added}
    return added


def _distinct(devices: Iterable[Device]) -> list[Device]:
    """Each device once; every event of a report names the same participant."""
    return list(dict.fromkeys(devices))


def _repeats(other: Device, device: Device) -> bool:
    """True if a device says nothing that the irradiating device does not say."""
    if not is_irradiating(other):
        return False
    pairs = [(getattr(other, n), getattr(device, n)) for n in _SAYS_WHICH]
    return all(theirs is None or theirs == ours for theirs, ours in pairs)
