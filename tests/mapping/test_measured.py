"""Names and sizes on some days of the simulated district; the year is measured by the benchmark."""

from __future__ import annotations

import os

import pytest

from benchmarks.mapping import (
    Case,
    answer_by_person,
    cases,
    judge,
    judge_documentation,
    judge_passes,
    judge_sizes,
    meanings,
    with_names,
)
from dose_lib.normalise import SiteFacts, normalise_part
from dose_lib.records import Part

DAYS = int(os.environ.get("DOSE_TEST_DAYS", "7"))
SITE = SiteFacts(timezone="Europe/London")
Named = list[tuple[Case, Part]]


@pytest.fixture(scope="module")
def exams() -> list[Case]:
    """Exams of the last days."""
    return list(cases(DAYS))


@pytest.fixture(scope="module")
def as_written(exams: list[Case]) -> Named:
    """Named as the scenario writes them."""
    return [(c, normalise_part(c.part, SITE)) for c in exams]


def test_names_of_the_scenario(as_written: Named) -> None:
    found = judge(as_written)
    assert found.precision >= 0.99, found.wrong
    assert found.coverage > 0.95


def test_names_never_seen(exams: list[Case]) -> None:
    """Five hospitals in five languages: right without a person, and few answers do the rest."""
    table = meanings()
    unseen = [(c, with_names(c, table)) for c in exams]
    named = [(c, normalise_part(p, SITE)) for c, p in unseen]
    first = judge(named)
    assert first.precision >= 0.99, first.wrong
    assert first.coverage > 0.75
    facts, _, verdict = answer_by_person(named, 20)
    assert verdict["wrong"] == 0
    again = judge([(c, normalise_part(p, facts)) for c, p in unseen])
    assert again.precision >= 0.99, again.wrong
    assert again.coverage > first.coverage + 0.03


def test_wrong_documentation_is_found(exams: list[Case]) -> None:
    """Exams of the truth `wrong_documentation`, which runs in other weeks too."""
    named = [(c, normalise_part(c.part, SITE)) for c in cases(28) if c.part.modality == "CT"]
    told = judge_documentation(named)
    assert told.injected >= 3
    assert told.found == told.injected
    assert told.true >= 0.8 * told.flagged


def test_further_passes_are_found_and_no_others(exams: list[Case]) -> None:
    """Coded as one phase, scanned three or four times, by scanners that state no contrast."""
    told = judge_passes(exams)
    assert told.made >= 20
    assert (told.found, told.false) == (told.made, 0)


def test_sizes_against_the_true_diameter() -> None:
    rows, n = judge_sizes(DAYS)
    by = {r.method: r for r in rows}
    assert by["weight_and_height"].n > 0.6 * n
    assert by["weight_and_height"].median_error_cm < 1.0
    assert "none" not in by, "a trunk always has a size, and its method says how good it is"
    assert by["age_band"].median_error_cm > by["weight_and_height"].median_error_cm
