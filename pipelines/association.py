"""DICOM associations that wait instead of poll, and store in the thread that reads.

pynetdicom negotiates, releases, aborts and serves every rare request. Two of its habits
cost too much for the one request that matters here, measured on one association of small
dose reports with TCP_NODELAY: its two threads look for work every millisecond (201
objects/s, and a share of a core for every idle scanner), and each object passes through
three queues and a general decoder (292/s without the polling). Taking C-STORE and C-ECHO
straight from the PDU gives 540/s, each flushed to disk before its answer; dcmtk's
`storescp`, which flushes nothing, made 420/s beside it.

Limits are kept where the bytes come in: a PDU longer than agreed ends the association, an
object beyond the limit is counted but not kept and gets "out of resources", a peer that
stops in the middle of a PDU is dropped after the timeout.
"""

from __future__ import annotations

import logging
import queue
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import P_DATA

from pipelines.classes import IMAGE_CLASSES
from pipelines.headers import HeaderStream
from pipelines.message import (
    C_ECHO_RQ,
    C_STORE_RQ,
    MAX_OTHER,
    MISTYPED,
    OUT_OF_RESOURCES,
    P_DATA_TF,
    SOP_CLASS,
    SOP_INSTANCE,
    SUCCESS,
    Answer,
    Message,
    ProtocolError,
)
from pipelines.slices import MOST_PIXELS, can_measure

log = logging.getLogger(__name__)

_CONNECTED, _ESTABLISHED = "Sta2", "Sta6"  # PS3.8 tables 9-2 and 9-4
_CONNECTION_CLOSED, _INVALID_PDU = "Evt17", "Evt19"
_WAIT_S = 0.5
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux


class StoreRequest(msgspec.Struct, frozen=True):
    """One object offered by C-STORE, as it came over the wire.

    `is_cut` is true for an image of which something was dropped, `has_pixels` for one that came
    with pixel data; `pixels` are those that are held to be measured and never kept.
    """

    caller: str
    called: str
    address: str
    sop_class: str
    sop_instance_uid: str
    transfer_syntax: str
    dataset: bytes
    is_cut: bool = False
    has_pixels: bool = False
    pixels: bytes = b""


StoreHandler = Callable[[StoreRequest], Answer]


class WaitingAssociation(Association):
    """An acceptor that sleeps until something happens."""

    wake: threading.Event

    def _run_reactor(self) -> None:
        self._is_paused = False
        while not self._kill:
            self.wake.wait(_WAIT_S)
            self.wake.clear()
            while (item := self.dimse.get_msg(block=False))[1] is not None:
                self._serve_request(item[1], item[0])
            if self._is_over():
                self.kill()

    def _is_over(self) -> bool:
        if self.is_established and self.acse.is_release_requested():
            self.acse.send_release(is_response=True)
            self.is_released, self.is_established = True, False
            return True
        if self.acse.is_aborted():
            self.dul.receive_pdu(wait=False)
            self.is_aborted, self.is_established = True, False
            return True
        if not self.dul.is_alive():
            return True
        if self.dul.idle_timer_expired():
            log.warning("association idle too long", extra={"address": self.requestor.address})
            self.abort()
            return True
        return False


