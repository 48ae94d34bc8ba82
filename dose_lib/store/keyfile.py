"""The site key and other secrets in files: private folders, private files, made once."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from dose_lib.errors import StoreError
from dose_lib.settings import Settings

SITE_KEY_BYTES = 32


def private_folder(folder: Path) -> Path:
    """Make a folder that only its owner may enter (0700), and return it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def write_private(path: Path, data: bytes) -> None:
    """Write a file of mode 0600 whole or not at all: temporary name, fsync, rename."""
    private_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def site_key(settings: Settings) -> bytes:
    """Secret behind the pseudonymous keys of patients and staff; made at first use.

    The file `keys/site.key` has mode 0600 and 64 hexadecimal digits. Without it the same
    patient gets another key, so it is backed up, apart from the data.

    Raises
    ------
    StoreError
        If the file is readable by others or holds no key.
    """
    path = settings.keys_dir / "site.key"
    try:
        return _read_key(path)
    except FileNotFoundError:
        pass
    private_folder(settings.keys_dir)
    temporary = path.with_name(f".site.key.{secrets.token_hex(4)}")
    write_private(temporary, secrets.token_hex(SITE_KEY_BYTES).encode() + b"\n")
    try:
        # A link fails where the name exists: of two processes that start at once, one wins.
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
    sync_folder(path.parent)
    return _read_key(path)


def _read_key(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise StoreError(
            "the site key is readable by other users",
            expected="mode 0600",
            where=str(path),
            todo=f"chmod 600 {path}, and think about who may have read it",
        )
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (ValueError, UnicodeDecodeError):
        key = b""
    if len(key) != SITE_KEY_BYTES:
        raise StoreError(
            "the site key file holds no key",
            expected=f"{2 * SITE_KEY_BYTES} hexadecimal digits",
            where=str(path),
            todo="Restore it from its backup: with a new key, earlier patients get new keys",
        )
    return key
