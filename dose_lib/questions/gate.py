"""The outbound gate: what of a question may leave for a chat model, and back again.

Names of the store become placeholders (DEVICE_1), words outside of the vocabulary and common
English become [?], long runs of digits [ID]. Rows, results and DICOM text never pass here:
there is no way for them to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from dose_lib.questions.english import WORDS
from dose_lib.questions.query import DoseQuery
from dose_lib.questions.reading import Reading
from dose_lib.questions.text import Token, stem, tokenise, words_of
from dose_lib.questions.vocabulary import Vocabulary

HIDDEN = ("device", "operator", "site", "manufacturer")
LONGEST_NUMBER = 5  # digits; a longer run may be an identifier
_PLACEHOLDER = re.compile(r"\b(?:DEVICE|OPERATOR|SITE|MANUFACTURER)_\d+\b")


@dataclass
class Sent:
    """What would be sent, and what the placeholders in it stand for.

    Attributes
    ----------
    text
        The question as it would leave.
    names
        Placeholder -> (slot, name).
    hidden_words
        Number of words replaced by [?] or [ID].
    """

    text: str
    names: dict[str, tuple[str, str]] = field(default_factory=dict)
    hidden_words: int = 0


class Gate:
    """Replaces what must not leave, the same way for question and query.

    Parameters
    ----------
    vocabulary
        Words that may pass, and the names to replace.
    is_local
        True if the model runs in the hospital: unknown words pass, names and numbers do not.
    """

    def __init__(self, vocabulary: Vocabulary, *, is_local: bool = False) -> None:
        self.vocabulary, self.is_local = vocabulary, is_local
        self._numbers: dict[tuple[str, str], str] = {}
        self._safe = self._safe_words()

    def _safe_words(self) -> frozenset[str]:
        """Words that may pass: ours and common English, never a word of a name in the store."""
        values = self.vocabulary.values
        names = {w for slot in ("operator",) for n in getattr(values, slot) for w in words_of(n)}
        names = {w for w in names if len(w) > 1}
        words = self.vocabulary.words | WORDS | self.vocabulary.filler | _GRAMMAR
        return frozenset(words - names - self.vocabulary.given_names)

    def placeholder(self, slot: str, name: str) -> str:
        """The placeholder of a name; the same name has the same one."""
        number = sum(s == slot for s, _ in self._numbers) + 1
        return self._numbers.setdefault((slot, name), f"{slot.upper()}_{number}")

    def send(self, question: str) -> Sent:
        """The question as it may leave."""
        tokens = tokenise(_PLACEHOLDER.sub(" ", question))
        reading = Reading(question, tokens, self.vocabulary)
        reading.link()
        named = {m.start: m for m in reading.matches if m.of(*HIDDEN, "device_group")}
        out: list[str] = []
        sent = Sent("")
        place = 0
        while place < len(tokens):
            match = named.get(place)
            meaning = match.of(*HIDDEN, "device_group") if match else None
            if match and meaning:
                slot = "device" if meaning.kind == "device_group" else meaning.kind
                for name in meaning.value:
                    holder = self.placeholder(slot, name)
                    sent.names[holder] = (slot, name)
                    out.append(holder)
                place = match.end
                continue
            word = self._word(tokens[place])
            sent.hidden_words += word in ("[?]", "[ID]")
            out.append(word)
            place += 1
        sent.text = " ".join(out)
        return sent

    def _word(self, token: Token) -> str:
        word = token.text
        if re.search(rf"\d{{{LONGEST_NUMBER + 1},}}", word):
            return "[ID]"
        if not any(c.isalpha() for c in word):
            return word
        if any(c.isdigit() for c in word):  # 2026-10-01, q3, p75, 15th
            return word if re.fullmatch(r"q\d|h\d|p\d\d|\d+(?:st|nd|rd|th)", word) else "[?]"
        if word in self._safe or stem(word) in self._safe or word in self.vocabulary.filler:
            return word
        if self.is_local and word not in self.vocabulary.given_names:
            return word
        return "[?]"

    def hide_query(self, query: DoseQuery) -> DoseQuery:
        """A query with placeholders for the names of the store."""
        hidden: dict[str, Any] = {
            slot: tuple(self.placeholder(slot, n) for n in getattr(query, slot)) for slot in HIDDEN
        }
        if query.period:
            hidden["period"] = query.period.model_copy(update={"words": ""})
        return query.edited(**hidden)

    def names(self) -> dict[str, tuple[str, str]]:
        """Every placeholder given out so far -> (slot, name)."""
        return {holder: key for key, holder in self._numbers.items()}

    def restore(self, slots: dict[str, Any]) -> dict[str, Any]:
        """Slots of a model's answer with the names back; an unknown placeholder stays as it is."""
        names = self.names()
        found = dict(slots)
        for slot in HIDDEN:
            values = found.get(slot) or ()
            found[slot] = tuple(
                names[v][1] if v in names and names[v][0] == slot else v for v in values
            )
        return found


_GRAMMAR = frozenset(
    [
        "kg",
        "kgs",
        "lb",
        "lbs",
        "cm",
        "m",
        "min",
        "mins",
        "s",
        "h",
        "y",
        "yr",
        "yrs",
        "mgy",
        "gy",
        "mgycm",
        "gycm2",
        "cgycm2",
        "mgycm2",
        "ugym2",
        "dgycm2",
        "msv",
        "bmi",
        "kgm2",
        "last",
        "past",
        "since",
        "until",
        "today",
        "yesterday",
        "half",
        "older",
        "younger",
        "heavier",
        "lighter",
    ]
)
