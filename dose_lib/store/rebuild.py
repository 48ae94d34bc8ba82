"""Rebuilding: every dose table made anew from what was received and what people decided.

The base and the archive's objects are committed again; neither doses nor ledger depend on the
order. What neither holds is taken over from the former store, as far as it can be read. Nobody
is notified: findings are taken over as they are, from the store or their journal.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from dose_lib.errors import StoreError, StoreInUseError
from dose_lib.records import Decision, Finding
from dose_lib.settings import Settings
from dose_lib.store.backup import put_in_place
from dose_lib.store.base import LEDGER, SCHEMA, Base, incoming_of, is_replayable, settled_rows
from dose_lib.store.decision import read_decisions
from dose_lib.store.engine import open_file
from dose_lib.store.journal import Journals
from dose_lib.store.ledger import Incoming, Status
from dose_lib.store.making import Merge, Normalise
from dose_lib.store.owner import Store
from dose_lib.store.people import UNREAD
from dose_lib.store.recall import APPLIED, FORMER_NAMES, SIZES, stored_at, stored_lines

log = logging.getLogger(__name__)

_AT_ONCE = 200
# What nothing but the former store and the journals tells of.
_CARRIED = ("finding", "former_name", "raw_removal")


class Rebuilt(msgspec.Struct, frozen=True):
    """What a rebuild did.

    Attributes
    ----------
    replayed
        Receipts committed again from archive and base.
    carried
        Receipts taken over from the former store, because neither has them.
    counts
        The new ledger, by status.
    former
        Where the former store is kept; None if there was none.
    """

    replayed: int
    carried: int
    counts: Mapping[str, int]
    former: Path | None


def rebuild(
    settings: Settings,
    objects: Iterable[Incoming],
    *,
    merge: Merge | None = None,
    normalise: Normalise | None = None,
) -> Rebuilt:
    """Make the store anew and put it in the place of the former one.

    Parameters
    ----------
    settings
        Of the installation; its store must not be open.
    objects
        Everything in archive and quarantine, read again, with the receipts as they were.
    merge, normalise
        As for `Store.open`.

    Returns
    -------
    Rebuilt
        Numbers to compare; the former store stays beside the new one.

    Raises
    ------
    StoreInUseError
        If a process has the store open.
    StoreError
        If the store cannot be made; the former one is untouched then.
    """
    journals = Journals(settings.journal_dir)
    is_older = journals.move_from(settings.store_file.parent)
    former = _Former.open(settings.store_file)
    fresh = settings.store_file.with_name("rebuild") / settings.store_file.name
    try:
        _remove(fresh)
        with Store.open(settings, merge=merge, normalise=normalise, path=fresh) as store:
            if former is not None:
                store.take_over("patient_size", former.rows("patient_size"))
                store.take_over("applied_decision", former.rows("applied_decision"))
                store.decide(*former.decisions())
            store.remember(SIZES, journals.sizes.read())
            store.remember(APPLIED, journals.applied.read())
            store.decide(*journals.decisions.read())
            times = stored_at(journals.stored) | (former.stored_at() if former else {})
            gone = former.erased() if former else set()
            replayed = _replay(store, Base(settings), _timed(objects, times), gone)
            carried = _carry(store, former) if former is not None else 0
            store.remember(FORMER_NAMES, journals.former_names.read())
            store.add_findings(_journaled(store, journals, only_of_exams=is_older))
            counts = {s.value: n for s, n in store.counts().items()}
            made = dict(store.sql("SELECT receipt_id, stored_at FROM object"))
            store.checkpoint()
    finally:
        if former is not None:
            former.close()
    kept = put_in_place(fresh, settings.store_file)
    told = stored_at(journals.stored)
    journals.stored.append(stored_lines((r, at) for r, at in made.items() if told.get(r) != at))
    _remove(fresh)
    fresh.parent.rmdir()
    return Rebuilt(replayed, carried, counts, kept)


def _remove(fresh: Path) -> None:
    wal = fresh.with_name(fresh.name + ".wal")
    for file in (fresh, wal):
        file.unlink(missing_ok=True)


def _timed(objects: Iterable[Incoming], times: Mapping[str, datetime]) -> Iterator[Incoming]:
    """Objects with the time at which each was first stored."""
    for one in objects:
        at = one.stored_at or times.get(one.receipt_id)
        yield msgspec.structs.replace(one, stored_at=at)


def _replay(store: Store, base: Base, objects: Iterable[Incoming], gone: set[str]) -> int:
    """Commit in the order given; the ledger does not depend on it."""
    replayed = 0
    for rows in _batches(base.rows()):
        # What was erased since is taken over from the former store.
        kept = [r for r in rows if r["sha256"] not in gone or not is_replayable(r)]
        replayed += _commit_rows(store, kept)
        gone |= {r["sha256"] for r in rows if _is_erased(r)}
    # What was erased stays so, even if its bytes are still there.
    for batch in _batches(i for i in objects if i.sha256 not in gone):
        store.commit(batch)
        replayed += len(batch)
    return replayed


def _is_erased(row: dict[str, Any]) -> bool:
    """True if the content may not come back; what could not be read is given up one by one."""
    return bool(row["status"] == Status.ERASED and row["reason"] != UNREAD)


def _commit_rows(store: Store, rows: Iterable[dict[str, Any]]) -> int:
    """Commit receipts again from what is known of them, or take them over as they are."""
    some = list(rows)
    store.commit([incoming_of(r) for r in some if is_replayable(r)])
    as_they_are = [r for r in some if not is_replayable(r)]
    store.take_over("object", pa.Table.from_pylist(as_they_are, SCHEMA).select(LEDGER))
    return len(some)


def _batches(objects: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(objects)
    while batch := list(islice(rest, _AT_ONCE)):
        yield batch


def _carry(store: Store, former: _Former) -> int:
    """Take over what neither archive nor base has, and what only a store can have."""
    missing = former.receipts() - {row[0] for row in store.sql("SELECT receipt_id FROM object")}
    for some in _batches(sorted(missing)):
        _commit_rows(store, former.receipt_rows(some))
    for table in _CARRIED:
        rows, known = former.rows(table), store.sql(f"SELECT * FROM {table}")  # noqa: S608 - constants
        fresh = [r for r in rows.to_pylist() if tuple(r.values()) not in set(known)]
        store.take_over(table, pa.Table.from_pylist(fresh, rows.schema))
    return len(missing)


def _journaled(store: Store, journals: Journals, *, only_of_exams: bool) -> list[Finding]:
    """Findings of the journal; of an earlier version's without those of erased exams."""
    found = journals.findings.read()
    if not only_of_exams:
        return found
    parts = {key for (key,) in store.sql("SELECT part_key FROM reading")}
    return [f for f in found if f.part_key is None or f.part_key in parts]


