"""Small DICOM objects for the tests of receiving, where content does not matter."""

from __future__ import annotations

from io import BytesIO

from pydicom import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

XRAY_DOSE_SR = "1.2.840.10008.5.1.4.1.1.88.67"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


def dose_report(number: int = 1, *, sop_class: str = XRAY_DOSE_SR, text: str = "dose") -> Dataset:
    """An SR with one text item; the same number gives the same object."""
    report = Dataset()
    report.SOPClassUID = sop_class
    report.SOPInstanceUID = generate_uid(entropy_srcs=["object", str(number)])
    report.StudyInstanceUID = generate_uid(entropy_srcs=["study", str(number)])
    report.PatientName = "Nobody^Known"
    report.PatientID = f"P{number}"
    report.Modality = "SR"
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = "TEXT"
    item.TextValue = text
    report.ValueType = "CONTAINER"
    report.ContentSequence = [item]
    return report


def encode(report: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The report as a Part 10 file."""
    copy = Dataset(report)
    copy.file_meta = FileMetaDataset()
    copy.file_meta.TransferSyntaxUID = syntax
    copy.file_meta.MediaStorageSOPClassUID = report.SOPClassUID
    copy.file_meta.MediaStorageSOPInstanceUID = report.SOPInstanceUID
    file = BytesIO()
    copy.save_as(file, enforce_file_format=True)
    return file.getvalue()
