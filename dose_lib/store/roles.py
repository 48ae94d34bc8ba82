"""The role of each object in its study, as the ledger tells it; a later object may change it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb
import pyarrow as pa

from dose_lib.records import Part
from dose_lib.store.ledger import Incoming, Outcome, Status, statuses_of_set
from dose_lib.store.making import Reading
from dose_lib.store.standing import Place


def settle_earlier(
    con: duckdb.DuckDBPyConnection,
    merged: Mapping[str, tuple[Part, ...]],
    earlier: Sequence[Reading],
    out: Mapping[Place, str],
) -> None:
    """Change the status of earlier objects whose role in the set a later one changed."""
    settled = {
        r.receipt_id: _settled(r.part.study_uid, r.sha256, merged[r.part.study_uid], out)
        for r in earlier
    }
    if not settled:
        return
    rows = pa.table(
        {
            "receipt_id": list(settled),
            "status": [status.value for status, _ in settled.values()],
            "reason": pa.array([reason for _, reason in settled.values()], pa.string()),
        }
    )
    con.register("settled_rows", rows)
    try:
        con.execute(
            "UPDATE object SET status = s.status, reason = s.reason FROM settled_rows AS s"
            " WHERE object.receipt_id = s.receipt_id AND object.status <> 'erased'"
            " AND (object.status, object.reason) IS DISTINCT FROM (s.status, s.reason)"
        )
    finally:
        con.unregister("settled_rows")


def finish(
    outcomes: dict[str, Outcome],
    fresh: Mapping[str, Incoming],
    merged: Mapping[str, tuple[Part, ...]],
    out: Mapping[Place, str],
) -> None:
    """Add the outcomes of the objects whose parts were merged."""
    for receipt, incoming in fresh.items():
        if receipt in outcomes:
            continue
        studies = {p.study_uid for p in incoming.parts}
        parts = tuple(p for study in studies for p in merged[study])
        status, reason = _settled(incoming.parts[0].study_uid, incoming.sha256, parts, out)
        outcomes[receipt] = Outcome(
            sha256=incoming.sha256,
            receipt_id=receipt,
            status=status,
            reason=reason,
            part_keys=tuple(dict.fromkeys(p.part_key for p in incoming.parts)),
            parts=parts,
        )


def _settled(
    study: str, sha256: str, parts: Sequence[Part], out: Mapping[Place, str]
) -> tuple[Status, str | None]:
    """Status of an object that has a reading, and why."""
    if (study, sha256) in out:
        return Status.SUPERSEDED, out[study, sha256]
    status = statuses_of_set(parts).get(sha256, Status.SUPERSEDED)
    return status, _why(status)


def _why(status: Status) -> str | None:
    return {
        Status.SUPERSEDED: "a later report of the study contains it",
        Status.DUPLICATE: "another object of the study says the same",
    }.get(status)
