"""Spool to store: workers read, one writer commits, detectors look, the archive keeps.

Done by the owner of the store (see `owner`). For every object the order is: hand
its sealed identities to the vault, commit to the store, let the detectors look, write their
findings, and only then take the file out of the spool. Each step may be repeated: a receipt
is committed once, a finding has the id of its subject. So a crash at any instant means that
the object is found in the spool again and passes through once more, without counting twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import duckdb
import msgspec

import dose_lib
from dose_lib import Settings
from dose_lib.errors import (
    OutOfRoomError,
    ServiceError,
    StoreError,
    VaultError,
)
from dose_lib.records import Part
from dose_lib.store import Incoming, LookedAt, Outcome, Status, Store
from dose_lib.vault import Inbox
from pipelines.archive import Archive, Quarantine
from pipelines.breaker import Breaker
from pipelines.defects import Failure, attempt
from pipelines.disk import Disk
from pipelines.envelope import Receipt
from pipelines.heartbeat import Value
from pipelines.pool import Pool, Serve
from pipelines.spool import Spool, read_receipt_of
from pipelines.worker import Detect, Detected, ReadObject
from pipelines.worker import serve as work

log = logging.getLogger(__name__)

_IDLE_S = 0.02  # between looks at an empty spool; part of the time to a readable row
# A commit costs about 50 ms whatever it holds. While more objects are being read they are
# collected, up to so many and so long; a single object is committed at once.
_BATCH_OBJECTS = 150
_COLLECT_S = 0.3
_BACKLOG_OBJECTS = 500  # of a batch while somebody puts years into the spool: nobody waits
_BACKLOG_S = 5.0
_BATCH_PARTS = 200  # parts the detectors get at once


class Settled(NamedTuple):
    """An object whose outcome is in the store, on its way out of the spool."""

    path: Path
    receipt: Receipt
    outcome: Outcome
    failure: Failure | None


class Looking(NamedTuple):
    """What the detectors are looking at: objects, and the parts they belong to."""

    objects: list[Settled]
    part_keys: tuple[str, ...]


Stored = tuple[Outcome, Failure | None]
"""What the store made of an object, and the defect that made it fail there."""


class Counts(msgspec.Struct):
    """What was done since the start, for health and metrics."""

    stored: int = 0
    no_dose: int = 0
    duplicate: int = 0
    superseded: int = 0
    quarantined: int = 0
    findings: int = 0
    detector_failures: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count an object; of repetitions that change roles each content is stored once."""
        status = Status.DUPLICATE if outcome.in_place_of else outcome.status
        setattr(self, status.value, getattr(self, status.value) + 1)

    @property
    def total(self) -> int:
        """Grows with everything that was done."""
        return sum(getattr(self, name) for name in self.__struct_fields__)


