"""Migrations: numbered SQL files, each applied once, in a transaction, and never edited."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files

import duckdb
import msgspec

from dose_lib.errors import StoreError

_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
_LEDGER = """
    CREATE TABLE IF NOT EXISTS schema_migration (
        number INTEGER NOT NULL,
        name VARCHAR NOT NULL,
        sha256 VARCHAR NOT NULL,
        applied_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now()
    )
"""


class Migration(msgspec.Struct, frozen=True):
    """One step of the schema."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Hash of the text; an applied migration must never change."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> tuple[Migration, ...]:
    """The migrations of this version, in order.

    Raises
    ------
    StoreError
        If the numbers do not run 1, 2, 3 without a gap.
    """
    folder = files("dose_lib.store").joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if _NAME.match(entry.name))
    found = tuple(
        Migration(int(name[:4]), name, folder.joinpath(name).read_text(encoding="utf-8"))
        for name in names
    )
    if [m.number for m in found] != list(range(1, len(found) + 1)):
        raise StoreError(f"migrations are not numbered one by one: {', '.join(names)}")
    return found


def migrate(con: duckdb.DuckDBPyConnection, steps: tuple[Migration, ...] | None = None) -> int:
    """Bring a store to this version and return how many steps were applied.

    Raises
    ------
    StoreError
        If the store is newer than the code, or was made by a migration that reads
        differently now.
    """
    wanted = migrations() if steps is None else steps
    applied = applied_migrations(con)
    _check(applied, wanted)
    for step in wanted[len(applied) :]:
        _apply(con, step)
    return len(wanted) - len(applied)


def require_current(con: duckdb.DuckDBPyConnection, place: str) -> None:
    """Refuse a store that is read only and of another version than the code.

    Its owner would bring it forward; a reader may not, and would fail on the first column
    that is missing.

    Raises
    ------
    StoreError
        If the store is older or newer than this version.
    """
    applied, wanted = applied_migrations(con), migrations()
    if not applied:  # a file that no owner has made, such as an extract: what it lacks is said so
        return
    _check(applied, wanted)
    if len(applied) < len(wanted):
        raise StoreError(
            f"the store is at schema {len(applied)}, this version needs {len(wanted)}",
            where=place,
            todo="Start `dose serve` once: it brings the store forward and loses nothing",
        )


def applied_migrations(con: duckdb.DuckDBPyConnection) -> list[tuple[int, str, str]]:
    """Number, name and hash of each migration the store has had."""
    known = con.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'schema_migration'"
    ).fetchone()
    if not known or not known[0]:
        return []
    return con.execute(
        "SELECT number, name, sha256 FROM schema_migration ORDER BY number"
    ).fetchall()


def _check(applied: list[tuple[int, str, str]], wanted: tuple[Migration, ...]) -> None:
    if len(applied) > len(wanted):
        raise StoreError(
            f"the store is at schema {len(applied)}, this version knows {len(wanted)}",
            todo="Upgrade DoseLoop, or restore a backup made with this version",
        )
    for (number, name, digest), step in zip(applied, wanted, strict=False):
        if (number, digest) != (step.number, step.sha256):
            raise StoreError(
                f"migration {step.name} differs from the {name} this store was made with",
                expected=f"sha256 {digest}",
                todo="Never edit an applied migration: add a new one, or reinstall DoseLoop",
            )


def _apply(con: duckdb.DuckDBPyConnection, step: Migration) -> None:
    con.execute("BEGIN")
    try:
        con.execute(_LEDGER)
        con.execute(step.sql)
        con.execute(
            "INSERT INTO schema_migration (number, name, sha256) VALUES (?, ?, ?)",
            [step.number, step.name, step.sha256],
        )
    except duckdb.Error as error:
        con.execute("ROLLBACK")
        raise StoreError(f"migration {step.name} failed ({error})") from None
    con.execute("COMMIT")
