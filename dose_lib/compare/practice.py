"""Practice against reference levels: every procedure, band and room, each with its verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime

import numpy as np

from dose_lib.compare.exams import (
    PER_PROJECTION,
    Backend,
    Flags,
    Scope,
    by_name,
    read_exams,
    read_exposures,
    read_scans,
)
from dose_lib.compare.room import verdicts_of
from dose_lib.compare.rule import Rule
from dose_lib.compare.table import Comparison
from dose_lib.compare.task import Task, fits_level, units_of, why_no_level
from dose_lib.compare.verdict import Status, Verdict
from dose_lib.normalise import members, projections
from dose_lib.reference import (
    Kind,
    Level,
    Narrowed,
    Per,
    Quantity,
    Reason,
    load_levels,
    narrow_levels,
    newest,
)
from dose_lib.settings import Settings, load_settings

QUANTITIES = (
    Quantity.DLP, Quantity.CTDI_VOL, Quantity.KAP, Quantity.KA_R, Quantity.FLUORO_TIME,
    Quantity.KA_E, Quantity.KA_I, Quantity.AGD, Quantity.ACTIVITY,
)  # fmt: skip


def compare_practice(
    con: Backend,
    *,
    procedure_name: str | Sequence[str] | None = None,
    device: str | None = None,
    room: str | None = None,
    site: str | None = None,
    start: date | None = None,
    end: date | None = None,
    kind: str | Kind | Sequence[str | Kind] = Kind.NATIONAL,
    quantities: Sequence[str | Quantity] = QUANTITIES,
    indication: str | None = None,
    contrast: str | None = None,
    levels: Iterable[Level] | None = None,
    settings: Settings | None = None,
    minimum_n: int | None = None,
    as_of: datetime | None = None,
) -> Comparison:
    """Medians of a practice against reference levels, by procedure, size band and room.

    Parameters
    ----------
    con
        ibis backend of `dose_lib.connect` (or any with the views `studies` and `events`).
    procedure_name
        One canonical procedure or projection, or several; all that occur by default.
    device, room, site
        Restrict the exams.
    start, end
        First and last day of the period, inclusive; with both, the period of the same length
        before tells "exceeds" from "consistently exceeds".
    kind
        ``national``, ``local``, ``european``, ``achievable``, ``study``; several in order of
        preference; ``"drl"``: local, else national, else European.
    quantities
        Quantities to compare; those without exams of their modality give no rows.
    indication, contrast
        Which of several levels of a procedure is meant. Without `contrast` each exam meets
        the level of its own.
    levels, settings, minimum_n
        Library, installation and least n; by default those of this installation, with the
        sign-offs and adopted levels that `con` knows.
    as_of
        A moment with zone: the answer as it was then, by the exams that had arrived, the names
        they had and the levels that were signed off or adopted.

    Returns
    -------
    Comparison
        One verdict a procedure or projection, quantity, band, level edition and unit. The unit
        is the room (the device, where no room is known); where a site has two or more, a row
        ``facility`` holds the median over their medians. Exams no level fits are rows of their
        own with
        the reason. Rules: ICRP 135, DESIGN §8, docs/comparison.md.
    """
    settings = settings or load_settings()
    known = load_levels(settings, con=con, as_of=as_of) if levels is None else levels
    library = tuple(known)
    rule = Rule(
        kind,
        settings.country,
        settings.child_age_y,
        settings.minimum_n if minimum_n is None else minimum_n,
        indication,
        contrast,
        start,
        end,
        as_of,
    )
    names = (procedure_name,) if isinstance(procedure_name, str) else procedure_name
    wanted = tuple(Quantity(q) for q in quantities)
    chosen = None if names is None else tuple(names)
    scope = Scope(chosen, device, room, site, rule.first_day, end, as_of)
    tasks = (
        *_exam_tasks(con, scope, wanted, rule, library),
        *_shot_tasks(con, scope, wanted, rule),
    )
    return Comparison(tuple(v for task in tasks for v in compare_task(task, library)), rule)


def _exam_tasks(
    con: Backend, scope: Scope, wanted: Sequence[Quantity], rule: Rule, library: Sequence[Level]
) -> Iterator[Task]:
    """Comparisons of whole exams, by procedure and quantity."""
    exams = read_exams(con, scope)
    scans = read_scans(con, scope, exams) if _asks_scans(wanted, library) else None
    units, unit_of = units_of(exams)
    for name, rows in by_name(exams):
        mine = exams.take(rows)
        own_scans = None if scans is None else scans.take(rows)
        for quantity in wanted:
            yield Task(name, quantity, mine, own_scans, units, unit_of[rows], rule)


def _shot_tasks(
    con: Backend, scope: Scope, wanted: Sequence[Quantity], rule: Rule
) -> Iterator[Task]:
    """Comparisons of exposures, by projection or group of projections and quantity."""
    if not set(wanted) & set(PER_PROJECTION):
        return
    names = scope.procedures
    if names is not None:
        inside = tuple(m for n in names for m in members(n) if n in projections())
        if not inside:
            return
        scope = scope._replace(procedures=inside)
    shots = read_exposures(con, scope)
    units, unit_of = units_of(shots)
    places = dict(by_name(shots))
    for name in names or projections():
        own = [places[m] for m in members(name) if m in places]
        if not own:
            continue
        rows = np.sort(np.concatenate(own))
        mine = shots.take(rows)
        for quantity in wanted:
            yield Task(name, quantity, mine, None, units, unit_of[rows], rule, is_projection=True)


def _asks_scans(wanted: Sequence[Quantity], library: Sequence[Level]) -> bool:
    by_scan = (Per.SCAN, Per.ACQUISITION)
    return any(x.quantity in wanted and x.modality == "CT" and x.per in by_scan for x in library)


def compare_task(task: Task, library: Iterable[Level]) -> Iterator[Verdict]:
    """Verdicts of one procedure and quantity: each exam meets one edition, or is told why none.

    Of several editions in force on a day the newest counts.
    """
    if not task.has_quantity:
        return
    rule = task.rule
    found = narrow_levels(
        library,
        procedure_name=task.name,
        quantity=task.quantity,
        kind=rule.kind,
        country=rule.country,
        indication=rule.indication,
        contrast=rule.contrast,
        by_contrast=True,
        start=rule.start,
        end=rule.end,
    )
    own = _of_counting(found.levels, task)
    if own is None:
        return
    levels = _in_order([x for x in own if _stands_alone(x)])
    met: dict[tuple[object, ...], Flags] = {}
    left = np.ones(task.exams.n, dtype=bool)
    for level in levels:
        # Per scan and per exam, on either phantom, are comparisons of their own.
        before = met.get(way := (level.per, level.phantom), np.zeros(task.exams.n, dtype=bool))
        fits = fits_level(level, task, levels) & ~before
        met[way] = before | fits
        left &= ~fits
        if fits.any():
            yield from verdicts_of(task, level, own, fits)
    left &= task.in_period(rule.start, rule.end)
    if left.any():
        yield from _unjudged(task, left, _why(found, levels, task, left))


def _of_counting(found: Sequence[Level], task: Task) -> Sequence[Level] | None:
    """Levels that count as the task does; None where the other kind of task has the exams."""
    own = [x for x in found if (x.per is Per.PROJECTION) == task.is_projection]
    if own or not found:
        return None if task.is_projection and not found else own
    is_told_there = task.is_projection or (
        task.quantity in PER_PROJECTION and task.name in projections()
    )
    return None if is_told_there else found


def _stands_alone(level: Level) -> bool:
    """A median is a level of its own only where it was asked for, or is the site's."""
    if level.statistic == "p50":
        return level.kind is Kind.ACHIEVABLE or level.origin == "site"
    return level.statistic != "p25"


