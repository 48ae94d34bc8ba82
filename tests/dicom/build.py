"""Builds dose objects item by item, for what no device of ours would send.

The simulator writes whole reports in makers' dialects; here single content items can be
wrong in any way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from io import BytesIO
from typing import Any, TypeVar

from pydicom import config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, ExplicitVRLittleEndian

from dose_lib import codes as c
from dose_lib.codes.concept import Concept

RDSR = "1.2.840.10008.5.1.4.1.1.88.67"
RRDSR = "1.2.840.10008.5.1.4.1.1.88.68"
P_RDSR = "1.2.840.10008.5.1.4.1.1.88.73"
ENHANCED_RDSR = "1.2.840.10008.5.1.4.1.1.88.76"
ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
DX_IMAGE = "1.2.840.10008.5.1.4.1.1.1.1"
MG_IMAGE = "1.2.840.10008.5.1.4.1.1.1.2"
XA_IMAGE = "1.2.840.10008.5.1.4.1.1.12.1"
PET_IMAGE = "1.2.840.10008.5.1.4.1.1.128"
NM_IMAGE = "1.2.840.10008.5.1.4.1.1.20"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
MPPS = "1.2.840.10008.3.1.2.3.3"

Code = Concept | tuple[str, str, str]
EMPTY: Any = object()
Made = TypeVar("Made")


def unchecked(make: Callable[..., Made]) -> Callable[..., Made]:
    """pydicom neither warns nor raises at values that the standard forbids."""

    @wraps(make)
    def quiet(*args: Any, **values: Any) -> Made:
        with config.disable_value_validation():
            return make(*args, **values)

    return quiet


@unchecked
def code_item(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code[:3]
    return item


def put(made: Dataset, name: str, value: Any) -> None:
    """Set an element, also to a text that its VR does not allow."""
    try:
        setattr(made, name, value)
    except ValueError:
        tag = tag_for_keyword(name)
        assert tag is not None
        made.add(DataElement(tag, dictionary_VR(tag), value, already_converted=True))


def _item(vt: str, name: Code, rel: str, below: Sequence[Dataset]) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = rel, vt
    item.ConceptNameCodeSequence = Items([code_item(name)])
    if below:
        item.ContentSequence = Items(below)
    return item


def container(name: Code, *below: Dataset, rel: str = "CONTAINS") -> Dataset:
    return _item("CONTAINER", name, rel, below)


@unchecked
def num(
    name: Code,
    value: Any,
    unit: str | None,
    *below: Dataset,
    scheme: str = "UCUM",
    rel: str = "CONTAINS",
    qualifier: Code | None = None,
) -> Dataset:
    """A NUM item; `value` EMPTY leaves the measured value out, "" sends an empty number."""
    item = _item("NUM", name, rel, below)
    measured = Dataset()
    if value is not EMPTY:
        if unit is not None:
            measured.MeasurementUnitsCodeSequence = Items([code_item((unit, scheme, unit))])
        put(measured, "NumericValue", value)
        item.MeasuredValueSequence = Items([measured])
    else:
        item.MeasuredValueSequence = Items([])
    if qualifier is not None:
        item.NumericValueQualifierCodeSequence = Items([code_item(qualifier)])
    return item


def coded(name: Code, value: Code | None, *below: Dataset, rel: str = "CONTAINS") -> Dataset:
    item = _item("CODE", name, rel, below)
    item.ConceptCodeSequence = Items([code_item(value)] if value else [])
    return item


def text(
    name: Code, value: str, *below: Dataset, rel: str = "CONTAINS", vt: str = "TEXT"
) -> Dataset:
    item = _item(vt, name, rel, below)
    item.TextValue = value
    return item


def uidref(name: Code, value: str, *below: Dataset, rel: str = "CONTAINS") -> Dataset:
    item = _item("UIDREF", name, rel, below)
    item.UID = value
    return item


def datetime(name: Code, value: str, rel: str = "CONTAINS") -> Dataset:
    item = _item("DATETIME", name, rel, ())
    item.DateTime = value
    return item


def person(name: Code, value: str, *below: Dataset, vt: str = "PNAME") -> Dataset:
    item = _item(vt, name, "CONTAINS", below)
    item.PersonName = value
    return item


def image(name: Code, *uids: str, vt: str = "IMAGE") -> Dataset:
    item = _item(vt, name, "CONTAINS", ())
    refs = []
    for uid in uids:
        ref = Dataset()
        ref.ReferencedSOPClassUID, ref.ReferencedSOPInstanceUID = DX_IMAGE, uid
        refs.append(ref)
    item.ReferencedSOPSequence = Items(refs)
    return item


@unchecked
def header(sop_class: str, **attributes: Any) -> Dataset:
    """A header with what every object has; an attribute set to None is left out."""
    made = Dataset()
    base = {
        "SOPClassUID": sop_class,
        "SOPInstanceUID": "1.2.3.1",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.0",
        "Modality": "SR",
        "Manufacturer": "Maker",
        "ManufacturerModelName": "Model",
        "DeviceSerialNumber": "SN1",
        "StationName": "STATION",
        "StudyDate": "20240131",
        "StudyTime": "093000",
        "ContentDate": "20240131",
        "ContentTime": "100000",
        "PatientID": "PID-4711",
        "PatientName": "Example^Ada",
        "PatientBirthDate": "19700131",
        "PatientSex": "F",
    }
    for name, value in (base | attributes).items():
        if value is not None:
            put(made, name, value)
    return made


@unchecked
def encode(data_set: Dataset, *, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The data set as a DICOM file, with whatever illegal values it holds."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = data_set.get("SOPClassUID", RDSR)
    meta.MediaStorageSOPInstanceUID = data_set.get("SOPInstanceUID", "1.2.3.1")
    meta.TransferSyntaxUID = UID(syntax)
    data_set.file_meta = meta
    out = BytesIO()
    data_set.save_as(out, enforce_file_format=True)
    return out.getvalue()


def encode_item(made: Dataset) -> bytes:
    """The elements of one item in explicit VR little endian, without any header."""
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    write_dataset(out, made)
    return bytes(out.getvalue())


def report(
    *items: Dataset,
    root: Code | None = c.XRAY_RADIATION_DOSE_REPORT,
    template: str | None = "10001",
    sop_class: str = RDSR,
    syntax: str = ExplicitVRLittleEndian,
    **attributes: Any,
) -> bytes:
    """A structured report of these content items."""
    made = header(sop_class, **attributes)
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    if root is not None:
        made.ConceptNameCodeSequence = Items([code_item(root)])
    if template is not None:
        made.ContentTemplateSequence = Items([Dataset()])
        made.ContentTemplateSequence[0].MappingResource = "DCMR"
        made.ContentTemplateSequence[0].TemplateIdentifier = template
    made.CompletionFlag = "COMPLETE"
    made.ContentSequence = Items(items)
    return encode(made, syntax=syntax)


def procedure(value: Code, *below: Dataset) -> Dataset:
    return coded(c.PROCEDURE_REPORTED, value, *below, rel="HAS CONCEPT MOD")


def ct_event(*items: Dataset, uid: str | None = "1.2.3.9.1", spiral: bool = True) -> Dataset:
    """A CT acquisition with a UID and a type, and whatever else is given."""
    kind = c.SPIRAL_ACQUISITION if spiral else c.CONSTANT_ANGLE_ACQUISITION
    base = [coded(c.CT_ACQUISITION_TYPE, kind)]
    if uid:
        base.append(uidref(c.IRRADIATION_EVENT_UID, uid))
    return container(c.CT_ACQUISITION, *base, *items)


def ct_report(*items: Dataset, **attributes: Any) -> bytes:
    found = (procedure(c.COMPUTED_TOMOGRAPHY), *items)
    return report(*found, template=attributes.pop("template", "10011"), **attributes)


def xray_event(*items: Dataset, uid: str | None = "1.2.3.9.1") -> Dataset:
    """A projection event of one plane, and whatever else is given."""
    base = [coded(c.ACQUISITION_PLANE, c.SINGLE_PLANE, rel="HAS CONCEPT MOD")]
    if uid:
        base.append(uidref(c.IRRADIATION_EVENT_UID, uid))
    return container(c.IRRADIATION_EVENT_XRAY_DATA, *base, *items)


def plane(*items: Dataset, value: Code = c.SINGLE_PLANE) -> Dataset:
    which = coded(c.ACQUISITION_PLANE, value, rel="HAS CONCEPT MOD")
    return container(c.ACCUMULATED_XRAY_DOSE_DATA, which, *items)


def xray_report(*items: Dataset, kind: Code = c.PROJECTION_XRAY, **attributes: Any) -> bytes:
    return report(procedure(kind), *items, **attributes)


def sequence(*items: Dataset) -> Items:
    return Items(items)


@unchecked
def item(**attributes: Any) -> Dataset:
    made = Dataset()
    for name, value in attributes.items():
        put(made, name, value)
    return made