class Ingest:
    """Takes everything from the spool into the store.

    Parameters
    ----------
    settings
        Settings of the installation.
    store
        The opened store, served if other processes are to read it.
    disk
        The file system.
    work
        What the worker processes run.
    """

    def __init__(
        self, settings: Settings, store: Store, *, disk: Disk | None = None, work: Serve = work
    ) -> None:
        self._store = store
        self._spool = Spool(settings.spool_dir, disk=disk)
        self._archive = Archive(settings.archive_dir, disk)
        self._quarantine = Quarantine(settings.quarantine_dir, disk)
        self._inbox = Inbox(settings)
        self._pool = Pool(settings.home, settings.read_workers, work)
        self._in_flight: set[str] = set()
        self._read: list[ReadObject] = []
        self._collecting_since = 0.0
        self._undetected: list[Settled] = []
        self._looking: dict[int, Looking] = {}
        self._batch = 0
        self._reading, self._storing = Breaker("the reader"), Breaker("the store")
        self.more_to_come = False  # True: large batches, also while the workers have no work
        self.counts = Counts()
        self.problem: str | None = None

    @property
    def is_done(self) -> bool:
        """True if nothing waits and nothing is under way."""
        return not self._in_flight and not self._spool.waiting()

    @property
    def halted(self) -> str | None:
        """Why nothing is taken from the spool although it could be; None if all goes on."""
        return self._reading.problem or self._storing.problem

    def facts(self) -> dict[str, Value]:
        """Counters, for the heartbeat."""
        waiting = len(self._spool.waiting())
        return {"waiting": waiting, "workers": len(self._pool.pids), **_as_dict(self.counts)}

    def step(self, timeout: float = _IDLE_S) -> list[Settled]:
        """Do what can be done now; returns the objects that have left the spool.

        Parameters
        ----------
        timeout
            Seconds to wait for the workers, if there is nothing else to do.

        Raises
        ------
        StoreError
            If the store cannot be written for now; everything stays in the spool.
        """
        if not self._in_flight:
            self._feed()
        done: list[Settled] = []
        for response in self._pool.results(timeout):
            if isinstance(response, Detected):
                done += self._write_findings(response)
            else:
                self._collect(response)
        self._feed()  # the workers read on while we commit
        if self._is_time_to_commit():
            read, self._read = self._read, []
            done += self._commit(read)
        self._let_look()
        self._leave_spool(done)
        return done

    def forget(self) -> None:
        """Start anew from what is in the spool, after an error of the store."""
        while not self._pool.is_idle:
            self._pool.results(1.0)
        self._in_flight.clear()
        self._read.clear()
        self._undetected.clear()
        self._looking.clear()

    def close(self) -> None:
        """End the workers."""
        self._pool.close()

    def _collect(self, read: ReadObject) -> None:
        if not self._read:
            self._collecting_since = time.monotonic()
        self._read.append(read)

    def _is_time_to_commit(self) -> bool:
        if not self._read:
            return False
        since = time.monotonic() - self._collecting_since
        if self.more_to_come:
            return len(self._read) >= _BACKLOG_OBJECTS or since > _BACKLOG_S
        is_full = len(self._read) >= _BATCH_OBJECTS or not self._pool.is_reading
        return is_full or since > _COLLECT_S

    def _feed(self) -> None:
        room = self._pool.room
        if room < 1:
            return
        waiting = [p for p in self._spool.waiting() if p.name not in self._in_flight]
        if fresh := from_both_ends(self._choose(waiting), room):
            self._in_flight.update(p.name for p in fresh)
            self._pool.read(fresh)

    def _choose(self, waiting: list[Path]) -> list[Path]:
        """What to read next: all, unless one defect meets every object."""
        for breaker in (self._reading, self._storing):
            if breaker.is_open:
                return [] if self._in_flight else breaker.choose(waiting)
        return waiting

    def _commit(self, read: Sequence[ReadObject]) -> list[Settled]:
        """Commit what was read; returns what the detectors need not see."""
        objects: list[tuple[Path, Receipt, ReadObject]] = []
        for one in read:
            path = Path(one.path)
            receipt = one.receipt or (read_receipt_of(path) if one.failure else None)
            # Gone, to be read again by another worker, or no object's fault.
            if receipt is None or self._reading.note(one.failure):
                self._in_flight.discard(path.name)
            else:
                objects.append((path, receipt, one))
        self._keep_identities([one for _, _, one in objects])
        outcomes = self._store_batch([incoming_of(receipt, one) for _, receipt, one in objects])
        settled: list[Settled] = []
        for (path, receipt, one), stored in zip(objects, outcomes, strict=True):
            if stored is None:
                self._in_flight.discard(path.name)
            else:
                outcome, failure = stored
                settled.append(Settled(path, receipt, outcome, failure or one.failure))
        self._undetected += [s for s in settled if _is_to_be_looked_at(s)]
        return [s for s in settled if not _is_to_be_looked_at(s)]

    def _keep_identities(self, read: Sequence[ReadObject]) -> None:
        """Hand sealed identities to the vault before anything is committed (see its inbox)."""
        try:
            self._inbox.put([one.sealed for one in read if one.sealed is not None])
        except (OutOfRoomError, VaultError) as error:
            raise StoreError(
                error.seen, expected=error.expected, where=error.where, todo=error.todo
            ) from error

    def _store_batch(self, batch: Sequence[Incoming]) -> list[Stored | None]:
        """Commit a batch; if it fails, one by one, and the one at fault to quarantine.

        None stands for an object that has to stay in the spool.
        """
        together = attempt(lambda: self._write(batch), "the store")
        if not isinstance(together, Failure):
            if any(incoming.parts for incoming in batch):
                self._storing.note(None)
            return [(outcome, None) for outcome in together]
        log.error("batch failed", extra={"count": len(batch), "reason": together.defect})
        return [self._store_one(incoming) for incoming in batch]

    def _store_one(self, incoming: Incoming) -> Stored | None:
        alone = attempt(lambda: self._write([incoming])[0], "the store")
        failure = alone if isinstance(alone, Failure) else None
        if (failure or incoming.parts) and self._storing.note(failure):
            return None
        if not isinstance(alone, Failure):
            return alone, None
        unread = msgspec.structs.replace(incoming, parts=(), error=alone.as_error())
        return self._write([unread])[0], alone

    def _write(self, batch: Sequence[Incoming]) -> list[Outcome]:
        with self._writing():
            return self._store.commit(batch)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Trouble of the file or its disk, said as such: it is no object's fault."""
        try:
            yield
        except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
            raise cannot_write(error, self._store.settings) from error
        except duckdb.FatalException as error:
            raise ServiceError(
                "the store has to be opened again",
                where=str(self._store.settings.store_file),
                todo="The service does so by itself",
            ) from error

    def _let_look(self) -> None:
        """Give committed parts to the detectors, one batch at a time."""
        if self._looking or not self._undetected:
            return
        batch: list[Settled] = []
        parts: dict[str, Part] = {}
        self._undetected.sort(key=lambda s: s.path.name)
        while self._undetected and len(parts) < _BATCH_PARTS:
            settled = self._undetected.pop()  # the newest: someone may be in the room
            batch.append(settled)
            # None in the outcome: committed before a crash, and not yet looked at.
            looked_at = settled.outcome.parts or self._store.parts(settled.outcome.part_keys)
            parts |= {p.part_key: p for p in looked_at}
        self._batch += 1
        self._looking[self._batch] = Looking(batch, tuple(parts))
        self._pool.detect(Detect(self._batch, tuple(parts.values())))

    def _write_findings(self, detected: Detected) -> list[Settled]:
        for failure in detected.failures:
            self.counts.detector_failures += 1
            log.error(failure.seen, extra={"reason": failure.defect})
        with self._writing():
            fresh = self._store.add_findings(detected.findings)
        for finding in fresh:
            self.counts.findings += 1
            log.info(
                "finding opened",
                extra={"finding": finding.finding_id, "detector": finding.detector},
            )
        looking = self._looking.pop(detected.batch, None)
        if looking is None:
            return []
        found = frozenset(f.finding_id for f in detected.findings)
        looked_at = LookedAt(part_keys=looking.part_keys, detectors=detected.detectors, found=found)
        with self._writing():
            self._store.review(looked_at)
        return looking.objects

    def _leave_spool(self, done: Iterable[Settled]) -> None:
        """Move settled objects to archive or quarantine."""
        settled = list(done)
        for path, receipt, outcome, failure in settled:
            if outcome.status is Status.QUARANTINED:
                reason = failure or Failure(seen=outcome.reason or "not known")
                self._quarantine.keep(path, receipt, reason, dose_lib.__version__)
            else:
                self._archive.keep(path, receipt, self._first_received(receipt, outcome))
            self.counts.add(outcome)
            self._in_flight.discard(path.name)
        if settled:
            self._archive.flush()
            self._quarantine.flush()
            log.info("stored", extra={"count": len(settled)})

    def _first_received(self, receipt: Receipt, outcome: Outcome) -> datetime | None:
        if outcome.status is not Status.DUPLICATE:
            return None
        query = "SELECT min(received_at) FROM object WHERE sha256 = ?"
        first: datetime | None = self._store.sql(query, [receipt.sha256])[0][0]
        return first


