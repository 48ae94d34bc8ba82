"""Per-study triggers: what one exam reached, apart from reference levels.

A reference level is for the median of a practice; these values are for single exams:
notification and substantial radiation dose levels of fluoroscopy (AAPM MPPG 12.a; SIR, NCRP 168),
notification and alert values of CT (AAPM Dose Check, NEMA XR 25). They are rows of the library of
kind ``trigger``, each with its source and confidence; a site's own rows come first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from dose_lib.normalise import is_diagnostic
from dose_lib.normalise.regions import components, region_of_code
from dose_lib.records import CtAcquisitionType, CtEvent, Modality, Part
from dose_lib.reference import Confidence, Kind, Level, Per, Quantity
from dose_lib.reference.template import TIMES

FLUOROSCOPY = (Modality.RF, Modality.XA)
_TRUNK = frozenset({"chest", "abdomen", "pelvis", "spine", "heart"})


class Step(StrEnum):
    """How grave a trigger is, the gravest last."""

    NOTIFICATION = "notification"
    ALERT = "alert"
    SUBSTANTIAL = "substantial"


class Trigger(NamedTuple):
    """A value for single exams; `increment` repeats a notification above it."""

    level: Level
    step: Step
    increment: float | None = None


class Crossed(NamedTuple):
    """A trigger that an exam reached.

    Attributes
    ----------
    trigger, value
        Which one, and the exam's value in the level's unit.
    times
        1, and one more for every increment above a notification.
    basis
        What the value is of.
    """

    trigger: Trigger
    value: float
    times: int
    basis: str


def triggers_of(levels: Iterable[Level], sets: Sequence[str] | None = None) -> tuple[Trigger, ...]:
    """Triggers of a library, the site's own first, then the better transcribed.

    Parameters
    ----------
    levels
        The library.
    sets
        Published sets that are looked at; None for all. Rows of the site always are.
    """
    rows = [
        x
        for x in levels
        if x.kind is Kind.TRIGGER
        and x.unit != TIMES
        and (x.origin == "site" or sets is None or x.set_id in sets)
    ]
    steps = {x.row_id: _word(x) for x in rows}
    increments = {(x.set_id, x.quantity): x.value for x in rows if steps[x.row_id] == "increment"}
    found = [
        Trigger(x, step, increments.get((x.set_id, x.quantity)) if step == "notification" else None)
        for x in rows
        if (step := _step(steps[x.row_id])) is not None
    ]
    order = list(Confidence)
    return tuple(
        sorted(
            found,
            key=lambda t: (
                t.level.origin != "site",
                not t.level.is_signed_off,
                order.index(t.level.confidence),
            ),
        )
    )


def _word(level: Level) -> str:
    """Which step a row is for: the site says it as the indication, the sources in their words."""
    said = (level.indication or level.source_procedure or "").casefold()
    for word in ("increment", "substantial", "alert"):
        if word in said:
            return word
    return "notification"


def _step(word: str) -> Step | None:
    return None if word == "increment" else Step(word)


def crossed(
    part: Part, triggers: Iterable[Trigger], *, child_age_y: float = 16.0
) -> tuple[Crossed, ...]:
    """Triggers an exam reached, for each quantity and step the first that is for it.

    Values of fluoroscopy count when they are reached (MPPG 12.a: "at 3 Gy"), those of CT when
    they are exceeded (NEMA XR 25). Phantoms and quality control reach none.
    """
    if part.is_patient is False:
        return ()
    found: list[Crossed] = []
    settled: set[tuple[object, ...]] = set()
    for trigger in _for_patient(part, triggers, child_age_y):
        level = trigger.level
        key = (level.quantity, trigger.step, level.per, level.phantom, _narrower(level))
        if key in settled:
            continue
        value = _value(part, level)
        if value is None:
            continue
        settled.add(key)
        number, basis = value
        if times := _times(trigger, number, is_ct=part.modality is Modality.CT):
            found.append(Crossed(trigger, number, times, basis))
    return tuple(found)


def _narrower(level: Level) -> str | None:
    """Rows for a part of the body or a way of scanning stand beside each other."""
    return level.procedure_name or level.source_procedure if level.modality == "CT" else None


def _for_patient(part: Part, triggers: Iterable[Trigger], child_age_y: float) -> Iterator[Trigger]:
    """Triggers of the exam's modality and procedure; adults' where none is for the child's age.

    An unknown age is taken for an adult's: the higher value, no alert that rests on a guess.
    """
    own = [t for t in triggers if _is_of_exam(part, t.level)]
    age = part.patient.age_y
    is_child = age is not None and age < child_age_y
    of_age = [t for t in own if t.level.population == "paediatric" and _fits_age(t.level, age)]
    bodies = {_body(t.level) for t in of_age if is_child}
    for trigger in own:
        if trigger.level.population == "paediatric":
            if is_child and trigger in of_age:
                yield trigger
        elif _body(trigger.level) not in bodies or trigger.level.quantity != Quantity.CTDI_VOL:
            yield trigger


def _is_of_exam(part: Part, level: Level) -> bool:
    same = part.modality == level.modality
    if level.modality in FLUOROSCOPY and level.origin != "site":
        same = part.modality in FLUOROSCOPY
    return same and level.procedure_name in (None, part.procedure_name)


def _fits_age(level: Level, age: float | None) -> bool:
    if level.size_basis is None:
        return True
    if age is None or level.size_basis != "age":
        return False
    return (level.size_min or 0) <= age and (level.size_max is None or age < level.size_max)


def _body(level: Level) -> str:
    """Part of the body a row of CT is for: the sources leave the trunk unnamed."""
    if level.per is Per.EXAM:
        return "exam"
    return level.body_region or "trunk"


def _times(trigger: Trigger, value: float, *, is_ct: bool) -> int:
    threshold = trigger.level.value
    if value < threshold or (is_ct and value == threshold):
        return 0
    if trigger.increment is None:
        return 1
    return 1 + int((value - threshold) / trigger.increment + 1e-9)


def _value(part: Part, level: Level) -> tuple[float, str] | None:
    """The exam's value for a row, and what it is of; None where it has none."""
    if part.modality is Modality.CT and level.quantity is Quantity.CTDI_VOL:
        return _of_scans(part, level) if level.per is not Per.EXAM else accumulated_ctdi(part)
    value = _TOTALS[level.quantity](part) if level.quantity in _TOTALS else None
    return None if value is None else (value, "of the exam")


