"""What an object is: header facts, which reader it needs, or why it carries no dose.

Dose reports are recognised in the order of the reference (dicom_dose §1.1): SOP class,
root concept, template, content. Nothing rests on descriptions or series numbers.
"""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

from dose_lib import codes as c
from dose_lib.dicom import tags as t
from dose_lib.dicom.elements import DataSet
from dose_lib.dicom.encoding import Opened, open_bytes
from dose_lib.dicom.sr import Node
from dose_lib.errors import NoDoseError, ReadError

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_SR = _STORAGE + "88."


class Reader(StrEnum):
    """Which reader an object needs."""

    SR = "sr"
    PROJECTION_IMAGE = "projection_image"
    MAMMOGRAPHY_IMAGE = "mammography_image"
    CT_IMAGE = "ct_image"
    NUCLEAR_IMAGE = "nuclear_image"
    DOSE_SCREEN = "dose_screen"
    MPPS = "mpps"


class Report(StrEnum):
    """What kind of dose report a structured report is, by its root template."""

    PROJECTION = "10001"
    CT = "10011"
    NUCLEAR = "10021"
    PATIENT = "10030"
    ENHANCED = "10040"
    ARCADIS = "99SMS_RADSUM"


class ObjectHead(msgspec.Struct, frozen=True, kw_only=True):
    """Header facts of an object, read without its content; holds no identifiers of people."""

    sop_class: str | None = None
    sop_instance_uid: str | None = None
    study_uid: str | None = None
    series_uid: str | None = None
    modality: str | None = None
    transfer_syntax: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    station_name: str | None = None
    image_type: tuple[str, ...] = ()


_IMAGES = {
    "1": Reader.PROJECTION_IMAGE,  # CR
    "1.1": Reader.PROJECTION_IMAGE,  # DX for presentation
    "1.1.1": Reader.PROJECTION_IMAGE,  # DX for processing
    "1.3": Reader.PROJECTION_IMAGE,  # IO
    "1.3.1": Reader.PROJECTION_IMAGE,
    "12.1": Reader.PROJECTION_IMAGE,  # XA
    "12.1.1": Reader.PROJECTION_IMAGE,  # enhanced XA
    "12.2": Reader.PROJECTION_IMAGE,  # RF
    "12.2.1": Reader.PROJECTION_IMAGE,  # enhanced XRF
    "13.1.1": Reader.PROJECTION_IMAGE,  # X-ray 3D angiographic
    "13.1.2": Reader.PROJECTION_IMAGE,  # X-ray 3D craniofacial
    "1.2": Reader.MAMMOGRAPHY_IMAGE,
    "1.2.1": Reader.MAMMOGRAPHY_IMAGE,
    "13.1.3": Reader.MAMMOGRAPHY_IMAGE,  # breast tomosynthesis
    "13.1.4": Reader.MAMMOGRAPHY_IMAGE,  # breast projection
    "13.1.5": Reader.MAMMOGRAPHY_IMAGE,
    "2": Reader.CT_IMAGE,
    "2.1": Reader.CT_IMAGE,  # enhanced
    "2.2": Reader.CT_IMAGE,  # legacy converted
    "20": Reader.NUCLEAR_IMAGE,
    "128": Reader.NUCLEAR_IMAGE,
    "128.1": Reader.NUCLEAR_IMAGE,  # legacy converted PET
    "130": Reader.NUCLEAR_IMAGE,  # enhanced PET
}
_PROJECTION = ("CR", "DX", "DR", "RG", "PX", "IO", "XA", "RF")
_DOSES = {t.ImageAndFluoroscopyAreaDoseProduct, t.EntranceDoseInmGy, t.KVP}
_MPPS = "1.2.840.10008.3.1.2.3.3"
_SECONDARY_CAPTURE = (_STORAGE + "7", _STORAGE + "7.")
_DOSE_SR = {
    _SR + "68": Report.NUCLEAR,
    _SR + "73": Report.PATIENT,
    _SR + "76": Report.ENHANCED,
}
_RDSR = _SR + "67"
_ROOTS = {
    c.RADIOPHARMACEUTICAL_RADIATION_DOSE_REPORT.key: Report.NUCLEAR,
    c.PATIENT_RADIATION_DOSE_REPORT.key: Report.PATIENT,
    c.ARCADIS_REPORT.key: Report.ARCADIS,
}
# Containers that only dose reports hold; the last step of recognition.
_CONTENT = {
    c.CT_ACQUISITION.key: Report.CT,
    c.CT_ACCUMULATED_DOSE_DATA.key: Report.CT,
    c.IRRADIATION_EVENT_XRAY_DATA.key: Report.PROJECTION,
    c.ACCUMULATED_XRAY_DOSE_DATA.key: Report.PROJECTION,
    c.RADIOPHARMACEUTICAL_ADMINISTRATION.key: Report.NUCLEAR,
    c.RADIATION_DOSE_ESTIMATE.key: Report.PATIENT,
    c.ACCUMULATED_DOSE_DATA.key: Report.ENHANCED,
    c.IRRADIATION_EVENT_SUMMARY_DATA.key: Report.ENHANCED,
}


