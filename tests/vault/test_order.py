"""Whatever the order in which objects arrive, are sent again and are rebuilt: the same rows.

The rule that all of this rests on is written once, as a function of everything that was
received and decided (`expected`), and compared with what the tables hold after any sequence
of puts and decisions.

| received, or done, | erased | then |
| --- | --- | --- |
| before the erasure | | gone, and stays out |
| after it, exam before it | | stays out |
| after it, exam after it | | kept |
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from importlib.resources import files

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dose_lib.records import Decision
from dose_lib.vault import VaultEntry, groups, write
from tests.vault.people import START, entry, key

_TABLES = ("patient", "exam", "staff", "sighting", "presence")


def empty() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    folder = files("dose_lib.vault").joinpath("migrations")
    for sql in sorted(e.name for e in folder.iterdir() if e.name.endswith(".sql")):
        con.execute(folder.joinpath(sql).read_text(encoding="utf-8"))
    con.execute("SET TimeZone = 'UTC'")
    return con


def rows(con: duckdb.DuckDBPyConnection) -> dict[str, list[object]]:
    return {t: con.execute(f"FROM {t} ORDER BY ALL").fetchall() for t in _TABLES}


def after(steps: Sequence[VaultEntry | Decision]) -> dict[str, list[object]]:
    """Tables after steps in the order given, each in a transaction of its own."""
    con, known = empty(), []
    for step in steps:
        if isinstance(step, Decision):
            known.append(step)
            write.forget(con, groups.forgotten(known))
        else:
            write.put(con, [step], groups.forgotten(known))
    try:
        return rows(con)
    finally:
        con.close()


def expected(
    entries: Sequence[VaultEntry], decisions: Sequence[Decision]
) -> tuple[set[str], set[str]]:
    """Objects whose patient, and whose staff, may be known, by the rule alone."""
    gone = groups.forgotten(decisions)
    patients, staff = set(), set()
    for one in entries:
        times = (one.received_at, one.occurred_at)
        if gone.has_expired(*times):
            continue
        if not gone.covers(one.identity.patient_key or "", *times):
            patients.add(one.sha256)
        if not gone.covers(one.identity.staff[0].staff_key or "", *times):
            staff.add(one.sha256)
    return patients, staff


@st.composite
def objects(draw: st.DrawFn) -> list[VaultEntry]:
    """Objects of three patients; one is received once or several times, its exam is one."""
    made = []
    for number in range(draw(st.integers(1, 5))):
        patient, exam_day = draw(st.integers(1, 3)), draw(st.integers(0, 8))
        delays = draw(st.lists(st.integers(0, 8), min_size=1, max_size=2))
        made += [
            entry(number, patient=patient, operator=patient, day=exam_day + d, exam_day=exam_day)
            for d in delays
        ]
    return made


@st.composite
def decided(draw: st.DrawFn) -> list[Decision]:
    """Decisions in the order of their time, between the exams."""
    made = []
    for half_day in sorted(draw(st.lists(st.integers(0, 17), max_size=5, unique=True))):
        kind = draw(st.sampled_from(sorted(groups.KINDS)))
        one, other = draw(st.permutations([1, 2, 3]))[:2]
        subject, payload = key("patient", one), {}
        if kind in (groups.MERGE, groups.UNMERGE):
            payload = {"surviving": key("patient", other)}
        elif kind == groups.ERASE_STAFF:
            subject = key("staff", one)
        elif kind == groups.EXPIRE:
            subject = "identities"
            payload = {"before": (START + timedelta(days=half_day / 4)).isoformat()}
        at = START + timedelta(days=half_day / 2 + 0.1)
        made.append(
            Decision(kind=kind, subject=subject, payload=payload, author="admin", decided_at=at)
        )
    return made


def check_any_order(
    entries: list[VaultEntry], decisions: list[Decision], rng: random.Random
) -> None:
    """A rebuild knows all decisions first; a running vault learns them between the objects."""
    rebuilt = after([*decisions, *entries])
    mixed: list[VaultEntry | Decision] = list(rng.sample(entries, len(entries)))
    places = sorted(rng.randrange(len(mixed) + 1) for _ in decisions)
    for place, one in reversed(list(zip(places, decisions, strict=True))):
        mixed.insert(place, one)
    assert after(mixed) == rebuilt
    patients, staff = expected(entries, decisions)
    assert {r[1] for r in rebuilt["sighting"]} == patients
    assert {r[1] for r in rebuilt["presence"]} == staff


@settings(max_examples=8, deadline=None)
@given(objects(), decided(), st.randoms(use_true_random=False))
def test_any_order_gives_the_same_rows(
    entries: list[VaultEntry], decisions: list[Decision], rng: random.Random
) -> None:
    check_any_order(entries, decisions, rng)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(objects(), decided(), st.randoms(use_true_random=False))
def test_many_orders_give_the_same_rows(
    entries: list[VaultEntry], decisions: list[Decision], rng: random.Random
) -> None:
    check_any_order(entries, decisions, rng)


@settings(max_examples=5, deadline=None)
@given(objects(), decided())
def test_one_batch_and_many_give_the_same_rows(
    entries: list[VaultEntry], decisions: list[Decision]
) -> None:
    gone = groups.forgotten(decisions)
    together = empty()
    write.put(together, entries, gone)
    write.put(together, entries, gone)
    assert rows(together) == after([*decisions, *entries])
    together.close()
