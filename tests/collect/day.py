"""A day of a hospital as its archive has it: an image of every exam, and the dose reports."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from dose_lib.simulate import Hospital
from dose_lib.simulate.exam import Exam
from tests.collect.conftest import END

_CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "MG": "1.2.840.10008.5.1.4.1.1.1.2",
    "XA": "1.2.840.10008.5.1.4.1.1.12.1",
    "RF": "1.2.840.10008.5.1.4.1.1.12.2",
    "NM": "1.2.840.10008.5.1.4.1.1.20",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
}


def exams_of_day(scenario: str = "demo") -> list[Exam]:
    """All exams of `END`."""
    return [
        e
        for e in Hospital.load(scenario, seed=3, end=END, days=1).exams()
        if e.started_at.date() == END
    ]


def images(exam: Exam) -> Iterable[bytes]:
    """An image without pixels of each modality of an exam, as its device would store it."""
    for number, part in enumerate(exam.parts, 1):
        modality = part.modality.value
        made = _head(exam, modality, f"{part.study_uid}.77{number}")
        file = BytesIO()
        made.save_as(file, enforce_file_format=True)
        yield file.getvalue()


def _head(exam: Exam, modality: str, series_uid: str) -> Dataset:
    part = exam.part
    image = Dataset()
    image.SOPClassUID = UID(_CLASSES[modality])
    image.SOPInstanceUID = UID(f"{series_uid}.1")
    image.StudyInstanceUID, image.SeriesInstanceUID = UID(part.study_uid), UID(series_uid)
    image.Modality, image.SeriesNumber, image.InstanceNumber = modality, 1, 1
    image.PatientID, image.PatientName = exam.identity.patient_id, "A^B"
    image.StudyDate, image.StudyTime = f"{exam.started_at:%Y%m%d}", f"{exam.started_at:%H%M%S}"
    image.StationName = exam.device.station
    image.Manufacturer, image.ManufacturerModelName = part.device.manufacturer, part.device.model
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return image


def spoilt(report: bytes) -> bytes:
    """A dose report that was cut off on its way."""
    return report[: len(report) * 2 // 3]
