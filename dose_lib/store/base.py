"""The base: what was read of objects whose bytes are no longer kept.

Received objects identify people, so their bytes may have to go earlier than the doses. Before
they do, their receipts and readings are written here, one Parquet file a month of receipt; a
rebuild starts from it. Like the store it holds keys of patients, and no identities.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dose_lib.errors import DoseError, NoDoseError, ReadError, StoreError
from dose_lib.records import Rejection, RejectionReason
from dose_lib.settings import Settings
from dose_lib.store.keyfile import private_folder, write_private
from dose_lib.store.ledger import Incoming, Status
from dose_lib.store.reading import unpack_part
from dose_lib.store.receipts import OBJECT_SCHEMA

# The columns of the ledger, then what the object said.
SCHEMA = pa.schema(
    [
        *OBJECT_SCHEMA,
        ("records", pa.list_(pa.binary())),
        ("rejection_code", pa.string()),
        ("rejected_uids", pa.list_(pa.string())),
        ("rejected_studies", pa.list_(pa.string())),
    ]
)
LEDGER = tuple(name for name in SCHEMA.names if not name.startswith(("record", "reject")))
_AS_IT_IS = ("sha256", "size_bytes", "received_at", "route", "caller", "sop_instance_uid")
_FACTS = (*_AS_IT_IS, "sop_class", "study_uid", "patient_key", "stored_at")


def settled_rows(con: duckdb.DuckDBPyConnection, where: str, values: Sequence[Any]) -> pa.Table:
    """Receipts of a store with what their objects said, in the columns of `SCHEMA`.

    Parameters
    ----------
    con
        A store, also of an earlier version.
    where, values
        A condition on the ledger `o`, and its parameters.
    """
    has_notes = _has(con, "duckdb_tables() WHERE table_name = 'rejection'")
    has_keys = _has(
        con, "duckdb_columns() WHERE table_name = 'object' AND column_name = 'patient_key'"
    )
    notes = (
        "SELECT receipt_id, min(code) AS code, list(sop_instance_uid ORDER BY sop_instance_uid)"
        " AS uids, any_value(study_uids) AS studies FROM rejection GROUP BY receipt_id"
        if has_notes
        else "SELECT NULL AS receipt_id, NULL AS code, NULL AS uids, NULL AS studies"
    )
    facts = ", ".join(
        "NULL AS patient_key" if n == "patient_key" and not has_keys else f"o.{n}" for n in LEDGER
    )
    found = con.execute(
        f"WITH chosen AS (SELECT * FROM object AS o WHERE {where})"  # noqa: S608 - constants
        f" SELECT {facts}, r.records, n.code AS rejection_code, n.uids AS rejected_uids,"
        f" n.studies AS rejected_studies FROM chosen AS o"
        " LEFT JOIN (SELECT sha256, list(record ORDER BY study_uid, part_key) AS records"
        " FROM reading WHERE sha256 IN (SELECT sha256 FROM chosen) GROUP BY sha256) AS r"
        f" USING (sha256) LEFT JOIN ({notes}) AS n USING (receipt_id)"
        " ORDER BY o.received_at, o.receipt_id",
        list(values),
    ).to_arrow_table()
    return found.cast(SCHEMA)


def _has(con: duckdb.DuckDBPyConnection, what: str) -> bool:
    return con.execute(f"SELECT 1 FROM {what}").fetchone() is not None  # noqa: S608 - constants


def is_replayable(row: dict[str, Any]) -> bool:
    """True if a receipt can be committed again from its row; others are taken over as they are."""
    if row["status"] == Status.ERASED:
        return False
    return bool(row["records"] or row["rejection_code"] or row["status"] == Status.NO_DOSE)


def incoming_of(row: dict[str, Any]) -> Incoming:
    """The receipt of a row, as if its object had just been read."""
    note = None
    if row["rejection_code"]:
        note = Rejection(
            reason=RejectionReason(row["rejection_code"]),
            sop_instance_uids=tuple(row["rejected_uids"]),
            study_uids=tuple(row["rejected_studies"]),
        )
    parts = tuple(unpack_part(r) for r in row["records"] or ())
    error = None if parts or note else _error(row)
    return Incoming(**{n: row[n] for n in _FACTS}, parts=parts, rejection=note, error=error)


def _error(row: dict[str, Any]) -> DoseError:
    kind = NoDoseError if row["status"] == Status.NO_DOSE else ReadError
    return kind(row["reason"] or "not known")


class Base:
    """The folder `base` of an installation."""

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.base_dir

    def put(self, rows: pa.Table) -> None:
        """Keep rows; on return they survive a crash. Rows of the same receipts are replaced.

        Raises
        ------
        StoreError
            If they cannot be written; nothing may be removed then.
        """
        months = pc.strftime(rows["received_at"], format="%Y-%m")
        for month in sorted(set(months.to_pylist())):
            self._merge(month, rows.filter(pc.equal(months, month)))

    def _merge(self, month: str, rows: pa.Table) -> None:
        file = self.folder / f"{month}.parquet"
        if file.exists():
            kept = _read(file)
            is_new = pc.is_in(kept["receipt_id"], value_set=rows["receipt_id"].combine_chunks())
            rows = pa.concat_tables([kept.filter(pc.invert(is_new)), rows])
        sink = pa.BufferOutputStream()
        pq.write_table(rows.sort_by("received_at"), sink, compression="zstd")
        try:
            private_folder(self.folder)
            write_private(file, sink.getvalue().to_pybytes())
        except OSError as error:
            raise StoreError(
                f"what was read of old objects cannot be written ({error.strerror})",
                where=str(file),
                todo="Make room; no received object was removed",
            ) from None

    def files(self) -> list[Path]:
        """Its files, the oldest month first."""
        return sorted(self.folder.glob("*.parquet"))

    def rows(self) -> Iterator[dict[str, Any]]:
        """All rows, the oldest month first.

        Raises
        ------
        StoreError
            If a file is damaged.
        """
        for file in self.files():
            for batch in _read(file).to_batches(max_chunksize=500):
                yield from batch.to_pylist()


def _read(file: Path) -> pa.Table:
    try:
        return pq.read_table(file, schema=SCHEMA)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(
            f"what was read of old objects is damaged ({type(error).__name__})",
            where=str(file),
            todo="Put the file back from a backup",
        ) from None


def rows_received_on(con: duckdb.DuckDBPyConnection, day: date) -> pa.Table:
    """Rows of all objects received on a day (UTC) that were read."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return settled_rows(
        con,
        "o.received_at >= ? AND o.received_at < ? AND o.status NOT IN ('waiting', 'quarantined')",
        [start, start + timedelta(days=1)],
    )


def rows_of_contents(con: duckdb.DuckDBPyConnection, hashes: Iterable[str]) -> pa.Table:
    """Rows of all receipts of some contents."""
    return settled_rows(con, "o.sha256 IN (SELECT unnest(?))", [sorted(hashes)])


def rows_of_receipts(con: duckdb.DuckDBPyConnection, receipts: Iterable[str]) -> pa.Table:
    """Rows of some receipts."""
    return settled_rows(con, "o.receipt_id IN (SELECT unnest(?))", [sorted(receipts)])
