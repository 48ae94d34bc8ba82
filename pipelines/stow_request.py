"""One STOW-RS request: its multipart body read as it comes, each object kept, then the answer."""

from __future__ import annotations

import hmac
import logging
import re
import time
from collections.abc import Callable, Container, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar

import msgspec

from dose_lib.dicom.identify import ObjectHead, peek
from dose_lib.errors import OutOfRoomError, ReadError, ReceiveError
from pipelines.classes import DOSE_CLASSES, IMAGE_CLASSES
from pipelines.collect.multipart import (
    BodyPart,
    BrokenMultipartError,
    boundary_of,
    media_type,
    parameters,
    read_parts,
)
from pipelines.envelope import make_receipt, transfer_syntax_of
from pipelines.message import ELEMENTS_DISCARDED
from pipelines.pixels import Pixels
from pipelines.spool import Spool

log = logging.getLogger(__name__)

_PATH = re.compile(r"(?:/dicom-web)?/studies(?:/(?P<study>[0-9.]{1,64}))?/?")
_DICOM, _JSON = "application/dicom", "application/dicom+json"
_PIECE = 65_536
_LONGEST_S = 600.0  # one request, so that a slow drip does not keep its place for ever
_MOST_OBJECTS = 200  # times the size of the largest object: the longest body
_LONGEST_LINE = 1024

# Failure reasons, PS3.4 table B.2-1 and PS3.18 annex I
_NO_ROOM, _NOT_THIS_STUDY, _NOT_READABLE = 0xA700, 0xA900, 0xC000
_NOT_TAKEN, _FAILED = 0x0122, 0x0110


class _Answer(msgspec.Struct):
    """What became of the objects of one request."""

    kept: list[dict[str, Any]] = msgspec.field(default_factory=list)
    failed: list[dict[str, Any]] = msgspec.field(default_factory=list)
    other: list[dict[str, Any]] = msgspec.field(default_factory=list)
    reasons: set[int] = msgspec.field(default_factory=set)
    is_cut: bool = False

    def keep(self, sop_class: str | None, uid: str | None, warning: int | None = None) -> None:
        told = {} if warning is None else {"00081196": {"vr": "US", "Value": [warning]}}
        self.kept.append(_reference(sop_class, uid) | told)
        self.is_cut |= warning is not None

    def fail(self, reason: int, sop_class: str | None = None, uid: str | None = None) -> None:
        self.reasons.add(reason)
        why = {"00081197": {"vr": "US", "Value": [reason]}}
        if sop_class and uid:
            self.failed.append(_reference(sop_class, uid) | why)
        else:
            self.other.append(why)

    @property
    def status(self) -> int:
        """PS3.18 table 10.5.3-1."""
        if not (self.failed or self.other):
            return 400 if not self.kept else 202 if self.is_cut else 200
        if self.kept:
            return 202
        return 503 if self.reasons == {_NO_ROOM} else 409

    def body(self) -> bytes:
        tables = {"00081199": self.kept, "00081198": self.failed, "0008119A": self.other}
        return msgspec.json.encode(
            {tag: {"vr": "SQ", "Value": rows} for tag, rows in tables.items() if rows}
        )


