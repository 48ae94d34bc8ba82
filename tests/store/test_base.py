"""The base: a rebuild comes to the same tables when received bytes are gone."""

from __future__ import annotations

import random
import stat
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dose_lib.errors import StoreError
from dose_lib.settings import Settings
from dose_lib.simulate.writer import make_ct_rdsr
from dose_lib.store import Incoming, Store, backup, rebuild, restore
from dose_lib.store.base import Base, rows_of_contents, rows_received_on
from tests.store.exams import ARRIVED
from tests.store.received import key_objects, received
from tests.store.test_backup import TABLES
from tests.store.test_people import decide
from tests.store.test_standing import report, uids

MONTH = 31 * 86_400


def _objects() -> tuple[Incoming, ...]:
    """Two months of receipts: repeated, corrected, moved, withdrawn, without dose."""
    exam, other = report(1), report(2)
    data = (
        exam,
        exam,
        report(1, dlp_total_mgy_cm=321.0),
        report(1, study_uid="1.2.3.4.5", sop_instance_uid="1.2.3.4.5.6"),
        other,
        key_objects("113037", *uids(other)),
        key_objects("113000", *uids(exam)),
        report(3),
        make_ct_rdsr(events=2, seed=4, patient_id="GONE-1"),
        make_ct_rdsr(events=2, seed=5, patient_id="NOBODY-1"),
    )
    return tuple(received(d, n * MONTH // 5) for n, d in enumerate(data, start=1))


OBJECTS = _objects()


def key_of(one: Incoming) -> str:
    return one.parts[0].patient.patient_key or ""


def fill(settings: Settings) -> None:
    with Store.open(settings) as store:
        for one in OBJECTS:
            store.commit([one])
        later = 10_000
        store.decide(
            decide("patient_erase", key_of(OBJECTS[8]), later, scope="everything"),
            decide("patient_erase", key_of(OBJECTS[9]), later + 1, scope="identities"),
        )


def tables(settings: Settings, without: str = "") -> dict[str, list[Any]]:
    with Store.open(settings) as store:
        found = {}
        for table in TABLES:
            names = [row[0] for row in store.sql(f"DESCRIBE {table}")]
            kept = ", ".join(f'"{n}"' for n in names if n != without)
            found[table] = sorted(store.sql(f"SELECT {kept} FROM {table}"), key=repr)
        return found


def expire(settings: Settings, days: Iterable[int]) -> list[Incoming]:
    """Write the objects of these days into the base; returns those whose bytes are left."""
    gone = {(ARRIVED + timedelta(days=d)).date() for d in days}
    with Store.open(settings) as store:
        for day in sorted(gone):
            with store.cursor() as con:
                Base(settings).put(rows_received_on(con, day))
    return [o for o in OBJECTS if o.received_at.date() not in gone]


def test_nothing_is_lost_when_all_bytes_have_gone(settings: Settings) -> None:
    fill(settings)
    before = tables(settings)
    assert len(before["part"]) == 3
    left = expire(settings, range(90))
    assert left == []
    done = rebuild(settings, left)
    assert (done.replayed, done.carried) == (len(OBJECTS), 0)
    assert tables(settings) == before


@pytest.mark.parametrize("seed", range(4))
def test_any_part_of_it_may_have_gone(settings: Settings, seed: int) -> None:
    fill(settings)
    before = tables(settings)
    chance = random.Random(seed)
    left = expire(settings, chance.sample(range(90), 45))
    chance.shuffle(left)
    # What was erased is no longer in the archive.
    rebuild(settings, [o for o in left if o is not OBJECTS[8]])
    assert tables(settings) == before


def test_the_base_alone_makes_a_store_that_was_lost(settings: Settings) -> None:
    fill(settings)
    before = tables(settings)
    expire(settings, range(90))
    settings.store_file.unlink()
    rebuild(settings, [])
    found = tables(settings)
    # A list of what is still to be removed is all that nothing else tells of.
    assert {t for t in TABLES if found[t] != before[t]} <= {"raw_removal"}


def test_what_was_erased_leaves_the_base(settings: Settings) -> None:
    """The receipt stays, what the object said goes."""
    fill(settings)
    expire(settings, range(90))
    with Store.open(settings) as store:
        store.decide(decide("patient_erase", key_of(OBJECTS[7]), 10_002, scope="everything"))
        with store.cursor() as con:
            Base(settings).put(rows_of_contents(con, [OBJECTS[7].sha256]))
    rows = {r["sha256"]: r for r in Base(settings).rows()}
    assert rows[OBJECTS[7].sha256]["records"] is None
    assert rows[OBJECTS[7].sha256]["study_uid"] is None
    assert len(list(Base(settings).rows())) == len(OBJECTS)
    before = tables(settings)
    settings.store_file.unlink()
    rebuild(settings, [])
    assert tables(settings)["part"] == before["part"]


def test_its_files_are_private_and_go_into_a_backup(settings: Settings, tmp_path: Path) -> None:
    fill(settings)
    expire(settings, range(90))
    files = Base(settings).files()
    assert len(files) > 1
    assert {stat.S_IMODE(f.stat().st_mode) for f in files} == {0o600}
    assert stat.S_IMODE(files[0].parent.stat().st_mode) == 0o700
    before = tables(settings)
    with Store.open(settings) as store:
        backup(store, tmp_path / "copy")
    elsewhere = Settings(home=tmp_path / "elsewhere")
    restore(elsewhere, tmp_path / "copy")
    assert [f.read_bytes() for f in Base(elsewhere).files()] == [f.read_bytes() for f in files]
    elsewhere.store_file.unlink()
    rebuild(elsewhere, [])
    assert tables(elsewhere)["part"] == before["part"]


def test_a_damaged_file_is_named(settings: Settings) -> None:
    fill(settings)
    expire(settings, range(90))
    file = Base(settings).files()[0]
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(StoreError, match=file.name):
        rebuild(settings, [])
