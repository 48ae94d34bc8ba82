"""Exams of the years before: tables of other dose systems, read into the same records."""

from __future__ import annotations

from dose_lib.history.cells import Cell, Style
from dose_lib.history.exam import HistoryExam, Origin, Row, exam_key, read_exam, uid_of
from dose_lib.history.mapping import (
    TableMapping,
    fits,
    parse_mapping,
    read_mapping,
    shipped_mappings,
)
from dose_lib.history.plan import Plan, make_plan
from dose_lib.history.record import is_exam, load_exam, read_exam_bytes, write_exam
from dose_lib.history.row import Problem

__all__ = [
    "Cell",
    "HistoryExam",
    "Origin",
    "Plan",
    "Problem",
    "Row",
    "Style",
    "TableMapping",
    "exam_key",
    "fits",
    "is_exam",
    "load_exam",
    "make_plan",
    "parse_mapping",
    "read_exam",
    "read_exam_bytes",
    "read_mapping",
    "shipped_mappings",
    "uid_of",
    "write_exam",
]
