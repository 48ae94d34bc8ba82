"""Measure how questions are read, and write the figures into docs/questions.md.

    python -m tests.questions.measure            write the figures of this checkout
    python -m tests.questions.measure FILE.yaml  measure another set in the exam's format

Another set may name its hospital under `vocabulary`, and its day under `today`.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from dose_lib.questions.vocabulary import NAMED, StoreValues, Vocabulary, load_vocabulary
from tests.conftest import ROOT
from tests.questions.conftest import TODAY, exam_file, exam_words
from tests.questions.scoring import Mark, Score, sit

PAGE = ROOT / "docs" / "questions.md"
OWN = Path(__file__).with_name("phrasings.yaml")
_BETWEEN = re.compile(r"(<!-- figures -->\n).*?(<!-- /figures -->)", re.DOTALL)
_TITLES = {
    "dev": "exam, dev (worked on)",
    "extra": "exam, extra (first run 28/30; the two faults it showed were mended)",
    "tune": "ours, tune (worked on)",
    "held": "ours, held (written before the parser, measured only)",
    "wild": "ours, wild (another voice, written after; worked on since its first run)",
}


def read_set(file: Path) -> tuple[list[dict[str, Any]], Vocabulary, date]:
    """Questions, words and day of a set in the exam's format."""
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    named: Mapping[str, Sequence[str]] = data.get("vocabulary") or {}
    values = {slot: tuple(named[slot]) for slot in NAMED if slot in named}
    words = load_vocabulary(StoreValues(**values)) if values else exam_words()
    return data["questions"], words, data.get("today") or TODAY


def line(title: str, marks: Sequence[Mark], ms: float) -> str:
    """One row of the table."""
    score = Score.of(marks)
    return (
        f"| {title} | {score.exact}/{score.n} = {score.share:.0%} | {score.f1:.3f} | "
        f"{score.silent} | {ms:.0f} |"
    )


def measured(questions: Sequence[Mapping[str, Any]], words: Vocabulary, today: date) -> Any:
    """Marks of a set and the milliseconds a question took."""
    sit(questions[:2], words, today)  # grammars are built at first use
    began = time.perf_counter()
    marks = sit(questions, words, today)
    return marks, 1000 * (time.perf_counter() - began) / max(len(questions), 1)


def table() -> str:
    """Figures of every set at hand, as Markdown."""
    rows = ["| set | exact | slot F1 | wrong without any warning | ms a question |"]
    rows.append("|---|---|---|---|---|")
    for file in (exam_file(), OWN):
        if not file.is_file():
            continue
        questions, words, today = read_set(file)
        for split in dict.fromkeys(q["split"] for q in questions):
            part = [q for q in questions if q["split"] == split]
            rows.append(line(_TITLES.get(split, split), *measured(part, words, today)))
    return "\n".join(rows) + "\n"


def main() -> None:
    """Write the page, or print another set's figures and what was read wrong."""
    if len(sys.argv) > 1:
        questions, words, today = read_set(Path(sys.argv[1]))
        marks, ms = measured(questions, words, today)
        print(line(sys.argv[1], marks, ms))
        for each in marks:
            if not each.is_exact:
                print(each.question["id"], each.question["text"], dict(each.wrong))
        return
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_BETWEEN.sub(lambda m: m[1] + table() + m[2], text), encoding="utf-8")


if __name__ == "__main__":
    main()
