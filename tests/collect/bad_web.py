"""A web archive that misbehaves as it is told: a plain HTTP server whose habits are functions."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydicom import dcmread

from dose_lib.settings import Settings
from dose_lib.simulate import SimObject
from pipelines.collect.dicomweb import open_web
from pipelines.collect.pacs import Pacs, WebArchive
from pipelines.collect.retrieve import Source
from pipelines.spool import Spool
from tests.collect.peers import LOCAL

Habit = Callable[["Request"], bool]
"""Answers a request in its own way and returns True, or leaves it to the right way."""

_KEYS = {
    "studies": ("StudyInstanceUID", "StudyDate", "StudyTime"),
    "series": ("StudyInstanceUID", "SeriesInstanceUID", "Modality"),
    "instances": ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"),
}


class Request:
    """One request, and the means to answer it."""

    def __init__(self, handler: BaseHTTPRequestHandler, web: BadWeb) -> None:
        self.handler, self.web = handler, web
        parts = urlsplit(handler.path)
        self.path = [p for p in parts.path.split("/") if p][1:]  # behind /rs
        self.query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        self.headers = handler.headers

    @property
    def is_search(self) -> bool:
        """True for QIDO-RS."""
        return self.path[-1] in _KEYS

    @property
    def is_object(self) -> bool:
        """True where an object is asked for as such."""
        return len(self.path) == 6

    def reply(
        self, status: int, body: bytes = b"", kind: str | None = None, **headers: str
    ) -> bool:
        """A whole answer."""
        h = self.handler
        h.send_response(status)
        if kind:
            h.send_header("Content-Type", kind)
        for name, value in headers.items():
            h.send_header(name.replace("_", "-"), value)
        h.send_header("Content-Length", str(len(body)))
        h.end_headers()
        h.wfile.write(body)
        return True

    def begin(self, kind: str, status: int = 200) -> None:
        """The head of an answer without a length; the connection's end is its end."""
        h = self.handler
        h.send_response(status)
        h.send_header("Content-Type", kind)
        h.send_header("Connection", "close")
        h.end_headers()
        h.close_connection = True

    def write(self, data: bytes) -> None:
        """Some of the body, at once."""
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def rows(self) -> list[dict[str, Any]]:
        """What a right answer to a search holds, before paging."""
        level = self.path[-1]
        found: dict[str, dict[str, Any]] = {}
        for one in self.web.data:
            if len(self.path) > 1 and str(one.StudyInstanceUID) != self.path[1]:
                continue
            if "StudyDate" in self.query and str(one.StudyDate) != self.query["StudyDate"]:
                continue
            row = json.loads(one.to_json(suppress_invalid_tags=True))
            row = {t: row[t] for t in (f"{one[k].tag:08X}" for k in _KEYS[level]) if t in row}
            found[str(one[_KEYS[level][-1] if level == "instances" else _KEYS[level][0]].value)] = (
                row
            )
        return list(found.values())

    def right(self) -> bool:
        """The answer that follows the standard."""
        if self.is_search:
            offset = int(self.query.get("offset", 0))
            page = self.rows()[offset : offset + int(self.query.get("limit", 100))]
            return self.reply(200, json.dumps(page).encode(), "application/dicom+json")
        uid = self.path[5]
        one = next((o for o in self.web.objects if o.sop_instance_uid == uid), None)
        if one is None:
            return self.reply(404)
        if self.path[-1] == "metadata":
            text = dcmread(BytesIO(one.data)).to_json()
            return self.reply(200, f"[{text}]".encode(), "application/dicom+json")
        body = b"--XX\r\nContent-Type: application/dicom\r\n\r\n" + one.data + b"\r\n--XX--\r\n"
        return self.reply(200, body, 'multipart/related; type="application/dicom"; boundary=XX')


class BadWeb:
    """Holds objects, answers rightly, except where a habit says otherwise."""

    def __init__(self, objects: list[SimObject], habit: Habit | None = None) -> None:
        self.objects, self.habit = objects, habit
        self.data = [dcmread(BytesIO(o.data)) for o in objects]
        self.seen: list[Request] = []
        self.over = threading.Event()
        self.url = ""

    @contextmanager
    def running(self, tls: ssl.SSLContext | None = None) -> Iterator[BadWeb]:
        """Listens until it is left."""
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                request = Request(self, web)
                web.seen.append(request)
                try:
                    if web.habit is None or not web.habit(request):
                        request.right()
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True  # the client has had enough

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer((LOCAL, 0), Handler)
        server.daemon_threads = True
        if tls is not None:
            server.socket = tls.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        port = server.server_address[1]
        self.url = f"https://localhost:{port}/rs" if tls else f"http://{LOCAL}:{port}/rs"
        try:
            yield self
        finally:
            self.over.set()
            server.shutdown()
            thread.join()
            server.server_close()

    def describe(self, **more: object) -> WebArchive:
        """Its description."""
        given: dict[str, object] = {"name": "web", "url": self.url}
        given |= {"timeout_s": 5.0, "studies_per_minute": 0, "attempts": 2}
        return WebArchive.model_validate(given | more)

    def open(self, archive: Pacs | WebArchive, settings: Settings) -> Source:
        """It, ready to be asked."""
        assert isinstance(archive, WebArchive)
        return open_web(archive, settings, Spool(settings.spool_dir))

    def count(self, what: Callable[[Request], bool]) -> int:
        """Requests of a kind."""
        return sum(map(what, self.seen))
