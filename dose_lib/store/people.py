"""What decisions about people do to the store: merged patients, and exams to be forgotten.

The vault decides, and hands its decisions on; the store keeps them, so that a rebuild comes
to the same result without the vault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import duckdb
import msgspec

from dose_lib.records import Decision, Part
from dose_lib.vault.groups import ERASE, KINDS, Forgotten, forgotten, group

ERASED = "the patient's data were erased"

_PART_TABLES = ("part", "event", "administration", "estimate", "issue", "provenance")


def people_decisions(con: duckdb.DuckDBPyConnection) -> list[Decision]:
    """Every decision about people that the store has."""
    rows = con.execute(
        "SELECT kind, subject, payload, author, decided_at FROM decision"
        " WHERE kind IN (SELECT unnest(?))",
        [sorted(KINDS)],
    ).fetchall()
    return [
        Decision(
            kind=kind,
            subject=subject,
            payload=msgspec.json.decode(payload),
            author=author,
            decided_at=decided_at.astimezone(UTC),
        )
        for kind, subject, payload, author, decided_at in rows
    ]


def doses_to_forget(decisions: Sequence[Decision]) -> Forgotten:
    """Patients whose doses go, too; erasing identities alone leaves the doses."""
    return forgotten(
        d for d in decisions if d.kind != ERASE or d.payload.get("scope") == "everything"
    )


def apply_people(con: duckdb.DuckDBPyConnection, decisions: Sequence[Decision]) -> Forgotten:
    """Bring aliases and erasures up to date; inside the caller's transaction."""
    aliases = sorted(group(decisions).survivors.items())
    con.execute("DELETE FROM patient_alias")
    if aliases:
        con.executemany("INSERT INTO patient_alias VALUES (?, ?)", aliases)
    gone = doses_to_forget(decisions)
    if gone.patients:
        _erase(con, gone)
    return gone


def _erase(con: duckdb.DuckDBPyConnection, gone: Forgotten) -> None:
    rows = con.execute(
        "SELECT part_key, patient_key, received_at, started_at_utc FROM part"
        " WHERE patient_key IN (SELECT unnest(?))",
        [sorted(gone.patients)],
    ).fetchall()
    parts = [
        key
        for key, patient, received_at, started_at in rows
        if gone.covers(patient, received_at.astimezone(UTC), _utc(started_at))
    ]
    if not parts:
        return
    hashes = [
        row[0]
        for row in con.execute(
            "SELECT DISTINCT sha256 FROM reading WHERE part_key IN (SELECT unnest(?))", [parts]
        ).fetchall()
    ]
    for table in (*_PART_TABLES, "former_name", "reading", "finding"):
        con.execute(f"DELETE FROM {table} WHERE part_key IN (SELECT unnest(?))", [parts])  # noqa: S608 - a constant
    # The receipt stays, since every object received is accounted for; what it was does not.
    con.execute(
        "UPDATE object SET status = 'erased', reason = ?, part_keys = [], sop_instance_uid = NULL,"
        " study_uid = NULL WHERE sha256 IN (SELECT unnest(?))",
        [ERASED, hashes],
    )


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment else None


def is_forgotten(
    gone: Forgotten, part: Part, received_at: datetime, normalise: Callable[[Part], Part]
) -> bool:
    """True if a part that arrives now belongs to what was erased."""
    key = part.patient.patient_key
    if key is None or key not in gone.patients:
        return False
    started = normalise(part).started_at_utc
    return gone.covers(key, received_at.astimezone(UTC), _utc(started))
