"""How an archive deviates, as data: `peculiarities.toml`, and the site's own words."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import msgspec

from dose_lib.errors import SettingsError, did_you_mean


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive can do; the defaults are an archive that follows the standard.

    Attributes
    ----------
    matches_modalities
        ModalitiesInStudy as a matching key. Whether it is in the answers shows in them.
    wants_empty_modality
        Complete answers only where an empty Modality goes with a query for studies.
    by_modality
        Ask for one modality at a time: shorter answers.
    has_series_level, has_image_level
        Queries at these levels are answered.
    matches_time
        Ranges of StudyTime are matched.
    has_includefield
        DICOMweb: further attributes may be asked for; without, what is returned by default.
    result_limit
        Most answers to one query; 0: no limit is known.
    """

    matches_modalities: bool = True
    wants_empty_modality: bool = False
    by_modality: bool = False
    has_series_level: bool = True
    has_image_level: bool = True
    matches_time: bool = True
    has_includefield: bool = True
    result_limit: int = 0


class Peculiarity(msgspec.Struct, frozen=True, kw_only=True):
    """A named deviation: what it is, where it was seen, what it changes."""

    name: str
    title: str
    origin: str
    changes: dict[str, bool | int]


@cache
def peculiarities() -> tuple[Peculiarity, ...]:
    """All that are known, by name."""
    text = files("pipelines.collect").joinpath("peculiarities.toml").read_text(encoding="utf-8")
    return tuple(
        Peculiarity(name=n, title=t.pop("title"), origin=t.pop("origin"), changes=t)
        for n, t in sorted(tomllib.loads(text).items())
    )


def traits_of(names: Sequence[str], where: str = "like") -> Traits:
    """Traits of an archive that is like all of these; the worst of each counts.

    Raises
    ------
    SettingsError
        For a name that is not known.
    """
    known = {p.name: p for p in peculiarities()}
    traits = Traits()
    for name in names:
        if name not in known:
            raise SettingsError(
                f"no archive is known as {name!r}", where=where, todo=did_you_mean(name, known)
            )
        traits = msgspec.structs.replace(traits, **known[name].changes)
    return traits
