"""One association with a DICOM peer: asked with limits, and every refusal in words.

pynetdicom answers a broken exchange with an empty status; here it becomes a `PeerError`
that says what was asked and what was seen. After one the line is cut: what a peer sends
late must not be taken for the answer to the next question.
"""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any

from pydicom import Dataset
from pynetdicom import AE, _config, evt
from pynetdicom.presentation import PresentationContext, build_context, build_role

from dose_lib.dicom.requestor import request
from dose_lib.errors import PeerError, SettingsError
from pipelines.collect.peer import (
    CANCELLED,
    PENDING,
    REJECTIONS,
    SOME_FAILED,
    SUCCESS,
    Called,
    Moved,
    StatusError,
    describe,
)

log = logging.getLogger(__name__)

VERIFICATION = "1.2.840.10008.1.1"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
WORKLIST = "1.2.840.10008.5.1.4.31"

_PIECE = 65536
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux


class Line:
    """An association, opened when it is entered and released when it is left.

    Parameters
    ----------
    called
        Whom to call.
    contexts
        SOP classes to negotiate; storage classes of C-GET as (class, transfer syntaxes).
    on_store
        Takes what a C-GET sends; returns the status to answer with.

    Raises
    ------
    PeerError
        If it cannot be reached or refuses.
    """

    def __init__(
        self,
        called: Called,
        contexts: tuple[str, ...],
        *,
        stored: tuple[tuple[str, tuple[str, ...]], ...] = (),
        on_store: Callable[[Any], int] | None = None,
    ) -> None:
        self.called = called
        self._on_store = on_store
        self._message = 0
        entity = _entity(called)
        asked = [build_context(uid) for uid in contexts]
        asked += [build_context(uid, list(syntaxes)) for uid, syntaxes in stored]
        handlers = [(evt.EVT_C_STORE, on_store)] if on_store else []
        roles = [build_role(uid, scp_role=True) for uid, _ in stored]
        self._association = _open(entity, called, asked, handlers, roles)

    def __enter__(self) -> Line:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        """True while the peer holds the association."""
        return bool(self._association.is_established)

    @property
    def accepted(self) -> frozenset[str]:
        """SOP classes that the peer accepted."""
        return frozenset(str(c.abstract_syntax) for c in self._association.accepted_contexts)

    def close(self) -> None:
        """Release the association."""
        if self.is_open:
            self._association.release()

    def cut(self) -> None:
        """End the association at once; what is under way is lost."""
        if self.is_open:
            self._association.abort()

    def echo(self) -> None:
        """Ask whether the peer is there (C-ECHO)."""
        status = self._association.send_c_echo(self._next_message())
        if getattr(status, "Status", None) != SUCCESS:
            raise self._lost("C-ECHO")

    def find(
        self,
        query: Dataset,
        asked: str,
        *,
        model: str = FIND,
        most: int = 20_000,
        limit_s: float = 300.0,
    ) -> list[Dataset | None]:
        """Answers to a C-FIND; None for each that could not be decoded.

        Parameters
        ----------
        query
            The identifier.
        asked
            What is asked for, for messages.
        model
            SOP class of the query.
        most, limit_s
            Answers and seconds after which the peer is told to stop: one that answers for
            ever must not keep us.

        Raises
        ------
        StatusError
            If the peer refuses.
        PeerError
            If it does not answer, or does not stop.
        """
        self._need(model)
        number, until = self._next_message(), time.monotonic() + limit_s
        self._association.dimse_timeout = self.called.timeout_s
        found: list[Dataset | None] = []
        is_repeated = False
        for status, identifier in self._association.send_c_find(query, model, msg_id=number):
            code = getattr(status, "Status", None)
            if code is None:
                raise self._lost(asked, len(found))
            if code not in PENDING:
                self._judge(code, status, asked)
                return found
            # pynetdicom hands out an answer it cannot decode twice, both times as None.
            is_repeated = identifier is None and not is_repeated
            if identifier is not None or is_repeated:
                found.append(identifier)
            if len(found) >= most or time.monotonic() > until:
                self._stop(number, model)
                raise PeerError(
                    f"asked for {asked}; {len(found)} answers and no end of them",
                    expected=f"at most {most} answers within {limit_s:.0f} s",
                    where=str(self.called),
                    todo="Limits are max_answers and query_limit_s in site/pacs.toml",
                )
        raise self._lost(asked, len(found))

    def move(self, query: Dataset, asked: str, destination: str, *, limit_s: float) -> Moved:
        """Have objects sent to `destination` (C-MOVE).

        Raises
        ------
        StatusError
            If the peer refuses as a whole.
        PeerError
            If it does not answer, or makes no progress for `limit_s`.
        """
        self._need(MOVE)
        number = self._next_message()
        answers = self._association.send_c_move(query, destination, MOVE, msg_id=number)
        return self._follow(answers, asked, number, MOVE, limit_s)

    def get(self, query: Dataset, asked: str, *, limit_s: float) -> Moved:
        """Have objects sent on this association (C-GET); see `move`."""
        self._need(GET)
        number = self._next_message()
        answers = self._association.send_c_get(query, GET, msg_id=number)
        return self._follow(answers, asked, number, GET, limit_s)

    def _follow(
        self,
        answers: Iterator[tuple[Dataset, Dataset | None]],
        asked: str,
        number: int,
        model: str,
        limit_s: float,
    ) -> Moved:
        """Read the answers to a retrieval until the last one, which may be the only one."""
        self._association.dimse_timeout = limit_s
        progress, since = (0, 0, 0), time.monotonic()
        for status, identifier in answers:
            code = getattr(status, "Status", None)
            if code is None:
                raise self._lost(asked, limit_s=limit_s)
            counts = _counts(status)
            if code not in PENDING:
                return self._moved(code, status, identifier, asked)
            if counts != progress:
                progress, since = counts, time.monotonic()
            elif time.monotonic() - since > limit_s:
                self._stop(number, model)
                raise PeerError(
                    f"asked for {asked}; no progress for {limit_s:.0f} s"
                    f" ({counts[0]} done, {counts[1]} failed)",
                    where=str(self.called),
                    todo="The limit is move_limit_s in site/pacs.toml",
                )
        raise self._lost(asked, limit_s=limit_s)

    def _moved(self, code: int, status: Dataset, identifier: Dataset | None, asked: str) -> Moved:
        if code not in (SUCCESS, SOME_FAILED, CANCELLED, 0xA702):
            self._judge(code, status, asked)
        failed = identifier.get("FailedSOPInstanceUIDList") if identifier else None
        uids = [failed] if isinstance(failed, str) else list(failed or ())
        return Moved(
            status=code,
            completed=status.get("NumberOfCompletedSuboperations"),
            failed=status.get("NumberOfFailedSuboperations"),
            warned=status.get("NumberOfWarningSuboperations"),
            failed_uids=tuple(str(u) for u in uids if u),
        )

    def _judge(self, code: int, status: Dataset, asked: str) -> None:
        if code == SUCCESS:
            return
        said = str(status.get("ErrorComment") or "").strip()
        raise StatusError(
            f"asked for {asked}; {describe(code)}" + (f", {said[:64]!r}" if said else ""),
            code,
            where=str(self.called),
        )

    def _need(self, model: str) -> None:
        if not self.is_open:
            raise self._lost("an association")
        if model not in self.accepted:
            raise PeerError(
                "the peer does not offer this service",
                expected=f"SOP class {model}",
                where=str(self.called),
                todo="See `dose pacs check`; other ways are `retrieve` in site/pacs.toml",
            )

    def _stop(self, number: int, model: str) -> None:
        """Ask the peer to stop, then cut the line: what comes late is nobody's answer."""
        with suppress(RuntimeError, ValueError, OSError):
            self._association.send_c_cancel(number, query_model=model)
        self.cut()

    def _lost(self, asked: str, n: int | None = None, limit_s: float | None = None) -> PeerError:
        so_far = "" if n is None else f" after {n} answers"
        limit_s = self.called.timeout_s if limit_s is None else limit_s
        self.cut()
        return PeerError(
            f"asked for {asked}; no answer{so_far}: the connection was lost, or nothing came"
            f" within {limit_s:.0f} s",
            where=str(self.called),
        )

    def _next_message(self) -> int:
        self._message = self._message % 65535 + 1
        return self._message


