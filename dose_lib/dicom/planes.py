"""Accumulated doses of a projection report: which containers are of one plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from dose_lib import codes as c
from dose_lib.dicom.ct_totals import exact_sum
from dose_lib.dicom.nesting import loose_totals, nodes_of, number_of
from dose_lib.dicom.projection_totals import AGD, PLANE, SUMMED, read_plane
from dose_lib.dicom.reading import Reading
from dose_lib.dicom.sr import Node
from dose_lib.records import Plane, TotalsPlane, XRayEvent

_SUMS = {key: field for key, field in PLANE.items() if field.name in SUMMED}
# What is a total of the exam wherever it stands, and makes a container one of totals.
LOOSE = (*_SUMS, AGD)
_EVENTS = (
    *(c.IRRADIATION_EVENT_XRAY_DATA.key, c.IRRADIATION_EVENT_SUMMARY_DATA.key),
    *(c.ACCUMULATED_XRAY_DOSE_DATA.key, c.ACCUMULATED_DOSE_DATA.key, c.IRRADIATION_DETAILS.key),
)


def read_planes(
    reading: Reading, root: Node, key: str, events: Sequence[XRayEvent]
) -> list[TotalsPlane]:
    """Totals by plane or source, as stated; of a container that was sent twice once.

    Parameters
    ----------
    key
        Concept of the containers: 113702 or 130500.
    events
        The events, which tell a repeated total from a further one.
    """
    nodes = nodes_of(reading, root, key, LOOSE) or loose_totals(reading, root, LOOSE, _EVENTS)
    groups: list[list[Node]] = []
    for node in nodes:
        twin = next((group for group in groups if _repeats(node, group[0], events)), None)
        if twin is None:
            groups.append([node])
        else:
            reading.note("total_repeated", node.path)
            twin.append(node)
    planes = [read_plane(reading, group, place) for place, group in enumerate(groups)]
    return [_as_whole(reading, plane, planes) for plane in planes]


def _as_whole(reading: Reading, plane: TotalsPlane, planes: Sequence[TotalsPlane]) -> TotalsPlane:
    """A container called single plane that has the sum of both is the whole, not a third."""
    both = [p for p in planes if p.plane in (Plane.A, Plane.B)]
    if plane.plane not in (Plane.SINGLE, None) or len({p.plane for p in both}) < 2:
        return plane
    for name in ("kap_gy_cm2", "ka_r_mgy"):
        doses = [v for p in both if (v := getattr(p, name)) is not None]
        own = getattr(plane, name)
        if own and len(doses) == len(both) and abs(exact_sum(doses) - own) <= 0.01 * own:
            reading.note("total_repeated", "totals.planes")
            return replace(plane, plane=Plane.ALL)
    return plane


def _repeats(node: Node, other: Node, events: Sequence[XRayEvent]) -> bool:
    """True for totals of the same plane with the same values, unless the events add up to both."""
    if _names(node) != _names(other):
        return False
    own, theirs = _sums(node), _sums(other)
    common = own.keys() & theirs.keys()
    if not any(own[name] for name in common) or any(own[n] != theirs[n] for n in common):
        return False
    for name in ("kap_gy_cm2", "ka_r_mgy"):
        doses = [v for e in events if (v := getattr(e, name)) is not None]
        if name in common and doses:
            summed = exact_sum(doses)
            return abs(summed - own[name]) <= abs(summed - 2 * own[name])
    return True


def _names(node: Node) -> tuple[Any, ...]:
    """Plane, source, and the breasts whose glandular dose is stated."""
    plane = node.first(c.ACQUISITION_PLANE.key)
    source = node.first(c.IDENTIFICATION_OF_THE_XRAY_SOURCE.key)
    sides = [n.first(c.LATERALITY.key) for n in node.all(AGD)]
    return (
        plane.coded[0] if plane else None,
        source.value if source else None,
        tuple(side.coded[0] if side else None for side in sides),
    )


def _sums(node: Node) -> dict[str, float]:
    found = {}
    for key, field in _SUMS.items():
        item = node.first(key)
        value = number_of(item, field.unit or "1") if item else None
        if value is not None:
            found[field.name] = value
    return found
