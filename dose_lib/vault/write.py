"""Putting entries into the vault, and taking out what is to be forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb

from dose_lib.vault.groups import Forgotten
from dose_lib.vault.records import VaultEntry
from dose_lib.vault.rows import VERSIONS, Rows, number_of

# The same rule as Forgotten.covers, over the rows of the file.
_WHEN = "least(received_at, coalesce(occurred_at, received_at))"
_EXAM_AT = "coalesce(occurred_at, received_at)"
_LINKS = ("sighting", "presence")
_IN_BATCH = "WHERE object_no IN (SELECT object_no FROM new_object)"
_NAMED_BY = {"patient": "sighting", "exam": "sighting", "staff": "presence"}


def put(
    con: duckdb.DuckDBPyConnection, entries: Iterable[VaultEntry], gone: Forgotten
) -> tuple[int, int]:
    """Keep `entries` within the open transaction; returns how many were kept and left out.

    Of an object that came before, the entry is replaced: content and times are those of its
    latest receipt, so that any order of arrival gives the same rows.
    """
    latest: dict[str, VaultEntry] = {}
    for entry in entries:
        known = latest.get(entry.sha256)
        if known is None or known.received_at <= entry.received_at:
            latest[entry.sha256] = entry
    rows = Rows(gone)
    kept = sum([rows.add(entry) for entry in latest.values()])
    if latest:
        _write(con, rows)
    return kept, len(latest) - kept


def _write(con: duckdb.DuckDBPyConnection, rows: Rows) -> None:
    tables = rows.tables()
    for name, table in tables.items():
        con.register(f"new_{name}", table)
    try:
        for name, (_, number) in VERSIONS.items():
            # Two times 64 bits of hashes say that a version is known.
            con.execute(
                f"WITH known AS MATERIALIZED (SELECT {number}, version FROM {name}"  # noqa: S608
                f" WHERE {number} IN (SELECT {number} FROM new_{name}))"
                f" INSERT INTO {name} SELECT * FROM new_{name} AS n WHERE NOT EXISTS (SELECT 1"
                f" FROM known AS k WHERE k.{number} = n.{number} AND k.version = n.version)"
            )
        for name in _LINKS:
            _replace(con, name)
    finally:
        for name in tables:
            con.unregister(f"new_{name}")


def _replace(con: duckdb.DuckDBPyConnection, link: str) -> None:
    """Put the rows of a batch in the place of what earlier receipts of its objects said."""
    insert = f"INSERT INTO {link} BY NAME SELECT * FROM new_{link}"  # noqa: S608
    # Most batches are all new, and a look is cheaper than a deletion.
    if con.execute(f"SELECT 1 FROM {link} {_IN_BATCH} LIMIT 1").fetchone():  # noqa: S608
        con.execute(
            f"DELETE FROM {link} AS t {_IN_BATCH} AND EXISTS (SELECT 1 FROM new_object AS n"  # noqa: S608
            " WHERE n.sha256 = t.sha256 AND t.received_at <= n.received_at)"
        )
        insert += f" WHERE sha256 NOT IN (SELECT sha256 FROM {link} {_IN_BATCH})"  # noqa: S608
    con.execute(insert)


def forget(con: duckdb.DuckDBPyConnection, gone: Forgotten) -> int:
    """Remove what is to be forgotten, within the open transaction; returns rows removed."""
    removed = 0
    for link, name, people in (
        ("sighting", "patient", gone.patients),
        ("presence", "staff", gone.staff),
    ):
        key, number = VERSIONS[name]
        for one, until in people.items():
            condition = f"{number} = ? AND {key} = ? AND {_WHEN} <= ?"
            removed += _delete(con, link, condition, [number_of(one), one, until])
    if gone.before is not None:
        for link in _LINKS:
            removed += _delete(con, link, f"{_EXAM_AT} < ?", [gone.before])
    for name, (key, number) in VERSIONS.items():
        removed += _delete(
            con,
            f"{name} AS t",
            f"NOT EXISTS (SELECT 1 FROM {_NAMED_BY[name]} AS l"  # noqa: S608
            f" WHERE l.{number} = t.{number} AND l.{key} = t.{key}"
            f" AND l.{name}_version = t.version)",
        )
    return removed


def latest_receipt(con: duckdb.DuckDBPyConnection, keys: Sequence[str]) -> datetime | None:
    """When something of these people last came in, by the clock of that time."""
    row = con.execute(
        "SELECT max(received_at) FROM (SELECT received_at FROM sighting WHERE patient_key IN"
        " (SELECT unnest($1)) UNION ALL SELECT received_at FROM presence WHERE staff_key IN"
        " (SELECT unnest($1)))",
        [list(keys)],
    ).fetchone()
    return row[0].astimezone(UTC) if row and row[0] else None


def _delete(
    con: duckdb.DuckDBPyConnection, table: str, condition: str, values: Sequence[Any] = ()
) -> int:
    query = f"DELETE FROM {table} WHERE {condition}"  # noqa: S608 - constants of this module
    row = con.execute(query, list(values)).fetchone()
    return int(row[0]) if row else 0
