"""What the root of every dose report says: procedure, scope, source of dose, language."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dose_lib import codes as c
from dose_lib.dicom import tags as t
from dose_lib.dicom.elements import DataSet
from dose_lib.dicom.events import read_comment
from dose_lib.dicom.fields import YES_NO, Kind, Table, choice, fields
from dose_lib.dicom.nesting import leave
from dose_lib.dicom.observers import OBSERVER_DEVICE, read_person, take_device
from dose_lib.dicom.reading import Reading
from dose_lib.dicom.record import Fields, Handlers
from dose_lib.dicom.sr import Node
from dose_lib.records import Code

ROOT: Table = {
    **fields(
        Kind.CODE,
        procedure_reported=c.PROCEDURE_REPORTED,
        nm_procedure=c.ASSOCIATED_PROCEDURE,
        intent=c.HAS_INTENT,
        acquisition_device_type=c.ACQUISITION_DEVICE_TYPE,
        language=c.LANGUAGE,
    ),
    **fields(Kind.TIME, started_at=c.START_OF_XRAY_IRRADIATION, ended_at=c.END_OF_XRAY_IRRADIATION),
    **fields(Kind.CODES, source_of_dose=c.SOURCE_OF_DOSE_INFORMATION),
    **choice("has_detector_data", c.XRAY_DETECTOR_DATA_AVAILABLE, YES_NO),
    **choice("has_source_data", c.XRAY_SOURCE_DATA_AVAILABLE, YES_NO),
    **choice("has_mechanical_data", c.XRAY_MECHANICAL_DATA_AVAILABLE, YES_NO),
}
TOTALS = (
    c.CT_ACCUMULATED_DOSE_DATA.key,
    c.ACCUMULATED_XRAY_DOSE_DATA.key,
    c.ACCUMULATED_DOSE_DATA.key,
)
_SCOPE_UIDS = {
    c.STUDY_INSTANCE_UID.key,
    c.PERFORMED_STEP_UID.key,
    c.SERIES_INSTANCE_UID.key,
    c.IRRADIATION_EVENT_UID.key,
}


def _take_scope(record: Fields, node: Node) -> None:
    """What totals accumulate over, and the UID of it, which some forget (Canon Alphenix)."""
    code = record.code(node)
    if code is not None:
        record.put("scope_of_accumulation", code, node, recorded=str(code.meaning))
    for child in node.children:
        if child.key in _SCOPE_UIDS and child.value:
            record.put("scope_uid", child.value, child)
            if child.key == c.PERFORMED_STEP_UID.key:
                record.values["performed_step_uids"] = (child.value,)
        else:
            record.reading.keep_extra(child)
    if "scope_uid" not in record.values:
        record.reading.note("scope_uid_missing", node.path)


def _take_person(record: Fields, node: Node) -> None:
    read_person(record.reading, node)


def _take_comment(record: Fields, node: Node) -> None:
    """The report's comment; Siemens' XML says how the patient lay."""
    found = read_comment(record, node)
    position = found.values.get("Position") if found else None
    if position and "_position" not in record.values:
        record.values["_position"] = Code(meaning=position)
        path = f"{node.path}/Position"
        record.reading.trace("patient.position", path, position, rule="siemens_xml_comment")


def _take_dose_image(record: Fields, node: Node) -> None:
    node.is_taken = True
    old = record.values.get("_dose_images", ())
    record.values["_dose_images"] = (*old, *node.references)


_HANDLERS: Handlers = {
    c.SCOPE_OF_ACCUMULATION.key: _take_scope,
    c.PERSON_NAME.key: _take_person,
    c.DEVICE_ROLE_IN_PROCEDURE.key: take_device,
    c.COMMENT.key: _take_comment,
    c.DOSE_IMAGE.key: _take_dose_image,
}


def read_root(
    reading: Reading, root: Node, apart: Collection[str], loose: Collection[str] = ()
) -> dict[str, Any]:
    """Values of the report's root, by name of `Part`.

    Parameters
    ----------
    apart
        Keys of the containers that other readers take: events, accumulated doses.
    loose
        Keys of totals, which other readers take where the report has no container for them.
    """
    record = Fields(reading)
    skipped = set(OBSERVER_DEVICE) - {c.DEVICE_ROLE_IN_PROCEDURE.key}
    # Some makers put containers of their own around what other readers take.
    handlers = {**_HANDLERS, **dict.fromkeys(apart, leave)}
    if not any(root.containers(key) for key in TOTALS if key in apart):
        handlers |= dict.fromkeys(loose, leave)
    for node in root.children:
        if node.key in skipped or node.is_taken:
            continue
        record.read((node,), ROOT, handlers)
    return record.values


def template_of(header: DataSet) -> str | None:
    """Root template identifier, if the report names one of DICOM's."""
    for item in header.items(t.ContentTemplateSequence):
        if identifier := item.text(t.TemplateIdentifier):
            return identifier
    return None
