"""The offline reading of a question: a deterministic slot filler, no model, no network."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from dose_lib.questions import rules
from dose_lib.questions.exclusions import take_exclusions
from dose_lib.questions.followup import apply_edits, is_reset, looks_like_follow_up, take_edits
from dose_lib.questions.imports import read_origin
from dose_lib.questions.query import DoseQuery
from dose_lib.questions.reading import Origin, Reading
from dose_lib.questions.refusals import (
    Refusal,
    refuse_at_once,
    refuse_out_of_scope,
    refuse_unknown_names,
)
from dose_lib.questions.text import LONGEST_QUESTION, tokenise
from dose_lib.questions.typos import Fix, fix_typos
from dose_lib.questions.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Interpretation:
    """How a question was understood.

    Attributes
    ----------
    query
        The structured query, None where it was refused.
    refusal
        Why it is not answered.
    origins
        For each slot, where its value came from.
    fixes, notes, unused_words
        Typing errors mended, readings worth saying, words with content that were not used.
    coverage
        Share of the words with content that were used.
    source
        `offline` or the name of the model.
    """

    text: str
    query: DoseQuery | None = None
    refusal: Refusal | None = None
    origins: dict[str, Origin] = field(default_factory=dict)
    fixes: tuple[Fix, ...] = ()
    notes: tuple[str, ...] = ()
    unused_words: tuple[str, ...] = ()
    coverage: float = 1.0
    source: str = "offline"
    is_follow_up: bool = False


def interpret(
    text: str,
    vocabulary: Vocabulary,
    *,
    today: date,
    previous: DoseQuery | None = None,
    day_first: bool = True,
    guess_follow_up: bool = False,
) -> Interpretation:
    """Read a question into a `DoseQuery` or a refusal.

    Parameters
    ----------
    text
        The question.
    vocabulary
        Words and names to read with (`load_vocabulary`).
    today
        The day that "last week" counts from.
    previous
        Query before it; the question is then an edit of that query.
    day_first
        True where 01/09 is the first of September.
    guess_follow_up
        Use `previous` only where the question looks like a fragment.
    """
    if len(text) > LONGEST_QUESTION:
        return Interpretation(
            text[:LONGEST_QUESTION],
            refusal=Refusal("scope", f"A question has at most {LONGEST_QUESTION} characters."),
        )
    tokens, fixes = fix_typos(tokenise(text), vocabulary)
    if previous is not None and guess_follow_up:
        alone = Reading(text, tokens, vocabulary, fixes)
        _fill(alone, today, day_first=day_first)
        if not looks_like_follow_up(alone):
            previous = None
    reading = Reading(text, tokens, vocabulary, fixes, previous=previous)
    # As typed: a mended word must not hide what was asked.
    typed = Reading(text, tokenise(text), vocabulary, previous=previous)
    refusal = refuse_at_once(typed) or refuse_at_once(reading)
    if refusal is None:
        refusal = _fill(reading, today, day_first=day_first)
    if refusal is not None:
        return Interpretation(text, refusal=refusal, fixes=fixes, source="offline")
    return _finish(reading, today)


def _fill(reading: Reading, today: date, *, day_first: bool) -> Refusal | None:
    spans = rules.read_time(reading, today, day_first=day_first)
    amounts = rules.read_amounts(reading)
    rules.read_top(reading)
    read_origin(reading)
    reading.link()
    if reading.previous is not None:
        if is_reset(reading):
            reading.previous = None
        else:
            take_edits(reading)
    else:
        take_exclusions(reading)
    rules.place_subjects(reading)
    refusal = refuse_unknown_names(reading)
    if refusal is not None:
        return refusal
    rules.place_time(reading, spans, today)
    rules.place_amounts(reading, amounts)
    rules.place_patients(reading)
    rules.place_statistic(reading)
    rules.place_levels(reading)
    rules.place_grain(reading)
    rules.place_groups(reading)
    rules.place_chart(reading)
    rules.place_order(reading)
    rules.take_plain_words(reading)
    return refuse_out_of_scope(reading)


def _finish(reading: Reading, today: date) -> Interpretation:
    slots = rules.settle(reading)
    previous = reading.previous
    if previous is not None:
        if previous.period:
            previous = previous.edited(period=previous.period.clamped(today))
        query = apply_edits(reading, slots, previous)
    else:
        query = DoseQuery(**slots)
    _mark_fixes(reading)
    return Interpretation(
        reading.text,
        query=query,
        origins={s: o for s, o in reading.origins.items() if s in query.slots},
        fixes=reading.fixes,
        notes=tuple(dict.fromkeys(reading.notes)),
        unused_words=reading.unused,
        coverage=reading.coverage,
        is_follow_up=previous is not None,
    )


def _mark_fixes(reading: Reading) -> None:
    """A slot whose words hold a mended typing error says so."""
    for slot, origin in reading.origins.items():
        if any(fix.typed in origin.words for fix in reading.fixes):
            reading.origins[slot] = Origin("typo", origin.words)
