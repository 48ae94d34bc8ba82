"""The exam part: what one object says of the exam, put together from its readers' results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from typing import Any, NamedTuple

from msgspec.structs import replace

from dose_lib import keys
from dose_lib.dicom import tags as t
from dose_lib.dicom.attributes import Attribute, Attributes
from dose_lib.dicom.checks import check_events, check_totals
from dose_lib.dicom.computed import compute_derived
from dose_lib.dicom.dialects import Maker
from dose_lib.dicom.elements import DataSet
from dose_lib.dicom.events import protocol_names, wall_clock
from dose_lib.dicom.fields import Kind
from dose_lib.dicom.identify import Report
from dose_lib.dicom.identity import (
    ADMINISTERING,
    AUTHORIZING,
    PERFORMING,
    finish_identity,
    requests_of,
)
from dose_lib.dicom.reading import Reading
from dose_lib.dicom.text import read_date
from dose_lib.records import (
    Code,
    CtEvent,
    Device,
    Identity,
    Modality,
    Part,
    Patient,
    SourceKind,
    SourceObject,
    StepStatus,
    Totals,
    XRayEvent,
)

_HEADER = (
    Attribute(t.StudyDescription, "study_description", Kind.TEXT),
    Attribute(t.ProcedureCodeSequence, "procedure_code", Kind.CODE),
    Attribute(t.RequestedProcedureCodeSequence, "requested_procedure", Kind.CODE),
    Attribute(
        t.PerformedProcedureStepDescription, "performed_procedure_step_description", Kind.TEXT
    ),
    Attribute(t.ReasonForTheRequestedProcedure, "indication", Kind.TEXT),
    Attribute(t.AdmittingDiagnosesDescription, "admitting_diagnosis", Kind.TEXT),
    Attribute(t.ContrastBolusAgent, "contrast_agent", Kind.TEXT),
    Attribute(t.ContrastBolusVolume, "contrast_volume_ml"),
)
_REQUEST = (
    Attribute(t.RequestedProcedureCodeSequence, "requested_procedure", Kind.CODE),
    Attribute(t.ReasonForTheRequestedProcedure, "indication", Kind.TEXT),
)
_STATUS = {
    "IN PROGRESS": StepStatus.IN_PROGRESS,
    "COMPLETED": StepStatus.COMPLETED,
    "DISCONTINUED": StepStatus.DISCONTINUED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a reader found in one object, for one part of the exam.

    Attributes
    ----------
    values
        Further names of `Part`; `started_at` and `ended_at` as the content states them.
    patient
        Names of `Patient` that the content states.
    observers
        Device observers, in order.
    source
        Further names of `SourceObject`.
    study_uid
        Study Instance UID that the content names, for objects whose header has none.
    others
        Templates that the object holds besides this one; each makes a part of its own.
    """

    modality: Modality
    kind: SourceKind
    events: Sequence[CtEvent | XRayEvent] = ()
    totals: Totals = field(default_factory=Totals)
    values: Mapping[str, Any] = field(default_factory=dict)
    patient: Mapping[str, Any] = field(default_factory=dict)
    observers: Sequence[Device] = ()
    maker: Maker = field(default_factory=Maker)
    source: Mapping[str, Any] = field(default_factory=dict)
    study_uid: str | None = None
    others: tuple[Report, ...] = ()


class Exam(NamedTuple):
    """What all parts of one object share."""

    study_uid: str
    source: SourceObject
    device: Device
    other_devices: tuple[Device, ...]
    patient: Patient
    identity: Identity


def exam_day(header: DataSet) -> date | None:
    """Day of the exam by the header."""
    for tag in (t.StudyDate, t.AcquisitionDate, t.PerformedProcedureStepStartDate, t.ContentDate):
        if found := read_date(header.text(tag)):
            return found
    return None


def make_part(
    reading: Reading, header: DataSet, exam: Exam, content: Content
) -> tuple[Part, Identity]:
    """One exam part and the identities that belong to it."""
    record = Attributes(reading, header)
    record.values = dict(content.values)
    _read_exam(record)
    values = record.values
    started, ended = _times(record, content.events)
    part_key = keys.part_key(exam.study_uid, exam.device.device_key, content.modality)
    patient = exam.patient
    if reading.site_key is not None:
        identity = exam.identity
        key, linked = keys.patient_key(
            reading.site_key, identity.patient_id, identity.patient_id_issuer, exam.study_uid
        )
        patient = replace(patient, patient_key=key, is_linked=linked)
    else:
        linked = not keys.is_placeholder_id(exam.identity.patient_id)
        patient = replace(patient, is_linked=linked)
    values |= _staff_keys(reading)
    values.pop("started_at", None)
    values.pop("ended_at", None)
    values.setdefault("protocol_names", protocol_names(content.events))
    if given := values.get("administrations"):
        values["administrations"] = tuple(with_sources(one) for one in given)
    check_events(reading, content.events)
    check_totals(reading, content.totals)
    part = Part(
        part_key=part_key,
        study_uid=exam.study_uid,
        modality=content.modality,
        started_at=started,
        ended_at=ended,
        device=exam.device,
        other_devices=exam.other_devices,
        patient=patient,
        totals=with_sources(content.totals),
        derived=compute_derived(content.events, patient),
        events=tuple(with_sources(e) for e in content.events),
        **values,
    )
    source = replace(exam.source, dialect_rules=tuple(reading.rules), is_quantity_read=True)
    part = replace(
        part,
        sources=(source,),
        issues=tuple(reading.issues),
        extras=tuple(reading.extras),
        provenance=tuple(reading.provenance),
    )
    return part, finish_identity(reading, exam.identity, part_key, patient.patient_key)