def cannot_write(error: duckdb.Error, settings: Settings) -> StoreError:
    """The error for a store that takes nothing now: its disk, or the file itself."""
    if "orrupt" in str(error) or "checksum" in str(error):
        return StoreError(
            "the store file is damaged",
            expected="the file as it was written",
            where=str(settings.store_file),
            todo="Check the disk; stop the service and make the store again (`dose rebuild`),"
            " or restore a backup; received objects wait in the spool and nothing is lost",
        )
    return StoreError(
        f"the store cannot be written ({type(error).__name__})",
        expected="room on its disk and memory",
        where=str(settings.store_file),
        todo="Make room; received objects wait in the spool and nothing is lost",
    )


def from_both_ends(waiting: Sequence[Path], n: int) -> list[Path]:
    """Up to `n` of what waits, the newest first, and of a backlog the oldest beside.

    An exam that was just sent is known in a second, whatever waits from a night without
    service or from a backfill; and what waits longest does not wait for ever.
    """
    if len(waiting) <= n:
        return list(reversed(waiting))
    older = n // 2
    return [*reversed(waiting[older - n :]), *waiting[:older]]


def _is_to_be_looked_at(settled: Settled) -> bool:
    """True for what has dose, or changed what has; exams of an export open no findings."""
    has_dose = settled.outcome.status in (Status.STORED, Status.SUPERSEDED)
    return (has_dose or bool(settled.outcome.parts)) and settled.receipt.route != "history"


def incoming_of(receipt: Receipt, read: ReadObject) -> Incoming:
    """What a reader made of an object, with its receipt, as the store takes it."""
    head = read.head
    return Incoming(
        sha256=receipt.sha256,
        size_bytes=receipt.size,
        received_at=receipt.received_at,
        route=receipt.route,
        caller=receipt.caller,
        sop_instance_uid=(head.sop_instance_uid if head else None) or receipt.sop_instance_uid,
        sop_class=(head.sop_class if head else None) or receipt.sop_class,
        study_uid=head.study_uid if head else None,
        parts=read.parts,
        error=read.failure.as_error() if read.failure else None,
        rejection=read.rejection,
        patient_key=read.patient_key,
    )


def _as_dict(counts: Counts) -> dict[str, Value]:
    return {name: getattr(counts, name) for name in counts.__struct_fields__}
