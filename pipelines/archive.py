"""Where received objects stay: the archive of everything read, and the quarantine.

A file is only ever renamed from the spool to its place, never copied or written again: the
bytes that were flushed before the sender got "success" are the bytes that stay.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from dose_lib.errors import UsageError
from pipelines.defects import Failure
from pipelines.disk import Disk, make_folder
from pipelines.envelope import DamagedFileError, Receipt
from pipelines.spool import SUFFIX, read_receipt_of


class Archive:
    """Every object that was read, by the day it was received: `2026/11/22/<sha256>.dcm`.

    Bytes received again are kept once; of the repetition its receipt stays, as JSON, so
    that the ledger can be made again from the archive alone.
    """

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self.folder = make_folder(folder)
        self._disk = disk or Disk()
        self._days: set[Path] = set()

    def place_of(self, receipt: Receipt) -> Path:
        """Where an object with this receipt lies or would lie."""
        return self._day(receipt.received_at.astimezone(UTC).date()) / (receipt.sha256 + SUFFIX)

    def keep(self, path: Path, receipt: Receipt, first_received: datetime | None = None) -> None:
        """Move an object here from the spool; call `flush` after the last of a batch.

        Parameters
        ----------
        path
            The file in the spool.
        receipt
            Its receipt.
        first_received
            When the same bytes were first received, if the ledger knows them already.
        """
        place = self.place_of(receipt)
        make_folder(place.parent)
        self._days.add(place.parent)
        if self._is_kept(receipt, place, first_received):
            self._keep_receipt(place.parent / f"{path.stem}.json", receipt)
            self._disk.remove(path)
        else:
            self._disk.rename(path, place)

    def flush(self) -> None:
        """Return once all that was kept is on the disk under its name."""
        for day in self._days:
            self._disk.flush_folder(day)
        self._days.clear()

    def objects(self) -> Iterator[Path]:
        """All objects, the oldest day first."""
        yield from sorted(self.folder.glob(f"*/*/*/*{SUFFIX}"))

    def days(self) -> list[date]:
        """Days on which something that is still here was received, the oldest first."""
        found = (p.parts[-3:] for p in self.folder.glob("*/*/*") if p.is_dir())
        return sorted(date(int(y), int(m), int(d)) for y, m, d in found)

    def contents(self, day: date) -> list[Path]:
        """Objects received on a day."""
        return sorted(self._day(day).glob(f"*{SUFFIX}"))

    def repetitions(self, day: date | None = None) -> Iterator[tuple[Path, Receipt]]:
        """Receipts of repeated bytes, of a day or of all days.

        Raises
        ------
        DamagedFileError
            If one cannot be read.
        """
        places = self.folder.glob("*/*/*/*.json") if day is None else self._day(day).glob("*.json")
        for path in sorted(places):
            try:
                yield path, msgspec.json.decode(path.read_bytes(), type=Receipt)
            except msgspec.DecodeError as error:
                raise DamagedFileError("a receipt is damaged", where=str(path)) from error

    def remove(self, paths: Iterable[Path]) -> int:
        """Remove files for good, and folders that are empty then; returns the bytes freed."""
        freed = 0
        for path in paths:
            freed += path.stat().st_size if path.exists() else 0
            self._disk.remove(path)
            self._days.add(path.parent)
        days, self._days = self._days, set()
        for day in days:
            if day.exists():
                self._disk.flush_folder(day)
                self._tidy(day)
        return freed

    def _tidy(self, folder: Path) -> None:
        while folder != self.folder and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent

    def _is_kept(self, receipt: Receipt, place: Path, first_received: datetime | None) -> bool:
        places = [place]
        if first_received is not None:
            day = first_received.astimezone(UTC).date()
            places.append(self._day(day) / place.name)
        # The same file may come twice: a crash after the rename and before its flush.
        return any(p.exists() and read_receipt_of(p) != receipt for p in places)

    def _keep_receipt(self, file: Path, receipt: Receipt) -> None:
        temporary = file.with_suffix(".part")
        self._disk.remove(temporary)
        handle = self._disk.create(temporary)
        try:
            self._disk.write(handle, msgspec.json.encode(receipt))
            self._disk.flush(handle)
        finally:
            self._disk.close(handle)
        self._disk.rename(temporary, file)

    def _day(self, day: date) -> Path:
        return self.folder / f"{day:%Y/%m/%d}"


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """Why an object is in quarantine, and since when."""

    name: str
    failure: Failure
    since: datetime
    version: str
    receipt: Receipt | None = None

    @property
    def is_ours(self) -> bool:
        """True if a defect of ours put it there, not the object."""
        return self.failure.defect is not None


class Quarantine:
    """Objects that could not be read: each with its reason as JSON beside it."""

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self.folder = make_folder(folder)
        self._disk = disk or Disk()

    def keep(self, path: Path, receipt: Receipt, failure: Failure, version: str) -> None:
        """Move an object here from the spool; call `flush` after the last of a batch.

        The reason is written first: a crash leaves a reason without an object, never an
        object without a reason.
        """
        item = Quarantined(
            name=path.stem,
            failure=failure,
            since=datetime.now(UTC),
            version=version,
            receipt=receipt,
        )
        note = self.folder / f"{path.stem}.json"
        temporary = note.with_suffix(f".{os.getpid()}.part")
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(item)))
        self._disk.rename(temporary, note)
        self._disk.rename(path, self.folder / path.name)

    def flush(self) -> None:
        """Return once all that was kept is on the disk under its name."""
        self._disk.flush_folder(self.folder)

    def items(self) -> list[Quarantined]:
        """What is in quarantine, oldest first."""
        return [self._note(path) for path in self._objects()]

    def release(self, names: Iterable[str], spool: Path) -> list[str]:
        """Put objects back into the spool, to be read again; returns their names.

        Parameters
        ----------
        names
            Names or their beginnings; none means all.
        spool
            The spool folder.

        Raises
        ------
        UsageError
            If a name fits no object.
        """
        chosen = self._chosen(list(names))
        for path in chosen:
            # The object first: until its reason is gone too, the object is only read again.
            self._disk.rename(path, spool / path.name)
            self._disk.remove(path.with_suffix(".json"))
        if chosen:
            self._disk.flush_folder(spool)
        return [path.stem for path in chosen]

    def holding(self, hashes: Collection[str]) -> list[str]:
        """Names of the objects with these contents."""
        items = self.items() if hashes else []
        return [i.name for i in items if i.receipt is not None and i.receipt.sha256 in hashes]

    def discard(self, names: Iterable[str]) -> None:
        """Remove objects and their reasons for good."""
        for name in names:
            self._disk.remove(self.folder / f"{name}{SUFFIX}")
            self._disk.remove(self.folder / f"{name}.json")
        self._disk.flush_folder(self.folder)

    def _chosen(self, names: list[str]) -> list[Path]:
        objects = self._objects()
        if not names:
            return objects
        found = {name: [p for p in objects if p.stem.startswith(name)] for name in names}
        for name, paths in found.items():
            if not paths:
                raise UsageError(
                    f"nothing in quarantine is called {name!r}",
                    where=str(self.folder),
                    todo="`dose quarantine list` shows the names",
                )
        return sorted({path for paths in found.values() for path in paths})

    def _objects(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{SUFFIX}"))

    def _note(self, path: Path) -> Quarantined:
        try:
            return msgspec.json.decode(path.with_suffix(".json").read_bytes(), type=Quarantined)
        except (FileNotFoundError, msgspec.DecodeError):
            lost = Failure(seen="the reason was lost", todo="dose quarantine retry")
            since = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            return Quarantined(name=path.stem, failure=lost, since=since, version="")
