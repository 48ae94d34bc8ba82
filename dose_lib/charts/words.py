"""What a reader sees for a column and for a number: label, unit, digits.

Names carry their unit (DESIGN §4), so a column says by itself how it is to be printed.
Statistics put before a name with `_` (`median_dlp_total_mgy_cm`) are understood as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from numbers import Integral, Real
from typing import NamedTuple

from dose_lib.records import contract

MISSING = "–"

# UCUM as the records spell it -> what print uses.
_PRINTED = {
    "mGy.cm": "mGy·cm",
    "Gy.cm2": "Gy·cm²",
    "kg/m2": "kg/m²",
    "mA.s": "mAs",
    "cm2": "cm²",
    "mm2": "mm²",
    "m2": "m²",
    "a": "years",
    "deg": "°",
}
_LABELS = {
    "dlp_total_mgy_cm": "DLP",
    "dlp_mgy_cm": "DLP",
    "dlp_16cm_mgy_cm": "DLP, 16 cm phantom",
    "dlp_32cm_mgy_cm": "DLP, 32 cm phantom",
    "ctdi_vol_mgy": "CTDIvol",
    "ctdi_vol_16cm_max_mgy": "CTDIvol, 16 cm phantom",
    "ctdi_vol_32cm_max_mgy": "CTDIvol, 32 cm phantom",
    "ssde_mgy": "SSDE",
    "ssde_max_mgy": "SSDE",
    "effective_dose_msv": "Effective dose",
    "kap_gy_cm2": "KAP",
    "ka_r_mgy": "Air kerma at the reference point",
    "ka_r_max_plane_mgy": "Air kerma at the reference point, larger plane",
    "fluoro_time_s": "Fluoroscopy time",
    "agd_left_mgy": "AGD, left breast",
    "agd_right_mgy": "AGD, right breast",
    "agd_both_mgy": "AGD",
    "agd_per_breast_mgy": "AGD per breast",
    "local_drl_mgy_cm": "Local DRL",
    "local_drl_percent": "Median in percent of the local DRL",
    "national_drl_mgy_cm": "National DRL",
    "national_drl_percent": "Median in percent of the national DRL",
    "drl_mgy_cm": "DRL",
    "drl_percent": "Median in percent of the DRL",
    "dose_of_level_percent": "Dose in percent of the reference level",
    "dlp": "DLP",
    "ctdi_vol": "CTDIvol",
    "kap": "KAP",
    "ka_r": "Air kerma at the reference point",
    "fluoro_time": "Fluoroscopy time",
    "agd": "AGD",
    "procedure_name": "Procedure",
    "body_region": "Region",
    "device": "Device",
    "device_key": "Device",
    "operator": "Operator",
    "started_at": "Time",
    "weight_kg": "Weight",
    "height_cm": "Height",
    "age_y": "Age",
    "bmi_kg_per_m2": "BMI",
    "n": "Exams",
    "n_events": "Irradiation events",
    "share_percent": "Share",
}
_STATISTICS = {
    "median": "median",
    "mean": "mean",
    "p25": "25th percentile",
    "p75": "75th percentile",
    "p90": "90th percentile",
    "p95": "95th percentile",
    "min": "minimum",
    "max": "maximum",
    "sum": "total",
}


class Word(NamedTuple):
    """How a column is printed."""

    label: str
    unit: str | None

    @property
    def axis(self) -> str:
        """Label with its unit, as an axis or a column head shows it."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


# Columns that are computed for a page and so are in no record of the contract.
_COMPUTED = {
    "agd_per_breast_mgy": "mGy",
    "local_drl_mgy_cm": "mGy.cm",
    "national_drl_mgy_cm": "mGy.cm",
    "drl_mgy_cm": "mGy.cm",
}


@cache
def _units() -> dict[str, str]:
    return _COMPUTED | {row.name: row.unit for row in contract() if row.unit}


def printed_unit(unit: str | None) -> str | None:
    """A UCUM unit as print spells it: `mGy.cm` is mGy·cm."""
    return None if unit is None else _PRINTED.get(unit, unit)


def word(column: str) -> Word:
    """Label and unit of a column.

    Parameters
    ----------
    column
        A name of the contract, one of the library's own, or either with a statistic in
        front or behind (`median_dlp_total_mgy_cm`, `dlp_total_mgy_cm_p75`).
    """
    name, statistic = _split_statistic(column)
    unit = _units().get(name) or ("%" if name.endswith("_percent") else None)
    label = _LABELS.get(name) or _plain(name, unit)
    if statistic:
        label = f"{label}, {_STATISTICS[statistic]}"
    return Word(label, printed_unit(unit))


def _split_statistic(column: str) -> tuple[str, str | None]:
    for statistic in _STATISTICS:
        if column.startswith(f"{statistic}_"):
            return column[len(statistic) + 1 :], statistic
        if column.endswith(f"_{statistic}"):
            return column[: -len(statistic) - 1], statistic
    return column, None


def _plain(name: str, unit: str | None) -> str:
    """A name in words, without the unit that ends it."""
    text = name
    if unit:
        tail = unit.lower().replace(".", "_").replace("/", "_per_").replace("%", "percent")
        text = name.removesuffix(f"_{'y' if unit == 'a' else tail}")
    text = text.removesuffix("_percent").removesuffix("_at").replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def digits(value: float) -> int:
    """Decimals that leave about three significant digits."""
    size = abs(value)
    return 0 if size >= 100 or size == 0 else 1 if size >= 10 else 2 if size >= 1 else 3


def number(value: object, unit: str | None = None) -> str:
    """A value as a reader sees it: three significant digits, unit, dash for missing.

    Parameters
    ----------
    value
        Number, date, time, truth value, text or None.
    unit
        Printed after a number that is there.
    """
    text = _text(value)
    if unit is None or text == MISSING:
        return text
    return f"{text} %" if unit == "%" else f"{text} {unit}"


def _text(value: object) -> str:
    if is_missing(value):
        return MISSING
    if type(value).__name__ in ("bool", "bool_"):
        return "yes" if value else "no"
    if isinstance(value, Real | Decimal):
        whole = isinstance(value, Integral)
        return f"{value:,d}" if whole else f"{float(value):,.{digits(float(value))}f}"
    if isinstance(value, date):
        return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else f"{value:%Y-%m-%d}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_text(v) for v in value)
    return str(value)


def is_missing(value: object) -> bool:
    """True for None, NaN and NaT."""
    if value is None or type(value).__name__ in ("NaTType", "NAType"):
        return True
    return isinstance(value, float) and math.isnan(value)


def exams(n: int) -> str:
    """A number of exams in words: "1 exam", "1,204 exams"."""
    return f"{n:,} exam" if n == 1 else f"{n:,} exams"


def shorten(text: str, width: int = 30) -> str:
    """A long label cut in its middle, so that both ends stay readable."""
    if len(text) <= width:
        return text
    head = (width - 1) * 2 // 3
    return f"{text[:head].rstrip()}…{text[-(width - 1 - head) :].lstrip()}"
