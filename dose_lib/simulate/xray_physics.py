"""Projection dose from technique and size: kerma, kerma-area product, glandular dose.

The constants are assumptions with the order of magnitude of textbooks; what they give is
scaled to the medians a scenario names, so that only their slopes matter.
"""

from __future__ import annotations

import math

from dose_lib.simulate.population import Body

# Entrance dose that automatic exposure control needs doubles with about every 3.5 cm of soft
# tissue in radiography and fluoroscopy (effective attenuation 0.2 /cm): an assumption.
MU_TISSUE_PER_CM = 0.20
# Tube output rises with the square of the tube voltage.
_OUTPUT_EXPONENT = 2.0
# Glandular dose doubles between 45 mm and 75 mm of compressed breast (levels of EUREF and of
# Uganda 2023 in drl/: 2.0 to 4.5 mGy and 1.78 to 2.18 mGy): an exponent between the two.
_GLANDULAR_PER_MM = 0.012


def trunk_thickness_cm(body: Body) -> float:
    """Antero-posterior thickness of the trunk of a body, cm.

    Two thirds of the lateral width of an ellipse that holds weight / height of water; the
    ratio is an assumption.
    """
    area = body.weight_kg * 1000.0 / body.height_cm * 1.10
    return math.sqrt(4.0 * area * 0.67 / math.pi)


def size_factor(body: Body, reference: Body, *, slope: float = MU_TISSUE_PER_CM) -> float:
    """Factor of the entrance dose between two bodies."""
    return math.exp(slope * (trunk_thickness_cm(body) - trunk_thickness_cm(reference)))


def tube_output_ugy_per_mas(kv: float, distance_mm: float, at_80_kv_1_m: float) -> float:
    """Air kerma per mAs at a distance, µGy."""
    return at_80_kv_1_m * math.pow(kv / 80.0, _OUTPUT_EXPONENT) * (1000.0 / distance_mm) ** 2


def mas_for(kap_gy_cm2: float, area_cm2: float, output_ugy_per_mas: float) -> float:
    """Tube load that gives a kerma-area product over an area at the same distance, mAs."""
    kerma_ugy = kap_gy_cm2 / area_cm2 * 1e6
    return kerma_ugy / output_ugy_per_mas


def glandular_factor(thickness_mm: float, reference_mm: float) -> float:
    """Factor of the average glandular dose between two compressed thicknesses."""
    return math.exp(_GLANDULAR_PER_MM * (thickness_mm - reference_mm))
