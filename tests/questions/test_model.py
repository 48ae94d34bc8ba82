"""A chat model as second reader: fake models, and real packages against a server on loopback."""

from __future__ import annotations

import json
import time
from datetime import date
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda

from dose_lib.questions import model as module
from dose_lib.questions.model import Draft, Model, read_with_model
from dose_lib.questions.parser import Interpretation, interpret
from dose_lib.questions.query import DoseQuery
from dose_lib.settings import Settings, load_settings
from tests.questions.conftest import TODAY, exam_words
from tests.questions.model_server import serve

WORDS = exam_words()
ODD = "CT chest flurbulation on Scanner 1 last month per wotsit"
GOOD = {
    "modality": ["CT"],
    "body_region": ["chest"],
    "device": ["DEVICE_1"],
    "period": "last month",
    "group_by": ["operator"],
}


@pytest.fixture(autouse=True)
def _forget_methods() -> None:
    module._methods.clear()


class Fake(GenericFakeChatModel):
    """A fake chat model that can be bound to a schema, as real ones can."""

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        del tools
        return self


def fake(*answers: Any) -> Model:
    """A model that gives these slots in turn by a tool call."""

    def message(slots: Any) -> AIMessage:
        call = {"name": "Draft", "args": slots, "id": "1", "type": "tool_call"}
        return AIMessage(content="", tool_calls=[call])

    return Model.of(Fake(messages=iter([message(a) for a in answers])))


def offline(text: str = ODD, previous: DoseQuery | None = None) -> Interpretation:
    return interpret(text, WORDS, today=TODAY, previous=previous)


def read(model: Model, text: str = ODD, previous: DoseQuery | None = None) -> Interpretation:
    return read_with_model(offline(text, previous), model, WORDS, TODAY, previous=previous)


def test_a_model_reads_what_the_offline_reader_leaves() -> None:
    found = read(fake(GOOD))
    assert found.query is not None
    assert found.query.device == ("Scanner 1",)
    assert found.query.group_by == ("operator",)
    assert found.query.period is not None and found.query.period.start == date(2026, 10, 1)
    assert found.origins["group_by"].source == "model"
    assert found.origins["device"].source == "words"
    assert found.source == "by Fake"
    assert found.unused_words  # still shown


def test_no_model_is_asked_where_every_word_was_used() -> None:
    def never(_: Any) -> Any:
        raise AssertionError("asked")

    model = Model("never", lambda: RunnableLambda(never))
    assert read(model, "CT chest doses on Scanner 1 last month").source == "offline"


def test_a_refusal_is_never_sent() -> None:
    def never() -> Any:
        raise AssertionError("asked")

    found = read(Model("never", never), "Show dose for Zbigniew Hrabowski with flurbs")
    assert found.refusal is not None and found.refusal.kind == "identity"


def test_one_repair_with_the_names_of_the_slots_only() -> None:
    found = read(fake({"patient_name": "x"}, GOOD))
    assert found.query is not None and found.query.group_by == ("operator",)


def test_two_misfits_fall_back_with_a_note() -> None:
    found = read(fake(*[{"measure": ["kilograms"]}] * 8))
    assert found.query == offline().query
    assert any("did not fit" in note for note in found.notes)


def test_a_name_the_store_does_not_have_is_asked_back() -> None:
    found = read(fake(GOOD | {"device": ["Scanner 42"]}))
    assert found.refusal is not None and found.refusal.kind == "unknown_value"
    invented = read(fake(GOOD | {"operator": ["OPERATOR_9"]}))
    assert invented.refusal is not None


def test_time_words_the_model_makes_up_are_not_taken() -> None:
    found = read(fake(GOOD | {"period": "when the moon is full"}))
    assert found.query is not None and found.query.period == offline().query.period  # type: ignore[union-attr]


def test_the_model_may_refuse() -> None:
    found = read(fake({"refuse": "scope"}))
    assert found.refusal is not None and found.query is None


def test_a_follow_up_keeps_the_period_before() -> None:
    before = interpret("CT chest on Scanner 1 last month", WORDS, today=TODAY).query
    found = read(
        fake(GOOD | {"period": "as before", "grain": "week"}), "per wotsit and flurb", before
    )
    assert found.query is not None and before is not None
    assert found.query.period == before.period
    assert found.query.grain == "week"


def test_any_failure_of_the_model_leaves_the_offline_reading() -> None:
    def broken() -> Any:
        raise RuntimeError("no such server: secret-key-123")

    found = read(Model("broken", broken))
    assert found.query == offline().query
    assert any("RuntimeError" in note for note in found.notes)
    assert not any("secret-key" in note for note in found.notes)


def test_the_draft_has_no_slot_the_query_has_not() -> None:
    assert set(Draft.model_fields) - {"refuse"} == set(DoseQuery.model_fields)


def settings_for(url: str, settings: Settings, llm: str, **given: Any) -> Settings:
    values: dict[str, Any] = {"llm": llm, "llm_base_url": url, "llm_timeout_s": 10.0}
    if llm.startswith("openai"):
        values |= {"llm_api_key": "no-key", "llm_base_url": f"{url}/v1"}
    return load_settings(settings.home, **(values | given))


@pytest.mark.parametrize("llm", ["openai:tiny", "ollama:tiny"])
def test_the_wire(llm: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the real integration packages: what leaves, and that tracing stays off."""
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    monkeypatch.setenv("LANGCHAIN_TRACING_V2", "true")
    monkeypatch.setenv("LANGSMITH_API_KEY", "x")
    with serve(GOOD) as traces, serve(GOOD) as server:
        monkeypatch.setenv("LANGSMITH_ENDPOINT", traces.url)
        model = Model.from_settings(settings_for(server.url, settings, llm))
        assert model is not None
        found = read(model, f"{ODD} zbigniewina")
        time.sleep(0.3)
        assert found.query is not None, found.notes
        assert found.query.group_by == ("operator",), found.notes
        assert traces.received == []
    sent = json.dumps(server.received)
    assert "Scanner 1" not in sent and "zbigniewina" not in sent and "flurbulation" not in sent
    assert "DEVICE_1" in sent
    assert len(server.received) == 1


def test_a_server_without_schemas_is_asked_another_way(settings: Settings) -> None:
    with serve(GOOD, refuses_schema=True) as server:
        model = Model.from_settings(settings_for(server.url, settings, "openai:tiny"))
        assert model is not None
        found = read(model)
        assert found.query is not None and found.query.group_by == ("operator",), found.notes
        asked = len(server.received)
        read(model)
        assert len(server.received) == asked + 1  # the way that worked is kept


def test_a_slow_model_costs_its_time_and_no_more(settings: Settings) -> None:
    with serve(GOOD, delay_s=30) as server:
        model = Model.from_settings(
            settings_for(server.url, settings, "openai:tiny", llm_timeout_s=0.6)
        )
        assert model is not None
        began = time.monotonic()
        found = read(model)
        assert time.monotonic() - began < 8
    assert found.query == offline().query
    assert any("chat model did not help" in note for note in found.notes)


def test_no_server_is_no_disaster(settings: Settings) -> None:
    model = Model.from_settings(settings_for("http://127.0.0.1:9", settings, "ollama:tiny"))
    assert model is not None
    found = read(model)
    assert found.query == offline().query
    assert any("chat model did not help" in note for note in found.notes)


def test_no_model_by_default(settings: Settings) -> None:
    assert Model.from_settings(settings) is None
