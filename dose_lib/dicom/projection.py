"""Projection X-ray events: TID 10003 to 10003C, with what makers add to them."""

from __future__ import annotations

import math
import re
from typing import Any

from dose_lib import codes as c
from dose_lib.dicom.events import read_comment, take_repeat
from dose_lib.dicom.fields import SIDES, Field
from dose_lib.dicom.nesting import leave
from dose_lib.dicom.observers import PEOPLE, read_device
from dose_lib.dicom.projection_fields import EVENT, FILTER, PULSES, STAND_INS
from dose_lib.dicom.reading import Reading
from dose_lib.dicom.record import Fields, Handlers
from dose_lib.dicom.reference_point import take_reference_point
from dose_lib.dicom.sr import Node
from dose_lib.dicom.text import read_numbers
from dose_lib.records import Code, Filter, MgMode, Pulse, XRayEvent, XRayEventType

_TOMO = re.compile(r"tomo|\bdbt\b|\b3d\b|combo", re.IGNORECASE)
_CONTRAST = re.compile(r"cesm|\bcem\b|contrast|cedm", re.IGNORECASE)
_WEDGES = {
    c.PHILIPS_WEDGE_1_DISTANCE.key: (0, "wedge_distance_mm", "mm"),
    c.PHILIPS_WEDGE_2_DISTANCE.key: (1, "wedge_distance_mm", "mm"),
    c.PHILIPS_WEDGE_1_ANGLE.key: (0, "wedge_angle_deg", "deg"),
    c.PHILIPS_WEDGE_2_ANGLE.key: (1, "wedge_angle_deg", "deg"),
}
# Siemens' XML comment: element -> name of the event, unit as the system shows it.
_XML = {"iiDiameter": "ii_diameter_mm", "FrameRate": "frame_rate_hz", "NumOfFrames": "n_frames"}


class Sent:
    """One number that was sent for a pulse, with where it stood."""

    __slots__ = ("factor", "node", "value")

    def __init__(self, value: float, node: Node, factor: float | None) -> None:
        self.value, self.node, self.factor = value, node, factor


class EventFields(Fields):
    """A projection event being read, with what is put together at its end."""

    __slots__ = ("filters", "pulses", "wedges")

    def __init__(self, reading: Reading, prefix: str) -> None:
        super().__init__(reading, prefix)
        self.filters: list[dict[str, Any]] = []
        self.pulses: dict[str, list[Sent]] = {}
        self.wedges: dict[int, dict[str, Any]] = {}


def _take_pulse(record: EventFields, node: Node) -> None:
    field = PULSES[node.key]
    found = record.numbers(node, field.unit)
    if found is not None:
        sent = record.pulses.setdefault(field.name, [])
        sent.extend(Sent(value, node, found[1]) for value in found[0])


def _take_filter(record: EventFields, node: Node) -> None:
    """One filter; of several materials in one container each makes a filter of its own."""
    below = Fields(record.reading, f"{record.prefix}filters[{len(record.filters)}].")
    below.read(node.children, FILTER, {})
    values = below.values
    low, high = values.get("thickness_min_mm"), values.get("thickness_max_mm")
    if low is not None and high is not None and low > high:
        values["thickness_min_mm"], values["thickness_max_mm"] = high, low
        record.reading.note("thickness_swapped", node.path, f"{low:g} > {high:g} mm")
    materials = values.pop("material", ()) or (None,)
    record.filters.extend({**values, "material": material} for material in materials)


def _take_wedge(record: EventFields, node: Node) -> None:
    number, name, unit = _WEDGES[node.key]
    found = record.number(node, unit)
    if found is not None:
        record.wedges.setdefault(number, {})[name] = found[0]
        record.reading.trace(
            f"{record.prefix}wedge {number + 1} {name}", node.path, node.value or "", unit=node.unit
        )


def _take_stand_in(record: EventFields, node: Node) -> None:
    """A private item: only where the standard's is missing; an equal one says nothing new."""
    field: Field = STAND_INS[node.key]
    found = record.number(node, field.unit)
    if found is None:
        return
    if field.name not in record.values:
        record.put(field.name, found[0], node, found[1])
        record.reading.rules["philips_private_items"] = None
    elif record.values[field.name] != found[0]:
        node.is_taken = False
        record.reading.keep_extra(node)


def _take_application(record: EventFields, node: Node) -> None:
    """The application, or its group where no application was sent."""
    above = node.parent
    is_group = node.key == c.PHILIPS_APPLICATION_GROUP.key
    if is_group and above is not None and above.first(c.PHILIPS_APPLICATION.key):
        record.reading.keep_extra(node)
        return
    text = record.text(node)
    if text is not None:
        record.put("application", text, node, recorded=text)


def _take_device(record: EventFields, node: Node) -> None:
    device = read_device(record.reading, node)
    record.reading.devices.append(device)
    if device.role is not None:
        record.values.setdefault("device_role", device.role)


