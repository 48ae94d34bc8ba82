"""Units of dose: the spellings that arrive and the only conversions there are.

UCUM is the standard's unit system, but devices drop dots, change case, use carets and
name other schemes. So the unit's text is folded before it is looked up, and looked up
only among the spellings of the quantity that is expected. An unknown unit gives None,
never a guess.
"""

from __future__ import annotations

import re
from functools import cache
from types import MappingProxyType

# Signs that separate or group, and say nothing; a minus before a digit is an exponent's.
_FOLD = re.compile(r"[\s.·⋅∙•*×{}\[\]()^_]|-(?!\d)")
_TIMES = re.compile(r"\s+x\s+", re.IGNORECASE)
_TWICE = re.compile(r"\b([cdm]?m)\s*[.*·⋅×]\s*\1\b", re.IGNORECASE)  # cm.cm
_WORDS = re.compile(r"micro|milli|centi|deci|grays?")
_SHORT = {"micro": "u", "milli": "m", "centi": "c", "deci": "d", "gray": "gy", "grays": "gy"}
_ANNOTATION = re.compile(r"\{[^{}]*\}")  # UCUM §12: means nothing, stands for 1 where alone
_PLAIN = str.maketrans({"µ": "u", "μ": "u", "²": "2", "³": "3"})  # two signs for micro


def fold_unit(unit: str) -> str:
    """A unit's text without dots, carets, braces and spaces, in lower case and plain letters."""
    plain = _TWICE.sub(r"\g<1>2", _TIMES.sub(".", unit))
    folded = _FOLD.sub("", plain).translate(_PLAIN).casefold()
    return _WORDS.sub(lambda found: _SHORT[found[0]], folded)


def _table(rows: dict[str, dict[str, float]]) -> MappingProxyType[str, dict[str, float]]:
    return MappingProxyType(
        {to: {fold_unit(u): f for u, f in {to: 1.0, **row}.items()} for to, row in rows.items()}
    )


# Powers of ten of the prefixes that arrive; the case of M (mega) is folded away, so it is none.
_PREFIXES = {"": 0, "k": 3, "da": 1, "d": -1, "c": -2, "m": -3, "u": -6, "mc": -6, "n": -9}
_LENGTHS = {"": 0, "d": -1, "c": -2, "m": -3}


def _scaled(base: str, offset: int) -> dict[str, float]:
    """A unit with every prefix; `offset` is the power of ten of the bare one."""
    return {f"{p}{base}": float(f"1e{n + offset}") for p, n in _PREFIXES.items()}


def _dose_by(base: str, power: int, offset: int) -> dict[str, float]:
    """Gray by a length or an area, with every prefix of both."""
    return {
        f"{p}Gy.{q}{base}": float(f"1e{n + power * m + offset}")
        for p, n in _PREFIXES.items()
        for q, m in _LENGTHS.items()
    }


def _words(factor: float, *units: str) -> dict[str, float]:
    return dict.fromkeys(units, factor)


_SECONDS = {
    **_words(1.0, "s", "sec", "secs", "second", "seconds"),
    **_words(60.0, "min", "mins", "minute", "minutes"),
    **_words(3600.0, "h", "hr", "hrs", "hour", "hours"),
}
_MILLISECONDS = ("ms", "msec", "msecs", "millisecond", "milliseconds")
# What is counted, and how often a second: UCUM has them in braces, devices often without.
_THINGS = (
    *("event", "events", "X-Ray source", "X-Ray sources", "ratio", "pulse", "pulses", "frame"),
    *("frames", "count", "counts", "image", "images", "exposure", "exposures", "units"),
)
_RATES = ("pulse", "pulses", "p", "frame", "frames", "f", "image", "images", "img", "imp")
_A_SECOND = ("s", "sec", "second")


