"""Readings of an older store get the marks that say which of them count (0007 and 0011)."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from dose_lib.store.reading import unpack_part
from dose_lib.store.standing import marks_of

_AT_ONCE = 2000
_MARKS = pa.schema(
    [
        ("row", pa.int64()),
        ("sop_key", pa.uint64()),
        ("exposures_key", pa.uint64()),
        ("exposures", pa.list_(pa.uint64())),
        ("content_at", pa.timestamp("us")),
        ("started_at", pa.timestamp("us")),
        ("patient_key", pa.string()),
    ]
)
_UNMARKED = (
    "(sop_key IS NULL AND sop_instance_uid IS NOT NULL"
    " OR exposures IS NULL AND exposures_key IS NOT NULL)"
)
_TO_JUDGE = """
    WITH told AS (SELECT study_uid, unnest(exposures) AS exposure FROM reading)
    SELECT study_uid FROM reading WHERE sop_key IN (
        SELECT sop_key FROM reading GROUP BY sop_key HAVING count(DISTINCT sha256) > 1
    )
    UNION SELECT study_uid FROM told WHERE exposure IN (
        SELECT exposure FROM told GROUP BY exposure HAVING count(DISTINCT study_uid) > 1
    )
    ORDER BY study_uid
"""


def is_unmarked(con: duckdb.DuckDBPyConnection) -> bool:
    """True if readings of an older version are there."""
    return con.execute(f"SELECT 1 FROM reading WHERE {_UNMARKED} LIMIT 1").fetchone() is not None  # noqa: S608 - a constant


def mark_readings(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Mark what has no marks; returns the studies to be made anew, since not all of it counts.

    Inside the caller's transaction, together with making these studies.
    """
    while rows := con.execute(
        f"SELECT rowid, record FROM reading WHERE {_UNMARKED} LIMIT {_AT_ONCE}"  # noqa: S608 - constants
    ).fetchall():
        marks = [{"row": row, **marks_of(unpack_part(record))} for row, record in rows]
        con.register("marks", pa.Table.from_pylist(marks, schema=_MARKS))
        try:
            con.execute(
                "UPDATE reading SET sop_key = m.sop_key, exposures_key = m.exposures_key,"
                " exposures = m.exposures,"
                " content_at = m.content_at, started_at = m.started_at,"
                " patient_key = m.patient_key FROM marks AS m WHERE reading.rowid = m.row"
            )
        finally:
            con.unregister("marks")
    return [study for (study,) in con.execute(_TO_JUDGE).fetchall()]
