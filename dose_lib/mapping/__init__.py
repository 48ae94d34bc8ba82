"""Names that wait for a person, what a decision about one would do, and the decisions made.

The store gives no name below the site's threshold; here a person sees each such name with what
it may mean and why, sees the effect of a decision before it is taken, takes it or takes it back.
"""

from __future__ import annotations

from dose_lib.mapping.decide import (
    Standing,
    accept_name,
    name_anew,
    name_history,
    standing_names,
    undo_name,
)
from dose_lib.mapping.documentation import documentation_mismatches, mismatch_counts
from dose_lib.mapping.doubtful import find_doubtful
from dose_lib.mapping.effect import Effect, Ratio, effect_of
from dose_lib.mapping.learn import learn_names
from dose_lib.mapping.texts import modalities_of
from dose_lib.mapping.waiting import WaitingName, find_waiting, waiting_names

__all__ = [
    "Effect",
    "Ratio",
    "Standing",
    "WaitingName",
    "accept_name",
    "documentation_mismatches",
    "effect_of",
    "find_doubtful",
    "find_waiting",
    "learn_names",
    "mismatch_counts",
    "modalities_of",
    "name_anew",
    "name_history",
    "standing_names",
    "undo_name",
    "waiting_names",
]
