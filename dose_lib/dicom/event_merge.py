"""Events of several sources as one list: each exposure once, field by field.

An exposure is recognised by its event UID and plane, by the images its report names, or
by what it was: start, kVp, mAs, side - never by time alone (DESIGN §4).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from msgspec.structs import replace

from dose_lib.dicom.issues import KINDS
from dose_lib.dicom.precedence import fill, naive, rank, united
from dose_lib.dicom.report_set import is_stand_in
from dose_lib.records import CtEvent, Issue, Part, SourceKind, XRayEvent

Event = CtEvent | XRayEvent
# Two sources of one exposure name its start within this (reference §1.5: ±2 s).
TOLERANCE = timedelta(seconds=2)
# Doses of two sources that differ by more are worth a word.
_COMPARED = ("kap_gy_cm2", "ka_r_mgy", "agd_mgy", "ctdi_vol_mgy", "dlp_mgy_cm", "kvp_kv")


class Placed(NamedTuple):
    """An event as one source has it."""

    source: int
    position: int
    event: Event
    part: Part


class Merged(NamedTuple):
    """Events of a part, and where each source's events went.

    `places` maps (source, position in its part) to the position in `events`.
    """

    events: tuple[Event, ...]
    places: Mapping[tuple[int, int], int]
    issues: tuple[Issue, ...]


class _Group:
    """All that sources say of one exposure, strongest first."""

    __slots__ = ("members", "sources")

    def __init__(self) -> None:
        self.members: list[Placed] = []
        self.sources: set[int] = set()

    def add(self, placed: Placed) -> None:
        self.members.append(placed)
        self.sources.add(placed.source)


class _Index:
    """Exposures by all that they are recognised by."""

    def __init__(self) -> None:
        self.groups: list[_Group] = []
        self._by_mark: dict[Hashable, list[_Group]] = {}

    def add(self, group: _Group, placed: Placed) -> None:
        group.add(placed)
        for mark in (*_marks(placed), *_loose_marks(placed)):
            known = self._by_mark.setdefault(mark, [])
            if group not in known:
                known.append(group)

    def find(self, placed: Placed) -> _Group | None:
        """The exposure an event is of; None if it is a new one.

        Two events of one source are never one exposure.
        """
        for mark in _marks(placed):
            for group in self._by_mark.get(mark, ()):
                if placed.source not in group.sources:
                    return group
        return self._by_uid_alone(placed) or self._by_values(placed)

    def _by_uid_alone(self, placed: Placed) -> _Group | None:
        """An image does not say its plane: its UID is enough where one event has it."""
        event = placed.event
        if _is_unnamed(placed) or _place(event) != (None, None):
            return None
        found = self._by_mark.get(("named", event.event_uid), ())
        return found[0] if len(found) == 1 and placed.source not in found[0].sources else None

    def _by_values(self, placed: Placed) -> _Group | None:
        second = _second(placed.event)
        if second is None:
            return None
        near = [second + timedelta(seconds=n) for n in range(-2, 3)]
        found = {id(g): g for at in near for g in self._by_mark.get(("second", at), ())}
        twins = [
            g
            for g in found.values()
            if placed.source not in g.sources and is_twin(g.members[0], placed)
        ]
        return twins[0] if len(twins) == 1 else None


def merge_events(readings: Sequence[tuple[int, Part]]) -> Merged:
    """Events of the active readings of one part.

    Parameters
    ----------
    readings
        (index of the source, reading), strongest source first.
    """
    index = _Index()
    issues: list[Issue] = []
    spans = [_span(part) for _, part in readings if rank(part.sources[0]) < 2]
    for source, part in readings:
        is_image = part.sources[0].kind is SourceKind.IMAGE_HEADER
        if _is_told_better(part, readings):
            issues.append(issue_of("step_exposures_not_counted", source, None))
            continue
        for position, event in enumerate(part.events):
            placed = Placed(source, position, event, part)
            group = index.find(placed)
            if group is None and is_image and _is_covered(event, spans):
                issues.append(issue_of("event_not_in_report", source, event.event_uid))
                continue
            if group is None:
                group = _Group()
                index.groups.append(group)
            index.add(group, placed)
    groups = sorted(index.groups, key=_order)
    events = _with_ordinals(_unite(g, issues) for g in groups)
    places = {(m.source, m.position): n for n, group in enumerate(groups) for m in group.members}
    return Merged(tuple(events), places, tuple(issues))


def _is_told_better(part: Part, readings: Sequence[tuple[int, Part]]) -> bool:
    """True for a step whose exposures cannot be matched to those that other objects have.

    The retired dose module (PS3.3 C.4.16) lists exposures without time or UID.
    """
    source = part.sources[0]
    if source.kind is not SourceKind.MPPS or not part.events:
        return False
    if not all(e.started_at is None and is_stand_in(e.event_uid, source) for e in part.events):
        return False
    return any(p.events for _, p in readings if p.sources[0].kind is not SourceKind.MPPS)


def _span(part: Part) -> tuple[datetime, datetime]:
    """Time that a report speaks of: from its first event to when it was made."""
    times = [naive(e.started_at) for e in part.events if e.started_at]
    times += [naive(at) for at in (part.started_at, part.ended_at) if at]
    made = part.sources[0].content_at
    last = max([*times, *([naive(made)] if made else [])], default=None)
    minute = timedelta(minutes=1)
    return (
        min(times) - minute if times else datetime.min,
        last + minute if last else datetime.max,
    )


def _is_covered(event: Event, spans: Iterable[tuple[datetime, datetime]]) -> bool:
    """True if a report covers the time of an exposure that it does not name."""
    if event.started_at is None:
        return any(True for _ in spans)
    start = naive(event.started_at)
    return any(first <= start <= last for first, last in spans)


def _is_unnamed(placed: Placed) -> bool:
    return is_stand_in(placed.event.event_uid, placed.part.sources[0])


def _marks(placed: Placed) -> Iterator[Hashable]:
    """What alone is enough to recognise an exposure."""
    event, source = placed.event, placed.part.sources[0]
    if not _is_unnamed(placed):
        yield "uid", event.event_uid, _place(event), event.ordinal
    for uid in getattr(event, "acquired_image_uids", ()):
        yield "image", uid
    is_image = source.kind is SourceKind.IMAGE_HEADER
    if is_image and source.sop_instance_uid:
        yield "image", source.sop_instance_uid
    if is_image and isinstance(event, CtEvent) and event.label is not None:
        # All slices and reconstructions of one CT acquisition repeat its dose.
        yield "acquisition", event.label, event.kvp_kv, event.ctdi_vol_mgy


def _loose_marks(placed: Placed) -> Iterator[Hashable]:
    """What narrows the search for an exposure."""
    if not _is_unnamed(placed):
        yield "named", placed.event.event_uid
    second = _second(placed.event)
    if second is not None:
        yield "second", second


def _second(event: Event) -> datetime | None:
    return naive(event.started_at).replace(microsecond=0) if event.started_at else None


def _place(event: Event) -> tuple[object, object]:
    return getattr(event, "plane", None), getattr(event, "source_id", None)


def is_twin(one: Placed, other: Placed) -> bool:
    """True if two sources describe one exposure: start, kVp, mAs or dose, side and view.

    Two different UIDs are two exposures, whatever else agrees.
    """
    a, b = one.event, other.event
    both_named = not _is_unnamed(one) and not _is_unnamed(other)
    if both_named or type(a) is not type(b) or a.started_at is None or b.started_at is None:
        return False
    if abs(naive(a.started_at) - naive(b.started_at)) > TOLERANCE:
        return False
    if not _close(a.kvp_kv, b.kvp_kv, 0.01):
        return False
    if _differ(a, b, "laterality") or _differ(a, b, "plane"):
        return False
    # The tube current-time product decides; where one source lacks it, a dose may.
    for name in ("exposure_mas", "agd_mgy", "ctdi_vol_mgy", "kap_gy_cm2"):
        x, y = getattr(a, name, None), getattr(b, name, None)
        if x is not None and y is not None:
            return _close(x, y, 0.05)
    return False


def _differ(a: Event, b: Event, name: str) -> bool:
    x, y = getattr(a, name, None), getattr(b, name, None)
    return x is not None and y is not None and x != y


def _close(x: float | None, y: float | None, share: float) -> bool:
    if x is None or y is None:
        return False
    return abs(x - y) <= share * max(abs(x), abs(y))


def _order(group: _Group) -> tuple[Any, int, int, str]:
    first = group.members[0]
    return (
        naive(first.event.started_at),
        first.source,
        first.position,
        first.event.event_uid or "",
    )


def _unite(group: _Group, issues: list[Issue]) -> Event:
    members = group.members
    event, origin = fill([(m.source, m.event) for m in members])
    values: dict[str, Any] = {"field_sources": origin}
    if isinstance(event, XRayEvent):
        values["acquired_image_uids"] = united(m.event.acquired_image_uids for m in members)  # type: ignore[union-attr]
    starts = [m.event.started_at for m in members if m.event.started_at is not None]
    is_image = members[0].part.sources[0].kind is SourceKind.IMAGE_HEADER
    if isinstance(event, CtEvent) and is_image and starts:
        values["started_at"] = min(starts, key=naive)  # slices start one after another
    for other in members[1:]:
        for name in _COMPARED:
            ours, theirs = getattr(event, name, None), getattr(other.event, name, None)
            if ours is not None and theirs is not None and not _close(ours, theirs, 0.01):
                seen = f"{name} {ours:g} and {theirs:g}"
                issues.append(issue_of("sources_disagree", other.source, event.event_uid, seen))
    return replace(event, **values)


def _with_ordinals(events: Iterable[Event]) -> list[Event]:
    """Place of each event among those with the same UID, plane and source."""
    seen: dict[Hashable, int] = {}
    found = []
    for event in events:
        key = (event.event_uid, *_place(event))
        found.append(replace(event, ordinal=seen.get(key, 0)))
        seen[key] = seen.get(key, 0) + 1
    return found


def issue_of(code: str, source: int, where: str | None, seen: str | None = None) -> Issue:
    """An issue that putting sources together leaves."""
    kind = KINDS[code]
    return Issue(
        code=code,
        severity=kind.severity,
        where=where,
        seen=seen,
        message=kind.message,
        source=source,
    )
