"""What is not answered, and that nothing answerable is refused."""

from __future__ import annotations

import pytest

from dose_lib.questions.parser import interpret
from dose_lib.questions.vocabulary import Vocabulary
from tests.questions.conftest import TODAY

REFUSED = {
    "Show dose for John Smith": "identity",
    "dose of maria garcia": "identity",
    "what dose did Mrs. Patterson get last Tuesday?": "identity",
    "patient names with the highest DLP": "identity",
    "who got the highest dose yesterday": "identity",
    "CT history of MRN 00483921": "identity",
    "show accession numbers of last week's CTs": "identity",
    "list date of birth of all CT patients": "identity",
    "delete all studies from Scanner 2": "write",
    "drop table studies": "write",
    "set our local DRL for chest CT to 300": "write",
    "update the weight of the last patient to 80 kg": "write",
    "rename Scanner 1 to Scanner X device": "write",
    "acknowledge all findings of today": "write",
    "what's the weather": "scope",
    "MRI scan times last week": "scope",
    "tube current for Scanner 1": "scope",
    "write me a poem about radiation": "scope",
    "forecast the CT dose for next month": "scope",
    "badge readings of the cath lab staff": "scope",
    "CT dose on Scanner 9 last month": "unknown_value",
    "doses in cath lab 3": "unknown_value",
    "CT doses on the Toshiba": "unknown_value",
    "median DLP for technician Kowalski": "unknown_value",
    "PCI air kerma for Dr. Lindqvist": "unknown_value",
    "mammo 5 AGD this month": "unknown_value",
    "CT doses at the West Wing": "unknown_value",
}
ANSWERED = (
    "what is the median DLP for head CT",
    "which patients were over 5 Gy air kerma in PCI this year",
    "how do our CT chest doses change over time",
    "show CT doses without Scanner 3",
    "is scanner 1 worse than scanner 2 for CT head",
    "CT head dose for patients younger than 16",
    "change in CT chest dose since June",
    "update me on CT chest dose this week",
    "remove outliers? no: show the box plot of CT head DLP",
)


@pytest.mark.parametrize(("text", "kind"), REFUSED.items())
def test_refused(text: str, kind: str, words: Vocabulary) -> None:
    found = interpret(text, words, today=TODAY)
    assert found.refusal is not None, found.query
    assert found.refusal.kind == kind
    assert found.query is None
    assert found.refusal.message


@pytest.mark.parametrize("text", ANSWERED)
def test_answered(text: str, words: Vocabulary) -> None:
    found = interpret(text, words, today=TODAY)
    assert found.refusal is None, found.refusal
    assert found.query is not None


def test_unknown_names_come_with_those_that_exist(words: Vocabulary) -> None:
    found = interpret("CT dose on Scanner 9", words, today=TODAY)
    assert found.refusal is not None
    assert any(s.startswith("Scanner") for s in found.refusal.suggestions)


def test_a_long_question_is_refused_before_it_is_read(words: Vocabulary) -> None:
    found = interpret("CT dose " * 200, words, today=TODAY)
    assert found.refusal is not None and found.refusal.kind == "scope"


@pytest.mark.parametrize("text", ["", "   ", "?!", "\x00\x01", "🙂🙂", "a" * 500, "½ ㎏ ﬁ ∞"])
def test_odd_text_is_no_crash(text: str, words: Vocabulary) -> None:
    found = interpret(text, words, today=TODAY)
    assert found.refusal is not None


def test_words_that_were_not_used_are_shown(words: Vocabulary) -> None:
    found = interpret("CT chest dose last month with gadolinium flurbs", words, today=TODAY)
    assert found.unused_words == ("gadolinium", "flurbs")
    assert found.coverage < 1


def test_typing_errors_are_mended_and_shown(words: Vocabulary) -> None:
    found = interpret("shwo ct chset dose on scaner 3", words, today=TODAY)
    assert [(f.typed, f.read) for f in found.fixes] == [
        ("shwo", "show"),
        ("chset", "chest"),
        ("scaner", "scanner"),
    ]
    assert found.query is not None and found.query.device == ("Scanner 3",)
    assert found.origins["device"].source == "typo"
