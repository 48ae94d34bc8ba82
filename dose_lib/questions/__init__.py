"""Questions in plain language: words → `DoseQuery` → answer. Offline, read-only, no guessing."""

from __future__ import annotations

from dose_lib.questions.answer import Answer, answer_query, ask
from dose_lib.questions.model import Model
from dose_lib.questions.query import DoseQuery, Filter
from dose_lib.questions.saved import load_question, saved_questions

__all__ = [
    "Answer",
    "DoseQuery",
    "Filter",
    "Model",
    "answer_query",
    "ask",
    "load_question",
    "saved_questions",
]
