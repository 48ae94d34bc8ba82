"""The catalogue of procedures and the rules that lead from a text to one of them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from dose_lib.errors import SettingsError, UsageError, did_you_mean
from dose_lib.normalise.lexicon import Family, Found, Reading, family_of, lexicon, read_text
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
    "ribs": {"chest"},
    "clavicle": {"shoulder"},
    "humerus": {"arm"},
    "forearm": {"arm"},
    "finger": {"hand"},
    "femur": {"leg"},
    "lower_leg": {"leg"},
    "toe": {"foot", "leg"},
    "nose": {"face", "head"},
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


_TELLING = ("anatomy", "strong", "view")  # kinds of words that must all be accounted for


class When(NamedTuple):
    """One alternative of a rule: words that must be there, and those that may be besides."""

    must: frozenset[str]
    may: frozenset[str]
    weak: frozenset[str]

    def fits(self, telling: frozenset[str], weak: frozenset[str]) -> bool:
        """True if a text with these telling and weak words is meant."""
        return self.must <= telling <= self.must | self.may and self.weak <= weak

    @property
    def weight(self) -> int:
        """How much it asks for: the alternative that asks for most wins."""
        return len(self.must) + len(self.weak)


class Procedure(NamedTuple):
    """One entry of the catalogue."""

    name: str
    modalities: tuple[str, ...]
    region: str | None
    when: tuple[When, ...]


class Match(NamedTuple):
    """A procedure a text was understood as, and by which words."""

    procedure: Procedure
    because: tuple[str, ...]
    unknown: tuple[str, ...]
    is_mended: bool


@cache
def _kind_of(family: Family) -> Mapping[str, str]:
    return {c: sense.kind for sense in lexicon(family).values() for c in sense.concepts}


def _when(rule: str, family: Family) -> When:
    must, _, may = rule.partition("(")
    kinds = _kind_of(family)
    wanted = must.split()
    optional = may.rstrip(") ").split()
    for concept in (*wanted, *optional):
        if concept not in kinds:
            seen = f"{concept!r} in the rule {rule!r}"
            raise SettingsError(seen, expected=f"a concept of words/{family}.toml")
    telling = frozenset(c for c in wanted if kinds[c] in _TELLING)
    return When(telling, frozenset(optional), frozenset(wanted) - telling)


def _procedure(row: Mapping[str, Any], family: Family) -> Procedure:
    return Procedure(
        name=row["name"],
        modalities=tuple(row["modality"].split()),
        region=row.get("region"),
        when=tuple(_when(rule, family) for rule in row["when"]),
    )


@cache
def catalogue() -> Mapping[str, Procedure]:
    """Every canonical procedure by its name.

    Raises
    ------
    SettingsError
        If a rule names a concept that its family does not have.
    """
    folder = files("dose_lib.normalise").joinpath("procedures")
    found: dict[str, Procedure] = {}
    for family in Family:
        text = folder.joinpath(f"{family}.toml").read_text(encoding="utf-8")
        rows = tomllib.loads(text)["procedure"]
        found |= {row["name"]: _procedure(row, family) for row in rows}
    return found


@cache
def _rules(modality: Modality) -> tuple[tuple[Procedure, When], ...]:
    own = (p for p in catalogue().values() if str(modality) in p.modalities)
    return tuple((p, when) for p in own for when in p.when)


def procedures_of(modality: Modality) -> tuple[Procedure, ...]:
    """Procedures of the catalogue that a modality does."""
    return tuple(p for p in catalogue().values() if str(modality) in p.modalities)


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
    Texts are read word by word: all regions, strong words (angiography, perfusion, planning,
    ...) and views must be those of one rule; the rule that asks for most wins, and most of
    the words that say something must be understood.
    """
    family = family_of(modality)
    reading = read_text(text, family)
    telling, weak = _concepts(text, reading, family)
    fits = [(w.weight, p) for p, w in _rules(modality) if w.fits(telling, weak)]
    best = max((n for n, _ in fits), default=0)
    names = {p.name: p for n, p in fits if n == best}
    if len(names) != 1 or not _is_understood(reading):
        return None
    because = tuple(f.phrase for f in reading.found if f.sense.kind in _TELLING)
    (entry,) = names.values()
    return Match(entry, because, reading.unknown, any(f.is_typo for f in reading.found))


def concepts_of(text: str, family: Family) -> tuple[frozenset[str], frozenset[str]]:
    """Concepts a text names: those that tell an examination, and weak ones."""
    return _concepts(text, read_text(text, family), family)


def _concepts(text: str, reading: Reading, family: Family) -> tuple[frozenset[str], frozenset[str]]:
    """Telling words without what others lie in, and weak ones."""
    found = _after_path(text, reading, family)
    anatomy = _of_kinds(found, "anatomy")
    if not _is_joined(found):
        anatomy = within(anatomy)
    others = _of_kinds(found, *(k for k in _TELLING if k != "anatomy"))
    return anatomy | others, _of_kinds(found, "weak")


def within(anatomy: frozenset[str]) -> frozenset[str]:
    """Anatomy without what other parts of it lie in: a sinus in a head is a sinus."""
    return anatomy - frozenset(outer for a in anatomy for outer in _INSIDE.get(a, ()))


def _of_kinds(found: tuple[Found, ...], *kinds: str) -> frozenset[str]:
    return frozenset(c for f in found if f.sense.kind in kinds for c in f.sense.concepts)


def _after_path(text: str, reading: Reading, family: Family) -> tuple[Found, ...]:
    """What is said after the last ``^`` (Siemens: category^protocol), if it says a region."""
    if "^" not in text:
        return reading.found
    last = read_text(text.rpartition("^")[2], family)
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
