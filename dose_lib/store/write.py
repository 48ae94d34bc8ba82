"""Committing: a batch of received objects becomes ledger, readings and exam parts at once.

Readings are kept as they came; the parts of a study are made from all of its readings anew
each time one arrives. So the order of arrival does not matter, and a report that contains
an earlier one replaces it instead of being added to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime

import duckdb
import msgspec
import pyarrow as pa

from dose_lib.records import Part
from dose_lib.store.forgetting import is_nobodys, reason_to_forget, remove_raw, unlinked
from dose_lib.store.history import displaced, history_rows, to_settle
from dose_lib.store.ledger import Incoming, Outcome, Status, statuses_of_set, verdict
from dose_lib.store.making import Reading, Rules, make_parts, stored_readings
from dose_lib.store.people import ERASED
from dose_lib.store.reading import clean_part, pack_part, pack_trace
from dose_lib.store.rows import Row, arrow_table, part_rows
from dose_lib.store.sizes import borrowers
from dose_lib.store.standing import (
    Place,
    add_rejection,
    marks_of,
    note_of,
    standing,
)

_STUDIES_AT_ONCE = 500
PART_TABLES = ("part", "event", "administration", "estimate", "issue", "provenance")

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
_READING = pa.schema(
    [
        ("study_uid", pa.string()),
        ("part_key", pa.string()),
        ("sha256", pa.string()),
        ("receipt_id", pa.string()),
        ("sop_instance_uid", pa.string()),
        ("received_at", _UTC),
        ("record", pa.binary()),
        ("sop_key", pa.uint64()),
        ("exposures_key", pa.uint64()),
        ("content_at", pa.timestamp("us")),
        ("started_at", pa.timestamp("us")),
        ("patient_key", pa.string()),
    ]
)
_PROVENANCE = pa.schema(
    [("part_key", pa.string()), ("sop_instance_uid", pa.string()), ("trace", pa.binary())]
)


def commit(
    con: duckdb.DuckDBPyConnection, batch: Sequence[Incoming], rules: Rules, now: datetime
) -> list[Outcome]:
    """Store a batch in one transaction: all of it or, on any error, nothing.

    A receipt that is in the ledger already is answered from there and changes nothing,
    unless it waited or was in quarantine and can be read now.

    Returns
    -------
    list of Outcome
        One each, in the order of the batch.
    """
    con.execute("BEGIN")
    try:
        outcomes = _commit(con, batch, rules, now)
    except BaseException:
        con.execute("ROLLBACK")
        raise
    con.execute("COMMIT")
    return outcomes


def _commit(
    con: duckdb.DuckDBPyConnection, batch: Sequence[Incoming], rules: Rules, now: datetime
) -> list[Outcome]:
    earlier = _earlier_receipts(con, batch)
    # In order of arrival, so that a replay of the archive settles repetitions the same way.
    in_order = sorted(batch, key=lambda i: (i.received_at, i.receipt_id))
    fresh = {i.receipt_id: i for i in in_order if i.receipt_id not in earlier}
    known = _known_contents(con, fresh.values())
    readings: dict[str, list[Reading]] = defaultdict(list)
    concerned: set[str] = set()
    outcomes: dict[str, Outcome] = dict(earlier)
    for receipt, incoming in fresh.items():
        if reason := _reason_to_forget(incoming, rules):
            outcomes[receipt] = _erased(incoming, reason)
            remove_raw(con, [incoming.sha256], keeps_doses=False)
        elif incoming.sha256 in known:
            outcomes[receipt] = _repeated(con, incoming, known[incoming.sha256])
        elif incoming.parts:
            parts = _kept_parts(con, incoming, rules)
            keys = tuple(p.part_key for p in parts)
            known[incoming.sha256] = Known(receipt, incoming.received_at, keys)
            for part in parts:
                reading = Reading(part, incoming.sha256, receipt, incoming.received_at)
                readings[part.study_uid].append(reading)
        else:
            concerned.update(_take_note(con, incoming))
            status, reason = _verdict(incoming)
            outcomes[receipt] = Outcome(
                sha256=incoming.sha256, receipt_id=receipt, status=status, reason=reason
            )
    if readings or concerned:
        merged, out = _merge_studies(con, readings, concerned, rules)
        _finish(outcomes, fresh, merged, out)
    _write_ledger(con, fresh, outcomes, now)
    return [outcomes[i.receipt_id] for i in batch]


def _take_note(con: duckdb.DuckDBPyConnection, incoming: Incoming) -> list[str]:
    """Keep a rejection note; returns the stored studies it concerns."""
    if incoming.rejection is None:
        return []
    return add_rejection(con, incoming.receipt_id, incoming.received_at, incoming.rejection)


def _verdict(incoming: Incoming) -> tuple[Status, str | None]:
    if incoming.rejection is not None:
        return Status.NO_DOSE, note_of(incoming.rejection)
    return verdict(incoming)


def _earlier_receipts(
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


class Known(msgspec.Struct, frozen=True):
    """A content that was read before: its first receipt, and the parts it belongs to."""

    receipt_id: str
    received_at: datetime
    part_keys: tuple[str, ...]


def _known_contents(con: duckdb.DuckDBPyConnection, fresh: Iterable[Incoming]) -> dict[str, Known]:
    """Contents of the batch that have been read before, by hash."""
    hashes = [i.sha256 for i in fresh]
    rows = con.execute(
        "SELECT sha256, min(receipt_id), min(received_at), list(part_key) FROM reading"
        " WHERE sha256 IN (SELECT unnest(?)) GROUP BY sha256",
        [hashes],
    ).fetchall()
    return {sha256: Known(receipt, at, tuple(keys)) for sha256, receipt, at, keys in rows}


def _kept_parts(
    con: duckdb.DuckDBPyConnection, incoming: Incoming, rules: Rules
) -> tuple[Part, ...]:
    """Parts as they are kept: of nobody where the patient's identities were erased."""
    parts = tuple(clean_part(p, incoming.sha256) for p in incoming.parts)
    if not any(is_nobodys(p, incoming.received_at, rules) for p in parts):
        return parts
    remove_raw(con, [incoming.sha256], keeps_doses=True)
    return tuple(unlinked(p) for p in parts)


