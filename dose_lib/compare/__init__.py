"""Practice against reference levels: medians, intervals, verdicts, and why there is none."""

from __future__ import annotations

from dose_lib.compare.expectation import (
    Expectation,
    PatientSize,
    SizeBasis,
    expect,
    multiples_of,
    sizes_of,
)
from dose_lib.compare.local import LocalLevel, LocalLevels, Method, local_levels
from dose_lib.compare.practice import QUANTITIES, compare_practice, compare_task
from dose_lib.compare.rule import Rule
from dose_lib.compare.summary import Summary, median_rank, summarise
from dose_lib.compare.table import COLUMNS, Comparison
from dose_lib.compare.triggers import Crossed, Step, Trigger, crossed, triggers_of
from dose_lib.compare.verdict import Status, Verdict, judge

__all__ = [
    "COLUMNS",
    "QUANTITIES",
    "Comparison",
    "Crossed",
    "Expectation",
    "LocalLevel",
    "LocalLevels",
    "Method",
    "PatientSize",
    "Rule",
    "SizeBasis",
    "Status",
    "Step",
    "Summary",
    "Trigger",
    "Verdict",
    "compare_practice",
    "compare_task",
    "crossed",
    "expect",
    "judge",
    "local_levels",
    "median_rank",
    "multiples_of",
    "sizes_of",
    "summarise",
    "triggers_of",
]
