"""Patient dose estimates made by others (TID 10030): kept apart, never summed with output.

TID 10030 and 10033 are read by the standard's rows; of 10031, 10032 and 10034 only codes
and names were available, so their items are found by concept wherever they stand.
"""

from __future__ import annotations

from typing import Any

from dose_lib import codes as c
from dose_lib.dicom import tags as t
from dose_lib.dicom.fields import Kind, Table, fields, numbers
from dose_lib.dicom.observers import read_observers
from dose_lib.dicom.part import Content
from dose_lib.dicom.reading import Reading
from dose_lib.dicom.record import Fields, Handlers
from dose_lib.dicom.report import read_root
from dose_lib.dicom.sheet import Sheet
from dose_lib.dicom.sr import Node
from dose_lib.dicom.text import read_numbers
from dose_lib.records import (
    Device,
    Estimate,
    EstimateParameter,
    EstimateStatistic,
    Modality,
    SourceKind,
    Totals,
)

_MEAN, _MAX, _MIN = EstimateStatistic.MEAN, EstimateStatistic.MAX, EstimateStatistic.MIN
_MODE, _MEDIAN = EstimateStatistic.MODE, EstimateStatistic.MEDIAN
# CID 10061 and 10062: concept -> statistic and the name of its value
VALUES = {
    c.MEAN_ABSORBED_RADIATION_DOSE.key: (_MEAN, "absorbed_dose_mgy", "mGy"),
    c.MAXIMUM_ABSORBED_RADIATION_DOSE.key: (_MAX, "absorbed_dose_mgy", "mGy"),
    c.MINIMUM_ABSORBED_RADIATION_DOSE.key: (_MIN, "absorbed_dose_mgy", "mGy"),
    c.MODE_ABSORBED_RADIATION_DOSE.key: (_MODE, "absorbed_dose_mgy", "mGy"),
    c.MEDIAN_ABSORBED_RADIATION_DOSE.key: (_MEDIAN, "absorbed_dose_mgy", "mGy"),
    c.MEAN_EQUIVALENT_RADIATION_DOSE.key: (_MEAN, "equivalent_dose_msv", "mSv"),
    c.MAXIMUM_EQUIVALENT_RADIATION_DOSE.key: (_MAX, "equivalent_dose_msv", "mSv"),
    c.MINIMUM_EQUIVALENT_RADIATION_DOSE.key: (_MIN, "equivalent_dose_msv", "mSv"),
    c.MODE_EQUIVALENT_RADIATION_DOSE.key: (_MODE, "equivalent_dose_msv", "mSv"),
    c.MEDIAN_EQUIVALENT_RADIATION_DOSE.key: (_MEDIAN, "equivalent_dose_msv", "mSv"),
}
SHARED: Table = {
    **fields(
        Kind.TEXT,
        name=c.RADIATION_DOSE_ESTIMATE_NAME,
        patient_model_reference=c.PATIENT_RADIATION_DOSE_MODEL_REFERENCE,
        patient_model_registration=c.PATIENT_MODEL_REGISTRATION,
        attenuator_model=c.XRAY_BEAM_ATTENUATOR_MODEL,
        method_reference=c.RADIATION_DOSE_ESTIMATE_METHOD_REFERENCE,
        comment=c.COMMENT,
    ),
    **fields(
        Kind.CODE,
        organ=c.FINDING_SITE,
        representation=c.DISTRIBUTION_REPRESENTATION,
        patient_model_type=c.PATIENT_MODEL_TYPE,
        patient_model_sex=c.MODEL_PATIENT_SEX,
        transport_model_type=c.RADIATION_TRANSPORT_MODEL_TYPE,
        method_type=c.RADIATION_DOSE_ESTIMATE_METHOD_TYPE,
    ),
    **fields(
        Kind.UIDS,
        representation_uids=c.RADIATION_DOSE_REPRESENTATION_DATA,
        source_sr_uids=c.SR_INSTANCE_USED,
        source_event_uids=c.EVENT_UID_USED,
        fiducials_uids=c.SPATIAL_FIDUCIALS,
        patient_model_data_uids=c.PATIENT_RADIATION_DOSE_MODEL_DATA,
    ),
    **numbers(
        "a",
        patient_model_min_age_y=c.MODEL_MINIMUM_AGE,
        patient_model_max_age_y=c.MODEL_MAXIMUM_AGE,
    ),
    **numbers(
        "kg",
        patient_model_min_weight_kg=c.MODEL_MINIMUM_WEIGHT,
        patient_model_max_weight_kg=c.MODEL_MAXIMUM_WEIGHT,
    ),
    **numbers(
        "cm",
        patient_model_min_height_cm=c.MODEL_MINIMUM_HEIGHT,
        patient_model_max_height_cm=c.MODEL_MAXIMUM_HEIGHT,
    ),
}
_TYPES = {c.ABSORBED_DOSE.key, c.EQUIVALENT_DOSE.key}
_MODALITIES = ("CT", "XA", "RF", "MG", "DX", "PX", "IO")


