"""What objects noticed and where values stood, carried over into the merged part."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from dose_lib.records import (
    Administration,
    CtEvent,
    DerivedValue,
    Issue,
    Part,
    Provenance,
    Totals,
    XRayEvent,
)

Places = Mapping[tuple[int, int], int]
_LISTED = re.compile(r"(events|administrations)\[(\d+)\]")
_FIELD = re.compile(r"\w+")


class Origins(NamedTuple):
    """Where the values of a merged part came from, by index of the source.

    `event_places` and `given_places` map (source, position) to the position in the part;
    `part`, `device` and `patient` map names to sources; the records say it themselves.
    """

    event_places: Places
    given_places: Places
    part: Mapping[str, int]
    device: Mapping[str, int]
    patient: Mapping[str, int]
    totals: Totals
    events: Sequence[CtEvent | XRayEvent]
    given: Sequence[Administration]


def renamed(name: str, source: int, origins: Origins) -> str | None:
    """A name of one reading as it is in the part; None if its event went elsewhere."""
    found = _LISTED.match(name)
    if not found:
        return name
    places = origins.event_places if found[1] == "events" else origins.given_places
    position = places.get((source, int(found[2])))
    return None if position is None else f"{found[1]}[{position}]{name[found.end() :]}"


def carried_issues(
    readings: Iterable[tuple[int, Part]], origins: Origins, *, with_totals: bool
) -> Iterator[Issue]:
    """Issues of the readings, by source; those of totals only where the totals still stand."""
    for source, part in readings:
        for issue in part.issues:
            where = issue.where or ""
            if where.startswith("totals.") and not with_totals:
                continue
            if issue.code == "images_only":  # decided anew by what is there now
                continue
            yield replace(issue, source=source, where=renamed(where, source, origins) or None)


def distinct(issues: Iterable[Issue]) -> tuple[Issue, ...]:
    """Each issue once, however many slices of a series left it."""
    found: dict[tuple[str | None, ...], Issue] = {}
    for issue in issues:
        found.setdefault((issue.code, issue.where, issue.seen), issue)
    return tuple(found.values())


def carried_derived(
    readings: Iterable[tuple[int, Part]], origins: Origins
) -> dict[str, DerivedValue]:
    """What was computed for events, under the events' places in the part."""
    found: dict[str, DerivedValue] = {}
    for source, part in readings:
        for name, value in part.derived.items():
            now = renamed(name, source, origins)
            if now is not None:
                found.setdefault(now, value)
    return found


def carried_provenance(
    readings: Sequence[tuple[int, Part]],
    origins: Origins,
) -> tuple[Provenance, ...]:
    """Where each value of the part stood: of every field, the source it was taken from."""
    found = []
    planes = 0
    for source, part in readings:
        for one in part.provenance:
            name = renamed(one.name, source, origins)
            if name is not None and _is_of(name, source, origins):
                name = _plane_shifted(name, planes)
                found.append(replace(one, name=name, source=source))
        planes += len(part.totals.planes) if origins.totals.planes else 0
    return tuple(found)


def _is_of(name: str, source: int, origins: Origins) -> bool:
    """True if the value of this name came from this source."""
    listed = _LISTED.match(name)
    if listed:
        records = origins.events if listed[1] == "events" else origins.given
        field = _FIELD.match(name[listed.end() + 1 :])
        sources = records[int(listed[2])].field_sources
        return field is not None and sources.get(field[0], source) == source
    word, _, rest = name.partition(".")
    if word == "totals":
        totals = origins.totals
        field = _FIELD.match(rest)
        is_plane = rest.startswith("planes[") and bool(totals.planes)
        return is_plane or (field is not None and totals.field_sources.get(field[0]) == source)
    of = {"device": origins.device, "patient": origins.patient}.get(word)
    if of is not None:
        return of.get(rest) == source
    field = _FIELD.match(word)
    return field is not None and origins.part.get(field[0], source) == source


def _plane_shifted(name: str, planes: int) -> str:
    found = re.match(r"totals\.planes\[(\d+)\]", name)
    if not found or not planes:
        return name
    return f"totals.planes[{int(found[1]) + planes}]{name[found.end() :]}"
