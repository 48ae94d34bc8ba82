"""Backup, restore, journal and rebuild: the same tables, whatever was lost."""

from __future__ import annotations

import shutil
import stat
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dose_lib.errors import NoDoseError, ReadError, StoreError, StoreInUseError, UsageError
from dose_lib.records import Decision, Patient
from dose_lib.settings import Settings
from dose_lib.store import (
    Incoming,
    Store,
    backup,
    backup_store,
    rebuild,
    restore,
    submit_decision,
)
from dose_lib.store.connect import connect
from dose_lib.store.journal import Journals
from tests.store.conftest import StartOwner
from tests.store.exams import ARRIVED, ct_part, failed, incoming, merge, unchanged
from tests.store.test_decisions import a_finding, decision

GONE = "b" * 64
TABLES = (
    *("object", "reading", "part", "event", "administration", "estimate", "issue"),
    *("provenance", "finding", "decision", "patient_alias", "rejection", "raw_removal"),
    *("patient_size", "former_name", "applied_decision", "history"),
)
OBJECTS = (
    incoming(ct_part(numbers=(1,)), number=1),
    incoming(ct_part(numbers=(1, 2)), number=2),
    incoming(ct_part(numbers=(1, 2)), number=3, route="folder"),
    incoming(ct_part(numbers=(3,)), number=4),
    incoming(ct_part("1.2.4", patient=Patient(patient_key=GONE)), number=5),
    incoming(ct_part("1.2.5", sop_instance_uid="5.5"), number=6),
    failed(NoDoseError("nothing in it"), 7),
    failed(ReadError("an unknown template"), 8),
)
ERASE = Decision(
    kind="patient_erase",
    subject=GONE,
    payload={"scope": "everything", "cause": "request"},
    author="officer",
    decided_at=ARRIVED + timedelta(days=1),
)


def opened(settings: Settings, path: Path | None = None) -> Store:
    return Store.open(settings, merge=merge, normalise=unchanged, path=path)


def fill(settings: Settings, objects: Sequence[Incoming] = OBJECTS) -> None:
    with opened(settings) as store:
        for one in objects:
            store.commit([one])
        store.add_findings([a_finding()])
        store.decide(decision(), decision(kind="comment", payload={"text": "ok"}), ERASE)


def tables(settings: Settings, without: str = "") -> dict[str, list[Any]]:
    """All rows of all tables; `without` names a column to leave out."""
    with opened(settings) as store:
        found = {}
        for table in TABLES:
            names = [row[0] for row in store.sql(f"DESCRIBE {table}")]
            kept = ", ".join(f'"{n}"' for n in names if n != without)
            found[table] = sorted(store.sql(f"SELECT {kept} FROM {table}"), key=repr)
        return found


def again(settings: Settings, objects: Sequence[Incoming]) -> Any:
    return rebuild(settings, objects, merge=merge, normalise=unchanged)


def test_a_rebuild_gives_identical_tables(settings: Settings) -> None:
    """Ledger, erasures, findings and times of storing included."""
    fill(settings)
    before = tables(settings)
    done = again(settings, OBJECTS)
    assert tables(settings) == before
    assert (done.replayed, done.carried) == (len(OBJECTS) - 1, 1)  # one was erased
    assert done.counts == {
        **dict.fromkeys(("waiting",), 0),
        **{"stored": 3, "superseded": 1, "duplicate": 1},
        **{"no_dose": 1, "quarantined": 1, "erased": 1},
    }
    assert done.former is not None
    assert done.former.exists()
    names = {p.name for p in settings.store_file.parent.iterdir()} - {done.former.name}
    assert names <= {"doseloop.duckdb"} | {n for n in names if ".before-" in n}


def test_what_the_archive_has_no_more_is_carried_over(settings: Settings) -> None:
    fill(settings)
    before = tables(settings)
    done = again(settings, OBJECTS[5:])
    assert tables(settings) == before
    assert done.carried == 5


def test_a_lost_store_is_made_anew_from_archive_and_journal(settings: Settings) -> None:
    fill(settings)
    before = tables(settings)
    shutil.rmtree(settings.store_file.parent)
    done = again(settings, OBJECTS)
    assert tables(settings) == before
    assert done.former is None


def test_a_damaged_store_is_made_anew(settings: Settings) -> None:
    fill(settings)
    before = tables(settings)
    content = bytearray(settings.store_file.read_bytes())
    content[:8192] = b"\x00" * 8192
    settings.store_file.write_bytes(content)
    again(settings, OBJECTS)
    assert tables(settings) == before


@given(order=st.permutations(OBJECTS), kept=st.sets(st.sampled_from(range(len(OBJECTS)))))
@hypothesis_settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_order_and_any_archive_give_the_same(
    tmp_path_factory: pytest.TempPathFactory, order: list[Incoming], kept: set[int]
) -> None:
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    fill(settings, order)
    before = tables(settings)
    archive = [o for o in reversed(order) if OBJECTS.index(o) in kept]
    again(settings, archive)
    assert tables(settings) == before


def test_a_rebuild_that_fails_leaves_the_store(settings: Settings) -> None:
    fill(settings)
    before = tables(settings)

    def breaks() -> Any:
        yield OBJECTS[0]
        raise OSError("the archive cannot be read")

    with pytest.raises(OSError, match="archive"):
        again(settings, breaks())  # type: ignore[arg-type]
    assert tables(settings) == before
    assert again(settings, OBJECTS).replayed == len(OBJECTS) - 1
    assert tables(settings) == before


