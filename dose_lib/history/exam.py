"""Rows of one exam as an exam part, in the records that DICOM objects give."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from dose_lib import keys
from dose_lib.dicom.computed import compute_derived
from dose_lib.dicom.ct_totals import complete_ct_totals
from dose_lib.dicom.events import identify_events, protocol_names
from dose_lib.dicom.identity import ADMINISTERING, PERFORMING, cleaner
from dose_lib.dicom.nuclear import administration_totals
from dose_lib.dicom.projection_totals import complete_totals
from dose_lib.dicom.reading import Reading
from dose_lib.history.cells import Cell
from dose_lib.history.plan import Plan
from dose_lib.history.row import Problem, Reader, cleaned, has_own
from dose_lib.records import (
    Administration,
    AgeSource,
    CtEvent,
    CtSource,
    Device,
    Identity,
    Issue,
    Modality,
    Part,
    Patient,
    Plane,
    Provenance,
    Severity,
    SizeSource,
    SourceKind,
    SourceObject,
    Staff,
    Totals,
    TotalsPlane,
    XRayEvent,
)


class Row(msgspec.Struct, frozen=True):
    """One row of a table with its number in the file, heads included."""

    number: int
    cells: tuple[Cell, ...]


class HistoryExam(msgspec.Struct, frozen=True, kw_only=True):
    """One exam of an export, as it is kept: without any key of a person.

    Attributes
    ----------
    part, identity
        As the reader of a DICOM object gives them, before a site key was used.
    file_sha256
        Hash of the export.
    import_uid
        Of the export under its mapping; undoing names it.
    rows
        Numbers of its rows in the file.
    has_time
        False if the export gave the date alone.
    """

    part: Part
    identity: Identity
    file_sha256: str
    import_uid: str
    rows: tuple[int, ...]
    has_time: bool = True


class Origin(msgspec.Struct, frozen=True):
    """The file that rows come from, and the key under which exams get their UIDs.

    The UID of an exam that has none is made with the site key: from the outside nobody can
    try accession numbers until one fits.
    """

    file_sha256: str
    import_uid: str
    site_key: bytes


def uid_of(key: bytes, *words: str) -> str:
    """A UID from words (PS3.5 B.2, derived from 128 bits), the same for the same words."""
    digest = hmac.new(key, "\x1f".join(words).encode(), hashlib.sha256).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def exam_key(plan: Plan, row: Row) -> tuple[str, ...]:
    """What tells the exam of a row from others."""
    reader = Reader(plan, row.number, row.cells)
    return tuple(keys.normalise_id(reader.text([place])) for place in plan.exam)


def read_exam(
    plan: Plan, rows: Sequence[Row], origin: Origin
) -> tuple[HistoryExam | None, list[Problem]]:
    """The exam of some rows, and what could not be read of it.

    Parameters
    ----------
    plan
        A mapping laid over the table.
    rows
        All rows of the exam, in the order of the file.
    origin
        Of the file.

    Returns
    -------
    tuple
        None in place of the exam if a problem is fatal.
    """
    readers = [Reader(plan, row.number, row.cells) for row in rows]
    first = readers[0]
    started_at, has_time = first.started_at()
    modality = _modality(plan, first)
    records = {
        name: first.values(bound, _prefix(name))
        for name, bound in plan.records.items()
        if name != "identity"
    }
    who = Identity(**first.values(plan.records["identity"], ""), staff=tuple(_staff(plan, first)))
    events = _events(plan, readers)
    planes = _planes(plan, first)
    problems = [p for reader in readers for p in reader.problems]
    if any(p.is_fatal for p in problems) or started_at is None or modality is None:
        return None, problems
    part = _part(
        _Found(
            records=records,
            events=events,
            planes=planes,
            started_at=started_at,
            modality=modality,
            study=records["part"].pop("study_uid", None)
            or uid_of(origin.site_key, "exam", *exam_key(plan, rows[0])),
            provenance=[p for r in readers for p in r.provenance],
            problems=problems,
            rows=[r.number for r in rows],
            test=first.text(plan.not_patient),
        ),
        plan,
        origin,
        _cleaner(who),
    )
    who = replace(who, part_key=part.part_key)
    exam = HistoryExam(
        part=part,
        identity=who,
        file_sha256=origin.file_sha256,
        import_uid=origin.import_uid,
        rows=tuple(r.number for r in rows),
        has_time=has_time,
    )
    return exam, problems


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the rows of an exam hold."""

    records: dict[str, dict[str, Any]]
    events: list[dict[str, Any]]
    planes: list[dict[str, Any]]
    started_at: datetime
    modality: Modality
    study: str
    provenance: list[Provenance]
    problems: list[Problem]
    rows: list[int]
    test: str | None


def _prefix(record: str) -> str:
    if record == "part":
        return ""
    return "administrations[0]." if record == "administration" else f"{record}."


def _modality(plan: Plan, reader: Reader) -> Modality | None:
    if plan.modality is None:
        return plan.mapping.modality
    found = reader.value(plan.modality, "")
    if found is None and not any(p.is_fatal for p in reader.problems):
        reader.problems.append(
            Problem(
                row=reader.number,
                column=plan.modality.head,
                seen="nothing",
                expected="one of " + ", ".join(Modality),
            )
        )
    return found  # type: ignore[no-any-return]


def _staff(plan: Plan, reader: Reader) -> list[Staff]:
    found = []
    for places, role, where in (
        (plan.operators, ADMINISTERING, "operator"),
        (plan.physicians, PERFORMING, "physician"),
    ):
        name = reader.text(places)
        if name is not None:
            found.append(
                Staff(staff_name=name, staff_role_in_procedure=role, staff_where=f"export/{where}")
            )
    return found


