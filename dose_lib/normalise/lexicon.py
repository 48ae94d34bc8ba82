"""What the words of a name mean: concepts of `words.toml`, longest phrase first."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

from rapidfuzz.distance import OSA

from dose_lib.normalise.text import cut_words

_LONGEST = 5  # words in the longest phrase of the lexicon
_REMEMBERED = 20_000  # texts: a department writes few, but free text has no end
_TYPO_FROM = 7  # letters a word needs before one wrong letter is forgiven


class Sense(NamedTuple):
    """One meaning of a phrase: kind of word (table of words.toml) and concepts."""

    kind: str
    concepts: tuple[str, ...]


class Found(NamedTuple):
    """A phrase of a text that the lexicon knows, and where it stood."""

    sense: Sense
    phrase: str
    start: int
    end: int
    is_typo: bool = False


class Reading(NamedTuple):
    """What a text says: phrases found, and the words nothing is known about."""

    text: str
    words: tuple[str, ...]
    found: tuple[Found, ...]
    unknown: tuple[str, ...]

    def of_kind(self, kind: str) -> tuple[str, ...]:
        """Concepts of one kind, each once, in order of first use."""
        found = (c for f in self.found if f.sense.kind == kind for c in f.sense.concepts)
        return tuple(dict.fromkeys(found))

    def has(self, kind: str, concept: str) -> bool:
        """True if the concept was found as a word of this kind."""
        return concept in self.of_kind(kind)


@cache
def lexicon() -> Mapping[tuple[str, ...], Sense]:
    """Phrases of `words.toml` by their words."""
    text = files("dose_lib.normalise").joinpath("words.toml").read_text(encoding="utf-8")
    found: dict[tuple[str, ...], Sense] = {}
    for kind, concepts in tomllib.loads(text).items():
        for concept, phrases in concepts.items():
            # A heading of several regions names them all.
            names = tuple(concept.split()) if kind == "several" else (concept,)
            sense = Sense("anatomy" if kind == "several" else kind, names)
            found |= {words: sense for phrase in phrases if (words := cut_words(phrase))}
    return found


@cache
def _singles() -> frozenset[str]:
    return frozenset(w[0] for w in lexicon() if len(w) == 1)


def _plain(word: str) -> str | None:
    """A known form of an unknown word: without a plural s."""
    return word[:-1] if word.endswith("s") and word[:-1] in _singles() else None


@lru_cache(maxsize=_REMEMBERED)
def _compound(word: str) -> tuple[str, ...]:
    """A word cut into known words of four letters or more that cover it; () if it can't be."""
    if word in _singles():
        return (word,)
    for i in range(len(word) - 4, 3, -1):
        head, rest = word[:i], word[i:]
        # German and Dutch join with an s or an o: Lungenarterien-, thorac-o-.
        for tail in (rest, rest[1:] if rest[:1] in "so" else ""):
            if head in _singles() and len(tail) >= 4 and (more := _compound(tail)):
                return (head, *more)
    return ()


@lru_cache(maxsize=_REMEMBERED)
def _correct(word: str) -> str | None:
    """The one known word a single slip away (swap, miss, extra, wrong letter), else None."""
    if len(word) < _TYPO_FROM:
        return None
    near = {
        known
        for known in _singles()
        if known[0] == word[0]
        and len(known) >= _TYPO_FROM - 1
        and abs(len(known) - len(word)) <= 1
        and OSA.distance(known, word, score_cutoff=1) <= 1
    }
    senses = {lexicon()[(known,)] for known in near}
    return min(near) if len(senses) == 1 else None


def _known_words(words: Iterable[str]) -> list[tuple[str, bool]]:
    """Words with compounds cut, plurals and slips mended; True marks a mended slip."""
    out: list[tuple[str, bool]] = []
    for word in words:
        if word in _singles():
            out.append((word, False))
        elif (plain := _plain(word)) is not None:
            out.append((plain, False))
        elif parts := _compound(word):
            out += [(p, False) for p in parts]
        elif word in _words_of_phrases():
            out.append((word, False))
        elif (mended := _correct(word)) is not None:
            out.append((mended, True))
        else:
            out.append((word, False))
    return out


@cache
def _words_of_phrases() -> frozenset[str]:
    return frozenset(word for phrase in lexicon() for word in phrase)


@lru_cache(maxsize=_REMEMBERED)
def read_text(text: str) -> Reading:
    """What a name says.

    Parameters
    ----------
    text
        A protocol name, study description or procedure meaning, as recorded.

    Returns
    -------
    Reading
        Each word is used once, by the longest phrase that starts with it.
    """
    marked = _known_words(cut_words(text))
    words = tuple(w for w, _ in marked)
    table = lexicon()
    found: list[Found] = []
    unknown: list[str] = []
    i = 0
    while i < len(words):
        for length in range(min(_LONGEST, len(words) - i), 0, -1):
            phrase = words[i : i + length]
            if sense := table.get(phrase):
                typo = any(is_typo for _, is_typo in marked[i : i + length])
                found.append(Found(sense, " ".join(phrase), i, i + length, typo))
                i += length
                break
        else:
            unknown.append(words[i])
            i += 1
    return Reading(text, words, tuple(found), tuple(unknown))
