"""Whom a protocol is made for: adults, children, or it does not say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from dose_lib.normalise.lexicon import read_text
from dose_lib.normalise.text import fold_text

# "0-18 mo", "5-10 y", "<15 kg", "10kg", "3 ans", "6 Jahre": a protocol for small patients.
_AGE = re.compile(
    r"(?:(?P<low>\d{1,2})\s*(?:-|to|bis|a)\s*)?(?P<high>\d{1,3})\s*"
    r"(?P<unit>y|yo|yr|yrs|years?|j|jahre?|ans|anos|anni|m|mo|mos|mon|months?|monate?|mois|kg)\b"
)
_YEARS_ADULT = 18
_KG_ADULT = 50


class Audience(StrEnum):
    """Whom a protocol is made for."""

    PAEDIATRIC = "paediatric"
    ADULT = "adult"


class AudienceReading(NamedTuple):
    """Audience of a name and the words that say it; None and () if it does not say."""

    audience: Audience | None
    because: tuple[str, ...]


def read_audience(text: str) -> AudienceReading:
    """Whom one protocol name, study description or procedure meaning is for.

    Words count first ("Child", "Ped", "Adult", in several languages); a Siemens name ends
    with it in brackets. Then a band of age or weight that ends below 18 years or 50 kg. A
    name with both words, such as a folder "Adult/Child", says nothing.
    """
    found = [f for f in read_text(text).found if f.sense.kind == "audience"]
    said = {c for f in found for c in f.sense.concepts}
    if len(said) == 1:
        return AudienceReading(Audience(said.pop()), tuple(f.phrase for f in found))
    if said:
        return AudienceReading(None, tuple(f.phrase for f in found))
    band = _AGE.search(fold_text(text))
    if band and _is_small(int(band["high"]), band["unit"], has_low=band["low"] is not None):
        return AudienceReading(Audience.PAEDIATRIC, (band[0],))
    return AudienceReading(None, ())


def _is_small(high: int, unit: str, *, has_low: bool) -> bool:
    if unit == "kg":
        return high <= _KG_ADULT
    if unit[0] == "m":
        # A single "m" may be anything; a range of months is an age.
        return high <= 24 and (len(unit) > 1 or has_low)
    return high <= _YEARS_ADULT and (unit[0] != "j" or len(unit) > 1 or has_low)


def protocol_class(names: Iterable[str | None]) -> AudienceReading:
    """Whom an exam's names together are for: paediatric if one says so, else adult, else None.

    Parameters
    ----------
    names
        Protocol names of the events and the study description; None is skipped.
    """
    readings = [read_audience(n) for n in names if n]
    for audience in (Audience.PAEDIATRIC, Audience.ADULT):
        words = [w for r in readings if r.audience == audience for w in r.because]
        if words:
            return AudienceReading(audience, tuple(dict.fromkeys(words)))
    return AudienceReading(None, ())