def peek(data: bytes) -> ObjectHead:
    """Header facts of an object, without its content.

    Parameters
    ----------
    data
        The object's bytes, in any transfer syntax.

    Raises
    ------
    NotDicomError, TruncatedError, ReadError
        If the bytes are no readable DICOM object.
    """
    return head_of(open_bytes(data))


def head_of(opened: Opened) -> ObjectHead:
    """Header facts of an opened object; the file meta information fills what it lacks."""
    header, meta = opened.data_set, opened.meta

    def uid(tag: int, meta_tag: int) -> str | None:
        return header.text(tag) or (meta.text(meta_tag) if meta else None)

    return ObjectHead(
        sop_class=uid(t.SOPClassUID, t.MediaStorageSOPClassUID),
        sop_instance_uid=uid(t.SOPInstanceUID, t.MediaStorageSOPInstanceUID),
        study_uid=header.text(t.StudyInstanceUID),
        series_uid=header.text(t.SeriesInstanceUID),
        modality=header.text(t.Modality),
        transfer_syntax=opened.syntax,
        manufacturer=header.text(t.Manufacturer),
        model=header.text(t.ManufacturerModelName),
        station_name=header.text(t.StationName),
        image_type=header.texts(t.ImageType),
    )


def choose_reader(head: ObjectHead, header: DataSet) -> Reader:
    """Which reader an object needs.

    Raises
    ------
    NoDoseError
        If objects of this kind carry no dose, with the reason.
    ReadError
        If the object does not say what it is.
    """
    sop_class = head.sop_class
    if sop_class is None and not header.spans:
        raise ReadError("the object has no SOP class and no content", where="(0008,0016)")
    sop_class = sop_class or ""
    if sop_class == _MPPS or (not sop_class and t.PerformedProcedureStepStatus in header):
        return Reader.MPPS
    if sop_class.startswith(_SR) or (not sop_class and t.ContentSequence in header):
        return Reader.SR
    if sop_class.startswith(_SECONDARY_CAPTURE):
        return _choose_for_capture(head, header)
    if sop_class.startswith(_STORAGE) and (found := _IMAGES.get(sop_class[len(_STORAGE) :])):
        return found
    if not sop_class:
        raise ReadError(
            "the object has no SOP class", expected="a dose report or an image", where="(0008,0016)"
        )
    raise NoDoseError(why_no_dose(sop_class))


