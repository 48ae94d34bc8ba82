"""How often one place was scanned, and how often the words of an exam say it should be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dose_lib.normalise.contrast import contrast_of_words
from dose_lib.normalise.events import diagnostic_events
from dose_lib.normalise.lexicon import read_text
from dose_lib.normalise.regions import region_of_code
from dose_lib.records import Contrast, CtAcquisitionType, CtEvent, Part

# A scan much shorter than the longest is a repeat of a part, or another body part (ours).
_WHOLE = 0.6
# Two scans are of one place if they share so much of the shorter one; without positions, if
# they are of one region and their lengths differ by less (ours).
_SHARED, _ALIKE = 0.6, 0.25


class Phases(NamedTuple):
    """Passes that fit what the words say, both ends included."""

    least: int
    most: int
    words: str


class Passes(NamedTuple):
    """How often the place scanned most often was scanned, and how long it is."""

    n: int
    length_mm: float


# Beyond these the exam was another one. Without contrast: supine and prone, or in- and
# expiration, are two. With contrast: a native, an arterial and a venous phase are three.
_BY_CONTRAST = {
    Contrast.WITHOUT: Phases(1, 2, "without contrast"),
    Contrast.WITH: Phases(1, 3, "with contrast"),
    Contrast.BOTH: Phases(2, 4, "with and without contrast"),
}
_MULTIPHASE = Phases(2, 6, "several phases")


def phases_of_words(texts: Iterable[str]) -> Phases | None:
    """Passes that the words of an exam let expect; None where they say nothing of it."""
    said = list(texts)
    if any(read_text(text).has("strong", "multiphase") for text in said):
        return _MULTIPHASE
    contrast = contrast_of_words(said)
    return None if contrast is None else _BY_CONTRAST[contrast]


def passes_of(part: Part) -> Passes | None:
    """How often the place that was scanned most often was scanned.

    Returns
    -------
    Passes or None
        None where an acquisition does not say how long it was; where one of several names
        neither its range nor its region, or one of a sequence no range: it may be one position
        of the table of many.

    Notes
    -----
    Two tubes, or two voltages, that expose at one time are one pass. Scans shorter than six
    tenths of the longest do not count: they are repeats of a part.
    """
    events = list(diagnostic_events(part))
    lengths = [e.scanning_length_mm or e.reconstructable_length_mm for e in events]
    if not events or not all(lengths) or any(_is_one_of_many(e) for e in events):
        return None
    known = [(e, float(x or 0)) for e, x in zip(events, lengths, strict=True)]
    longest = max(x for _, x in known)
    whole = [(e, x) for e, x in known if x >= _WHOLE * longest]
    if len(whole) > 1 and not all(_is_placed(e) for e, _ in whole):
        return None
    counts = [(len(_starts(one, whole)), one[1]) for one in whole]
    n, length = max(counts)
    return Passes(n, length)


def _is_one_of_many(event: CtEvent) -> bool:
    return event.acquisition_type is not CtAcquisitionType.SPIRAL and _range(event) is None


def _is_placed(event: CtEvent) -> bool:
    return _range(event) is not None or region_of_code(event.target_region) is not None


def _starts(one: tuple[CtEvent, float], all_of: Sequence[tuple[CtEvent, float]]) -> set[object]:
    """When the place of an acquisition was scanned; one that states no time counts by itself."""
    same = (e for e, x in all_of if e is one[0] or _is_same_place(one, (e, x)))
    return {e.started_at or id(e) for e in same}


def _is_same_place(one: tuple[CtEvent, float], other: tuple[CtEvent, float]) -> bool:
    first, second = _range(one[0]), _range(other[0])
    if first is not None and second is not None:
        shared = min(first[1], second[1]) - max(first[0], second[0])
        shorter = min(first[1] - first[0], second[1] - second[0])
        return shared >= _SHARED * shorter
    regions = {region_of_code(e.target_region) for e in (one[0], other[0])}
    alike = abs(one[1] - other[1]) <= _ALIKE * max(one[1], other[1])
    return len(regions) == 1 and None not in regions and alike


def _range(event: CtEvent) -> tuple[float, float] | None:
    for a, b in (
        (event.scan_bottom_z_mm, event.scan_top_z_mm),
        (event.reconstructable_bottom_z_mm, event.reconstructable_top_z_mm),
    ):
        if a is not None and b is not None and a != b:
            return min(a, b), max(a, b)
    return None
