"""Journals of decisions and findings: text files beside the store, so that none dies with it.

One line of JSON each, flushed to the disk before the store says it is kept. Opening
the store takes in what it does not have; so a store made anew from the archive, or restored
from an older backup, still knows every decision.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from dose_lib.errors import StoreError
from dose_lib.records import Decision, Finding
from dose_lib.store.keyfile import sync_folder

T = TypeVar("T")


def journal_file(store_file: Path) -> Path:
    """`decisions.jsonl` beside the store."""
    return store_file.with_name("decisions.jsonl")


def findings_file(store_file: Path) -> Path:
    """`findings.jsonl` beside the store."""
    return store_file.with_name("findings.jsonl")


def append(file: Path, values: Iterable[Decision | Finding]) -> None:
    """Append decisions or findings and return once they are on the disk."""
    lines = b"".join(msgspec.json.encode(v, order="sorted") + b"\n" for v in values)
    if not lines:
        return
    is_new = not file.exists()
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, _mended(file) + lines)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_new:
        sync_folder(file.parent)


def _mended(file: Path) -> bytes:
    """A line end where a crash left the last line without one."""
    with file.open("rb") as stream:
        if stream.seek(0, os.SEEK_END) == 0:
            return b""
        stream.seek(-1, os.SEEK_END)
        return b"" if stream.read(1) == b"\n" else b"\n"


def read(file: Path) -> list[Decision]:
    """All decisions of a journal, in order; empty if there is none.

    Raises
    ------
    StoreError
        If a line is damaged, with its number.
    """
    return _read(file, Decision, "decisions")


def read_findings(store_file: Path) -> list[Finding]:
    """All findings of the journal beside a store, as they were opened.

    Raises
    ------
    StoreError
        If a line is damaged, with its number.
    """
    return _read(findings_file(store_file), Finding, "findings")


def _read(file: Path, kind: type[T], what: str) -> list[T]:
    """Values of a journal.

    A last line without its end was being written when the machine stopped; its writer was
    never told that it is kept, and it is left out.
    """
    try:
        lines = file.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    decoder = msgspec.json.Decoder(kind)
    found: list[T] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found.append(decoder.decode(line))
        except msgspec.MsgspecError:
            if number == len(lines) or not line.endswith(b"}"):
                continue
            raise StoreError(
                f"line {number} of the journal of {what} is damaged",
                where=str(file),
                todo="Put the file back from a backup, or remove that line",
            ) from None
    return found
