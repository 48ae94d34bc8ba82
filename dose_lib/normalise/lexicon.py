"""What the words of a name mean: concepts of `words/*.toml`, longest phrase first.

Every family of modalities reads its own words over the shared ones: "AP" is a view of a
radiograph and abdomen with pelvis in CT.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

from rapidfuzz.distance import OSA

from dose_lib.errors import SettingsError
from dose_lib.normalise.text import cut_words
from dose_lib.records import Modality

_LONGEST = 5  # words in the longest phrase of the lexicon
_REMEMBERED = 20_000  # texts: a department writes few, but free text has no end
_TYPO_FROM = 7  # letters a word needs before one wrong letter is forgiven


class Family(StrEnum):
    """Modalities whose names are written in the same words."""

    CT = "ct"
    DX = "dx"
    FLUOROSCOPY = "fluoroscopy"
    BREAST = "breast"
    NUCLEAR = "nuclear"
    DENTAL = "dental"


_FAMILIES = {
    Modality.CT: Family.CT,
    Modality.DX: Family.DX,
    Modality.RF: Family.FLUOROSCOPY,
    Modality.XA: Family.FLUOROSCOPY,
    Modality.MG: Family.BREAST,
    Modality.NM: Family.NUCLEAR,
    Modality.PT: Family.NUCLEAR,
    Modality.PX: Family.DENTAL,
    Modality.IO: Family.DENTAL,
    Modality.CBCT: Family.DENTAL,
}


def family_of(modality: Modality) -> Family:
    """Family whose words the names of a modality are written in."""
    return _FAMILIES[modality]


class Sense(NamedTuple):
    """One meaning of a phrase: kind of word (table of the words) and concepts."""

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
def lexicon(family: Family = Family.CT) -> Mapping[tuple[str, ...], Sense]:
    """Phrases by their words: the shared ones, then those of the family, which win.

    Raises
    ------
    SettingsError
        If one file gives a phrase two meanings.
    """
    return _phrases("shared") | _phrases(family.value)


@cache
def _phrases(file: str) -> dict[tuple[str, ...], Sense]:
    place = files("dose_lib.normalise").joinpath("words", f"{file}.toml")
    found: dict[tuple[str, ...], Sense] = {}
    for kind, concepts in tomllib.loads(place.read_text(encoding="utf-8")).items():
        for concept, phrases in concepts.items():
            # A heading of several regions names them all.
            names = tuple(concept.split()) if kind == "several" else (concept,)
            sense = Sense("anatomy" if kind == "several" else kind, names)
            for words in (cut for phrase in phrases if (cut := cut_words(phrase))):
                if found.setdefault(words, sense) != sense:
                    seen = f"{' '.join(words)!r} means {concept} and {found[words].concepts[0]}"
                    raise SettingsError(seen, where=f"words/{file}.toml")
    return found


@cache
def _singles(family: Family) -> frozenset[str]:
    return frozenset(w[0] for w in lexicon(family) if len(w) == 1)


def _plain(word: str, family: Family) -> str | None:
    """A known form of an unknown word: without a plural s."""
    return word[:-1] if word.endswith("s") and word[:-1] in _singles(family) else None


@lru_cache(maxsize=_REMEMBERED)
def _compound(word: str, family: Family) -> tuple[str, ...]:
    """A word cut into known words of four letters or more that cover it; () if it can't be."""
    singles = _singles(family)
    if word in singles:
        return (word,)
    for i in range(len(word) - 4, 3, -1):
        head, rest = word[:i], word[i:]
        # German and Dutch join with an s or an o: Lungenarterien-, thorac-o-.
        for tail in (rest, rest[1:] if rest[:1] in "so" else ""):
            if head in singles and len(tail) >= 4 and (more := _compound(tail, family)):
                return (head, *more)
    return ()


@lru_cache(maxsize=_REMEMBERED)
def _correct(word: str, family: Family) -> str | None:
    """The one known word a single slip away (swap, miss, extra, wrong letter), else None."""
    if len(word) < _TYPO_FROM:
        return None
    near = {
        known
        for known in _singles(family)
        if known[0] == word[0]
        and len(known) >= _TYPO_FROM - 1
        and abs(len(known) - len(word)) <= 1
        and OSA.distance(known, word, score_cutoff=1) <= 1
    }
    senses = {lexicon(family)[(known,)] for known in near}
    return min(near) if len(senses) == 1 else None


def _known_words(words: Iterable[str], family: Family) -> list[tuple[str, bool]]:
    """Words with compounds cut, plurals and slips mended; True marks a mended slip."""
    out: list[tuple[str, bool]] = []
    for word in words:
        if word in _singles(family):
            out.append((word, False))
        elif (plain := _plain(word, family)) is not None:
            out.append((plain, False))
        elif parts := _compound(word, family):
            out += [(p, False) for p in parts]
        elif word in _words_of_phrases(family):
            out.append((word, False))
        elif (mended := _correct(word, family)) is not None:
            out.append((mended, True))
        else:
            out.append((word, False))
    return out


@cache
def _words_of_phrases(family: Family) -> frozenset[str]:
    return frozenset(word for phrase in lexicon(family) for word in phrase)


@lru_cache(maxsize=_REMEMBERED)
def read_text(text: str, family: Family = Family.CT) -> Reading:
    """What a name says.

    Parameters
    ----------
    text
        A protocol name, study description or procedure meaning, as recorded.
    family
        Whose words it is written in; what all families share is the same in each.

    Returns
    -------
    Reading
        Each word is used once, by the longest phrase that starts with it.
    """
    marked = _known_words(cut_words(text), family)
    words = tuple(w for w, _ in marked)
    table = lexicon(family)
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
