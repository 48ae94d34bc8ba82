"""How heavy and tall people of an age are: CDC 2000 growth charts, medians."""

from __future__ import annotations

from bisect import bisect_right
from functools import cache
from typing import NamedTuple

from dose_lib.records import Sex
from dose_lib.reference import read_table, tables_folder

STANDARD_ADULT_KG = 70.0
"""Weight of the standard adult (ICRP 135: practices are compared at 70 ± 10 kg)."""


class ReferenceBody(NamedTuple):
    """Median weight and height of an age and sex."""

    weight_kg: float
    height_cm: float


@cache
def _medians(measure: str, sex: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    rows = [
        (float(r["age_months"]), float(r["p50"]))
        for r in read_table(tables_folder() / "growth_cdc_2000.csv")
        if r["measure"] == measure and r["sex"] == sex
    ]
    ages, values = zip(*sorted(rows), strict=True)
    return ages, values


def _median(measure: str, sex: str, months: float) -> float:
    ages, values = _medians(measure, sex)
    after = bisect_right(ages, months)
    if after in (0, len(ages)):
        return values[min(after, len(ages) - 1)]
    low, high = ages[after - 1], ages[after]
    share = (months - low) / (high - low)
    return values[after - 1] + share * (values[after] - values[after - 1])


def reference_body(
    age_y: float, sex: Sex | None = None, *, adult_age_y: float = 16.0
) -> ReferenceBody:
    """Median body of an age; of both sexes where the sex is not known.

    Parameters
    ----------
    age_y
        Age in years.
    sex
        F or M; the mean of both for anything else.
    adult_age_y
        From here on the standard adult: 70 kg (ICRP 135) and the charts' height of 18 years.

    Returns
    -------
    ReferenceBody
        Medians of the CDC 2000 charts, linear between their ages. A yardstick for rules and
        the last rung of the ladder of sizes, never a patient's weight.
    """
    sexes = [str(sex)] if sex in (Sex.F, Sex.M) else ["F", "M"]
    months = 12 * age_y
    if age_y >= adult_age_y:
        heights = [_median("height_cm", s, 18 * 12) for s in sexes]
        return ReferenceBody(STANDARD_ADULT_KG, sum(heights) / len(heights))
    weights = [_median("weight_kg", s, months) for s in sexes]
    heights = [_median("height_cm", s, months) for s in sexes]
    return ReferenceBody(sum(weights) / len(weights), sum(heights) / len(heights))
