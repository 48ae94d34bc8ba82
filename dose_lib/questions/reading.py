"""The working paper of one question: tokens, what was found in them, what was used for what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from dose_lib.questions.query import DoseQuery
from dose_lib.questions.text import Token, stem
from dose_lib.questions.typos import Fix
from dose_lib.questions.vocabulary import Meaning, Vocabulary

_JOINERS = ("-", "/", ",", ".")
_OVER_COMMAS = ("body_region", "site", "operator")  # "chest, abdomen and pelvis", "A. Novak"


@dataclass(frozen=True, slots=True)
class Match:
    """A known phrase at tokens `start` to `end` (excluded) with all its senses."""

    start: int
    end: int
    meanings: tuple[Meaning, ...]

    def of(self, *kinds: str) -> Meaning | None:
        """The first sense of one of the kinds."""
        return next((m for m in self.meanings if m.kind in kinds), None)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the value of a slot came from."""

    source: str  # words | typo | default | previous | model | assumed
    words: str = ""


@dataclass
class Reading:
    """What was made of a question so far; rules add to it in order."""

    text: str
    tokens: tuple[Token, ...]
    vocabulary: Vocabulary
    fixes: tuple[Fix, ...] = ()
    matches: list[Match] = field(default_factory=list)
    slots: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    cleared: set[str] = field(default_factory=set)
    removed: list[tuple[str, Any]] = field(default_factory=list)
    added: set[str] = field(default_factory=set)
    previous: DoseQuery | None = None
    used: set[int] = field(default_factory=set)
    masked: set[int] = field(default_factory=set)

    @property
    def normal(self) -> str:
        """Tokens joined by one blank: what the grammars scan."""
        return " ".join(t.text for t in self.tokens)

    def token_range(self, start: int, end: int) -> tuple[int, int]:
        """Tokens that lie between two character places of `normal`."""
        place, first, last = 0, None, 0
        for number, token in enumerate(self.tokens):
            if place + len(token.text) > start and first is None:
                first = number
            if place < end:
                last = number + 1
            place += len(token.text) + 1
        return (first if first is not None else len(self.tokens)), last

    def words(self, start: int, end: int) -> str:
        """The text as typed of some tokens."""
        if start >= end:
            return ""
        return self.text[self.tokens[start].start : self.tokens[end - 1].end]

    def take(self, start: int, end: int, *, mask: bool = True) -> None:
        """Mark tokens as used; masked ones are not looked up any more."""
        self.used.update(range(start, end))
        if mask:
            self.masked.update(range(start, end))

    def put(self, slot: str, value: Any, start: int, end: int, *, source: str = "words") -> None:
        """Fill a slot from tokens."""
        self.slots[slot] = value
        words = self.words(start, end)
        known = self.origins.get(slot)
        if known and known.words and words and words not in known.words:
            words = f"{known.words} … {words}"
        self.origins[slot] = Origin(source, words)
        self.used.update(range(start, end))

    def extend(self, slot: str, values: Iterable[Any], start: int, end: int) -> None:
        """Append to a list slot, each value once."""
        have = tuple(self.slots.get(slot, ()))
        self.put(slot, tuple(dict.fromkeys((*have, *values))), start, end)

    def link(self) -> None:
        """Find known phrases among the tokens not masked: longest first, from left to right."""
        self.matches = []
        place = 0
        while place < len(self.tokens):
            match = None if place in self.masked else self._longest(place)
            if match is None:
                place += 1
            else:
                self.matches.append(match)
                place = match.end

    def _longest(self, start: int) -> Match | None:
        phrase: list[str] = []
        best: Match | None = None
        place, has_comma = start, False
        while place < len(self.tokens) and len(phrase) < self.vocabulary.longest:
            if place in self.masked:
                break
            text = self.tokens[place].text
            if text in _JOINERS and phrase:
                has_comma = has_comma or text in (",", ".")
                place += 1
                continue
            phrase.append(stem(text))
            place += 1
            meanings = self.vocabulary.meanings(tuple(phrase))
            if has_comma and not any(m.kind in _OVER_COMMAS for m in meanings):
                continue
            if meanings:
                best = Match(start, place, meanings)
        return best

    def all(self, *kinds: str) -> Iterator[tuple[Match, Meaning]]:
        """Matches that have a sense of one of the kinds."""
        for match in self.matches:
            meaning = match.of(*kinds)
            if meaning:
                yield match, meaning

    def has(self, *kinds: str) -> bool:
        """True if some match has a sense of one of the kinds."""
        return next(self.all(*kinds), None) is not None

    def before(self, start: int, *, skip: int = 3) -> Match | None:
        """The match that ends just before a token, small words between them left aside."""
        for match in reversed(self.matches):
            if match.end <= start:
                between = range(match.end, start)
                if len(between) <= skip and all(self.is_small(i) for i in between):
                    return match
                return None
        return None

    def after(self, end: int, *, skip: int = 3) -> Match | None:
        """The match that starts just after a token, small words between them left aside."""
        for match in self.matches:
            if match.start >= end:
                between = range(end, match.start)
                if len(between) <= skip and all(self.is_small(i) for i in between):
                    return match
                return None
        return None

    def is_small(self, number: int) -> bool:
        """True for a word that carries nothing, or a sign."""
        token = self.tokens[number]
        return not token.is_word or token.text in self.vocabulary.filler

    @property
    def content(self) -> list[int]:
        """Tokens that carry something."""
        return [i for i, t in enumerate(self.tokens) if t.is_word and not self.is_small(i)]

    @property
    def unused(self) -> tuple[str, ...]:
        """Words that carry something and were used for nothing, as typed."""
        return tuple(self.tokens[i].raw for i in self.content if i not in self.used)

    @property
    def coverage(self) -> float:
        """Share of the words with content that were used."""
        content = self.content
        return sum(i in self.used for i in content) / len(content) if content else 1.0