def with_sources(record: Any) -> Any:
    """The record with `field_sources`: every filled name came from the only object, 0."""
    filled = {}
    for name in _names_with_source(record.__class__):
        value = getattr(record, name)
        if value is not None and value != ():
            filled[name] = 0
    return replace(record, field_sources=filled)


@cache
def _names_with_source(kind: type[Any]) -> tuple[str, ...]:
    left_out = {"field_sources", "derived", "planes", "ordinal"}
    return tuple(name for name in kind.__struct_fields__ if name not in left_out)


def _read_exam(record: Attributes) -> None:
    header, values = record.data_set, record.values
    record.read(_HEADER)
    for place, request in enumerate(requests_of(header)):
        below = record.below(request, f"request[{place}]")
        below.read(_REQUEST)
    _read_requested(record)
    codes = Attributes(record.reading, header).code(t.ReasonForRequestedProcedureCodeSequence)
    if codes and codes.meaning and "indication" not in values:
        record.put("indication", codes.meaning, t.ReasonForRequestedProcedureCodeSequence)
    status = (header.text(t.PerformedProcedureStepStatus) or "").upper()
    if status in _STATUS:
        record.put("performed_step_status", _STATUS[status], t.PerformedProcedureStepStatus)
    steps = tuple(
        uid
        for item in header.items(t.ReferencedPerformedProcedureStepSequence)
        if (uid := item.text(t.ReferencedSOPInstanceUID))
    )
    if steps:
        known = tuple(values.get("performed_step_uids", ()))
        values["performed_step_uids"] = tuple(dict.fromkeys((*known, *steps)))
    if "comment" not in values and (text := header.text(t.CommentsOnThePerformedProcedureStep)):
        tag = t.CommentsOnThePerformedProcedureStep
        values["comment"] = record.reading.cleaned(text, record.where(tag))


def _read_requested(record: Attributes) -> None:
    """A description alone becomes a code with a meaning only."""
    if "requested_procedure" in record.values:
        return
    header = record.data_set
    for data_set in (header, *requests_of(header)):
        if text := data_set.text(t.RequestedProcedureDescription):
            tag = t.RequestedProcedureDescription
            meaning = record.reading.cleaned(text, record.where(tag))
            record.put("requested_procedure", Code(meaning=meaning), tag, recorded=meaning)
            return


def _times(
    record: Attributes, events: Sequence[CtEvent | XRayEvent]
) -> tuple[datetime | None, datetime | None]:
    """Start and end: as the content states, else of the events, else of the header."""
    values = record.values
    started, ended = values.get("started_at"), values.get("ended_at")
    starts = [e.started_at for e in events if e.started_at is not None]
    if started is None and starts:
        started = min(starts, key=wall_clock)
    ends = [e.ended_at for e in events if e.ended_at is not None]
    if ended is None and ends and len(ends) == len(events):
        ended = max(ends, key=wall_clock)
    if started is None:
        started = _header_start(record)
    if ended is None:
        ended = record.joined_time(
            "ended_at", t.PerformedProcedureStepEndDate, t.PerformedProcedureStepEndTime
        )
    return started, ended


_STARTS = (
    (t.PerformedProcedureStepStartDate, t.PerformedProcedureStepStartTime),
    (t.StudyDate, t.StudyTime),
    (t.AcquisitionDate, t.AcquisitionTime),
    (t.ContentDate, t.ContentTime),
    (t.SeriesDate, t.SeriesTime),
)


def _header_start(record: Attributes) -> datetime | None:
    """Start by the header: the first of its dates, with the first time that day has.

    Midnight to the second is what devices and de-identification write for no time.
    """
    header = record.data_set
    days = [(read_date(header.text(day)), day, at) for day, at in _STARTS]
    first = next((day for day, _, _ in days if day is not None), None)
    of_day = [(day, at) for found, day, at in days if found == first]
    timed = [pair for pair in of_day if (header.text(pair[1]) or "").strip("0:. ")]
    for day, at in (*timed, *of_day):
        started = record.joined_time("started_at", day, at)
        if started is not None:
            record.reading.note("time_from_header", "started_at")
            return started
    return None


def _staff_keys(reading: Reading) -> dict[str, Any]:
    """Keys of those who administered, and of those who authorised or performed."""

    def having(*roles: Code) -> tuple[str, ...]:
        values = {r.value for r in roles}
        found = (
            s.staff_key
            for s in reading.staff
            if s.staff_role_in_procedure
            and s.staff_role_in_procedure.value in values
            # Who went on after a dose alert is no physician (TID 10015 rows 9 and 18).
            and "/113900" not in (s.staff_where or "")
            and "/113908" not in (s.staff_where or "")
        )
        return tuple(dict.fromkeys(k for k in found if k))

    return {
        "operator_keys": having(ADMINISTERING),
        "physician_keys": having(AUTHORIZING, PERFORMING),
        "requester_key": next(
            (s.staff_key for s in reading.staff if s.staff_where in _REQUESTERS and s.staff_key),
            None,
        ),
    }


_REQUESTERS = ("(0008,0090)", "(0032,1032)")
