"""Vendor deviations as data: `dialects.toml` holds each with its reason, origin and action.

Rules correct a report's content tree before it is read, choose modality classes, and say
which identifiers and header units are not to be trusted. Rules of action ``reader`` only
document what the readers tolerate by themselves.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache, lru_cache
from importlib.resources import files

import msgspec

from dose_lib import codes as c
from dose_lib.codes import Concept
from dose_lib.dicom.reading import Reading
from dose_lib.dicom.record import fold_meaning
from dose_lib.dicom.sr import Node
from dose_lib.records import Code, Modality


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One deviation.

    Attributes
    ----------
    id
        Stable name; issues, provenance and sources carry it.
    vendor
        Whose devices show it; ``several`` where it is no maker's own.
    seen, handling, origin
        What arrives, what is done about it, and where it was found: a real file, or a
        documented issue.
    action
        concept, value, modality, observer_uid, header_factor, protocol, or reader.
    concept, concept_to
        Key of the item's concept, and of the concept it stands for.
    meaning
        Pattern of the item's meaning, where the code alone does not decide.
    values, value_to
        Keys of the item's coded value, and the code that is meant.
    manufacturer, model
        Patterns that the device must match; searched, case ignored.
    modality
        The modality class of these devices.
    tag, factor
        A header element, and what its number is multiplied by.
    """

    id: str
    vendor: str
    seen: str
    handling: str
    origin: str
    action: str
    concept: str | None = None
    concept_to: str | None = None
    meaning: str | None = None
    values: tuple[str, ...] = ()
    value_to: tuple[str, str, str] | None = None
    manufacturer: str | None = None
    model: str | None = None
    modality: Modality | None = None
    tag: int | None = None
    factor: float | None = None


class SeenDevice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Devices of a maker with a real file behind them; the docs claim no others."""

    vendor: str
    models: str
    objects: str
    evidence: str


class _File(msgspec.Struct, forbid_unknown_fields=True):
    device: tuple[SeenDevice, ...]
    rule: tuple[Rule, ...]


class Maker(msgspec.Struct, frozen=True):
    """Manufacturer and model, as the rules look at them."""

    manufacturer: str | None = None
    model: str | None = None


@cache
def _load() -> _File:
    text = files("dose_lib.dicom").joinpath("dialects.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), _File)


def load_rules() -> tuple[Rule, ...]:
    """All rules of `dialects.toml`, in its order."""
    return _load().rule


def seen_devices() -> tuple[SeenDevice, ...]:
    """Devices of which a real object was read."""
    return _load().device


def _matches(pattern: str | None, text: str | None) -> bool:
    return pattern is None or re.search(pattern, text or "", re.IGNORECASE) is not None


@lru_cache(maxsize=1024)
def rules_for(action: str, maker: Maker) -> tuple[Rule, ...]:
    """Rules of one action that hold for a device."""
    return tuple(
        rule
        for rule in load_rules()
        if rule.action == action
        and _matches(rule.manufacturer, maker.manufacturer)
        and _matches(rule.model, maker.model)
    )


@cache
def _known_keys() -> frozenset[str]:
    return frozenset(v.key for v in vars(c).values() if isinstance(v, Concept))


@cache
def _by_meaning() -> dict[str, str]:
    """Folded meaning -> key of the standard's concepts; ambiguous meanings are left out."""
    found: dict[str, list[str]] = {}
    for concept in vars(c).values():
        if isinstance(concept, Concept) and not concept.scheme.startswith("99"):
            found.setdefault(fold_meaning(concept.meaning), []).append(concept.key)
    return {meaning: keys[0] for meaning, keys in found.items() if len(keys) == 1}


def correct_tree(reading: Reading, root: Node, maker: Maker) -> None:
    """Give items the concept and value that is meant, where a rule knows better.

    An item whose code nobody knows is recognised by its meaning, but never one with a
    private scheme: Philips' private "Table Height Position" is not the standard's.
    """
    concepts, values = _by_key("concept", maker), _by_key("value", maker)
    known = _known_keys()
    bare: Node | None = None
    for node in root.walk():
        key = node.key
        if bare is None and key and not node.name.scheme:
            bare = node
            reading.note("scheme_missing", node.path, node.name.value)
        for rule in values.get(key, ()):
            if node.coded[0] in rule.values and rule.value_to:
                node.coded = c.fold(*rule.value_to[:2]), Code(*rule.value_to)
                _apply(reading, node, rule)
        for rule in concepts.get(key, ()):
            if _holds(rule, node) and rule.concept_to:
                _rename(node, rule.concept_to)
                _apply(reading, node, rule)
        if key not in known and key not in concepts:
            _recognise_by_meaning(reading, node)


@lru_cache(maxsize=1024)
def _by_key(action: str, maker: Maker) -> dict[str, list[Rule]]:
    found: dict[str, list[Rule]] = {}
    for rule in rules_for(action, maker):
        found.setdefault(rule.concept or "", []).append(rule)
    return found


def _holds(rule: Rule, node: Node) -> bool:
    return (not rule.values or node.coded[0] in rule.values) and _matches(
        rule.meaning, node.name.meaning
    )


def _apply(reading: Reading, node: Node, rule: Rule) -> None:
    node.rule = rule.id
    if rule.id not in reading.rules:
        reading.rules[rule.id] = None
        reading.note("dialect", node.path, rule.seen, rule.id)


def _rename(node: Node, key: str) -> None:
    above = node.parent
    if above is not None:
        same = above.by_key.get(node.key, [])
        if node in same:
            same.remove(node)
            for place, other in enumerate(same):
                other.nth = place
        node.nth = len(above.by_key.setdefault(key, []))
        above.by_key[key].append(node)
    node.key = key


def _recognise_by_meaning(reading: Reading, node: Node) -> None:
    scheme = (node.name.scheme or "").upper()
    if scheme.startswith("99") or node.parent is None:
        return
    found = _by_meaning().get(fold_meaning(node.name.meaning))
    if found is not None and found != node.key:
        _rename(node, found)
        node.rule = "name_by_meaning"
        reading.note("name_by_meaning", node.path, node.name.meaning, "name_by_meaning")


def modality_of(maker: Maker) -> Rule | None:
    """The rule that gives a device its modality class."""
    return next(iter(rules_for("modality", maker)), None)


def trusts_observer_uid(reading: Reading, maker: Maker) -> bool:
    """False for devices whose observer UID changes with each exam."""
    rule = next(iter(rules_for("observer_uid", maker)), None)
    if rule is not None:
        reading.rules[rule.id] = None
    return rule is None


def header_factor(reading: Reading, maker: Maker, tag: int) -> tuple[float, str | None]:
    """What a header's number is multiplied by because its maker uses another unit."""
    for rule in rules_for("header_factor", maker):
        if rule.tag == tag and rule.factor is not None:
            reading.rules[rule.id] = None
            return rule.factor, rule.id
    return 1.0, None


def protocol_element(reading: Reading, maker: Maker) -> int | None:
    """The header element in which a maker writes the protocol, if it is one of its own."""
    for rule in rules_for("protocol", maker):
        reading.rules[rule.id] = None
        return rule.tag
    return None
