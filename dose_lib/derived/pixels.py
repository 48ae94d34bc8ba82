"""Water-equivalent diameter of an axial CT image (AAPM report 220).

Computed where a site lets images pass, on arrival and before the pixels are dropped. The
patient is the largest connected region denser than -500 HU together with all that lies inside
of it; the table, which touches it at most at the skin, is cut off by an opening.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dose_lib.records import DerivedValue, SizeMethod

VERSION = "1"
FORMULA = "AAPM 220: Dw = 2·√(A·(mean HU/1000 + 1)/π)"

Hounsfield = npt.NDArray[np.float64]
_SLICE, _END = "patient.slices[", "].water_equivalent_diameter_mm"
_BODY_HU = -500.0
_TOUCHING_SHARE = 0.02  # of the region's outline on the image edge: then it is truncated (ours)


class SliceSize(NamedTuple):
    """Size of the patient on one axial image.

    Attributes
    ----------
    water_equivalent_diameter_mm, effective_diameter_mm
        AAPM 220, and that of a circle of the same area.
    mean_hu, area_mm2
        Of the region.
    truncated_share
        Share of the region's outline that lies on the edge of the field: above 0.02 the
        patient is cut off and Dw too small, so it is not to be used.
    """

    water_equivalent_diameter_mm: float
    effective_diameter_mm: float
    mean_hu: float
    area_mm2: float
    truncated_share: float

    @property
    def is_truncated(self) -> bool:
        """True where the patient reaches out of the image."""
        return self.truncated_share > _TOUCHING_SHARE


def water_equivalent_diameter(mean_hu: float, area_mm2: float) -> float:
    """Water-equivalent diameter in mm of a region (AAPM 220, eq. 3b and 4)."""
    return 2.0 * math.sqrt(area_mm2 * (mean_hu / 1000.0 + 1.0) / math.pi)


def slice_size(pixels: npt.NDArray[Any], spacing_mm: tuple[float, float], *, slope: float = 1.0,
               intercept: float = 0.0) -> SliceSize | None:  # fmt: skip
    """Size of the patient on one axial image; None where there is none.

    Parameters
    ----------
    pixels
        Stored values, rows × columns.
    spacing_mm
        Between rows and between columns (Pixel Spacing).
    slope, intercept
        To Hounsfield units (Rescale Slope, Rescale Intercept).

    Notes
    -----
    Values below -1024 HU stand outside of the reconstructed circle and count as air.
    """
    from scipy import ndimage

    hounsfield = np.maximum(pixels.astype(np.float64) * slope + intercept, -1000.0)
    dense = ndimage.binary_opening(hounsfield > _BODY_HU, iterations=2)
    labels, n = ndimage.label(dense)
    if not n:
        return None
    sizes = np.bincount(labels.ravel())[1:]
    body = ndimage.binary_fill_holes(labels == 1 + int(sizes.argmax()))
    area = float(body.sum()) * spacing_mm[0] * spacing_mm[1]
    mean = float(hounsfield[body].mean())
    return SliceSize(
        water_equivalent_diameter(mean, area),
        2.0 * math.sqrt(area / math.pi),
        mean,
        area,
        _on_edge(body),
    )


def _on_edge(body: npt.NDArray[np.bool_]) -> float:
    """Share of the outline that lies on the edge of the image."""
    from scipy import ndimage

    outline = body & ~ndimage.binary_erosion(body, border_value=0)
    edge = np.zeros_like(body)
    edge[[0, -1], :] = edge[:, [0, -1]] = True
    return float((outline & edge).sum()) / float(outline.sum())


def slice_name(sop_instance_uid: str) -> str:
    """Name of a slice's size among the derived values of a part.

    Each slice has a name of its own, so that the slices of an exam add up to the same whatever
    the order in which they arrive.
    """
    return f"{_SLICE}{sop_instance_uid}{_END}"


def is_slice(name: str) -> bool:
    """True for the name of a slice's size."""
    return name.startswith(_SLICE) and name.endswith(_END)


def derived_slice(size: SliceSize, z_mm: float | None = None) -> DerivedValue:
    """A slice's diameter as a derived value of a part; None where the patient is truncated."""
    inputs: dict[str, float | str | None] = {
        "method": SizeMethod.IMAGE.value,
        "mean_hu": round(size.mean_hu, 3),
        "area_mm2": round(size.area_mm2, 3),
        "truncated_share": round(size.truncated_share, 4),
        "z_mm": z_mm,
    }
    value = None if size.is_truncated else round(size.water_equivalent_diameter_mm, 6)
    if value is None:
        inputs["reason"] = "the patient reaches out of the image"
    return DerivedValue(value=value, formula=FORMULA, version=VERSION, inputs=inputs)


def mean_of_slices(slices: Iterable[DerivedValue]) -> DerivedValue | None:
    """The exam's diameter: the mean over its slices (AAPM 220, section 5); None without any.

    Slices that cut the patient off are left out and counted. Where most do, there is no value.
    """
    made = list(slices)
    known = sorted(v.value for v in made if v.value is not None)
    if not made:
        return None
    inputs: dict[str, float | str | None] = {
        "method": SizeMethod.IMAGE.value,
        "n_slices": float(len(known)),
        "n_truncated": float(len(made) - len(known)),
    }
    if 2 * len(known) < len(made):
        inputs["reason"] = "the patient reaches out of most images"
        return DerivedValue(value=None, formula=FORMULA, version=VERSION, inputs=inputs)
    inputs |= {"smallest_mm": known[0], "largest_mm": known[-1]}
    value = round(math.fsum(known) / len(known), 6)
    return DerivedValue(value=value, formula=f"mean of {FORMULA}", version=VERSION, inputs=inputs)
