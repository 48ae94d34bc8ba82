"""Journals: text files apart from the store, for every fact that no received object tells.

What people decided and what detectors opened, sizes of patients from outside their exams, what
exams were called before a decision, which decisions the stored exams obey, and when each object
was stored. They lie in a folder of their own beside the archive, one line of JSON each, flushed
to the disk; so a store that is lost or damaged, whole folder and all, takes none of it along.

Opening the store takes in what it does not have, and writes down what its journals do not
have (`recall`). Nothing is ever taken out of a journal but by an erasure.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from dose_lib.errors import StoreError
from dose_lib.records import Decision, Finding, MeasuredSize
from dose_lib.store.keyfile import private_folder, sync_folder, write_private

T = TypeVar("T", bound=msgspec.Struct)
_CHUNK = 1 << 20
_LONGEST_LINE = 1 << 17


class FormerName(msgspec.Struct, frozen=True, kw_only=True):
    """What an exam part was called until a decision changed it (table `former_name`)."""

    part_key: str
    procedure_name: str | None = None
    body_region: str | None = None
    contrast: str | None = None
    until: datetime


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that the stored parts obey (table `applied_decision`)."""

    decision_id: str
    n_parts: int
    applied_at: datetime


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """When some receipts came into the ledger; of a receipt that is told twice the last holds."""

    at: datetime
    receipts: tuple[str, ...]


class Journal(Generic[T]):
    """One file of values of one kind, in the order in which they were kept.

    Without a file it keeps nothing and knows nothing.
    """

    def __init__(self, file: Path | None, kind: type[T]) -> None:
        self.file = file
        self._kind = kind
        self._decoder = msgspec.json.Decoder(kind)

    def append(self, values: Iterable[T]) -> None:
        """Append values and return once they are on the disk."""
        self.append_lines(msgspec.json.encode(v, order="sorted") for v in values)

    def append_lines(self, lines: Iterable[bytes]) -> None:
        """Append lines of a journal of the same kind, without their ends."""
        content = b"".join(line + b"\n" for line in lines)
        if not content or self.file is None:
            return
        is_new = not self.file.exists()
        if is_new:
            private_folder(self.file.parent)
        descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, _mended(self.file) + content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            sync_folder(self.file.parent)

    def drop(self, is_erased: Callable[[T], bool]) -> None:
        """Take values out for good: the file is written anew, whole or not at all."""
        values = self.read()
        kept = [v for v in values if not is_erased(v)]
        if len(kept) < len(values):
            self.replace(kept)

    def replace(self, values: Iterable[T]) -> None:
        """Write the file anew, whole or not at all."""
        lines = [msgspec.json.encode(v, order="sorted") + b"\n" for v in values]
        if self.file is not None and (lines or self.file.exists()):
            write_private(self.file, b"".join(lines))

    def beside(self, folder: Path) -> Journal[T]:
        """The same journal as it is in another folder, such as a backup."""
        return Journal(self.file and folder / self.file.name, self._kind)

    def read(self) -> list[T]:
        """All values, in order; none if there is no file.

        A last line without its end was being written when the machine stopped; its writer was
        never told that it is kept, and it is left out.

        Raises
        ------
        StoreError
            If a line is damaged, with its number.
        """
        found: list[T] = []
        lines = self.lines()
        for number, line in enumerate(lines, start=1):
            try:
                found.append(self._decoder.decode(line))
            except msgspec.MsgspecError:
                if not line or number == len(lines) or not line.endswith(b"}"):
                    continue
                raise StoreError(
                    f"line {number} of the journal is damaged",
                    where=str(self.file),
                    todo="Put the file back from a backup, or remove that line",
                ) from None
        return found

    def lines(self) -> list[bytes]:
        """Its lines as they are; the last one is empty unless a crash tore it."""
        try:
            return self.file.read_bytes().split(b"\n") if self.file else []
        except FileNotFoundError:
            return []

    def last(self) -> T | None:
        """The last value; None if there is none, or the last line is torn."""
        if self.file is None:
            return None
        try:
            with self.file.open("rb") as stream:
                stream.seek(-min(stream.seek(0, os.SEEK_END), _LONGEST_LINE), os.SEEK_END)
                line = stream.read().rstrip(b"\n").rpartition(b"\n")[2]
            return self._decoder.decode(line)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def count(self) -> int:
        """How many lines it has."""
        if self.file is None:
            return 0
        try:
            with self.file.open("rb") as stream:
                return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(_CHUNK), b""))
        except FileNotFoundError:
            return 0


def _mended(file: Path) -> bytes:
    """A line end where a crash left the last line without one."""
    with file.open("rb") as stream:
        if stream.seek(0, os.SEEK_END) == 0:
            return b""
        stream.seek(-1, os.SEEK_END)
        return b"" if stream.read(1) == b"\n" else b"\n"


class Journals:
    """All journals of an installation.

    Parameters
    ----------
    folder
        `Settings.journal_dir`; None for a store that is being made, and keeps none.
    """

    def __init__(self, folder: Path | None) -> None:
        self.decisions = Journal(_in(folder, "decisions"), Decision)
        self.findings = Journal(_in(folder, "findings"), Finding)
        self.sizes = Journal(_in(folder, "sizes"), MeasuredSize)
        self.former_names = Journal(_in(folder, "former_names"), FormerName)
        self.applied = Journal(_in(folder, "applied"), Applied)
        self.stored = Journal(_in(folder, "stored"), Stored)
        self.is_behind = False  # `stored`: its disk took nothing the last time

    @property
    def independent(self) -> tuple[Journal[Any], ...]:
        """Those whose lines hold whatever state the store is in."""
        return (self.decisions, self.findings, self.sizes, self.stored)

    @property
    def of_names(self) -> tuple[Journal[Any], ...]:
        """Those that tell in what state the names in the store are."""
        return (self.former_names, self.applied)

    def files(self) -> list[Path]:
        """The files that exist."""
        every = (*self.independent, *self.of_names)
        return [j.file for j in every if j.file is not None and j.file.exists()]

    def move_from(self, folder: Path) -> bool:
        """Take over journals that an earlier version kept beside the store; True if there were.

        A crash in between leaves lines twice, which are one when they are read.
        """
        moved = False
        for journal in (self.decisions, self.findings):
            former = journal.file and folder / journal.file.name
            if former is not None and former.exists():
                journal.append_lines(line for line in former.read_bytes().split(b"\n") if line)
                former.unlink()
                moved = True
        return moved


def _in(folder: Path | None, name: str) -> Path | None:
    return None if folder is None else folder / f"{name}.jsonl"
