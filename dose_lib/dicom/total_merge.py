"""Totals of a part that several objects describe.

One report: its totals, with what weaker sources add. Reports that continue one another:
the sum. Reports that overlap, or images alone: totals made anew from the events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from dose_lib.dicom.ct_totals import complete_ct_totals, exact_sum
from dose_lib.dicom.precedence import fill, rank
from dose_lib.dicom.projection_totals import SUMMED, complete_totals, is_whole
from dose_lib.dicom.reading import Reading
from dose_lib.records import (
    CtEvent,
    Issue,
    Modality,
    Part,
    Plane,
    SetRole,
    Totals,
    TotalsPlane,
    XRayEvent,
)

Event = CtEvent | XRayEvent
_SUMMED = (
    *SUMMED,
    "dlp_total_mgy_cm",
    "dlp_16cm_mgy_cm",
    "dlp_32cm_mgy_cm",
    "dlp_10cm_mgy_cm",
    "effective_dose_msv",
    "n_exposures",
    "agd_left_mgy",
    "agd_right_mgy",
    "agd_both_mgy",
)
_COUNTS = ("n_exposures", "n_frames")


def merge_totals(
    readings: Sequence[tuple[int, Part]],
    roles: Sequence[SetRole],
    events: Sequence[Event],
    modality: Modality,
) -> tuple[Totals, tuple[Issue, ...]]:
    """Totals of the active readings of one part.

    Parameters
    ----------
    readings
        (index of the source, reading), strongest source first.
    roles
        Role of each of these readings in the set.
    events
        The events of the part, merged.
    """
    if len(readings) == 1 and len(readings[0][1].events) == len(events):
        source, part = readings[0]
        origin = dict.fromkeys(part.totals.field_sources, source)
        return replace(part.totals, field_sources=origin), ()
    scratch = Reading()
    stated = _state(readings, roles)
    if modality is Modality.CT:
        totals = complete_ct_totals(scratch, stated.values, _of(events, CtEvent))
    else:
        totals = _projection_totals(stated, _of(events, XRayEvent))
    summed = tuple(n for n in stated.summed if n not in totals.derived)
    if summed:
        scratch.note("totals_summed", "totals", f"{len(stated.reports)} reports")
    origin = {n: s for n, s in stated.origin.items() if n not in summed}
    totals = replace(totals, derived=(*totals.derived, *summed), field_sources=origin)
    return totals, tuple(scratch.issues)


class _Stated(NamedTuple):
    """What the objects state for the whole part.

    `origin` says which source each came from, `summed` which are sums over reports.
    """

    values: dict[str, Any]
    planes: tuple[TotalsPlane, ...]
    origin: dict[str, int]
    summed: tuple[str, ...]
    reports: Sequence[Part]


def _of(events: Sequence[Event], kind: Any) -> list[Any]:
    return [e for e in events if isinstance(e, kind)]


def _state(readings: Sequence[tuple[int, Part]], roles: Sequence[SetRole]) -> _Stated:
    """Nothing is stated for the whole where reports overlap: then only the events count."""
    own = [(s, p, r) for (s, p), r in zip(readings, roles, strict=True) if rank(p.sources[0]) < 4]
    if not own:
        return _Stated({}, (), {}, (), ())
    strongest = min(rank(p.sources[0]) for _, p, _ in own)
    reports = [(p, r) for _, p, r in own if rank(p.sources[0]) <= max(strongest, 1)]
    parts = [p for p, _ in reports]
    totals, origin = fill([(s, _bare(p.totals)) for s, p, _ in own])
    values = {n: getattr(totals, n) for n in origin}
    planes = tuple(plane for p in parts for plane in p.totals.planes)
    if len(parts) == 1:
        return _Stated(values, planes, origin, (), parts)
    for name in (*_SUMMED, "n_events", "ka_r_max_plane_mgy"):
        values.pop(name, None)
    if any(r is SetRole.PARTIAL for _, r in reports):
        return _Stated(values, (), origin, (), parts)
    sums = _sums(parts)
    return _Stated({**values, **sums}, planes, origin, tuple(sums), parts)


def _bare(totals: Totals) -> Totals:
    """Totals without what was computed from the events of one object."""
    blank = dict.fromkeys(totals.derived)
    return replace(totals, **blank, derived=(), planes=(), field_sources={})


def _sums(parts: Sequence[Part]) -> dict[str, Any]:
    """Sums over continued reports, of what all of them state."""
    found: dict[str, Any] = {}
    for name in _SUMMED:
        values = [v for p in parts if (v := getattr(p.totals, name)) is not None]
        if len(values) == len(parts):
            found[name] = sum(values) if name in _COUNTS else exact_sum(values)
    by_plane: dict[Plane | None, list[float]] = {}
    for plane in (plane for p in parts for plane in p.totals.planes if not is_whole(plane)):
        if plane.ka_r_mgy is not None:
            by_plane.setdefault(plane.plane, []).append(plane.ka_r_mgy)
    if by_plane and "ka_r_mgy" in found:
        found["ka_r_max_plane_mgy"] = max(exact_sum(v) for v in by_plane.values())
    return found


def _projection_totals(stated: _Stated, events: Sequence[XRayEvent]) -> Totals:
    computed = complete_totals(Reading(), (), events)
    values = {n: v for n, v in stated.values.items() if v is not None}
    derived = tuple(n for n in computed.derived if n not in values)
    return replace(computed, **values, planes=stated.planes, derived=derived)
