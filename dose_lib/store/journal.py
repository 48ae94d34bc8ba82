"""The journal of decisions: a text file beside the store, so that no decision dies with it.

One line of JSON a decision, flushed to the disk before the store says it is kept. Opening
the store takes in what it does not have; so a store made anew from the archive, or restored
from an older backup, still knows every decision.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from dose_lib.errors import StoreError
from dose_lib.records import Decision
from dose_lib.store.keyfile import sync_folder

_LINE = msgspec.json.Decoder(Decision)


def journal_file(store_file: Path) -> Path:
    """`decisions.jsonl` beside the store."""
    return store_file.with_name("decisions.jsonl")


def append(file: Path, decisions: Iterable[Decision]) -> None:
    """Append decisions and return once they are on the disk."""
    lines = b"".join(msgspec.json.encode(d, order="sorted") + b"\n" for d in decisions)
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

    A last line without its end was being written when the machine stopped; its writer was
    never told that it is kept, and it is left out.

    Raises
    ------
    StoreError
        If any other line is damaged, with its number.
    """
    try:
        lines = file.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    found: list[Decision] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found.append(_LINE.decode(line))
        except msgspec.MsgspecError:
            if number == len(lines) or not line.endswith(b"}"):
                continue
            raise StoreError(
                f"line {number} of the journal of decisions is damaged",
                where=str(file),
                todo="Put the file back from a backup, or remove that line and decide again",
            ) from None
    return found
