"""What may leave for a chat model: no name, no identifier, no word that nobody knows."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dose_lib.questions.gate import Gate
from dose_lib.questions.model import build_request
from dose_lib.questions.query import DoseQuery
from dose_lib.questions.spec import from_spec
from dose_lib.questions.vocabulary import StoreValues, load_vocabulary
from tests.questions.conftest import exam_file, exam_words
from tests.questions.test_exam import OWN

WORDS = exam_words()
PLANTED = (
    "Zbigniew Hrabowski",
    "MRN 0048392117",
    "Mrs. Featherstone",
    "born 1957",
    "Ольга",
    "李雷",
)
SECRETS = (
    "zbigniew",
    "hrabowski",
    "0048392117",
    "featherstone",
    "ольга",
    "李雷",
    "novak",
    "okafor",
)
SECRETS += ("silva", "meyer", "tanaka", "rossi", "scanner 1", "cath lab", "neuro suite", "siemens")


def texts() -> list[str]:
    questions = list(yaml.safe_load(OWN.read_text(encoding="utf-8"))["questions"])
    if exam_file().is_file():
        questions += yaml.safe_load(exam_file().read_text(encoding="utf-8"))["questions"]
    return [q["text"] for q in questions]


def test_no_planted_name_or_number_leaves_with_any_question() -> None:
    for number, text in enumerate(texts()):
        planted = PLANTED[number % len(PLANTED)]
        for question in (f"{text} for {planted}", f"{planted}: {text}", text):
            sent = Gate(WORDS).send(question).text.lower()
            leaked = [s for s in SECRETS if s in sent]
            assert not leaked, (question, sent)


def test_names_of_the_store_become_placeholders_and_come_back() -> None:
    gate = Gate(WORDS)
    sent = gate.send("Compare Okafor with Tanaka on Scanner 2 at East Wing, Siemens only")
    assert "OPERATOR_1" in sent.text and "OPERATOR_2" in sent.text and "DEVICE_1" in sent.text
    back = gate.restore(
        {"operator": ["OPERATOR_2", "OPERATOR_9"], "device": ["DEVICE_1"], "site": ["SITE_1"]}
    )
    assert back["operator"] == ("E. Tanaka", "OPERATOR_9")
    assert (back["device"], back["site"]) == (("Scanner 2",), ("East Wing",))


def test_a_placeholder_typed_by_the_asker_is_no_placeholder() -> None:
    assert "DEVICE_7" not in Gate(WORDS).send("doses on DEVICE_7").text


def test_names_of_staff_are_hidden_even_where_they_are_english_words() -> None:
    words = load_vocabulary(StoreValues(operator=("M. Field", "Operator 3fa9c1", "J. Green")))
    sent = Gate(words).send("doses by Green and the field of view of Operator 3fa9c1").text
    assert "green" not in sent and "field" not in sent and "3fa9c1" not in sent


def test_the_query_before_leaves_without_names_and_dates() -> None:
    query = from_spec(
        {
            "device": ["Scanner 3"],
            "operator": ["A. Novak"],
            "procedure": ["CT Chest", "HRABOWSKI ROUTINE"],
            "date": {"from": "2026-01-01", "to": "2026-02-01"},
        }
    )
    request = str(build_request("by technician", Gate(WORDS), WORDS, query))
    for secret in ("Scanner 3", "Novak", "HRABOWSKI", "2026"):
        assert secret not in request


def test_a_local_model_may_see_words_but_no_names() -> None:
    sent = Gate(WORDS, is_local=True).send("gadolinium doses of Novak, id 1234567").text
    assert "gadolinium" in sent and "novak" not in sent and "1234567" not in sent


def test_a_request_says_exactly_what_would_be_sent() -> None:
    request = build_request("CT dose for Zbigniew on Scanner 1", Gate(WORDS), WORDS, None)
    assert request.question == "ct dose for [?] on DEVICE_1"
    assert str(request).endswith(request.question)


@given(st.text(max_size=200))
def test_only_known_words_and_short_numbers_leave(text: str) -> None:
    sent = Gate(WORDS).send(text).text
    assert not re.search(r"\d{6,}", sent)
    for word in re.findall(r"[^\W\d_]{2,}", sent.replace("[ID]", "").replace("[?]", "")):
        plain = word.lower()
        known = plain in WORDS.filler or plain in WORDS.words or plain in Gate(WORDS)._safe
        assert known or word.isupper() or plain.rstrip("s") in Gate(WORDS)._safe, (text, sent)


def test_an_empty_query_has_nothing_to_hide() -> None:
    assert Gate(WORDS).hide_query(DoseQuery()) == DoseQuery()


@pytest.mark.parametrize("number", ["12345", "2026", "80"])
def test_short_numbers_stay(number: str) -> None:
    assert number in Gate(WORDS).send(f"CT dose over {number}").text
