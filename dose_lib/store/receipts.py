"""Rows of the ledger: one receipt each, with what became of its object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC

import duckdb
import pyarrow as pa

from dose_lib.store.ledger import Incoming, Outcome, Status
from dose_lib.store.part_tables import insert_rows

_UTC = pa.timestamp("us", tz="UTC")
OBJECT_SCHEMA = pa.schema(
    [
        ("receipt_id", pa.string()),
        ("sha256", pa.string()),
        ("sop_instance_uid", pa.string()),
        ("sop_class", pa.string()),
        ("study_uid", pa.string()),
        ("patient_key", pa.string()),
        ("size_bytes", pa.int64()),
        ("received_at", _UTC),
        ("route", pa.string()),
        ("caller", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("part_keys", pa.list_(pa.string())),
        ("stored_at", _UTC),
    ]
)


def earlier_receipts(
    con: duckdb.DuckDBPyConnection, batch: Sequence[Incoming]
) -> dict[str, Outcome]:
    """Receipts of the batch that the ledger has settled; unsettled ones are forgotten there."""
    receipts = list({i.receipt_id for i in batch})
    rows = con.execute(
        "SELECT receipt_id, sha256, status, reason, part_keys FROM object"
        " WHERE receipt_id IN (SELECT unnest(?))",
        [receipts],
    ).fetchall()
    readable = {i.receipt_id for i in batch if i.parts or i.error or i.rejection}
    settled: dict[str, Outcome] = {}
    again: list[str] = []
    for receipt, sha256, status, reason, part_keys in rows:
        if status in (Status.WAITING, Status.QUARANTINED) and receipt in readable:
            again.append(receipt)
        else:
            settled[receipt] = Outcome(
                sha256=sha256,
                receipt_id=receipt,
                status=Status(status),
                reason=reason,
                part_keys=tuple(part_keys),
            )
    if again:
        con.execute("DELETE FROM object WHERE receipt_id IN (SELECT unnest(?))", [again])
    return settled


def write_ledger(
    con: duckdb.DuckDBPyConnection,
    fresh: Mapping[str, Incoming],
    outcomes: Mapping[str, Outcome],
) -> None:
    """Write the receipts of a batch with their outcomes."""
    rows = [
        {
            "receipt_id": receipt,
            "sha256": i.sha256,
            "sop_instance_uid": i.sop_instance_uid or _source(i, "sop_instance_uid"),
            "sop_class": i.sop_class or _source(i, "sop_class"),
            "study_uid": i.study_uid or (i.parts[0].study_uid if i.parts else None),
            "patient_key": i.patient_key,
            "size_bytes": i.size_bytes,
            "received_at": i.received_at.astimezone(UTC),
            "route": i.route,
            "caller": i.caller,
            "status": outcomes[receipt].status.value,
            "reason": outcomes[receipt].reason,
            "part_keys": outcomes[receipt].part_keys,
            "stored_at": outcomes[receipt].stored_at,
        }
        for receipt, i in fresh.items()
    ]
    for row in rows:
        if row["status"] == Status.ERASED:
            row.update(sop_instance_uid=None, study_uid=None, patient_key=None, part_keys=())
    if rows:
        insert_rows(con, "object", pa.Table.from_pylist(rows, schema=OBJECT_SCHEMA))


def _source(incoming: Incoming, name: str) -> str | None:
    if not incoming.parts or not incoming.parts[0].sources:
        return None
    value: str | None = getattr(incoming.parts[0].sources[0], name)
    return value
