"""HL7 v2 merges (ADT A40 and its kin): which patient IDs are one person from now on, or no longer.

| event | what is read | what it becomes |
| --- | --- | --- |
| A18, A34, A36, A40, A47 | PID-3 survives, MRG-1 is lost; any number of pairs | `patient_merge` |
| A37 | two PID segments that are no longer one person | `patient_unmerge` |

A message is applied whole or not at all. One that cannot be is kept, with the reason, for the
person who will join the two by hand.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from dose_lib import Settings, submit_decision
from dose_lib.errors import DoseError, ReceiveError
from dose_lib.records import Decision
from pipelines.collect.hl7 import Header, RefusedMessageError, ids_of, parse_message, time_of
from pipelines.collect.sizes import Pseudonyms
from pipelines.disk import Disk, make_folder

MERGES = frozenset({"A18", "A34", "A36", "A40", "A47"})
UNMERGES = frozenset({"A37"})
EVENTS = MERGES | UNMERGES

_AUTHOR = 80  # longest author of a decision
Submit = Callable[..., object]


class NotAppliedError(Exception):
    """Why a merge cannot be applied; no value of the message is in it."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Beside a message in quarantine: what it was, and why it is there; nobody is named."""

    event: str
    reason: str
    since: datetime
    sender: str
    control_id: str
    file: str = ""  # of the message, as `kept_messages` found it


class Merges:
    """Applies merges: decisions in the store, which the vault takes over and audits.

    Parameters
    ----------
    settings
        Of the installation.
    pseudonyms
        Makes keys of patient IDs.
    submit
        Keeps decisions; on return they are on the disk.
    """

    def __init__(
        self, settings: Settings, pseudonyms: Pseudonyms, submit: Submit = submit_decision
    ) -> None:
        self._settings, self._pseudonyms, self._submit = settings, pseudonyms, submit

    def take(self, content: bytes, header: Header, now: datetime) -> int:
        """Apply a message; returns how many pairs of IDs it was about.

        Raises
        ------
        RefusedMessageError
            AE with the reason: it is in quarantine, or cannot be kept now and may come again.
        """
        try:
            pairs = list(_pairs(parse_message(content, header), header.event))
            decisions = self._decisions(pairs, header, now)
        except NotAppliedError as error:
            keep_message(self._settings, content, header, str(error), now)
            raise RefusedMessageError("AE", 204, f"{error}; kept for a person") from None
        try:
            self._submit(self._settings, *decisions)
        except DoseError:
            raise RefusedMessageError("AE", 207, "it cannot be kept now; send it again") from None
        return len(pairs)

    def _decisions(
        self, pairs: Sequence[tuple[list[Any], list[Any]]], header: Header, now: datetime
    ) -> list[Decision]:
        """One decision a pair of keys; the message's own time orders a merge and its undoing."""
        kind = "patient_merge" if header.event in MERGES else "patient_unmerge"
        sender = header.field(3).split(header.encoding[0])[0] or "an unnamed system"
        author = f"HL7 {header.event} of {sender}, message {header.field(10)}"[:_AUTHOR]
        stamp = time_of(header.field(7), self._settings.timezone)
        zone = ZoneInfo(self._settings.timezone)
        at = min(now, stamp.replace(tzinfo=zone).astimezone(UTC)) if stamp else now
        return [
            Decision(
                kind=kind,
                subject=losing,
                payload={"surviving": surviving},
                author=author,
                decided_at=at,
            )
            for pair in pairs
            for surviving, losing in self._keys(*pair)
        ]

    def _keys(self, surviving: list[Any], losing: list[Any]) -> Iterator[tuple[str, str]]:
        """Keys of each lost ID beside those of the surviving one of the same authority."""
        for lost, issuer in losing:
            kept, its_issuer = _same_authority(surviving, issuer)
            said = issuer or its_issuer
            new, old = (self._pseudonyms.keys_of(one, said) for one in (kept, lost))
            if not new or not old:
                raise NotAppliedError("a patient ID is a placeholder, or its authority not listed")
            if new == old:
                raise NotAppliedError("a patient ID is merged into itself")
            yield from zip(new, old, strict=True)


def _pairs(message: Any, event: str) -> Iterator[tuple[list[Any], list[Any]]]:
    """IDs that survive and IDs that are lost, for each pair of segments."""
    segments = [s for s in message if str(s[0]) in ("PID", "MRG")]
    names = [str(s[0]) for s in segments]
    if event in UNMERGES:
        is_whole = names == ["PID", "PID"]
    else:
        is_whole = bool(names) and names == ["PID", "MRG"] * (len(names) // 2)
    if not is_whole:
        expected = "two PID" if event in UNMERGES else "PID and MRG"
        raise NotAppliedError(f"its segments are not {expected}")
    for one, other in zip(segments[::2], segments[1::2], strict=True):
        kept = list(ids_of(one, 3, 2))
        lost = list(ids_of(other, 1, 4) if names[1] == "MRG" else ids_of(other, 3, 2))
        if not kept or not lost:
            raise NotAppliedError("a patient ID is missing")
        yield kept, lost


def _same_authority(
    surviving: Sequence[tuple[str, str | None]], issuer: str | None
) -> tuple[str, str | None]:
    """The surviving ID that a lost one gives way to: of one authority, or one names none."""
    same = [s for s in surviving if s[1] == issuer]
    found = same or [s for s in surviving if s[1] is None or issuer is None]
    if len({s[0] for s in found}) != 1:
        raise NotAppliedError("the two patient IDs are not of one authority")
    return found[0]


def merges_dir(settings: Settings) -> Path:
    """Where messages lie that could not be applied; mode 0700, patients are named in them."""
    return settings.quarantine_dir / "hl7"


def keep_message(
    settings: Settings, content: bytes, header: Header, reason: str, now: datetime
) -> None:
    """Keep a message and its reason; the same message again is kept once.

    Raises
    ------
    RefusedMessageError
        If it cannot be kept.
    """
    note = Kept(
        event=header.event,
        reason=reason,
        since=now,
        sender=header.field(3),
        control_id=header.field(10),
    )
    disk = Disk()
    try:
        folder = make_folder(merges_dir(settings))
        stem = hashlib.sha256(content).hexdigest()[:32]
        for suffix, data in ((".json", msgspec.json.encode(note)), (".hl7", content)):
            temporary = folder / f"{stem}{suffix}.{os.getpid()}.part"
            handle = disk.create(temporary)
            try:
                disk.write(handle, data)
                disk.flush(handle)
            finally:
                disk.close(handle)
            disk.rename(temporary, folder / (stem + suffix))
        disk.flush_folder(folder)
    except (OSError, ReceiveError):
        raise RefusedMessageError("AE", 207, "it cannot be kept now; send it again") from None


def kept_messages(settings: Settings) -> list[Kept]:
    """What is known of the messages in quarantine, oldest first."""
    notes = [
        msgspec.structs.replace(
            msgspec.json.decode(note.read_bytes(), type=Kept), file=str(note.with_suffix(".hl7"))
        )
        for note in merges_dir(settings).glob("*.json")
    ]
    return sorted(notes, key=lambda n: n.since)