@pytest.mark.service
def test_a_store_in_use_is_not_rebuilt_or_restored(
    settings: Settings, start_owner: StartOwner, tmp_path: Path
) -> None:
    fill(settings)
    with opened(settings) as store:
        backup(store, tmp_path / "copy")
    start_owner().said()
    with pytest.raises(StoreInUseError):
        again(settings, OBJECTS)
    with pytest.raises(StoreInUseError, match="Stop the service"):
        restore(settings, tmp_path / "copy")


def test_backup_and_restore(settings: Settings, tmp_path: Path) -> None:
    fill(settings)
    before = tables(settings)
    folder = tmp_path / "backups" / "monday"
    with opened(settings) as store:
        manifest = backup(store, folder)
        store.commit([incoming(ct_part("after.the.backup"), number=50)])
    assert {f.name for f in manifest.files} >= {"doseloop.duckdb", "decisions.jsonl"}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in folder.iterdir())
    assert not list(folder.glob("*.key"))
    restore(settings, folder)
    assert tables(settings) == before


def test_decisions_since_the_backup_are_not_lost(settings: Settings, tmp_path: Path) -> None:
    fill(settings)
    with opened(settings) as store:
        backup(store, tmp_path / "copy")
        store.decide(decision(kind="comment", payload={"text": "after the backup"}))
    before = tables(settings)["decision"]
    restore(settings, tmp_path / "copy")
    assert tables(settings)["decision"] == before
    # On another machine there is only what the backup has.
    elsewhere = Settings(home=tmp_path / "elsewhere")
    restore(elsewhere, tmp_path / "copy")
    assert len(tables(elsewhere)["decision"]) == len(before) - 1


def test_a_backup_is_whole_while_others_read_and_write(settings: Settings, tmp_path: Path) -> None:
    with opened(settings) as store:
        store.serve()
        con = connect(settings=settings)
        is_over = threading.Event()

        def read() -> None:
            while not is_over.is_set():
                con.sql("SELECT count(*) FROM events a, events b, range(50)").execute()

        def write() -> None:
            number = 0
            while not is_over.is_set():
                store.commit([incoming(ct_part(f"7.{number}"), number=number)])
                number += 1

        threads = [threading.Thread(target=read), threading.Thread(target=write)]
        for thread in threads:
            thread.start()
        for number in range(3):
            backup(store, tmp_path / str(number))
        is_over.set()
        for thread in threads:
            thread.join()
    for number in range(3):
        there = Settings(home=tmp_path / f"home{number}")
        restore(there, tmp_path / str(number))
        found = tables(there)
        assert len(found["part"]) == len(found["object"]) == len(found["reading"])
        assert len(found["event"]) == 2 * len(found["part"])


def test_another_process_makes_a_backup_through_the_owner(
    settings: Settings, tmp_path: Path
) -> None:
    fill(settings)
    assert backup_store(tmp_path / "direct", settings).schema > 0
    with opened(settings) as store:
        store.serve()
        manifest = backup_store(tmp_path / "served", settings)
        with pytest.raises(UsageError, match="something already"):
            backup_store(tmp_path / "served", settings)
    assert (tmp_path / "served" / manifest.files[0].name).stat().st_size > 0


def test_no_store_no_backup(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store here yet"):
        backup_store(tmp_path / "x", settings)
    assert not settings.store_file.exists()


def test_a_backup_that_is_not_whole_is_refused(settings: Settings, tmp_path: Path) -> None:
    fill(settings)
    before = tables(settings)
    with opened(settings) as store:
        backup(store, tmp_path / "copy")
    with (tmp_path / "copy" / "doseloop.duckdb").open("r+b") as file:
        file.seek(50_000)
        file.write(b"damage")
    with pytest.raises(StoreError, match="not as it was backed up"):
        restore(settings, tmp_path / "copy")
    (tmp_path / "copy" / "manifest.json").unlink()
    with pytest.raises(StoreError, match="no backup"):
        restore(settings, tmp_path / "copy")
    assert tables(settings) == before


def test_the_journal_survives_a_torn_line(settings: Settings) -> None:
    submit_decision(settings, decision())
    journal = Journals(settings.journal_dir).decisions
    file = settings.journal_dir / "decisions.jsonl"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:40])
    submit_decision(settings, decision(subject="another"))
    assert len(journal.read()) == 2
    settings.store_file.unlink()
    with opened(settings) as store:
        assert store.sql("SELECT count(*) FROM decisions") == [(2,)]


def test_a_damaged_journal_says_where(settings: Settings) -> None:
    submit_decision(settings, decision())
    file = settings.journal_dir / "decisions.jsonl"
    file.write_bytes(b'{"kind": 5}\n' + file.read_bytes())
    with pytest.raises(StoreError, match="line 1 of the journal"):
        opened(settings)


def test_the_journal_and_the_table_say_the_same(settings: Settings) -> None:
    fill(settings)
    with opened(settings) as store:
        kept = store.journals.decisions.read()
        rows = store.sql("SELECT kind, subject, author, decided_at FROM decisions")
    assert sorted((d.kind, d.subject, d.author, d.decided_at) for d in kept) == sorted(rows)
    assert msgspec.json.encode(kept)
