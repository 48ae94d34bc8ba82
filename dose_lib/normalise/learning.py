"""Procedures that a name nobody understands may mean: by the site's other names, and by its words.

A suggestion rests either on a name of this site that is known already and nearly the same
(rapidfuzz over the words, with concepts in the place of words: "Thx" and "Chest" are one), or
on the part of its own words that is understood. What was irradiated must allow it. Only a
suggestion of the first kind can be sure: one that differs from a known name by its spelling, and
not by a number, nor by a word that may be the one that matters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from rapidfuzz import fuzz

from dose_lib.normalise.catalogue import catalogue, concepts_of, procedures_of
from dose_lib.normalise.lexicon import family_of, read_text
from dose_lib.normalise.regions import components, is_same_place
from dose_lib.normalise.text import fold_text
from dose_lib.records import Modality

MOST = 5  # suggestions worth a person's time
_LIKE_KNOWN = 0.98  # most a suggestion by a known name can reach: a person is surer
_BY_WORDS = 0.85  # most that a suggestion by part of the words can reach
_BY_PLACE = 0.4  # ... by the irradiated region alone
_NUMBER_DIFFERS = 0.8
_WORD_DIFFERS = 0.6
_ELSEWHERE = 0.3
_ALIKE = 0.86  # of two unknown words: "contrst" and "contrast", but not "pv" and "pa"
_SHORT = 4  # letters from which a word may be a slip of another
_NOISE = frozenset({"routine", "joins"})


class KnownName(NamedTuple):
    """A name of the site that has its procedure, and of how many exams."""

    text: str
    procedure_name: str
    n_exams: int = 1


class Suggestion(NamedTuple):
    """A procedure a name may mean, how sure that is, and why."""

    procedure_name: str
    confidence: float
    evidence: str


def suggest_names(
    text: str,
    modality: Modality,
    *,
    known: Iterable[KnownName] = (),
    done_region: str | None = None,
    is_region_coded: bool = False,
) -> tuple[Suggestion, ...]:
    """Procedures a text may mean, the likeliest first.

    Parameters
    ----------
    text
        A description, meaning or protocol name that names nothing clearly.
    modality
        Of the exams it stands in.
    known
        Names of this site and modality whose procedure is known.
    done_region
        What was irradiated in those exams, where it is one region.
    is_region_coded
        True if the region is stated by code.
    """
    found = [_like(text, k, modality) for k in known]
    found += _by_words(text, modality)
    found += _by_place(known, modality, done_region if is_region_coded else None)
    allowed = [_in_place(s, done_region) for s in found]
    best: dict[str, Suggestion] = {}
    for suggestion in sorted(allowed, key=lambda s: (*_likeliest(s), s.evidence)):
        best.setdefault(suggestion.procedure_name, suggestion)
    ranked = sorted(_less_if_contested(list(best.values())), key=_likeliest)
    return tuple(s for s in ranked if s.confidence >= 0.1)[:MOST]


def _likeliest(suggestion: Suggestion) -> tuple[float, str]:
    return -suggestion.confidence, suggestion.procedure_name


class _Words(NamedTuple):
    """A text as it is compared: concepts in the place of known words, the others as they are."""

    telling: frozenset[str]
    other: tuple[str, ...]
    numbers: tuple[str, ...]

    @property
    def line(self) -> str:
        """All of it, in alphabetical order."""
        return " ".join(sorted((*self.telling, *self.other)))


@lru_cache(maxsize=20_000)
def _words(text: str, modality: Modality) -> _Words:
    family = family_of(modality)
    reading = read_text(text, family)
    telling, weak = concepts_of(text, family)
    other = (*(w for w in weak if w not in _NOISE), *reading.unknown)
    return _Words(telling, tuple(sorted(set(other))), tuple(re.findall(r"\d+", fold_text(text))))


def _like(text: str, known: KnownName, modality: Modality) -> Suggestion:
    mine, theirs = _words(text, modality), _words(known.text, modality)
    alike = fuzz.token_sort_ratio(mine.line, theirs.line) / 100 if mine.line else 0.0
    confidence = _LIKE_KNOWN * alike
    why = f"like '{known.text}' ({known.n_exams:,} exams)"
    if mine.telling != theirs.telling or not _differ_by_slips(mine.other, theirs.other):
        confidence *= _WORD_DIFFERS
    elif mine.numbers != theirs.numbers:
        # "Protocol 7" is not "Protocol 8", and "Thorax 2 mm" may be "Thorax 5 mm".
        confidence *= _NUMBER_DIFFERS
    return Suggestion(known.procedure_name, confidence, why)


def _differ_by_slips(mine: Sequence[str], theirs: Sequence[str]) -> bool:
    """True if each word of either has one in the other that it is, or is a slip of."""
    return all(any(_is_slip(a, b) for b in theirs) for a in mine) and all(
        any(_is_slip(b, a) for a in mine) for b in theirs
    )


def _is_slip(one: str, other: str) -> bool:
    if one == other:
        return True
    is_long = min(len(one), len(other)) >= _SHORT
    return is_long and fuzz.ratio(one, other) >= 100 * _ALIKE


def _by_words(text: str, modality: Modality) -> list[Suggestion]:
    """Procedures of the catalogue that part of the words asks for."""
    mine = _words(text, modality)
    found = []
    for entry in procedures_of(modality):
        shares = [
            len(mine.telling & w.must) / len(mine.telling | w.must | (w.weak - set(mine.other)))
            for w in entry.when
            if mine.telling & w.must
        ]
        if shares:
            understood = len(mine.telling) / (len(mine.telling) + 0.5 * len(mine.other))
            said = ", ".join(sorted(mine.telling))
            left = f"; not understood: {', '.join(mine.other)}" if mine.other else ""
            confidence = _BY_WORDS * max(shares) * understood
            found.append(Suggestion(entry.name, confidence, f"words: {said}{left}"))
    return found


def _by_place(
    known: Iterable[KnownName], modality: Modality, region: str | None
) -> list[Suggestion]:
    """What this site does where these exams were, by how often it does it."""
    if region is None:
        return []
    counts: dict[str, int] = {}
    for name in known:
        entry = catalogue().get(name.procedure_name)
        if entry is not None and entry.region == region:
            counts[name.procedure_name] = counts.get(name.procedure_name, 0) + name.n_exams
    total = sum(counts.values())
    return [
        Suggestion(
            name,
            _BY_PLACE * n / total,
            f"irradiated: {region}; {100 * n / total:.0f} % of what is done there",
        )
        for name, n in counts.items()
    ]


def _in_place(suggestion: Suggestion, done: str | None) -> Suggestion:
    """Less sure where the procedure lies elsewhere than what was irradiated."""
    entry = catalogue().get(suggestion.procedure_name)
    said = entry.region if entry else None
    if done is None or said is None:
        return suggestion
    if not is_same_place(said, done):
        why = f"{suggestion.evidence}; but irradiated: {done}"
        return suggestion._replace(confidence=suggestion.confidence * _ELSEWHERE, evidence=why)
    is_told = suggestion.evidence.startswith("irradiated")
    if components(said) == components(done) and not is_told:
        return suggestion._replace(evidence=f"{suggestion.evidence}; irradiated: {done}")
    return suggestion


def _less_if_contested(ranked: list[Suggestion]) -> list[Suggestion]:
    """Procedures that are nearly as likely as each other are all less sure."""
    top = max((s.confidence for s in ranked), default=0.0)
    near = [s.confidence > 0.9 * top for s in ranked]
    if sum(near) < 2:
        return ranked
    return [
        s._replace(confidence=0.8 * s.confidence) if is_near else s
        for s, is_near in zip(ranked, near, strict=True)
    ]
