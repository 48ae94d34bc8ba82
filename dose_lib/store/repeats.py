"""Contents that were read before: received again, they are counted once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import duckdb
import msgspec

from dose_lib.store.ledger import Incoming, Outcome, Status


class Known(msgspec.Struct, frozen=True):
    """A content that was read before: its first receipt, and the parts it belongs to."""

    receipt_id: str
    received_at: datetime
    part_keys: tuple[str, ...]


def known_contents(con: duckdb.DuckDBPyConnection, fresh: Iterable[Incoming]) -> dict[str, Known]:
    """Contents of the batch that have been read before, by hash."""
    hashes = [i.sha256 for i in fresh]
    rows = con.execute(
        "SELECT sha256, min(receipt_id), min(received_at), list(part_key) FROM reading"
        " WHERE sha256 IN (SELECT unnest(?)) GROUP BY sha256",
        [hashes],
    ).fetchall()
    return {sha256: Known(receipt, at, tuple(keys)) for sha256, receipt, at, keys in rows}


def repeated(con: duckdb.DuckDBPyConnection, incoming: Incoming, known: Known) -> Outcome:
    """The outcome of bytes that were read before.

    Of several receipts of one content the first received counts, whichever was committed
    first: so a replay of the archive, in any order, gives the same ledger.
    """
    again = "the same bytes were received before"
    status, reason, in_place_of = Status.DUPLICATE, again, None
    if (incoming.received_at, incoming.receipt_id) < (known.received_at, known.receipt_id):
        row = con.execute(
            "SELECT status, reason FROM object WHERE receipt_id = ?", [known.receipt_id]
        ).fetchone()
        if row is not None:
            status, reason, in_place_of = Status(row[0]), row[1], known.receipt_id
            _count_instead(con, incoming, known, again)
    return Outcome(
        sha256=incoming.sha256,
        receipt_id=incoming.receipt_id,
        status=status,
        reason=reason,
        part_keys=known.part_keys,
        in_place_of=in_place_of,
    )


def _count_instead(
    con: duckdb.DuckDBPyConnection, incoming: Incoming, known: Known, reason: str
) -> None:
    con.execute(
        "UPDATE object SET status = 'duplicate', reason = ? WHERE receipt_id = ?",
        [reason, known.receipt_id],
    )
    con.execute(
        "UPDATE reading SET receipt_id = ?, received_at = ? WHERE sha256 = ?",
        [incoming.receipt_id, incoming.received_at, incoming.sha256],
    )
    con.execute(
        "UPDATE part SET received_at = least(received_at, ?) WHERE part_key IN (SELECT unnest(?))",
        [incoming.received_at, list(known.part_keys)],
    )
