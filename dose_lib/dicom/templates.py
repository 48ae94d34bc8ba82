"""Reports that hold more than one template, such as CT and projection: a part of each.

The same hybrid room or PET-CT may state its doses in one report. What they state has no sum
(DESIGN §4), so each template is read on its own, from a tree that holds only what is its
own and what is everybody's.
"""

from __future__ import annotations

from collections.abc import Collection

from dose_lib import codes as c
from dose_lib.dicom.identify import Report
from dose_lib.dicom.sr import Node
from dose_lib.dicom.text import read_numbers

# Containers of one template each. Enhanced and classic projection reports state the same
# exposures, and estimates are of other reports: they make no part beside another.
_EVENTS = {
    c.CT_ACQUISITION.key: Report.CT,
    c.IRRADIATION_EVENT_XRAY_DATA.key: Report.PROJECTION,
    c.RADIOPHARMACEUTICAL_ADMINISTRATION.key: Report.NUCLEAR,
    c.IRRADIATION_EVENT_SUMMARY_DATA.key: Report.ENHANCED,
}
_TOTALS = {
    c.CT_ACCUMULATED_DOSE_DATA.key: Report.CT,
    c.ACCUMULATED_XRAY_DOSE_DATA.key: Report.PROJECTION,
    c.ACCUMULATED_DOSE_DATA.key: Report.ENHANCED,
}
_CONTAINERS = {**_EVENTS, **_TOTALS}
_XRAY = {Report.PROJECTION, Report.ENHANCED}
_ALONE = {Report.PATIENT, Report.ARCADIS}


def templates_in(root: Node, first: Report) -> tuple[Report, ...]:
    """Templates whose containers state an exposure or a dose, `first` before the others.

    A container that states nothing, such as one of totals of 0, makes no part; where
    `first` itself states nothing, another one that does takes its place.
    """
    if first in _ALONE:
        return (first,)
    found = _stated_in(root)
    if first in _XRAY:
        found -= _XRAY - {first}
    elif found >= _XRAY:
        found.discard(Report.ENHANCED)
    others = tuple(report for report in Report if report in found and report is not first)
    return (first, *others) if first in found or not others else others


def _stated_in(root: Node) -> set[Report]:
    found: set[Report] = set()
    for child in root.children:
        report = _CONTAINERS.get(child.key)
        if report is None:
            found |= _stated_in(child) if child.children else set()
        elif report not in found and (child.key in _EVENTS or _has_dose(child)):
            found.add(report)
    return found


def _has_dose(node: Node) -> bool:
    numbers = (read_numbers(n.value)[0] for n in node.walk() if n.value_type == "NUM" and n.value)
    return any(n > 0 for some in numbers for n in some)


def keep_only(root: Node, report: Report, held: Collection[Report]) -> None:
    """Take the containers of the other templates that a report holds out of its tree.

    A container of a maker's own goes with them if nothing of this template stands in it:
    what it says besides, such as the procedure, is the other's.
    """
    others = set(held) - {report}
    if others:
        _prune(root, report, others)


def _prune(node: Node, report: Report, others: set[Report]) -> set[Report]:
    """Prune below a node; returns the templates whose containers stood there."""
    found: set[Report] = set()
    gone: set[Node] = set()
    for child in node.children:
        own = _CONTAINERS.get(child.key)
        stood = {own} if own is not None else _prune(child, report, others)
        if stood & others and report not in stood:
            gone.add(child)
        found |= stood
    if gone:
        _remove(node, gone)
    return found


def _remove(above: Node, gone: set[Node]) -> None:
    for key in {child.key for child in gone}:
        # What stays keeps the place it has in the object.
        left = [node for node in above.by_key[key] if node.path and node not in gone]
        above.by_key[key] = left
        if not left:
            del above.by_key[key]
    above.children = [child for child in above.children if child not in gone]
