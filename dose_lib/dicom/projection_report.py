"""Projection X-ray dose reports (TID 10001): fluoroscopy, radiography, mammography."""

from __future__ import annotations

from collections.abc import Sequence

from dose_lib import codes as c
from dose_lib.dicom import tags as t
from dose_lib.dicom.dialects import modality_of
from dose_lib.dicom.events import identify_events, in_order_of_start
from dose_lib.dicom.nesting import nodes_of
from dose_lib.dicom.part import Content
from dose_lib.dicom.planes import LOOSE, read_planes
from dose_lib.dicom.projection import read_xray_event
from dose_lib.dicom.projection_totals import complete_totals
from dose_lib.dicom.reading import Reading
from dose_lib.dicom.report import read_root
from dose_lib.dicom.sheet import Sheet, kind_of, stand_in_uid
from dose_lib.dicom.sr import Node
from dose_lib.records import MgMode, Modality, Plane, XRayEvent, XRayEventType

APART = (
    c.ACCUMULATED_XRAY_DOSE_DATA.key,
    c.IRRADIATION_EVENT_XRAY_DATA.key,
    c.PATIENT_CHARACTERISTICS.key,
)
# What makes an event of a container that holds others: a UID of its own.
EVENT_MARKS = (c.IRRADIATION_EVENT_UID.key,)
_MOVING = (XRayEventType.FLUOROSCOPY, XRayEventType.STEPPING, XRayEventType.ROTATIONAL)
_BY_PROCEDURE = {
    c.MAMMOGRAPHY.key: Modality.MG,
    c.CONE_BEAM_COMPUTED_TOMOGRAPHY.key: Modality.CBCT,
    c.PLAIN_RADIOGRAPHY.key: Modality.DX,
    c.FLUOROSCOPY.key: Modality.RF,
    c.FLUOROSCOPY_AND_RADIOGRAPHY.key: Modality.RF,
}


def read_projection_report(reading: Reading, sheet: Sheet) -> Content:
    """Projection X-ray radiation dose (TID 10001)."""
    root = sheet.root
    values = read_root(reading, root, APART, LOOSE)
    reported = reported_procedure(root)
    is_mammography = reported == c.MAMMOGRAPHY.key
    nodes = nodes_of(reading, root, c.IRRADIATION_EVENT_XRAY_DATA.key, EVENT_MARKS)
    events = [
        read_xray_event(reading, node, place, is_mammography=is_mammography)
        for place, node in enumerate(in_order_of_start(nodes))
    ]
    events = identify_events(reading, events, stand_in_uid(sheet.head))
    planes = read_planes(reading, root, c.ACCUMULATED_XRAY_DOSE_DATA.key, events)
    modality = choose_modality(reading, sheet, reported, events)
    if modality is Modality.MG:
        values["mg_mode"] = part_mg_mode(events)
    return Content(
        modality=modality,
        kind=kind_of(sheet.head),
        events=events,
        totals=complete_totals(reading, planes, events),
        values=values,
    )


def reported_procedure(root: Node) -> str:
    """Key of the procedure reported, at the root or, where a maker wraps it, further down."""
    at_root = root.first(c.PROCEDURE_REPORTED.key)
    found = [at_root] if at_root else root.containers(c.PROCEDURE_REPORTED.key)
    return found[0].coded[0] if found else ""


def _accumulated(root: Node) -> list[Node]:
    return root.containers(c.ACCUMULATED_XRAY_DOSE_DATA.key)


def choose_modality(
    reading: Reading, sheet: Sheet, reported: str, events: Sequence[XRayEvent]
) -> Modality:
    """Modality class: a rule for the device, else the content, else 122142 (DESIGN §4).

    One report with fluoroscopy and radiography is RF. Angiographic rooms are told by the
    other modalities of the study, by two planes, or by a rule for the model.
    """
    rule = modality_of(sheet.maker)
    if rule is not None and rule.modality is not None:
        reading.rules[rule.id] = None
        return rule.modality
    others = set(sheet.header.texts(t.ModalitiesInStudy))
    if reported == c.DENTAL_RADIOGRAPHY.key:
        return Modality.IO if "IO" in others else Modality.PX
    if found := _BY_PROCEDURE.get(reported):
        return found
    is_biplane = bool({e.plane for e in events} & {Plane.A, Plane.B})
    if _is_fluoroscopic(sheet, events):
        return Modality.XA if "XA" in others or is_biplane else Modality.RF
    return Modality.DX


def _is_fluoroscopic(sheet: Sheet, events: Sequence[XRayEvent]) -> bool:
    """True if the beam moved or guided: by the events, the totals, then 122142.

    122142 is last because some angiography rooms call themselves radiographic (Azurion).
    """
    if any(e.event_type in _MOVING for e in events) or _has_fluoro_totals(sheet.root):
        return True
    device_types = sheet.root.containers(c.ACQUISITION_DEVICE_TYPE.key)
    return any(d.coded[0] == c.FLUOROSCOPY_GUIDED_SYSTEM.key for d in device_types)


def _has_fluoro_totals(root: Node) -> bool:
    keys = (c.FLUORO_DOSE_AREA_PRODUCT_TOTAL.key, c.TOTAL_FLUORO_TIME.key)
    return any(
        node.first(key) is not None and (node.first(key).value or "0").strip("0. ") != ""  # type: ignore[union-attr]
        for node in _accumulated(root)
        for key in keys
    )


def part_mg_mode(events: Sequence[XRayEvent]) -> MgMode | None:
    """Technique of a mammography part; combo is 2D and tomosynthesis of one breast."""
    by_side: dict[object, set[MgMode]] = {}
    for event in events:
        if event.mg_mode is not None:
            by_side.setdefault(event.laterality, set()).add(event.mg_mode)
    modes = set().union(*by_side.values()) if by_side else set()
    if MgMode.CEM in modes:
        return MgMode.CEM
    if MgMode.COMBO in modes or any({MgMode.TWO_D, MgMode.DBT} <= m for m in by_side.values()):
        return MgMode.COMBO
    if MgMode.DBT in modes:
        return MgMode.DBT
    return MgMode.TWO_D if modes else None