def _reason_to_forget(incoming: Incoming, rules: Rules) -> str | None:
    at = incoming.received_at
    reasons = (reason_to_forget(part, at, rules) for part in incoming.parts)
    if reason := next(filter(None, reasons), None):
        return reason
    key = incoming.patient_key
    is_gone = key is not None and rules.gone.covers(key, at.astimezone(UTC), None)
    return ERASED if is_gone else None


def _erased(incoming: Incoming, reason: str) -> Outcome:
    return Outcome(
        sha256=incoming.sha256,
        receipt_id=incoming.receipt_id,
        status=Status.ERASED,
        reason=reason,
    )


def _repeated(con: duckdb.DuckDBPyConnection, incoming: Incoming, known: Known) -> Outcome:
    """The outcome of bytes that were read before.

    Of several receipts of one content the first received counts, whichever was committed
    first: so a replay of the archive, in any order, gives the same ledger.
    """
    again = "the same bytes were received before"
    status, reason = Status.DUPLICATE, again
    if (incoming.received_at, incoming.receipt_id) < (known.received_at, known.receipt_id):
        row = con.execute(
            "SELECT status, reason FROM object WHERE receipt_id = ?", [known.receipt_id]
        ).fetchone()
        if row is not None:
            status, reason = Status(row[0]), row[1]
            _count_instead(con, incoming, known, again)
    return Outcome(
        sha256=incoming.sha256,
        receipt_id=incoming.receipt_id,
        status=status,
        reason=reason,
        part_keys=known.part_keys,
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


def _merge_studies(
    con: duckdb.DuckDBPyConnection,
    fresh: Mapping[str, list[Reading]],
    concerned: Collection[str],
    rules: Rules,
    *,
    with_history: bool = True,
) -> tuple[dict[str, tuple[Part, ...]], Mapping[Place, str]]:
    """Write the readings and make all studies anew that they or a note have changed.

    Returns the parts of these studies, and which readings do not count.
    """
    stored = stored_readings(con, list(fresh))
    insert_rows(con, "reading", _reading_rows(r for rs in fresh.values() for r in rs))
    _keep_history(con, fresh)
    place = standing(con, {*fresh, *concerned})
    stored |= stored_readings(con, sorted(place.studies - set(fresh)))
    hidden = displaced(con, {*stored, *concerned})
    _delete_parts(con, sorted({*stored, *concerned}))
    together = {s: [*stored.get(s, ()), *fresh.get(s, ())] for s in place.studies}
    made = make_parts(con, together, rules, place)
    write_parts(con, made.parts, made.received_at)
    if rules.derive is not None:
        # A weight that came in may be lent to other studies of the patient.
        remake(con, borrowers(con, made.parts, rules.adult_age_y), rules)
    _settle_earlier(con, made.by_study, [r for rs in stored.values() for r in rs], place.out)
    changed = to_settle(con, hidden | displaced(con, place.studies)) if with_history else None
    if not changed:
        return made.by_study, place.out
    # Exams of exports that give way now, or come back.
    merged, out = _merge_studies(con, {}, changed, rules, with_history=False)
    return made.by_study | merged, {**place.out, **out}


def _keep_history(con: duckdb.DuckDBPyConnection, fresh: Mapping[str, list[Reading]]) -> None:
    readings = (r for rs in fresh.values() for r in rs)
    rows = history_rows((r.part, r.sha256, r.received_at) for r in readings)
    if rows.num_rows:
        insert_rows(con, "history", rows)


def settle(con: duckdb.DuckDBPyConnection, studies: Sequence[str], rules: Rules) -> None:
    """Make stored studies anew after what counts in them has changed, with their receipts."""
    for start in range(0, len(studies), _STUDIES_AT_ONCE):
        _merge_studies(con, {}, studies[start : start + _STUDIES_AT_ONCE], rules)


def remake(
    con: duckdb.DuckDBPyConnection, studies: Sequence[str], rules: Rules
) -> dict[str, tuple[Part, ...]]:
    """Make the parts of stored studies anew from their readings, and return them by study."""
    if not studies:
        return {}
    made = make_parts(con, stored_readings(con, studies), rules)
    _delete_parts(con, list(made.by_study))
    write_parts(con, made.parts, made.received_at)
    return made.by_study


def _reading_rows(readings: Iterable[Reading]) -> pa.Table:
    rows = [
        {
            "study_uid": r.part.study_uid,
            "part_key": r.part.part_key,
            "sha256": r.sha256,
            "receipt_id": r.receipt_id,
            "sop_instance_uid": r.part.sources[0].sop_instance_uid,
            "received_at": r.received_at,
            "record": pack_part(r.part),
            **marks_of(r.part),
        }
        for r in readings
    ]
    return pa.Table.from_pylist(rows, schema=_READING)


def _delete_parts(con: duckdb.DuckDBPyConnection, studies: Sequence[str]) -> None:
    if not studies:
        return
    keys = con.execute(
        "SELECT list(part_key) FROM part WHERE study_uid IN (SELECT unnest(?))", [list(studies)]
    ).fetchone()
    if keys and keys[0]:
        for table in PART_TABLES:
            con.execute(f"DELETE FROM {table} WHERE part_key IN (SELECT unnest(?))", [keys[0]])  # noqa: S608 - a constant


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


def insert_rows(con: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    """Insert an Arrow table, column by column name."""
    con.register("incoming_rows", rows)
    try:
        con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming_rows")  # noqa: S608 - a constant
    finally:
        con.unregister("incoming_rows")


def _settle_earlier(
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


def _settled(
    study: str, sha256: str, parts: Sequence[Part], out: Mapping[Place, str]
) -> tuple[Status, str | None]:
    """Status of an object that has a reading, and why."""
    if (study, sha256) in out:
        return Status.SUPERSEDED, out[study, sha256]
    status = statuses_of_set(parts).get(sha256, Status.SUPERSEDED)
    return status, _why(status)


def _finish(
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


def _why(status: Status) -> str | None:
    return {
        Status.SUPERSEDED: "a later report of the study contains it",
        Status.DUPLICATE: "another object of the study says the same",
    }.get(status)


def _write_ledger(
    con: duckdb.DuckDBPyConnection,
    fresh: Mapping[str, Incoming],
    outcomes: Mapping[str, Outcome],
    now: datetime,
) -> None:
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
            "stored_at": i.stored_at or now,
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