def _ka_r(part: Part) -> float | None:
    """The larger plane: skin is exposed by one of them at a time."""
    larger = part.totals.ka_r_max_plane_mgy
    return part.totals.ka_r_mgy if larger is None else larger


_TOTALS: dict[Quantity, Callable[[Part], float | None]] = {
    Quantity.KA_R: _ka_r,
    Quantity.KAP: lambda part: part.totals.kap_gy_cm2,
    Quantity.FLUORO_TIME: lambda part: part.totals.fluoro_time_s,
    Quantity.DLP: lambda part: part.totals.dlp_total_mgy_cm,
}


def _of_scans(part: Part, level: Level) -> tuple[float, str] | None:
    """Largest CTDIvol of the acquisitions a row is for."""
    doses = [
        e.ctdi_vol_mgy
        for e in part.events
        if isinstance(e, CtEvent) and e.ctdi_vol_mgy is not None and _is_for(level, part, e)
    ]
    return (max(doses), "of one acquisition") if doses else None


def _is_for(level: Level, part: Part, event: CtEvent) -> bool:
    if level.phantom is not None and event.phantom != level.phantom:
        return False
    said = (level.source_procedure or "").casefold()
    is_perfusion = _is_perfusion(event)
    if is_perfusion or "perfusion" in said:
        return is_perfusion and "perfusion" in said and _lies_in(part, event, "head")
    if not is_diagnostic(event):
        return False
    wanted = {"spiral": CtAcquisitionType.SPIRAL, "sequential": CtAcquisitionType.SEQUENCED}
    ways = [way for word, way in wanted.items() if word in said]
    if ways and event.acquisition_type not in ways:
        return False
    return level.procedure_name is not None or _lies_in(part, event, _body(level))


def _is_perfusion(event: CtEvent) -> bool:
    named = "perfusion" in (event.acquisition_protocol or "").casefold()
    return named and event.acquisition_type is not CtAcquisitionType.CONSTANT_ANGLE


def _lies_in(part: Part, event: CtEvent, body: str) -> bool:
    """True if an acquisition is of the row's part of the body.

    Hearts have values of their own; where no region is known the phantom alone decides.
    """
    region = region_of_code(event.target_region) or part.body_region
    inside = components(region or "")
    if body != "trunk":
        return inside == components(body)
    return not inside or (bool(inside & _TRUNK) and inside != {"heart"})


def accumulated_ctdi(part: Part) -> tuple[float, str] | None:
    """Largest CTDIvol accumulated at one place of the table, mGy.

    Events of one phantom are added where their ranges overlap; those that state no range are
    added everywhere, so that the value is then an upper bound, and its basis says so.
    """
    events = [e for e in part.events if isinstance(e, CtEvent) and e.ctdi_vol_mgy is not None]
    best: tuple[float, str] | None = None
    for phantom in {e.phantom for e in events}:
        doses = [(e.ctdi_vol_mgy or 0.0, _range(e)) for e in events if e.phantom == phantom]
        anywhere = sum(dose for dose, place in doses if place is None)
        placed = [(dose, place) for dose, place in doses if place is not None]
        # The sum can only be largest where one of the ranges begins.
        peaks = [sum(d for d, (a, b) in placed if a <= z < b) for _, (z, _) in placed]
        total = anywhere + max(peaks, default=0.0)
        is_bound = any(place is None for _, place in doses) and len(doses) > 1
        words = "added up at one place of the table"
        words += ", at most: not every event states its range" if is_bound else ""
        best = max(best or (0.0, ""), (total, words), key=lambda pair: pair[0])
    return best


def _range(event: CtEvent) -> tuple[float, float] | None:
    for a, b in (
        (event.scan_bottom_z_mm, event.scan_top_z_mm),
        (event.reconstructable_bottom_z_mm, event.reconstructable_top_z_mm),
    ):
        if a is not None and b is not None and a != b:
            return min(a, b), max(a, b)
    return None
