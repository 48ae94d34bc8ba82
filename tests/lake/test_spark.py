"""The same functions on Apache Spark: a lake, two workers, the numbers of the store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from dose_lib import metrics
from dose_lib.compare import compare_practice, local_levels
from dose_lib.lake import open_lake
from dose_lib.reference import apply_sign_offs, load_levels, sign_off, sign_offs
from tests.conftest import require
from tests.lake.conftest import Department

# Spark warns of pandas 3, which is not between it and us: rows come as Arrow or plain numbers.
pytestmark = [pytest.mark.spark, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """A session with two workers in this machine, on loopback."""
    require("java")
    if os.environ.get("DOSE_REQUIRE_ALL") != "1":
        pytest.importorskip("pyspark", reason="make test fetches it (requirements-spark.lock)")
    sql = import_module("pyspark.sql")
    builder = sql.SparkSession.builder.master("local[2]").appName("doseloop-tests")
    for name, value in {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
    }.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.fixture(scope="module")
def both(department: Department, spark: Any) -> tuple[Any, Any]:
    """The store, and its lake on Spark."""
    return department.con, open_lake(department.lake, spark=spark)


def test_medians_by_device_and_week_are_the_same(both: tuple[Any, Any]) -> None:
    def figures(con: Any) -> list[dict[str, Any]]:
        exams = metrics.patients(con.table("studies"))
        dlp = metrics.MEASURES["dlp"].of(exams)
        wanted = {n: metrics.STATISTICS[n].of(dlp) for n in ("count", "median", "p75", "mean")}
        groups = {n: metrics.DIMENSIONS[n].of(exams) for n in ("device", "week", "age_band")}
        found = exams.group_by(**groups).aggregate(**wanted)
        rows = found.to_pyarrow().to_pylist()
        return sorted(rows, key=lambda r: tuple(str(r[g]) for g in groups))

    one, other = map(figures, both)
    assert len(one) > 20
    for a, b in zip(one, other, strict=True):
        assert {k: str(v) for k, v in a.items() if k in ("device", "week", "age_band")} == {
            k: str(v) for k, v in b.items() if k in ("device", "week", "age_band")
        }
        for name in ("count", "median", "p75", "mean"):
            assert b[name] == (None if a[name] is None else pytest.approx(a[name], rel=1e-12))


def test_verdicts_are_the_same(both: tuple[Any, Any], department: Department) -> None:
    levels = load_levels(department.settings)
    made = [sign_off(levels, s, author="test", phantom="32cm") for s in {x.set_id for x in levels}]
    levels = apply_sign_offs(levels, sign_offs(made))
    one, other = (
        compare_practice(con, kind="drl", levels=levels, settings=department.settings, minimum_n=5)
        for con in both
    )
    assert one.verdicts == other.verdicts
    assert len({v.status for v in one.verdicts}) >= 3
    assert len({v.procedure_name for v in one.verdicts}) > 20


def test_local_levels_are_the_same(both: tuple[Any, Any], department: Department) -> None:
    started = department.con.table("studies").started_at
    start, end = (f().to_pyarrow().as_py().date() for f in (started.min, started.max))
    one, other = (
        local_levels(con, start=start, end=end, settings=department.settings, minimum_n=5)
        for con in both
    )
    assert one == other
    assert len(one.rows) > 20
