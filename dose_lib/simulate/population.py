"""Who lies on the table: age, sex, weight and height that belong together, and body size.

Children follow the CDC 2000 growth charts (`growth.csv`: percentiles as published by the US
National Center for Health Statistics, a work of the US government without copyright).
Adults follow the scenario's own figures, which name their source or call themselves an
assumption.
"""

from __future__ import annotations

import csv
import math
from bisect import bisect_right
from datetime import date
from functools import cache
from importlib.resources import files
from random import Random

import msgspec

from dose_lib.simulate.scenario import Population

# Standard normal deviates of the percentiles in growth.csv.
_PERCENTILES = {"p3": -1.8808, "p10": -1.2816, "p50": 0.0, "p90": 1.2816, "p97": 1.8808}
OLDEST_CHILD_Y = 18.0
# Correlation of weight and height at one age: an assumption.
_WEIGHT_HEIGHT = 0.7


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """Age, sex and size of one patient."""

    age_y: float
    sex: str
    weight_kg: float
    height_cm: float

    @property
    def is_child(self) -> bool:
        """True below 16 years, where paediatric protocols are meant to be used."""
        return self.age_y < 16.0


# The adult that techniques are set up for, where a scenario names no other.
REFERENCE_ADULT = Body(age_y=60.0, sex="F", weight_kg=74.0, height_cm=170.0)


@cache
def _growth(measure: str, sex: str) -> tuple[tuple[float, tuple[float, ...]], ...]:
    text = files("dose_lib.simulate").joinpath("growth.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return tuple(
        (float(r["age_months"]), tuple(float(r[p]) for p in _PERCENTILES))
        for r in rows
        if r["measure"] == measure and r["sex"] == sex
    )


def growth(measure: str, sex: str, age_y: float, z: float) -> float:
    """Weight (kg) or height (cm) of a child at `z` standard deviations from the median.

    Linear between the tabulated ages and, in log of the value, between the percentiles.

    Parameters
    ----------
    measure
        ``weight_kg`` or ``height_cm``.
    sex
        ``F`` or ``M``.
    age_y
        Age in years, 0 to 18.
    z
        Standard normal deviate.
    """
    table = _growth(measure, sex)
    months = min(max(age_y * 12.0, table[0][0]), table[-1][0])
    after = min(bisect_right([age for age, _ in table], months), len(table) - 1)
    (age0, low), (age1, high) = table[after - 1], table[after]
    share = (months - age0) / (age1 - age0)
    values = [a + share * (b - a) for a, b in zip(low, high, strict=True)]
    return _at_deviate(values, z)


def _at_deviate(values: list[float], z: float) -> float:
    deviates = list(_PERCENTILES.values())
    after = min(max(bisect_right(deviates, z), 1), len(deviates) - 1)
    z0, z1 = deviates[after - 1], deviates[after]
    low, high = math.log(values[after - 1]), math.log(values[after])
    return math.exp(low + (high - low) * (z - z0) / (z1 - z0))


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A patient: who, born when, and how big compared with others of the same age.

    `z_weight` and `z_height` are standard deviates: within the growth charts for children,
    within the scenario's population for adults (weight through the body mass index).
    """

    patient_id: str
    name: str
    sex: str
    birth_date: date
    z_weight: float
    z_height: float

    def age_on(self, day: date) -> float:
        """Age as a modality records it: weeks, months or completed years."""
        years = (day - self.birth_date).days / 365.25
        if years < 0.25:
            return max(1, int(years * 365.25 / 7)) * 7 / 365.25
        return int(years * 12) / 12 if years < 2.0 else float(int(years))

    def body_on(self, day: date, population: Population) -> Body:
        """Size on a day."""
        years = (day - self.birth_date).days / 365.25
        if years < OLDEST_CHILD_Y:
            weight = growth("weight_kg", self.sex, years, self.z_weight)
            height = growth("height_cm", self.sex, years, self.z_height)
        else:
            who = population.women if self.sex == "F" else population.men
            height = who.height_mean_cm + who.height_sd_cm * self.z_height
            height = min(max(height, 138.0), 208.0)
            bmi = who.bmi_median * who.bmi_gsd**self.z_weight
            weight = min(max(bmi * (height / 100.0) ** 2, 35.0), 210.0)
        return Body(
            age_y=self.age_on(day),
            sex=self.sex,
            weight_kg=round(weight, 1 if weight < 30 else 0),
            height_cm=round(height),
        )


def draw_deviates(rng: Random, *, child: bool) -> tuple[float, float]:
    """Deviates of weight and height: correlated in children, independent BMI in adults."""
    z_height = min(max(rng.gauss(0.0, 1.0), -2.8), 2.8)
    z_weight = min(max(rng.gauss(0.0, 1.0), -2.8), 2.8)
    if child:
        z_weight = _WEIGHT_HEIGHT * z_height + math.sqrt(1.0 - _WEIGHT_HEIGHT**2) * z_weight
    return z_weight, z_height


# Water-equivalent diameter of the trunk: a cylinder that holds weight / height of water, times
# a factor a region. Huda et al. (Med Phys 2010, PMC2826387) model adult chests as water
# cylinders of about 20 cm at 50 kg and 28 cm at 120 kg: factor 3.4 to 3.6 (cm, kg, m). The
# other regions' factors are assumptions relative to it.
_TRUNK = {
    "chest": 3.50,
    "heart": 3.50,
    "abdomen": 4.15,
    "pelvis": 4.20,
    "abdomen-pelvis": 4.15,
    "chest-abdomen": 3.85,
    "chest-abdomen-pelvis": 3.90,
    "neck-chest-abdomen-pelvis": 3.80,
    "spine": 4.10,
    "neck": 2.75,
}
# Head: diameter of a circle with the median head circumference (CDC 2000: 35 cm at birth,
# 46 cm at one year, 51 cm at five; adults 57 cm, an assumption).
_HEAD = ((0.0, 11.2), (1.0, 14.6), (5.0, 16.3), (16.0, 17.9))


def water_equivalent_diameter_cm(region: str, body: Body) -> float:
    """Water-equivalent diameter (AAPM report 220) that the size of a body implies, cm."""
    if region == "head":
        ages = [age for age, _ in _HEAD]
        after = bisect_right(ages, body.age_y)
        if after == len(ages):
            return _HEAD[-1][1]
        (a0, d0), (a1, d1) = _HEAD[after - 1], _HEAD[after]
        return d0 + (d1 - d0) * (body.age_y - a0) / (a1 - a0)
    return _TRUNK[region] * 10.0 * math.sqrt(body.weight_kg / body.height_cm)
