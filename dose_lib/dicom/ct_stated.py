"""Totals as a CT report states them: in one container, in several, or in none."""

from __future__ import annotations

from collections.abc import Sequence

from dose_lib import codes as c
from dose_lib.dicom.ct_totals import HANDLERS, STATED, exact_sum
from dose_lib.dicom.nesting import loose_totals, number_of
from dose_lib.dicom.reading import Reading
from dose_lib.dicom.record import Fields
from dose_lib.dicom.sr import Node

_TOTAL = c.CT_DOSE_LENGTH_PRODUCT_TOTAL.key
# What is a total of the exam wherever it stands.
LOOSE = (c.TOTAL_NUMBER_OF_IRRADIATION_EVENTS.key, _TOTAL, c.CT_EFFECTIVE_DOSE_TOTAL.key)


def read_stated(reading: Reading, root: Node, events: Sequence[Node]) -> Fields:
    """Totals of the report by name, without any that we compute.

    Of several containers whose totals differ, those count that fit the events: one of them,
    else their sum; else the first.
    """
    stated = Fields(reading, "totals.")
    nodes = root.containers(c.CT_ACCUMULATED_DOSE_DATA.key)
    nodes = nodes or loose_totals(reading, root, LOOSE, (c.CT_ACQUISITION.key,))
    totals = [_total(node) for node in nodes]
    known = [total for total in totals if total is not None]
    if len(set(known)) < 2:
        for node in nodes:
            stated.read(node.children, STATED, HANDLERS)
        return stated
    summed = _sum(events)
    fitting = [node for node, t in zip(nodes, totals, strict=True) if _fits(t, summed)]
    reading.note("totals_chosen", nodes[0].path, ", ".join(f"{t:g}" for t in known))
    if not fitting and _fits(exact_sum(known), summed):
        _add_up(reading, stated, nodes)
    else:
        chosen = (fitting or nodes)[0]
        stated.read(chosen.children, STATED, HANDLERS)
        for node in nodes:
            if node is not chosen:
                for child in node.children:
                    reading.keep_extra(child)
    return stated


def _total(node: Node) -> float | None:
    found = node.containers(_TOTAL)
    return number_of(found[0], "mGy.cm") if found else None


def _sum(events: Sequence[Node]) -> float | None:
    found = (number_of(n, "mGy.cm") for event in events for n in event.containers(c.DLP.key))
    values = [value for value in found if value is not None]
    return exact_sum(values) if values else None


def _fits(total: float | None, summed: float | None) -> bool:
    return total is not None and summed is not None and abs(total - summed) <= 2e-3 * summed


def _add_up(reading: Reading, stated: Fields, nodes: Sequence[Node]) -> None:
    """Totals of containers that each hold a part of the events."""
    for node in nodes:
        below = Fields(reading, "totals.")
        below.read(node.children, STATED, HANDLERS)
        for name, value in below.values.items():
            old = stated.values.get(name)
            is_number = isinstance(value, int | float)
            stated.values[name] = exact_sum((old, value)) if old and is_number else old or value
    if "n_events" in stated.values:
        stated.values["n_events"] = round(stated.values["n_events"])
