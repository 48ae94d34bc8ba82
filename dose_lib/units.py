"""Units of dose: the spellings that arrive and the only conversions there are.

UCUM is the standard's unit system, but devices drop dots, change case, use carets and
name other schemes. So the unit's text is folded before it is looked up, and looked up
only among the spellings of the quantity that is expected. An unknown unit gives None,
never a guess.
"""

from __future__ import annotations

import re
from types import MappingProxyType

_FOLD = re.compile(r"[\s.·*{}\[\]()^]")


_PLAIN = str.maketrans({"µ": "u", "μ": "u", "²": "2", "³": "3"})  # two signs for micro


def fold_unit(unit: str) -> str:
    """A unit's text without dots, carets, braces and spaces, in lower case and plain letters."""
    return _FOLD.sub("", unit).translate(_PLAIN).casefold()


def _table(rows: dict[str, dict[str, float]]) -> MappingProxyType[str, dict[str, float]]:
    return MappingProxyType(
        {to: {fold_unit(u): f for u, f in {to: 1.0, **row}.items()} for to, row in rows.items()}
    )


# canonical unit -> {recorded unit: factor}. Sources: reference dicom_dose §1.6 (spellings seen
# in real files), PS3.16 (units of each template row).
_FACTORS = _table(
    {
        "Gy.cm2": {
            "Gy.m2": 1e4,
            "dGy.cm2": 0.1,
            "cGy.cm2": 1e-2,
            "mGy.cm2": 1e-3,
            "uGy.m2": 1e-2,
            "mGy.m2": 10.0,
        },
        "mGy": {"Gy": 1e3, "dGy": 100.0, "cGy": 10.0, "uGy": 1e-3},
        "mGy.cm": {"Gy.cm": 1e3},
        "mSv": {"Sv": 1e3, "uSv": 1e-3},
        "mA.s": {"uA.s": 1e-3, "A.s": 1e3},
        "mA": {"uA": 1e-3, "A": 1e3, "X-ray tube current in mA": 1.0},
        "kV": {"V": 1e-3, "kVp": 1.0},
        "s": {"ms": 1e-3, "us": 1e-6, "min": 60.0, "h": 3600.0, "sec": 1.0, "seconds": 1.0},
        "ms": {"s": 1e3, "us": 1e-3, "msec": 1.0},
        "mm": {"cm": 10.0, "m": 1e3, "um": 1e-3, "dm": 100.0},
        "cm": {"mm": 0.1, "m": 100.0},
        "cm2": {"m2": 1e4, "mm2": 1e-2},
        "mm2": {"cm2": 100.0, "m2": 1e6},
        "m2": {"cm2": 1e-4},
        "deg": {"degree": 1.0, "degrees": 1.0, "°": 1.0, "rad": 57.29577951308232},
        "MBq": {"Bq": 1e-6, "kBq": 1e-3, "GBq": 1e3, "mCi": 37.0, "uCi": 0.037},
        "Bq/mmol": {"Bq/mol": 1e-3, "Bq/umol": 1e3, "MBq/mmol": 1e6, "GBq/umol": 1e12},
        "kg": {"g": 1e-3, "[lb_av]": 0.45359237},
        "g": {"kg": 1e3, "mg": 1e-3},
        "kg/m2": {},
        "a": {"year": 1.0, "years": 1.0, "mo": 1 / 12, "wk": 7 / 365.25, "d": 1 / 365.25},
        "h": {"min": 1 / 60, "s": 1 / 3600},
        "mL": {"cm3": 1.0, "cc": 1.0, "L": 1e3, "uL": 1e-3},
        "Hz": {"{pulse}/s": 1.0, "{pulses}/s": 1.0, "/s": 1.0, "1/s": 1.0, "{frame}/s": 1.0},
        "N": {"dN": 0.1, "daN": 10.0, "kN": 1e3},
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
            "no units": 1.0,
            "": 1.0,
            "{events}": 1.0,
            "{event}": 1.0,
            "{X-Ray sources}": 1.0,
            "{ratio}": 1.0,
            "{pulse}": 1.0,
            "{pulses}": 1.0,
            "{frames}": 1.0,
            "{count}": 1.0,
            "count": 1.0,
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
    return _FACTORS[to].get(fold_unit(recorded))
