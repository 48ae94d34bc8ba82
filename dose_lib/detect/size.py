"""How large a child is, as far as a protocol is concerned."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from dose_lib.normalise.regions import components
from dose_lib.records import Patient

# ICRP Publication 89, reference masses: newborn, 1, 5, 10 and 15 years (mean of both sexes).
_REFERENCE_KG = ((0.0, 3.5), (1.0, 10.0), (5.0, 19.0), (10.0, 32.0), (15.0, 54.5))
ADULT_KG = 50.0
"""Lower end of the standard adult window (ICRP 135) and of RP 185's last band."""
_ADULT_AGE_Y = 14.0  # reference mass passes 50 kg between 13 and 14 years
_ADULT_HEAD_AGE_Y = 6.0  # RP 185: one band of heads from six years


class BodySize(NamedTuple):
    """Weight to judge by, whether it was guessed from age, and whether adult protocols fit."""

    weight_kg: float
    is_from_age: bool
    is_adult: bool


def reference_weight(age_y: float) -> float:
    """Mass of a child of this age in kg, between the reference values of ICRP 89.

    Only ever a yardstick for a rule, never a patient's weight in any statistic.
    """
    for (low, light), (high, heavy) in pairwise(_REFERENCE_KG):
        if age_y <= high:
            return light + (heavy - light) * (age_y - low) / (high - low)
    return _REFERENCE_KG[-1][1]


def body_size(patient: Patient, body_region: str | None) -> BodySize | None:
    """Size of a patient for a protocol of a body region; None where the age is not known.

    Heads are judged by age: from six years on they are one band of RP 185, near an adult's.
    Elsewhere by weight, else by age: from 50 kg (14 years) an adult protocol fits a large
    adolescent, and is not called wrong.
    """
    age, weight = patient.age_y, patient.weight_kg
    if age is None:
        return None
    is_head = components(body_region or "") == {"head"}
    kilograms = reference_weight(age) if weight is None else weight
    if is_head:
        adult = age >= _ADULT_HEAD_AGE_Y
    elif weight is None:
        adult = age >= _ADULT_AGE_Y
    else:
        adult = weight >= ADULT_KG
    return BodySize(kilograms, weight is None, adult)
