"""Invented people: names that nobody has, so that a search for them finds only leaks."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

from dose_lib.simulate.population import Person, draw_deviates
from dose_lib.simulate.scenario import Population

_FIRST = [
    "Brindle",
    "Quill",
    "Marrow",
    "Thistle",
    "Vander",
    "Zarno",
    "Ostler",
    "Pellin",
    "Harrow",
    "Wexel",
    "Yarrow",
    "Fenno",
    "Grimsk",
    "Kelpar",
    "Lorrim",
    "Mossel",
    "Nettar",
    "Ruddick",
    "Sorrin",
    "Tarvo",
    "Ullen",
    "Varrik",
    "Wystan",
    "Ællin",
]
_SECOND = [
    "wick",
    "feather",
    "gate",
    "down",
    "brook",
    "sted",
    "quist",
    "ford",
    "hollow",
    "mere",
    "ridge",
    "stoke",
    "thwaite",
    "vale",
    "worth",
    "zeel",
    "kamp",
    "luft",
    "øre",
]
_GIVEN_F = [
    "Osmunda",
    "Runa",
    "Elvira",
    "Tamsin",
    "Ysolde",
    "Perdita",
    "Quenby",
    "Zinnia",
    "Marisol",
    "Ottilie",
    "Åse",
]
_GIVEN_M = [
    "Ivo",
    "Leopold",
    "Quentin",
    "Bartol",
    "Emeric",
    "Fabian",
    "Gideon",
    "Hjalmar",
    "Jorund",
    "Zoltan",
    "Rüdiger",
]


# Adults are born around a fixed day, so that a patient is the same in every run.
_MIDDLE = date(2026, 7, 1)
_CHILDREN_FROM = date(2008, 1, 1)
_CHILDREN_DAYS = 32 * 365


def draw_name(rng: Random, sex: str) -> str:
    """A name in DICOM's form, family first."""
    given = rng.choice(_GIVEN_F if sex == "F" else _GIVEN_M)
    return f"{rng.choice(_FIRST)}{rng.choice(_SECOND)}^{given}"


def draw_person(rng: Random, population: Population, *, child: bool) -> Person:
    """A patient, complete with ID; the age depends on the day, so callers check it."""
    sex = "F" if rng.random() < (0.5 if child else population.female_share) else "M"
    if child:
        born = _CHILDREN_FROM + timedelta(days=rng.randrange(_CHILDREN_DAYS))
    else:
        age = rng.gauss(population.adult_age_mean_y, population.adult_age_sd_y)
        born = _MIDDLE - timedelta(days=int(min(max(age, 16.0), 100.0) * 365.25))
    z_weight, z_height = draw_deviates(rng, child=child)
    return Person(
        patient_id=f"QX{rng.randrange(10**6, 10**7)}",
        name=draw_name(rng, sex),
        sex=sex,
        birth_date=born,
        z_weight=z_weight,
        z_height=z_height,
    )


def name_parts() -> frozenset[str]:
    """Every family and given name that a simulated patient can have."""
    families = {first + second for first in _FIRST for second in _SECOND}
    return frozenset(families | set(_GIVEN_F) | set(_GIVEN_M))
