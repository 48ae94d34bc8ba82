"""The desk: where other processes of this machine ask the vault, and are asked who they are.

A Unix socket, no network. The kernel names the account at the other end; its role decides.
"""

from __future__ import annotations

import grp
import logging
import os
import socket
import socketserver
import struct
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec

from dose_lib.errors import DoseError, SettingsError, UsageError
from dose_lib.settings import Settings
from dose_lib.store.keyfile import private_folder
from dose_lib.vault import protocol as say
from dose_lib.vault.dispatch import answer
from dose_lib.vault.people import Caller
from dose_lib.vault.vault import Vault

log = logging.getLogger(__name__)

_SECONDS_TO_ASK = 5.0
_AT_ONCE = 32
_LOOK_S = 0.05  # between looks whether to stop
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid (unix(7), SO_PEERCRED)
_LONGEST_PATH = 100  # the kernel takes 107 bytes


def socket_file(settings: Settings) -> Path:
    """Where the desk is."""
    return settings.vault_socket or settings.run_dir / "vault.sock"


class Desk:
    """A running desk.

    Parameters
    ----------
    vault
        The opened vault: whoever holds it open may replace a socket left by a crash.

    Raises
    ------
    SettingsError
        If the group of the settings does not exist.
    """

    def __init__(self, vault: Vault) -> None:
        self.path = socket_file(vault.settings)
        if vault.settings.vault_socket is None:
            private_folder(self.path.parent)
        self._server = _Server(self.path, vault)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_LOOK_S,), name="vault desk", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Close the desk; requests under way are finished."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, path: Path, vault: Vault) -> None:
        self.vault = vault
        self.room = threading.BoundedSemaphore(_AT_ONCE)
        self._group = vault.settings.vault_group
        path.unlink(missing_ok=True)
        super().__init__(str(path), _Handler)

    def server_bind(self) -> None:
        """Bind for the owner only, before anyone can connect; then for the group."""
        path = Path(str(self.server_address))
        with _Reachable(path) as short:
            self.socket.bind(short)
        path.chmod(0o600)
        if self._group is not None:
            os.chown(path, -1, _group_id(self._group))
            path.chmod(0o660)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve up to a number of callers at once; the others wait in the queue."""
        self.room.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self.room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one caller."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say where a defect is, never what was asked: that may name someone."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            log.error("request to the vault failed", extra={"reason": type(error).__name__})


class _Handler(socketserver.StreamRequestHandler):
    timeout = _SECONDS_TO_ASK
    server: _Server

    def handle(self) -> None:
        """Answer one line."""
        line = self.rfile.readline(say.MAX_REQUEST + 1)
        if not line:
            return
        try:
            if len(line) > say.MAX_REQUEST or not line.endswith(b"\n"):
                raise UsageError("the request is too long or cut off")
            request = say.decode_request(line)
            result = answer(self.server.vault, request, _peer(self.connection))
            reply = say.Reply(result=msgspec.Raw(msgspec.json.encode(result)))
        except DoseError as error:
            reply = say.Reply(fault=say.Fault.of(error))
        self.wfile.write(say.encode(reply))


class _Reachable:
    """A name of a socket that is short enough for the kernel, whatever its folder's name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = -1

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) <= _LONGEST_PATH:
            return str(self._path)
        self._folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._folder}/{self._path.name}"

    def __exit__(self, *_: object) -> None:
        if self._folder >= 0:
            os.close(self._folder)


def connect(path: Path, timeout: float) -> socket.socket:
    """A connection to the desk at `path`.

    Raises
    ------
    OSError
        If nobody is there, or the caller may not connect.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        with _Reachable(path) as short:
            connection.connect(short)
    except BaseException:
        connection.close()
        raise
    return connection


def _peer(connection: socket.socket) -> Caller:
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(raw)
    return Caller(uid, pid)


def _group_id(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise SettingsError(
            f"vault_group = {name!r} is no group of this machine",
            todo=f"groupadd --system {name}",
        ) from None
