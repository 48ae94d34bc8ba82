"""The DICOM listener: C-ECHO and C-STORE, each object on disk before "success".

A process of its own (`python -m pipelines.receive`), so that neither a reader's defect nor
a busy store ever keeps a modality waiting. It opens no object: bytes go to the spool, and
trouble with their content is ours, never an error status to the sender.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any

import msgspec
from pynetdicom import AE, _config, evt
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from dose_lib import Settings, load_settings
from dose_lib.errors import OutOfRoomError, ReceiveError, SettingsError
from pipelines.association import StoreRequest, StoringProvider, equip
from pipelines.classes import contexts, image_contexts
from pipelines.envelope import make_receipt, part10
from pipelines.heartbeat import Heartbeat, Value
from pipelines.listener import DICOM
from pipelines.message import (
    CANNOT_PROCESS,
    ELEMENTS_DISCARDED,
    OUT_OF_RESOURCES,
    SUCCESS,
    Answer,
)
from pipelines.peers import Peers, parse_peer
from pipelines.pixels import Pixels
from pipelines.process import Stop, run_part
from pipelines.spool import Spool
from pipelines.steps import Steps, handlers
from pipelines.watched import Watched

log = logging.getLogger(__name__)

PART = "receiver"

_LOOK_S = 1.0  # between looks whether the settings were changed
_RENEWED = ("dicom_peers", "dicom_image_peers", "dicom_image_answer")
# PS3.8 table 9-21: permanent, by the service user, calling AE title not recognised
_UNKNOWN_CALLER = (0x01, 0x01, 0x03)


class Receiver:
    """The listener, from its start until it is left.

    Parameters
    ----------
    settings
        Settings of the installation.
    spool
        Where objects go; default the installation's spool.

    Raises
    ------
    PortInUseError
        If another process listens there.
    SettingsError
        If anyone could send from beyond loopback, or the TLS files cannot be used.
    """

    def __init__(self, settings: Settings, spool: Spool | None = None) -> None:
        DICOM.check_exposure(settings)
        self._settings = settings
        self.spool = spool or Spool(
            settings.spool_dir, reserve_bytes=settings.spool_reserve_mb * 1_000_000
        )
        self.steps = Steps(settings.steps_dir, self.spool)
        self._peers = Peers(settings.dicom_peers, settings.run_dir / "pending_peers.json")
        self._image_peers = Peers(settings.dicom_image_peers)
        self.tls = DICOM.encryption(settings)
        self._lock = threading.Lock()
        self._pixels = Pixels(settings.measure_every_image)
        self.counts = {"received": 0, "refused": 0, "bytes": 0, "callers_refused": 0}
        self._server = self._listen()
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True
        )

    def __enter__(self) -> Receiver:
        self._thread.start()
        log.info("listening", extra={"port": self.port})
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop()
        self._thread.join()
        self._pixels.close()

    @property
    def port(self) -> int:
        """Port it listens on; chosen by the system if the setting is 0."""
        return int(self._server.server_address[1])

    @property
    def allowed(self) -> tuple[str, ...]:
        """Who may send, as in the settings."""
        return self._settings.dicom_peers

    def facts(self) -> dict[str, Value]:
        """Port, counters and associations, for the heartbeat."""
        n = len(self._server.active_associations)
        return {"port": self.port, "associations": n, **self.counts}

    def renew(self, settings: Settings) -> list[str]:
        """Take over what may change while we listen; returns what else has changed.

        Raises
        ------
        SettingsError
            If the new settings would let anyone send, or a line cannot be read.
        """
        DICOM.check_exposure(settings)
        for text in (*settings.dicom_peers, *settings.dicom_image_peers):
            parse_peer(text)
        self._peers.renew(settings.dicom_peers)
        self._image_peers.renew(settings.dicom_image_peers)
        taken = {name: getattr(settings, name) for name in _RENEWED}
        before, self._settings = self._settings, self._settings.model_copy(update=taken)
        wanted = settings.model_dump(exclude=set(_RENEWED))
        return [n for n, v in before.model_dump(exclude=set(_RENEWED)).items() if v != wanted[n]]

    def store(self, request: StoreRequest) -> Answer:
        """Keep one object; the answer is sent when this returns."""
        data = part10(
            request.dataset,
            sop_class=request.sop_class,
            sop_instance_uid=request.sop_instance_uid,
            transfer_syntax=request.transfer_syntax,
        )
        receipt = make_receipt(
            data,
            "c-store",
            caller=request.caller,
            called=request.called,
            address=request.address,
            sop_class=request.sop_class,
            sop_instance_uid=request.sop_instance_uid,
            transfer_syntax=request.transfer_syntax,
        )
        if request.has_pixels:
            sizes = self._pixels.measure(data, request.pixels)
            receipt = msgspec.structs.replace(receipt, derived=sizes)
        try:
            self.spool.put(data, receipt)
        except OutOfRoomError:
            self._count(refused=1)
            log.error("object refused", extra={"reason": "no room"})
            return Answer(OUT_OF_RESOURCES, "no room, try again later")
        except ReceiveError as error:
            self._count(refused=1)
            log.exception("object refused", exc_info=error)
            return Answer(CANNOT_PROCESS, "the object could not be kept, try again later")
        self._count(received=1, bytes=len(data))
        if request.is_cut and self._settings.dicom_image_answer == "warning":
            return Answer(ELEMENTS_DISCARDED, "header kept, pixels dropped: no copy of the image")
        return Answer(SUCCESS)

    def _count(self, **more: int) -> None:
        with self._lock:
            for name, n in more.items():
                self.counts[name] += n

    def _listen(self) -> _Server:
        s = self._settings
        try:
            return _Server(self, s, [(evt.EVT_REQUESTED, self._admit), *handlers(self.steps)])
        except OSError as error:
            raise DICOM.cannot_listen(s, error) from None

    def _admit(self, event: Any) -> None:
        """Refuse callers that are not on the allow-list, before anything is negotiated.

        Those whose images are taken may propose images beside.
        """
        association = event.assoc
        caller = association.requestor.primitive.calling_ae_title.strip()
        address = association.requestor.address
        if not self._peers.is_allowed(caller, address):
            self._count(callers_refused=1)
            self._peers.note_refusal(caller, address)
            association.acse.send_reject(*_UNKNOWN_CALLER)
            association.is_rejected = True
            association.kill()
        elif self._image_peers.is_named(caller, address):
            association.acceptor.supported_contexts = [*contexts(), *image_contexts()]


class _Handler(RequestHandler):
    """Makes the association of one connection."""

    server: _Server

    def _create_association(self) -> Any:
        association = super()._create_association()
        settings = self.server.settings
        equip(
            association,
            self.server.receiver.store,
            max_pdu=settings.dicom_max_pdu,
            max_object=settings.max_object_mb * 1_000_000,
        )
        return association


class _Server(ThreadedAssociationServer):
    """Accepts connections; a slow or silent one keeps nobody else waiting."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, receiver: Receiver, settings: Settings, handlers: list[Any]) -> None:
        self.receiver, self.settings = receiver, settings
        super().__init__(
            _entity(settings),
            (settings.dicom_host, settings.dicom_port),
            settings.ae_title,
            contexts(),
            evt_handlers=handlers,
            request_handler=_Handler,
        )

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection, without Nagle's delay and with a limit on every wait."""
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(self.settings.dicom_timeout_s)
        return connection, address

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for the connection, unless far too many are open."""
        # Up to twice the limit get a proper A-ASSOCIATE-RJ; beyond, the connection is cut.
        if len(self.active_associations) >= 2 * self.settings.dicom_max_associations:
            log.warning("connection cut: too many", extra={"address": client_address[0]})
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Handshake where TLS is used, then serve; in the connection's own thread."""
        try:
            request = self.receiver.tls.wrap(request)
        except OSError as error:  # of TLS among them
            reason = getattr(error, "reason", None) or type(error).__name__
            log.warning(
                "TLS handshake failed", extra={"address": client_address[0], "reason": reason}
            )
            self.shutdown_request(request)
            return
        super().process_request_thread(request, client_address)

    def stop(self) -> None:
        """Stop listening, then end the associations that are open."""
        self.ae._servers.append(self)  # shutdown() takes itself out of that list
        self.shutdown()
        for association in self.active_associations:
            if association.is_established:
                association.abort()
            elif isinstance(association.dul, StoringProvider):
                association.dul.give_up()
        for association in self.active_associations:
            with suppress(RuntimeError):  # accepted this instant, its thread not started yet
                association.join(timeout=5.0)


