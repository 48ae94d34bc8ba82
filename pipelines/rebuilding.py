"""The store made anew from everything that was received: archive and quarantine, read again.

Worker processes read; identities are sealed for the vault once more; the store's own
`rebuild` commits. Nothing is sent to anyone and no detector looks. What a reader takes today
that it did not take before, or the other way round, moves between archive and quarantine.
"""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

import dose_lib
from dose_lib import Settings
from dose_lib.errors import ServiceError
from dose_lib.store import Incoming, Rebuilt, rebuild
from dose_lib.store.base import Base, incoming_of, is_replayable
from dose_lib.vault import Inbox
from pipelines.archive import Archive, Quarantine
from pipelines.envelope import DamagedFileError, Receipt, unseal
from pipelines.ingest import incoming_of as read_incoming
from pipelines.keeping import receipt_id
from pipelines.pool import Pool
from pipelines.spool import read_receipt_of
from pipelines.status import is_running
from pipelines.worker import Detected, ReadObject

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What a rebuild did with the files.

    Attributes
    ----------
    rebuilt
        What the store says of it.
    damaged
        Files that no longer hold what was received; their receipts come from elsewhere.
    quarantined, released
        Objects of the archive that cannot be read any more; of the quarantine, that can.
    """

    rebuilt: Rebuilt
    damaged: tuple[Path, ...] = ()
    quarantined: int = 0
    released: int = 0


class Readers(Protocol):
    """Whatever reads objects; results come in any order (see `pool`)."""

    @property
    def room(self) -> int:
        """Objects that can be given now."""
        ...

    @property
    def is_idle(self) -> bool:
        """True if every object has been answered."""
        ...

    def read(self, paths: Sequence[Path]) -> None:
        """Have objects read."""
        ...

    def results(self, timeout: float) -> Sequence[ReadObject | Detected]:
        """All results that are there."""
        ...

    def close(self) -> None:
        """End."""
        ...


def rebuild_store(
    settings: Settings, progress: Progress, *, readers: Readers | None = None
) -> Replayed:
    """Make the store anew and put it in the place of the former one, which is kept.

    Parameters
    ----------
    settings
        Of the installation; no service may run on it.
    progress
        Called with a stage, how much of it is done, and how much there is.
    readers
        What reads the objects; default: a process on each processor.

    Raises
    ------
    ServiceError
        If a service runs.
    StoreInUseError, StoreError
        As for `dose_lib.store.rebuild`; the former store is untouched then.
    """
    if is_running(settings):
        raise ServiceError(
            "the service is running", where=str(settings.home), todo="Stop it, then try again"
        )
    # Nothing else runs: all processors may read.
    n_workers = max(settings.read_workers, len(os.sched_getaffinity(0)))
    replay = _Replay(settings, progress, readers or Pool(settings.home, n_workers))
    try:
        done = rebuild(settings, replay.objects())
    finally:
        replay.close()
    quarantined, released = replay.move_files()
    return Replayed(
        rebuilt=done,
        damaged=tuple(replay.damaged),
        quarantined=quarantined,
        released=released,
    )


class _Replay:
    """Reads every file once, and remembers which of them are in the wrong folder."""

    def __init__(self, settings: Settings, progress: Progress, readers: Readers) -> None:
        self._archive = Archive(settings.archive_dir)
        self._quarantine = Quarantine(settings.quarantine_dir)
        self._spool_dir, self._base = settings.spool_dir, Base(settings)
        self._inbox = Inbox(settings)
        self._progress = progress
        self._pool = readers
        self._unreadable: list[ReadObject] = []
        self._readable: list[str] = []
        self.damaged: list[Path] = []

    def close(self) -> None:
        """End the workers."""
        self._pool.close()

    def objects(self) -> Iterator[Incoming]:
        """Everything that was received, with the receipts as they were."""
        again: dict[str, list[Receipt]] = defaultdict(list)
        for _, receipt in self._archive.repetitions():
            again[receipt.sha256].append(receipt)
        files = [*self._archive.objects(), *sorted(self._quarantine.folder.glob("*.dcm"))]
        for read in self._read(files):
            yield from self._receipts(read, again)
        yield from self._orphans(again)

    def _read(self, files: Sequence[Path]) -> Iterator[ReadObject]:
        waiting, done = list(reversed(files)), 0
        while waiting or not self._pool.is_idle:
            while waiting and (room := self._pool.room):
                self._pool.read([waiting.pop() for _ in range(min(room, len(waiting)))])
            found = [r for r in self._pool.results(0.5) if isinstance(r, ReadObject)]
            self._inbox.put([r.sealed for r in found if r.sealed is not None])
            for read in found:
                if read.receipt is None and read.failure is None:
                    waiting.append(Path(read.path))  # its worker died; once more
                    continue
                done += 1
                yield read
            self._progress("reading", done, len(files))

    def _receipts(self, read: ReadObject, again: dict[str, list[Receipt]]) -> Iterator[Incoming]:
        """The receipt of a file, and those of the same bytes at other times."""
        path = Path(read.path)
        receipt = read.receipt or read_receipt_of(path)
        is_archived = path.is_relative_to(self._archive.folder)
        is_unread = read.failure is not None and not read.failure.is_doseless
        if is_archived and is_unread and _is_damaged(path):
            self.damaged.append(path)
            return
        if is_archived and is_unread:
            self._unreadable.append(read)
        elif not is_archived and not is_unread:
            self._readable.append(path.stem)
        for one in (receipt, *again.pop(receipt.sha256, ())):
            yield read_incoming(one, read)

    def _orphans(self, again: dict[str, list[Receipt]]) -> Iterator[Incoming]:
        """Receipts of repeated bytes whose first copy is only in the base."""
        if not again:
            return
        for row in self._base.rows():
            if row["sha256"] not in again or not is_replayable(row):
                continue
            said = incoming_of(row)
            for one in again.pop(row["sha256"]):
                if receipt_id(one) != row["receipt_id"]:
                    yield msgspec.structs.replace(
                        said,
                        received_at=one.received_at,
                        route=one.route,
                        caller=one.caller,
                        stored_at=None,
                    )

    def move_files(self) -> tuple[int, int]:
        """Bring each file where it belongs now; returns how many each way.

        What can be read now goes through the spool, where the next start finds its receipt
        settled and moves it to the archive.
        """
        for read in self._unreadable:
            path = Path(read.path)
            if path.exists() and read.receipt and read.failure:
                self._quarantine.keep(path, read.receipt, read.failure, dose_lib.__version__)
        if self._readable:
            self._spool_dir.mkdir(mode=0o700, exist_ok=True)
            self._quarantine.release(self._readable, self._spool_dir)
        self._quarantine.flush()
        return len(self._unreadable), len(self._readable)


def _is_damaged(path: Path) -> bool:
    try:
        unseal(path.read_bytes(), path)
    except DamagedFileError:
        return True
    return False