class EstimateFields(Fields):
    """One estimate container being read: what its values share, and the values."""

    __slots__ = ("found", "parameters")

    def __init__(self, reading: Reading, prefix: str) -> None:
        super().__init__(reading, prefix)
        self.found: list[dict[str, Any]] = []
        self.parameters: list[EstimateParameter] = []


def _take_value(record: EstimateFields, node: Node) -> None:
    statistic, name, unit = VALUES[node.key]
    found = record.number(node, unit)
    if found is None:
        return
    record.reading.trace(
        f"{record.prefix}{name}", node.path, node.value or "", unit=node.unit, factor=found[1]
    )
    own: dict[str, Any] = {"statistic": statistic, name: found[0]}
    organs = [n.coded[1] for n in node.children if n.key == c.FINDING_SITE.key and n.coded[0]]
    if organs:
        own["organ"] = organs[0]
    for child in node.children:
        child.is_taken = bool(organs)
    record.found.append(own)


def _take_parameters(record: EstimateFields, node: Node) -> None:
    """Parameters of the estimate, whatever their concepts: type, value, unit as sent."""
    for item in node.walk():
        item.is_taken = True
        if item.value_type != "NUM" or not item.value:
            continue
        above = item.parent if item is not node else None
        kind = item.first(c.RADIATION_DOSE_ESTIMATE_PARAMETER_TYPE.key) or (
            above.first(c.RADIATION_DOSE_ESTIMATE_PARAMETER_TYPE.key) if above else None
        )
        values = read_numbers(item.value)[0]
        record.parameters.append(
            EstimateParameter(
                parameter_type=kind.coded[1] if kind else item.name,
                value=values[0] if values else None,
                unit=item.unit,
            )
        )


_HANDLERS: Handlers = {
    **dict.fromkeys(VALUES, _take_value),
    c.RADIATION_DOSE_ESTIMATE_PARAMETERS.key: _take_parameters,
    c.RADIATION_DOSE_COMPOSITE_PARAMETERS.key: _take_parameters,
}


def _take_types(record: EstimateFields, node: Node) -> None:
    """Absorbed or equivalent: told by the value, since its concept's row was not available."""
    for item in node.walk():
        if item.value_type == "CODE" and item.coded[0] in _TYPES:
            item.is_taken = True
            record.values.setdefault("dose_type", item.coded[1])


def read_estimates(
    reading: Reading, node: Node, first: int, author: Device | None
) -> list[Estimate]:
    """Estimates of one container (128402), one for each value it states."""
    record = EstimateFields(reading, f"estimates[{first}].")
    _take_types(record, node)
    record.read(node.children, SHARED, _HANDLERS)
    shared = {**record.values, "parameters": tuple(record.parameters), "author_device": author}
    return [Estimate(**{**shared, **own}) for own in record.found or [{}]]


def read_estimate_report(reading: Reading, sheet: Sheet) -> Content:
    """Patient radiation dose (TID 10030): estimates, no output of a device."""
    root = sheet.root
    values = read_root(reading, root, (c.RADIATION_DOSE_ESTIMATE.key,))
    authors = read_observers(reading, root)
    author = authors[0] if authors else None
    found: list[Estimate] = []
    for node in root.containers(c.RADIATION_DOSE_ESTIMATE.key):
        found += read_estimates(reading, node, len(found), author)
    values["estimates"] = tuple(found)
    others = set(sheet.header.texts(t.ModalitiesInStudy))
    modality = next((m for m in _MODALITIES if m in others), None)
    if modality is None:
        reading.note("modality_assumed", None, "XA")
    return Content(
        modality=Modality(modality or "XA"),
        kind=SourceKind.P_RDSR,
        totals=Totals(),
        values=values,
    )
