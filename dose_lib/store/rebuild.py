"""Rebuilding: every dose table made anew from what was received and what people decided.

The archive's objects are read and committed again; neither doses nor ledger depend on the
order. What the archive does not hold any more (raw objects are kept for a shorter time
than doses) is taken over from the readings of the former store. Nobody is notified: findings
are taken over as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa

from dose_lib.errors import StoreError, StoreInUseError
from dose_lib.records import Decision
from dose_lib.settings import Settings
from dose_lib.store import journal
from dose_lib.store.backup import put_in_place
from dose_lib.store.engine import open_file
from dose_lib.store.ledger import Incoming
from dose_lib.store.making import Merge, Normalise
from dose_lib.store.owner import Store
from dose_lib.store.reading import unpack_part

log = logging.getLogger(__name__)

_AT_ONCE = 200
_LEDGER_FIELDS = (
    "sha256",
    "size_bytes",
    "received_at",
    "route",
    "caller",
    "sop_instance_uid",
    "sop_class",
    "study_uid",
    "stored_at",
)


class Rebuilt(msgspec.Struct, frozen=True):
    """What a rebuild did.

    Attributes
    ----------
    replayed
        Receipts committed again from the archive.
    carried
        Receipts taken over from the former store, because the archive has them no more.
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
    former = _Former.open(settings.store_file)
    fresh = settings.store_file.with_name("rebuild") / settings.store_file.name
    try:
        _remove(fresh)
        with Store.open(settings, merge=merge, normalise=normalise, path=fresh) as store:
            if former is not None:
                store.decide(*former.decisions())
            store.decide(*journal.read(journal.journal_file(settings.store_file)))
            known = former.stored_at() if former is not None else {}
            if former is not None:
                store.take_over("patient_size", former.rows("patient_size"))
            replayed = _replay(store, objects, known)
            carried = _carry(store, former) if former is not None else 0
            counts = {s.value: n for s, n in store.counts().items()}
            store.checkpoint()
    finally:
        if former is not None:
            former.close()
    kept = put_in_place(fresh, settings.store_file)
    _remove(fresh)
    fresh.parent.rmdir()
    return Rebuilt(replayed, carried, counts, kept)


def _remove(fresh: Path) -> None:
    for file in (fresh, fresh.with_name(fresh.name + ".wal"), journal.journal_file(fresh)):
        file.unlink(missing_ok=True)


def _replay(store: Store, objects: Iterable[Incoming], known: Mapping[str, datetime]) -> int:
    """Commit in the order given; the ledger does not depend on it."""
    replayed = 0
    for batch in _batches(objects):
        store.commit(
            [
                msgspec.structs.replace(i, stored_at=i.stored_at or known.get(i.receipt_id))
                for i in batch
            ]
        )
        replayed += len(batch)
    return replayed


def _batches(objects: Iterable[Incoming]) -> Iterator[list[Incoming]]:
    rest = iter(objects)
    while batch := list(islice(rest, _AT_ONCE)):
        yield batch


def _carry(store: Store, former: _Former) -> int:
    """Take over what the archive has no more, and the findings."""
    missing = former.receipts() - {row[0] for row in store.sql("SELECT receipt_id FROM object")}
    read = set()
    for batch in _batches(former.objects(missing)):
        store.commit(batch)
        read |= {i.receipt_id for i in batch}
    store.take_over("object", former.rows("object", "receipt_id", missing - read))
    store.take_over("finding", former.rows("finding"))
    store.take_over("former_name", former.rows("former_name"))
    return len(missing)


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
            con.execute("SELECT count(*) FROM object, reading, finding, decision").fetchone()
        except StoreInUseError:
            raise
        except (StoreError, duckdb.Error):
            log.warning("the former store cannot be read; only the archive and the journal count")
            return None
        return cls(con)

    def close(self) -> None:
        """Close the file."""
        self._con.close()

    def decisions(self) -> list[Decision]:
        """Every decision it knows."""
        rows = self._con.execute(
            "SELECT kind, subject, payload, author, decided_at FROM decision ORDER BY decided_at"
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

    def stored_at(self) -> dict[str, datetime]:
        """When each receipt was stored."""
        return dict(self._con.execute("SELECT receipt_id, stored_at FROM object").fetchall())

    def receipts(self) -> set[str]:
        """Every receipt it knows."""
        return {row[0] for row in self._con.execute("SELECT receipt_id FROM object").fetchall()}

    def objects(self, receipts: set[str]) -> Iterator[Incoming]:
        """Objects of these receipts that had parts, as they were read."""
        rows = self._con.execute(
            "SELECT o.sha256, o.size_bytes, o.received_at, o.route, o.caller, o.sop_instance_uid,"
            " o.sop_class, o.study_uid, o.stored_at, list(r.record ORDER BY r.part_key)"
            " FROM object AS o JOIN reading AS r USING (receipt_id)"
            " WHERE o.receipt_id IN (SELECT unnest(?)) GROUP BY ALL ORDER BY o.received_at",
            [sorted(receipts)],
        )
        while row := rows.fetchone():
            *fields, records = row
            given = dict(zip(_LEDGER_FIELDS, fields, strict=True))
            yield Incoming(**given, parts=tuple(unpack_part(r) for r in records))

    def rows(self, table: str, key: str | None = None, values: set[str] | None = None) -> pa.Table:
        """Rows of a table as they are; of the given keys only; none of a table it did not have."""
        if not self._con.execute(_HAS_TABLE, [table]).fetchall():
            return pa.table({})
        if key is None:
            return self._con.execute(f"SELECT * FROM {table}").to_arrow_table()  # noqa: S608 - constants
        return self._con.execute(
            f"SELECT * FROM {table} WHERE {key} IN (SELECT unnest(?))",  # noqa: S608 - constants
            [sorted(values or ())],
        ).to_arrow_table()
