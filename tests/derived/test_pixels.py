"""AAPM 220 on images whose answer is known: cylinders of water, of lung, cut-off ones."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from dose_lib.derived import slice_size, water_equivalent_diameter
from dose_lib.derived.slices import derived_slice

SPACING = (0.5, 0.5)
Mask = npt.NDArray[np.bool_]
SIZE = 700


def cylinder(
    radius_mm: float, hu: float, *, at: tuple[float, float] = (0.0, 0.0)
) -> npt.NDArray[np.float64]:
    """A round image of one material in air."""
    axis = (np.arange(SIZE) - (SIZE - 1) / 2) * SPACING[0]
    y, x = np.meshgrid(axis - at[0], axis - at[1], indexing="ij")
    return np.where(np.hypot(x, y) <= radius_mm, hu, -1000.0)


def test_water_is_its_own_size() -> None:
    found = slice_size(cylinder(100.0, 0.0), SPACING)
    assert found is not None
    assert found.water_equivalent_diameter_mm == pytest.approx(200.0, rel=2e-3)
    assert found.effective_diameter_mm == pytest.approx(200.0, rel=2e-3)
    assert found.mean_hu == pytest.approx(0.0, abs=1e-9)
    assert not found.is_truncated


def test_a_chest_is_smaller_in_water_than_in_outline() -> None:
    """Two lungs of -800 HU within 300 mm of water: Dw by the areas."""
    image = cylinder(150.0, 0.0)
    for side in (-70.0, 70.0):
        image = np.where(cylinder(55.0, 1.0, at=(0.0, side)) > 0, -800.0, image)
    found = slice_size(image, SPACING)
    assert found is not None
    water = math.pi * 150**2 - 0.8 * 2 * math.pi * 55**2
    assert found.water_equivalent_diameter_mm == pytest.approx(
        2 * math.sqrt(water / math.pi), rel=3e-3
    )
    assert found.effective_diameter_mm == pytest.approx(300.0, rel=2e-3)


def test_the_table_is_not_the_patient() -> None:
    image = cylinder(120.0, 0.0)
    alone = slice_size(image, SPACING)
    image[620:624, 100:600] = 100.0  # a thin board, apart
    with_table = slice_size(image, SPACING)
    assert with_table == alone


def ellipse(ap_mm: float, lateral_mm: float, spacing: float, n: int = 256) -> Mask:
    axis = (np.arange(n) - (n - 1) / 2) * spacing
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return (y / (ap_mm / 2)) ** 2 + (x / (lateral_mm / 2)) ** 2 <= 1


@pytest.mark.parametrize(("ap", "lateral", "field"), [(160, 200, 300), (320, 450, 500)])
def test_a_table_that_touches_the_patient(ap: float, lateral: float, field: float) -> None:
    """A cradle of two shells with foam between, the patient lying in it; noise of 20 HU."""
    n = 512
    spacing = field / n
    body = ellipse(ap, lateral, spacing, n)
    image = np.where(body, 30.0, -1000.0)
    axis = (np.arange(n) - (n - 1) / 2) * spacing
    y, x = np.meshgrid(axis, axis, indexing="ij")
    depth = np.hypot(y - (ap / 2 - 300), x) - 300
    for first, last, hu in ((0, 2.5, -100), (2.5, 40, -900), (40, 42.5, -100)):
        image[(depth >= first) & (depth < last) & ~body & (y > 0)] = hu
    image += np.random.default_rng(3).normal(0, 20, image.shape)
    found = slice_size(image, (spacing, spacing))
    assert found is not None
    true = math.sqrt(ap * lateral * 1.03)
    assert found.water_equivalent_diameter_mm == pytest.approx(true, rel=5e-3)
    assert not found.is_truncated


@pytest.mark.parametrize("filled_with", [-2000.0, -1024.0, -1000.0, 3071.0])
def test_a_round_field_that_cuts_the_patient_off(filled_with: float) -> None:
    """Beyond the circle of reconstruction stands padding: stated, or one value in all corners."""
    n, field = 256, 300.0
    body = ellipse(220, 330, field / n, n)
    image = np.where(body, 30.0, -1000.0)
    axis = (np.arange(n) - (n - 1) / 2) / (n / 2)
    image[np.hypot(*np.meshgrid(axis, axis)) > 1] = filled_with
    padding = (filled_with, filled_with) if filled_with > 0 else None
    found = slice_size(image, (field / n, field / n), padding=padding)
    assert found is not None
    assert found.is_truncated
    assert found.water_equivalent_diameter_mm < math.sqrt(220 * 330 * 1.03)


def test_padding_is_not_the_patient() -> None:
    """A patient within the field is the same whatever stands for no measurement around it."""
    image = cylinder(100.0, 0.0)
    plain = slice_size(image, SPACING)
    axis = np.arange(SIZE) - (SIZE - 1) / 2
    outside = np.hypot(*np.meshgrid(axis, axis)) > SIZE / 2
    for value in (-2000.0, 3000.0):
        padded = np.where(outside, value, image)
        assert slice_size(padded, SPACING, padding=(value, value)) == plain


def test_stored_values_are_rescaled() -> None:
    stored = (cylinder(100.0, 40.0) + 1024).astype(np.int16)
    found = slice_size(stored, SPACING, slope=1.0, intercept=-1024.0)
    assert found is not None
    assert found.mean_hu == pytest.approx(40.0)


def test_a_cut_off_patient_gives_no_value() -> None:
    found = slice_size(cylinder(200.0, 0.0), SPACING)
    assert found is not None
    assert found.is_truncated
    value = derived_slice(found)
    assert value.value is None
    assert "out of the image" in str(value.inputs["reason"])


def test_air_is_nobody() -> None:
    assert slice_size(np.full((64, 64), -1000.0), SPACING) is None


def test_the_equation() -> None:
    """AAPM 220: a region of 0 HU is water; -1000 HU is nothing."""
    assert water_equivalent_diameter(0.0, math.pi * 100**2) == pytest.approx(200.0)
    assert water_equivalent_diameter(-1000.0, 5e4) == 0.0
    assert water_equivalent_diameter(-500.0, 2 * math.pi * 100**2) == pytest.approx(200.0)