def _in_order(levels: Sequence[Level]) -> list[Level]:
    """Newest edition first; within one medians after the levels, the general after the exact."""
    rank = {edition: i for i, edition in enumerate(_edition(x) for x in newest(levels))}
    return sorted(
        levels, key=lambda x: (rank[_edition(x)], x.statistic == "p50", x.contrast is None)
    )


def _edition(level: Level) -> tuple[object, ...]:
    return level.valid_from, level.year, level.set_id, level.edition


def _why(found: Narrowed, levels: Sequence[Level], task: Task, rows: Flags) -> tuple[Reason, str]:
    if not levels:
        return found.reason or Reason.NO_LEVEL, found.text or "no level"
    reason, text = why_no_level(levels, task, rows)
    # A row left out as ambiguous may be the one that would have fitted.
    if reason is Reason.SIZE_OUTSIDE and found.reason is not None:
        return found.reason, found.text or text
    return reason, text


def _unjudged(task: Task, rows: Flags, why: tuple[Reason, str]) -> Iterator[Verdict]:
    """Exams no level is for, as rows of their own: nothing is dropped in silence."""
    for code in task.units_in(rows):
        mine = (task.unit_of == code) & rows
        unit = task.units[code]
        yield Verdict(
            status=Status.NO_VERDICT,
            reason=why[0],
            text=why[1],
            unit=unit.kind,
            name=unit.name,
            site=unit.site,
            devices=task.devices_in(mine),
            procedure_name=task.name,
            quantity=task.quantity,
            band="no band",
            basis="not compared",
            start=task.rule.start,
            end=task.rule.end,
            n_all=int(mine.sum()),
        )
