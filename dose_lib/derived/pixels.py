"""Water-equivalent diameter of an axial CT image (AAPM report 220).

Computed where a site lets images pass, on arrival and before the pixels are dropped. The rules
that the report leaves open:

- The patient is the largest connected region denser than -500 HU, half-way between air and
  water, with all that lies inside of it: lungs and gas count. Arms that lie apart do not.
- The table is left out: an opening by 2 mm takes off what is thinner than 4 mm, as the shells of
  tables and cushions are; then they no longer hang together with the patient.
- Padding (Pixel Padding Value and Range Limit, or one value in all four corners) is no air that
  was measured: where the patient reaches it, or the edge of the image, the field cuts him off.
  Dw is a lower bound then, and not used.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

VERSION = "2"
FORMULA = "AAPM 220: Dw = 2·√(A·(mean HU/1000 + 1)/π)"

Mask = npt.NDArray[np.bool_]
_BODY_HU = -500.0
_OPENING_MM = 2.0
_TOUCHING_SHARE = (
    0.02  # of the region's outline on the edge of the field: then it is cut off (ours)
)
_AIR_HU, _NO_AIR_HU = (
    -900.0,
    -1024.0,
)  # a corner up to the first may be padding, below the second is
_RIM = 2.0  # pixels; the field ends at the circle within the image, give or take so much


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
        """True where the patient reaches out of the field."""
        return self.truncated_share > _TOUCHING_SHARE


def water_equivalent_diameter(mean_hu: float, area_mm2: float) -> float:
    """Water-equivalent diameter in mm of a region (AAPM 220, eq. 3b and 4)."""
    return 2.0 * math.sqrt(max(0.0, area_mm2 * (mean_hu / 1000.0 + 1.0)) / math.pi)


def slice_size(
    pixels: npt.NDArray[Any],
    spacing_mm: tuple[float, float],
    *,
    slope: float = 1.0,
    intercept: float = 0.0,
    padding: tuple[float, float] | None = None,
) -> SliceSize | None:
    """Size of the patient on one axial image; None where there is none.

    Parameters
    ----------
    pixels
        Stored values, rows × columns.
    spacing_mm
        Between rows and between columns (Pixel Spacing).
    slope, intercept
        To Hounsfield units (Rescale Slope, Rescale Intercept).
    padding
        Lowest and highest stored value that stand for no measurement (Pixel Padding Value,
        Pixel Padding Range Limit).
    """
    from scipy import ndimage

    hounsfield = pixels.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    outside = _outside(pixels, hounsfield, padding)
    steps = max(1, min(8, round(_OPENING_MM / math.sqrt(spacing_mm[0] * spacing_mm[1]))))
    dense = ndimage.binary_opening((hounsfield > _BODY_HU) & ~outside, iterations=steps)
    labels, n = ndimage.label(dense)
    if not n:
        return None
    sizes = np.bincount(labels.ravel())[1:]
    body = ndimage.binary_fill_holes(labels == 1 + int(sizes.argmax()))
    area = float(body.sum()) * spacing_mm[0] * spacing_mm[1]
    mean = float(np.where(outside, -1000.0, hounsfield)[body].mean(dtype=np.float64))
    return SliceSize(
        water_equivalent_diameter(mean, area),
        2.0 * math.sqrt(area / math.pi),
        mean,
        area,
        _on_edge(body, outside),
    )


def _outside(
    pixels: npt.NDArray[Any],
    hounsfield: npt.NDArray[np.float32],
    padding: tuple[float, float] | None,
) -> Mask:
    """Where nothing was measured: padding as stated, and what fills the corners.

    One value in all four corners is taken for padding where it is none that air can have, else
    only beyond the circle within the image: real air may be stored as one value, too.
    """
    found = np.zeros(pixels.shape, dtype=bool)
    if padding is not None:
        found |= (pixels >= padding[0]) & (pixels <= padding[1])
    corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
    if bool((corners == corners[0]).all()) and hounsfield[0, 0] <= _AIR_HU:
        same = pixels == corners[0]
        found |= same if hounsfield[0, 0] < _NO_AIR_HU else same & _beyond_circle(pixels.shape)
    return found


def _beyond_circle(shape: tuple[int, ...]) -> Mask:
    """Pixels beyond the circle within the image, where a round field ends."""
    rows, columns = ((np.arange(n) - (n - 1) / 2) ** 2 for n in shape)
    reach = min(shape) / 2 - _RIM
    return np.asarray(rows[:, None] + columns[None, :] >= reach * reach)


def _on_edge(body: Mask, outside: Mask) -> float:
    """Share of the outline that lies on the edge of the image or of the field."""
    from scipy import ndimage

    outline = body & ~ndimage.binary_erosion(body, border_value=0)
    edge = np.zeros_like(body)
    edge[[0, -1], :] = edge[:, [0, -1]] = True
    if outside.any():
        edge |= ndimage.binary_dilation(outside, iterations=2)
    return float((outline & edge).sum()) / float(outline.sum())
