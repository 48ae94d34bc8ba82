"""The door: how other processes hand the owner a decision. Loopback, token, small, checked.

`POST /decisions` with the token of `run/door.json` and the JSON of one decision, or of a
list that is kept whole or not at all; `POST /findings` with the JSON of a list of findings;
`POST /backup` with the JSON of a folder's name.
Nothing else is here: reading goes through the store's own server, and nobody but the owner
writes.
"""

from __future__ import annotations

import hmac
import logging
import os
import secrets
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer

import duckdb
import msgspec

from dose_lib.errors import DoseError
from dose_lib.records import Decision, Finding
from dose_lib.store.decision import check_decision
from dose_lib.store.endpoint import LOOPBACK, Endpoint
from dose_lib.store.findings import check_finding

MAX_BODY_BYTES = 200_000
MAX_AT_ONCE = 500
_SECONDS_PER_REQUEST = 10

log = logging.getLogger(__name__)

Decide = Callable[[Sequence[Decision]], Sequence[Decision]]
Backup = Callable[[Path], object]
OpenFindings = Callable[[Sequence[Finding]], Sequence[Finding]]


class _Server(ThreadingHTTPServer):
    """Without the name service: the standard class asks it for a name at start."""

    daemon_threads = True

    def server_bind(self) -> None:
        TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, self.server_address[1]


class Door:
    """A running door.

    Parameters
    ----------
    decide
        Appends checked decisions and returns them as kept.
    backup
        Copies the store into a folder and returns what is in it.
    open_findings
        Writes checked findings and returns the new ones.
    """

    def __init__(self, decide: Decide, backup: Backup, open_findings: OpenFindings) -> None:
        token = secrets.token_urlsafe(32)
        ways = {
            "decide": staticmethod(decide),
            "backup": staticmethod(backup),
            "open_findings": staticmethod(open_findings),
            "token": token,
        }
        handler = type("Handler", (_Handler,), ways)
        self._server = _Server((LOOPBACK, 0), handler)
        port = self._server.server_address[1]
        self.endpoint = Endpoint(f"http://{LOOPBACK}:{port}/decisions", token, os.getpid())
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="store door", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Close the door; requests under way are finished."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    decide: Decide
    backup: Backup
    open_findings: OpenFindings
    token: str
    timeout = _SECONDS_PER_REQUEST
    server_version = "DoseLoop"
    sys_version = ""

    def do_POST(self) -> None:
        """Take in decisions or findings, or make a backup."""
        if self.path not in ("/decisions", "/findings", "/backup"):
            return self._reply(404, {"seen": "there is no such page"})
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            return self._reply(401, {"seen": "the token is missing or wrong"})
        body = self._body()
        if body is None:
            return None
        try:
            result = self._do(body)
        except DoseError as error:
            return self._reply(422, _fields(error))
        except duckdb.Error as error:
            log.error("a decision could not be kept: %s", type(error).__name__)
            return self._reply(503, {"seen": "the store could not keep it; nothing was kept"})
        return self._reply(200, result)

    def _do(self, body: bytes) -> object:
        if self.path == "/backup":
            return self.backup(_folder(body))
        if self.path == "/findings":
            return self.open_findings(_findings(body))
        return self.decide(_decisions(body))

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            self._reply(411, {"seen": "the length is missing"})
            return None
        if int(length) > MAX_BODY_BYTES:
            self._reply(413, {"seen": f"more than {MAX_BODY_BYTES} bytes"})
            return None
        return self.rfile.read(int(length))

    def _reply(self, status: int, content: object) -> None:
        body = msgspec.json.encode(content)
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: subjects and tokens do not belong in a log."""


def _decisions(body: bytes) -> list[Decision]:
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise DoseError("the body is no JSON, or is nested too deeply") from None
    several = given if isinstance(given, list) else [given]
    if not 1 <= len(several) <= MAX_AT_ONCE:
        raise DoseError(f"{len(several)} decisions", expected=f"1 to {MAX_AT_ONCE}")
    return [check_decision(one) for one in several]


def _findings(body: bytes) -> list[Finding]:
    try:
        given = msgspec.json.decode(body, type=list[Finding])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise DoseError(f"the body is no list of findings ({error})") from None
    if not 1 <= len(given) <= MAX_AT_ONCE:
        raise DoseError(f"{len(given)} findings", expected=f"1 to {MAX_AT_ONCE}")
    return [check_finding(one) for one in given]


def _folder(body: bytes) -> Path:
    try:
        folder = Path(msgspec.json.decode(body, type=str))
    except (msgspec.MsgspecError, ValueError):
        raise DoseError("the body is no name of a folder") from None
    if not folder.is_absolute():
        raise DoseError("the folder is not named in full", where=str(folder))
    return folder


def _fields(error: DoseError) -> dict[str, str | None]:
    return {
        "seen": error.seen,
        "expected": error.expected,
        "where": error.where,
        "todo": error.todo,
    }
