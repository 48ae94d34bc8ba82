"""Whether what was coded is what was done: region, length and phases of a CT exam.

Exams coded as something else than was done are the largest cause of false dose alerts. Each
rule compares what the name says with what the acquisitions state, and leaves an issue that says
both. A scanner often codes one region for a long scan, so the length of the scan counts beside
the code.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from dose_lib.normalise.contrast import contrast_of_events, contrast_of_words
from dose_lib.normalise.events import diagnostic_events
from dose_lib.normalise.passes import passes_of, phases_of_words
from dose_lib.normalise.regions import components
from dose_lib.records import Contrast, CtEvent, Issue, Modality, Part, Severity

RULE = "normalise.procedure"
DISAGREES = "procedure_disagrees"
MORE, LESS = "more_done_than_coded", "less_done_than_coded"
LONGER, SHORTER = "longer_than_coded", "shorter_than_coded"
PHASES = "phases_disagree"
CODES = {DISAGREES: "region", MORE: "region", LESS: "region", LONGER: "length",
         SHORTER: "length", PHASES: "phases"}  # fmt: skip
"""Codes of the issues left here, and what each is about."""

# What is scanned for them has any length.
_ANY_LENGTH = frozenset(
    {"CT Head Perfusion", "CT Guided Intervention", "CT Radiotherapy Planning", "CT of PET-CT"}
)
# Gated, dynamic and dual-energy scans go over one place more often than they have phases.
_MANY_PASSES = frozenset({"CTA Coronary", "CT Calcium Score", "CTA TAVI"})
_STANDARD_CM = 170.0
_HEIGHT_CM = (45.0, 215.0)  # beyond it a height is a slip
_ADULT_Y = 16.0


class Coded(NamedTuple):
    """What the name of an exam says: procedure, region, and the field that said so."""

    name: str
    region: str | None
    field: str


def disagreement(coded: Coded, done: str) -> Issue:
    """The issue of a name that lies nowhere in what was irradiated."""
    return _issue(
        DISAGREES,
        coded,
        f"{coded.name} by {coded.field}, {done} irradiated",
        "What was coded lies nowhere in what was irradiated; the exam has no procedure name until "
        "someone maps or corrects it.",
        severity=Severity.WARNING,
    )


def disagreements(
    part: Part, coded: Coded, done: str | None, texts: Iterable[str]
) -> tuple[Issue, ...]:
    """Issues of an exam whose name may be right, yet says more or less than was done.

    Parameters
    ----------
    part
        As read.
    coded
        What its name says.
    done
        Region that was irradiated, by code or protocol name.
    texts
        Description and code meanings.
    """
    found = list(_by_region(coded, done))
    if part.modality is Modality.CT:
        lengths = _lengths(part)
        found += _less(part, coded, done, lengths)
        found += () if found else _by_length(part, coded, lengths)
        found += _by_phases(part, coded, texts)
    return tuple(found)


def _by_region(coded: Coded, done: str | None) -> Iterator[Issue]:
    said = components(coded.region or "")
    more = components(done or "") - said
    if not said or not more or "heart" in more or "spine" in said:
        return
    yield _issue(
        MORE,
        coded,
        f"{coded.name} by {coded.field}, {done} irradiated",
        "More was irradiated than the coded procedure names; its dose is not comparable.",
    )


def _less(part: Part, coded: Coded, done: str | None, lengths: list[float]) -> Iterator[Issue]:
    """Less than was coded: by code and by length, for a code alone is coarse."""
    said, got = components(coded.region or ""), components(done or "")
    span = _span(part, done)
    if not got or not got < said or not lengths or span is None:
        return
    if all(isinstance(e, CtEvent) and e.target_region for e in diagnostic_events(part)) and (
        max(lengths) <= span[1]
    ):
        yield _issue(
            LESS,
            coded,
            f"{coded.name} by {coded.field}, {done} over {max(lengths):.0f} mm",
            "Less was irradiated than the coded procedure names; its dose is not comparable.",
        )


def _by_length(part: Part, coded: Coded, lengths: list[float]) -> Iterator[Issue]:
    span = None if coded.name in _ANY_LENGTH else _span(part, coded.region)
    if span is None or not lengths:
        return
    least, most = span
    longest = max(lengths)
    seen = f"{coded.name} by {coded.field}, {longest:.0f} mm scanned"
    if longest > most:
        yield _issue(
            LONGER,
            coded,
            f"{seen}, {most:.0f} at most expected",
            "The scan is longer than the coded region; more may have been done than was coded.",
        )
    elif sum(lengths) < least:
        yield _issue(
            SHORTER,
            coded,
            f"{seen}, {least:.0f} at least expected",
            "The scans are shorter than the coded region; the exam may be another, or a repeat.",
        )


def _by_phases(part: Part, coded: Coded, texts: Iterable[str]) -> Iterator[Issue]:
    """Contrast and number of phases by words against those of the acquisitions."""
    said = list(texts)
    seen = _by_contrast(part, said) or _by_passes(part, coded, said)
    if seen is not None:
        message = "Phases or contrast were coded otherwise than they were done."
        yield _issue(PHASES, coded, seen, message)


def _by_contrast(part: Part, texts: Iterable[str]) -> str | None:
    """Contrast by words against contrast by the acquisitions' own codes."""
    by_events, by_words = contrast_of_events(part), contrast_of_words(texts)
    if by_events is None or by_words is None or by_events is by_words:
        return None
    if by_words is Contrast.WITH and by_events is Contrast.BOTH:
        return None  # the native phase before contrast is part of many such exams
    return f"{by_words.value} contrast by words, {by_events.value} by {_n_scans(part)} acquisitions"


