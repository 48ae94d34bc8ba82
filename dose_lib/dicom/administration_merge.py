"""Administrations of several sources as one list: each injection once.

Images repeat the administration in every slice, with event UIDs of their own that are not
to be trusted; so an injection is recognised by agent, activity and start.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from msgspec.structs import replace

from dose_lib.codes import fold
from dose_lib.dicom.precedence import fill, naive
from dose_lib.records import Administration, Code, Part, SourceKind

# A camera's clock and a hot lab's may differ by this; two injections of equal activity and
# agent within it are not told apart (a Siemens PET-CT: 8 minutes within one exam).
CLOCKS = timedelta(minutes=30)

Placed = tuple[int, int, Administration]


def merge_administrations(
    readings: Sequence[tuple[int, Part]],
) -> tuple[tuple[Administration, ...], dict[tuple[int, int], int]]:
    """Administrations of the active readings of one part, and where each went.

    Parameters
    ----------
    readings
        (index of the source, reading), strongest source first.
    """
    groups: list[list[Placed]] = []
    named: dict[str, list[Placed]] = {}
    for source, part in readings:
        is_report = part.sources[0].kind is SourceKind.RRDSR
        for position, given in enumerate(part.administrations):
            uid = given.administration_uid if is_report else None
            group = named.get(uid) if uid else None
            if group is None:
                group = _matching(groups, source, given, is_report=is_report)
            if group is None:
                group = []
                groups.append(group)
            group.append((source, position, given))
            if uid:
                named[uid] = group
    groups.sort(key=lambda g: (naive(g[0][2].started_at), g[0][0], g[0][1]))
    found = []
    for ordinal, group in enumerate(groups):
        given, origin = fill([(source, one) for source, _, one in group])
        found.append(replace(given, ordinal=ordinal, field_sources=origin))
    places = {(s, p): n for n, group in enumerate(groups) for s, p, _ in group}
    return tuple(found), places


def _matching(
    groups: Sequence[list[Placed]], source: int, given: Administration, *, is_report: bool
) -> list[Placed] | None:
    for group in groups:
        if all(s != source for s, _, _ in group):
            first = group[0][2]
            # Two reports are two injections unless their UIDs say otherwise.
            if not (is_report and first.administration_uid) and is_same(first, given):
                return group
    return None


def is_same(one: Administration, other: Administration) -> bool:
    """True if two sources describe one injection."""
    nuclides = _key(one.radionuclide), _key(other.radionuclide)
    if all(nuclides) and nuclides[0] != nuclides[1]:
        return False
    a, b = one.administered_activity_mbq, other.administered_activity_mbq
    if a is not None and b is not None and abs(a - b) > 0.01 * max(a, b):
        return False
    if one.started_at is None or other.started_at is None:
        return a is not None and b is not None
    return abs(naive(one.started_at) - naive(other.started_at)) <= CLOCKS


def _key(code: Code | None) -> str:
    return fold(code.value, code.scheme) if code else ""
