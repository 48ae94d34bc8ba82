"""Measures and dimensions run, mean what they say, and never mix phantoms."""

from __future__ import annotations

import math
from datetime import datetime

import numpy as np
import pytest

from dose_lib.errors import UsageError
from dose_lib.metrics import DIMENSIONS, MEASURES, STATISTICS, dimension, measure, patients
from tests.compare.practice import exam, practice


def values(name: str, **fields: object) -> object:
    con = practice([exam("a", **fields)])
    table = con.table("studies")
    return table.select(v=MEASURES[name].of(table)).to_pyarrow()["v"][0].as_py()


def group(name: str, **fields: object) -> object:
    table = practice([exam("a", **fields)]).table("studies")
    return table.select(v=DIMENSIONS[name].of(table)).to_pyarrow()["v"][0].as_py()


@pytest.mark.parametrize("name", MEASURES)
def test_each_measure_runs_with_each_statistic(name: str) -> None:
    table = practice([exam("a")]).table("studies")
    column = MEASURES[name].of(table)
    figures = ["count"] if name == "count" else list(STATISTICS)
    table.aggregate(**{f: STATISTICS[f].of(column) for f in figures}).to_pyarrow()


@pytest.mark.parametrize("name", DIMENSIONS)
def test_each_dimension_groups(name: str) -> None:
    table = practice([exam("a"), exam("b")]).table("studies")
    assert table.group_by(g=DIMENSIONS[name].of(table)).agg(n=table.count()).to_pyarrow().num_rows


def test_each_is_described_once() -> None:
    for item in (*MEASURES.values(), *DIMENSIONS.values(), *STATISTICS.values()):
        assert item.label
        assert item.description.endswith(".")
    assert all(MEASURES[n].name == n for n in MEASURES)


@pytest.mark.parametrize(
    ("dlp16", "dlp32", "unknown", "dlp", "phantom"),
    [
        (None, 300.0, None, 300.0, "32 cm"),
        (800.0, None, None, 800.0, "16 cm"),
        (800.0, 3.0, None, 800.0, "16 cm"),  # localiser on the body phantom
        (500.0, 400.0, None, None, "mixed"),
        (None, None, 300.0, None, "not stated"),
        (None, 300.0, 200.0, None, "mixed"),
        (None, None, None, None, None),
        (950.0, 50.0, None, 950.0, "16 cm"),  # the edge: five per cent elsewhere
        (949.0, 51.0, None, None, "mixed"),
    ],
)
def test_phantoms_are_never_mixed(
    dlp16: float, dlp32: float, unknown: float, dlp: float | None, phantom: str | None
) -> None:
    fields = {
        "dlp_16cm_mgy_cm": dlp16, "dlp_32cm_mgy_cm": dlp32, "dlp_unknown_phantom_mgy_cm": unknown,
    }  # fmt: skip
    assert values("dlp", **fields) == dlp
    assert group("phantom", **fields) == phantom


@pytest.mark.parametrize(
    ("left", "right", "both", "agd"),
    [(1.0, 3.0, None, 2.0), (1.0, None, None, 1.0), (None, 3.0, 9.0, 3.0), (None, None, 2.5, 2.5)],
)
def test_agd_is_per_breast(left: float, right: float, both: float, agd: float) -> None:
    assert values("agd", agd_left_mgy=left, agd_right_mgy=right, agd_both_mgy=both) == agd


@pytest.mark.parametrize(
    ("weight", "band"),
    [(4.999, "under 5 kg"), (5.0, "5 to 14 kg"), (89.9, "70 to 89 kg"), (90.0, "90 to 109 kg"),
     (110.0, "110 kg and more"), (None, "unknown"), (math.nan, "unknown")],
)  # fmt: skip
def test_unknown_weight_is_a_band_of_its_own(weight: float | None, band: str) -> None:
    assert group("weight_band", weight_kg=weight) == band


@pytest.mark.parametrize(
    ("age", "band"),
    [(0.0, "under 1 month"), (1 / 12, "1 month to 3 y"), (17.99, "14 to 17 y"),
     (18.0, "18 to 39 y"), (90.0, "75 y and more"), (None, "unknown")],
)  # fmt: skip
def test_age_bands_hold_their_lower_end(age: float | None, band: str) -> None:
    assert group("age_band", age_y=age) == band


def test_weeks_begin_on_monday() -> None:
    sunday, monday = datetime(2026, 11, 22, 23, 59), datetime(2026, 11, 23)
    assert str(group("week", started_at=sunday)) == "2026-11-16"
    assert str(group("week", started_at=monday)) == "2026-11-23"
    assert group("weekday", started_at=monday) == "Monday"
    assert str(group("quarter", started_at=monday)) == "2026-10-01"


def test_computed_doses_and_their_method_are_apart_from_stated_ones() -> None:
    fields: dict[str, object] = {
        "ssde_max_mgy": 9.0, "derived_ssde_max_mgy": 10.0, "derived_ssde_mean_mgy": 8.0,
        "effective_dose_msv": 4.0, "derived_effective_dose_msv": 5.0,
        "derived_water_equivalent_diameter_mm": 290.0, "size_method": "weight",
    }  # fmt: skip
    names = ("ssde", "ssde_computed", "ssde_mean", "effective_dose", "effective_dose_computed")
    assert [values(n, **fields) for n in names] == [9.0, 10.0, 8.0, 4.0, 5.0]
    assert values("diameter", **fields) == 290.0
    assert group("size_method", **fields) == "weight"
    assert "weight" in DIMENSIONS["size_method"].order
    assert group("contrast", contrast="both") == "both"


def test_quantiles_are_those_of_numpy() -> None:
    doses = np.random.default_rng(7).lognormal(5, 0.4, 501)
    table = practice([exam(str(i), dlp_32cm_mgy_cm=float(x)) for i, x in enumerate(doses)]).table(
        "studies"
    )
    column = MEASURES["dlp"].of(table)
    shares = {"p25": 0.25, "median": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95}
    found = table.aggregate(**{n: STATISTICS[n].of(column) for n in shares}).to_pyarrow()
    for name, share in shares.items():
        assert found[name][0].as_py() == pytest.approx(np.quantile(doses, share), rel=1e-12)


def test_what_is_no_patient_is_left_out() -> None:
    con = practice([exam("a"), exam("b", is_patient=False), exam("c", is_patient=None)])
    assert patients(con.table("studies")).count().to_pyarrow().as_py() == 2


def test_unknown_names_get_a_hint() -> None:
    with pytest.raises(UsageError, match="did you mean 'dlp'"):
        measure("dpl")
    with pytest.raises(UsageError, match="did you mean 'device'"):
        dimension("devise")
