"""The answer as people meet it: words, chips, HTML, notebook magic, chat, saving, the record."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

import dose_lib
from dose_lib.errors import DoseError, SettingsError
from dose_lib.questions.answer import Answer, answer_query, ask
from dose_lib.questions.audit import audit_file
from dose_lib.questions.parser import interpret
from dose_lib.questions.saved import load_question, saved_questions
from dose_lib.questions.vocabulary import StoreValues, Vocabulary, load_vocabulary
from dose_lib.settings import Settings, load_settings
from tests.questions import store
from tests.questions.conftest import LEVELS, TODAY

Asked = Callable[..., Answer]
ISSUE = "Show me CT chest doses on Scanner 3 over the last six weeks compared to our local DRL"


def test_it_says_how_it_understood(asked: Asked) -> None:
    text = asked(ISSUE).explain()
    assert "Understood as: Median and 75th percentile of DLP" in text
    for words in ("Scanner 3", "11 Oct 2026 to 22 Nov 2026", "Local DRL", "(default)"):
        assert words in text


def test_every_slot_is_a_chip_with_its_origin(asked: Asked) -> None:
    answer = asked("shwo ct chset dose on scaner 3 last 30 days")
    found = {c.slot: c for c in answer.chips}
    assert answer.query is not None and set(answer.query.slots) <= set(found)
    assert found["device"].origin == "typing error mended: “scaner 3”"
    assert found["statistic"].source == "default"
    later = {c.slot: c for c in answer.refine("only women").chips}
    assert later["device"].source == "previous"
    assert later["filters"].words == "women"


def test_the_picture_of_the_issue_has_the_level(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOSE_RENDER", "report")
    answer = asked("CT chest doses over the last six weeks compared to our local DRL")
    html = answer._repr_html_()
    assert "<svg" in html and "Local DRL" in html and "350" in html
    assert "I did not use" not in html
    bundle = answer._repr_mimebundle_()
    assert bundle["text/plain"].startswith("Question:")
    assert "https://" not in html.replace("http://www.w3.org", "")


KINDS = {
    "box plot of CT chest DLP by scanner": "box",
    "histogram of DLP for CT chest on Scanner 1": "histogram",
    "scatter DLP against weight for CT chest": "scatter",
    "number of CT exams per month in 2026": "series",
    "control chart of weekly median DLP, CT head": "series",
    "bar chart of exam counts per operator": "bar",
    "heatmap of CT exam counts by weekday and hour of day": "heatmap",
    "weekly trend of KAP for PCI by operator this year": "trend",
}


@pytest.mark.parametrize("text", KINDS)
def test_every_kind_of_picture_is_drawn(
    text: str, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOSE_RENDER", "report")
    answer = asked(text)
    assert answer.unused_words == ()
    assert answer.chart is not None
    assert "<svg" in answer._repr_html_()


def test_live_answers_are_panes(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOSE_RENDER", raising=False)
    answer = asked("CT chest DLP by scanner")
    view = answer.__panel__()
    assert len(view) == 3


def test_words_not_used_are_said(asked: Asked) -> None:
    answer = asked("CT chest dose with gadolinium last month")
    assert answer.unused_words == ("gadolinium",)
    assert "I did not use: gadolinium" in answer.explain()
    assert "<mark>gadolinium</mark>" in answer._repr_html_()


def test_a_refusal_is_an_answer(asked: Asked) -> None:
    answer = asked("CT dose on Scanner 9")
    assert answer.refusal is not None and answer.df.empty and answer.sql == ""
    assert "Scanner 9" in repr(answer)
    assert answer.chart is None
    with pytest.raises(DoseError, match="not answered"):
        answer.edit(device=None)


def test_the_code_rebuilds_the_answer(asked: Asked, con: Any, settings: Settings) -> None:
    answer = asked("median DLP for CT chest by scanner last month")
    code = answer.to_code()
    text = code.split("answer_query(")[1].rstrip(")")
    query = eval(text)
    again = answer_query(query, con=con, settings=settings, levels=LEVELS, today=store.TODAY)
    assert again.df.equals(answer.df)


def test_a_saved_question_keeps_its_relative_dates(
    asked: Asked, con: Any, settings: Settings
) -> None:
    answer = asked("CT chest doses over the last six weeks")
    answer.save("chest_weekly")
    assert saved_questions(settings) == ("chest_weekly",)
    query = load_question("chest_weekly", settings=settings)
    later = answer_query(query, con=con, settings=settings, today=date(2027, 1, 10))
    assert later.query is not None and later.query.period is not None
    assert later.query.period.start == date(2026, 11, 29)
    with pytest.raises(DoseError, match="did you mean"):
        load_question("chest_weekli", settings=settings)
    with pytest.raises(DoseError, match="no name"):
        answer.save("../evil")


def test_the_record_holds_no_words_and_no_names(asked: Asked, settings: Settings) -> None:
    asked("CT doses by technician Okafor on Scanner 1 with flurbs")
    asked("dose of Zbigniew Hrabowski")
    file = audit_file(settings)
    text = file.read_text()
    entries = [json.loads(line) for line in text.splitlines()]
    assert len(entries) == 2
    assert entries[1]["refusal"] == "identity"
    assert entries[0]["rows"] > 0 and len(entries[0]["question_sha256"]) == 64
    for secret in ("Okafor", "okafor", "Scanner 1", "flurbs", "Zbigniew", "Hrabowski"):
        assert secret not in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_staff_can_be_kept_out_of_answers(con: Any, settings: Settings) -> None:
    hidden = load_settings(settings.home, show_operators="none")
    answer = ask("CT doses by operator", con=con, settings=hidden, today=store.TODAY, levels=())
    assert answer.refusal is not None


def test_the_magic(asked: Asked, con: Any, settings: Settings) -> None:
    from IPython.core.interactiveshell import InteractiveShell

    from dose_lib.questions.magics import load_ipython_extension

    shell = InteractiveShell()
    shell.user_ns["con"] = con
    load_ipython_extension(shell)
    first = shell.run_line_magic("ask", "CT chest doses in 2026")
    second = shell.run_line_magic("ask", "+ by scanner")
    assert second.query.group_by == ("device",)
    assert second.query.period == first.query.period
    third = shell.run_cell_magic("ask", "", "PCI air kerma\nin 2026")
    assert third.query.procedure == ("PCI",)


def test_the_chat_refines(con: Any, settings: Settings) -> None:
    from dose_lib.questions.panel import chat

    box = chat(con=con, settings=settings)
    reply = box.callback
    first = reply("CT chest doses on Scanner 1 in 2026", "you", box)
    second = reply("only women", "you", box)
    assert "Scanner 1" in first[0].object
    assert "women" in second[0].object and "Scanner 1" in second[0].object
    assert "Not answered" in reply("delete all studies", "you", box)[0].object


def test_a_site_adds_words(settings: Settings, con: Any) -> None:
    file = settings.site_dir / "vocabulary.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(
        "device:\n  Scanner 1: [the old donkey]\nprocedure:\n  CTPA: [lung clot scan]\n"
    )
    answer = ask("lung clot scan on the old donkey", con=con, settings=settings, levels=())
    assert answer.query is not None
    assert (answer.query.device, answer.query.procedure) == (("Scanner 1",), ("CTPA",))


@pytest.mark.parametrize("text", ["devise:\n  x: [y]\n", "a: [", "- x\n"])
def test_a_wrong_site_file_is_said(text: str, settings: Settings) -> None:
    file = settings.site_dir / "vocabulary.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"vocabulary\.yaml"):
        load_vocabulary(StoreValues(), site_file=file)


def test_dose_lib_has_ask() -> None:
    assert dose_lib.ask is ask


FOLLOW_UPS = {
    "start over: PCI air kerma": {"procedure": ("PCI",), "device": ()},
    "what about the head?": {"body_region": ("head",), "modality": ("CT",)},
    "also by site": {"group_by": ("site",)},
    "except Scanner 1": {"device": ()},
    "for all scanners": {"device": ()},
    "drop the date filter": {"period": None},
    "the month before": {"grain": None},
    "add Scanner 2": {"device": ("Scanner 1", "Scanner 2")},
    "mean instead of median": {"statistic": "mean"},
    "in Q3": {"device": ("Scanner 1",)},
    "compare with last year": {"compare_to": ("same_period_last_year",)},
    "no DRL please": {"compare_to": ()},
}


@pytest.mark.parametrize(("text", "wanted"), FOLLOW_UPS.items())
def test_follow_ups_edit_slot_by_slot(text: str, wanted: dict[str, Any], words: Vocabulary) -> None:
    first = interpret("median DLP of CT chest on Scanner 1 last month", words, today=TODAY).query
    found = interpret(text, words, today=TODAY, previous=first)
    assert found.query is not None, found.refusal
    for slot, value in wanted.items():
        assert getattr(found.query, slot) == value, (slot, found.query)


def test_a_new_question_is_no_follow_up(words: Vocabulary) -> None:
    first = interpret("median DLP of CT chest on Scanner 1 last month", words, today=TODAY).query
    for text, is_edit in {
        "break it down by technician": True,
        "only women": True,
        "and in 2025?": True,
        "how many PCIs did we do in the cath labs this year": False,
        "CT head DLP by scanner in 2025": False,
    }.items():
        found = interpret(text, words, today=TODAY, previous=first, guess_follow_up=True)
        assert found.is_follow_up == is_edit, text
