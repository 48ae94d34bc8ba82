"""The HL7 listener: MLLP frames in, sizes and merges kept, an answer to each message.

Off unless `hl7_port` is set. `python -m pipelines.collect.mllp` is the part `hl7` of the
service. A message is answered AA only when its sizes and merges are flushed to the disk. No value
of it reaches a log, and only a merge that cannot be applied is kept itself (see `merges`).
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from types import TracebackType

import msgspec

from dose_lib import Settings
from dose_lib.errors import ReceiveError, SettingsError
from dose_lib.records import SizeSource
from pipelines.collect.hl7 import (
    Header,
    RefusedMessageError,
    Told,
    acknowledge,
    read_header,
    read_sizes,
)
from pipelines.collect.merges import EVENTS, Merges
from pipelines.collect.sizes import Pseudonyms, SizeInbox
from pipelines.heartbeat import Heartbeat, Value
from pipelines.listener import HL7
from pipelines.process import Stop, run_part

log = logging.getLogger(__name__)

PART = "hl7"

START, END, RETURN = b"\x0b", b"\x1c", b"\r"
_IDLE_S, _WITHIN_S = 600.0, 30.0  # between messages, and within one
_MOST_CALLERS = 32
_LOOK_S = 1.0  # between looks whether the certificate was changed
_KEPT_OF_LONG = 4096  # of a message that is too long: enough for an answer


class Frame(msgspec.Struct, frozen=True):
    """A message out of its frame; `fault` says why it is not whole."""

    content: bytes
    fault: str | None = None


class Frames:
    """Takes a stream of bytes apart into messages (HL7 v2 MLLP: VT message FS CR).

    Parameters
    ----------
    most_bytes
        Longest message; what goes beyond is dropped as it comes in.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._inside = self._is_long = False
        self._content = bytearray()

    @property
    def is_inside(self) -> bool:
        """True while a message has begun and not ended."""
        return self._inside

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Messages, and faults, that these bytes complete."""
        while data:
            if not self._inside:
                before, start, data = data.partition(START)
                if before.strip(b"\r\n" + END):
                    yield Frame(b"", "bytes outside a frame")
                self._begin(is_inside=bool(start))
                continue
            piece, end, rest = data.partition(END)
            broken, again, after = piece.partition(START)
            if again:
                # No answer: its sender has begun anew, and waits for the answer to that.
                yield Frame(b"", "a message without an end before the next")
                self._begin(is_inside=True)
                data = after + end + rest
                continue
            self._add(broken)
            if end:
                fault = f"longer than {self._most} bytes" if self._is_long else None
                yield Frame(bytes(self._content), fault)
                self._begin(is_inside=False)
            data = rest

    def _begin(self, *, is_inside: bool) -> None:
        self._inside, self._is_long = is_inside, False
        self._content.clear()

    def _add(self, piece: bytes) -> None:
        if not self._is_long and len(self._content) + len(piece) > self._most:
            self._is_long = True
            del self._content[_KEPT_OF_LONG:]
            self._content += piece[: max(0, _KEPT_OF_LONG - len(self._content))]
        elif not self._is_long:
            self._content += piece


class Feed:
    """What becomes of one message: its sizes kept, an answer made.

    Parameters
    ----------
    settings
        Of the installation.
    inbox
        Where sizes go.
    """

    def __init__(self, settings: Settings, inbox: SizeInbox | None = None) -> None:
        self._zone = settings.timezone
        self._inbox = inbox or SizeInbox(settings)
        self._pseudonyms = Pseudonyms(settings)
        self._merges = Merges(settings, self._pseudonyms)
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()

    def take(self, frame: Frame, now: datetime | None = None) -> bytes | None:
        """The answer to a message; None where there is nobody to answer."""
        at = now or datetime.now(UTC)
        header = read_header(frame.content)
        if header is None:
            self.note("faults")
            log.warning("hl7 frame", extra={"reason": frame.fault or "no MSH segment"})
            return None
        try:
            if frame.fault is not None:
                raise RefusedMessageError("AR", 100, frame.fault)
            told = self._keep(frame.content, header, at)
        except RefusedMessageError as error:
            return self._refuse(header, error, at)
        except ReceiveError as error:
            log.error("sizes are not kept", extra={"reason": str(error)})
            refused = RefusedMessageError("AE", 207, "it cannot be kept now; send it again")
            return self._refuse(header, refused, at)
        self.note("messages")
        self.note("sizes", len(told.sizes))
        for why in told.unused:
            self.note("unused")
            log.info("size not used", extra={"reason": why})
        text = "; ".join(dict.fromkeys(told.unused))[:80]
        return acknowledge(header, "AA", at, text=text)

    def note(self, what: str, n: int = 1) -> None:
        """Count something, for the heartbeat."""
        with self._lock:
            self.counts[what] += n

    def _keep(self, content: bytes, header: Header, at: datetime) -> Told:
        told = read_sizes(content, header, zone=self._zone, now=at)
        self._inbox.put(self._pseudonyms.pseudonymise(told.sizes, SizeSource.HL7, at))
        if header.kind == "ADT" and header.event in EVENTS:
            self.note("merges", self._merges.take(content, header, at))
        return told

    def _refuse(self, header: Header, error: RefusedMessageError, at: datetime) -> bytes:
        self.note("refused")
        log.warning("hl7 message refused", extra={"reason": error.text, "status": error.code})
        return acknowledge(header, error.code, at, text=error.text, number=error.number)


class _Handler(socketserver.BaseRequestHandler):
    server: Mllp

    def handle(self) -> None:
        line: socket.socket = self.request
        frames = Frames(self.server.most_bytes)
        line.settimeout(_IDLE_S)
        try:
            while data := line.recv(65536):
                for frame in frames.feed(data):
                    if answer := self.server.feed.take(frame):
                        line.sendall(START + answer + END + RETURN)
                line.settimeout(_WITHIN_S if frames.is_inside else _IDLE_S)
        except (TimeoutError, OSError):
            pass  # it left, or fell silent; what was answered is kept
        if frames.is_inside:
            self.server.feed.note("faults")
            log.warning("hl7 frame", extra={"reason": "the connection ended within a message"})


class Mllp(socketserver.ThreadingTCPServer):
    """The listener, from its start until it is left.

    Parameters
    ----------
    settings
        Of the installation; `hl7_port` is set, 0 chooses a free one.
    feed
        What becomes of messages.

    Raises
    ------
    PortInUseError
        If another process listens there.
    SettingsError
        If anyone could send from beyond loopback, or the TLS files cannot be used.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 16

    def __init__(self, settings: Settings, feed: Feed | None = None) -> None:
        HL7.check_exposure(settings)
        self.most_bytes = settings.hl7_max_message_kb * 1024
        self.feed = feed or Feed(settings)
        self._allowed = [_network(text) for text in settings.hl7_peers]
        self.tls = HL7.encryption(settings)
        self._room = threading.BoundedSemaphore(_MOST_CALLERS)
        if ":" in settings.hl7_host:
            self.address_family = socket.AF_INET6
        address = (settings.hl7_host, settings.hl7_port or 0)
        try:
            super().__init__(address, _Handler)
        except OSError as error:
            raise HL7.cannot_listen(settings, error) from None
        self._thread = threading.Thread(target=self.serve_forever, name="hl7", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def __enter__(self) -> Mllp:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()
        self.server_close()

    def verify_request(self, request: object, client_address: object) -> bool:
        """True for a caller on the allow-list, while there is room."""
        caller = str(client_address[0])  # type: ignore[index]
        if self._allowed and not any(ipaddress.ip_address(caller) in n for n in self._allowed):
            self.feed.note("unknown_callers")
            log.warning("hl7 caller is not allowed", extra={"address": caller})
            return False
        return True

    def process_request_thread(self, request: object, client_address: object) -> None:
        """One caller; TLS is agreed on here, where a slow one keeps nobody else waiting."""
        line: socket.socket = request  # type: ignore[assignment]
        if not self._room.acquire(blocking=False):
            log.warning("too many hl7 callers")
            self.shutdown_request(line)
            return
        try:
            line.settimeout(_WITHIN_S)
            line = self.tls.wrap(line)
            super().process_request_thread(line, client_address)
        except OSError as error:
            log.warning("hl7 caller lost", extra={"reason": type(error).__name__})
            self.shutdown_request(line)
        finally:
            self._room.release()


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise SettingsError(
            f"{text!r} is no network address ({error})",
            expected="an address or a network, such as 10.1.2.3 or 10.1.2.0/24",
            where="hl7_peers",
        ) from None


def serve(settings: Settings, stop: Stop) -> None:
    """Listen until `stop` is set."""
    with Mllp(settings) as listener:
        log.info("hl7 listener", extra={"port": listener.port})

        def facts() -> dict[str, Value]:
            return {"port": listener.port, **listener.feed.counts}

        with Heartbeat(settings.run_dir, PART, facts, lambda: listener.tls.problem):
            while not stop.wait(_LOOK_S):
                listener.tls.look()


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of the process."""
    return run_part(PART, serve, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
