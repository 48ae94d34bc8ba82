"""The ledger: every object received, and what became of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from dose_lib.errors import DoseError, NoDoseError
from dose_lib.records import Part, Rejection, SetRole


class Status(StrEnum):
    """What became of a received object; every object has exactly one."""

    WAITING = "waiting"
    STORED = "stored"
    SUPERSEDED = "superseded"
    DUPLICATE = "duplicate"
    NO_DOSE = "no_dose"
    QUARANTINED = "quarantined"
    ERASED = "erased"


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """One received object, read or not, on its way into the store.

    Attributes
    ----------
    sha256
        Hash of the bytes as received.
    size_bytes
        Their number.
    received_at
        When they arrived, with zone; the same on every attempt to store this receipt, so
        that an attempt repeated after a crash is recognised.
    route, caller
        How it came (`c-store`, `folder`, ...) and from whom (AE title, host).
    sop_instance_uid, sop_class, study_uid
        Header facts where they could be read.
    patient_key
        Of an object without parts, so that it can be erased with its patient.
    parts
        What the reader made of it; empty if `error` says why it made nothing.
    error
        Why there are no parts: NoDoseError for an object without dose, any other puts the
        object in quarantine.
    rejection
        What it says, if it is a rejection note.
    stored_at
        Only in a rebuild: when it was first stored.
    """

    sha256: str
    size_bytes: int
    received_at: datetime
    route: str
    caller: str | None = None
    sop_instance_uid: str | None = None
    sop_class: str | None = None
    study_uid: str | None = None
    patient_key: str | None = None
    parts: tuple[Part, ...] = ()
    error: DoseError | None = None
    rejection: Rejection | None = None
    stored_at: datetime | None = None

    @property
    def receipt_id(self) -> str:
        """Key of this receipt: the same bytes at another time are another receipt."""
        moment = self.received_at.astimezone(UTC).isoformat()
        words = "\x1f".join((self.sha256, moment, self.route, self.caller or ""))
        return hashlib.sha256(words.encode()).hexdigest()[:24]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one received object.

    Attributes
    ----------
    sha256, receipt_id
        Which object, which receipt of it.
    status, reason
        As in the ledger.
    part_keys
        The exam parts it belongs to.
    parts
        These parts as they stand after the commit, merged and normalised; empty if the
        object changed nothing.
    in_place_of
        The receipt of the same bytes that this one, received earlier and committed later,
        took the role of: that one is the repetition now.
    stored_at
        When it came into the ledger; None if it was there before.
    """

    sha256: str
    receipt_id: str
    status: Status
    reason: str | None = None
    part_keys: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    in_place_of: str | None = None
    stored_at: datetime | None = None


_ROLE_STATUS = {
    SetRole.SUPERSEDED: Status.SUPERSEDED,
    SetRole.DUPLICATE: Status.DUPLICATE,
}


def statuses_of_set(parts: Iterable[Part]) -> dict[str, Status]:
    """Status of each object (by hash) that the merged parts of a study were made from.

    An object that counts in any part is stored; else superseded before duplicate.
    """
    rank = (Status.STORED, Status.SUPERSEDED, Status.DUPLICATE)
    found: dict[str, Status] = {}
    for part in parts:
        for source in part.sources:
            status = _ROLE_STATUS.get(source.role_in_set, Status.STORED)  # type: ignore[arg-type]
            before = found.get(source.sha256 or "")
            if before is None or rank.index(status) < rank.index(before):
                found[source.sha256 or ""] = status
    return found


def verdict(incoming: Incoming) -> tuple[Status, str | None]:
    """Status and reason of an object that has no parts."""
    error = incoming.error
    if error is None:
        return Status.QUARANTINED, "the reader gave neither parts nor a reason"
    reason = error.seen if error.expected is None else f"{error.seen}; expected {error.expected}"
    is_doseless = isinstance(error, NoDoseError)
    return (Status.NO_DOSE if is_doseless else Status.QUARANTINED), reason
