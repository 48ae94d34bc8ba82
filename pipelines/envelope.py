"""A received object and its receipt in one file, so that no crash can part them.

The file is the object's bytes, unchanged, followed by one element: Data Set Trailing
Padding (FFFC,FFFC), whose content the standard gives no meaning (PS3.10 §7.2). In it lies
the receipt as JSON. So every file of spool, archive and quarantine

* opens in any DICOM program as the object that was sent;
* carries who sent it, when, by which route, and the hash of the bytes;
* gets its name by a single rename: object and receipt appear at the same instant. With a
  sidecar file of its own there is a moment between two renames, and twice the flushes.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from dose_lib.errors import ReceiveError
from dose_lib.records import DerivedValue

Route = Literal["c-store", "folder", "mpps", "c-get", "c-move", "dicomweb", "history"]

# PS3.5 names of the encodings a trailing element has to follow.
_IMPLICIT = "1.2.840.10008.1.2"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
# Whole data sets deflated (PS3.5 annex A); not 1.2.8.1, which deflates frames only.
_DEFLATED = ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205")
# Ours, in the arc for UIDs made from a UUID (PS3.5 B.2); fixed, so that the same object
# received twice has the same bytes and the same hash whatever our version.
IMPLEMENTATION_UID = "2.25.243606018927443587183476213105968320714"
IMPLEMENTATION_NAME = "DOSELOOP"
_MAGIC = b"DOSELOOP"
_FIRST = b'{"route"'  # how every receipt begins
_TAIL = struct.Struct("<Q8s")  # offset of the trailing element, magic


class Receipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of an object before anyone has read it.

    Attributes
    ----------
    route
        How it came.
    received_at
        When it was on our disk, UTC, microseconds; with `sha256` the key of the arrival.
    sha256, size
        Hash and length of the object's bytes as kept (a Part 10 file).
    caller, called, address
        AE titles and network address; None for the folder route.
    sop_class, sop_instance_uid, transfer_syntax
        As the sender stated them, before the object was read.
    derived
        What was measured on pixels before they were dropped, with formula and version.
    """

    route: Route
    received_at: datetime
    sha256: str
    size: int
    caller: str | None = None
    called: str | None = None
    address: str | None = None
    sop_class: str | None = None
    sop_instance_uid: str | None = None
    transfer_syntax: str | None = None
    derived: Mapping[str, DerivedValue] = {}


class DamagedFileError(ReceiveError):
    """A file of ours no longer holds the bytes that were received."""


def make_receipt(data: bytes, route: Route, **facts: Any) -> Receipt:
    """Receipt of bytes received now.

    Parameters
    ----------
    data
        The object, as it will be kept.
    route
        How it came.
    **facts
        Further fields of `Receipt`.
    """
    return Receipt(
        route=route,
        received_at=datetime.now(UTC),
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        **facts,
    )


def seal(data: bytes, receipt: Receipt) -> bytes:
    """The trailing element that carries `receipt`, to be written after `data`."""
    text = msgspec.json.encode(receipt)
    text += b" " * (-(len(text) + _TAIL.size) % 2)
    value = text + _TAIL.pack(len(data), _MAGIC)
    return _element_head(receipt.transfer_syntax or transfer_syntax_of(data), len(value)) + value


def unseal(content: bytes, where: Path) -> tuple[bytes, Receipt]:
    """Bytes and receipt of a file of ours, checked against its hash.

    Parameters
    ----------
    content
        The whole file.
    where
        Its path, for the message.

    Raises
    ------
    DamagedFileError
        If the receipt is missing or the bytes are not those that were received.
    """
    receipt = read_receipt(content, where)
    data = content[: receipt.size]
    if hashlib.sha256(data).hexdigest() != receipt.sha256:
        raise DamagedFileError(
            "the bytes are not those that were received",
            expected=f"SHA-256 {receipt.sha256}",
            where=str(where),
            todo="Check the disk; ask the sender to send the object again",
        )
    return data, receipt


def read_receipt(content: bytes, where: Path, *, offset: int = 0) -> Receipt:
    """Receipt at the end of a file of ours; see `unseal`.

    Parameters
    ----------
    content
        The file, or its end.
    where
        Its path, for the message.
    offset
        Where in the file `content` begins.
    """
    try:
        size, magic = _TAIL.unpack_from(content, len(content) - _TAIL.size)
        if magic != _MAGIC:
            raise ValueError(magic)
        text = content[content.index(_FIRST, max(0, size - offset)) : len(content) - _TAIL.size]
        receipt = msgspec.json.decode(text, type=Receipt)
    except (struct.error, ValueError) as error:  # msgspec's errors are ValueErrors
        raise DamagedFileError(
            "the file carries no receipt",
            expected="a file written by DoseLoop's spool",
            where=str(where),
            todo="To take in a file from elsewhere, use `dose ingest`",
        ) from error
    return receipt


def part10(dataset: bytes, *, sop_class: str, sop_instance_uid: str, transfer_syntax: str) -> bytes:
    """A data set as it came over the network, as a Part 10 file.

    The same data set always gives the same bytes: no time, no sender, no version.

    Parameters
    ----------
    dataset
        The encoded data set.
    sop_class, sop_instance_uid, transfer_syntax
        As the sender stated them.
    """
    meta = (
        b"\x02\x00\x01\x00OB\x00\x00\x02\x00\x00\x00\x00\x01"
        + _meta_uid(0x0002, sop_class)
        + _meta_uid(0x0003, sop_instance_uid)
        + _meta_uid(0x0010, transfer_syntax)
        + _meta_uid(0x0012, IMPLEMENTATION_UID)
        + struct.pack("<HH2sH", 2, 0x0013, b"SH", 8)
        + IMPLEMENTATION_NAME.encode()
    )
    length = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta))
    return b"".join((bytes(128), b"DICM", length, meta, dataset))


def transfer_syntax_of(data: bytes) -> str | None:
    """Transfer syntax that the file meta information states; None without one."""
    if data[128:132] != b"DICM":
        return None
    at = data.find(b"\x02\x00\x10\x00UI", 132, 4096)
    if at < 0:
        return None
    (length,) = struct.unpack_from("<H", data, at + 6)
    return data[at + 8 : at + 8 + length].rstrip(b"\x00 ").decode("ascii", "replace")


def _meta_uid(element: int, uid: str) -> bytes:
    value = uid.encode("ascii", "replace")
    value += b"\x00" * (len(value) % 2)
    return struct.pack("<HH2sH", 2, element, b"UI", len(value)) + value


def _element_head(transfer_syntax: str | None, length: int) -> bytes:
    """Head of (FFFC,FFFC) in the encoding of the object before it.

    Nothing can follow a deflated stream, and nothing is known of bytes that are no DICOM
    file: there the value stands alone.
    """
    if transfer_syntax is None or transfer_syntax in _DEFLATED:
        return b""
    if transfer_syntax == _IMPLICIT:
        return struct.pack("<HHI", 0xFFFC, 0xFFFC, length)
    order = ">" if transfer_syntax == _BIG_ENDIAN else "<"
    return struct.pack(f"{order}HH2sHI", 0xFFFC, 0xFFFC, b"OB", 0, length)