def _entity(settings: Settings) -> AE:
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
    entity = AE(settings.ae_title)
    entity.maximum_associations = settings.dicom_max_associations
    entity.maximum_pdu_size = settings.dicom_max_pdu
    entity.network_timeout = entity.dimse_timeout = settings.dicom_timeout_s
    entity.acse_timeout = min(settings.dicom_timeout_s, 30.0)
    return entity


def serve(settings: Settings, stop: Stop) -> None:
    """Listen until `stop` is set."""
    with Receiver(settings) as receiver:
        receiver.spool.sweep()
        receiver.steps.sweep()
        renewal = _Renewal(settings, receiver)
        with Heartbeat(settings.run_dir, PART, receiver.facts, lambda: renewal.all_problems):
            while not stop.wait(_LOOK_S):
                renewal.look()


class _Renewal:
    """Follows settings and certificate: what may change does so without a pause of the listener."""

    def __init__(self, settings: Settings, receiver: Receiver) -> None:
        self._home, self._receiver = settings.home, receiver
        self._file = Watched(settings.config_file)
        self.problem: str | None = None

    @property
    def all_problems(self) -> str | None:
        """What is wrong with either, and what still holds."""
        problems = [p for p in (self.problem, self._receiver.tls.problem) if p]
        return "; ".join(problems) or None

    def look(self) -> None:
        """Take over the settings if the file was changed; a bad one changes nothing."""
        self._receiver.tls.look()
        if not self._file.has_changed():
            return
        try:
            others = self._receiver.renew(load_settings(self._home))
        except SettingsError as error:
            self.problem = f"{error}. What was allowed before still holds"
            log.error("settings cannot be used", extra={"reason": str(error)})
            return
        self.problem = None
        log.info("callers read", extra={"count": len(self._receiver.allowed)})
        if others:
            log.warning("settings that need a restart", extra={"reason": ", ".join(others)})


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of the process."""
    return run_part(PART, serve, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
