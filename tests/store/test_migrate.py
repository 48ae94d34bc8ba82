"""Migrations: forward only, whole or not at all, never edited."""

from __future__ import annotations

import duckdb
import pytest

from dose_lib.errors import StoreError
from dose_lib.settings import Settings
from dose_lib.store import Store
from dose_lib.store.connect import connect
from dose_lib.store.migrate import Migration, applied_migrations, migrate, migrations
from tests.store.exams import ct_part, incoming, merge, unchanged


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
