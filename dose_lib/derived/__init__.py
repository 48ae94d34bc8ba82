"""What we compute beside recorded values: patient size, SSDE, effective dose.

`derive_part(part, factors)` is the one verb. Every value names formula, version and inputs;
where one cannot be computed, its value is None and the inputs say why.
"""

from __future__ import annotations

from dose_lib.derived.derive import NAMES, derive_part
from dose_lib.derived.effective_dose import FACTOR_SETS, DoseFactors, dose_factors
from dose_lib.derived.growth import ReferenceBody, reference_body
from dose_lib.derived.outside import (
    ADULT_HEIGHT,
    fill_size,
    height_reach,
    is_plausible,
    weight_reach,
)
from dose_lib.derived.pixels import SliceSize, slice_size, water_equivalent_diameter
from dose_lib.derived.size import OtherStudy, Size, is_within_reach, measure_size, trunk_regions
from dose_lib.derived.slices import (
    Means,
    Place,
    derived_slice,
    mean_sizes,
    slice_name,
    slice_not_measured,
)
from dose_lib.derived.ssde import conversion_factor, effective_diameter

__all__ = [
    "ADULT_HEIGHT",
    "FACTOR_SETS",
    "NAMES",
    "DoseFactors",
    "Means",
    "OtherStudy",
    "Place",
    "ReferenceBody",
    "Size",
    "SliceSize",
    "conversion_factor",
    "derive_part",
    "derived_slice",
    "dose_factors",
    "effective_diameter",
    "fill_size",
    "height_reach",
    "is_plausible",
    "is_within_reach",
    "mean_sizes",
    "measure_size",
    "reference_body",
    "slice_name",
    "slice_not_measured",
    "slice_size",
    "trunk_regions",
    "water_equivalent_diameter",
    "weight_reach",
]
