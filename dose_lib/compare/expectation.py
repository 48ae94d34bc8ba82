"""What dose an exam of this procedure, device and patient size usually gets, by the site's data.

The yardstick of a trigger for single exams, never a reference level: the median of other exams
of the same procedure and device, moved along the size of the patient.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from dose_lib.compare.exams import Floats
from dose_lib.compare.size import is_without_weight
from dose_lib.reference import Confidence, Kind, Level, Quantity
from dose_lib.reference.template import TIMES

# Theil-Sen looks at every pair: the latest so many exams are enough, and soon done.
MOST_EXAMS = 250
# A size beyond those seen by more than this share of their range has no expectation (ours).
_BEYOND = 0.25
_NORMAL_MAD = 1.4826  # a normal distribution's standard deviation over its median deviation
_SPREADS = 3.0
# Ages where no weight is known (ICRP 135, reference drl_method §4); above is an adult.
_AGE_BANDS_Y = (1 / 12, 4.0, 10.0, 14.0)


class SizeBasis(StrEnum):
    """What the size of a patient is told by, best first."""

    DIAMETER = "water_equivalent_diameter"
    WEIGHT = "weight"
    AGE_BAND = "age_band"


class PatientSize(NamedTuple):
    """A size and how it is known: mm or kg; in a band of ages the number of the band."""

    basis: SizeBasis
    value: float
    method: str

    def in_words(self) -> str:
        """With unit and method."""
        if self.basis is SizeBasis.DIAMETER:
            return f"water-equivalent diameter {self.value / 10:.1f} cm ({self.method})"
        return f"{self.value:.3g} kg" if self.basis is SizeBasis.WEIGHT else self.method


class Expectation(NamedTuple):
    """The usual dose for one size.

    Attributes
    ----------
    value
        Expected dose: robust regression of its logarithm on size, or the median of an age band.
    n
        Exams it rests on.
    slope
        Change of the logarithm per unit of size; 0 in a band.
    spread
        Robust standard deviation of the logarithm around it.
    size
        The size it is for.
    """

    value: float
    n: int
    slope: float
    spread: float
    size: PatientSize

    @property
    def usual(self) -> tuple[float, float]:
        """Between which doses nearly all exams of this size lie: three robust deviations."""
        factor = math.exp(_SPREADS * self.spread)
        return self.value / factor, self.value * factor

    def multiple(self, dose: float) -> float:
        """A dose over the expected one."""
        return dose / self.value

    def is_reached(self, dose: float, factor: float) -> bool:
        """True for `factor` times the expectation or more, where that is no usual dose either.

        Where doses vary by their nature (interventions) a multiple alone would tell of every
        long procedure: the dose must also lie beyond three robust standard deviations.
        """
        return self.multiple(dose) >= factor and dose > self.usual[1]


def sizes_of(
    *,
    diameter_mm: float | None,
    method: str | None,
    weight_kg: float | None,
    age_y: float | None,
    child_age_y: float,
    body_region: str | None = None,
) -> tuple[PatientSize, ...]:
    """Size of a patient by all that is known, the best first; none of an adult without any.

    Parameters
    ----------
    diameter_mm, method
        Water-equivalent diameter and how it was found; one that was computed from weight or
        age says no more than they do, and does not count.
    weight_kg, age_y
        Of the patient; without an age nothing is told, for children are apart from adults.
    child_age_y
        Age at which a patient is an adult, years.
    body_region
        Of the exam: heads, limbs and breasts of adults need no size, their dose does not
        follow the weight of the body.
    """
    if age_y is None or math.isnan(age_y):
        return ()
    found = []
    if _is_known(diameter_mm) and method in MEASURED:
        found.append(PatientSize(SizeBasis.DIAMETER, float(diameter_mm or 0), method))
    if _is_known(weight_kg):
        found.append(PatientSize(SizeBasis.WEIGHT, float(weight_kg or 0), "weight"))
    if age_y < child_age_y:
        band = sum(age_y >= edge for edge in _AGE_BANDS_Y)
        words = f"child of {_band_in_words(band, child_age_y)}"
        found.append(PatientSize(SizeBasis.AGE_BAND, band, words))
    elif is_without_weight(body_region):
        words = f"adult, {body_region}"
        found.append(PatientSize(SizeBasis.AGE_BAND, len(_AGE_BANDS_Y) + 1, words))
    return tuple(found)


MEASURED = frozenset({"image", "localiser", "report", "effective_diameter"})
"""Methods by which a diameter is one of its own, and not another word for the weight."""


def _is_known(value: float | None) -> bool:
    return value is not None and not math.isnan(value) and value > 0


def _band_in_words(band: int, child_age_y: float) -> str:
    edges = ("birth", "1 month", "4 years", "10 years", "14 years", f"{child_age_y:g} years")
    return f"{edges[band]} to under {edges[band + 1]}"


def expect(
    doses: Floats, sizes: Floats, size: PatientSize, *, minimum_n: int
) -> Expectation | None:
    """The usual dose for a size, from doses of other exams and their sizes of the same basis.

    Parameters
    ----------
    doses, sizes
        One an exam, the latest first; above 0.
    size
        Of the patient.
    minimum_n
        Exams it needs.

    Returns
    -------
    Expectation or None
        None for too few exams, and for a size far outside those that were seen.

    Notes
    -----
    Theil and Sen: the slope is the median over all pairs, the level the median of what is
    left, so that a few wrong doses among them move neither. Exposure control gives larger
    patients no less: a negative slope counts as none.
    """
    known = ~(np.isnan(doses) | np.isnan(sizes)) & (doses > 0)
    y, x = np.log(doses[known][:MOST_EXAMS]), sizes[known][:MOST_EXAMS]
    if y.size < max(minimum_n, 2):
        return None
    slope = 0.0
    if size.basis is not SizeBasis.AGE_BAND:
        margin = _BEYOND * float(np.ptp(x))
        if not float(x.min()) - margin <= size.value <= float(x.max()) + margin:
            return None
        slope = max(0.0, _theil_sen(x, y))
    rest = y - slope * x
    level = float(np.median(rest))
    spread = _NORMAL_MAD * float(np.median(np.abs(rest - level)))
    here = 0.0 if size.basis is SizeBasis.AGE_BAND else size.value
    return Expectation(math.exp(level + slope * here), int(y.size), slope, spread, size)


def _theil_sen(x: Floats, y: Floats) -> float:
    first, second = np.triu_indices(x.size, k=1)
    across = x[second] - x[first]
    apart = across != 0
    if not apart.any():
        return 0.0
    return float(np.median((y[second] - y[first])[apart] / across[apart]))


def multiples_of(
    levels: Iterable[Level], sets: Sequence[str] | None = None
) -> dict[tuple[str, Quantity], Level]:
    """Rows that say from which multiple of the expectation on an exam is told of.

    Parameters
    ----------
    levels
        The library.
    sets
        Published sets that are looked at; None for all. Rows of the site always are.

    Returns
    -------
    dict
        The row of each modality and quantity: the site's own first, then the better
        transcribed.
    """
    order = list(Confidence)
    rows = [
        x
        for x in levels
        if x.kind is Kind.TRIGGER
        and x.unit == TIMES
        and (x.origin == "site" or sets is None or x.set_id in sets)
    ]
    rows.sort(key=lambda x: (x.origin != "site", order.index(x.confidence)))
    found: dict[tuple[str, Quantity], Level] = {}
    for row in rows:
        found.setdefault((row.modality, row.quantity), row)
    return found