class _RefusedError(Exception):
    """A request that cannot be served: status and a sentence for the sender."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words


class Handler(BaseHTTPRequestHandler):
    """Serves the requests of one connection; the server fills in the class's attributes."""

    spool: ClassVar[Spool]
    pixels: ClassVar[Pixels]
    takes_images: ClassVar[bool]
    says_cut: ClassVar[bool]
    token: ClassVar[bytes]
    most_bytes: ClassVar[int]
    count: ClassVar[Callable[[str], None]]

    protocol_version = "HTTP/1.1"
    server_version = "DoseLoop"
    sys_version = ""

    def do_POST(self) -> None:
        """Keep the objects of the body."""
        try:
            study = self._check()
            answer = self._take_all(study)
        except _RefusedError as error:
            self._refuse(error.status, error.words)
        except BrokenMultipartError as error:
            self._refuse(400, f"{error.seen}; what came whole before that is kept")
        except (OSError, TimeoutError):
            self.close_connection = True  # the sender is gone, and learns nothing
        else:
            self._reply(answer.status, _JSON, answer.body())

    def do_GET(self) -> None:
        """Nothing can be read here."""
        self._refuse(405, "only POST: nothing can be read here")

    def handle_expect_100(self) -> bool:
        """Ask for the body only of a request that is going to be served."""
        try:
            self._check()
        except _RefusedError as error:
            self._refuse(error.status, error.words)
            return False
        return super().handle_expect_100()

    # --- the request ------------------------------------------------------------------

    def _check(self) -> str | None:
        """The study that the path names, if the request can be served."""
        kind, _, shown = (self.headers.get("Authorization") or "").partition(" ")
        is_known = hmac.compare_digest(shown.strip().encode(), self.token)
        if kind.lower() != "bearer" or not is_known:
            type(self).count("denied")
            raise _RefusedError(401, "a token is needed")
        match = _PATH.fullmatch(self.path.partition("?")[0])
        if match is None:
            raise _RefusedError(404, "POST to /studies or /studies/UID")
        given = self.headers.get("Content-Type", "")
        inner = media_type(parameters(given).get("type", _DICOM))
        if media_type(given) != "multipart/related" or inner != _DICOM:
            raise _RefusedError(415, f'multipart/related; type="{_DICOM}" is taken')
        return match["study"]

    def _take_all(self, study: str | None) -> _Answer:
        answer = _Answer()
        boundary = boundary_of(self.headers.get("Content-Type", ""))
        body = self._body()
        for part in read_parts(body, boundary, most_bytes=self.most_bytes):
            self._take(part, study, answer)
        for _ in body:  # what stands behind the last boundary: the next request comes after it
            pass
        return answer

    def _take(self, part: BodyPart, study: str | None, answer: _Answer) -> None:
        """Keep one object: it is on disk when this returns."""
        head = _head_of(part)
        classes = {**DOSE_CLASSES, **IMAGE_CLASSES} if self.takes_images else DOSE_CLASSES
        reason = _reason_against(part, head, study, classes)
        if reason is None and part.content is not None and head is not None:
            reason = self._keep(part.content, head)
        names = (head.sop_class, head.sop_instance_uid) if head else (None, None)
        if reason in (None, ELEMENTS_DISCARDED):
            type(self).count("taken")
            answer.keep(*names, reason if self.says_cut else None)
        else:
            type(self).count("turned_away")
            log.warning("object refused", extra={"reason": f"0x{reason:04X}"})
            answer.fail(reason, *names)

    def _keep(self, data: bytes, head: ObjectHead) -> int | None:
        """Into the spool; the reason if that fails, or not all of it was kept."""
        kept = self.pixels.keep(data)
        receipt = make_receipt(
            kept.data,
            "dicomweb",
            caller="STOW-RS",
            address=self.client_address[0],
            sop_class=head.sop_class,
            sop_instance_uid=head.sop_instance_uid,
            transfer_syntax=transfer_syntax_of(kept.data) or head.transfer_syntax,
            derived=kept.derived,
        )
        try:
            self.spool.put(kept.data, receipt)
        except OutOfRoomError:
            return _NO_ROOM
        except ReceiveError as error:
            log.exception("object could not be kept", exc_info=error)
            return _FAILED
        return ELEMENTS_DISCARDED if kept.has_dropped else None

    def _body(self) -> Iterator[bytes]:
        """The body as it comes in, with or without a length, within limits."""
        until, n = time.monotonic() + _LONGEST_S, 0
        for piece in self._chunked() if self._is_chunked() else self._counted():
            n += len(piece)
            if n > _MOST_OBJECTS * self.most_bytes:
                raise _RefusedError(413, "the request is too long")
            if time.monotonic() > until:
                raise _RefusedError(408, "the request takes too long")
            yield piece

    def _is_chunked(self) -> bool:
        coding = self.headers.get("Transfer-Encoding", "").strip().lower()
        if coding not in ("", "chunked") or (coding and "Content-Length" in self.headers):
            raise _RefusedError(400, "this transfer encoding is not taken")
        return coding == "chunked"

    def _counted(self) -> Iterator[bytes]:
        text = self.headers.get("Content-Length", "")
        if not text.isascii() or not text.isdigit():
            raise _RefusedError(411, "the length is missing")
        left = int(text)
        while left and (piece := self.rfile.read1(min(left, _PIECE))):
            left -= len(piece)
            yield piece

    def _chunked(self) -> Iterator[bytes]:
        while size := self._chunk_size():
            while size:
                piece = self.rfile.read1(min(size, _PIECE))
                if not piece:
                    return
                size -= len(piece)
                yield piece
            self.rfile.readline(_LONGEST_LINE)
        while self.rfile.readline(_LONGEST_LINE).strip():  # trailers say nothing to us
            pass

    def _chunk_size(self) -> int:
        line = self.rfile.readline(_LONGEST_LINE).partition(b";")[0].strip()
        try:
            return int(line, 16) if line.isalnum() else 0
        except ValueError:
            raise _RefusedError(400, "the length of a chunk cannot be read") from None

    # --- the answer -------------------------------------------------------------------

    def _refuse(self, status: int, words: str) -> None:
        self.close_connection = True  # what is left of the body is not read
        self._reply(status, "text/plain; charset=utf-8", words.encode() + b"\n")

    def _reply(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        if status == 405:
            self.send_header("Allow", "POST")
        if status == 503:
            self.send_header("Retry-After", "60")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing here: a path may name a study."""


def _head_of(part: BodyPart) -> ObjectHead | None:
    if part.content is None or part.kind not in (_DICOM, ""):
        return None
    try:
        return peek(part.content)
    except ReadError:
        return None


def _reason_against(
    part: BodyPart, head: ObjectHead | None, study: str | None, classes: Container[str]
) -> int | None:
    """Why an object is not taken, before anything is written."""
    if part.content is None:
        return _NO_ROOM
    if head is None:
        return _NOT_READABLE
    if head.sop_class not in classes:
        return _NOT_TAKEN
    return None if study in (None, head.study_uid) else _NOT_THIS_STUDY


def _reference(sop_class: str | None, uid: str | None) -> dict[str, Any]:
    return {
        "00081150": {"vr": "UI", "Value": [sop_class]},
        "00081155": {"vr": "UI", "Value": [uid]},
    }
