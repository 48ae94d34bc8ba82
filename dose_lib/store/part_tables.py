"""The tables of exam parts: rows of parts and what hangs on them, written and removed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

import duckdb
import pyarrow as pa

from dose_lib.records import Part
from dose_lib.store.reading import pack_trace
from dose_lib.store.rows import Row, arrow_table, part_rows

PART_TABLES = ("part", "event", "administration", "estimate", "issue", "provenance")
_PROVENANCE = pa.schema(
    [("part_key", pa.string()), ("sop_instance_uid", pa.string()), ("trace", pa.binary())]
)


def write_parts(
    con: duckdb.DuckDBPyConnection, parts: Sequence[Part], received_at: Mapping[str, datetime]
) -> None:
    """Insert parts and what hangs on them; rows of the same parts must be gone already."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for part in parts:
        for table, more in part_rows(part, received_at[part.part_key]).items():
            rows[table].extend(more)
    for table, some in rows.items():
        if some:
            insert_rows(con, table, arrow_table(table, some))
    traces = [
        {
            "part_key": p.part_key,
            "sop_instance_uid": p.sources[0].sop_instance_uid if len(p.sources) == 1 else None,
            "trace": pack_trace(p.provenance),
        }
        for p in parts
        if p.provenance
    ]
    if traces:
        insert_rows(con, "provenance", pa.Table.from_pylist(traces, schema=_PROVENANCE))


def delete_parts(con: duckdb.DuckDBPyConnection, studies: Sequence[str]) -> list[str]:
    """Remove the parts of studies, with all that hangs on them; returns their keys."""
    if not studies:
        return []
    keys = con.execute(
        "SELECT list(part_key) FROM part WHERE study_uid IN (SELECT unnest(?))", [list(studies)]
    ).fetchone()
    found: list[str] = (keys and keys[0]) or []
    for table in PART_TABLES if found else ():
        con.execute(f"DELETE FROM {table} WHERE part_key IN (SELECT unnest(?))", [found])  # noqa: S608 - a constant
    return found


def insert_rows(con: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    """Insert an Arrow table, column by column name."""
    con.register("incoming_rows", rows)
    try:
        con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming_rows")  # noqa: S608 - a constant
    finally:
        con.unregister("incoming_rows")
