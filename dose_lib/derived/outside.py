"""Weight and height from outside the exam, where the device recorded none.

What a device recorded is never replaced. A measurement from a worklist, an HL7 message or a
file fills the gap if it is near in time and a patient of this age can have it; where it came
from, and how old it was, stands in `derived` under the name that it filled.

How long a size holds: a twentieth of the age for children (they grow by about a hundredth in
it), 90 days for the weight of adults, ten years for their height; without an age, a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from dose_lib.derived.growth import reference_body
from dose_lib.derived.values import known, not_known
from dose_lib.records import DerivedValue, MeasuredSize, Part, Patient

VERSION = "1"
WEIGHT, HEIGHT = "patient.weight_kg", "patient.height_cm"
BMI = "patient.bmi_kg_per_m2"

_FORMULA = "measured outside the exam; the device recorded none"
_ADULT_WEIGHT, ADULT_HEIGHT = timedelta(days=90), timedelta(days=3650)
_UNKNOWN_AGE = timedelta(days=1)
_SHARE_OF_AGE = 1 / 20
_YEAR = timedelta(days=365.25)
# What people can weigh and measure at all, and beside the median of a child's age: below and
# above lie confused patients and units (a newborn's grams, a pound for a kilogram of a child).
WEIGHTS_KG, HEIGHTS_CM = (0.3, 300.0), (20.0, 250.0)
_OF_MEDIAN_WEIGHT, _OF_MEDIAN_HEIGHT = (0.35, 3.0), (0.6, 1.4)
_ADULTS_KG, _ADULTS_CM = (20.0, 300.0), (60.0, 250.0)


def is_plausible(weight_kg: float | None = None, height_cm: float | None = None) -> bool:
    """True if a human being of any age can have this weight and this height."""
    in_weight = weight_kg is None or WEIGHTS_KG[0] <= weight_kg <= WEIGHTS_KG[1]
    return in_weight and (height_cm is None or HEIGHTS_CM[0] <= height_cm <= HEIGHTS_CM[1])


def fill_size(part: Part, sizes: Sequence[MeasuredSize], *, adult_age_y: float = 16.0) -> Part:
    """A part whose missing weight and height are those measured nearest to it.

    Parameters
    ----------
    part
        Merged and normalised, as the device recorded it.
    sizes
        Of its patient, from outside.
    adult_age_y
        Age at which a patient is an adult, years.
    """
    at = part.started_at
    if at is None or part.is_patient is False or not sizes:
        return part
    plain = at.replace(tzinfo=None)
    changes: dict[str, object] = {}
    derived: dict[str, DerivedValue] = {}
    patient = part.patient
    for name, reach in (
        ("height_cm", height_reach(patient.age_y, adult_age_y)),
        ("weight_kg", weight_reach(patient.age_y, adult_age_y)),
    ):
        if getattr(patient, name) is not None:
            continue
        near = _near(sizes, name, plain, reach)
        fits = [s for s in near if _fits(patient, adult_age_y, name, getattr(s, name))]
        if fits:
            best = fits[0]
            changes[name] = getattr(best, name)
            derived[f"patient.{name}"] = _evidence(best, name, plain)
            if name == "weight_kg" or patient.weight_kg is None:
                changes |= {"size_source": best.source, "size_measured_at": best.measured_at}
        elif near:
            derived[f"patient.{name}"] = _refused(near[0], name)
    if not derived:
        return part
    filled = msgspec.structs.replace(patient, **changes)
    if changes and filled.weight_kg and filled.height_cm:
        derived[BMI] = _bmi(filled.weight_kg, filled.height_cm)
    return msgspec.structs.replace(part, patient=filled, derived={**part.derived, **derived})


def weight_reach(age_y: float | None, adult_age_y: float) -> timedelta:
    """How far from the exam a weight may have been measured."""
    return _reach(age_y, adult_age_y, _ADULT_WEIGHT)


def height_reach(age_y: float | None, adult_age_y: float) -> timedelta:
    """How far from the exam a height may have been measured."""
    return _reach(age_y, adult_age_y, ADULT_HEIGHT)


def _reach(age_y: float | None, adult_age_y: float, adult: timedelta) -> timedelta:
    if age_y is None:
        return _UNKNOWN_AGE
    if age_y >= adult_age_y:
        return adult
    return max(_UNKNOWN_AGE, min(_ADULT_WEIGHT, age_y * _SHARE_OF_AGE * _YEAR))


def _near(
    sizes: Sequence[MeasuredSize], name: str, at: datetime, reach: timedelta
) -> list[MeasuredSize]:
    """Measurements within reach, the nearest first; of the same moment the latest received."""
    found = [s for s in sizes if getattr(s, name) and abs(s.measured_at - at) <= reach]
    return sorted(
        found, key=lambda s: (abs(s.measured_at - at), -s.received_at.timestamp(), s.size_id)
    )


def _fits(patient: Patient, adult_age_y: float, name: str, value: float) -> bool:
    """True if a patient of this age can have this weight or height."""
    age = patient.age_y
    if age is None:
        return is_plausible(**{name: value})
    if age >= adult_age_y:
        low, high = _ADULTS_KG if name == "weight_kg" else _ADULTS_CM
        return low <= value <= high
    median = getattr(reference_body(age, patient.sex, adult_age_y=adult_age_y), name)
    low, high = _OF_MEDIAN_WEIGHT if name == "weight_kg" else _OF_MEDIAN_HEIGHT
    return bool(low * median <= value <= high * median)


def _evidence(size: MeasuredSize, name: str, at: datetime) -> DerivedValue:
    days = round((at - size.measured_at).total_seconds() / 86400, 2)
    return known(
        getattr(size, name),
        _FORMULA,
        VERSION,
        source=size.source.value,
        measured_at=size.measured_at.isoformat(),
        days_before_exam=days,
    )


def _refused(size: MeasuredSize, name: str) -> DerivedValue:
    value, unit = getattr(size, name), name.rsplit("_", 1)[1]
    return not_known(
        f"{value:g} {unit} from {size.source.value} is not possible at this age",
        _FORMULA,
        VERSION,
        source=size.source.value,
        measured_at=size.measured_at.isoformat(),
    )


def _bmi(weight_kg: float, height_cm: float) -> DerivedValue:
    formula = "weight_kg / (height_cm / 100)^2"
    value = weight_kg / (height_cm / 100) ** 2
    return known(value, formula, VERSION, weight_kg=weight_kg, height_cm=height_cm)
