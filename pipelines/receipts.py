"""The receivers' own count: one line for every object before it is acknowledged.

The ledger is written by another process, from what it finds in the spool; it cannot tell
that a file went missing on the way. So whoever takes an object in writes its name down
here, apart from both, and `dose status` looks whether each is found again.

Lines are appended, never changed; one file a month. They are not flushed one by one: after a
power cut the last may be missing, never one too many.
"""

from __future__ import annotations

import errno
import os
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec

from pipelines.disk import make_folder
from pipelines.envelope import Receipt

_LINE = re.compile(rb"([+-])(\d{19}-[0-9a-f]{8}-([0-9a-f]{16})) (\d{8}T\d{6}\.\d{6})$")
_TIME = "%Y%m%dT%H%M%S.%f"


class Noted(msgspec.Struct, frozen=True):
    """One object that was taken in: the name of its file, its hash's beginning, its time."""

    stem: str
    hash_start: str
    received_at: datetime


class Receipts:
    """The count of one installation.

    Parameters
    ----------
    folder
        Where it is kept; made with the first line.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, noted: Noted) -> None:
        """Count an object, before it gets its final name."""
        self._append("+", noted)

    def take_back(self, noted: Noted) -> None:
        """An object got no final name and was not acknowledged; a no-op if it is not counted."""
        if any(known.stem == noted.stem for known in self.recent()):
            self._append("-", noted)

    def recent(self, days: int = 35) -> list[Noted]:
        """Objects counted in this month and the months that `days` reach back to."""
        first = (datetime.now(UTC) - timedelta(days=days)).date().replace(day=1)
        found: dict[str, Noted] = {}
        for line in self._lines(first):
            if match := _LINE.search(line):
                sign, stem, hash_start, at = (part.decode() for part in match.groups())
                when = datetime.strptime(at, _TIME).replace(tzinfo=UTC)
                if sign == "+":
                    found[stem] = Noted(stem, hash_start, when)
                else:
                    found.pop(stem, None)
        return list(found.values())

    def _append(self, sign: str, noted: Noted) -> None:
        make_folder(self._folder)
        file = self._folder / f"{datetime.now(UTC):%Y-%m}.log"
        handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            line = f"{sign}{noted.stem} {noted.received_at.strftime(_TIME)}\n".encode()
            if os.write(handle, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as the next would say
        finally:
            os.close(handle)

    def _files(self, first: date) -> list[Path]:
        if not self._folder.exists():
            return []
        return sorted(f for f in self._folder.glob("*.log") if f.stem >= f"{first:%Y-%m}")

    def _lines(self, first: date) -> list[bytes]:
        return [x for f in self._files(first) for x in f.read_bytes().split(b"\n")]


def note_of(stem: str, receipt: Receipt) -> Noted:
    """The line about an object, by the name of its file."""
    return Noted(stem, receipt.sha256[:16], receipt.received_at.astimezone(UTC))


def receipts_of(spool: Path) -> Receipts:
    """The count that belongs to a spool folder: it lies beside it."""
    return Receipts(spool.parent / "receipts")
