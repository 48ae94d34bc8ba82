"""Fixtures of the question tests: a store of known exams, its words, the site's local levels."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from dose_lib.questions.answer import Answer, ask
from dose_lib.questions.vocabulary import StoreValues, Vocabulary, load_vocabulary
from dose_lib.records import Phantom
from dose_lib.reference import Kind, Level, Per, PhantomBasis, Quantity
from dose_lib.settings import Settings
from tests.conftest import ROOT
from tests.questions import store


def local_level(procedure: str, value: float, **given: Any) -> Level:
    """A level of the site's own, DLP on the 32 cm phantom."""
    values: dict[str, Any] = {
        "set_id": "SITE",
        "edition": "2026",
        "row_id": f"SITE/{procedure}/{value:g}",
        "kind": Kind.LOCAL,
        "origin": "site",
        "modality": "CT",
        "procedure_name": procedure,
        "quantity": Quantity.DLP,
        "phantom": Phantom.BODY_32CM,
        "phantom_basis": PhantomBasis.SOURCE,
        "unit": "mGy.cm",
        "per": Per.EXAM,
        "value": value,
    }
    return Level(**(values | given))


LEVELS = (
    local_level("CT Chest", 350.0),
    local_level("CT Abdomen Pelvis", 520.0),
    local_level("CT Head", 900.0, phantom=Phantom.HEAD_16CM),
    local_level("CT Chest", 430.0, kind=Kind.NATIONAL, country="GB", row_id="GB/chest"),
)


@pytest.fixture(scope="session")
def rows() -> pd.DataFrame:
    """Exams of a department as a data frame: the independent truth."""
    return store.frame()


@pytest.fixture(scope="session")
def con(rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same exams in a store file, as `dose_lib.connect` opens it."""
    return store.backend(tmp_path_factory.mktemp("store") / "doseloop.duckdb", rows)


@pytest.fixture(scope="session")
def words(con: Any) -> Vocabulary:
    """Vocabulary with the names of that store."""
    from dose_lib.questions.vocabulary import read_values

    return load_vocabulary(read_values(con))


@pytest.fixture
def asked(con: Any, settings: Settings) -> Callable[..., Answer]:
    """`ask` on the store of these tests, on their day."""

    def run(question: str, **given: Any) -> Answer:
        options: dict[str, Any] = {"con": con, "today": store.TODAY, "settings": settings}
        return ask(question, **({"levels": LEVELS} | options | given))

    return run


def exam_file() -> Path:
    """The question exam: DOSE_EXAM, else shared/exam beside the checkout."""
    return Path(os.environ.get("DOSE_EXAM") or ROOT.parent / "shared" / "exam" / "questions.yaml")


def exam_words() -> Vocabulary:
    """Vocabulary of the hospital that the exam's questions are about."""
    text = Path(__file__).with_name("hospital.yaml").read_text(encoding="utf-8")
    named = yaml.safe_load(text)
    return load_vocabulary(StoreValues(**{k: tuple(v) for k, v in named.items()}))


TODAY = date(2026, 11, 22)