def _counts(status: Dataset) -> tuple[int, int, int]:
    words = ("Completed", "Failed", "Warning")
    done, failed, warned = (status.get(f"NumberOf{w}Suboperations") or 0 for w in words)
    return int(done), int(failed), int(warned)


def _entity(called: Called) -> AE:
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
    entity = AE(called.calling)
    entity.connection_timeout = entity.acse_timeout = called.timeout_s
    entity.network_timeout = max(called.timeout_s, called.idle_limit_s)
    entity.dimse_timeout = called.timeout_s
    entity.maximum_pdu_size = 131072
    return entity


def _open(
    entity: AE,
    called: Called,
    contexts: list[PresentationContext],
    handlers: list[Any],
    roles: list[Any],
) -> Any:
    _reach(called)
    association = request(
        entity,
        called.host,
        called.port,
        contexts=contexts,
        ae_title=called.ae_title,
        ext_neg=roles or None,
        evt_handlers=handlers,
        tls_args=_tls(called),
    )
    if not association.is_established:
        raise PeerError(_why_not(association), where=str(called))
    line = association.dul.socket
    if line is not None and line.socket is not None:
        line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.recv = partial(_receive, line.socket)  # type: ignore[method-assign]
    return association


def _receive(connection: socket.socket, n: int) -> bytearray:
    """Read `n` bytes, fewer at the end, and acknowledge each piece at once.

    Archives built on dcmtk write a PDU in pieces. Without TCP_NODELAY on their side each
    piece waits for our acknowledgement of the one before, which the system delays by 40 ms:
    measured with Orthanc, an answer took 48 ms, and takes 5 so.
    """
    content = bytearray()
    while len(content) < n:
        if _QUICK_ACK is not None:
            with suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
        piece = connection.recv(min(n - len(content), _PIECE))
        if not piece:
            break
        content += piece
    return content


def _reach(called: Called) -> None:
    """Fail with the system's own reason; pynetdicom would only say that it failed."""
    try:
        socket.create_connection((called.host, called.port), called.timeout_s).close()
    except OSError as error:
        raise PeerError(
            f"it cannot be reached ({error.strerror or error})",
            expected="a DICOM listener",
            where=str(called),
            todo="Check address, port and firewall",
        ) from None


def _why_not(association: Any) -> str:
    answer = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        source, reason = answer.result_source, answer.diagnostic
        return f"it rejected the association: {REJECTIONS.get((source, reason), 'no reason')}"
    if association.is_aborted:
        return "it ended the association, or did not answer in time"
    return "no association came about"


def _tls(called: Called) -> tuple[ssl.SSLContext, str] | None:
    if called.tls is None:
        return None
    try:
        context = ssl.create_default_context(cafile=called.tls.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if called.tls.certificate:
            context.load_cert_chain(called.tls.certificate, called.tls.key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"certificate or key cannot be used ({getattr(error, 'reason', None) or error})",
            expected="PEM files that belong together",
            where=f"{called.name}, tls",
        ) from None
    return context, called.tls.hostname or called.host
