"""The owner of the store: the one process that writes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import pyarrow as pa

from dose_lib.records import Decision, Finding, MeasuredSize, Part
from dose_lib.settings import Settings
from dose_lib.store import decision as decisions
from dose_lib.store import findings as finding_rows
from dose_lib.store import naming, outside
from dose_lib.store.engine import open_file
from dose_lib.store.forgetting import forget, give_up, removed_raw
from dose_lib.store.journal import Journals
from dose_lib.store.keyfile import private_folder
from dose_lib.store.ledger import Incoming, Outcome, Status
from dose_lib.store.making import Merge, Normalise, Rules, parts_of
from dose_lib.store.marking import is_unmarked, mark_readings
from dose_lib.store.migrate import migrate
from dose_lib.store.part_tables import insert_rows
from dose_lib.store.people import DECIDING, apply_aliases, people_decisions, what_is_gone
from dose_lib.store.recall import Kept, forget_journaled, insert_new, recall, write_down_times
from dose_lib.store.reviewing import LookedAt, review_looked_at, review_withdrawn
from dose_lib.store.site_rules import default_merge, prepare, site_rules
from dose_lib.store.studies import remake, settle
from dose_lib.store.transaction import transaction
from dose_lib.store.write import commit

if TYPE_CHECKING:
    from dose_lib.store.serve import Service

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]


def _say_if_failed(done: Future[int | None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        log.error("decisions about names are not applied yet", extra={"reason": str(error)})


def _now() -> datetime:
    return datetime.now(UTC)


class Store:
    """The opened store: writes, and serves all other processes.

    Use `Store.open`. Methods may be called from any thread; writes follow one another.
    """

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        settings: Settings,
        rules: Rules,
        clock: Clock,
        path: Path | None,
    ) -> None:
        self.settings = settings
        self.path = path or settings.store_file
        self.journals = Journals(settings.journal_dir if path is None else None)
        self._con = con
        # Never runs anything itself, so that opening further cursors never waits for a write.
        self._readers = con.cursor()
        self._rules = rules
        self._clock = clock
        self._lock = threading.RLock()
        self._service: Service | None = None
        self._background: ThreadPoolExecutor | None = None
        self._closing = threading.Event()

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        merge: Merge | None = None,
        normalise: Normalise | None = None,
        clock: Clock = _now,
        path: Path | None = None,
    ) -> Store:
        """Open the store for writing; make it, or bring it to this version, if need be.

        Parameters
        ----------
        settings
            Of the installation.
        merge, normalise
            The report-set rules and the site's naming; default `dose_lib.merge`, and
            `dose_lib.normalise` with the site's tables and decisions. With a naming of one's
            own nothing is derived, and decisions about names change nothing.
        clock
            Gives the time, with zone.
        path
            Another file than the installation's store, such as one being rebuilt; it has no
            journals.

        Raises
        ------
        StoreInUseError
            If another process has it open.
        StoreError
            If the file is damaged, or newer than this version.
        """
        private_folder(settings.home)
        file = path or settings.store_file
        private_folder(file.parent)
        con = open_file(file)
        try:
            file.chmod(0o600)
            migrate(con)
            prepare(con, settings)
            if normalise is None:
                rules = site_rules(settings, con, merge or default_merge())
            else:
                rules = Rules(merge or default_merge(), normalise)
            store = cls(con, settings, rules, clock, path)
            store._take_in_journals()
            store.renew_site()
        except BaseException:
            con.close()
            raise
        store._mark_older_readings()
        store.apply_decisions()
        return store

    def _take_in_journals(self) -> None:
        """Take in what only the journals know, write down what they do not; forget who is gone."""
        with self._transaction():
            recall(self._con, self.journals, self._clock(), self.path.parent)
            self._forget()

    def _mark_older_readings(self) -> None:
        """Once after an upgrade: which readings of the former version count, and their studies."""
        if is_unmarked(self._con):
            with self._transaction():
                settle(self._con, mark_readings(self._con), self._rules)

    def commit(self, batch: Sequence[Incoming]) -> list[Outcome]:
        """Store a batch of received objects in one transaction.

        Either all of the batch is stored or, on any error, nothing of it. Where a batch
        fails, commit its objects one by one to find the one at fault.

        Returns
        -------
        list of Outcome
            One for each, in the order of the batch.
        """
        if not batch:
            return []
        with self._lock:
            done = commit(self._con, batch, self._rules, self._clock())
            write_down_times(self._con, self.journals, done.outcomes)
            self._answer(review_withdrawn(self._con, done.part_keys))
            return done.outcomes

    def _answer(self, given: Sequence[Decision]) -> None:
        """Keep our own answers to findings."""
        if given:
            with self._transaction():
                kept = decisions.append_decisions(self._con, given, self._clock())
                self.journals.decisions.append(kept)

    def parts(self, part_keys: Sequence[str]) -> tuple[Part, ...]:
        """Exam parts as they stand, merged and normalised, by key; unknown keys give none.

        For whoever has to look at a part again, such as detectors after a crash between
        a commit and their look.
        """
        with self._lock:
            return parts_of(self._con, part_keys, self._rules)

    def add_findings(self, findings: Sequence[Finding]) -> list[Finding]:
        """Write findings, each id once; returns those that are new, with their time."""
        with self._transaction():
            new = finding_rows.add_findings(self._con, findings, self._clock())
            self.journals.findings.append(new)
        # An exam may have been withdrawn while a detector looked at it.
        with self._lock:
            about = {f.part_key for f in new if f.part_key is not None}
            self._answer(review_withdrawn(self._con, about) if about else ())
        return new

    def review(self, looked: LookedAt) -> None:
        """Answer findings that detectors do not find again in an exam that was corrected."""
        with self._lock:
            self._answer(review_looked_at(self._con, looked))

    def add_sizes(self, sizes: Sequence[MeasuredSize]) -> int:
        """Keep sizes from outside, each once; returns how many studies were made anew by them."""
        with self._transaction():
            new = outside.add_sizes(self._con, sizes, self._rules.gone)
            swept = outside.sweep_sizes(self._con, self._clock())
            self.journals.sizes.append(new)
            forget_journaled(self.journals, size_ids=swept)
            if not new or self._rules.derive is None:
                return 0
            studies = outside.studies_to_fill(self._con, new, self._rules.adult_age_y)
            return len(remake(self._con, studies, self._rules))

    def decide(self, *given: Decision) -> list[Decision]:
        """Append decisions of people, all or none; returns them as kept.

        Raises
        ------
        UsageError
            If a kind, payload or size is not right.
        """
        checked = [decisions.check_decision(d) for d in given]
        with self._transaction():
            kept = decisions.append_decisions(self._con, checked, self._clock())
            if any(d.kind in DECIDING for d in kept):
                self._forget()
            self.journals.decisions.append(kept)
        if any(d.kind in naming.KINDS or d.kind == "device_name" for d in kept):
            self._keep_to_names()
        return kept

    def _keep_to_names(self) -> None:
        """Name what arrives by the new decisions at once; what is stored, beside other work."""
        self.renew_site()
        if self._background is None:
            self.apply_decisions()
        else:
            self._background.submit(self.apply_decisions).add_done_callback(_say_if_failed)

    def renew_site(self) -> None:
        """Name what arrives from now on by the site's files and decisions as they are now.

        Raises
        ------
        SettingsError
            If a file cannot be used; the rules before stay.
        """
        if self._rules.has_site:
            with self._lock:
                rules = self._rules
                self._rules = site_rules(self.settings, self._con, rules.merge, rules.gone)

    def apply_decisions(self) -> int | None:
        """Make stored parts obey the decisions about names; returns how many were renamed.

        Some studies a transaction, so that others may write in between. None where closing
        the store interrupted it: the next start goes on with it.
        """
        if not self._rules.has_site:
            return 0
        with self._lock:
            given = naming.pending(self._con)
            studies = naming.studies_of(self._con, given) if given else []
        changed = naming.in_batches(studies, self._rename, self._closing.is_set)
        if given and changed is not None:
            with self._transaction():
                applied = naming.mark_applied(self._con, given, changed, self._clock())
            self.journals.applied.append(applied)
        return changed

    def _rename(self, studies: Sequence[str]) -> int:
        with self._lock:
            with self._transaction():
                former = naming.rename(self._con, studies, self._rules, self._clock())
            # After the commit: what was not renamed has no former name. Opening writes the rest.
            self.journals.former_names.append(former)
        return len(former)

    def _forget(self) -> None:
        """Apply decisions about people and retention, and keep to them from now on."""
        given = people_decisions(self._con)
        apply_aliases(self._con, given)
        self._rules = msgspec.structs.replace(self._rules, gone=what_is_gone(given))
        erased = forget(self._con, self._rules)
        settle(self._con, erased.studies, self._rules)
        forget_journaled(self.journals, erased.part_keys, erased.size_ids)
        kept = decisions.append_decisions(self._con, review_withdrawn(self._con), self._clock())
        self.journals.decisions.append(kept)

    def removed_raw(self, hashes: Sequence[str]) -> None:
        """Note that the bytes of these contents are gone (see table `raw_removal`)."""
        with self._transaction():
            removed_raw(self._con, hashes)

    def give_up(self, receipts: Sequence[str]) -> None:
        """Note that objects that could not be read are kept no longer; their receipts stay."""
        with self._transaction():
            give_up(self._con, receipts)

    def take_over(self, table: str, rows: pa.Table) -> None:
        """Insert rows of a former store as they are (rebuild)."""
        if rows.num_rows:
            with self._transaction():
                insert_rows(self._con, table, rows)

    def remember(self, table: Kept, values: Iterable[msgspec.Struct]) -> None:
        """Take in what journals tell of a table and it does not have (rebuild)."""
        with self._transaction():
            insert_new(self._con, table, values)

    def sql(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query, read on a connection of its own; for the owner's own use."""
        with self.cursor() as cursor:
            return cursor.execute(query, list(parameters)).fetchall()

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to the open store, for reading while others write."""
        cursor = self._readers.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    def counts(self) -> dict[Status, int]:
        """Receipts in the ledger by status; every status is there. Their sum is the received."""
        found = dict(self.sql("SELECT status, count(*) FROM object GROUP BY status"))
        return {status: int(found.get(status.value, 0)) for status in Status}

    def serve(self, *, is_dedicated: bool = False) -> Service:
        """Let other processes of this user read, and hand in decisions.

        Locks the store down first (see the module `serve`); this cannot be undone before
        it is closed.

        Parameters
        ----------
        is_dedicated
            True if this process does nothing but own the store. Its address space is then
            limited, so that a query that builds huge values fails instead of having the
            kernel end a process. Child processes inherit the limit, and browsers cannot
            live with it.

        Raises
        ------
        ServiceError
            If it is served already.
        PortInUseError
            If the port is taken.
        """
        from dose_lib.store.serve import start

        with self._lock:
            self._service = start(self, self._con, is_dedicated=is_dedicated)
            self._background = ThreadPoolExecutor(1, thread_name_prefix="store names")
            return self._service

    @property
    def write_lock(self) -> threading.RLock:
        """Held by whoever writes; hold it to keep the file as it is (backup)."""
        return self._lock

    def checkpoint(self) -> None:
        """Move what is committed from the write-ahead log into the file."""
        with self._lock:
            self._con.execute("CHECKPOINT")

    def close(self) -> None:
        """Stop serving and close the file; all that was committed is in it."""
        self._closing.set()
        if self._background is not None:
            self._background.shutdown(cancel_futures=True)
            self._background = None
        with self._lock:
            if self._service is not None:
                self._service.stop()
                self._service = None
            self._readers.close()
            self._con.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, transaction(self._con):
            yield
