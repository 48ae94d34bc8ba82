"""What one exposure of radiography or mammography is: body part and view, "Chest PA".

Levels of radiography and mammography are given for one projection. It is told by the coded
anatomy and view of the event; where one of them is missing or coarser (spine, upper limb), by
the words of its protocol. What is not clear stays None.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from dose_lib import codes
from dose_lib.normalise.catalogue import within
from dose_lib.normalise.lexicon import Family, read_text
from dose_lib.records import Code, MgMode, Modality, Part, XRayEvent

BREAST = "Mammogram"
_BREAST_VIEWS = frozenset({"CC", "MLO", "ML"})
_MODE_WORDS = {MgMode.DBT: " DBT", MgMode.CEM: " CEM"}


@cache
def _table() -> dict[str, Any]:
    place = files("dose_lib.normalise").joinpath("projections.toml")
    return tomllib.loads(place.read_text(encoding="utf-8"))


@cache
def _parts() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Body part by the key of its code, and by the concept of its words."""
    rows = _table()["part"]
    coded = {codes.fold(c, "SCT"): name for name, row in rows.items() for c in row["codes"]}
    return coded, {row["words"]: name for name, row in rows.items()}


@cache
def _views(*, is_breast: bool) -> tuple[Mapping[str, str], Mapping[str, str]]:
    rows = {n: r for n, r in _table()["view"].items() if (n in _BREAST_VIEWS) == is_breast}
    coded = {codes.fold(c, "SCT"): name for name, row in rows.items() for c in row["codes"]}
    return coded, {w: name for name, row in rows.items() for w in row["words"]}


@cache
def projections() -> tuple[str, ...]:
    """Every name a projection may have, and those of groups levels are given for."""
    trunk = (n for n in _table()["part"] if n != BREAST)
    names = [_named(p, v) for p in trunk for v in _views(is_breast=False)[1].values()]
    breast = [f"{BREAST} {v}" for v in sorted(_BREAST_VIEWS)]
    breast += [f"{name}{mode}" for name in breast for mode in _MODE_WORDS.values()]
    return tuple(dict.fromkeys((*names, *breast, *_table()["group"])))


@cache
def members(name: str) -> tuple[str, ...]:
    """Projections that a level of this name is for; itself where it is no group."""
    return tuple(_table()["group"].get(name, (name,)))


def _named(part: str, view: str) -> str:
    rule = _table()["one_name"]
    view = view if part in rule["except"] else rule.get(view, view)
    return f"{part} {view}"


def name_projection(
    event: XRayEvent, modality: Modality, mg_mode: MgMode | None = None
) -> str | None:
    """Canonical projection of one event.

    Parameters
    ----------
    event
        As read.
    modality
        Of its part; only radiography and mammography have projections.
    mg_mode
        Technique of the part, where the event states none.

    Returns
    -------
    str or None
        One of `projections`; tomosynthesis and contrast mammography have names of their own.
        None for fluoroscopy, for views or parts that are not clear, for rejected exposures.
    """
    if modality not in (Modality.DX, Modality.MG) or event.is_rejected:
        return None
    is_breast = modality is Modality.MG
    part = BREAST if is_breast else _part(event)
    view = _view(event, is_breast=is_breast)
    if part is None or view is None:
        return None
    if not is_breast:
        return _named(part, view)
    mode = event.mg_mode or mg_mode
    # A combined exposure is told by what its events are; a part's "combo" says nothing of one.
    return None if mode is MgMode.COMBO else f"{part} {view}{_MODE_WORDS.get(mode, '')}"  # type: ignore[arg-type]


def _part(event: XRayEvent) -> str | None:
    coded, _ = _parts()
    for code in (event.anatomical_structure, event.target_region):
        if (found := _of_code(code, coded)) is not None:
            return found
    return _by_words(event.acquisition_protocol)[0]


def _view(event: XRayEvent, *, is_breast: bool) -> str | None:
    coded, _ = _views(is_breast=is_breast)
    if (found := _of_code(event.view, coded)) is not None:
        return found
    if event.view is not None and event.view.value:
        return None  # coded, but no view that has levels
    return _by_words(event.acquisition_protocol, is_breast=is_breast)[1]


def _of_code(code: Code | None, table: Mapping[str, str]) -> str | None:
    return None if code is None else table.get(codes.fold(code.value, code.scheme))


@lru_cache(maxsize=5000)
def _by_words(text: str | None, *, is_breast: bool = False) -> tuple[str | None, str | None]:
    """Body part and view that a protocol's name says; None for more than one of them."""
    if not text:
        return None, None
    reading = read_text(text, Family.BREAST if is_breast else Family.DX)
    _, parts = _parts()
    _, views = _views(is_breast=is_breast)
    found = within(frozenset(reading.of_kind("anatomy")))
    part = {parts[c] for c in found if c in parts} if all(c in parts for c in found) else set()
    view = {views[c] for c in reading.of_kind("view") if c in views}
    return _only(part), _only(view)


def _only(found: set[str]) -> str | None:
    return next(iter(found)) if len(found) == 1 else None


def projections_of(part: Part) -> tuple[str | None, ...]:
    """Projection of each exposure of a part that was not rejected."""
    return tuple(
        name_projection(e, part.modality, part.mg_mode)
        for e in part.events
        if isinstance(e, XRayEvent) and not e.is_rejected
    )
