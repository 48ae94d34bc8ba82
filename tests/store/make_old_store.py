"""Makes `old_store.duckdb.gz`: a store of the first schema, with exams, as version 0.1 left it.

    python -m tests.store.make_old_store old_store.duckdb && gzip -9 old_store.duckdb

Run once; the file stays as it is. The migrations 1 to 3 are those of today, which a test holds
unedited by their hashes; the rows are what the code of then would have written.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
import msgspec

from dose_lib.store import Incoming
from dose_lib.store.migrate import migrate, migrations
from dose_lib.store.reading import clean_part, pack_part
from dose_lib.store.rows import part_rows
from tests.store.received import received
from tests.store.test_standing import report

OBJECTS = tuple(
    received(data, number)
    for number, data in enumerate(
        (
            report(1),
            report(1, study_uid="1.2.3.4.5", sop_instance_uid="1.2.3.4.5.6"),
            report(2),
            report(2, dlp_total_mgy_cm=77.0),
            report(3),
        ),
        start=1,
    )
)


def make(path: Path) -> None:
    """Write the file."""
    con = duckdb.connect(str(path), config={"default_block_size": 16384})
    migrate(con, migrations()[:3])
    for one in OBJECTS:
        _write(con, one)
    con.execute(
        "INSERT INTO decision VALUES ('d1', 'comment', 'exam', '{\"text\":\"kept\"}', 'physicist',"
        " TIMESTAMPTZ '2026-03-02 10:00:00+00')"
    )
    con.execute("CHECKPOINT")
    con.close()


def _write(con: duckdb.DuckDBPyConnection, one: Incoming) -> None:
    (part,) = (clean_part(p, one.sha256) for p in one.parts)
    source = part.sources[0]
    con.execute(
        "INSERT INTO object VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'stored', NULL, ?, ?)",
        [
            *(one.receipt_id, one.sha256, source.sop_instance_uid, source.sop_class),
            *(part.study_uid, one.size_bytes, one.received_at, one.route, one.caller),
            *([part.part_key], one.received_at),
        ],
    )
    con.execute(
        "INSERT INTO reading VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            *(part.study_uid, part.part_key, one.sha256, one.receipt_id),
            *(source.sop_instance_uid, one.received_at, pack_part(part)),
        ],
    )
    known = con.execute("SELECT 1 FROM part WHERE part_key = ?", [part.part_key]).fetchone()
    for table, rows in part_rows(part, one.received_at).items():
        if known or table not in ("part", "event"):
            continue
        columns = [row[0] for row in con.execute(f"DESCRIBE {table}").fetchall()]
        for row in rows:
            values = {n: v for n, v in row.items() if n in columns}
            names = ", ".join(f'"{n}"' for n in values)
            marks = ", ".join("?" for _ in values)
            given = msgspec.to_builtins(list(values.values()), builtin_types=(type(None),))
            con.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", given)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
