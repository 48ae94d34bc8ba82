"""Levels from the site's own data: against numpy, adopted, dated, taken back."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import numpy as np
import pytest

from dose_lib.compare import Method, Status, compare_practice, local_levels
from dose_lib.errors import LevelError
from dose_lib.records import Decision
from dose_lib.reference import Kind, Level, adopted_levels, load_levels, revoke
from dose_lib.settings import Settings
from tests.compare.practice import Row, exam, practice

START, END = date(2026, 1, 1), date(2026, 6, 30)


def rooms(n_rooms: int, n: int = 25, *, few: int = 0) -> list[Row]:
    """Chest CTs in rooms of different habits; the last room has `few` patients."""
    rng = np.random.default_rng(7)
    rows = []
    for room in range(n_rooms):
        for i in range(few if few and room == n_rooms - 1 else n):
            dose = float(rng.lognormal(5.5 + 0.05 * room, 0.3))
            rows.append(exam(f"{room}-{i}", room=f"CT {room}", device=f"S{room}",
                             dlp_32cm_mgy_cm=dose, weight_kg=60.0 + i % 20))  # fmt: skip
    return rows


def medians(rows: list[Row]) -> dict[str, float]:
    names = sorted({r["room"] for r in rows})
    return {
        n: float(np.median([r["dlp_32cm_mgy_cm"] for r in rows if r["room"] == n])) for n in names
    }


def propose(settings: Settings, rows: list[Row], **options: Any) -> Any:
    return local_levels(practice(rows), start=START, end=END, settings=settings, **options)


def test_few_rooms_have_a_typical_value(settings: Settings) -> None:
    rows = rooms(3)
    (row,) = propose(settings, rows).rows
    known = medians(rows)
    doses = np.array([r["dlp_32cm_mgy_cm"] for r in rows])
    assert row.method is Method.TYPICAL
    assert row.level.statistic == "p50"
    assert row.level.value == pytest.approx(np.median(list(known.values())), rel=1e-12)
    assert row.basis.n == 75
    assert row.basis.n_rooms == 3
    assert row.basis.median == pytest.approx(np.median(doses), rel=1e-12)
    assert (row.basis.p25, row.basis.p75) == pytest.approx(
        tuple(np.quantile(doses, (0.25, 0.75))), rel=1e-12
    )
    # Exact interval of 75 values: order statistics 29 and 47 (Conover, table of the binomial).
    ordered = np.sort(doses)
    assert (row.basis.ci_low, row.basis.ci_high) == (ordered[28], ordered[46])


def test_ten_rooms_make_a_local_level(settings: Settings) -> None:
    rows = rooms(10)
    (row,) = propose(settings, rows).rows
    assert row.method is Method.ROOMS
    assert row.level.statistic == "p75"
    expected = np.quantile(list(medians(rows).values()), 0.75)
    assert row.level.value == pytest.approx(expected, rel=1e-12)
    (nine,) = propose(settings, rooms(9)).rows
    assert nine.method is Method.TYPICAL


def test_the_method_may_be_chosen(settings: Settings) -> None:
    rows = rooms(3)
    (row,) = propose(settings, rows, method="p75_of_patients").rows
    expected = np.quantile([r["dlp_32cm_mgy_cm"] for r in rows], 0.75)
    assert row.level.value == pytest.approx(expected, rel=1e-12)


def test_rooms_with_few_patients_do_not_count_and_are_shown(settings: Settings) -> None:
    found = propose(settings, rooms(4, few=19))
    (row,) = found.rows
    assert row.basis.n_rooms == 3
    table = found.typical_values()
    few = table[table["name"] == "CT 3"].iloc[0]
    assert few["n"] == 19
    assert "needed" in few["reason"]


def test_typical_values_of_devices(settings: Settings) -> None:
    rows = [r | {"device": f"S{i % 2}"} for i, r in enumerate(rooms(1, 60))]
    table = propose(settings, rows, by_device=True).typical_values()
    assert set(table["name"]) == {"S0", "S1"}
    assert set(table["by"]) == {"device"}


def test_no_room_has_enough(settings: Settings) -> None:
    found = propose(settings, rooms(1, 19))
    assert found.rows == ()
    with pytest.raises(LevelError, match="no level"):
        found.adopt("LOCAL", author="mp", valid_from=date(2026, 7, 1))


def kept(*decisions: Decision, day: int = 1) -> list[Row]:
    return [
        {
            "kind": d.kind, "subject": d.subject, "author": d.author,
            "payload": json.dumps(msgspec.to_builtins(d.payload)),
            "decided_at": datetime(2026, 7, day, tzinfo=UTC),
        }
        for d in decisions
    ]  # fmt: skip


def adopted(settings: Settings, decisions: list[Row], **options: Any) -> list[Level]:
    con = practice([], decisions=decisions)
    return [x for x in load_levels(settings, con=con, **options) if x.set_id == "LOCAL"]


def test_adopted_levels_are_the_sites_own_from_their_day_on(settings: Settings) -> None:
    made = propose(settings, rooms(3)).adopt(
        "LOCAL", author="chief physicist", valid_from=date(2026, 7, 1), note="first half of 2026"
    )
    (level,) = adopted(settings, kept(*made))
    assert level.kind is Kind.LOCAL
    assert level.origin == "site"
    assert level.signed_by == "chief physicist"
    assert level.value == float(f"{level.value:.3g}")
    assert "75 patients in 3 rooms" in (level.note or "")
    assert not level.is_in_force(date(2026, 6, 30))
    assert level.is_in_force(date(2026, 7, 1))
    july = [r | {"started_at": datetime(2026, 7, 15, 9)} for r in rooms(1)]
    found = compare_practice(
        practice(july, decisions=kept(*made)), kind="local", settings=settings,
        quantities=["dlp"], start=date(2026, 7, 1), end=date(2026, 7, 31),
    )  # fmt: skip
    (verdict,) = found.verdicts
    assert verdict.status is not Status.NO_VERDICT
    assert verdict.level is not None
    assert verdict.level.signed_by == "chief physicist"


def test_a_new_edition_ends_the_former(settings: Settings) -> None:
    first = propose(settings, rooms(3)).adopt("LOCAL", author="a", valid_from=date(2026, 7, 1))
    second = propose(settings, rooms(2)).adopt("LOCAL", author="a", valid_from=date(2027, 1, 1))
    old, new = adopted(settings, kept(*first) + kept(*second, day=2))
    assert old.valid_to == date(2026, 12, 31)
    assert new.valid_to is None
    # What was known on the first of July is known again.
    then = adopted(
        settings, kept(*first) + kept(*second, day=2), as_of=datetime(2026, 7, 1, 12, tzinfo=UTC)
    )
    assert [x.valid_to for x in then] == [None]


def test_an_edition_can_be_taken_back(settings: Settings) -> None:
    made = propose(settings, rooms(3)).adopt("LOCAL", author="a", valid_from=date(2026, 7, 1))
    back = revoke("LOCAL", "2026-07-01", author="b")
    assert adopted(settings, kept(*made) + kept(back, day=2)) == []


def test_many_levels_travel_in_several_decisions(settings: Settings) -> None:
    rows = [
        r | {"procedure_name": f"Own {n}", "part_key": f"{n}-{r['part_key']}"}
        for n in range(45)
        for r in rooms(1, 20)
    ]
    made = propose(settings, rows).adopt("LOCAL", author="a", valid_from=date(2026, 7, 1))
    assert len(made) == 2
    assert len(adopted_levels(made)) == 45
    assert all(len(msgspec.json.encode(d.payload)) < 20_000 for d in made)
