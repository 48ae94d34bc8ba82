"""A threaded HTTP server that takes only so many connections at a time."""

from __future__ import annotations

import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pipelines.listener import Encryption

log = logging.getLogger(__name__)


class LimitedServer(ThreadingHTTPServer):
    """Beyond `most` connections, a further one is closed at once.

    Parameters
    ----------
    address, handler
        As for `ThreadingHTTPServer`; the handler's `timeout` limits each wait.
    tls
        Encryption; the handshake is done in the connection's own thread.
    most
        Connections at the same time.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        *,
        tls: Encryption | None = None,
        most: int = 20,
    ) -> None:
        self._tls, self._places = tls, threading.BoundedSemaphore(most)
        self._timeout_s = handler.timeout
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for the connection, if there is a place."""
        if not self._places.acquire(blocking=False):
            log.warning("connection cut: too many", extra={"address": client_address[0]})
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection; its place is free again afterwards."""
        try:
            request.settimeout(self._timeout_s)
            try:
                request = self._tls.wrap(request) if self._tls else request
            except OSError:
                log.warning("TLS handshake failed", extra={"address": client_address[0]})
                self.shutdown_request(request)
                return
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is no news; a defect of ours goes to the log."""
        log.warning("connection ended", exc_info=True, extra={"address": client_address[0]})