# canonical unit -> {recorded unit: factor}. Sources: reference dicom_dose §1.6 (spellings seen
# in real files), PS3.16 (units of each template row).
_FACTORS = _table(
    {
        "Gy.cm2": _dose_by("m2", 2, 4),
        "mGy": _scaled("Gy", 3),
        "mGy.cm": _dose_by("m", 1, 5),
        "mSv": _scaled("Sv", 3),
        "mA.s": {**_scaled("A.s", 3), "mA.ms": 1e-3},
        "mA": {"uA": 1e-3, "A": 1e3, "X-ray tube current in mA": 1.0},
        "kV": {"V": 1e-3, "kVp": 1.0},
        "s": {**_SECONDS, **_words(1e-3, *_MILLISECONDS), "us": 1e-6},
        "ms": {
            **{unit: seconds * 1e3 for unit, seconds in _SECONDS.items()},
            **_words(1.0, *_MILLISECONDS),
            "us": 1e-3,
        },
        "mm": {"cm": 10.0, "m": 1e3, "um": 1e-3, "dm": 100.0},
        "cm": {"mm": 0.1, "m": 100.0},
        "cm2": {"m2": 1e4, "mm2": 1e-2},
        "mm2": {"cm2": 100.0, "m2": 1e6},
        "m2": {"cm2": 1e-4},
        "deg": {"degree": 1.0, "degrees": 1.0, "°": 1.0, "rad": 57.29577951308232},
        "MBq": {"Bq": 1e-6, "kBq": 1e-3, "GBq": 1e3, "mCi": 37.0, "Ci": 37e3, "uCi": 0.037},
        "Bq/mmol": {"Bq/mol": 1e-3, "Bq/umol": 1e3, "MBq/mmol": 1e6, "GBq/umol": 1e12},
        "kg": {"g": 1e-3, "[lb_av]": 0.45359237},
        "g": {"kg": 1e3, "mg": 1e-3},
        "kg/m2": {},
        "a": {"year": 1.0, "years": 1.0, "mo": 1 / 12, "wk": 7 / 365.25, "d": 1 / 365.25},
        "h": {"min": 1 / 60, "s": 1 / 3600},
        "mL": {"cm3": 1.0, "cc": 1.0, "L": 1e3, "uL": 1e-3},
        "Hz": {
            **_words(1.0, "/s", "1/s", "s-1", "pps", "fps"),
            **{f"{thing}/{second}": 1.0 for thing in _RATES for second in _A_SECOND},
        },
        "N": {"dN": 0.1, "daN": 10.0, "kN": 1e3, **_words(9.80665, "kgf", "kp")},
        "kPa": {"Pa": 1e-3, "hPa": 0.1, "mm[Hg]": 0.133322387415},
        "%": {"percent": 1.0, "{ratio}%": 1.0},
        "mGy/mA.s": {"Gy/A.s": 1.0, "mGy/mAs": 1.0},
        "mSv/mGy.cm": {"Sv/Gy.cm": 1.0},
        "mmol/L": {"umol/L": 1e-3},
        "mg/dL": {},
        "mL/min/{1.73_m2}": {},
        "keV": {"eV": 1e-3, "MeV": 1e3},
        "ns": {"us": 1e3, "ms": 1e6, "s": 1e9},
        "1": {
            **_words(1.0, "", "no units", "no unit", "unitless", "none"),
            **_words(1.0, *_THINGS),
        },
    }
)


def canonical_units() -> frozenset[str]:
    """The units that records, columns and reports use."""
    return frozenset(_FACTORS)


def factor(recorded: str, to: str) -> float | None:
    """What to multiply a number in unit `recorded` by to get unit `to`.

    Parameters
    ----------
    recorded
        Unit code as sent, in any spelling.
    to
        One of `canonical_units()`.

    Returns
    -------
    float or None
        None if the recorded unit is not one of this quantity.

    Raises
    ------
    KeyError
        If `to` is no canonical unit: a mistake of the caller, not of the data.
    """
    known = _FACTORS[to]
    found = known.get(fold_unit(recorded))
    if found is None and "{" in recorded:
        bare = _ANNOTATION.sub("", recorded)
        found = known.get(fold_unit(bare)) if bare.strip() or to == "1" else None
    return found


def is_unit(recorded: str) -> bool:
    """True for a unit code of any quantity, so that words beside it need not be asked."""
    return fold_unit(recorded) in _known()


@cache
def _known() -> frozenset[str]:
    return frozenset(unit for row in _FACTORS.values() for unit in row)
