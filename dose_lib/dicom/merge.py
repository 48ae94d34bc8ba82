"""Readings of many objects to one record a part of the exam (DESIGN §4, reference §3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from dose_lib.dicom.administration_merge import merge_administrations
from dose_lib.dicom.event_merge import issue_of, merge_events
from dose_lib.dicom.events import protocol_names
from dose_lib.dicom.joining import join_readings
from dose_lib.dicom.merge_trace import (
    Origins,
    carried_derived,
    carried_issues,
    carried_provenance,
    distinct,
)
from dose_lib.dicom.nuclear import administration_totals
from dose_lib.dicom.precedence import fill, naive, newness, order_of, rank, united
from dose_lib.dicom.projection_report import part_mg_mode
from dose_lib.dicom.report_set import Role, assign_roles
from dose_lib.dicom.total_merge import merge_totals
from dose_lib.records import (
    CtEvent,
    MgMode,
    Modality,
    Part,
    SetRole,
    SourceKind,
    SourceObject,
    XRayEvent,
)

# Of all sources together, not of the first that has them.
_UNITED = (
    "performed_step_uids",
    "operator_keys",
    "physician_keys",
    "source_of_dose",
    "other_devices",
)
_APART = (
    "part_key",
    "study_uid",
    "modality",
    "device",
    "patient",
    "totals",
    "events",
    "administrations",
    "estimates",
    "derived",
    "issues",
    "sources",
    "extras",
    "provenance",
    "protocol_names",
    "started_at",
    "ended_at",
    "mg_mode",
    *_UNITED,
)


def merge(parts: Iterable[Part]) -> tuple[Part, ...]:
    """One record for each part of each exam, from the readings of any number of objects.

    Reports are taken by the report-set rules: of cumulative and repeated reports the fullest
    counts, continued ones add up, superseded ones stay among the sources with their role.
    Reports, dose screens, procedure steps and images of one exposure become one event, field
    by field in the order of their strength.

    Parameters
    ----------
    parts
        Parts as read from single objects, of any studies, in any order. All readings of a
        study belong into one call: a later object may change the key of a part, from that
        of an image's device to that of the report's.

    Returns
    -------
    tuple of Part
        Ordered by study, start and key; the same for any order of `parts`. `provenance`
        and `issues` say by `source` which object each is of.
    """
    studies: dict[str, dict[tuple[str, ...], Part]] = {}
    for part in parts:
        studies.setdefault(part.study_uid, {})[_identity(part)] = part
    merged = []
    for readings in studies.values():
        ordered = sorted(readings.values(), key=order_of)
        merged += [merge_part(group) for group in join_readings(ordered)]
    return tuple(sorted(merged, key=lambda p: (p.study_uid, naive(p.started_at), p.part_key)))


def _identity(part: Part) -> tuple[str, ...]:
    """The same object, read twice, is one reading."""
    source = part.sources[0]
    return (source.sop_instance_uid or "", source.sha256 or "", part.part_key)


def merge_part(parts: Sequence[Part]) -> Part:
    """One record of the readings of one exam part."""
    ordered = sorted(parts, key=order_of)
    roles = assign_roles(ordered)
    numbered = list(enumerate(ordered))
    active = [(n, p) for n, p in numbered if roles[n].is_active]
    active.sort(key=lambda pair: _strength(pair, roles))
    sources = tuple(_with_role(p.sources[0], roles[n]) for n, p in numbered)
    if len(ordered) == 1:
        return replace(ordered[0], sources=sources)
    return _unite(active, roles, sources)


def _strength(pair: tuple[int, Part], roles: Sequence[Role]) -> tuple[Any, ...]:
    """Strongest first: by kind, a primary report before what continues it, then by time."""
    number, part = pair
    is_first = roles[number].role is SetRole.PRIMARY
    return (rank(part.sources[0]), not is_first, *order_of(part)[1:])


def _with_role(source: SourceObject, role: Role) -> SourceObject:
    return replace(source, role_in_set=role.role, superseded_by=role.superseded_by)


def _unite(
    active: Sequence[tuple[int, Part]], roles: Sequence[Role], sources: tuple[SourceObject, ...]
) -> Part:
    """One record of several readings, of which at least one counts."""
    measured = [(n, p) for n, p in active if p.sources[0].kind is not SourceKind.P_RDSR] or active
    first = measured[0][1]
    events = merge_events(measured)
    given, given_places = merge_administrations(measured)
    totals, notes = (
        (administration_totals(given), ())
        if given
        else merge_totals(
            measured, [roles[n].role for n, _ in measured], events.events, first.modality
        )
    )
    part, of_part = fill(active, leave=_APART)
    device, of_device = fill([(n, p.device) for n, p in measured], leave=("device_key",))
    patient, of_patient = fill([(n, p.patient) for n, p in _newest_first(active)])
    origins = Origins(
        event_places=events.places,
        given_places=given_places,
        part=of_part,
        device=of_device,
        patient=of_patient,
        totals=totals,
        events=events.events,
        given=given,
    )
    reports = [n for n, p in measured if rank(p.sources[0]) < 3]
    issues = [
        *carried_issues(active, origins, with_totals=len(reports) == 1),
        *events.issues,
        *(notes if len(reports) != 1 else ()),
    ]
    if any(roles[n].role is SetRole.PARTIAL for n, _ in active):
        issues.append(issue_of("reports_overlap", measured[0][0], None))
    if first.modality in (Modality.XA, Modality.RF) and all(
        p.sources[0].kind is SourceKind.IMAGE_HEADER for _, p in measured
    ):
        issues.append(issue_of("images_only", measured[0][0], None))
    return replace(
        part,
        **_times(measured),
        mg_mode=_mg_mode(first, events.events),
        device=device,
        patient=patient,
        totals=totals,
        events=events.events,
        administrations=given,
        estimates=tuple(e for _, p in active for e in p.estimates),
        derived=carried_derived(active, origins),
        issues=distinct(issues),
        sources=sources,
        extras=tuple(dict.fromkeys(x for _, p in active for x in p.extras)),
        provenance=carried_provenance(active, origins),
        protocol_names=protocol_names(events.events) or united(p.protocol_names for _, p in active),
        **{name: united(getattr(p, name) for _, p in active) for name in _UNITED},
    )


def _newest_first(active: Sequence[tuple[int, Part]]) -> list[tuple[int, Part]]:
    """Reports before images, and of each the newest first: it has the latest corrections."""
    newest = sorted(active, key=lambda pair: newness(pair[1].sources[0]), reverse=True)
    return sorted(newest, key=lambda pair: rank(pair[1].sources[0]) > 3)


def _times(readings: Sequence[tuple[int, Part]]) -> dict[str, datetime | None]:
    starts = [p.started_at for _, p in readings if p.started_at is not None]
    ends = [p.ended_at for _, p in readings if p.ended_at is not None]
    return {
        "started_at": min(starts, key=naive) if starts else None,
        "ended_at": max(ends, key=naive) if ends else None,
    }


def _mg_mode(first: Part, events: Sequence[CtEvent | XRayEvent]) -> MgMode | None:
    if first.modality is not Modality.MG:
        return None
    return part_mg_mode([e for e in events if isinstance(e, XRayEvent)])
