"""The folder route: files from a disk, a CD or an export take the same way as C-STORE.

Every file is accounted for: spooled, or left out with the reason.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

import dose_lib
from dose_lib import Settings
from dose_lib.dicom.identify import peek
from dose_lib.errors import OutOfRoomError, ReadError, ServiceError, StoreInUseError, UsageError
from dose_lib.store import Status, Store
from pipelines.envelope import make_receipt
from pipelines.heartbeat import read_beat
from pipelines.ingest import Ingest
from pipelines.owner import PART
from pipelines.spool import Spool

Progress = Callable[[str, int, int], None]
"""Called with the stage (`taking in`, `storing`), how many are done, and of how many."""

_STALE_S = 60.0  # a store whose part said nothing for so long will not store ours soon
_POLL_S = 0.1


class Skipped(msgspec.Struct, frozen=True):
    """A file that was not taken in, and why."""

    path: Path
    reason: str
    is_trouble: bool


class Judged(msgspec.Struct, frozen=True):
    """A file that was taken in, and what became of it."""

    path: Path
    status: Status
    reason: str | None


class Taken(msgspec.Struct, kw_only=True):
    """What an ingest did with every file it was given."""

    files: list[Judged] = msgspec.field(default_factory=list)
    skipped: list[Skipped] = msgspec.field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        """Files by status, those left out by reason."""
        return Counter(f.status.value for f in self.files)

    @property
    def troubles(self) -> list[Skipped | Judged]:
        """Files a person should look at: unreadable ones and those in quarantine."""
        unread = [f for f in self.files if f.status is Status.QUARANTINED]
        return [*(s for s in self.skipped if s.is_trouble), *unread]


class _Spooled(msgspec.Struct, frozen=True):
    path: Path
    place: Path
    sha256: str
    received_at: datetime


def ingest_paths(
    paths: Sequence[Path], settings: Settings, *, progress: Progress = lambda *_: None
) -> Taken:
    """Take in files and folders, and return when all of it can be queried.

    Works with and without a running service: the files go into the spool first, and then
    either the service stores them, or this process does.

    Parameters
    ----------
    paths
        Files, and folders whose files are taken in at any depth.
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
    files = _find(paths)
    taken = Taken()
    spool = Spool(settings.spool_dir, reserve_bytes=settings.spool_reserve_mb * 1_000_000)
    spooled: list[_Spooled] = []
    for number, (path, is_named) in enumerate(files, 1):
        found = _take(path, spool, settings, is_named=is_named)
        if isinstance(found, Skipped):
            taken.skipped.append(found)
        else:
            spooled.append(found)
        progress("taking in", number, len(files))
    if spooled:
        taken.files += _store(spooled, settings, progress)
    return taken


def _find(paths: Sequence[Path]) -> list[tuple[Path, bool]]:
    """Files, each with whether it was named itself."""
    found: list[tuple[Path, bool]] = []
    for path in paths:
        if path.is_dir():
            found += [(file, False) for file in _walk(path)]
        elif path.exists():
            found.append((path, True))
        else:
            raise UsageError(f"there is no file or folder {path}", todo="Check the path")
    return found


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(place) / name for name in sorted(names))


def _take(path: Path, spool: Spool, settings: Settings, *, is_named: bool) -> _Spooled | Skipped:
    try:
        size = path.stat().st_size
        if size > settings.max_object_mb * 1_000_000:
            return Skipped(path, f"larger than max_object_mb = {settings.max_object_mb}", True)
        data = path.read_bytes()
    except OSError as error:
        return Skipped(path, f"cannot be read ({error.strerror})", True)
    if not data:
        return Skipped(path, "empty file", is_named)
    try:
        peek(data)
    except ReadError as error:
        if not _looks_like_dicom(data):
            return Skipped(path, error.seen, is_named)
        # A damaged object is kept: quarantine shows it, a later version may read it.
    receipt = make_receipt(data, "folder")
    try:
        place = spool.put(data, receipt)
    except OutOfRoomError as error:
        error.add_note(f"Files before {path} were taken in.")
        raise
    return _Spooled(path, place, receipt.sha256, receipt.received_at)


def _looks_like_dicom(data: bytes) -> bool:
    return data[128:132] == b"DICM"


def _store(spooled: list[_Spooled], settings: Settings, progress: Progress) -> list[Judged]:
    try:
        store = Store.open(settings)
    except StoreInUseError:
        _wait_for_service(spooled, settings, progress)
        return _judge(spooled, settings)
    with store:
        store.serve()
        ingest = Ingest(settings, store)
        try:
            while (left := _left(spooled)) or not ingest.is_done:
                ingest.step()
                if ingest.halted:
                    raise ServiceError(ingest.halted, where=str(settings.spool_dir))
                progress("storing", len(spooled) - left, len(spooled))
        finally:
            ingest.close()
        progress("storing", len(spooled), len(spooled))
        return _judge(spooled, settings)


def _wait_for_service(spooled: list[_Spooled], settings: Settings, progress: Progress) -> None:
    while left := _left(spooled):
        progress("storing", len(spooled) - left, len(spooled))
        beat = read_beat(settings.run_dir, PART)
        if beat is None or beat.age_s > _STALE_S or beat.problem:
            raise ServiceError(
                f"{left} objects wait in the spool; the service does not store them now"
                + (f" ({beat.problem})" if beat and beat.problem else ""),
                expected="a running service, or none",
                where=str(settings.spool_dir),
                todo="They are safe there; see `dose status`",
            )
        time.sleep(_POLL_S)
    progress("storing", len(spooled), len(spooled))


def _left(spooled: list[_Spooled]) -> int:
    return sum(s.place.exists() for s in spooled)


def _judge(spooled: list[_Spooled], settings: Settings) -> list[Judged]:
    """What became of each file, from the ledger."""
    objects = dose_lib.connect(settings=settings).table("objects")
    first = min(s.received_at for s in spooled)
    rows = (
        objects.filter(objects.route == "folder", objects.received_at >= first)
        .select("sha256", "received_at", "status", "reason")
        .to_pyarrow()
        .to_pylist()
    )
    ledger = {(r["sha256"], r["received_at"]): r for r in rows}
    judged = []
    for one in spooled:
        row = ledger.get((one.sha256, one.received_at))
        status = Status(row["status"]) if row else Status.WAITING
        judged.append(Judged(one.path, status, row["reason"] if row else None))
    return judged
