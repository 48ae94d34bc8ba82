"""Opening the encrypted file, and its errors in our words."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.resources import files
from pathlib import Path

import duckdb

from dose_lib.errors import StoreError, VaultError, VaultInUseError
from dose_lib.store.keyfile import private_folder, sync_folder
from dose_lib.store.migrate import Migration, migrate
from dose_lib.vault.keyring import Key

# AES-256 with authentication: a byte that was changed is noticed, not read.
_CIPHER = "GCM"
_NAME = "identities"
_HOLDER = re.compile(r"PID (\d+)")


class WrongKeyError(VaultError):
    """The file was encrypted with another key."""


def connect(folder: Path) -> duckdb.DuckDBPyConnection:
    """An engine that can reach nothing but `folder`, and whose temporary files are encrypted.

    Raises
    ------
    VaultError
        If the wheel with the cipher is not installed.
    """
    private_folder(folder)
    con = duckdb.connect(
        ":memory:",
        config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"},
    )
    # DuckDB's built-in crypto only reads; OpenSSL, which writes, comes with this extension.
    con.execute(f"LOAD '{_quoted(_cipher_file())}'")
    # Measured on 1.5.5: without this, what is spilled from an encrypted file is readable.
    con.execute("SET temp_file_encryption = true")
    con.execute(f"SET temp_directory = '{_quoted(folder / 'tmp')}'")
    con.execute("SET memory_limit = '512MB'")
    con.execute("SET threads = 2")
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET python_enable_replacements = false")
    con.execute(f"SET allowed_directories = ['{_quoted(folder)}/']")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    return con


def attach(con: duckdb.DuckDBPyConnection, path: Path, key: Key) -> None:
    """Open the encrypted file `path`, or make it, and bring it to this version.

    Raises
    ------
    VaultInUseError
        If another process has it open.
    VaultError
        If it is not the vault of this key, or damaged.
    """
    with errors_of(path):
        _attach_as(con, path, key, _NAME)
        con.execute(f"USE {_NAME}")
        path.chmod(0o600)
        try:
            migrate(con, _migrations())
        except StoreError as error:
            raise VaultError(
                error.seen, expected=error.expected, where=str(path), todo=error.todo
            ) from None


def detach(con: duckdb.DuckDBPyConnection) -> None:
    """Write all of it into the file and let go of it."""
    con.execute(f"CHECKPOINT {_NAME}")
    con.execute("USE memory")
    con.execute(f"DETACH {_NAME}")


def copy_to(con: duckdb.DuckDBPyConnection, path: Path, key: Key) -> None:
    """Write a fresh encrypted copy of the open vault, which has to lie in its folder.

    Only what is in the vault now is copied: of deleted rows nothing is left in the copy.
    """
    for stale in (path, path.with_name(path.name + ".wal")):
        stale.unlink(missing_ok=True)
    with errors_of(path):
        _attach_as(con, path, key, "copy")
        try:
            con.execute(f"COPY FROM DATABASE {_NAME} TO copy")
            con.execute("CHECKPOINT copy")
            con.execute("DETACH copy")
        except duckdb.Error:
            # The transaction of a failed copy stays open, and would hide what failed.
            for tidy in ("ROLLBACK", "DETACH copy"):
                with suppress(duckdb.Error):
                    con.execute(tidy)
            raise
    path.chmod(0o600)
    _flush(path)


def replace(con: duckdb.DuckDBPyConnection, path: Path, fresh: Path, key: Key) -> None:
    """Put the copy `fresh` in the place of the open file `path`, and open it.

    Raises
    ------
    VaultError
        If the old file could not be closed whole; nothing was replaced then.
    """
    detach(con)
    if path.with_name(path.name + ".wal").exists():
        attach(con, path, key)
        raise VaultError("the vault's log was not written into its file", where=str(path))
    fresh.replace(path)
    sync_folder(path.parent)
    attach(con, path, key)


def move(source: Path, target: Path) -> None:
    """Move a file to a folder that may lie on another disk, whole or not at all."""
    private = target.with_name(f".{target.name}.part")
    shutil.copyfile(source, private)
    private.chmod(0o600)
    _flush(private)
    private.replace(target)
    sync_folder(target.parent)


def _attach_as(con: duckdb.DuckDBPyConnection, path: Path, key: Key, name: str) -> None:
    con.execute(
        f"ATTACH '{_quoted(path)}' AS {name} (ENCRYPTION_KEY ?, ENCRYPTION_CIPHER '{_CIPHER}')",
        [key.file_key],
    )


def _migrations() -> tuple[Migration, ...]:
    folder = files("dose_lib.vault").joinpath("migrations")
    found = sorted((e for e in folder.iterdir() if e.name.endswith(".sql")), key=lambda e: e.name)
    return tuple(
        Migration(number, entry.name, entry.read_text(encoding="utf-8"))
        for number, entry in enumerate(found, start=1)
    )


@contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """DuckDB's errors in our words; its text is judged, never passed on."""
    try:
        yield
    except (duckdb.Error, RuntimeError) as error:
        raise _translated(str(error), path) from None


def _translated(text: str, path: Path) -> VaultError:
    where = str(path)
    restore = "Restore it (`dose restore`) or make it again from the archive (`dose rebuild`)"
    holder = _HOLDER.search(text) if "lock" in text else None
    if holder or "already attached" in text:
        return VaultInUseError(
            f"process {holder.group(1) if holder else os.getpid()} has the identity vault open",
            where=where,
            todo="Ask through the running service; only one process opens the vault",
        )
    if "Wrong encryption key" in text:
        return WrongKeyError(
            "the identity vault was made with another key",
            expected="the key of keys/vault.key",
            where=where,
            todo="Restore the key and the vault of the same time",
        )
    if "is not encrypted" in text:
        return VaultError(
            "the file in the place of the identity vault is not encrypted",
            expected="a vault made by DoseLoop",
            where=where,
            todo=f"Find out who put it there. {restore}",
        )
    if "AES tag" in text or "Corrupt" in text or "not a valid" in text or "replaying" in text:
        return VaultError(
            "the identity vault is damaged or was changed by someone",
            expected="bytes that fit their authentication tags",
            where=where,
            todo=restore,
        )
    kind = text.split(":", 1)[0][:60]
    return VaultError(f"the identity vault cannot be used ({kind})", where=where, todo=restore)


def _cipher_file() -> Path:
    wheel = f"duckdb-extension-httpfs=={duckdb.__version__}"
    try:
        module = import_module("duckdb_extension_httpfs")
    except ImportError:
        found = Path("missing")
    else:
        folder = Path(next(iter(module.__path__)))
        found = folder / "extensions" / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"
    if not found.is_file():
        raise VaultError(
            "DuckDB's extension httpfs, which brings the cipher, is not installed",
            expected=wheel,
            todo=f"pip install {wheel}",
        )
    return found


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    sync_folder(path.parent)
