"""Enhanced X-ray dose reports (TID 10040 family): summed by source, events in time.

Read is what the standard's rows that we have seen say: accumulated doses (TID 10041),
event summaries (10042), radiation output (10048). The irradiation details (10043) stand in
time windows; each event keeps the windows it falls into, whole, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from dose_lib import codes as c
from dose_lib.dicom import tags as t
from dose_lib.dicom.events import identify_events, in_order_of_start, wall_clock
from dose_lib.dicom.nesting import nodes_of
from dose_lib.dicom.part import Content
from dose_lib.dicom.planes import LOOSE, read_planes
from dose_lib.dicom.projection import read_xray_event
from dose_lib.dicom.projection_report import (
    EVENT_MARKS,
    choose_modality,
    part_mg_mode,
    reported_procedure,
)
from dose_lib.dicom.projection_totals import complete_totals
from dose_lib.dicom.reading import Reading
from dose_lib.dicom.record import Fields
from dose_lib.dicom.report import read_root
from dose_lib.dicom.sheet import Sheet, stand_in_uid
from dose_lib.dicom.sr import Node
from dose_lib.dicom.text import read_datetime
from dose_lib.records import Modality, SourceKind, XRayEvent

_APART = (
    c.ACCUMULATED_DOSE_DATA.key,
    c.IRRADIATION_EVENT_SUMMARY_DATA.key,
    c.IRRADIATION_DETAILS.key,
    c.PATIENT_CHARACTERISTICS.key,
)


def read_enhanced_report(reading: Reading, sheet: Sheet) -> Content:
    """Enhanced X-ray radiation dose (TID 10040)."""
    root = sheet.root
    values = read_root(reading, root, _APART, LOOSE)
    reported = reported_procedure(root)
    summaries = nodes_of(reading, root, c.IRRADIATION_EVENT_SUMMARY_DATA.key, EVENT_MARKS)
    is_mammography = reported == c.MAMMOGRAPHY.key
    nodes = in_order_of_start(summaries)
    events = [
        read_xray_event(reading, node, place, is_mammography=is_mammography)
        for place, node in enumerate(nodes)
    ]
    events = identify_events(reading, events, stand_in_uid(sheet.head))
    events = _with_details(reading, events, root.containers(c.IRRADIATION_DETAILS.key))
    planes = read_planes(reading, root, c.ACCUMULATED_DOSE_DATA.key, events)
    modality = choose_modality(reading, sheet, reported, events)
    if modality is Modality.MG:
        values["mg_mode"] = part_mg_mode(events)
    return Content(
        modality=modality,
        kind=SourceKind.ENHANCED_RDSR,
        events=events,
        totals=complete_totals(reading, planes, events),
        values=values,
    )


def _with_details(
    reading: Reading, events: Sequence[XRayEvent], details: Sequence[Node]
) -> list[XRayEvent]:
    """Events with the irradiation details of their time, and the output air kerma if it is one."""
    windows = [(node, _window(node)) for node in details]
    found = []
    for place, event in enumerate(events):
        own = [node for node, window in windows if _overlap(window, event)]
        changes: dict[str, Any] = {}
        if own:
            tree = [as_json(node) for node in own]
            changes["irradiation_details"] = json.dumps(tree, ensure_ascii=False)
        kerma = _output(reading, own, place) if event.ka_output_mgy is None else None
        if kerma is not None:
            changes["ka_output_mgy"] = kerma
        found.append(replace(event, **changes) if changes else event)
    for node in (n for one in details for n in one.walk()):
        node.is_taken = True
    return found


def _window(node: Node) -> tuple[datetime | None, datetime | None]:
    start, end = node.first(c.DATETIME_STARTED.key), node.first(c.DATETIME_ENDED.key)
    first = read_datetime(start.value) if start else None
    last = read_datetime(end.value) if end else None
    return (
        wall_clock(first) if first else None,
        wall_clock(last) if last else None,
    )


def _overlap(window: tuple[datetime | None, datetime | None], event: XRayEvent) -> bool:
    """True if the event falls into the window; a side without a time is open."""
    start = wall_clock(event.started_at) if event.started_at else None
    end = wall_clock(event.ended_at) if event.ended_at else start
    first, last = window
    ends_before = end is not None and first is not None and end < first
    starts_after = start is not None and last is not None and start > last
    return not ends_before and not starts_after


def _output(reading: Reading, details: Sequence[Node], place: int) -> float | None:
    """Air kerma at the output measurement point where exactly one number was sent for it."""
    nodes = [
        n
        for one in details
        for n in one.walk()
        if n.key == c.AIR_KERMA_AT_OUTPUT_MEASUREMENT_POINT.key and n.value_type == "NUM"
    ]
    if len(nodes) != 1:
        return None
    record = Fields(reading, f"events[{place}].")
    found = record.number(nodes[0], "mGy")
    if found is None:
        return None
    record.put("ka_output_mgy", found[0], nodes[0], found[1])
    return found[0]


def as_json(node: Node) -> dict[str, Any]:
    """A content item and all below it, whole; tables as rows of cells."""
    name = node.name
    found: dict[str, Any] = {"code": name.value, "scheme": name.scheme, "meaning": name.meaning}
    if node.value is not None and node.value_type != "PNAME":
        found["value"] = node.value
    if node.unit:
        found["unit"] = node.unit
    if node.coded[0]:
        code = node.coded[1]
        found["coded"] = {"value": code.value, "scheme": code.scheme, "meaning": code.meaning}
    if node.references:
        found["references"] = list(node.references)
    if node.table is not None:
        found["table"] = _rows(node)
    if node.children:
        found["items"] = [as_json(child) for child in node.children]
    return found


def _rows(node: Node) -> list[dict[str, Any]]:
    """Cells of a TABLE item (PS3.3 C.18.10): row, column, and the value in whatever VR."""
    table = node.table
    cells = table.items(t.CellValuesSequence) if table else ()
    found = []
    for cell in cells:
        values = [
            cell.shown(tag)
            for tag in cell.spans
            if tag not in (t.TableRowNumber, t.TableColumnNumber)
        ]
        found.append(
            {
                "row": cell.integer(t.TableRowNumber),
                "column": cell.integer(t.TableColumnNumber),
                "value": next((v for v in values if v), None),
            }
        )
    return found
