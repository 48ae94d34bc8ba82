"""Committing: a batch of received objects becomes ledger, readings and exam parts at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import duckdb
import msgspec

from dose_lib.records import Part
from dose_lib.store.forgetting import is_nobodys, reason_to_forget, remove_raw, unlinked
from dose_lib.store.ledger import Incoming, Outcome, Status, verdict
from dose_lib.store.making import Reading, Rules
from dose_lib.store.people import ERASED
from dose_lib.store.reading import clean_part
from dose_lib.store.receipts import earlier_receipts, write_ledger
from dose_lib.store.repeats import Known, known_contents, repeated
from dose_lib.store.roles import finish
from dose_lib.store.standing import add_rejection, note_of
from dose_lib.store.studies import merge_studies
from dose_lib.store.transaction import transaction


class Committed(NamedTuple):
    """What a commit did.

    Attributes
    ----------
    outcomes
        One each, in the order of the batch.
    part_keys
        Exam parts that were made anew, or are no more.
    """

    outcomes: list[Outcome]
    part_keys: frozenset[str]


def commit(
    con: duckdb.DuckDBPyConnection, batch: Sequence[Incoming], rules: Rules, now: datetime
) -> Committed:
    """Store a batch in one transaction: all of it or, on any error, nothing.

    A receipt that is in the ledger already is answered from there and changes nothing,
    unless it waited or was in quarantine and can be read now.
    """
    with transaction(con):
        return _commit(con, batch, rules, now)


def _commit(
    con: duckdb.DuckDBPyConnection, batch: Sequence[Incoming], rules: Rules, now: datetime
) -> Committed:
    earlier = earlier_receipts(con, batch)
    # In order of arrival, so that a replay of the archive settles repetitions the same way.
    in_order = sorted(batch, key=lambda i: (i.received_at, i.receipt_id))
    fresh = {i.receipt_id: i for i in in_order if i.receipt_id not in earlier}
    known = known_contents(con, fresh.values())
    readings: dict[str, list[Reading]] = defaultdict(list)
    notes: dict[str, list[str]] = {}
    outcomes: dict[str, Outcome] = dict(earlier)
    for receipt, incoming in fresh.items():
        if reason := _reason_to_forget(incoming, rules):
            outcomes[receipt] = _erased(incoming, reason)
            remove_raw(con, [incoming.sha256], keeps_doses=False)
        elif incoming.sha256 in known:
            outcomes[receipt] = repeated(con, incoming, known[incoming.sha256])
        elif incoming.parts:
            parts = _kept_parts(con, incoming, rules)
            keys = tuple(p.part_key for p in parts)
            known[incoming.sha256] = Known(receipt, incoming.received_at, keys)
            for part in parts:
                reading = Reading(part, incoming.sha256, receipt, incoming.received_at)
                readings[part.study_uid].append(reading)
        else:
            notes[receipt] = _take_note(con, incoming)
            status, reason = _verdict(incoming)
            outcomes[receipt] = Outcome(
                sha256=incoming.sha256, receipt_id=receipt, status=status, reason=reason
            )
    part_keys: frozenset[str] = frozenset()
    concerned = {study for studies in notes.values() for study in studies}
    if readings or concerned:
        merged = merge_studies(con, readings, concerned, rules)
        finish(outcomes, fresh, merged.by_study, merged.out)
        _tell_of_notes(outcomes, notes, merged.by_study)
        part_keys = merged.part_keys
    for receipt, incoming in fresh.items():
        at = incoming.stored_at or now
        outcomes[receipt] = msgspec.structs.replace(outcomes[receipt], stored_at=at)
    write_ledger(con, fresh, outcomes)
    return Committed([outcomes[i.receipt_id] for i in batch], part_keys)


def _tell_of_notes(
    outcomes: dict[str, Outcome],
    notes: Mapping[str, Sequence[str]],
    merged: Mapping[str, tuple[Part, ...]],
) -> None:
    """The exams that notes have changed, as they stand now, so that somebody looks again."""
    for receipt, studies in notes.items():
        parts = tuple(part for study in studies for part in merged.get(study, ()))
        outcomes[receipt] = msgspec.structs.replace(outcomes[receipt], parts=parts)


def _take_note(con: duckdb.DuckDBPyConnection, incoming: Incoming) -> list[str]:
    """Keep a rejection note; returns the stored studies it concerns."""
    if incoming.rejection is None:
        return []
    return add_rejection(con, incoming.receipt_id, incoming.received_at, incoming.rejection)


def _verdict(incoming: Incoming) -> tuple[Status, str | None]:
    if incoming.rejection is not None:
        return Status.NO_DOSE, note_of(incoming.rejection)
    return verdict(incoming)


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