def _events(plan: Plan, readers: Sequence[Reader]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for reader in readers:
        for group in plan.events:
            values = reader.group(group, f"events[{len(found)}].")
            if has_own(group, values):
                found.append(values)
            else:
                reader.drop(f"events[{len(found)}].")
    return found


def _planes(plan: Plan, reader: Reader) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for group in plan.planes:
        values = reader.group(group, f"totals.planes[{len(found)}].")
        # Zero in every column is how a plane that the room does not have is written.
        if any(values.values()):
            found.append({"plane": group.plane, **values})
    if len(found) == 1:
        found[0]["plane"] = Plane.SINGLE
    return found


def _cleaner(who: Identity) -> Callable[[str], str]:
    return cleaner(who, who.staff) or (lambda text: text)


def _part(found: _Found, plan: Plan, origin: Origin, clean: Callable[[str], str]) -> Part:
    device = Device(**found.records["device"])
    device = replace(device, device_key=keys.device_key(device))
    patient = _patient(found.records["patient"])
    sop = uid_of(origin.site_key, "row", origin.import_uid, str(found.rows[0]))
    source = SourceObject(
        sop_instance_uid=sop,
        kind=SourceKind.HISTORY,
        template=plan.mapping.name,
        series_uid=origin.import_uid,
        series_number=found.rows[0],
        series_description=f"export of {plan.mapping.system}",
    )
    reading = Reading()
    events = _made_events(found, reading, sop, clean)
    given = found.records["administration"]
    administrations = (Administration(ordinal=0, **given),) if given else ()
    facts = {n: cleaned(v, clean) for n, v in found.records["part"].items()}
    named = facts.pop("protocol_names", ())
    totals = _totals(found, reading, events, administrations)
    issues = [i for i in reading.issues if i.code != "event_uid_missing"]
    return Part(
        **facts,
        part_key=keys.part_key(found.study, device.device_key, found.modality),
        study_uid=found.study,
        modality=found.modality,
        started_at=found.started_at,
        is_patient=False if found.test else None,
        not_patient_reason="export" if found.test else None,
        is_history=True,
        protocol_names=protocol_names(events) or named,
        device=device,
        patient=patient,
        totals=totals,
        events=events,
        administrations=administrations,
        derived=compute_derived(events, patient),
        issues=(*issues, *_issues(found.problems)),
        sources=(source,),
        provenance=_provenance(found, origin, clean),
    )


def _patient(given: dict[str, Any]) -> Patient:
    patient = Patient(**given)
    has_size = patient.weight_kg is not None or patient.height_cm is not None
    return replace(
        patient,
        age_source=AgeSource.RECORDED if patient.age_y is not None else None,
        size_source=SizeSource.HISTORY if has_size else None,
    )


def _made_events(
    found: _Found, reading: Reading, stand_in: str, clean: Callable[[str], str]
) -> tuple[CtEvent | XRayEvent, ...]:
    made: list[Any] = []
    for given in found.events:
        values = {n: cleaned(v, clean) for n, v in given.items() if n != "sources"}
        if found.modality is Modality.CT:
            sources = tuple(
                CtSource(ordinal=n, **one) for n, one in enumerate(given.get("sources", ()))
            )
            one_source = _of_one_source(sources, values)
            made.append(CtEvent(sources=sources, **{**one_source, **values}))
        else:
            made.append(XRayEvent(**values))
    return tuple(identify_events(reading, made, stand_in))


def _of_one_source(sources: Sequence[CtSource], values: dict[str, Any]) -> dict[str, Any]:
    """What stands at the event, too, where there is one source."""
    if len(sources) != 1:
        return {}
    names = ("kvp_kv", "tube_current_ma", "max_tube_current_ma", "rotation_time_s")
    return {n: v for n in names if (v := getattr(sources[0], n)) is not None and n not in values}


def _totals(
    found: _Found,
    reading: Reading,
    events: Sequence[Any],
    administrations: Sequence[Administration],
) -> Totals:
    """Totals as the export states them; what we add up from its events is named in `derived`."""
    stated = found.records["totals"]
    if administrations:
        return administration_totals(administrations)
    if found.modality is Modality.CT:
        return complete_ct_totals(reading, stated, events) if events else Totals(**stated)
    planes = tuple(TotalsPlane(**p) for p in found.planes)
    computed = complete_totals(reading, planes, events)
    values = dict(stated)
    if not events:
        counts = ("n_events", "n_fluoro_events", "n_acquisition_events")
        # Nothing is known of the events; that is not the same as none.
        values = dict.fromkeys(counts) | values
        computed = replace(computed, planes=planes)
    derived = tuple(n for n in computed.derived if n not in values)
    return replace(computed, **values, derived=derived)


def _issues(problems: Sequence[Problem]) -> list[Issue]:
    return [
        Issue(
            code="history_cell",
            severity=Severity.WARNING,
            where=f"row {p.row}, {p.column}",
            seen=p.seen,
            message=f"The cell of the export cannot be read; expected {p.expected}.",
            source=0,
        )
        for p in problems
    ]


def _provenance(
    found: _Found, origin: Origin, clean: Callable[[str], str]
) -> tuple[Provenance, ...]:
    """Where each value stood, the file first."""
    file = Provenance(
        name="sources[0]",
        source=0,
        path=f"sha256:{origin.file_sha256}",
        recorded=f"import {origin.import_uid}, row {found.rows[0]}",
    )
    return (file, *(replace(p, recorded=clean(p.recorded)) for p in found.provenance))
