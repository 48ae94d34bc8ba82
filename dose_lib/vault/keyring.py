"""The vault's key file, and how identities are sealed on their way into the vault.

Whoever reads objects seals what identifies with the public half (HPKE, RFC 9180); only the
vault, which holds the secret half, can open it. So the reader, the owner of the store and
the folder between them and the vault hold nothing that can be read.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dose_lib.errors import VaultError
from dose_lib.settings import Settings
from dose_lib.store.keyfile import private_folder, sync_folder, write_private

KEY_BYTES = 32
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_INFO = b"doseloop vault inbox 1"


class Key:
    """One secret: opens the vault's file and what was sealed for it; hidden in `repr`."""

    __slots__ = ("_private", "_secret")

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._private = X25519PrivateKey.from_private_bytes(self._derive(b"inbox"))

    def __repr__(self) -> str:
        return "<Key: hidden>"

    @property
    def file_key(self) -> str:
        """What DuckDB encrypts the file with."""
        return self._derive(b"file").hex()

    @property
    def public(self) -> bytes:
        """The half that seals."""
        return self._private.public_key().public_bytes_raw()

    def open(self, sealed: bytes) -> bytes:
        """What was sealed for this key.

        Raises
        ------
        VaultError
            If it was sealed for another key or has been changed.
        """
        try:
            return _SUITE.decrypt(sealed, self._private, _INFO)
        except (InvalidTag, ValueError):
            raise VaultError(
                "sealed identities cannot be opened",
                expected="bytes sealed for this vault's key, unchanged",
                todo="Restore the key that was in use, or rebuild from the archive",
            ) from None

    def as_line(self) -> bytes:
        """Its line in the key file."""
        return self._secret.hex().encode() + b"\n"

    def _derive(self, purpose: bytes) -> bytes:
        return HKDF(SHA256(), KEY_BYTES, None, b"doseloop vault " + purpose).derive(self._secret)


def new_key() -> Key:
    """A fresh random key."""
    return Key(secrets.token_bytes(KEY_BYTES))


def key_file(settings: Settings) -> Path:
    """The key file: the newest key first, below it the one before."""
    return settings.keys_dir / "vault.key"


def public_file(settings: Settings) -> Path:
    """The half that seals; no secret."""
    return settings.keys_dir / "vault.pub"


def load_keys(settings: Settings, *, create: bool = False) -> tuple[Key, ...]:
    """Keys of the vault, the one in use first.

    Parameters
    ----------
    settings
        Of the installation.
    create
        Make a key where there is none; only right where there is no vault either.

    Raises
    ------
    VaultError
        If the file is missing, readable by others, or holds no key.
    """
    path = key_file(settings)
    if create and not path.exists():
        _create(path)
    try:
        mode = path.stat().st_mode
        lines = path.read_text(encoding="ascii").split()
        keys = tuple(Key(_secret(line)) for line in lines)
    except FileNotFoundError:
        raise VaultError(
            "the key of the identity vault is missing",
            where=str(path),
            todo="Restore it from its backup; without it nobody can read the vault",
        ) from None
    except (OSError, ValueError) as error:
        raise VaultError(
            "the key file of the identity vault cannot be used",
            expected=f"a line of {2 * KEY_BYTES} hexadecimal digits",
            where=str(path),
            todo="Restore it from its backup",
        ) from error
    if mode & 0o077:
        raise VaultError(
            "the key of the identity vault is readable by other users",
            expected="mode 0600",
            where=str(path),
            todo=f"chmod 600 {path}, make a new key (`dose vault rekey`), and think about who"
            " may have read it",
        )
    if not keys:
        raise VaultError("the key file of the identity vault is empty", where=str(path))
    return keys


def write_keys(settings: Settings, keys: tuple[Key, ...]) -> None:
    """Replace the key file, and the public half beside it."""
    write_private(key_file(settings), b"".join(key.as_line() for key in keys))
    publish(settings, keys[0])


def publish(settings: Settings, key: Key) -> None:
    """Write the public half, unless it is there already."""
    path = public_file(settings)
    if not path.exists() or path.read_bytes() != key.public:
        write_private(path, key.public)


def seal(settings: Settings, content: bytes) -> bytes:
    """Seal `content` so that only the vault can open it.

    The key pair is made at first use, so that no identity ever waits for the vault's start.

    Raises
    ------
    VaultError
        If there is a vault but its key is missing.
    """
    path = public_file(settings)
    try:
        public = path.read_bytes()
    except FileNotFoundError:
        has_vault = (settings.vault_dir / "identities.duckdb").exists()
        publish(settings, load_keys(settings, create=not has_vault)[0])
        public = path.read_bytes()
    return _SUITE.encrypt(content, X25519PublicKey.from_public_bytes(public), _INFO)


def _secret(line: str) -> bytes:
    secret = bytes.fromhex(line)
    if len(secret) != KEY_BYTES:
        raise ValueError(f"{len(secret)} bytes")
    return secret


def _create(path: Path) -> None:
    private_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    write_private(temporary, new_key().as_line())
    try:
        # A link fails where the name exists: of two processes that start at once, one wins.
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
    sync_folder(path.parent)
