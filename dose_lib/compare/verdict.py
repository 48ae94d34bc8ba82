"""The verdict on a practice against a reference level, and the rule that gives it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum

import msgspec

from dose_lib.compare.summary import NOTHING, Summary
from dose_lib.reference import Kind, Level, Quantity, Reason


class Status(StrEnum):
    """What a comparison says (reference drl_method §6)."""

    WITHIN = "within"
    OPTIMISE = "optimise"
    EXCEEDS = "exceeds"
    CONSISTENTLY_EXCEEDS = "consistently_exceeds"
    NO_VERDICT = "no_verdict"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One practice against one level.

    Attributes
    ----------
    status, reason, text
        The verdict; where there is none, why, as a code and in words with the numbers.
    unit, name
        What was judged: a ``room``, a ``device`` (where no room is known) or the
        ``facility``, whose figures are those of the medians of its rooms.
    site, devices
        Where, and the devices in that room.
    procedure_name, quantity, band, basis
        What was compared; `basis` says how an exam's value was made.
    start, end
        First and last day of the period; None is open.
    figures
        n, median, quartiles and interval of the median, in `dose_unit`.
    n_all, left_out
        Exams looked at, and how many of them were left out for which reason.
    size_rule, mean_weight_kg, share_in_window
        Which sizes counted, their mean weight, and the share of exams in the window.
    level, achievable
        The level, and the achievable dose of the same set where it has one.
    ratio, share_above
        Median over level; share of exams above the level, a figure and never a verdict.
    previous
        Status of the period of the same length before.
    notes
        What a reader should know: indication of the level, few children, ...
    """

    status: Status
    reason: Reason | None = None
    text: str | None = None
    unit: str
    name: str
    site: str | None = None
    devices: tuple[str, ...] = ()
    procedure_name: str
    quantity: Quantity
    band: str
    basis: str
    dose_unit: str | None = None
    start: date | None = None
    end: date | None = None
    figures: Summary = NOTHING
    n_all: int = 0
    left_out: Mapping[str, int] = msgspec.field(default_factory=dict)
    size_rule: str | None = None
    mean_weight_kg: float | None = None
    share_in_window: float | None = None
    level: Level | None = None
    achievable: float | None = None
    ratio: float | None = None
    share_above: float | None = None
    previous: Status | None = None
    notes: tuple[str, ...] = ()

    def in_words(self) -> str:
        """The verdict as a sentence for a report."""
        f = self.figures
        dose = "no value" if f.median is None else f"median {f.median:.4g} {self.dose_unit}"
        head = f"{self.name}, {self.procedure_name}, {self.band}: {dose} (n = {f.n})"
        if self.status is Status.NO_VERDICT or self.level is None:
            return f"{head}; no verdict, because {self.text}"
        interval = "" if f.ci_low is None else f", 95 % CI {f.ci_low:.4g} to {f.ci_high:.4g}"
        word = self.status.value.replace("_", " ")
        return f"{head}{interval}; {word}: level {self.level.in_words()}"


def judge(
    figures: Summary,
    level: Level,
    *,
    achievable: float | None = None,
    previous: Status | None = None,
) -> Status:
    """Status of a median that may be compared with a level.

    Parameters
    ----------
    figures
        Of the practice; n must have been found sufficient.
    level
        The level. Against an achievable dose a larger median is room for optimisation, never
        an exceeded level.
    achievable
        Achievable dose of the same row, if the set has one.
    previous
        Status of the period before.

    Notes
    -----
    ``exceeds``: median above the level. ``consistently_exceeds``: the interval of the median
    lies wholly above, or the period before exceeded too (the law says "consistently" only,
    Directive 2013/59/Euratom Art. 58(f); these two readings are ours). ``optimise``: median
    above the achievable dose. A median equal to the level is within it.
    """
    median = figures.median
    if median is None:
        return Status.NO_VERDICT
    if median <= level.value:
        room = achievable is not None and median > achievable
        return Status.OPTIMISE if room else Status.WITHIN
    if level.kind is Kind.ACHIEVABLE:
        return Status.OPTIMISE
    above = figures.ci_low is not None and figures.ci_low > level.value
    before = previous in (Status.EXCEEDS, Status.CONSISTENTLY_EXCEEDS)
    return Status.CONSISTENTLY_EXCEEDS if above or before else Status.EXCEEDS
