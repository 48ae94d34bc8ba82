"""Reference levels beside a practice: the level each exam meets, as one expression.

Every exam gets the level of its own procedure, date, patient and phantom (`dose_lib.reference`
chooses); an exam that fits none gets none. Levels that wait for the site's sign-off are shown
as a yardstick and named so, and never decide whether an exam exceeds one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import ibis

from dose_lib.questions.catalogue import Quantity, clean, level_value
from dose_lib.reference import Level, narrow_levels, newest, unusable

KINDS = {
    "local_drl": "local",
    "national_drl": "national",
    "achievable_dose": "achievable",
    "drl": "drl",
}
LABELS = {
    "local_drl": "Local DRL",
    "national_drl": "National DRL",
    "achievable_dose": "Achievable dose",
    "drl": "DRL",
}


class LevelExpression(NamedTuple):
    """Level and compared value of each exam, and the levels in use."""

    level: Any
    value: Any
    levels: tuple[Level, ...]


def level_of_exams(
    table: Any,
    quantity: Quantity,
    reference: str,
    *,
    procedures: Iterable[str],
    levels: Sequence[Level],
    country: str,
    child_age_y: float,
    period: tuple[date | None, date | None],
    only_usable: bool = False,
) -> tuple[LevelExpression | None, tuple[str, ...]]:
    """The level of one kind for each exam of a table, None where no exam has one; and remarks.

    Parameters
    ----------
    table
        The view `studies` or a selection of it.
    quantity, reference
        What is compared, and with which slot value (`local_drl`, ...).
    procedures
        Names of the procedures in the selection.
    levels, country, child_age_y
        Library, country of the site, age at which a patient is an adult.
    period
        First day and first day after, for the editions in force.
    only_usable
        True leaves levels out that wait for sign-off.
    """
    if quantity.level is None:
        return None, (f"there are no levels for {quantity.label}",)
    found, notes = _candidates(
        quantity, reference, procedures, levels=levels, country=country, period=period
    )
    usable = [level for level in found if unusable(level) is None]
    waiting = [level for level in found if unusable(level) is not None]
    if only_usable:
        notes += tuple(_why(level) for level in waiting)
        found = usable
    else:
        notes += tuple(f"yardstick only, no verdict: {_why(level)}" for level in waiting)
    found = [x for x in found if _fits(x, quantity)]
    notes = tuple(dict.fromkeys(notes))
    if not found:
        return None, notes
    branches = [(_condition(table, level, child_age_y), level) for level in newest(found)]
    level = ibis.cases(*((met, x.value) for met, x in branches), else_=ibis.null("float64"))
    value = ibis.cases(
        *((met, level_value(quantity, _phantom(x))(table)) for met, x in branches),
        else_=ibis.null("float64"),
    )
    # An exam whose dose stands on another phantom than the level has no level.
    level = ibis.ifelse(value.isnull(), ibis.null("float64"), level)
    return LevelExpression(level, value, tuple(x for _, x in branches)), notes


def either(found: Sequence[LevelExpression]) -> LevelExpression | None:
    """Several quantities as one: each exam has its level on one phantom only."""
    if not found:
        return None
    level, value = found[0].level, found[0].value
    for other in found[1:]:
        level, value = level.coalesce(other.level), value.coalesce(other.value)
    return LevelExpression(level, value, tuple(x for f in found for x in f.levels))


def _candidates(
    quantity: Quantity,
    reference: str,
    procedures: Iterable[str],
    *,
    levels: Sequence[Level],
    country: str,
    period: tuple[date | None, date | None],
) -> tuple[list[Level], tuple[str, ...]]:
    found: list[Level] = []
    notes: list[str] = []
    start, end = period
    for procedure in procedures:
        narrowed = narrow_levels(
            levels,
            procedure_name=procedure,
            quantity=quantity.level or "",
            kind=KINDS[reference],
            country=country,
            start=start,
            end=end - timedelta(days=1) if end else None,
        )
        if narrowed.text:
            notes.append(narrowed.text)
        fitting = [x for x in narrowed.levels if x.per in quantity.per]
        if narrowed.levels and not fitting:
            notes.append(
                f"the levels for {procedure} are per {narrowed.levels[0].per}, "
                f"the exams have {quantity.label} per exam"
            )
        found += fitting
    return found, tuple(notes)


def _why(level: Level) -> str:
    choice = unusable(level)
    return choice.text or "" if choice else ""


def _phantom(level: Level) -> str | None:
    return str(level.phantom) if level.phantom else None


def _fits(level: Level, quantity: Quantity) -> bool:
    """A level on another phantom, or one that states none, is never drawn beside the data."""
    if level.needs_phantom and level.phantom is None:
        return False
    if level.statistic == "p25":
        return False
    return quantity.phantom is None or quantity.phantom == _phantom(level)


def _condition(table: Any, level: Level, child_age_y: float) -> Any:
    met = [table.procedure_name == level.procedure_name]
    if level.valid_from:
        met.append(table.started_at >= datetime.combine(level.valid_from, datetime.min.time()))
    if level.valid_to:
        after = level.valid_to + timedelta(days=1)
        met.append(table.started_at < datetime.combine(after, datetime.min.time()))
    age = clean(table.age_y)
    met.append(age < child_age_y if level.population == "paediatric" else age >= child_age_y)
    if level.size_basis in ("age", "weight"):
        size = age if level.size_basis == "age" else clean(table.weight_kg)
        met.append(size >= (level.size_min or 0.0))
        if level.size_max is not None:
            met.append(size < level.size_max)
    elif level.size_basis is not None:
        met.append(ibis.literal(False))
    together = met[0]
    for more in met[1:]:
        together = together & more
    return together.fill_null(False)
