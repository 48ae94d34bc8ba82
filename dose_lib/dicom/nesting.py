"""Containers within containers of the same kind, repeated ones, and totals outside of any.

The templates nest each container once, but makers group scans in scans, send a container
twice, or leave it out. What a number belongs to is found here, before it is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from dose_lib import codes as c
from dose_lib.dicom.reading import Reading
from dose_lib.dicom.record import Fields, factor_of
from dose_lib.dicom.sr import Node
from dose_lib.dicom.text import read_numbers
from dose_lib.records import Code


def leave(record: Fields, node: Node) -> Any:
    """Handler: what other readers take."""


def nodes_of(reading: Reading, root: Node, key: str, own: Collection[str]) -> list[Node]:
    """Containers with this concept, also those within another one, in order.

    Parameters
    ----------
    own
        Concepts that make a container around others one of its own: the UID of an event.
        Without one of them it only groups; its values become extras.
    """
    found: list[Node] = []
    for node in root.containers(key):
        inner = nodes_of(reading, node, key, own)
        if not inner or any(child.key in own for child in node.children):
            found.append(node)
        else:
            _keep_leaves(reading, node, key)
        if inner:
            reading.note("nested_containers", node.path)
            found += inner
    return found


def _keep_leaves(reading: Reading, node: Node, key: str) -> None:
    for child in node.children:
        if child.key == key:
            continue
        if child.value_type != "CONTAINER":
            reading.keep_extra(child)
        _keep_leaves(reading, child, key)


def number_of(node: Node, unit: str) -> float | None:
    """The number of a content item in a unit, without any note or provenance."""
    values = read_numbers(node.value or "")[0]
    factor = factor_of(node.unit, unit) if node.unit else 1.0
    return values[0] * factor if values and factor is not None else None


def without_repeats(
    reading: Reading, nodes: Sequence[Node], n_stated: int | None, stated: float | None
) -> list[Node]:
    """CT events, each once: equal ones with one UID, where the totals count them once.

    Parts of an acquisition may share a UID and, without times, look the same; so only the
    report's own count or total decides that one was sent twice.
    """
    uids = [_uid(node) for node in nodes]
    if max(Counter(filter(None, uids)).values(), default=1) == 1:
        return list(nodes)
    first: dict[tuple[Any, ...], Node] = {}
    for node in nodes:
        first.setdefault(_content(node), node)
    kept = list(first.values())
    if len(kept) == len(nodes):
        return kept
    if n_stated is not None:
        is_once = n_stated == len(kept)
    else:
        is_once = stated is not None and abs(_dlp(kept) - stated) <= 1e-3 * stated
    if not is_once:
        return list(nodes)
    reading.note("event_repeated", kept[0].path, f"{len(nodes) - len(kept)} of {len(nodes)}")
    return kept


def _uid(node: Node) -> str | None:
    item = node.first(c.IRRADIATION_EVENT_UID.key)
    return item.value if item else None


def _content(node: Node) -> tuple[Any, ...]:
    return tuple((n.key, n.value, n.unit, n.coded[0], n.references) for n in node.walk())


def _dlp(nodes: Sequence[Node]) -> float:
    found = (number_of(n, "mGy.cm") for node in nodes for n in node.containers(c.DLP.key))
    return sum(value for value in found if value is not None)


def loose_totals(
    reading: Reading, root: Node, keys: Collection[str], apart: Collection[str]
) -> list[Node]:
    """Totals that stand in no container of totals, as if they stood in one; of none an empty list.

    Parameters
    ----------
    keys
        Concepts that are totals wherever they stand.
    apart
        Containers in which they are something else: events.
    """
    found: list[Node] = []

    def look(node: Node) -> None:
        for child in node.children:
            if child.key in apart:
                continue
            if child.key in keys:
                found.append(child)
            else:
                look(child)

    look(root)
    if not found:
        return []
    reading.note("totals_outside", found[0].path)
    container = Node("", Code(), "CONTAINER", "")
    container.children = found  # each keeps its parent, and so its place
    for node in found:
        container.by_key.setdefault(node.key, []).append(node)
    return [container]
