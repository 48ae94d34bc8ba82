"""Received objects for the tests of the store, made and read as in the real flow."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from io import BytesIO
from typing import Any

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import dose_lib
from dose_lib.dicom.rejection import KEY_OBJECT_SELECTION, read_rejection
from dose_lib.errors import NoDoseError
from dose_lib.store import Incoming
from tests.store.exams import ARRIVED

SITE_KEY = b"k" * 32
_MEANINGS = {
    "113001": "Rejected for Quality Reasons",
    "113037": "Rejected for Patient Safety Reasons",
    "113038": "Incorrect Modality Worklist Entry",
    "113039": "Data Retention Policy Expired",
    "113000": "Of Interest",
}


def key_objects(code: str, study: str, *objects: str, uid: str | None = None) -> bytes:
    """A key object selection (PS3.3 A.35.4, IHE RAD TF-3 4.66) of objects of one study."""
    note = Dataset()
    note.SOPClassUID = KEY_OBJECT_SELECTION
    note.SOPInstanceUID = uid or generate_uid(entropy_srcs=[code, study, *objects])
    note.StudyInstanceUID = study
    note.SeriesInstanceUID = generate_uid(entropy_srcs=["series", code, study])
    note.Modality = "KO"
    note.ContentDate, note.ContentTime = "20260302", "120000"
    note.ValueType, note.ContinuityOfContent = "CONTAINER", "SEPARATE"
    note.ConceptNameCodeSequence = [_code(code, _MEANINGS[code])]
    series = Dataset()
    series.SeriesInstanceUID = generate_uid(entropy_srcs=["rejected", study])
    series.ReferencedSOPSequence = [_reference(uid) for uid in objects]
    evidence = Dataset()
    evidence.StudyInstanceUID = study
    evidence.ReferencedSeriesSequence = [series]
    note.CurrentRequestedProcedureEvidenceSequence = [evidence]
    return encoded(note)


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code


def _reference(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.67"
    item.ReferencedSOPInstanceUID = uid
    return item


def encoded(dataset: Dataset) -> bytes:
    """A data set as a Part 10 file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def received(data: bytes, number: int, **given: Any) -> Incoming:
    """An object received in the second `number`, read by the real reader."""
    values: dict[str, Any] = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "size_bytes": len(data),
        "received_at": ARRIVED + timedelta(seconds=number),
        "route": "c-store",
        "caller": "CT1",
    }
    try:
        values["parts"] = dose_lib.read_bytes(data, site_key=SITE_KEY)[0]
    except NoDoseError as error:
        try:
            values["rejection"] = read_rejection(data)
        except NoDoseError:
            values["error"] = error
    return Incoming(**(values | given))


def numbered(objects: Sequence[bytes]) -> tuple[Incoming, ...]:
    """Objects received one after the other, a second each."""
    return tuple(received(data, number) for number, data in enumerate(objects, start=1))
