"""What a child of a size usually gets: paediatric levels as a yardstick for a rule.

Not a comparison with a reference level: a single patient is never "over the DRL". The
yardstick only tells a dose of adult size from one of a child's size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

from dose_lib.detect.size import BodySize
from dose_lib.normalise.regions import components
from dose_lib.records import CtEvent, Part
from dose_lib.reference import Kind, Level, Per, Quantity, newest

_KINDS = (Kind.LOCAL, Kind.NATIONAL, Kind.EUROPEAN)


class Measure(NamedTuple):
    """The event that stands out most against the yardstick, and by how much."""

    event: CtEvent
    level: Level
    ratio: float


def paediatric_levels(levels: Iterable[Level], country: str) -> tuple[Level, ...]:
    """CTDIvol levels of children that may serve: own country, Europe, the site's own."""
    return tuple(
        x
        for x in levels
        if x.quantity is Quantity.CTDI_VOL
        and x.per is Per.SCAN
        and x.population == "paediatric"
        and x.kind in _KINDS
        and x.size_basis in ("age", "weight")
        and x.phantom is not None
        and x.is_comparable
        and not x.is_nominal_size
        and (x.kind is not Kind.NATIONAL or x.country == country)
    )


def measure_against(
    levels: Sequence[Level], part: Part, events: Iterable[CtEvent], size: BodySize, on: date
) -> Measure | None:
    """The largest ratio of an event's CTDIvol to the yardstick on the same phantom.

    A long scan has no level of its own everywhere: the largest of those for the regions in it
    is taken, so that the ratio is rather too small. None if nothing can be compared.
    """
    found: list[Measure] = []
    for event in events:
        if event.ctdi_vol_mgy is None or event.phantom is None:
            continue
        fitting = [x for x in levels if x.phantom == event.phantom and _is_for(x, part, size, on)]
        if fitting:
            level = max(_nearest_kind(fitting), key=lambda x: x.value)
            found.append(Measure(event, level, event.ctdi_vol_mgy / level.value))
    return max(found, key=lambda m: m.ratio, default=None)


def _is_for(level: Level, part: Part, size: BodySize, on: date) -> bool:
    own = components(level.body_region or "")
    if not own or not own <= components(part.body_region or "") or not level.is_in_force(on):
        return False
    value = part.patient.age_y if level.size_basis == "age" else size.weight_kg
    low, high = level.size_min or 0, level.size_max
    return value is not None and low <= value and (high is None or value < high)


def _nearest_kind(levels: Sequence[Level]) -> list[Level]:
    """The newest edition of the site's own, else of the country, else of Europe."""
    for kind in _KINDS:
        if of_kind := [x for x in levels if x.kind is kind]:
            first = newest(of_kind)[0]
            return [x for x in of_kind if (x.set_id, x.edition) == (first.set_id, first.edition)]
    return list(levels)
