"""What a set of reports of one exam means: cumulative, continued, duplicate, overlapping.

The rules of the reference (dicom_dose §3.1), as relations between event sets, so that
the order of arrival plays no part. No report is deleted: one that another contains is
superseded and stays with its role.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from dose_lib.dicom.precedence import naive, newness, rank
from dose_lib.records import (
    Administration,
    CtEvent,
    Part,
    SetRole,
    SourceKind,
    SourceObject,
    XRayEvent,
)

# Kinds whose objects hold a set of events; kinds of one family are compared with each other.
_FAMILIES = {
    SourceKind.RDSR: "report",
    SourceKind.ESR: "report",
    SourceKind.ENHANCED_RDSR: "report",
    SourceKind.RRDSR: "nuclear",
    SourceKind.DOSE_SC: "screen",
    SourceKind.P_RDSR: "estimate",
}


class Role(NamedTuple):
    """What the rules made of one reading."""

    role: SetRole
    superseded_by: str | None = None

    @property
    def is_active(self) -> bool:
        """True if its events and totals count."""
        return self.role not in (SetRole.SUPERSEDED, SetRole.DUPLICATE)


def is_stand_in(uid: str | None, source: SourceObject) -> bool:
    """True if an event's UID is that of its object, because none was sent."""
    own = source.sop_instance_uid or source.series_uid
    if uid is None or own is None:
        return uid is None
    return uid == own or uid.startswith(f"{own}#")


Key = tuple[object, ...]


def event_key(event: CtEvent | XRayEvent, source: SourceObject) -> Key:
    """Identity of an event within a report set: its UID, else what it was."""
    if not is_stand_in(event.event_uid, source):
        return ("uid", event.event_uid)
    return ("values", *technique(event))


def technique(event: CtEvent | XRayEvent) -> Key:
    """What an event without a UID is known by: start, technique, dose."""
    start = event.started_at.replace(tzinfo=None) if event.started_at else None
    if isinstance(event, CtEvent):
        dose: Key = (event.ctdi_vol_mgy, event.dlp_mgy_cm, event.scanning_length_mm)
        return (start, event.label, event.kvp_kv, event.acquisition_type, *dose)
    dose = (event.kap_gy_cm2, event.ka_r_mgy, event.agd_mgy)
    return (start, event.plane, event.kvp_kv, event.exposure_mas, event.laterality, *dose)


def _administration_key(given: Administration) -> Key:
    if given.administration_uid:
        return ("uid", given.administration_uid)
    return ("values", given.started_at, given.administered_activity_mbq)


def set_of(part: Part) -> frozenset[Key]:
    """Identities of all events and administrations of a reading; an estimate is its own."""
    source = part.sources[0]
    if source.kind is SourceKind.P_RDSR:
        return frozenset({("estimate", source.sop_instance_uid)})
    events = {event_key(e, source) for e in part.events}
    return frozenset(events | {_administration_key(a) for a in part.administrations})


class _Report(NamedTuple):
    """A reading with what the rules look at."""

    part: Part
    events: frozenset[Key]
    family: str | None

    @property
    def source(self) -> SourceObject:
        return self.part.sources[0]


def assign_roles(parts: Sequence[Part]) -> list[Role]:
    """Role of each reading of one exam part, in the order given.

    Images and performed procedure steps are no reports: they are always active, and merged
    event by event. What an export of another dose system says counts only alone.
    """
    reports = [_Report(p, set_of(p), _family(p.sources[0])) for p in parts]
    roles = _superseded(reports)
    for family in {r.family for r in reports if r.family is not None}:
        active = [n for n, r in enumerate(reports) if r.family == family and roles[n] is None]
        for n in active:
            rivals = [reports[m].events for m in active if m != n]
            overlaps = any(events & reports[n].events for events in rivals)
            roles[n] = Role(SetRole.PARTIAL if overlaps else SetRole.CONTINUATION)
        whole = [n for n in active if roles[n] == Role(SetRole.CONTINUATION)]
        if whole:
            first = min(whole, key=lambda n: _beginning(reports[n]))
            roles[first] = Role(SetRole.PRIMARY)
    _put_history_last(reports, roles)
    return [role or Role(SetRole.PRIMARY) for role in roles]


def _put_history_last(reports: Sequence[_Report], roles: list[Role | None]) -> None:
    exports = [n for n, r in enumerate(reports) if r.source.kind is SourceKind.HISTORY]
    others = [r for n, r in enumerate(reports) if n not in exports]
    if not exports:
        return
    best = max(others or (reports[n] for n in exports), key=lambda r: _strength(r.source))
    for n in exports:
        if reports[n] is not best:
            roles[n] = Role(SetRole.SUPERSEDED, best.source.sop_instance_uid)


def _superseded(reports: Sequence[_Report]) -> list[Role | None]:
    """Roles of the reports whose place others take; None for the others."""
    roles: list[Role | None] = [None] * len(reports)
    for takes_place in (_is_new_version, _is_successor, _holds_all):
        left = [n for n, report in enumerate(reports) if roles[n] is None and report.family]
        for n in left:
            rivals = [reports[m] for m in left if reports[m].family == reports[n].family]
            over = [r for r in rivals if takes_place(r, reports[n])]
            roles[n] = _role_under(over, reports[n])
    return roles


def _family(source: SourceObject) -> str | None:
    return _FAMILIES.get(source.kind) if source.kind else None


def _beginning(report: _Report) -> tuple[datetime, str]:
    return naive(report.part.started_at), report.source.sop_instance_uid or ""


def _role_under(over: Sequence[_Report], report: _Report) -> Role | None:
    """The role of a report whose place others take; None if none does."""
    if not over:
        return None
    best = max(over, key=lambda r: (len(r.events), _strength(r.source)))
    same = best.events == report.events and bool(report.events)
    role = SetRole.DUPLICATE if same else SetRole.SUPERSEDED
    return Role(role, best.source.sop_instance_uid)


def _strength(source: SourceObject) -> tuple[int, tuple[datetime, datetime, str, str]]:
    """Orders reports with equal events: the stronger kind, then the newer copy."""
    return -rank(source), newness(source)


# Each relation is an order, so that of any reports at least one keeps its place.


def _is_new_version(other: _Report, report: _Report) -> bool:
    """One object, sent again with other content."""
    uid = report.source.sop_instance_uid
    is_same = uid is not None and other.source.sop_instance_uid == uid
    return is_same and _strength(other.source) > _strength(report.source)


def _is_successor(other: _Report, report: _Report) -> bool:
    """`other` names `report` as its predecessor, and does not hold less."""
    return (
        report.source.sop_instance_uid in other.source.predecessor_uids
        and newness(other.source) > newness(report.source)
        and not report.events > other.events
    )


def _holds_all(other: _Report, report: _Report) -> bool:
    """`other` has all events of `report`, and more, or is the better of two equals."""
    if report.events == other.events:
        return _strength(other.source) > _strength(report.source)
    return report.events < other.events
