"""The question exam and our own phrasings: what must stay right, and what is only measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dose_lib.questions.spec import from_spec, to_spec
from tests.questions.conftest import TODAY, exam_file, exam_words
from tests.questions.scoring import Score, sit

OWN = Path(__file__).with_name("phrasings.yaml")


def own(split: str) -> list[dict[str, Any]]:
    questions = yaml.safe_load(OWN.read_text(encoding="utf-8"))["questions"]
    return [q for q in questions if q["split"] == split]


def exam(split: str) -> list[dict[str, Any]]:
    file = exam_file()
    if not file.is_file():
        pytest.skip("the question exam is not here (DOSE_EXAM names its file)")
    questions = yaml.safe_load(file.read_text(encoding="utf-8"))["questions"]
    return [q for q in questions if q["split"] == split]


def test_the_questions_worked_on_are_all_read_right() -> None:
    marks = sit(own("tune"), exam_words(), TODAY)
    assert not [(m.question["id"], m.wrong) for m in marks if not m.is_exact]


def test_the_exams_dev_questions_are_all_read_right() -> None:
    marks = sit(exam("dev"), exam_words(), TODAY)
    assert not [(m.question["id"], m.wrong) for m in marks if not m.is_exact]
    assert not [m.question["id"] for m in marks if m.reading and m.reading.unused_words]


@pytest.mark.parametrize("split", ["held", "wild"])
def test_questions_that_are_only_measured_stay_read_well(split: str) -> None:
    score = Score.of(sit(own(split), exam_words(), TODAY))
    assert score.share >= 0.8
    assert score.silent <= 0.1 * score.n


def test_every_expected_query_survives_the_neutral_form() -> None:
    questions = [q for s in ("tune", "held", "wild") for q in own(s) if "refuse" not in q["expect"]]
    for question in questions:
        spec = to_spec(from_spec(question["expect"]))
        assert from_spec(spec) == from_spec(question["expect"]), question["id"]
