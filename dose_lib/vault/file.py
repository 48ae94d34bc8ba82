"""The opened file of the vault: one connection, one writer, and how it is made compact."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from dose_lib.errors import VaultError
from dose_lib.settings import Settings
from dose_lib.store.keyfile import private_folder
from dose_lib.vault import engine
from dose_lib.vault.keyring import Key, load_keys, new_key, publish, write_keys

_COMPACT = "compact"
_AUDIT_KEY = "audit_key"


def vault_file(settings: Settings) -> Path:
    """The encrypted file."""
    return settings.vault_dir / "identities.duckdb"


class VaultFile:
    """The opened file; any thread may use it, one at a time.

    Raises
    ------
    VaultInUseError
        If another process has it open.
    VaultError
        If the key is missing or another's, or the file is damaged or was replaced.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.path = vault_file(settings)
        private_folder(settings.home)
        private_folder(self.path.parent)
        self.keys = load_keys(settings, create=not self.path.exists())
        self.lock = threading.RLock()
        self.is_broken = False
        self.con = engine.connect(self.path.parent)
        try:
            with self._errors():
                self._attach()
                publish(settings, self.keys[0])
                self.audit_key = bytes.fromhex(self.memo(_AUDIT_KEY) or self._new_audit_key())
                if self.memo(_COMPACT):
                    self.compact()
        except BaseException:
            self.con.close()
            raise

    def _attach(self) -> None:
        """Open with the key in use; a change of keys that was interrupted is finished."""
        try:
            engine.attach(self.con, self.path, self.keys[0])
        except engine.WrongKeyError:
            if len(self.keys) == 1:
                raise
            engine.attach(self.con, self.path, self.keys[1])
            self.compact()

    def rekey(self) -> None:
        """Encrypt with a fresh key; the one before still opens what was sealed for it.

        The key file names both before the file is written anew, so that a crash at any
        instant leaves a vault that opens.
        """
        with self.lock:
            self.keys = (new_key(), self.keys[0])
            write_keys(self._settings, self.keys)
            self.compact()

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """All or nothing; on return it survives a crash of the machine.

        Raises
        ------
        VaultError
            If the file cannot be written.
        """
        with self.lock, self._errors():
            self.con.execute("BEGIN")
            try:
                yield self.con
            except BaseException:
                self.con.execute("ROLLBACK")
                raise
            self.con.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The connection, for queries."""
        with self.lock, self._errors():
            yield self.con

    def mark_for_compaction(self) -> None:
        """Remember, within the open transaction, that removed rows are still in the file."""
        self.set_memo(_COMPACT, "1")

    def compact(self, key: Key | None = None) -> None:
        """Write the file anew without anything that was removed; a crash leaves the old one.

        DuckDB marks the blocks of removed rows as free and writes over them later; a fresh
        file does not have them.
        """
        with self.lock, self._errors():
            fresh = self.path.with_suffix(".fresh")
            engine.copy_to(self.con, fresh, key or self.keys[0])
            engine.replace(self.con, self.path, fresh, key or self.keys[0])
            # Only now: a crash before this line makes the next start do it again.
            self.con.execute("DELETE FROM memo WHERE name = ?", [_COMPACT])

    def copy_to(self, path: Path) -> None:
        """Write a copy, encrypted with the same key, while the vault stays in use.

        Raises
        ------
        VaultError
            If `path` exists or cannot be written.
        """
        if path.exists():
            raise VaultError("the copy would replace a file", where=str(path))
        with self.lock, self._errors():
            fresh = self.path.with_suffix(".copy")
            try:
                engine.copy_to(self.con, fresh, self.keys[0])
                engine.move(fresh, path)
            finally:
                fresh.unlink(missing_ok=True)

    def close(self) -> None:
        """Write everything into the file and let go of it."""
        with self.lock:
            self.con.close()

    def memo(self, name: str) -> str | None:
        """A value the vault keeps for itself."""
        row = self.con.execute("SELECT value FROM memo WHERE name = ?", [name]).fetchone()
        return str(row[0]) if row else None

    def set_memo(self, name: str, value: str) -> None:
        """Keep a value, within the open transaction."""
        self.con.execute("DELETE FROM memo WHERE name = ?", [name])
        self.con.execute("INSERT INTO memo VALUES (?, ?)", [name, value])

    def _new_audit_key(self) -> str:
        key = secrets.token_hex(32)
        self.set_memo(_AUDIT_KEY, key)
        return key

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """DuckDB's errors as ours; a fatal one means that the file has to be opened anew."""
        with engine.errors_of(self.path):
            try:
                yield
            except duckdb.FatalException:
                self.is_broken = True
                raise
