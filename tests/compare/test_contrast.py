"""Sets with a level with and one without contrast: each exam meets its own."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dose_lib.compare import Status, compare_practice
from dose_lib.reference import Level, Reason
from dose_lib.settings import Settings
from tests.compare.practice import Row, exam, practice
from tests.compare.test_compare import LEVEL

WITH = msgspec.structs.replace(LEVEL, row_id="with", contrast="with", value=350.0)
WITHOUT = msgspec.structs.replace(LEVEL, row_id="without", contrast="without", value=250.0)


def exams(contrast: str | None, n: int = 25) -> list[Row]:
    return [exam(f"{contrast}{i}", contrast=contrast, dlp_32cm_mgy_cm=300.0) for i in range(n)]


def verdicts(settings: Settings, rows: list[Row], *levels: Level, **options: Any) -> Any:
    con = practice(rows)
    options = {"quantities": ["dlp"], **options}
    return compare_practice(con, levels=levels, settings=settings, **options).verdicts


def test_each_exam_meets_the_level_of_its_contrast(settings: Settings) -> None:
    rows = exams("with") + exams("without")
    one, two = verdicts(settings, rows, WITH, WITHOUT)
    assert (one.level.row_id, one.status, one.figures.n) == ("with", Status.WITHIN, 25)
    assert (two.level.row_id, two.status, two.figures.n) == (
        "without",
        Status.CONSISTENTLY_EXCEEDS,
        25,
    )


@pytest.mark.parametrize(
    ("contrast", "reason"),
    [(None, Reason.CONTRAST_UNKNOWN), ("both", Reason.CONTRAST_DIFFERS)],
)
def test_others_are_told_why_not(settings: Settings, contrast: str | None, reason: Reason) -> None:
    (verdict,) = verdicts(settings, exams(contrast), WITH, WITHOUT)
    assert verdict.status is Status.NO_VERDICT
    assert verdict.reason is reason
    assert verdict.n_all == 25


def test_a_general_level_takes_the_rest(settings: Settings) -> None:
    rows = exams("with") + exams(None) + exams("both")
    one, two = verdicts(settings, rows, LEVEL, WITH)
    assert (one.level.row_id, one.figures.n) == ("with", 25)
    assert (two.level.row_id, two.figures.n) == (LEVEL.row_id, 50)


def test_the_only_level_takes_exams_that_do_not_say(settings: Settings) -> None:
    """A set with a level for exams with contrast only, and its note in the verdict."""
    (one, other) = verdicts(settings, exams(None) + exams("without"), WITH)
    assert one.figures.n == 25
    assert "with contrast" in one.notes[0]
    assert other.reason is Reason.CONTRAST_DIFFERS


def test_asked_for_one_contrast(settings: Settings) -> None:
    one, _ = verdicts(settings, exams("with") + exams("without"), WITH, WITHOUT, contrast="without")
    assert (one.level.row_id, one.figures.n) == ("without", 25)
