"""What every listener of ours has in common: when it may be open to the network, and how.

DICOM, STOW-RS and HL7 each have settings of the same names behind their own prefix. A listener
beyond loopback takes data from those on its allow-list (or with a token) and over TLS, or it
does not start. A certificate may be renewed while it listens.
"""

from __future__ import annotations

import errno
import logging
import socket
import ssl
from pathlib import Path

import msgspec

from dose_lib import DoseError, Settings
from dose_lib.errors import PortInUseError, ServiceError, SettingsError
from pipelines.watched import Watched

log = logging.getLogger(__name__)

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
# TLS 1.2 suites of the BCP 195 profile (PS3.15 B.9): ephemeral keys and authenticated ciphers.
_SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"


class Listener(msgspec.Struct, frozen=True, kw_only=True):
    """One of our listeners.

    Attributes
    ----------
    prefix
        Of its settings: `PREFIX_host`, `PREFIX_port`, `PREFIX_tls_certificate` ...
    takes
        What it takes in, in words.
    peers
        How its allow-list may read, with the word for who stands on it; None where callers show
        a token instead.
    instead
        What else there is where TLS is missing.
    """

    prefix: str
    takes: str
    peers: tuple[str, str] | None = None
    instead: str

    def check_exposure(self, settings: Settings) -> None:
        """Refuse to listen beyond loopback to anyone, or without encryption.

        Raises
        ------
        SettingsError
            With what is missing.
        """
        host = getattr(settings, f"{self.prefix}_host")
        if host in _LOOPBACK:
            return
        if self.peers and not getattr(settings, f"{self.prefix}_peers"):
            who, example = self.peers
            raise SettingsError(
                f"{self.prefix}_host = {host!r} would take {self.takes} from anyone",
                expected="an allow-list when listening beyond loopback",
                where=f"{self.prefix}_peers",
                todo=f"Name the {who}, such as {self.prefix}_peers = {example}",
            )
        may_be_plain = getattr(settings, f"{self.prefix}_allow_plain", False)
        if self._file(settings, "certificate") is None and not may_be_plain:
            raise SettingsError(
                f"{self.prefix}_host = {host!r} would take {self.takes} without encryption",
                expected="TLS when listening beyond loopback",
                where=f"{self.prefix}_tls_certificate",
                todo=f"Set certificate and key; or, {self.instead}",
            )

    def encryption(self, settings: Settings) -> Encryption:
        """TLS as the settings want it.

        Raises
        ------
        SettingsError
            If certificate, key or authorities cannot be used.
        """
        return Encryption(
            self.prefix,
            *(self._file(settings, name) for name in ("certificate", "key", "client_ca")),
        )

    def cannot_listen(self, settings: Settings, error: OSError) -> DoseError:
        """The error for an address that cannot be listened on."""
        host = getattr(settings, f"{self.prefix}_host")
        port = getattr(settings, f"{self.prefix}_port")
        name = f"{self.prefix}_port"
        if error.errno == errno.EADDRINUSE:
            return PortInUseError(
                f"another process listens on port {port} of {host}",
                expected=f"a free port for the listener that takes {self.takes}",
                where=name,
                todo=f"Stop the other listener, or choose another port: `{name}` in doseloop.toml"
                f" or DOSE_{name.upper()}",
            )
        return ServiceError(
            f"no listener can use {host}:{port} ({error.strerror})",
            where=f"{self.prefix}_host, {name}",
            todo="Ports below 1024 need rights; the address must be one of this machine",
        )

    def _file(self, settings: Settings, name: str) -> Path | None:
        found: Path | None = getattr(settings, f"{self.prefix}_tls_{name}", None)
        return found


DICOM = Listener(
    prefix="dicom",
    takes="objects",
    peers=("senders", "['CT1@10.1.2.3', '*@10.1.5.0/24']"),
    instead="on a network segment of the modalities only, dicom_allow_plain = true",
)
HL7 = Listener(
    prefix="hl7",
    takes="messages",
    peers=("interface engine", "['10.1.2.3']"),
    instead="on a network of its own, hl7_allow_plain = true",
)
STOW = Listener(
    prefix="stow",
    takes="reports",
    instead="let a proxy with TLS pass requests to loopback",
)


class Encryption:
    """TLS of a listener as BCP 195 asks; follows its files, so that nobody has to restart.

    Parameters
    ----------
    prefix
        Of the settings, for messages.
    certificate, key
        PEM files that belong together; without a certificate connections stay as they are.
    client_ca
        Authorities whose client certificates callers must show.

    Raises
    ------
    SettingsError
        If a file cannot be used.
    """

    def __init__(
        self,
        prefix: str,
        certificate: Path | None,
        key: Path | None = None,
        client_ca: Path | None = None,
    ) -> None:
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        names = ("certificate", "key", "client_ca" if client_ca else None)
        self._where = ", ".join(f"{prefix}_tls_{name}" for name in names if name)
        self._files = Watched(*(f for f in (certificate, key, client_ca) if f is not None))
        self._context = self._read()
        self.problem: str | None = None

    def wrap(self, connection: socket.socket) -> socket.socket:
        """Shake hands on an accepted connection; raises OSError if that fails."""
        if self._context is None:
            return connection
        return self._context.wrap_socket(connection, server_side=True)

    def look(self) -> None:
        """Read the files again if they were changed; bad ones leave what was before.

        Connections that are open go on as they began.
        """
        if not self._files.has_changed():
            return
        try:
            self._context = self._read()
        except SettingsError as error:
            self.problem = f"{error}. The certificate before is still shown"
            log.error("certificate cannot be used", extra={"reason": str(error)})
        else:
            self.problem = None
            log.info("certificate read")

    def _read(self) -> ssl.SSLContext | None:
        if self._certificate is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_SUITES)
        try:
            context.load_cert_chain(self._certificate, self._key)
            if self._client_ca is not None:
                context.load_verify_locations(self._client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"certificate or key cannot be used ({getattr(error, 'reason', None) or error})",
                expected="PEM files that belong together",
                where=self._where,
            ) from None
        return context
