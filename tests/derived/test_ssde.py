"""SSDE factors against every printed factor of report 204, and at the ends of its tables."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dose_lib.derived import conversion_factor, effective_diameter
from dose_lib.records import Phantom

TABLE = Path(__file__).parents[2] / "drl" / "tables" / "ssde_aapm204.csv"
ROWS = list(csv.DictReader(TABLE.read_text(encoding="utf-8").splitlines()))
RANGES = {Phantom.BODY_32CM: (8.0, 45.0), Phantom.HEAD_16CM: (6.0, 55.0)}


@pytest.mark.parametrize(("phantom", "table"), [("32cm", "1D"), ("16cm", "2D")])
def test_every_printed_factor(phantom: str, table: str) -> None:
    rows = [r for r in ROWS if r["phantom"] == phantom and r["table"].startswith(table)]
    assert len(rows) in (38, 50)
    for row in rows:
        factor = conversion_factor(float(row["effective_diameter_cm"]), Phantom(phantom))
        assert factor is not None
        # The report prints two decimals of the same fit.
        assert factor == pytest.approx(float(row["factor"]), abs=0.005 + 1e-9), row


@pytest.mark.parametrize("phantom", RANGES)
def test_nothing_is_extrapolated(phantom: Phantom) -> None:
    low, high = RANGES[phantom]
    assert conversion_factor(low, phantom) is not None
    assert conversion_factor(high, phantom) is not None
    assert conversion_factor(np.nextafter(low, 0), phantom) is None
    assert conversion_factor(np.nextafter(high, 99), phantom) is None


def test_other_phantoms_have_no_factor() -> None:
    assert conversion_factor(30.0, Phantom.SMALL_10CM) is None


@given(st.floats(8.0, 45.0))
def test_larger_patients_get_less(diameter: float) -> None:
    body = conversion_factor(diameter, Phantom.BODY_32CM)
    assert body is not None
    assert body == pytest.approx(3.704369 * math.exp(-0.03671937 * diameter), rel=1e-12)
    # The same CTDIvol on the smaller phantom is about half the output.
    head = conversion_factor(diameter, Phantom.HEAD_16CM)
    assert head is not None
    assert 1.9 < body / head < 2.2


def test_both_dimensions_give_their_geometric_mean() -> None:
    assert effective_diameter(ap_mm=200.0, lateral_mm=320.0) == pytest.approx(math.sqrt(64_000))


@pytest.mark.parametrize("kind", ["1B lateral", "1C AP"])
def test_one_dimension_goes_through_the_table(kind: str) -> None:
    name = "lateral_mm" if "lateral" in kind else "ap_mm"
    for row in (r for r in ROWS if r["table"] == kind):
        found = effective_diameter(**{name: 10 * float(row["dimension_cm"])})
        assert found == pytest.approx(10 * float(row["effective_diameter_cm"]))
    assert effective_diameter(**{name: 59.9}) is None
    assert effective_diameter(**{name: 550.1}) is None
    assert effective_diameter() is None
