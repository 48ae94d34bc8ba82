"""The one way in: bytes of an object to exam parts and identities."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from dose_lib.dicom import tags as t
from dose_lib.dicom.ct_images import read_ct_image, read_dose_screen
from dose_lib.dicom.device import read_devices
from dose_lib.dicom.dialects import trusts_observer_uid
from dose_lib.dicom.elements import DataSet, OddEncodingError
from dose_lib.dicom.encoding import Opened, open_anew, open_bytes
from dose_lib.dicom.identify import ObjectHead, Reader, choose_reader, head_of
from dose_lib.dicom.identity import (
    cleaner,
    header_staff,
    read_identity,
    requests_of,
    united_identity,
)
from dose_lib.dicom.images import read_mammography_image, read_projection_image
from dose_lib.dicom.mpps import read_mpps
from dose_lib.dicom.nuclear_images import read_nuclear_image
from dose_lib.dicom.part import Content, Exam, exam_day, make_part
from dose_lib.dicom.patient import read_patient
from dose_lib.dicom.reading import Reading
from dose_lib.dicom.reports import read_report
from dose_lib.dicom.text import join_datetime, read_zone
from dose_lib.errors import DoseError, ReadError
from dose_lib.records import Identity, Part, SizeSource, SourceKind, SourceObject


def read_file(
    path: str | Path, *, site_key: bytes | None = None
) -> tuple[tuple[Part, ...], Identity]:
    """Read a DICOM file into exam parts and the identities behind them.

    Parameters
    ----------
    path
        File of any dose object: report, image, dose screen, performed procedure step.
    site_key
        Key of the site for pseudonymous keys; without it they stay None.

    Returns
    -------
    tuple of Part
        Usually one; its `provenance` says where every value stood.
    Identity
        Who the exam was of and by; for the identity vault only.

    Raises
    ------
    NotDicomError, TruncatedError, ReadError
        If the file cannot be read; the message names the byte or tag.
    NoDoseError
        If the object carries no dose; the message says why.
    """
    file = Path(path)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ReadError(f"the file cannot be opened ({error.strerror})", where=str(file)) from None
    return read_bytes(data, file=file.name, site_key=site_key)


def read_bytes(
    data: bytes, *, file: str | None = None, site_key: bytes | None = None
) -> tuple[tuple[Part, ...], Identity]:
    """Read the bytes of a DICOM object into exam parts and the identities behind them.

    Parameters
    ----------
    data
        The object as received: a PS3.10 file, or a bare data set in little endian.
    file
        Name to show in messages and sources.
    site_key
        Key of the site for pseudonymous keys; without it they stay None.

    Returns
    -------
    tuple of Part, Identity
        As `read_file`.

    Raises
    ------
    NotDicomError, TruncatedError, ReadError, NoDoseError
        As `read_file`.
    """
    try:
        return _read_opened(open_bytes(data), data, file, site_key)
    except DoseError as error:
        if file is None or (error.where is not None and error.where.startswith(file)):
            raise
        where = f"{file}, {error.where}" if error.where else file
        raise type(error)(
            error.seen, expected=error.expected, where=where, todo=error.todo
        ) from error.__cause__
    except RecursionError:
        raise ReadError("the object is nested too deep", where=file) from None


def _read_opened(
    opened: Opened, data: bytes, file: str | None, site_key: bytes | None
) -> tuple[tuple[Part, ...], Identity]:
    try:
        return _read(opened, data, file, site_key)
    except OddEncodingError:
        return _read(open_anew(opened), data, file, site_key)


def _read(
    opened: Opened, data: bytes, file: str | None, site_key: bytes | None
) -> tuple[tuple[Part, ...], Identity]:
    header, head = opened.data_set, head_of(opened)
    reader = choose_reader(head, header)
    identity, staffs = read_identity(header), tuple(header_staff(header))
    clean, zone = cleaner(identity, staffs), read_zone(header.text(t.TimezoneOffsetFromUTC))

    def begin() -> Reading:
        reading = Reading(site_key=site_key, zone=zone, clean=clean)
        for staff in staffs:
            reading.add_staff(staff)
        return reading

    given = _Given(opened, hashlib.sha256(data).hexdigest(), file, identity)
    reading = begin()
    content = _READERS[reader](reading, header, head)
    found = [_finish(reading, content, given)]
    for other in content.others:
        reading = begin()
        found.append(_finish(reading, read_report(reading, header, head, only=other), given))
    return tuple(part for part, _ in found), united_identity([who for _, who in found])


class _Given(NamedTuple):
    """An object as it was given, for all parts of it."""

    opened: Opened
    sha256: str
    file: str | None
    identity: Identity


def _finish(reading: Reading, content: Content, given: _Given) -> tuple[Part, Identity]:
    """A part of what one reading found, with what the header says of the exam."""
    opened, header = given.opened, given.opened.data_set
    head = head_of(opened)
    study_uid = _study_uid(reading, header, content, given.sha256)
    device, others = read_devices(
        reading,
        header,
        content.observers,
        trust_observer_uid=trusts_observer_uid(reading, content.maker),
        exam_uids=(study_uid, head.series_uid, head.sop_instance_uid),
    )
    patient = read_patient(
        reading,
        header,
        exam_day(header),
        size_source=_SIZE_SOURCES.get(content.kind, SizeSource.SR),
        content=content.patient,
    )
    if opened.source.is_misdeclared:
        reading.note("character_set", "(0008,0005)", header.text(t.SpecificCharacterSet))
    source = _source(reading, opened, head, content, given.file)
    source = replace(source, sha256=given.sha256)
    exam = Exam(study_uid, source, device, others, patient, given.identity)
    return make_part(reading, header, exam, content)


_READERS: dict[Reader, Callable[[Reading, DataSet, ObjectHead], Content]] = {
    Reader.SR: read_report,
    Reader.PROJECTION_IMAGE: read_projection_image,
    Reader.MAMMOGRAPHY_IMAGE: read_mammography_image,
    Reader.CT_IMAGE: read_ct_image,
    Reader.NUCLEAR_IMAGE: read_nuclear_image,
    Reader.DOSE_SCREEN: read_dose_screen,
    Reader.MPPS: read_mpps,
}
_SIZE_SOURCES = {
    SourceKind.MPPS: SizeSource.MPPS,
    SourceKind.IMAGE_HEADER: SizeSource.IMAGE,
    SourceKind.DOSE_SC: SizeSource.IMAGE,
}


def _study_uid(reading: Reading, header: DataSet, content: Content, sha256: str) -> str:
    """Study Instance UID: of the header, the request, the report's scope; else derived."""
    candidates = [header.text(t.StudyInstanceUID)]
    candidates += [request.text(t.StudyInstanceUID) for request in requests_of(header)]
    candidates.append(content.study_uid)
    for uid in candidates:
        if uid:
            return uid
    reading.note("study_uid_missing", "(0020,000D)")
    own = header.text(t.SOPInstanceUID) or sha256
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, own).int}"


