"""The folder route: files from a disk, a CD or an export take the same way as C-STORE.

Every file is accounted for: spooled, or left out with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

import dose_lib
from dose_lib import Settings
from dose_lib.dicom.identify import peek
from dose_lib.errors import OutOfRoomError, ReadError
from dose_lib.store import Status
from pipelines.collect.feed import Fed, Feed
from pipelines.collect.files import LeftOut, Place, find_places, limits_of, read_place

Progress = Callable[[str, int, int], None]
"""Called with the stage (`taking in`, `storing`), how many are done, and of how many."""


class Judged(msgspec.Struct, frozen=True):
    """A file that was taken in, and what became of it."""

    path: Path
    status: Status
    reason: str | None


class Taken(msgspec.Struct, kw_only=True):
    """What an ingest did with every file it was given."""

    files: list[Judged] = msgspec.field(default_factory=list)
    skipped: list[LeftOut] = msgspec.field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        """Files by status, those left out by reason."""
        return Counter(f.status.value for f in self.files)

    @property
    def troubles(self) -> list[LeftOut | Judged]:
        """Files a person should look at: unreadable ones and those in quarantine."""
        unread = [f for f in self.files if f.status is Status.QUARANTINED]
        return [*(s for s in self.skipped if s.is_trouble), *unread]


def ingest_paths(
    paths: Sequence[Path], settings: Settings, *, progress: Progress = lambda *_: None
) -> Taken:
    """Take in files, folders, archives and media, and return when all of it can be queried.

    Works with and without a running service: the files go into the spool first, and then
    either the service stores them, or this process does.

    Parameters
    ----------
    paths
        Files, zip and tar archives, DICOMDIRs, and folders that are looked through at any depth.
    settings
        Settings of the installation.
    progress
        Called as the work goes on.

    Raises
    ------
    UsageError
        If a path does not exist.
    OutOfRoomError
        If the spool's disk is full; what was spooled before is stored by the next run.
    ServiceError
        If a service owns the store but does not store anything.
    """
    places = find_places(paths)
    taken = Taken()
    fed: list[tuple[Path, Fed]] = []
    with Feed(settings, on_stored=lambda n, of: progress("storing", n, of)) as feed:
        for number, place in enumerate(places, 1):
            _take(place, settings, feed, fed, taken)
            progress("taking in", number, len(places))
        feed.finish()
        if fed:
            taken.files += _judge(fed, settings)
    return taken


def _take(
    place: Place, settings: Settings, feed: Feed, fed: list[tuple[Path, Fed]], taken: Taken
) -> None:
    for found in read_place(place, limits_of(settings)):
        if isinstance(found, LeftOut):
            taken.skipped.append(found)
        elif (reason := reason_to_leave(found.data)) is not None:
            taken.skipped.append(LeftOut(found.path, reason, found.is_named))
        else:
            try:
                fed.append((found.path, feed.put(found.data, "folder")))
            except OutOfRoomError as error:
                error.add_note(f"Files before {found.path} were taken in.")
                raise


def reason_to_leave(data: bytes) -> str | None:
    """Why bytes are no object; None if they are, or are one that is damaged."""
    if not data:
        return "empty file"
    try:
        peek(data)
    except ReadError as error:
        # A damaged object is kept: quarantine shows it, a later version may read it.
        return None if data[128:132] == b"DICM" else error.seen
    return None


def _judge(fed: Sequence[tuple[Path, Fed]], settings: Settings) -> list[Judged]:
    """What became of each file, from the ledger."""
    objects = dose_lib.connect(settings=settings).table("objects")
    first = min(f.received_at for _, f in fed)
    rows = (
        objects.filter(objects.route == "folder", objects.received_at >= first)
        .select("sha256", "received_at", "status", "reason")
        .to_pyarrow()
        .to_pylist()
    )
    ledger = {(r["sha256"], r["received_at"]): r for r in rows}
    judged = []
    for path, one in fed:
        row = ledger.get((one.sha256, one.received_at))
        status = Status(row["status"]) if row else Status.WAITING
        judged.append(Judged(path, status, row["reason"] if row else None))
    return judged
