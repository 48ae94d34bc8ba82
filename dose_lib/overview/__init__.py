"""What a page says of a department in a period.

The notebooks take their numbers from here. Each function asks the store once and gives a
table, a record or a sentence; how it looks is decided in `charts`.
"""

from __future__ import annotations

from dose_lib.overview.exams import EXAM_COLUMNS, Activity, activity, read_exams
from dose_lib.overview.names import (
    NameState,
    decisions_table,
    name_figures,
    name_state,
    names_answer,
    naming_rules,
    size_methods,
    waiting_table,
)
from dose_lib.overview.period import Period, period
from dose_lib.overview.quality import Quality, data_quality, open_findings
from dose_lib.overview.verdicts import (
    Practice,
    answer,
    key_figures,
    level_lines,
    practices,
    provenance,
    source_line,
    sources,
    verdict_table,
)

__all__ = [
    "EXAM_COLUMNS",
    "Activity",
    "NameState",
    "Period",
    "Practice",
    "Quality",
    "activity",
    "answer",
    "data_quality",
    "decisions_table",
    "key_figures",
    "level_lines",
    "name_figures",
    "name_state",
    "names_answer",
    "naming_rules",
    "open_findings",
    "period",
    "practices",
    "provenance",
    "read_exams",
    "size_methods",
    "source_line",
    "sources",
    "verdict_table",
    "waiting_table",
]
