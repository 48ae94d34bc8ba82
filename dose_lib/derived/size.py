"""How large a patient is: the water-equivalent diameter by the best method at hand.

The ladder, best first: measured on the images (AAPM 220) > on the localiser > stated in the
report > effective diameter (AAPM 204) > weight and height > weight > weight and height of
another study of the same patient > age and sex. Each value carries its method; nothing is
filled in without it, and the share of each method is a measure of data quality.

Estimates from weight and height, for the trunk of adults, are published relations:

- chest: water cylinders of 20 cm at 50 kg to 28 cm at 120 kg (Huda et al., Med Phys 37 (2010),
  PMC2826387), at a height of 170 cm;
- abdomen and pelvis: effective diameter = 0.76 × BMI + 9.4 cm (O'Neill et al., Eur Radiol Exp 2
  (2018) 38, r = 0.88).

For children no relation was found that could be verified: the trunk is taken as a cylinder,
D ∝ √(weight/height), which meets the adult relations at 70 kg and 170 cm. Chest and abdomen
together are the mean of both. Typical errors, from a published regression on 351 phantoms
(Abuhaimed and Martin, AAPM 2020): 1.0 to 1.5 cm for adults, 1.9 to 2.3 cm for children.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from dose_lib import codes
from dose_lib.derived.growth import reference_body
from dose_lib.derived.outside import HEIGHT, WEIGHT
from dose_lib.derived.ssde import effective_diameter
from dose_lib.derived.values import Inputs
from dose_lib.normalise import diagnostic_events
from dose_lib.normalise.regions import body_regions, components, region_of_code
from dose_lib.records import CtEvent, Part, Patient, SizeMethod

VERSION = "1"
IS_STATED = frozenset({SizeMethod.LOCALISER, SizeMethod.REPORT, SizeMethod.EFFECTIVE_DIAMETER})
"""Methods by which an event states a size of its own."""

_STANDARD_CM = 170.0
_CHEST = frozenset({"chest", "heart"})
_ABDOMEN = frozenset({"abdomen", "pelvis"})
_PLAUSIBLE_CM = (5.0, 70.0)
# How long a child's size holds: a twentieth of its age (at one year 18 days, at ten half a
# year; it grows by about a hundredth in it). Adults: a year. Ours.
_SHARE_OF_AGE = 1 / 20
_ADULT_REACH_Y = 1.0
_LONGEST_REACH_Y = 1.0

# CID 10024; a method that is not stated counts as the report's.
_LOCALISER = codes.WATER_EQUIVALENT_DIAMETER_FROM_LOCALIZER.key


class OtherStudy(NamedTuple):
    """Size of the same patient in another study."""

    started_at: datetime
    weight_kg: float
    height_cm: float | None = None


class Size(NamedTuple):
    """A diameter in mm with method, formula and inputs; without one, the reason."""

    diameter_mm: float | None
    method: SizeMethod | None
    formula: str
    inputs: Inputs
    reason: str | None = None


def is_within_reach(
    one: datetime, other: datetime, age_y: float | None, adult_age_y: float
) -> bool:
    """True if the size in one study still holds in the other."""
    if age_y is None:
        return False
    years = _ADULT_REACH_Y if age_y >= adult_age_y else age_y * _SHARE_OF_AGE
    return abs((one - other).total_seconds()) <= min(years, _LONGEST_REACH_Y) * 365.25 * 86400


def measure_size(
    part: Part,
    others: Sequence[OtherStudy] = (),
    *,
    event: CtEvent | None = None,
    adult_age_y: float = 16.0,
) -> Size:
    """Water-equivalent diameter of a patient, by the best method at hand.

    Parameters
    ----------
    part
        A CT part, normalised.
    others
        Other studies of the same patient with a weight.
    event
        Size at this event; by default of the part as a whole: the median of what its
        diagnostic events say, else by its body region.
    adult_age_y
        Age at which a patient is an adult, years.

    Returns
    -------
    Size
        Without a diameter where nothing is known, or for a region the relations do not hold
        for: then the reason says which.
    """
    events = [event] if event is not None else list(diagnostic_events(part))
    if stated := _best_stated(events):
        return stated
    region = _region(event, part)
    return _by_body(part, region, others, adult_age_y)


def _region(event: CtEvent | None, part: Part) -> str | None:
    own = None if event is None else region_of_code(event.target_region)
    return own or part.body_region


def _best_stated(events: Iterable[CtEvent]) -> Size | None:
    found = [s for e in events for s in _stated(e)]
    order = list(SizeMethod)
    best = min((order.index(s.method) for s in found if s.method), default=None)
    if best is None:
        return None
    same = [s for s in found if s.method is order[best] and s.diameter_mm is not None]
    same.sort(key=lambda s: s.diameter_mm or 0.0)
    middle = same[(len(same) - 1) // 2]
    return middle._replace(inputs={**middle.inputs, "n_events": float(len(same))})


def _stated(event: CtEvent) -> Iterator[Size]:
    if (dw := event.water_equivalent_diameter_mm) and _is_plausible(dw):
        method = event.water_equivalent_diameter_method
        key = codes.fold(method.value, method.scheme) if method else ""
        by = SizeMethod.LOCALISER if key == _LOCALISER else SizeMethod.REPORT
        yield Size(dw, by, "as stated for the event", {"water_equivalent_diameter_mm": dw})
    if (own := event.effective_diameter_mm) and _is_plausible(own):
        yield Size(
            own,
            SizeMethod.EFFECTIVE_DIAMETER,
            "effective diameter as stated for the event (AAPM 204)",
            {"effective_diameter_mm": own},
        )
        return
    made = effective_diameter(ap_mm=event.ap_mm, lateral_mm=event.lateral_mm)
    if made is not None and _is_plausible(made):
        yield Size(
            made,
            SizeMethod.EFFECTIVE_DIAMETER,
            "effective diameter from the dimensions (AAPM 204)",
            {"ap_mm": event.ap_mm, "lateral_mm": event.lateral_mm},
        )


def _is_plausible(diameter_mm: float) -> bool:
    low, high = _PLAUSIBLE_CM
    return 10 * low <= diameter_mm <= 10 * high


class _Body(NamedTuple):
    """Weight and height to estimate from, and how they are known."""

    weight_kg: float
    height_cm: float
    method: SizeMethod
    inputs: Inputs


def _by_body(
    part: Part, region: str | None, others: Sequence[OtherStudy], adult_age_y: float
) -> Size:
    formula = "diameter of the trunk from weight and height"
    if not _relations(region):
        where = region or "an unknown region"
        return Size(None, None, formula, {}, f"no relation of size to weight for {where}")
    body = _body(part, others, adult_age_y)
    age = part.patient.age_y
    if body is None or age is None:
        missing = "age" if age is None else "weight"
        return Size(None, None, formula, {}, f"the {missing} of the patient is not known")
    diameter = trunk_diameter_cm(
        region or "", body.weight_kg, body.height_cm, is_adult=age >= adult_age_y
    )
    inputs = {"weight_kg": body.weight_kg, "height_cm": body.height_cm, "region": region}
    return Size(10 * diameter, body.method, formula, {**inputs, **body.inputs})


def _body(part: Part, others: Sequence[OtherStudy], adult_age_y: float) -> _Body | None:
    patient: Patient = part.patient
    age = patient.age_y
    if age is None:
        return None
    typical = reference_body(age, patient.sex, adult_age_y=adult_age_y)
    if patient.weight_kg and patient.height_cm:
        method = SizeMethod.WEIGHT_AND_HEIGHT
        return _Body(patient.weight_kg, patient.height_cm, method, _from_outside(part))
    if patient.weight_kg:
        note: Inputs = {"height_is": "median of age and sex (CDC 2000)", **_from_outside(part)}
        return _Body(patient.weight_kg, typical.height_cm, SizeMethod.WEIGHT, note)
    near = _nearest(part, others, adult_age_y)
    if near is not None and part.started_at is not None:
        note = {"days_to_other_study": _days_between(part.started_at, near)}
        height = near.height_cm or patient.height_cm or typical.height_cm
        return _Body(near.weight_kg, height, SizeMethod.OTHER_STUDY, note)
    note = {"weight_is": "median of age and sex (children: CDC 2000; adults: 70 kg)"}
    height = patient.height_cm or typical.height_cm
    return _Body(typical.weight_kg, height, SizeMethod.AGE_BAND, note)


def _from_outside(part: Part) -> Inputs:
    """Source and age of a weight or height that no device recorded; nothing for the others."""
    found: dict[str, float | str | None] = {}
    for name, word in ((WEIGHT, "weight"), (HEIGHT, "height")):
        value = part.derived.get(name)
        if value is not None and value.value is not None:
            found[f"{word}_source"] = value.inputs.get("source")
            found[f"{word}_days_before_exam"] = value.inputs.get("days_before_exam")
    return found


def _nearest(part: Part, others: Sequence[OtherStudy], adult_age_y: float) -> OtherStudy | None:
    at, age = part.started_at, part.patient.age_y
    if at is None:
        return None
    near = [
        o for o in others if is_within_reach(_plain(at), _plain(o.started_at), age, adult_age_y)
    ]
    # Of two at the same distance the earlier one, so that order of arrival does not matter.
    return min(near, key=lambda o: _by_nearness(at, o), default=None)


def _by_nearness(at: datetime, other: OtherStudy) -> tuple[float | datetime, ...]:
    height = other.height_cm or 0.0
    return (_days_between(at, other), other.started_at, other.weight_kg, height)


def _plain(at: datetime) -> datetime:
    return at.replace(tzinfo=None)


def _days_between(at: datetime, other: OtherStudy) -> float:
    return round(abs((_plain(at) - _plain(other.started_at)).total_seconds()) / 86400, 1)


def _relations(region: str | None) -> frozenset[str]:
    """``chest`` and ``abdomen``: which relations a region takes; none for heads and limbs."""
    parts = components(region or "")
    if not parts or not parts - {"neck", "head"}:
        return frozenset()
    found = set()
    if parts & _CHEST:
        found.add("chest")
    if parts & _ABDOMEN:
        found.add("abdomen")
    return frozenset(found)


def trunk_regions() -> tuple[str, ...]:
    """Body regions whose size is that of the trunk; heads and limbs have none here."""
    return tuple(r for r in body_regions() if _relations(r))


def trunk_diameter_cm(region: str, weight_kg: float, height_cm: float, *, is_adult: bool) -> float:
    """Diameter of the trunk that weight and height suggest, cm; see the module's page.

    Parameters
    ----------
    region
        Body region with chest, abdomen or pelvis in it.
    weight_kg, height_cm
        Of the patient.
    is_adult
        Adults by the published relations, children by the cylinder that meets them.
    """
    rules = [_chest, _abdomen]
    wanted = [
        r for r, n in zip(rules, ("chest", "abdomen"), strict=True) if n in _relations(region)
    ]
    if is_adult:
        found = [rule(weight_kg, height_cm) for rule in wanted]
    else:
        slender = math.sqrt((weight_kg / height_cm) / (70.0 / _STANDARD_CM))
        found = [rule(70.0, _STANDARD_CM) * slender for rule in wanted]
    return sum(found) / len(found)


def _chest(weight_kg: float, height_cm: float) -> float:
    """Huda 2010, read at the weight that a body of this girth has at 170 cm."""
    at_standard = weight_kg * _STANDARD_CM / height_cm
    return 20.0 + (at_standard - 50.0) * (28.0 - 20.0) / (120.0 - 50.0)


def _abdomen(weight_kg: float, height_cm: float) -> float:
    """O'Neill 2018."""
    return 0.76 * weight_kg / (height_cm / 100) ** 2 + 9.4
