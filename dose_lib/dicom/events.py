"""What the events of CT and projection reports have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from msgspec.structs import replace

from dose_lib import codes as c
from dose_lib.dicom.comments import UnsafeXmlError, XmlComment, parse_xml_comment
from dose_lib.dicom.fields import REPEATS
from dose_lib.dicom.reading import Reading
from dose_lib.dicom.record import Fields
from dose_lib.dicom.sr import Node
from dose_lib.dicom.text import read_datetime
from dose_lib.records import CtEvent, Staff, XRayEvent

Event = TypeVar("Event", CtEvent, XRayEvent)


def take_comment(record: Fields, node: Node) -> None:
    """Handler: a comment without identifiers."""
    read_comment(record, node)


def read_comment(record: Fields, node: Node) -> XmlComment | None:
    """Add to `comment` from a comment item; returns the data of an XML comment."""
    text = record.text(node)
    if text is None:
        return None
    try:
        found = parse_xml_comment(text)
    except UnsafeXmlError:
        record.reading.note("unsafe_xml", node.path)
        return None
    except ValueError:
        record.reading.note("unreadable_comment", node.path)
        found = None
    if found is None:
        _add_comment(record, node, text)
        return None
    record.reading.rules["siemens_xml_comment"] = None
    for name in found.people:
        record.reading.add_staff(Staff(staff_name=name, staff_where=node.path))
    _add_comment(record, node, found.text)
    return found


def _add_comment(record: Fields, node: Node, text: str) -> None:
    old = record.values.get("comment")
    if text:
        record.values["comment"] = f"{old}\n{text}" if old and old != text else text
        record.reading.trace(f"{record.prefix}comment", node.path, text)


def take_repeat(record: Fields, node: Node) -> None:
    """Handler: repeated acquisition; the event UID below it is that of the first try."""
    record.take(node, REPEATS[node.key])
    for child in node.children:
        if child.key == c.IRRADIATION_EVENT_UID.key and child.value:
            record.put("repeat_of_event_uid", child.value, child)
        else:
            record.read((child,), REPEATS, {})


def in_order_of_start(nodes: Sequence[Node]) -> list[Node]:
    """Event containers in order of start, as they stand where a start is missing."""
    starts = [_start_of(node) for node in nodes]
    known = [at for at in starts if at is not None]
    if len(known) < len(nodes):
        return list(nodes)
    places = sorted(range(len(nodes)), key=lambda n: (known[n], n))
    return [nodes[n] for n in places]


def _start_of(node: Node) -> datetime | None:
    # Start and UID stand directly in the event or, rarely, one container below.
    item = node.first(c.DATETIME_STARTED.key)
    at = read_datetime(item.value) if item else None
    return at.replace(tzinfo=None) if at else None


def identify_events(reading: Reading, events: Sequence[Event], stand_in: str) -> list[Event]:
    """Events with a UID and an ordinal each.

    Parameters
    ----------
    stand_in
        What stands in for a missing event UID, such as the object's SOP instance UID.
    """
    seen: Counter[tuple[str, object, object]] = Counter()
    uids: Counter[str] = Counter()
    found: list[Event] = []
    for position, event in enumerate(events):
        uid = event.event_uid
        if uid is None:
            uid = stand_in if len(events) == 1 else f"{stand_in}#{position + 1}"
            reading.note("event_uid_missing", f"events[{position}]")
        place = (uid, getattr(event, "plane", None), getattr(event, "source_id", None))
        uids[uid] += 1
        found.append(replace(event, event_uid=uid, ordinal=seen[place]))
        seen[place] += 1
    for uid, times in uids.items():
        if times > 1:
            reading.note("event_uid_repeated", None, f"{times} events with {uid}")
    return found


def wall_clock(at: datetime) -> datetime:
    """A time without its zone, for ordering what one device recorded."""
    return at.replace(tzinfo=None)


def protocol_names(events: Sequence[CtEvent | XRayEvent]) -> tuple[str, ...]:
    """Distinct protocol names in order of first use."""
    return tuple(dict.fromkeys(e.acquisition_protocol for e in events if e.acquisition_protocol))
