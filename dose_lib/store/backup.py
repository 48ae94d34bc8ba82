"""Backup and restore of the store, while it is in use or without an owner."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from dose_lib.errors import StoreError, StoreInUseError, UsageError
from dose_lib.settings import Settings
from dose_lib.store.base import Base
from dose_lib.store.engine import open_file
from dose_lib.store.journal import Journals
from dose_lib.store.keyfile import private_folder, sync_folder, write_private
from dose_lib.store.migrate import applied_migrations, migrations

if TYPE_CHECKING:
    from dose_lib.store.owner import Store

MANIFEST = "manifest.json"
_BASE = "base"
_CHUNK = 1 << 20


class Copied(msgspec.Struct, frozen=True):
    """One file of a backup."""

    name: str
    size_bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a backup holds; written last, so that a backup without it is no backup."""

    made_at: datetime
    schema: int
    files: tuple[Copied, ...]


def backup(store: Store, folder: Path) -> Manifest:
    """Copy the open store, its journals and the base; readers are not disturbed.

    Commits wait while the file is copied. Keys are not in it: they are backed up apart, so
    that who finds the backup cannot make keys of patients. The archive of received objects
    is plain files and is copied by any means.

    Parameters
    ----------
    store
        The open store.
    folder
        A new or empty folder; made with mode 0700.

    Raises
    ------
    UsageError
        If the folder has something in it.
    StoreError
        If it cannot be written.
    """
    _check_empty(folder)
    try:
        private_folder(folder)
        with store.write_lock:
            store.checkpoint()
            schema = int(store.sql("SELECT count(*) FROM schema_migration")[0][0])
            files = [(f, f.name) for f in _files(store)]
            base = [(f, f"{_BASE}/{f.name}") for f in Base(store.settings).files()]
            copied = tuple(_copy(file, folder / name, name) for file, name in files + base)
        manifest = Manifest(datetime.now(UTC), schema, copied)
        write_private(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
    except OSError as error:
        raise StoreError(
            f"the backup cannot be written ({error.strerror})",
            where=str(folder),
            todo="Look for room and rights there, remove what is in it, and try again",
        ) from None
    return manifest


def restore(settings: Settings, folder: Path) -> Manifest:
    """Put a backup in the place of the store; what was there is kept under another name.

    Decisions made since the backup are in the journal that stays here, and are taken in
    when the store is opened.

    Raises
    ------
    StoreInUseError
        If a process has the store open.
    StoreError
        If the backup is not whole, or newer than this version.
    """
    manifest = _checked(folder)
    if manifest.schema > len(migrations()):
        raise StoreError(
            f"the backup is at schema {manifest.schema}, this version knows {len(migrations())}",
            where=str(folder),
            todo="Upgrade DoseLoop first",
        )
    target = settings.store_file
    private_folder(settings.home)
    private_folder(target.parent)
    _check_not_in_use(target)
    fresh = target.with_name(target.name + ".restored")
    shutil.copyfile(folder / manifest.files[0].name, fresh)
    fresh.chmod(0o600)
    _check_opens(fresh)
    _unite_journals(settings, folder)
    _restore_base(Base(settings), folder / _BASE)
    put_in_place(fresh, target)
    return manifest


def _unite_journals(settings: Settings, folder: Path) -> None:
    """Add what only the backup's journals know; what was decided since stays.

    Names are told as of the backup, since that is what the exams in it are called.
    """
    journals = Journals(settings.journal_dir)
    journals.move_from(settings.store_file.parent)
    for journal in journals.independent:
        known, told = set(journal.lines()), journal.beside(folder).lines()
        journal.append_lines(line for line in told if line and line not in known)
    for journal in journals.of_names:
        journal.replace(journal.beside(folder).read())


def _restore_base(base: Base, folder: Path) -> None:
    """Put back the months that are missing; those that are there may know of later erasures."""
    known = {file.name for file in base.files()}
    for file in sorted(folder.glob("*.parquet")):
        if file.name not in known:
            write_private(base.folder / file.name, file.read_bytes())


def put_in_place(fresh: Path, target: Path) -> Path | None:
    """Swap a finished store file in; returns where the former one is kept, if there was one."""
    kept: Path | None = None
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    for file in (target, target.with_name(target.name + ".wal")):
        if file.exists():
            moved = file.with_name(f"{file.name}.before-{stamp}")
            file.rename(moved)
            kept = kept or moved
    with fresh.open("rb") as stream:
        os.fsync(stream.fileno())
    fresh.rename(target)
    sync_folder(target.parent)
    return kept


def _files(store: Store) -> tuple[Path, ...]:
    """The store, what is not yet in it, and the journals; those that exist."""
    wal = store.path.with_name(store.path.name + ".wal")
    return tuple(f for f in (store.path, wal, *store.journals.files()) if f.exists())


def _check_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            "there is something already", expected="a new or empty folder", where=str(folder)
        )


def _copy(file: Path, target: Path, name: str) -> Copied:
    digest = hashlib.sha256()
    private_folder(target.parent)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with file.open("rb") as source, os.fdopen(descriptor, "wb") as sink:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            sink.write(chunk)
        sink.flush()
        os.fsync(sink.fileno())
    sync_folder(target.parent)
    return Copied(name, target.stat().st_size, digest.hexdigest())


def _checked(folder: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise StoreError("this is no backup", expected=MANIFEST, where=str(folder)) from None
    except msgspec.MsgspecError as error:
        raise StoreError(f"the manifest is damaged ({error})", where=str(folder)) from None
    for file in manifest.files:
        path = folder / file.name
        if not path.is_file() or _hash(path) != file.sha256:
            raise StoreError(
                f"{file.name} is not as it was backed up",
                expected=f"sha256 {file.sha256}",
                where=str(folder),
                todo="Take another backup, or make the store anew (`dose rebuild`)",
            )
    return manifest


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_not_in_use(target: Path) -> None:
    if target.exists():
        try:
            open_file(target).close()
        except StoreInUseError as error:
            raise StoreInUseError(
                error.seen, where=error.where, todo="Stop the service before restoring"
            ) from None
        except StoreError:
            return  # damaged: that is what a restore is for


def _check_opens(fresh: Path) -> None:
    con = open_file(fresh, read_only=True)
    try:
        _check_history(applied_migrations(con))
    finally:
        con.close()


def _check_history(applied: Sequence[tuple[int, str, str]]) -> None:
    ours = {m.number: m.sha256 for m in migrations()}
    for number, name, digest in applied:
        if ours.get(number) != digest:
            raise StoreError(f"the backup was made by another migration {name}")