class StoringProvider(DULServiceProvider):
    """The upper layer of one association, taking C-STORE and C-ECHO by itself.

    Parameters
    ----------
    association
        The association it belongs to.
    handler
        Called with each object; its answer is sent when it returns.
    max_pdu
        Longest PDU accepted, bytes.
    max_object
        Largest object kept, bytes.
    """

    def __init__(
        self, association: Any, handler: StoreHandler, *, max_pdu: int, max_object: int
    ) -> None:
        super().__init__(association)
        self._handler = handler
        # Some peers count the header into the length they were allowed; be generous.
        self._max_pdu = 2 * max_pdu
        self._max_object = max_object
        self._bell, self._ring = socket.socketpair()
        self._ring.setblocking(False)
        self._run_loop_delay = 0  # we wait in select, not in sleep
        self.to_provider_queue = _BellQueue(self._ring_bell)
        self._message = Message()

    def run_reactor(self) -> None:
        """Serve the association until it ends."""
        # pynetdicom leaves the connection open where the peer has closed it first.
        connection = self._connection
        try:
            super().run_reactor()
        finally:
            for end in (connection, self._bell, self._ring):
                end.close()

    def _ring_bell(self) -> None:
        try:
            self._ring.send(b"!")
        except OSError:  # full: it rings already; closed: nobody listens any more
            return

    def _is_transport_event(self) -> bool:
        connection = self.socket.socket if self.socket else None
        if connection is None or connection.fileno() < 0:
            time.sleep(0.002)
        elif not getattr(connection, "pending", int)() and self.event_queue.empty():
            ready, _, _ = select.select([connection, self._bell], [], [], _WAIT_S)
            if self._bell in ready:
                self._bell.recv(64)
                if self._process_recv_primitive():
                    return False
        return bool(super()._is_transport_event())

    def _read_pdu_data(self) -> None:
        try:
            head = self._receive(6)
            kind, _, length = struct.unpack(">BBL", head)
            is_data = kind == P_DATA_TF and self.state_machine.current_state == _ESTABLISHED
            if not 1 <= kind <= 7 or length > (self._max_pdu if is_data else MAX_OTHER):
                raise ProtocolError(f"PDU of type {kind}, {length} bytes")
            body = self._receive(length)
            if is_data:
                self._take(body)
            else:
                self._decode(head + body)
        except OSError as error:
            self._note_loss(error)
            self.event_queue.put(_CONNECTION_CLOSED)
        except (ProtocolError, struct.error) as error:
            log.warning("peer breaks the protocol", extra={"reason": str(error)})
            self.event_queue.put(_INVALID_PDU)

    def _note_loss(self, error: OSError) -> None:
        state = self.state_machine.current_state
        if state == _ESTABLISHED:
            log.warning("connection lost", extra={"reason": type(error).__name__})
        elif state == _CONNECTED:
            self.give_up()

    def give_up(self) -> None:
        """Let the association end that still waits for its negotiation to begin.

        A monitor that only opens and closes the port would keep a place for the whole
        timeout otherwise.
        """
        self.to_user_queue.put(None)  # type: ignore[arg-type]  # what a timeout gives

    def _decode(self, content: bytearray) -> None:
        """Leave negotiation, release and abort to pynetdicom."""
        try:
            pdu, event = self._decode_pdu(content)
        except (ValueError, TypeError, LookupError, AttributeError, NotImplementedError) as error:
            raise ProtocolError(f"PDU cannot be decoded: {type(error).__name__}") from error
        self._recv_pdu.put(pdu)
        self.event_queue.put(event)

    @property
    def _connection(self) -> socket.socket:
        if self.socket is None or self.socket.socket is None:
            raise ConnectionError("closed by us")
        return self.socket.socket

    def _receive(self, length: int) -> bytearray:
        content = bytearray(length)
        view = memoryview(content)
        connection = self._connection
        while view:
            # Senders built on dcmtk write a PDU in pieces, and without TCP_NODELAY each piece
            # waits for our acknowledgement of the one before, which the system delays by 40 ms.
            if _QUICK_ACK is not None:
                connection.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
            n = connection.recv_into(view)
            if n == 0:
                raise ConnectionError("closed by the peer")
            view = view[n:]
        return content

    def _take(self, body: bytearray) -> None:
        """Take the fragments of one P-DATA-TF PDU (PS3.8 table 9-22)."""
        at = 0
        while at < len(body):
            length, context, control = struct.unpack_from(">IBB", body, at)
            end = at + 4 + length
            if length < 2 or end > len(body):
                raise ProtocolError("presentation data value does not fit its PDU")
            if context not in self.assoc._accepted_cx:
                raise ProtocolError("presentation context was not agreed")
            self._take_fragment(context, control, bytes(body[at + 6 : end]))
            at = end

    def _take_fragment(self, context: int, control: int, fragment: bytes) -> None:
        message = self._message
        had_command = message.elements is not None
        message.add(context, control, fragment, self._max_object)
        if message.elements is not None and not had_command:
            self._prepare(message)
        if message.is_foreign:
            # Everything but C-STORE and C-ECHO is pynetdicom's, fragment by fragment.
            self._hand_over(context, message.take_unread(control, fragment))
        elif message.is_complete:
            self._answer(message)
        if message.is_complete:
            self._message = Message()

    def _prepare(self, message: Message) -> None:
        """Of an image the header alone is kept, from its first byte on."""
        if message.field == C_STORE_RQ and message.text(SOP_CLASS) in IMAGE_CLASSES:
            syntax = self._syntax_of(message)
            held = MOST_PIXELS if can_measure(message.text(SOP_CLASS), syntax) else 0
            message.header = HeaderStream(syntax, held)

    def _syntax_of(self, message: Message) -> str:
        return str(self.assoc._accepted_cx[message.context].transfer_syntax[0])

    def _hand_over(self, context: int, fragment: bytes) -> None:
        primitive = P_DATA()
        # pynetdicom insists on a list, whatever its annotation says.
        primitive.presentation_data_value_list = [[context, fragment]]  # type: ignore[list-item]
        self.assoc.dimse.receive_primitive(primitive)

    def _answer(self, message: Message) -> None:
        if message.field == C_ECHO_RQ:
            answer = Answer(SUCCESS)
        elif message.is_too_large:
            answer = Answer(OUT_OF_RESOURCES, f"object larger than {self._max_object} bytes")
            log.warning("object refused", extra={"reason": "larger than the limit"})
        elif not message.has_data_set:
            answer = Answer(MISTYPED, "C-STORE without a data set")
        else:
            answer = self._handler(self._request(message))
        self._connection.sendall(message.response(answer))

    def _request(self, message: Message) -> StoreRequest:
        peer = self.assoc.requestor
        data_set, header = message.data_set, message.header
        return StoreRequest(
            caller=peer.ae_title.strip(),
            called=peer.primitive.called_ae_title.strip() if peer.primitive else "",
            address=peer.address or "",
            sop_class=message.text(SOP_CLASS),
            sop_instance_uid=message.text(SOP_INSTANCE),
            transfer_syntax=self._syntax_of(message),
            dataset=data_set,
            is_cut=header is not None and header.has_dropped,
            has_pixels=header is not None and header.has_pixels,
            pixels=b"" if header is None else bytes(header.pixels),
        )


class _BellQueue(queue.Queue):  # type: ignore[type-arg]  # its items are pynetdicom's
    """A queue that tells someone when there is something in it."""

    def __init__(self, bell: Callable[[], None]) -> None:
        super().__init__()
        self._bell = bell

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self._bell()


def equip(
    association: Association, handler: StoreHandler, *, max_pdu: int, max_object: int
) -> None:
    """Make a fresh acceptor of pynetdicom wait instead of poll, and store by `handler`.

    Must be called before the association is started.
    """
    association.__class__ = WaitingAssociation
    wake = association.__dict__["wake"] = threading.Event()
    provider = StoringProvider(association, handler, max_pdu=max_pdu, max_object=max_object)
    provider.socket, provider.event_queue = association.dul.socket, association.dul.event_queue
    provider.to_user_queue = _BellQueue(wake.set)
    provider._idle_timer.timeout = association.network_timeout
    provider.artim_timer.timeout = association.acse_timeout
    association.dimse.msg_queue = _BellQueue(wake.set)
    association.dul = provider
