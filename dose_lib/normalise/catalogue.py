"""The catalogue of procedures and the rules that lead from a text to one of them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from dose_lib.errors import UsageError, did_you_mean
from dose_lib.normalise.lexicon import Found, Reading, lexicon, read_text
from dose_lib.normalise.text import cut_words
from dose_lib.records import Modality

# What a detailed structure lies in: "Head^Sinus" is a path to one scan, not two scans.
_INSIDE = {
    "sinuses": {"head", "face"},
    "face": {"head"},
    "orbits": {"head", "face"},
    "petrous": {"head", "neck"},
    "dental": {"head", "face"},
    "carotid": {"head", "neck"},
    "spine_c": {"spine", "neck"},
    "spine_t": {"spine", "chest"},
    "spine_l": {"spine", "abdomen"},
    "sacrum": {"spine", "spine_l", "pelvis"},
    "heart": {"chest"},
    "coronary": {"chest", "heart"},
    "liver": {"abdomen"},
    "pancreas": {"abdomen"},
    "kidney": {"abdomen"},
    "stomach": {"abdomen"},
    "hip": {"leg"},
    "knee": {"leg"},
    "ankle": {"leg"},
    "foot": {"leg"},
    "shoulder": {"arm"},
    "elbow": {"arm"},
    "wrist": {"arm"},
    "hand": {"arm"},
}
# Of the words that say something, the share that must be understood: one unknown word beside
# one known may be the one that matters ("Lung Embolism").
_KNOWN_SHARE = 0.6


class When(NamedTuple):
    """One alternative of a rule: all its anatomy and strong words, no others."""

    anatomy: frozenset[str]
    strong: frozenset[str]
    weak: frozenset[str]


class Procedure(NamedTuple):
    """One entry of the catalogue."""

    name: str
    modalities: tuple[str, ...]
    region: str | None
    when: tuple[When, ...]
    phrases: tuple[tuple[str, ...], ...]


class Match(NamedTuple):
    """A procedure a text was understood as, and by which words."""

    procedure: Procedure
    because: tuple[str, ...]
    unknown: tuple[str, ...]
    is_mended: bool


@cache
def _kind_of() -> Mapping[str, str]:
    return {c: sense.kind for sense in lexicon().values() for c in sense.concepts}


def _when(rule: str) -> When:
    kinds = {"anatomy": set[str](), "strong": set[str](), "weak": set[str]()}
    for concept in rule.split():
        kinds[_kind_of()[concept]].add(concept)
    return When(*(frozenset(kinds[k]) for k in ("anatomy", "strong", "weak")))


def _procedure(row: Mapping[str, Any]) -> Procedure:
    return Procedure(
        name=row["name"],
        modalities=tuple(row["modality"].split()),
        region=row.get("region"),
        when=tuple(_when(rule) for rule in row.get("when", ())),
        phrases=tuple(cut_words(phrase) for phrase in row.get("phrases", ())),
    )


@cache
def catalogue() -> Mapping[str, Procedure]:
    """Every canonical procedure by its name."""
    text = files("dose_lib.normalise").joinpath("procedures.toml").read_text(encoding="utf-8")
    rows = (_procedure(row) for row in tomllib.loads(text)["procedure"])
    return {row.name: row for row in rows}


def find_procedure(name: str) -> Procedure:
    """A procedure of the catalogue.

    Raises
    ------
    UsageError
        For a name the catalogue does not have, with the nearest ones.
    """
    found = catalogue().get(name)
    if found is None:
        raise UsageError(f"unknown procedure {name!r}", todo=did_you_mean(name, catalogue()))
    return found


@lru_cache(maxsize=20_000)
def match_text(text: str, modality: Modality) -> Match | None:
    """The one procedure a text names; None if it names none or more than one.

    Parameters
    ----------
    text
        Study description, procedure meaning or protocol name, as recorded.
    modality
        Modality class of the exam part.

    Notes
    -----
    CT texts are read word by word: all regions and all strong words (angiography,
    perfusion, planning, ...) must be exactly those of one rule, the rule with most weak
    words wins, and most of the words that say something must be understood. Other
    modalities are read by whole phrases, the longest wins.
    """
    if modality == Modality.CT:
        return _match_words(text, read_text(text))
    return _match_phrases(text, modality)


def _match_words(text: str, reading: Reading) -> Match | None:
    anatomy, strong, weak = _concepts(text, reading)
    fits = [
        (len(w.weak), p)
        for p in catalogue().values()
        for w in p.when
        if w.anatomy == anatomy and w.strong == strong and w.weak <= weak
    ]
    best = max((n for n, _ in fits), default=0)
    names = {p.name: p for n, p in fits if n == best}
    if len(names) != 1 or not _is_understood(reading):
        return None
    because = tuple(f.phrase for f in reading.found if f.sense.kind in ("anatomy", "strong"))
    (entry,) = names.values()
    return Match(entry, because, reading.unknown, any(f.is_typo for f in reading.found))


def _concepts(text: str, reading: Reading) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    found = _after_path(text, reading)
    by_kind = {
        kind: frozenset(c for f in found if f.sense.kind == kind for c in f.sense.concepts)
        for kind in ("anatomy", "strong", "weak")
    }
    strong = by_kind["strong"]
    anatomy = by_kind["anatomy"]
    if not _is_joined(found):
        inside = frozenset(outer for a in anatomy for outer in _INSIDE.get(a, ()))
        anatomy -= inside
    return anatomy, strong, by_kind["weak"]


def _after_path(text: str, reading: Reading) -> tuple[Found, ...]:
    """What is said after the last ``^`` (Siemens: category^protocol), if it says a region."""
    if "^" not in text:
        return reading.found
    last = read_text(text.rpartition("^")[2])
    return last.found if last.of_kind("anatomy") else reading.found


def _is_joined(found: tuple[Found, ...]) -> bool:
    """True if an "and" stands between two regions: then both are meant."""
    kinds = [
        "and" if "joins" in f.sense.concepts else f.sense.kind
        for f in found
        if f.sense.kind == "anatomy" or "joins" in f.sense.concepts
    ]
    return ["anatomy", "and", "anatomy"] in [kinds[i : i + 3] for i in range(len(kinds))]


def _is_understood(reading: Reading) -> bool:
    telling = [f for f in reading.found if not set(f.sense.concepts) & {"routine", "joins"}]
    known = sum(f.end - f.start for f in telling)
    odd = sum(1 for w in reading.unknown if len(w) > 2)
    return known > 0 and known / (known + odd) >= _KNOWN_SHARE


def _match_phrases(text: str, modality: Modality) -> Match | None:
    words = cut_words(text)
    best: list[tuple[int, Procedure, tuple[str, ...]]] = []
    for entry in catalogue().values():
        if str(modality) in entry.modalities:
            best += [(len(p), entry, p) for p in entry.phrases if _holds(words, p)]
    longest = max((n for n, _, _ in best), default=0)
    names = {p.name: (p, phrase) for n, p, phrase in best if n == longest}
    if len(names) != 1:
        return None
    ((entry, phrase),) = names.values()
    rest = tuple(w for w in words if w not in phrase)
    return Match(entry, (" ".join(phrase),), rest, is_mended=False)


def _holds(words: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    size = len(phrase)
    return any(words[i : i + size] == phrase for i in range(len(words) - size + 1))
