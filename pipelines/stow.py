"""STOW-RS: dose reports by HTTP POST, for senders that cannot speak DICOM (PS3.18 §10.5).

Off unless `stow_port` is set. Same promise and order as the DICOM listener's: an object is
on disk before the answer says so. Every sender shows the token of `keys/stow.token`; beyond
loopback there is TLS or no start. A process of its own (`python -m pipelines.stow`).
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from dose_lib import Settings
from dose_lib.errors import SettingsError
from pipelines.disk import make_folder
from pipelines.heartbeat import Heartbeat, Value
from pipelines.listener import STOW, Encryption
from pipelines.pixels import Pixels
from pipelines.process import Stop, run_part
from pipelines.spool import Spool
from pipelines.stow_request import Handler
from pipelines.web_server import LimitedServer

log = logging.getLogger(__name__)

PART = "stow"

_LOOK_S = 1.0  # between looks whether the certificate was changed


class StowServer:
    """The STOW-RS listener, from its start until it is left.

    Parameters
    ----------
    settings
        Settings of the installation.

    Raises
    ------
    PortInUseError
        If another process listens there.
    SettingsError
        If it would listen beyond loopback without TLS, or TLS files or token cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        STOW.check_exposure(settings)
        self.tls = STOW.encryption(settings)
        self.spool = Spool(settings.spool_dir, reserve_bytes=settings.spool_reserve_mb * 1_000_000)
        self._lock = threading.Lock()
        self.counts = {"taken": 0, "turned_away": 0, "denied": 0}
        token = read_token(settings)
        self._pixels = Pixels(settings.measure_every_image)
        handler = type(
            "StowHandler",
            (Handler,),
            {
                "spool": self.spool,
                "token": token,
                "pixels": self._pixels,
                "takes_images": settings.stow_images,
                "says_cut": settings.dicom_image_answer == "warning",
                "most_bytes": settings.max_object_mb * 1_000_000,
                "timeout": settings.dicom_timeout_s,
                "count": staticmethod(self._count),
            },
        )
        self._server = _listen(settings, handler, self.tls)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True
        )

    def __enter__(self) -> StowServer:
        self._thread.start()
        log.info("listening", extra={"port": self.port})
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._pixels.close()

    @property
    def port(self) -> int:
        """Port it listens on; chosen by the system if the setting is 0."""
        return int(self._server.server_address[1])

    def facts(self) -> dict[str, Value]:
        """Port and counters, for the heartbeat."""
        return {"port": self.port, **self.counts}

    def _count(self, name: str) -> None:
        with self._lock:
            self.counts[name] += 1


def token_file(settings: Settings) -> Path:
    """Where the token lies that senders show."""
    return settings.keys_dir / "stow.token"


def read_token(settings: Settings) -> bytes:
    """The token; made at the first start, mode 0600.

    Raises
    ------
    SettingsError
        If it cannot be used.
    """
    file = token_file(settings)
    make_folder(settings.keys_dir)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as out:
            out.write(secrets.token_urlsafe(32) + "\n")
    except FileExistsError:
        pass
    token = file.read_text(encoding="ascii", errors="replace").strip()
    if file.stat().st_mode & 0o077 or len(token) < 20:
        raise SettingsError(
            "the token can be read by others, or is short",
            expected="mode 0600 and 20 characters or more",
            where=str(file),
            todo="Remove it: a new one is made at the next start",
        )
    return token.encode()


def _listen(settings: Settings, handler: type[Handler], tls: Encryption) -> LimitedServer:
    address = (settings.stow_host, settings.stow_port or 0)
    try:
        return LimitedServer(address, handler, tls=tls, most=settings.dicom_max_associations)
    except OSError as error:
        raise STOW.cannot_listen(settings, error) from None


def serve(settings: Settings, stop: Stop) -> None:
    """Listen until `stop` is set."""
    with (
        StowServer(settings) as server,
        Heartbeat(settings.run_dir, PART, server.facts, lambda: server.tls.problem),
    ):
        while not stop.wait(_LOOK_S):
            server.tls.look()


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of the process."""
    return run_part(PART, serve, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
