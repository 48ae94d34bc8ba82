"""Received bytes, on the disk before anyone is told so.

The order is the promise (DESIGN §6): write under a temporary name, flush the file, rename,
flush the folder, and only then return. At every instant a crash leaves either nothing
under a final name, or a whole file that carries its own receipt (see `envelope`). Before the
rename the object is counted (see `receipts`).
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from dose_lib.errors import OutOfRoomError, ReceiveError
from pipelines.disk import NO_ROOM, Disk, FolderFlush, make_folder
from pipelines.envelope import Receipt, read_receipt, seal, unseal
from pipelines.receipts import note_of, receipts_of

log = logging.getLogger(__name__)

SUFFIX = ".dcm"
TEMPORARY = ".part"
_STALE_S = 5.0  # a file younger than this may not be marked as being written yet


class Arrival(msgspec.Struct, frozen=True):
    """One object waiting in the spool: its file, its receipt, its bytes."""

    path: Path
    receipt: Receipt
    data: bytes


class Spool:
    """The folder where received objects wait to be read.

    Any number of threads and processes may put; files are named by the time of arrival, a
    random word and the hash of the bytes, nothing that a sender chose.

    Parameters
    ----------
    folder
        The spool folder; made with mode 0700.
    disk
        The file system.
    reserve_bytes
        Room that stays free: less than this and the object is refused, so that store and
        logs can still be written when the disk fills up.
    """

    def __init__(self, folder: Path, *, disk: Disk | None = None, reserve_bytes: int = 0) -> None:
        self.folder = make_folder(folder)
        self._disk = disk or Disk()
        self._reserve = reserve_bytes
        self._flush = FolderFlush(folder, self._disk)
        self._receipts = receipts_of(folder)

    def put(self, data: bytes, receipt: Receipt) -> Path:
        """Keep an object; on return it survives a crash of the machine.

        Parameters
        ----------
        data
            The object's bytes.
        receipt
            Its receipt, made from the same bytes.

        Returns
        -------
        Path
            The file in the spool.

        Raises
        ------
        OutOfRoomError
            If there is no room; nothing is left behind.
        ReceiveError
            If the disk fails otherwise; nothing is promised.
        """
        stem = f"{time.time_ns():019d}-{os.urandom(4).hex()}-{receipt.sha256[:16]}"
        temporary, final = self.folder / (stem + TEMPORARY), self.folder / (stem + SUFFIX)
        self._check_room(len(data))
        try:
            self._write(temporary, final, (data, seal(data, receipt)), receipt)
            self._flush.wait()
        except OSError as error:
            self._forget(temporary, receipt)
            if error.errno in NO_ROOM:
                raise self._no_room() from error
            raise ReceiveError(
                f"the spool cannot be written ({error.strerror})",
                where=str(self.folder),
                todo="Check the disk and the rights of the folder; nothing was acknowledged",
            ) from error
        return final

    def waiting(self) -> list[Path]:
        """Files that wait, oldest first."""
        try:
            with os.scandir(self.folder) as entries:
                names = [e.name for e in entries if e.name.endswith(SUFFIX)]
        except FileNotFoundError:
            return []
        return [self.folder / name for name in sorted(names)]

    def load(self, path: Path) -> Arrival:
        """Read a waiting object.

        Raises
        ------
        DamagedFileError
            If the file no longer holds what was received.
        """
        data, receipt = unseal(path.read_bytes(), path)
        return Arrival(path, receipt, data)

    def sweep(self) -> int:
        """Remove temporary files whose writer is dead; returns how many.

        They were never acknowledged. Those that another process is writing right now are
        marked by it.
        """
        stale = [p for p in self._temporaries() if time.time() - _written_at(p) > _STALE_S]
        return sum(self._sweep(path) for path in stale)

    def _sweep(self, path: Path) -> bool:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            if not self._disk.hold(handle):
                return False
            if noted := [n for n in self._receipts.recent() if n.stem == path.stem]:
                self._receipts.take_back(noted[0])
            self._disk.remove(path)
        finally:
            self._disk.close(handle)
        return True

    def _temporaries(self) -> Iterator[Path]:
        return self.folder.glob("*" + TEMPORARY)

    def _write(
        self, temporary: Path, final: Path, pieces: Sequence[bytes], receipt: Receipt
    ) -> None:
        handle = self._disk.create(temporary)
        try:
            self._disk.hold(handle)
            for piece in pieces:
                self._disk.write(handle, piece)
            self._disk.flush(handle)
            self._receipts.add(note_of(temporary.stem, receipt))
            self._disk.rename(temporary, final)
        finally:
            self._disk.close(handle)

    def _check_room(self, size: int) -> None:
        if self._reserve and self._disk.free_bytes(self.folder) < self._reserve + size:
            raise self._no_room()

    def _forget(self, temporary: Path, receipt: Receipt) -> None:
        if not temporary.exists():  # it has its final name: whole, though not promised
            return
        try:
            self._receipts.take_back(note_of(temporary.stem, receipt))
            self._disk.remove(temporary)
        except OSError as error:
            log.error("temporary file stays", extra={"reason": error.strerror})

    def _no_room(self) -> OutOfRoomError:
        return OutOfRoomError(
            "no room for a further object",
            expected=f"more than {self._reserve / 1e6:.0f} MB free" if self._reserve else None,
            where=str(self.folder),
            todo="Make room; senders are told to try again and receiving resumes by itself",
        )


def read_receipt_of(path: Path) -> Receipt:
    """Receipt of a file of spool, archive or quarantine, without reading all of it.

    Raises
    ------
    DamagedFileError
        If there is none.
    """
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        size = file.tell()
        file.seek(max(0, size - 4096))
        tail = file.read()
    return read_receipt(tail, path, offset=size - len(tail))


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()
