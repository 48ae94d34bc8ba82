"""Imported history in questions: counted unless left out, and said where it counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dose_lib import connect, metrics
from dose_lib.questions.answer import Answer, ask
from dose_lib.questions.parser import interpret
from dose_lib.questions.query import DoseQuery, Filter
from dose_lib.questions.vocabulary import Vocabulary
from dose_lib.settings import Settings
from tests.questions import store
from tests.questions.conftest import TODAY

DICOM = (Filter(field="origin", op="=", value="DICOM"),)
IMPORTED = (Filter(field="origin", op="=", value="imported"),)


def query(text: str, words: Vocabulary, previous: DoseQuery | None = None) -> DoseQuery:
    found = interpret(text, words, today=TODAY, previous=previous)
    assert found.query is not None
    assert found.unused_words == (), text
    return found.query


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("median DLP of CT chest last year without imported history", DICOM),
        ("median DLP of CT chest, excluding imports", DICOM),
        ("CT chest dose by scanner not counting the imported exams", DICOM),
        ("how many CT chest exams only imported history", IMPORTED),
        ("CT chest DLP by month, imported exams only", IMPORTED),
        ("median DLP of CT chest including imported history", ()),
        ("median DLP of CT chest with history", ()),
    ],
)
def test_what_is_said_of_it_is_a_condition(
    words: Vocabulary, said: str, kept: tuple[Filter, ...]
) -> None:
    assert query(said, words).filters == kept


def test_a_follow_up_takes_it_back(words: Vocabulary) -> None:
    first = query("CT chest dose of women without imported history", words)
    assert [f.field for f in first.filters] == ["origin", "sex"]
    again = query("including imported history", words, first)
    assert [f.field for f in again.filters] == ["sex"]
    assert query("by imported or not", words, again).group_by == ("origin",)


@pytest.fixture(scope="module")
def file(rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exams of which every third CT is known from an export alone."""
    given = rows.head(900).copy()
    is_old = [n % 3 == 0 and m == "CT" for n, m in enumerate(given["modality"])]
    given["is_history"] = pd.array([True if old else None for old in is_old], dtype="boolean")
    place = tmp_path_factory.mktemp("history") / "doseloop.duckdb"
    store.write(place, given)
    return place


@pytest.fixture
def asked(file: Path, settings: Settings) -> Callable[..., Answer]:
    con = connect(f"duckdb://{file}")
    return lambda text: ask(text, con=con, today=store.TODAY, settings=settings, levels=())


def count(answer: Answer) -> int:
    return int(answer.df["n"].sum())


def test_counts_add_up_and_the_share_is_said(asked: Callable[..., Answer], file: Path) -> None:
    every = asked("how many CT exams")
    new = asked("how many CT exams without imported history")
    old = asked("how many CT exams only imported history")
    assert count(every) == count(new) + count(old)
    assert count(old) > 50
    assert every.result is not None
    assert new.result is not None
    said = f"{count(old)} of the {count(every)} exams are imported history"
    assert any(said in note for note in every.result.notes)
    assert not any("imported history" in note for note in new.result.notes)
    assert "exams known from DICOM" in new.explain()
    split = asked("how many CT exams by origin").df
    assert dict(zip(split["origin"], split["n"], strict=True)) == {
        "DICOM": count(new), metrics.IMPORTED: count(old)
    }  # fmt: skip
    without: Any = connect(f"duckdb://{file}", imported_history=False)
    assert without.table("studies").count().execute() == 900 - int(
        connect(f"duckdb://{file}").table("studies").is_history.count().execute()
    )
