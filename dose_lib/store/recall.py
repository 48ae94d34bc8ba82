"""The store and its journals tell each other what the other does not know.

Journals survive a lost store, the store survives lost journals, an older store comes back from
a backup: whoever opens the store brings both to the same knowledge.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import msgspec
import pyarrow as pa

from dose_lib.records import Finding, MeasuredSize
from dose_lib.store.decision import append_decisions, decision_id, read_decisions
from dose_lib.store.journal import Applied, FormerName, Journal, Journals, Stored
from dose_lib.store.ledger import Outcome
from dose_lib.store.outside import SCHEMA as SIZE_SCHEMA
from dose_lib.store.part_tables import insert_rows

log = logging.getLogger(__name__)

_UTC = pa.timestamp("us", tz="UTC")
_RECEIPTS_A_LINE = 500


class Kept(NamedTuple):
    """A table of the store that a journal tells line by line."""

    name: str
    kind: type[msgspec.Struct]
    schema: pa.Schema
    key: Callable[[Any], object]


SIZES = Kept("patient_size", MeasuredSize, SIZE_SCHEMA, lambda size: size.size_id)
FORMER_NAMES = Kept(
    "former_name",
    FormerName,
    pa.schema([*((n, pa.string()) for n in FormerName.__struct_fields__[:-1]), ("until", _UTC)]),
    lambda name: (name.part_key, name.until, name.procedure_name, name.body_region, name.contrast),
)
APPLIED = Kept(
    "applied_decision",
    Applied,
    pa.schema([("decision_id", pa.string()), ("n_parts", pa.int64()), ("applied_at", _UTC)]),
    lambda applied: applied.decision_id,
)


def recall(
    con: duckdb.DuckDBPyConnection, journals: Journals, now: datetime, former_folder: Path
) -> None:
    """Bring store and journals to the same knowledge; inside the caller's transaction.

    What the journals know of names stays theirs: it tells of a store that may be newer than
    this one, whose exams have to be named again.

    Parameters
    ----------
    con
        The store.
    journals
        Of the same installation.
    now
        The time, with zone.
    former_folder
        Where an earlier version kept journals; they are moved.
    """
    if journals.move_from(former_folder):
        _drop_erased_findings(con, journals)
    told = journals.decisions.read()
    append_decisions(con, told, now)
    known = {decision_id(d) for d in told}
    journals.decisions.append(d for d in read_decisions(con) if decision_id(d) not in known)
    _unite(con, journals.sizes, SIZES)
    _write_down(con, journals.former_names, FORMER_NAMES)
    _write_down(con, journals.applied, APPLIED)
    if _count(con, "finding") > journals.findings.count():
        found = {f.finding_id for f in journals.findings.read()}
        journals.findings.append(f for f in findings_of(con) if f.finding_id not in found)
    journals.stored.append(_stored_since(con, journals.stored.last()))


def _unite(con: duckdb.DuckDBPyConnection, journal: Journal[Any], table: Kept) -> None:
    if _count(con, table.name) == journal.count():
        return
    insert_new(con, table, journal.read())
    _write_down(con, journal, table)


def _write_down(con: duckdb.DuckDBPyConnection, journal: Journal[Any], table: Kept) -> None:
    if _count(con, table.name) != journal.count():
        told = {table.key(v) for v in journal.read()}
        journal.append(v for v in values_of(con, table) if table.key(v) not in told)


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    row = con.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - a constant
    return int(row[0]) if row else 0


def values_of(con: duckdb.DuckDBPyConnection, table: Kept) -> list[Any]:
    """Rows of a table as values."""
    names = table.kind.__struct_fields__
    rows = con.execute(f"SELECT {', '.join(names)} FROM {table.name} ORDER BY ALL")  # noqa: S608 - constants
    found = [dict(zip(names, map(_in_utc, row), strict=True)) for row in rows.fetchall()]
    return [msgspec.convert(row, table.kind) for row in found]


def _in_utc(value: Any) -> Any:
    is_aware = isinstance(value, datetime) and value.tzinfo is not None
    return value.astimezone(UTC) if is_aware else value


def insert_new(
    con: duckdb.DuckDBPyConnection, table: Kept, values: Iterable[msgspec.Struct]
) -> None:
    """Write values as rows that are not there yet."""
    once = {table.key(v): v for v in values}
    for value in values_of(con, table) if once else ():
        once.pop(table.key(value), None)
    if once:
        rows = [{name: getattr(v, name) for name in table.schema.names} for v in once.values()]
        insert_rows(con, table.name, pa.Table.from_pylist(rows, schema=table.schema))


def findings_of(con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """Findings of a store, as they were opened."""
    names = Finding.__struct_fields__
    rows = con.execute(f"SELECT {', '.join(names)} FROM finding ORDER BY opened_at, finding_id")  # noqa: S608 - constants
    for row in rows.fetchall():
        said = dict(zip(names, map(_in_utc, row), strict=True))
        yield msgspec.convert(said | {"evidence": msgspec.json.decode(said["evidence"])}, Finding)


def _drop_erased_findings(con: duckdb.DuckDBPyConnection, journals: Journals) -> None:
    """Findings about exams that are not there: earlier versions kept them after an erasure."""
    rows = con.execute("SELECT part_key FROM reading UNION SELECT part_key FROM finding")
    known = {key for (key,) in rows.fetchall()}
    journals.findings.drop(lambda f: f.part_key is not None and f.part_key not in known)


def write_down_times(
    con: duckdb.DuckDBPyConnection, journals: Journals, outcomes: Iterable[Outcome]
) -> None:
    """Note when receipts were stored, which nothing else would tell after a loss.

    After their commit, and a disk that takes nothing now costs none: the next one writes down
    the rest.
    """
    stored = journals.stored
    try:
        if journals.is_behind:
            stored.append(_stored_since(con, stored.last()))
        else:
            fresh = ((o.receipt_id, o.stored_at) for o in outcomes if o.stored_at is not None)
            stored.append(stored_lines(fresh))
    except OSError as error:
        log.warning("times of storing are not written down yet", extra={"reason": f"{error}"})
        journals.is_behind = True
    else:
        journals.is_behind = False


def _stored_since(con: duckdb.DuckDBPyConnection, last: Stored | None) -> list[Stored]:
    """Lines of the journal `stored` for what came into the ledger after its last one."""
    moment = None if last is None else last.at
    rows = con.execute(
        "SELECT stored_at, receipt_id FROM object WHERE ? IS NULL OR stored_at > ? ORDER BY ALL",
        [moment, moment],
    ).fetchall()
    return stored_lines((receipt, at) for at, receipt in rows)


def stored_lines(receipts: Iterable[tuple[str, datetime]]) -> list[Stored]:
    """Lines for receipts and when each was stored: one line a moment, of limited length."""
    found: list[Stored] = []
    together: list[str] = []
    before: datetime | None = None
    for receipt, at in sorted(receipts, key=lambda r: r[1]):
        if before is not None and (at != before or len(together) == _RECEIPTS_A_LINE):
            found.append(Stored(at=before.astimezone(UTC), receipts=tuple(together)))
            together = []
        together.append(receipt)
        before = at
    if before is not None:
        found.append(Stored(at=before.astimezone(UTC), receipts=tuple(together)))
    return found


def stored_at(journal: Journal[Stored]) -> dict[str, datetime]:
    """When each receipt was stored, by the journal."""
    return {receipt: line.at for line in journal.read() for receipt in line.receipts}


def forget_journaled(
    journals: Journals, part_keys: Collection[str] = (), size_ids: Collection[str] = ()
) -> None:
    """Take what is known of erased exams and people out of the journals."""
    if part_keys:
        journals.findings.drop(lambda f: f.part_key in part_keys)
        journals.former_names.drop(lambda n: n.part_key in part_keys)
    if size_ids:
        journals.sizes.drop(lambda s: s.size_id in size_ids)
