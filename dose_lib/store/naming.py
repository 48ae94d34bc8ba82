"""Decisions about names made good in what is stored: parts are made anew under the new rules.

What a part was called before is written down with the time, so that the answer to a question
of an earlier day can be given again. Each step is a transaction of some studies; a crash in
between leaves a decision that is not marked as applied, and the next start goes on with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import duckdb
import msgspec

from dose_lib.normalise.texts import text_key
from dose_lib.records import Decision
from dose_lib.store.decision import decision_id
from dose_lib.store.history import KIND as HISTORY
from dose_lib.store.history import settle_history, studies_of_imports
from dose_lib.store.journal import Applied, FormerName
from dose_lib.store.making import Rules
from dose_lib.store.studies import remake

MAPPING = "procedure_mapping"
LINK = "device_link"
RENORMALISE = "renormalise"
KINDS = (MAPPING, LINK, RENORMALISE, HISTORY)
BATCH = 200  # studies a transaction: others may write in between

# Columns of `part` that hold a text or a code which a mapping may be about.
_TEXTS = (
    "study_description",
    "performed_procedure_step_description",
    "procedure_code.meaning",
    "requested_procedure.meaning",
    "nm_procedure.meaning",
)
_CODES = ("procedure_code", "requested_procedure")


def decisions_of(con: duckdb.DuckDBPyConnection, *kinds: str) -> list[Decision]:
    """Decisions of some kinds, oldest first."""
    rows = con.execute(
        "SELECT kind, subject, payload, author, decided_at FROM decision"
        " WHERE kind IN (SELECT unnest(?)) ORDER BY decided_at, decision_id",
        [list(kinds)],
    ).fetchall()
    return [
        Decision(
            kind=kind, subject=subject, payload=msgspec.json.decode(payload), author=author,
            decided_at=at,
        )
        for kind, subject, payload, author, at in rows
    ]  # fmt: skip


def pending(con: duckdb.DuckDBPyConnection) -> list[Decision]:
    """Decisions about names that the stored parts do not obey yet, oldest first."""
    done = {i for (i,) in con.execute("SELECT decision_id FROM applied_decision").fetchall()}
    return [d for d in decisions_of(con, *KINDS) if decision_id(d) not in done]


def studies_of(con: duckdb.DuckDBPyConnection, given: Sequence[Decision]) -> list[str]:
    """Studies with a part that one of the decisions is about."""
    if any(d.kind == RENORMALISE for d in given):
        return _column(con, "SELECT DISTINCT study_uid FROM part ORDER BY study_uid")
    found: set[str] = set()
    links = [d for d in given if d.kind == LINK]
    if links:
        # Both ends: a link that is taken back concerns the exams under the other key.
        ends = {str(e) for d in decisions_of(con, LINK) for e in (d.subject, d.payload["same_as"])}
        query = "SELECT DISTINCT study_uid FROM part WHERE device_key IN (SELECT unnest(?))"
        found |= set(_column(con, query, [sorted(ends)]))
    if imports := [d.subject for d in given if d.kind == HISTORY]:
        found |= set(studies_of_imports(con, imports))
    mappings = [d for d in given if d.kind == MAPPING]
    if mappings:
        found |= set(_mapped(con, {text_key(d.subject) for d in mappings}, mappings))
    return sorted(found)


def _mapped(
    con: duckdb.DuckDBPyConnection, keys: set[str], mappings: Sequence[Decision]
) -> Iterator[str]:
    for column in _TEXTS:
        spelt = _spellings(con, f"SELECT DISTINCT {column} FROM part", keys)  # noqa: S608 - constants
        query = f"SELECT DISTINCT study_uid FROM part WHERE {column} IN (SELECT unnest(?))"  # noqa: S608
        yield from _column(con, query, [spelt])
    spelt = _spellings(con, "SELECT DISTINCT unnest(protocol_names) FROM part", keys)
    query = "SELECT DISTINCT study_uid FROM part WHERE list_has_any(protocol_names, ?)"
    yield from _column(con, query, [spelt])
    subjects = [d.subject for d in mappings if ":" in d.subject]
    for column in _CODES:
        code = f"concat(coalesce({column}.scheme, ''), ':', {column}.value)"
        query = f"SELECT DISTINCT study_uid FROM part WHERE {code} IN (SELECT unnest(?))"  # noqa: S608
        yield from _column(con, query, [subjects])


def _spellings(con: duckdb.DuckDBPyConnection, query: str, keys: set[str]) -> list[str]:
    return [text for text in _column(con, query) if text and text_key(text) in keys]


def _column(
    con: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[Any] = ()
) -> list[str]:
    return [value for (value,) in con.execute(query, list(parameters)).fetchall()]


def rename(
    con: duckdb.DuckDBPyConnection, studies: Sequence[str], rules: Rules, now: datetime
) -> list[FormerName]:
    """Make studies anew and write down what their parts were called; returns what changed."""
    query = (
        "SELECT part_key, procedure_name, body_region, contrast FROM part"
        " WHERE study_uid IN (SELECT unnest(?))"
    )
    before = {row[0]: row for row in con.execute(query, [list(studies)]).fetchall()}
    parts = [p for some in remake(con, studies, rules).values() for p in some]
    settle_history(con, studies)
    changed = [
        FormerName(
            part_key=p.part_key,
            procedure_name=before[p.part_key][1],
            body_region=before[p.part_key][2],
            contrast=before[p.part_key][3],
            until=now,
        )
        for p in parts
        if p.part_key in before
        and before[p.part_key][1:]
        != (p.procedure_name, p.body_region, None if p.contrast is None else p.contrast.value)
    ]
    if changed:
        rows = [msgspec.structs.astuple(name) for name in changed]
        con.executemany("INSERT INTO former_name VALUES (?, ?, ?, ?, ?)", rows)
    return changed


def mark_applied(
    con: duckdb.DuckDBPyConnection, given: Iterable[Decision], n_parts: int, now: datetime
) -> list[Applied]:
    """Write down that stored parts obey these decisions."""
    made = [Applied(decision_id=decision_id(d), n_parts=n_parts, applied_at=now) for d in given]
    rows = [msgspec.structs.astuple(one) for one in made]
    con.executemany("INSERT INTO applied_decision VALUES (?, ?, ?)", rows)
    return made


def in_batches(
    studies: Sequence[str], step: Callable[[Sequence[str]], int], stop: Callable[[], bool]
) -> int | None:
    """Sum of what `step` changed, some studies at a time; None if it was stopped in between."""
    changed = 0
    for start in range(0, len(studies), BATCH):
        if stop():
            return None
        changed += step(studies[start : start + BATCH])
    return changed
