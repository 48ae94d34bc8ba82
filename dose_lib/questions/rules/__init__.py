"""From what was found in a question to the slots of a query; one rule a slot, in order."""

from __future__ import annotations

from dose_lib.questions.rules.amounts import place_amounts, read_amounts, read_top
from dose_lib.questions.rules.figures import place_levels, place_statistic
from dose_lib.questions.rules.groups import place_grain, place_groups
from dose_lib.questions.rules.periods import place_time, read_time
from dose_lib.questions.rules.shape import place_chart, place_order, settle, take_plain_words
from dose_lib.questions.rules.subjects import place_patients, place_subjects

__all__ = [
    "place_amounts",
    "place_chart",
    "place_grain",
    "place_groups",
    "place_levels",
    "place_order",
    "place_patients",
    "place_statistic",
    "place_subjects",
    "place_time",
    "read_amounts",
    "read_time",
    "read_top",
    "settle",
    "take_plain_words",
]