def _by_passes(part: Part, coded: Coded, texts: Iterable[str]) -> str | None:
    """Phases by words against how often one place was scanned."""
    said = phases_of_words(texts)
    if said is None or coded.name in _ANY_LENGTH | _MANY_PASSES:
        return None
    done = passes_of(part)
    if done is None or said.least <= done.n <= said.most:
        return None
    times = "1 pass" if done.n == 1 else f"{done.n} passes"
    return f"{said.words} by words, {times} over the same {done.length_mm:.0f} mm"


def _n_scans(part: Part) -> int:
    return sum(1 for _ in diagnostic_events(part))


def _lengths(part: Part) -> list[float]:
    """Lengths of the diagnostic acquisitions, mm; by DLP and CTDIvol where none is stated."""
    return [x for e in diagnostic_events(part) if (x := _length(e)) is not None]


def _length(event: CtEvent) -> float | None:
    stated = event.scanning_length_mm or event.reconstructable_length_mm
    if stated:
        return stated
    if event.ctdi_vol_mgy and event.dlp_mgy_cm:
        return 10.0 * event.dlp_mgy_cm / event.ctdi_vol_mgy
    return None


@cache
def _table() -> dict[str, list[float]]:
    text = files("dose_lib.normalise").joinpath("regions.toml").read_text(encoding="utf-8")
    found: dict[str, list[float]] = tomllib.loads(text)["lengths_mm"]
    return found


def _span(part: Part, region: str | None) -> tuple[float, float] | None:
    """Least and most length of a scan of a region in this patient, mm.

    None for regions without a span of their own, and for children of unknown height.
    """
    row = _table().get(region or "")
    patient = part.patient
    if row is None:
        return None
    height = patient.height_cm
    if height is None or not _HEIGHT_CM[0] <= height <= _HEIGHT_CM[1]:
        if patient.age_y is None or patient.age_y < _ADULT_Y:
            return None
        height = _STANDARD_CM
    # A head grows less than a body.
    share = height / _STANDARD_CM if components(region or "") != {"head"} else 1.0
    return row[0] * min(share, 1.0), row[1] * max(share, 0.6)


def _issue(
    code: str, coded: Coded, seen: str, message: str, *, severity: Severity = Severity.INFO
) -> Issue:
    return Issue(
        code=code,
        severity=severity,
        where=coded.field,
        seen=seen,
        message=message,
        rule=RULE,
    )
