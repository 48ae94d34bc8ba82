"""Which patients of a practice have the size a level is for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dose_lib.compare.exams import Flags, Floats
from dose_lib.normalise.regions import components
from dose_lib.reference import Level, Reason

# ICRP 135: individuals 70 +/- 20 kg, mean 70 +/- 10 kg; dropped where "hundreds" are known.
STANDARD_KG = (50.0, 90.0)
STANDARD_MEAN_KG = (60.0, 80.0)
LARGE_N = 200
# Attenuation of these does not follow body weight, so no weight window is asked for (ours).
_WITHOUT_WEIGHT = frozenset({"head", "extremity", "breast"})
_CHILDREN_N = 10  # RP 185: at least ten a band


class Selection(NamedTuple):
    """Patients that count, by which rule; or why a verdict is not possible."""

    keep: Flags
    rule: str
    mean_weight_kg: float | None = None
    share_in_window: float | None = None
    reason: Reason | None = None
    text: str | None = None


def needed_n(level: Level, minimum_n: int) -> int:
    """Patients a verdict needs: the site's minimum, for a band of children ten (RP 185)."""
    return min(minimum_n, _CHILDREN_N) if level.population == "paediatric" else minimum_n


def is_without_weight(body_region: str | None) -> bool:
    """True for parts of the body whose dose does not follow the patient's weight."""
    parts = components(body_region or "")
    return bool(parts) and parts <= _WITHOUT_WEIGHT


def select_size(level: Level, weight_kg: Floats, minimum_n: int) -> Selection:
    """Patients of standard size among those with a value.

    Parameters
    ----------
    level
        A level with a size band has chosen its patients already.
    weight_kg
        Weights, NaN where unknown.
    minimum_n
        Patients a verdict needs.

    Notes
    -----
    ICRP 135 asks for 20 patients or more of 50 to 90 kg whose mean is 60 to 80 kg; a set may
    name its country's own window. Where fewer weights are known, all patients are taken if
    they are `LARGE_N` or more, and the rule says so.
    """
    everyone = np.ones(weight_kg.size, dtype=bool)
    mean = _mean(weight_kg)
    if level.size_basis is not None or level.population != "adult":
        return Selection(everyone, level.band, mean)
    if is_without_weight(level.body_region):
        return Selection(everyone, f"all sizes ({level.body_region})", mean)
    if level.unit.endswith("/kg"):
        return Selection(everyone, "all sizes (per kg)", mean)
    low, high = level.weight_min_kg or STANDARD_KG[0], level.weight_max_kg or STANDARD_KG[1]
    inside = (weight_kg >= low) & (weight_kg <= high)
    return _in_window(level, weight_kg, inside, f"{low:g} to {high:g} kg", minimum_n)


def _mean(weight_kg: Floats) -> float | None:
    known = weight_kg[~np.isnan(weight_kg)]
    return float(known.mean()) if known.size else None


def _in_window(
    level: Level, weight_kg: Floats, inside: Flags, window: str, minimum_n: int
) -> Selection:
    n_all, n_inside = weight_kg.size, int(inside.sum())
    n_known = int((~np.isnan(weight_kg)).sum())
    share = n_inside / n_known if n_known else None
    mean = _mean(weight_kg[inside])
    own_window = level.weight_min_kg is not None
    low, high = STANDARD_MEAN_KG
    fits = mean is not None and (own_window or low <= mean <= high)
    if n_inside >= minimum_n and fits:
        return Selection(inside, window, mean, share)
    everyone = np.ones(n_all, dtype=bool)
    if n_all >= LARGE_N:
        rule = f"all sizes (n = {n_all} is large)"
        return Selection(everyone, rule, _mean(weight_kg), share)
    told = f"{n_inside} patients of {window} (weight known for {n_known} of {n_all})"
    if n_all < minimum_n:
        text = f"{n_all} patients, {minimum_n} are needed"
        return Selection(everyone, "all sizes", _mean(weight_kg), share, Reason.TOO_FEW, text)
    if n_known < minimum_n:
        text = f"{told}; {minimum_n} of known weight are needed, or {LARGE_N} in all"
        return Selection(everyone, "all sizes", mean, share, Reason.SIZE_UNKNOWN, text)
    if n_inside < minimum_n:
        text = f"{told}; {minimum_n} are needed, or {LARGE_N} in all"
        return Selection(inside, window, mean, share, Reason.TOO_FEW, text)
    text = f"{told} with a mean of {mean:.1f} kg; {low:g} to {high:g} kg is standard"
    return Selection(inside, window, mean, share, Reason.SIZE_NOT_STANDARD, text)
