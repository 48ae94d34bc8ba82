"""What must not move a verdict (order, duplicates, units), and both sides of every band edge."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from dose_lib import connect, load_settings
from dose_lib.compare import Comparison, compare_practice
from dose_lib.compare.exams import Exams
from dose_lib.compare.rule import Rule
from dose_lib.compare.task import Task, fits_level, units_of
from dose_lib.reference import Level, import_levels, load_levels, published_levels
from dose_lib.settings import Settings
from dose_lib.store import Store
from tests.compare.chests import exams
from tests.compare.practice import exam, exposure, practice
from tests.store.exams import incoming, merge, unchanged

HEADER = "drl_set,modality,procedure,population,phantom,quantity,value,unit,per\n"


def own_level(settings: Settings, line: str) -> list[Level]:
    file = settings.home / "level.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(HEADER + line + "\n", encoding="utf-8")
    return list(import_levels(settings, file, is_replacing=True, is_check=True).levels)


def told(found: Comparison) -> list[tuple[Any, ...]]:
    return [
        (v.name, v.status, v.figures, v.ratio, v.level and v.level.value) for v in found.verdicts
    ]


# ---- order and duplicates, through a real store -----------------------------------------------


def verdicts_of(home: Path, batches: list[list[Any]], level: str) -> list[tuple[Any, ...]]:
    settings = load_settings(home)
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        for batch in batches:
            store.commit(batch)
    levels = own_level(settings, level)
    con = connect(settings=settings)
    return told(compare_practice(con, levels=levels, settings=settings, kind="local"))


def test_order_and_repeated_objects_move_no_verdict(settings: Settings, tmp_path: Path) -> None:
    """The same reports once in order; then shuffled, in other batches, a third of them twice."""
    level = "OURS,CT,CT Chest,adult,32cm,DLP,240,mGy.cm,exam"
    objects = [incoming(part) for part in exams()]
    first = verdicts_of(tmp_path / "one", [objects], level)
    mixed = objects + objects[::3]
    random.Random(5).shuffle(mixed)
    again = verdicts_of(tmp_path / "two", [mixed[:17], mixed[17:50], mixed[50:]], level)
    assert first == again
    assert {status for _, status, *_ in first} == {"within", "exceeds", "consistently_exceeds"}


# ---- units ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    ["240,mGy.cm", "240,mGycm", "0.24,Gy.cm"],
)
def test_the_unit_of_a_level_moves_no_verdict(settings: Settings, line: str) -> None:
    doses = [200.0 + 4 * i for i in range(25)]
    con = practice([exam(f"e{i}", dlp_32cm_mgy_cm=d) for i, d in enumerate(doses)])
    levels = own_level(settings, f"OURS,CT,CT Chest,adult,32cm,DLP,{line},exam")
    (verdict,) = compare_practice(
        con, levels=levels, settings=settings, kind="local", quantities=["dlp"]
    ).verdicts
    assert verdict.level is not None
    assert (verdict.level.value, verdict.level.unit) == (240.0, "mGy.cm")
    assert verdict.ratio == pytest.approx(np.median(doses) / 240, rel=1e-12)
    assert verdict.status == "exceeds"


@pytest.mark.parametrize("unit", ["0.1,Gy.cm2", "10,cGy.cm2", "100,mGy.cm2", "10,uGy.m2"])
def test_units_of_area_products(settings: Settings, unit: str) -> None:
    """1 Gy.cm2 = 100 cGy.cm2 = 1000 mGy.cm2 = 100 uGy.m2."""
    rows = [exam(f"e{i}", modality="DX", procedure_name="Chest") for i in range(25)]
    shots = [exposure(f"e{i}", kap_gy_cm2=0.05 + 0.004 * i) for i in range(25)]
    levels = own_level(settings, f"OURS,DX,Chest PA,adult,,DAP(KAP),{unit},projection")
    found = compare_practice(
        practice(rows, shots), levels=levels, settings=settings, kind="local", quantities=["kap"]
    )
    (verdict,) = (v for v in found.verdicts if v.level)
    assert verdict.level is not None
    assert (verdict.level.value, verdict.level.unit) == (0.1, "Gy.cm2")
    assert verdict.status == "within", "0.098 is below 0.1"


@given(factor=st.floats(1e-3, 1e3), seed=st.integers(0, 1000))
@profile(max_examples=8, deadline=None)
def test_doses_and_level_on_another_scale_give_the_same_verdict(factor: float, seed: int) -> None:
    settings = load_settings(Path("nowhere"))
    doses = np.random.default_rng(seed).lognormal(5.7, 0.4, 30)
    level = msgspec.structs.replace(LEVEL, value=300.0)
    scaled = msgspec.structs.replace(level, value=300.0 * factor)
    one, other = (
        compare_practice(
            practice([exam(f"e{i}", dlp_32cm_mgy_cm=float(d)) for i, d in enumerate(some)]),
            levels=[row], settings=settings, quantities=["dlp"],
        ).verdicts[0]
        for some, row in ((doses, level), (doses * factor, scaled))
    )  # fmt: skip
    assert (one.status, one.figures.n, one.share_above) == (
        other.status, other.figures.n, other.share_above,
    )  # fmt: skip
    assert one.ratio == pytest.approx(other.ratio, rel=1e-12)


LEVEL = msgspec.structs.replace(
    next(
        x
        for x in published_levels()
        if x.set_id == "AU-ARPANSA-2018" and x.quantity == "dlp" and x.procedure_name == "CT Chest"
    ),
    country="GB", valid_from=None, valid_to=None,
)  # fmt: skip


# ---- both sides of every edge of every band ---------------------------------------------------

BANDS = sorted(
    {
        (x.population, x.size_basis, x.size_min, x.size_max)
        for x in load_levels(None)
        if x.size_basis in ("age", "weight", "compressed_breast_thickness")
        and not x.is_nominal_size
    },
    key=str,
)


@pytest.mark.parametrize("band", BANDS, ids=str)
def test_both_sides_of_every_edge(band: tuple[str, str, float | None, float | None]) -> None:
    """A band holds its lower end and not its upper."""
    population, basis, low, high = band
    level = msgspec.structs.replace(
        LEVEL, population=population, size_basis=basis, size_min=low, size_max=high
    )
    edges = [x for x in (low, high) if x]
    sizes = [size for edge in edges for size in (edge * (1 - 1e-9), edge, edge * (1 + 1e-9))]
    expected = [size >= (low or 0) and (high is None or size < high) for size in sizes]
    age = 40.0 if population == "adult" else 9.0
    if basis == "age":  # the age is the size; who is an adult is decided before
        limit = 16.0
        expected = [
            fits and ((size < limit) == (population == "paediatric"))
            for fits, size in zip(expected, sizes, strict=True)
        ]
    n = len(sizes)
    column = np.array(sizes)
    other = np.full(n, np.nan)
    none = np.array([None] * n, dtype=object)
    days = np.array(["2026-06-01"] * n, dtype="datetime64[D]")
    exams_ = Exams(
        *[none] * 8,
        days,
        column if basis == "age" else np.full(n, age),
        column if basis == "weight" else other,
        column if basis == "compressed_breast_thickness" else other,
        {},
    )
    task = Task("x", level.quantity, exams_, None, *units_of(exams_), Rule("drl", "GB", 16.0, 20))
    assert fits_level(level, task).tolist() == expected
    assert any(expected)
    assert not all(expected)