# Why objects of other kinds carry no dose, by the beginning of their SOP class.
_NO_DOSE = {
    _STORAGE + "4": "magnetic resonance uses no ionising radiation",
    _STORAGE + "3": "ultrasound uses no ionising radiation",
    _STORAGE + "6": "ultrasound uses no ionising radiation",
    _STORAGE + "9": "waveforms are no exposures",
    _STORAGE + "11": "how to show images, not how they were made",
    _STORAGE + "66": "made from images; the dose is with those",
    _STORAGE + "67": "made from images; the dose is with those",
    _STORAGE + "77": "optical imaging uses no ionising radiation",
    _STORAGE + "78": "an eye examination uses no ionising radiation",
    _STORAGE + "104": "a document in another format; its content is not read",
    _STORAGE + "481": "radiotherapy states no imaging dose",
    "1.2.840.10008.5.1.4.34": "radiotherapy or workflow, no exposure",
    "1.2.840.10008.1.3.10": "a directory of a medium",
}


def why_no_dose(sop_class: str) -> str:
    """In words, why an object of this SOP class carries no dose."""
    if not re.fullmatch(r"[0-9.]{1,64}", sop_class):
        return f"SOP class {sop_class[:64]!r} is none"
    from pydicom import config  # the names of all classes; not needed for what is read
    from pydicom.uid import UID

    name = UID(sop_class, validation_mode=config.IGNORE).name
    shown_name = f"{name} ({sop_class})" if name != sop_class else f"SOP class {sop_class}"
    reasons = (why for root, why in _NO_DOSE.items() if f"{sop_class}.".startswith(f"{root}."))
    return f"{shown_name} carries no dose: {next(reasons, 'it has no attributes for one')}"


def _choose_for_capture(head: ObjectHead, header: DataSet) -> Reader:
    """A secondary capture is a dose screen, a tomosynthesis projection (Hologic), or nothing."""
    if t.ExposureDoseSequence in header or "DOSE_INFO" in head.image_type:
        return Reader.DOSE_SCREEN
    if head.modality == "MG" and (t.OrganDose in header or t.EntranceDoseInmGy in header):
        return Reader.MAMMOGRAPHY_IMAGE
    if head.modality == "CT" and t.CommentsOnRadiationDose in header:
        return Reader.DOSE_SCREEN
    # Dental and other units send exposures themselves as captures; derived ones repeat others.
    is_original = bool(head.image_type) and head.image_type[0].upper() == "ORIGINAL"
    if is_original and head.modality in _PROJECTION and _DOSES & header.spans.keys():
        return Reader.PROJECTION_IMAGE
    if _DOSES & header.spans.keys():
        raise NoDoseError("a derived secondary capture; the exposure is that of its original")
    raise NoDoseError("a secondary capture without dose attributes; its pixels are not read")


def choose_report(head: ObjectHead, root: Node, template: str | None) -> tuple[Report, bool]:
    """What kind of dose report a structured report is, and whether only its content says so.

    Raises
    ------
    NoDoseError
        If it is no dose report.
    """
    sop_class = head.sop_class or ""
    if found := _DOSE_SR.get(sop_class) or _ROOTS.get(root.key):
        return found, False
    is_xray = sop_class == _RDSR or root.key == c.XRAY_RADIATION_DOSE_REPORT.key
    if is_xray or template in (Report.PROJECTION, Report.CT):
        return _choose_xray(root, template), False
    if template in (Report.NUCLEAR, Report.PATIENT, Report.ENHANCED):
        return Report(template), False
    for node in root.walk():
        # Words alone do not make a report of any other kind one of dose.
        if (found := _CONTENT.get(node.key)) and node.rule is None:
            return found, True
    title = root.name.meaning or root.name.value or "without a title"
    raise NoDoseError(f"a structured report that is no dose report ({title})")


def _choose_xray(root: Node, template: str | None) -> Report:
    """CT, projection or enhanced: by content first, since templates are missing or wrong."""
    for node in root.walk():
        found = _CONTENT.get(node.key)
        if found in (Report.CT, Report.PROJECTION, Report.ENHANCED):
            return found
    procedure = root.first(c.PROCEDURE_REPORTED.key)
    if procedure and procedure.coded[0] == c.COMPUTED_TOMOGRAPHY.key:
        return Report.CT
    return Report.CT if template == Report.CT else Report.PROJECTION
