"""Which readings of a study are of one exam part.

A report names its device by an observer UID, an image by maker, model and serial number:
the keys differ though the device is one. So readings are joined by what they share.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Sequence

from dose_lib.codes import fold
from dose_lib.dicom.report_set import is_stand_in
from dose_lib.keys import normalise_id
from dose_lib.records import Administration, Device, Modality, Part, SourceKind

# Modality classes that one room writes for one exam: a report of an angiography says RF,
# its images XA. A dual room's DX and RF reports stay two parts (DESIGN §4).
_FAMILY = {
    Modality.RF: "fluoroscopy",
    Modality.XA: "fluoroscopy",
    Modality.NM: "nuclear",
    Modality.PT: "nuclear",
    Modality.PX: "dental",
    Modality.IO: "dental",
}


def join_readings(parts: Sequence[Part]) -> list[list[Part]]:
    """Readings of one study, grouped into exam parts."""
    measured = [p for p in parts if p.sources[0].kind is not SourceKind.P_RDSR]
    groups = _connected(measured)
    for part in parts:
        if part.sources[0].kind is SourceKind.P_RDSR:
            _attach_estimate(groups, part)
    return groups


def _connected(parts: Sequence[Part]) -> list[list[Part]]:
    """Readings that share a mark, directly or through others."""
    above = list(range(len(parts)))

    def top(n: int) -> int:
        while above[n] != n:
            above[n] = above[above[n]]
            n = above[n]
        return n

    owner: dict[Hashable, int] = {}
    for n, part in enumerate(parts):
        for mark in _marks(part):
            if mark in owner:
                first, second = sorted((top(owner[mark]), top(n)))
                above[second] = first
            else:
                owner[mark] = n
    groups: dict[int, list[Part]] = {}
    for n, part in enumerate(parts):
        groups.setdefault(top(n), []).append(part)
    return list(groups.values())


def _attach_estimate(groups: list[list[Part]], part: Part) -> None:
    """An estimate belongs to the part of its reports; one over several parts stands alone."""
    used = {uid for estimate in part.estimates for uid in estimate.source_sr_uids}
    of = [g for g in groups if used & {p.sources[0].sop_instance_uid for p in g}]
    same = [g for g in groups if any(p.part_key == part.part_key for p in g)]
    if len(of) == 1:
        of[0].append(part)
    elif same and not of:
        same[0].append(part)
    else:
        groups.append([part])


def _marks(part: Part) -> Iterator[Hashable]:
    """What a reading is recognised by; two readings that share a mark are joined."""
    source = part.sources[0]
    family = _FAMILY.get(part.modality, part.modality.value)
    # CT, projection and activity have no fields in common: never of one part, though one
    # report may state them all.
    kind = "CT" if part.modality is Modality.CT else "nuclear" if family == "nuclear" else "X-ray"
    yield "part", part.part_key
    for event in part.events:
        if not is_stand_in(event.event_uid, source):
            yield kind, "event", event.event_uid
        for uid in getattr(event, "acquired_image_uids", ()):
            yield kind, "object", uid
    if source.sop_instance_uid:
        yield kind, "object", source.sop_instance_uid
    # One step may be of two parts, such as the CT and the PET of one exam.
    for uid in part.performed_step_uids:
        yield family, "step", uid
    for device in _device_marks(part.device):
        yield family, *device
    for given in part.administrations:
        yield from _agent_marks(given)


def _device_marks(device: Device) -> Iterator[tuple[str, ...]]:
    if device.device_observer_uid:
        yield "observer", device.device_observer_uid
    if device.device_uid:
        yield "device", device.device_uid
    maker = _words(device.manufacturer, device.model)
    if device.serial_number:
        yield "serial", *maker, normalise_id(device.serial_number)
    if device.station_name:
        yield "station", *maker, normalise_id(device.station_name)


def _words(*texts: str | None) -> Iterable[str]:
    return tuple(normalise_id(text) for text in texts)


def _agent_marks(given: Administration) -> Iterator[Hashable]:
    """A hot lab's report and the camera's images name different devices: joined by agent.

    Activities within 1 % share at least one of two overlapping steps of 2 %.
    """
    if given.administration_uid:
        yield "administration", given.administration_uid
    nuclide = given.radionuclide or given.radiopharmaceutical
    activity = given.administered_activity_mbq
    if nuclide is None or activity is None or activity <= 0:
        return
    step = math.log(activity) / 0.02
    name = fold(nuclide.value, nuclide.scheme) or nuclide.meaning
    for offset in (0.0, 0.5):
        yield "agent", name, offset, math.floor(step + offset)