_HAS_TABLE = "SELECT 1 FROM duckdb_tables() WHERE table_name = ?"


class _Former:
    """The store as it was; opened for reading."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con

    @classmethod
    def open(cls, path: Path) -> _Former | None:
        """The former store; None if there is none, or it is too damaged to be read."""
        if not path.exists():
            return None
        try:
            con = open_file(path, read_only=True)
        except StoreInUseError:
            raise
        except StoreError:
            log.warning("the former store cannot be read; archive, base and journals count")
            return None
        try:
            for table in ("object", "reading", "finding", "decision"):
                con.execute(f"SELECT count(columns(*)) FROM {table}").fetchone()  # noqa: S608 - constants
        except duckdb.Error:
            con.close()
            log.warning("the former store is damaged; archive, base and journals count")
            return None
        return cls(con)

    def close(self) -> None:
        """Close the file."""
        self._con.close()

    def decisions(self) -> list[Decision]:
        """Every decision it knows."""
        return read_decisions(self._con)

    def stored_at(self) -> dict[str, datetime]:
        """When each receipt was stored."""
        return dict(self._con.execute("SELECT receipt_id, stored_at FROM object").fetchall())

    def erased(self) -> set[str]:
        """Contents that were erased."""
        query = "SELECT sha256 FROM object WHERE status = 'erased' AND reason <> ?"
        return {sha256 for (sha256,) in self._con.execute(query, [UNREAD]).fetchall()}

    def receipts(self) -> set[str]:
        """Every receipt it knows."""
        return {row[0] for row in self._con.execute("SELECT receipt_id FROM object").fetchall()}

    def receipt_rows(self, receipts: list[str]) -> list[dict[str, Any]]:
        """Receipts with what their objects said."""
        rows: list[dict[str, Any]] = settled_rows(
            self._con, "o.receipt_id IN (SELECT unnest(?))", [receipts]
        ).to_pylist()
        return rows

    def rows(self, table: str) -> pa.Table:
        """Rows of a table as they are; none of a table it did not have."""
        if not self._con.execute(_HAS_TABLE, [table]).fetchall():
            return pa.table({})
        return self._con.execute(f"SELECT * FROM {table}").to_arrow_table()  # noqa: S608 - constants
