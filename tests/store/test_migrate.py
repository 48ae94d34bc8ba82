"""Migrations: forward only, whole or not at all, never edited."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dose_lib.errors import StoreError
from dose_lib.settings import Settings
from dose_lib.store import Store
from dose_lib.store.connect import connect
from dose_lib.store.keyfile import private_folder
from dose_lib.store.migrate import Migration, applied_migrations, migrate, migrations
from tests.store.exams import ct_part, incoming, merge, unchanged
from tests.store.make_old_store import OBJECTS
from tests.store.test_decisions import decision

OLD = Path(__file__).with_name("old_store.duckdb.gz")


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


ONE = Migration(1, "0001_one.sql", "CREATE TABLE one (a INTEGER)")
TWO = Migration(2, "0002_two.sql", "CREATE TABLE two (a INTEGER); INSERT INTO two VALUES (1)")


def test_each_is_applied_once(con: duckdb.DuckDBPyConnection) -> None:
    assert migrate(con, (ONE,)) == 1
    assert migrate(con, (ONE, TWO)) == 1
    assert migrate(con, (ONE, TWO)) == 0
    assert [m[:2] for m in applied_migrations(con)] == [(1, ONE.name), (2, TWO.name)]


def test_a_failing_one_leaves_nothing(con: duckdb.DuckDBPyConnection) -> None:
    broken = Migration(2, "0002_two.sql", TWO.sql + "; INSERT INTO nowhere VALUES (1)")
    with pytest.raises(StoreError, match=r"0002_two\.sql failed"):
        migrate(con, (ONE, broken))
    assert con.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall() == [
        ("one",),
        ("schema_migration",),
    ]
    assert migrate(con, (ONE, TWO)) == 1


def test_an_edited_one_is_refused(con: duckdb.DuckDBPyConnection) -> None:
    migrate(con, (ONE,))
    edited = Migration(1, ONE.name, ONE.sql + " -- a better comment")
    with pytest.raises(StoreError, match=r"differs from the 0001_one\.sql"):
        migrate(con, (edited, TWO))


def test_a_newer_store_is_refused(con: duckdb.DuckDBPyConnection) -> None:
    migrate(con, (ONE, TWO))
    with pytest.raises(StoreError, match=r"schema 2, this version knows 1.*Upgrade"):
        migrate(con, (ONE,))


def test_a_reader_of_an_older_store_is_told_what_brings_it_forward(settings: Settings) -> None:
    settings.store_file.parent.mkdir(parents=True)
    with duckdb.connect(str(settings.store_file)) as older:
        migrate(older, migrations()[:2])
    with pytest.raises(StoreError, match=r"schema 2, this version needs .*`dose serve`"):
        connect(settings=settings).table("studies").count().execute()


def test_ours_are_numbered_and_readable() -> None:
    assert [m.number for m in migrations()] == list(range(1, len(migrations()) + 1))
    assert all(m.sql.startswith("--") for m in migrations())


def test_an_older_store_moves_forward_with_its_rows(settings: Settings) -> None:
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        store.commit([incoming(ct_part())])
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        assert store.sql("SELECT count(*) FROM studies") == [(1,)]
        assert len(store.sql("SELECT * FROM schema_migration")) == len(migrations())


def test_a_store_of_the_first_schema_comes_forward(settings: Settings) -> None:
    """`old_store.duckdb.gz` as version 0.1 left it; see `make_old_store`.

    It counts an exam twice that was filed under two orders, and the doses of a report that was
    corrected since. Opened today, each counts once, as if received today.
    """
    private_folder(settings.store_file.parent)
    settings.store_file.write_bytes(gzip.decompress(OLD.read_bytes()))
    with duckdb.connect(str(settings.store_file), read_only=True) as con:
        assert [n for n, _, _ in applied_migrations(con)] == [1, 2, 3]
        assert con.execute("SELECT count(*) FROM part").fetchone() == (4,)
    with pytest.raises(StoreError, match="dose"):
        connect(settings=settings).table("studies")
    with Store.open(settings) as store:
        assert store.sql("SELECT payload FROM decisions") == [('{"text":"kept"}',)]
        statuses = store.sql("SELECT status FROM object ORDER BY received_at")
        assert [s for (s,) in statuses] == [
            *("superseded", "stored", "superseded", "stored", "stored"),
        ]
        assert store.sql("SELECT count(*) FROM studies") == [(3,)]
        # What need not be judged anew is named and computed as today when a person says so.
        store.decide(decision(kind="renormalise", subject="all", payload={}))
        found = _tables(store)
    with Store.open(Settings(home=settings.home / "today")) as store:
        store.commit(OBJECTS)
        assert _tables(store) == found
    assert len(found["part"]) == 3


def _tables(store: Store) -> dict[str, list[Any]]:
    """Everything but when it was stored, and how a reader of today traces it."""
    found = {}
    for table in ("object", "reading", "part", "event", "issue", "estimate", "provenance"):
        names = [row[0] for row in store.sql(f"DESCRIBE {table}")]
        kept = ", ".join(f'"{n}"' for n in names if n not in ("stored_at", "record", "trace"))
        found[table] = sorted(store.sql(f"SELECT {kept} FROM {table}"), key=repr)
    return found
