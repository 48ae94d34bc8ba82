"""Whom we call over DICOM, and what its statuses mean in words."""

from __future__ import annotations

import msgspec

from dose_lib.errors import PeerError
from pipelines.collect.pacs import Tls

PENDING = (0xFF00, 0xFF01)
SUCCESS, CANCELLED, SOME_FAILED = 0x0000, 0xFE00, 0xB000
OUT_OF_RESOURCES = 0xA700
# PS3.4 tables C.4-1, C.4-2, C.4-3
_WORDS = {
    0xA700: "out of resources",
    0xA701: "out of resources: it cannot count the matches",
    0xA702: "out of resources: it cannot carry out the sub-operations",
    0xA801: "it does not know our AE title as a destination",
    0xA900: "the identifier does not match the SOP class",
    0x0122: "SOP class not supported",
    0x0124: "not authorised",
}
REJECTIONS = {
    (1, 1): "no reason given",
    (1, 2): "application context not supported",
    (1, 3): "our calling AE title is not known to it",
    (1, 7): "its AE title is another one",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "it is congested for now",
    (3, 2): "too many associations for now",
}


class Called(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to call, and how.

    Attributes
    ----------
    name
        Our name for it, for messages.
    ae_title, host, port, tls
        Where it listens.
    calling
        How we call ourselves.
    timeout_s
        Longest wait for an answer to anything but a retrieval.
    idle_limit_s
        Longest time without traffic before the association is given up.
    """

    name: str
    ae_title: str
    host: str
    port: int
    calling: str
    tls: Tls | None = None
    timeout_s: float = 30.0
    idle_limit_s: float = 300.0

    def __str__(self) -> str:
        return f"{self.name} ({self.ae_title} at {self.host}:{self.port})"


class StatusError(PeerError):
    """A peer answered with a status that is no success.

    `retry_after_s` is the pause that it asks for, if it does.
    """

    retry_after_s: float | None = None

    def __init__(self, seen: str, status: int, **more: str | None) -> None:
        super().__init__(seen, **more)
        self.status = status


class DeniedError(PeerError):
    """A peer does not let us in: asking again changes nothing, and may lock the account."""


class Moved(msgspec.Struct, kw_only=True):
    """How a retrieval ended: sub-operations by outcome, and the objects that failed."""

    status: int
    completed: int | None = None
    failed: int | None = None
    warned: int | None = None
    failed_uids: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """In words."""
        parts = [describe(self.status)]
        for n, word in ((self.completed, "done"), (self.failed, "failed"), (self.warned, "warned")):
            if n is not None:
                parts.append(f"{n} {word}")
        return ", ".join(parts)


def describe(status: int) -> str:
    """A DIMSE status in words."""
    known = {SUCCESS: "success", CANCELLED: "cancelled", SOME_FAILED: "some failed"} | _WORDS
    return f"status 0x{status:04X}" + (f" ({known[status]})" if status in known else "")
