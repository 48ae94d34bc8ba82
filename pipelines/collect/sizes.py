"""Sizes on their way into the store: pseudonymised, on the disk, then kept by the store's owner.

Whoever brings sizes (worklist, HL7, a file) puts them here and may then say that they are
safe: the file is flushed before `put` returns. Only the owner of the store writes there; it
looks here once in a while. No identifier ever gets to this disk: keys are made before.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from dose_lib import Settings, keys
from dose_lib.errors import OutOfRoomError, ReceiveError, StoreInUseError
from dose_lib.records import MeasuredSize, SizeSource
from dose_lib.store import Store, site_key
from pipelines.collect.body import SizeOf, with_keys
from pipelines.disk import NO_ROOM, Disk, FolderFlush, make_folder
from pipelines.status import is_running

log = logging.getLogger(__name__)

_SUFFIX, _TEMPORARY = ".json", ".part"
_LOOK_S = 1.0
_AT_ONCE = 2000


class Pseudonyms:
    """Makes the keys under which a patient's exams may be stored.

    Parameters
    ----------
    settings
        Of the installation: its site key, and `size_issuers`.
    """

    def __init__(self, settings: Settings) -> None:
        self._key = site_key(settings)
        self._issuers = dict(_issuer(text) for text in settings.size_issuers)

    def keys_of(self, patient_id: str, issuer: str | None) -> tuple[str, ...]:
        """Keys of a patient ID: none for placeholders, and for issuers that are not listed.

        Devices often leave the issuer out, so that an ID counts with and without it, unless
        `size_issuers` says how each issuer appears in DICOM.
        """
        if keys.is_placeholder_id(patient_id):
            return ()
        if self._issuers:
            if (issuer or "") not in self._issuers:
                return ()
            wanted = {self._issuers[issuer or ""]}
        else:
            wanted = {issuer or "", ""}
        return tuple(keys.patient_key(self._key, patient_id, i, "")[0] for i in sorted(wanted))

    def pseudonymise(
        self, given: Iterable[SizeOf], source: SizeSource, at: datetime | None = None
    ) -> list[MeasuredSize]:
        """Sizes under the keys of their patients."""
        now = at or datetime.now(UTC)
        return [
            size
            for one in given
            for size in with_keys(one, self.keys_of(one.patient_id, one.issuer), source, now)
        ]


def _issuer(text: str) -> tuple[str, str]:
    authority, sign, in_dicom = text.partition("=")
    return authority.strip(), (in_dicom if sign else authority).strip()


class SizeInbox:
    """The folder where sizes wait for the owner of the store.

    Parameters
    ----------
    settings
        Of the installation.
    disk
        The file system.
    """

    def __init__(self, settings: Settings, *, disk: Disk | None = None) -> None:
        self.folder = make_folder(settings.sizes_dir)
        self._disk = disk or Disk()
        self._flush = FolderFlush(self.folder, self._disk)

    def put(self, sizes: Sequence[MeasuredSize]) -> None:
        """Keep sizes; on return they survive a crash of the machine.

        Raises
        ------
        OutOfRoomError
            If there is no room.
        ReceiveError
            If the disk fails otherwise.
        """
        if not sizes:
            return
        stem = f"{time.time_ns():019d}-{os.urandom(4).hex()}"
        temporary = self.folder / (stem + _TEMPORARY)
        try:
            handle = self._disk.create(temporary)
            try:
                self._disk.write(handle, msgspec.json.encode(list(sizes)))
                self._disk.flush(handle)
            finally:
                self._disk.close(handle)
            self._disk.rename(temporary, self.folder / (stem + _SUFFIX))
            self._flush.wait()
        except OSError as error:
            temporary.unlink(missing_ok=True)
            kind = OutOfRoomError if error.errno in NO_ROOM else ReceiveError
            raise kind(
                f"sizes cannot be kept ({error.strerror})",
                where=str(self.folder),
                todo="Make room, or check the disk; whoever sent them is told to send them again",
            ) from error

    def waiting(self) -> list[Path]:
        """Files that wait, oldest first."""
        return sorted(self.folder.glob(f"*{_SUFFIX}"))

    def drain(self, store: Store) -> int:
        """Hand everything to the store; returns how many exams got another size.

        A file goes only after the store has its content; read twice, it changes nothing.
        """
        changed = 0
        for file in self.waiting():
            try:
                sizes = msgspec.json.decode(file.read_bytes(), type=list[MeasuredSize])
            except msgspec.MsgspecError:
                log.error("a file of sizes cannot be read", extra={"arrival": file.name})
                file.rename(file.with_suffix(".bad"))
                continue
            for at in range(0, len(sizes), _AT_ONCE):
                changed += store.add_sizes(sizes[at : at + _AT_ONCE])
            file.unlink()
        return changed


class SizeIntake:
    """The owner's look into the inbox, now and then."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._inbox, self._store = SizeInbox(settings), store
        self._look_at = 0.0

    def look(self) -> None:
        """Take in what waits, at most once a second."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _LOOK_S
        if changed := self._inbox.drain(self._store):
            log.info("sizes taken in", extra={"count": changed})


def keep_now(settings: Settings) -> int | None:
    """Empty the inbox where no service does; None if it is left to the service.

    Returns
    -------
    int or None
        How many exams got another size.
    """
    if is_running(settings):
        return None
    try:
        with Store.open(settings) as store:
            return SizeInbox(settings).drain(store)
    except StoreInUseError:
        return None  # whoever owns it takes what waits