def _source(
    reading: Reading, opened: Opened, head: ObjectHead, content: Content, file: str | None
) -> SourceObject:
    header, zone = opened.data_set, reading.zone
    predecessors = (
        sop.text(t.ReferencedSOPInstanceUID)
        for study in header.items(t.PredecessorDocumentsSequence)
        for series in study.items(t.ReferencedSeriesSequence)
        for sop in series.items(t.ReferencedSOPSequence)
    )
    flag, description = header.text(t.CompletionFlag), header.text(t.SeriesDescription)
    if flag == "PARTIAL":
        reading.note("partial_report", "(0040,A491)", flag)
    events = (e.event_uid for e in content.events if e.event_uid)
    given = (a.administration_uid for a in content.values.get("administrations", ()))
    return SourceObject(
        sop_instance_uid=head.sop_instance_uid,
        sop_class=head.sop_class,
        file=file,
        kind=content.kind,
        series_uid=head.series_uid,
        series_number=header.integer(t.SeriesNumber),
        series_description=reading.cleaned(description, "(0008,103E)") if description else None,
        series_started_at=join_datetime(header.text(t.SeriesDate), header.text(t.SeriesTime), zone),
        content_at=join_datetime(header.text(t.ContentDate), header.text(t.ContentTime), zone),
        event_uids=tuple(dict.fromkeys((*events, *filter(None, given)))),
        predecessor_uids=tuple(filter(None, predecessors)),
        is_complete=flag != "PARTIAL" if flag else None,
        transfer_syntax=opened.syntax,
        implementation=opened.meta.text(t.ImplementationVersionName) if opened.meta else None,
        image_type=head.image_type,
        manufacturer=head.manufacturer,
        **content.source,
    )
