"""Body regions: their vocabulary, their parts, and the codes they arrive in."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

from dose_lib import codes
from dose_lib.records import Code

ORDER = ("head", "neck", "chest", "abdomen", "pelvis")  # from head to foot


@cache
def _table() -> dict[str, dict[str, list[str]]]:
    text = files("dose_lib.normalise").joinpath("regions.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def body_regions() -> tuple[str, ...]:
    """The values `body_region` may take."""
    return tuple(_table()["regions"])


@cache
def components(region: str) -> frozenset[str]:
    """Parts a body region is made of; empty for a region outside the vocabulary."""
    return frozenset(_table()["regions"].get(region, ()))


@cache
def reach(region: str) -> frozenset[str]:
    """Components and the parts they lie in: what a scan of the region may be coded as."""
    own = components(region)
    return own | {wider for part in own for wider in _table()["overlaps"].get(part, ())}


def is_same_place(one: str, other: str) -> bool:
    """True if scans of the two regions can be of the same place."""
    return bool(reach(one) & components(other)) or bool(components(one) & reach(other))


def combine(regions: Iterable[str]) -> str | None:
    """The combined term of several regions; None if the vocabulary has none for them.

    A heart or a breast beside the chest adds nothing, nor does a spine beside the trunk
    part it lies in.
    """
    parts = frozenset[str]().union(*(components(r) for r in regions))
    swallowed = {p for p in parts if set(_table()["overlaps"].get(p, ())) & parts}
    parts -= swallowed
    for name in body_regions():
        if parts and components(name) == parts:
            return name
    return _hull(parts)


def _hull(parts: frozenset[str]) -> str | None:
    """Head and pelvis alone are two scans; head, chest and abdomen are a long one."""
    if len(parts) < 3 or not parts <= set(ORDER):
        return None
    places = sorted(ORDER.index(p) for p in parts)
    span = frozenset(ORDER[places[0] : places[-1] + 1])
    near = len(span) - len(parts) <= 1
    return next((n for n in body_regions() if near and components(n) == span), None)


@cache
def region_codes() -> Mapping[str, str]:
    """Body region by the key of a coded target region (`codes.fold`)."""
    found = {f"SCT:{c}": region for region, cs in _table()["codes"].items() for c in cs}
    return found | {f"SRT:{c}": region for region, cs in _table()["older"].items() for c in cs}


def region_of_code(code: Code | None) -> str | None:
    """Body region of a coded target region; None for no code or one that is no region."""
    if code is None:
        return None
    return region_codes().get(codes.fold(code.value, code.scheme))


def _aliases(key: str) -> tuple[str, ...]:
    scheme, _, value = key.partition(":")
    return (value, codes.to_srt(codes.Concept(value, scheme, "")).value)


@cache
def code_values() -> tuple[str, ...]:
    """Every code value that names a region, SNOMED CT and SRT alike."""
    return tuple(dict.fromkeys(v for key in region_codes() for v in _aliases(key)))


@cache
def code_values_of(region: str) -> tuple[str, ...]:
    """Code values of the target regions that a scan of `region` may be coded as."""
    keys = (k for k, other in region_codes().items() if is_same_place(region, other))
    return tuple(dict.fromkeys(v for key in keys for v in _aliases(key)))
