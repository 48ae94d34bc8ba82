"""Which level an exam or a practice is compared with, or why with none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from dose_lib.reference.level import Kind, Level, Quantity

EUROPE = "EU"
# "the DRL" of a question: the site's own where it has one, else the country's, else Europe's.
THE_DRL = (Kind.LOCAL, Kind.NATIONAL, Kind.EUROPEAN)


class Reason(StrEnum):
    """Why there is no verdict; the text beside it says it with the numbers."""

    NO_LEVEL = "no_level"
    NOT_IN_FORCE = "not_in_force"
    NOT_COMPARABLE = "not_comparable"
    AMBIGUOUS = "ambiguous_level"
    NOT_SIGNED_OFF = "not_signed_off"
    LEVEL_PHANTOM = "level_phantom_not_stated"
    EXAM_PHANTOM = "exam_phantom_not_stated"
    PHANTOM_MISMATCH = "phantom_mismatch"
    MIXED_PHANTOMS = "mixed_phantoms"
    MORE_DONE = "more_done_than_coded"
    NOMINAL_SIZE = "nominal_size"
    CONTRAST_UNKNOWN = "contrast_unknown"
    CONTRAST_DIFFERS = "contrast_differs"
    SIZE_UNKNOWN = "size_unknown"
    SIZE_OUTSIDE = "size_outside"
    SIZE_NOT_STANDARD = "size_not_standard"
    AGE_UNKNOWN = "age_unknown"
    NO_QUANTITY = "no_quantity"
    PER_MISMATCH = "per_mismatch"
    TOO_FEW = "too_few"


class Narrowed(NamedTuple):
    """Levels left of a library for one question, or the reason why none is."""

    levels: tuple[Level, ...]
    reason: Reason | None = None
    text: str | None = None


class Choice(NamedTuple):
    """The level for one exam, or the reason why there is none."""

    level: Level | None
    reason: Reason | None = None
    text: str | None = None


def _is_of_place(level: Level, country: str) -> bool:
    if level.kind is Kind.EUROPEAN:
        return True
    if level.origin == "site" or level.kind in (Kind.LOCAL, Kind.STUDY):
        return True
    return level.country == country


def _of_kind(level: Level, kind: Kind) -> bool:
    if kind is Kind.LOCAL:
        return level.kind is Kind.LOCAL
    return level.kind is kind and level.statistic not in ("p25",)


def narrow_levels(
    levels: Iterable[Level],
    *,
    procedure_name: str,
    quantity: Quantity | str,
    kind: Kind | str | Sequence[Kind | str],
    country: str,
    indication: str | None = None,
    contrast: str | None = None,
    by_contrast: bool = False,
    start: date | None = None,
    end: date | None = None,
) -> Narrowed:
    """The rows of a library that are for one procedure, quantity and kind.

    Parameters
    ----------
    levels
        The library.
    procedure_name, quantity
        What is compared.
    kind
        One kind, or several in order of preference: the first that has a row counts, for
        each population on its own (a site's adult levels leave the European ones for
        children in use). ``"drl"`` is local, national, European.
    country
        ISO code; achievable doses and national levels of other countries do not count.
    indication, contrast
        Where a set has several rows for a procedure, the one that fits; where that leaves
        more than one, the comparison is ambiguous and refused.
    by_contrast
        True keeps rows that differ in contrast, for callers that know it of each exam.
    start, end
        Period of the exams: a kind none of whose rows was in force in it makes room for the
        next kind.

    Returns
    -------
    Narrowed
        One row for each edition, population, band, statistic and way of counting; with a
        reason beside it where some of them were ambiguous and left out.
    """
    kinds = kinds_of(kind)
    fitting = [
        level
        for level in levels
        if level.procedure_name == procedure_name
        and level.quantity == quantity
        and _is_of_place(level, country)
    ]
    found: list[Level] = []
    for population in ("adult", "paediatric"):
        of_population = [x for x in fitting if x.population == population]
        rows = [[x for x in of_population if _of_kind(x, wanted)] for wanted in kinds]
        current = [[x for x in some if _overlaps(x, start, end)] for some in rows]
        # All editions of the kind stay: each exam meets the one of its own date.
        at = next((i for i, some in enumerate(current) if some), None)
        at = next((i for i, some in enumerate(rows) if some), None) if at is None else at
        found += [] if at is None else rows[at]
    if not found:
        named = " or ".join(k.value for k in kinds)
        text = f"no {named} level of {quantity} for {procedure_name} in {country}"
        return Narrowed((), Reason.NO_LEVEL, text)
    usable = [x for x in found if x.is_comparable]
    if not usable:
        details = ", ".join(sorted({x.detail or "no examination" for x in found}))
        text = f"the levels for {procedure_name} are not for a whole examination ({details})"
        return Narrowed((), Reason.NOT_COMPARABLE, text)
    return _resolve(usable, indication, contrast, by_contrast=by_contrast and contrast is None)


def _overlaps(level: Level, start: date | None, end: date | None) -> bool:
    starts_late = end is not None and level.valid_from is not None and level.valid_from > end
    ends_early = start is not None and level.valid_to is not None and level.valid_to < start
    return not starts_late and not ends_early


def kinds_of(kind: Kind | str | Sequence[Kind | str]) -> tuple[Kind, ...]:
    """Kinds in order of preference; ``"drl"`` stands for `THE_DRL`."""
    if isinstance(kind, str):
        return THE_DRL if kind == "drl" else (Kind(kind),)
    return tuple(Kind(k) for k in kind)


def slot_of(level: Level) -> tuple[object, ...]:
    """What must be equal for two rows to be for the same exams, contrast and indication apart."""
    return (
        level.set_id, level.edition, level.population, level.size_basis, level.size_min,
        level.size_max, level.phantom, level.statistic, level.per,
    )  # fmt: skip


def _resolve(
    levels: Sequence[Level], indication: str | None, contrast: str | None, *, by_contrast: bool
) -> Narrowed:
    """One row a slot: set, edition, population, band, statistic and counting."""
    slots: dict[tuple[object, ...], list[Level]] = {}
    for level in levels:
        slot = (*slot_of(level), level.contrast if by_contrast else None)
        slots.setdefault(slot, []).append(level)
    chosen: list[Level] = []
    doubt: str | None = None
    for rows in slots.values():
        left = _prefer(_prefer(rows, "indication", indication), "contrast", contrast)
        if len(left) == 1 or _is_one_value(left):
            chosen.append(left[0])
        else:
            names = ", ".join(sorted(_difference(x) for x in left))
            doubt = f"{left[0].set_id} has several levels for it ({names}); say which is meant"
    return Narrowed(tuple(chosen), Reason.AMBIGUOUS if doubt else None, doubt)


def _is_one_value(rows: Sequence[Level]) -> bool:
    """True for rows that differ in a detail only: no verdict depends on which of them is meant."""
    return len({(x.value, x.unit, x.indication, x.contrast) for x in rows}) == 1


def _prefer(rows: list[Level], field: str, wanted: str | None) -> list[Level]:
    """Rows that say what is wanted; else those that say nothing; else all."""
    if len(rows) == 1:
        return rows
    exact = [
        x for x in rows if wanted and (getattr(x, field) or "").casefold() == wanted.casefold()
    ]
    general = [x for x in rows if not getattr(x, field)]
    return exact or general or rows


def _difference(level: Level) -> str:
    words = (level.indication, level.contrast and f"{level.contrast} contrast", level.detail)
    return " ".join(w for w in words if w) or level.row_id


def newest(levels: Iterable[Level]) -> list[Level]:
    """Levels by edition, the newest first: what came into force last counts."""
    order = (date.min, 0)
    return sorted(levels, key=lambda x: (x.valid_from or order[0], x.year or 0), reverse=True)


def unusable(level: Level) -> Choice | None:
    """Why a level gives no verdict to anyone; None if it may."""
    if reason := level.sign_off_reason:
        text = f"{level.row_id} waits for the site's sign-off: {reason}"
        return Choice(level, Reason.NOT_SIGNED_OFF, text)
    if level.needs_phantom and level.phantom is None:
        text = f"{level.row_id} states no phantom; a sign-off may name it"
        return Choice(level, Reason.LEVEL_PHANTOM, text)
    if level.is_nominal_size:
        text = f"{level.row_id} is for a {level.band}, which names no band"
        return Choice(level, Reason.NOMINAL_SIZE, text)
    return None


def fits_patient(
    level: Level, *, age_y: float | None, weight_kg: float | None, child_age_y: float
) -> Reason | None:
    """Why a patient is not one the level is for; None if the patient is.

    Adults are those of `child_age_y` and older. A band holds its lower end and not its upper;
    bands of weight need a weight, never an age (RP 185: not to be mixed).
    """
    if age_y is None:
        return Reason.AGE_UNKNOWN
    if (age_y < child_age_y) != (level.population == "paediatric"):
        return Reason.SIZE_OUTSIDE
    if level.size_basis not in ("age", "weight"):
        return None if level.size_basis is None else Reason.PER_MISMATCH
    size = age_y if level.size_basis == "age" else weight_kg
    if size is None:
        return Reason.SIZE_UNKNOWN
    inside = (level.size_min or 0) <= size and (level.size_max is None or size < level.size_max)
    return None if inside else Reason.SIZE_OUTSIDE


def pick_level(
    levels: Iterable[Level],
    *,
    on: date,
    age_y: float | None,
    weight_kg: float | None = None,
    child_age_y: float = 16.0,
    must_be_usable: bool = True,
) -> Choice:
    """The level for one exam among those that `narrow_levels` left.

    Parameters
    ----------
    levels
        Candidates of one procedure, quantity and kind.
    on
        Date of the exam: chooses the edition in force.
    age_y, weight_kg
        Of the patient.
    child_age_y
        Age at which a patient is an adult, years.
    must_be_usable
        False also gives a level that waits for sign-off (as a yardstick, not for a verdict).

    Returns
    -------
    Choice
        Where no level fits, the reason nearest to a fit.
    """
    candidates = tuple(levels)
    in_force = [x for x in candidates if x.is_in_force(on)]
    if not in_force:
        names = ", ".join(sorted({f"{x.set_id} {x.edition}" for x in candidates})) or "none"
        return Choice(None, Reason.NOT_IN_FORCE, f"no level in force on {on} (have: {names})")
    reasons: list[Reason] = []
    for level in newest(in_force):
        fit = fits_patient(level, age_y=age_y, weight_kg=weight_kg, child_age_y=child_age_y)
        if fit is None:
            barred = unusable(level) if must_be_usable else None
            return barred or Choice(level)
        reasons.append(fit)
    order = (Reason.AGE_UNKNOWN, Reason.SIZE_UNKNOWN, Reason.PER_MISMATCH, Reason.SIZE_OUTSIDE)
    reason = min(reasons, key=order.index)
    return Choice(None, reason, f"no band of {in_force[0].set_id} fits: {reason.value}")
