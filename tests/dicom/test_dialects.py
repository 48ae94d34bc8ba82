"""Each vendor deviation of dialects.toml on a synthetic object; no row without a test."""

from __future__ import annotations

import pytest

from dose_lib.dicom.dialects import load_rules
from tests.dicom import (
    deviations_content,
    deviations_images,
    deviations_reports,
    deviations_structure,
)
from tests.dicom.deviations import CASES

MODULES = (
    deviations_content,
    deviations_images,
    deviations_reports,
    deviations_structure,
)  # they fill CASES


def test_every_deviation_has_a_test_and_every_test_a_deviation() -> None:
    assert set(CASES) == {rule.id for rule in load_rules()}


@pytest.mark.parametrize("name", sorted(r.id for r in load_rules()))
def test_deviation(name: str) -> None:
    CASES[name]()
