"""Size-specific dose estimates of body CT (AAPM reports 204 and 220).

The factor is an exponential in the diameter; its coefficients reproduce every factor of the
report's tables 1D and 2D within 0.005 (a test holds it). Report 293 for heads stays off until
its coefficients have been seen in the report.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from dose_lib.records import Phantom
from dose_lib.reference import read_table, tables_folder

VERSION = "1"
FORMULA = "AAPM 204/220: CTDIvol × a·exp(-b·D)"


class _Curve(NamedTuple):
    a: float
    b_per_cm: float
    smallest_cm: float
    largest_cm: float


# Fits and ranges of tables 1D (32 cm phantom) and 2D (16 cm phantom) of report 204.
_CURVES: Mapping[Phantom, _Curve] = {
    Phantom.BODY_32CM: _Curve(3.704369, 0.03671937, 8.0, 45.0),
    Phantom.HEAD_16CM: _Curve(1.874799, 0.03871313, 6.0, 55.0),
}


def conversion_factor(diameter_cm: float, phantom: Phantom) -> float | None:
    """Factor from CTDIvol to SSDE.

    Parameters
    ----------
    diameter_cm
        Effective (204) or water-equivalent (220) diameter.
    phantom
        Phantom the CTDIvol is stated on.

    Returns
    -------
    float or None
        None for another phantom, or outside the range of the report's table: nothing is
        extrapolated.
    """
    curve = _CURVES.get(phantom)
    if curve is None or not curve.smallest_cm <= diameter_cm <= curve.largest_cm:
        return None
    return curve.a * math.exp(-curve.b_per_cm * diameter_cm)


def factor_range(phantom: Phantom) -> str:
    """Range of diameters of a phantom's table in words."""
    curve = _CURVES[phantom]
    return f"{curve.smallest_cm:g} to {curve.largest_cm:g} cm"


# Which table of report 204 leads from a single dimension to the effective diameter.
_TABLES = {"lateral": ("1B lateral", "2B lateral"), "ap": ("1C AP", "2C AP")}


def effective_diameter(
    *, ap_mm: float | None = None, lateral_mm: float | None = None
) -> float | None:
    """Effective diameter in mm from the dimensions of the patient.

    Parameters
    ----------
    ap_mm, lateral_mm
        Anterior-posterior and lateral dimension; one is enough.

    Returns
    -------
    float or None
        √(AP × LAT) where both are known (AAPM 204, eq. 1), else by the report's table of the
        one dimension (1B and 2B, 1C and 2C), linear between its rows; None outside of it.
    """
    if ap_mm and lateral_mm:
        return math.sqrt(ap_mm * lateral_mm)
    for kind, size in (("lateral", lateral_mm), ("ap", ap_mm)):
        if size:
            found = _by_table(kind, size / 10)
            return None if found is None else 10 * found
    return None


@cache
def _table(kind: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    names = _TABLES[kind]
    rows = {
        float(r["dimension_cm"]): float(r["effective_diameter_cm"])
        for r in read_table(tables_folder() / "ssde_aapm204.csv")
        if r["table"] in names
    }
    sizes, diameters = zip(*sorted(rows.items()), strict=True)
    return sizes, diameters


def _by_table(kind: str, size_cm: float) -> float | None:
    sizes, diameters = _table(kind)
    if not sizes[0] <= size_cm <= sizes[-1]:
        return None
    after = min(bisect_right(sizes, size_cm), len(sizes) - 1)
    low, high = sizes[after - 1], sizes[after]
    share = (size_cm - low) / (high - low)
    return diameters[after - 1] + share * (diameters[after] - diameters[after - 1])