def _take_comment(record: EventFields, node: Node) -> None:
    found = read_comment(record, node)
    if found is None:
        return
    for element, name in _XML.items():
        numbers = read_numbers(found.values.get(element, ""))[0]
        if numbers and name not in record.values:
            value = round(numbers[0]) if name == "n_frames" else numbers[0]
            path = f"{node.path}/{element}"
            record.values[name] = value
            record.reading.trace(
                record.prefix + name, path, found.values[element], rule="siemens_xml_comment"
            )


_HANDLERS: Handlers = {
    **PEOPLE,
    c.IRRADIATION_EVENT_XRAY_DATA.key: leave,
    c.IRRADIATION_EVENT_SUMMARY_DATA.key: leave,
    **dict.fromkeys(PULSES, _take_pulse),
    **dict.fromkeys(STAND_INS, _take_stand_in),
    **dict.fromkeys(_WEDGES, _take_wedge),
    c.XRAY_FILTERS.key: _take_filter,
    c.REFERENCE_POINT_DEFINITION.key: take_reference_point,
    c.PHILIPS_APPLICATION.key: _take_application,
    c.PHILIPS_APPLICATION_GROUP.key: _take_application,
    c.DEVICE_ROLE_IN_PROCEDURE.key: _take_device,
    c.COMMENT.key: _take_comment,
    c.IS_REPEATED_ACQUISITION.key: take_repeat,
}


def read_xray_event(
    reading: Reading, node: Node, position: int, *, is_mammography: bool = False
) -> XRayEvent:
    """One irradiation event (113706); `position` is its place among the part's events."""
    record = EventFields(reading, f"events[{position}].")
    record.read(node.children, EVENT, _HANDLERS)
    _finish_pulses(record)
    values = record.values
    filters = [*record.filters, *_wedge_filters(record)]
    values["filters"] = tuple(Filter(ordinal=n, **f) for n, f in enumerate(filters))
    if is_mammography:
        values["mg_mode"] = mammography_mode(values)
        _take_side_of_region(record)
    return XRayEvent(**values)


def _take_side_of_region(record: EventFields) -> None:
    """A region such as "left breast" says the side as well."""
    for name in ("anatomical_structure", "target_region"):
        code = record.values.get(name)
        side = SIDES.get(c.fold(code.value, code.scheme)) if code else None
        if side is None or "laterality" in record.values:
            continue
        record.values["laterality"] = side
        for one in [p for p in record.reading.provenance if p.name == record.prefix + name]:
            record.reading.trace(f"{record.prefix}laterality", one.path, one.recorded)


def _wedge_filters(record: EventFields) -> list[dict[str, Any]]:
    wedge = Code(*c.WEDGE_FILTER)
    return [{"filter_type": wedge, **values} for _, values in sorted(record.wedges.items())]


def _finish_pulses(record: EventFields) -> None:
    """One number is the event's; several are one per pulse, and the event has their mean.

    The mean is over pulses with beam on, since a leading 0 is sent (Eurocolumbus); of
    tube current-time products the event has the sum.
    """
    several = {name: sent for name, sent in record.pulses.items() if len(sent) > 1}
    for name, sent in record.pulses.items():
        if name not in several:
            record.put(name, sent[0].value, sent[0].node, sent[0].factor)
    if not several:
        return
    count = max(map(len, several.values()))
    pulses: list[dict[str, Any]] = [{"ordinal": n} for n in range(count)]
    for name, sent in several.items():
        for number, one in enumerate(sent):
            pulses[number][name] = one.value
            record.reading.trace(
                f"{record.prefix}pulses[{number}].{name}",
                one.node.path,
                one.node.value or "",
                unit=one.node.unit,
                factor=one.factor,
            )
        values = [one.value for one in sent]
        record.values[name] = pulse_summary(name, values)
        record.reading.trace(
            record.prefix + name,
            sent[0].node.path,
            f"of {len(sent)} pulses",
            unit=sent[0].node.unit,
        )
    record.values["pulses"] = tuple(Pulse(**pulse) for pulse in pulses)


def pulse_summary(name: str, values: list[float]) -> float | None:
    """What an event has of values that were sent per pulse: their sum, or mean above 0."""
    if name == "exposure_mas":
        return float(f"{math.fsum(values):.15g}")
    lit = [v for v in values if v > 0]
    return float(f"{math.fsum(lit) / len(lit):.15g}") if lit else None


def mammography_mode(values: dict[str, Any]) -> MgMode:
    """Technique of a mammography exposure, by protocol name, movement and event type."""
    protocol = values.get("acquisition_protocol") or ""
    if _CONTRAST.search(protocol):
        return MgMode.CEM
    moving = (XRayEventType.ROTATIONAL, XRayEventType.STEPPING)
    start, end = values.get("primary_angle_deg"), values.get("primary_end_angle_deg")
    turned = start is not None and end is not None and abs(start - end) > 1
    if values.get("event_type") in moving or turned or _TOMO.search(protocol):
        return MgMode.DBT
    return MgMode.TWO_D
