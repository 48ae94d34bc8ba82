"""What waits to go into the vault: sealed files, on the disk before the spool lets go.

Why no crash loses an identity: the owner of the store writes the sealed identities of a
batch here (write, flush, rename, flush the folder) before it commits the batch and before
it takes the objects out of the spool. A crash before that finds the objects in the spool
and seals them again; a crash after it finds the file here. The vault removes a file only
after its content is committed; a crash in between applies it twice, which changes nothing.
The vault need not run for objects to be received, and what lies here nobody else can read.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from dose_lib.errors import OutOfRoomError, UsageError, VaultError
from dose_lib.settings import Settings
from dose_lib.store.keyfile import private_folder, sync_folder, write_private
from dose_lib.vault.keyring import Key, seal
from dose_lib.vault.records import VaultEntry

_SUFFIX = ".sealed"
_STALE_S = 3600.0
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ENTRIES = msgspec.msgpack.Decoder(tuple[VaultEntry, ...])
_BLOBS = msgspec.msgpack.Decoder(tuple[bytes, ...])


def seal_entries(settings: Settings, entries: Sequence[VaultEntry]) -> bytes:
    """Entries as bytes that only the vault can open; for whoever reads objects.

    Parameters
    ----------
    settings
        Of the installation; its public vault key is used.
    entries
        Usually the one of the object that was read.
    """
    return seal(settings, zlib.compress(msgspec.msgpack.encode(tuple(entries)), 1))


class Inbox:
    """The folder between whoever takes objects in and the vault.

    Any number of processes may put; the vault alone takes.
    """

    def __init__(self, settings: Settings) -> None:
        self.folder = private_folder(settings.vault_dir) / "inbox"
        self.unopened = self.folder / "unopened"
        private_folder(self.folder)

    def put(self, sealed: Sequence[bytes]) -> Path | None:
        """Keep sealed entries; on return they survive a crash of the machine.

        Raises
        ------
        OutOfRoomError
            If the disk is full; nothing is left behind and nothing may be let go.
        VaultError
            If the disk fails otherwise.
        """
        if not sealed:
            return None
        path = self.folder / f"{time.time_ns():019d}-{secrets.token_hex(4)}{_SUFFIX}"
        try:
            write_private(path, msgspec.msgpack.encode(tuple(sealed)))
        except OSError as error:
            kind = OutOfRoomError if error.errno in _NO_ROOM else VaultError
            raise kind(
                f"identities cannot be handed over ({error.strerror})",
                where=str(self.folder),
                todo="Make room; the objects stay in the spool and nothing is lost",
            ) from error
        return path

    def waiting(self) -> list[Path]:
        """Files that wait, oldest first."""
        try:
            with os.scandir(self.folder) as entries:
                names = sorted(e.name for e in entries if e.name.endswith(_SUFFIX))
        except FileNotFoundError:
            return []
        return [self.folder / name for name in names if not name.startswith(".")]

    def load(self, path: Path, keys: Sequence[Key]) -> tuple[VaultEntry, ...]:
        """Entries of a waiting file.

        Raises
        ------
        VaultError
            If no key opens it, or it is damaged.
        """
        try:
            blobs = _BLOBS.decode(path.read_bytes())
            return tuple(e for blob in blobs for e in _ENTRIES.decode(_open(blob, keys)))
        except (msgspec.DecodeError, zlib.error, UsageError) as error:
            raise VaultError(
                f"sealed identities are damaged ({type(error).__name__})", where=path.name
            ) from None

    def set_aside(self, path: Path) -> None:
        """Keep a file that cannot be opened where it is not tried again."""
        private_folder(self.unopened)
        path.replace(self.unopened / path.name)
        sync_folder(self.unopened)

    def n_set_aside(self) -> int:
        """How many files could not be opened."""
        return len(self._set_aside_files())

    def try_again(self) -> None:
        """Put back what could not be opened (the key may have been restored), and sweep.

        Temporary files of a crash were never promised to anyone; young ones may belong to a
        process that is writing right now.
        """
        for path in self._set_aside_files():
            path.replace(self.folder / path.name)
        for path in self.folder.glob(f".*{_SUFFIX}.*"):
            with suppress(FileNotFoundError):  # its writer has just given it its name
                if time.time() - path.stat().st_mtime > _STALE_S:
                    path.unlink()

    def _set_aside_files(self) -> list[Path]:
        return sorted(self.unopened.glob(f"*{_SUFFIX}"))


def _open(blob: bytes, keys: Sequence[Key]) -> bytes:
    for key in keys[:-1]:
        try:
            return zlib.decompress(key.open(blob))
        except VaultError:
            continue
    return zlib.decompress(keys[-1].open(blob))
