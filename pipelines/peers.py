"""Who may send: the allow-list, and the devices that knocked without being on it."""

from __future__ import annotations

import fnmatch
import ipaddress
import json
import logging
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from dose_lib.errors import SettingsError

log = logging.getLogger(__name__)

_KEPT = 500  # pending devices kept; a port scan must not fill the disk


class Peer(msgspec.Struct, frozen=True):
    """One line of the allow-list: `AE@address`.

    Attributes
    ----------
    ae_title
        Calling AE title; `*` and `?` are wildcards.
    network
        Address or network it may call from.
    """

    ae_title: str
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None

    def is_match(self, ae_title: str, address: str) -> bool:
        """True if a caller of this name and address is meant."""
        if not fnmatch.fnmatchcase(ae_title, self.ae_title):
            return False
        return self.network is None or ipaddress.ip_address(address) in self.network


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A device that was refused because nobody has allowed it yet."""

    ae_title: str
    address: str
    first_seen: datetime
    last_seen: datetime
    attempts: int


def parse_peer(text: str) -> Peer:
    """Read `AE@address`, `AE@10.1.2.0/24`, `*@10.1.2.3` or `AE` (from anywhere).

    Raises
    ------
    SettingsError
        If the address is none.
    """
    ae_title, _, address = text.strip().partition("@")
    if not ae_title:
        raise SettingsError(
            f"{text!r} names no AE title",
            expected="AE@address, such as CT1@10.1.2.3 or *@10.1.2.0/24",
            where="dicom_peers",
        )
    if address in ("", "*"):
        return Peer(ae_title, None)
    try:
        return Peer(ae_title, ipaddress.ip_network(address, strict=False))
    except ValueError as error:
        raise SettingsError(
            f"{address!r} is no network address ({error})",
            expected="AE@address, such as CT1@10.1.2.3 or *@10.1.2.0/24",
            where="dicom_peers",
        ) from None


class Peers:
    """The allow-list of one listener, and its list of pending devices.

    Parameters
    ----------
    allowed
        Lines of the allow-list; an empty list allows every caller, which only a listener
        on loopback may do.
    pending_file
        Where refused callers are kept; None keeps none.
    """

    def __init__(self, allowed: Sequence[str], pending_file: Path | None = None) -> None:
        self._allowed = tuple(parse_peer(text) for text in allowed)
        self._file = pending_file
        self._lock = threading.Lock()

    def is_allowed(self, ae_title: str, address: str) -> bool:
        """True if the caller may send."""
        return not self._allowed or any(p.is_match(ae_title, address) for p in self._allowed)

    def is_named(self, ae_title: str, address: str) -> bool:
        """True if the list names the caller; an empty list names nobody."""
        return any(p.is_match(ae_title, address) for p in self._allowed)

    def renew(self, allowed: Sequence[str]) -> None:
        """Take another allow-list; devices it names are pending no longer.

        Raises
        ------
        SettingsError
            If a line cannot be read; the list before stays.
        """
        self._allowed = tuple(parse_peer(text) for text in allowed)
        if self._file is None:
            return
        with self._lock:
            known = read_pending(self._file)
            left = [p for p in known if not self.is_named(p.ae_title, p.address)]
            if left != known:
                _write_pending(self._file, left)

    def note_refusal(self, ae_title: str, address: str) -> None:
        """Keep a refused caller as a pending device."""
        log.warning("unknown caller refused", extra={"caller": ae_title, "address": address})
        if self._file is None:
            return
        with self._lock:
            known = {(p.ae_title, p.address): p for p in read_pending(self._file)}
            now = datetime.now(UTC)
            before = known.pop((ae_title, address), None)
            seen = Pending(
                ae_title=ae_title,
                address=address,
                first_seen=before.first_seen if before else now,
                last_seen=now,
                attempts=before.attempts + 1 if before else 1,
            )
            _write_pending(self._file, [*known.values(), seen][-_KEPT:])


def read_pending(file: Path) -> list[Pending]:
    """Devices that were refused, the latest last."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[Pending])
    except (FileNotFoundError, msgspec.DecodeError):
        return []


def _write_pending(file: Path, devices: list[Pending]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".part")
    temporary.write_text(json.dumps(msgspec.to_builtins(devices), indent=1), encoding="utf-8")
    temporary.replace(file)
