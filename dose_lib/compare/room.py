"""Verdicts of one level: for each room, and for the facility over its rooms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from dose_lib.compare.exams import Flags
from dose_lib.compare.rule import Rule
from dose_lib.compare.size import Selection, needed_n, select_size
from dose_lib.compare.summary import NOTHING, Summary, summarise
from dose_lib.compare.task import Task, Unit
from dose_lib.compare.values import Measured, measure_exams
from dose_lib.compare.verdict import Status, Verdict, judge
from dose_lib.reference import Level, Reason, unusable

# What must be equal for a median to be the achievable dose beside a level.
_SAME_ROW = (
    "set_id", "edition", "population", "size_min", "size_max", "phantom", "per", "indication",
    "contrast",
)  # fmt: skip


class Case(NamedTuple):
    """One level and the values of the exams it is for."""

    task: Task
    level: Level
    achievable: float | None
    measured: Measured

    @property
    def least(self) -> int:
        """Patients a verdict needs."""
        return needed_n(self.level, self.task.rule.minimum_n)


class Sample(NamedTuple):
    """The exams of one unit and period: their figures, or why they give no verdict."""

    figures: Summary
    left_out: Counter[str]
    size: Selection
    share_above: float | None
    blocked: tuple[Reason, str] | None


def verdicts_of(
    task: Task, level: Level, family: Sequence[Level], fits: Flags
) -> Iterator[Verdict]:
    """Verdicts of one level for each unit, then each facility that has two units or more.

    The facility is the site; rooms without one are one facility.

    Parameters
    ----------
    task
        The comparison.
    level
        The level.
    family
        All levels of the procedure, where its achievable dose is looked for.
    fits
        Exams the level is for, of the period and of the one before.
    """
    rule = task.rule
    measured = measure_exams(level, task.exams, task.scans)
    case = Case(task, level, achievable_beside(level, family), measured)
    now = fits & task.in_period(rule.start, rule.end)
    before = fits & task.in_period(*rule.before) if rule.before else np.zeros_like(fits)
    rooms: list[Verdict] = []
    earlier: list[Sample] = []
    for code in task.units_in(now):
        mine = task.unit_of == code
        earlier.append(sample_of(case, mine & before))
        previous = None if earlier[-1].blocked else judge(earlier[-1].figures, level)
        rooms.append(_verdict(case, task.units[code], mine & now, previous))
    yield from rooms
    for site in sorted({v.site for v in rooms}, key=str):
        pairs = [(v, s) for v, s in zip(rooms, earlier, strict=True) if v.site == site]
        if len(pairs) > 1:
            yield _facility(case, [v for v, _ in pairs], [s for _, s in pairs])


def achievable_beside(level: Level, family: Sequence[Level]) -> float | None:
    """Median of the same row of the same edition, where the set gives one that may be used."""
    for other in family:
        is_median = other.statistic == "p50" and other is not level and unusable(other) is None
        if is_median and all(getattr(other, f) == getattr(level, f) for f in _SAME_ROW):
            return other.value
    return None


def sample_of(case: Case, rows: Flags) -> Sample:
    """Figures of some exams of a case, of those of the right size, or why there are none."""
    value = case.measured.value
    known = rows & ~np.isnan(value)
    left_out = Counter(str(r) for r in case.measured.reason[rows & ~known])
    size = select_size(case.level, case.task.exams.weight_kg[known], case.least)
    values = value[known][size.keep]
    figures = summarise(values)
    above = float((values > case.level.value).mean()) if figures.n else None
    blocked = _blocked(case, figures.n, left_out, size)
    return Sample(figures, left_out, size, above, blocked)


def _blocked(
    case: Case, n: int, left_out: Counter[str], size: Selection
) -> tuple[Reason, str] | None:
    """Why there is no verdict, the reason nearest to its cause first."""
    barred = unusable(case.level)
    if barred is not None and barred.reason is not None:
        return barred.reason, barred.text or ""
    if n < case.least and left_out:
        cause, count = left_out.most_common(1)[0]
        if n == 0 or n + count >= case.least:
            words = cause.replace("_", " ")
            told = f"{words} in {in_exams(count)}; {n} left, {case.least} are needed"
            return Reason(cause), told
    if size.reason is not None:
        return size.reason, size.text or ""
    return (Reason.TOO_FEW, f"{in_exams(n)}, {case.least} are needed") if n < case.least else None


def in_exams(n: int) -> str:
    """A number of exams in words."""
    return "1 exam" if n == 1 else f"{n} exams"


def _verdict(case: Case, unit: Unit, rows: Flags, previous: Status | None) -> Verdict:
    level, rule = case.level, case.task.rule
    sample = sample_of(case, rows)
    figures, blocked = sample.figures, sample.blocked
    status = Status.NO_VERDICT
    if blocked is None:
        status = judge(figures, level, achievable=case.achievable, previous=previous)
    return Verdict(
        status=status,
        reason=blocked and blocked[0],
        text=blocked and blocked[1],
        unit=unit.kind,
        name=unit.name,
        site=unit.site,
        devices=case.task.devices_in(rows),
        procedure_name=case.task.name,
        quantity=level.quantity,
        band=level.band,
        basis=case.measured.basis,
        dose_unit=level.unit,
        start=rule.start,
        end=rule.end,
        figures=figures,
        n_all=int(rows.sum()),
        left_out=dict(sample.left_out),
        size_rule=sample.size.rule,
        mean_weight_kg=sample.size.mean_weight_kg,
        share_in_window=sample.size.share_in_window,
        level=level,
        achievable=case.achievable,
        ratio=None if figures.median is None else figures.median / level.value,
        share_above=sample.share_above,
        previous=previous,
        notes=_notes(level, figures.n, rule),
    )


def _notes(level: Level, n: int, rule: Rule) -> tuple[str, ...]:
    notes = []
    if level.indication:
        notes.append(f"the level is for {level.indication}")
    if level.contrast:
        notes.append(f"the level is for exams {level.contrast} contrast")
    if level.signed_by:
        notes.append(f"signed off by {level.signed_by}")
    if level.population == "paediatric" and 0 < n < rule.minimum_n:
        notes.append("few children: ten a band are the least (RP 185)")
    return tuple(notes)


def _facility(case: Case, rooms: Sequence[Verdict], earlier: Sequence[Sample]) -> Verdict:
    """Median over the medians of the rooms that have a verdict, now and in the period before."""
    judged = [v for v in rooms if v.status is not Status.NO_VERDICT]
    figures = over_rooms([v.figures for v in judged])
    before = over_rooms([s.figures for s in earlier if s.blocked is None])
    previous = None if before.median is None else judge(before, case.level)
    status = judge(figures, case.level, achievable=case.achievable, previous=previous)
    if status is Status.EXCEEDS and all(v.status is Status.CONSISTENTLY_EXCEEDS for v in judged):
        status = Status.CONSISTENTLY_EXCEEDS
    reasons = Counter(v.reason for v in rooms if v.reason is not None)
    told = "; ".join(f"{v.name}: {v.text}" for v in rooms)
    return Verdict(
        status=status,
        reason=None if judged else reasons.most_common(1)[0][0],
        text=None if judged else f"no room has a verdict ({told})",
        unit="facility",
        name=rooms[0].site or "all rooms",
        site=rooms[0].site,
        procedure_name=case.task.name,
        quantity=case.level.quantity,
        band=case.level.band,
        basis=f"median over the medians of {len(judged)} of {len(rooms)} rooms",
        dose_unit=case.level.unit,
        start=case.task.rule.start,
        end=case.task.rule.end,
        figures=figures,
        n_all=sum(v.n_all for v in rooms),
        size_rule=rooms[0].size_rule,
        level=case.level,
        achievable=case.achievable,
        ratio=None if figures.median is None else figures.median / case.level.value,
        previous=previous,
        notes=rooms[0].notes,
    )


def over_rooms(figures: Sequence[Summary]) -> Summary:
    """Quartiles over rooms; n counts exams, and no interval: rooms are no sample of rooms."""
    medians = [f.median for f in figures if f.median is not None]
    if not medians:
        return NOTHING
    over = summarise(np.array(medians, dtype=np.float64))
    return over._replace(n=sum(f.n for f in figures), ci_low=None, ci_high=None)
