"""DICOM explicit little endian, straight to bytes (PS3.5 §7, PS3.10 §7.1).

A general library builds an object a tag and is two orders slower than this. Nothing here
knows about dose: elements in, bytes out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

EXPLICIT_LE = "1.2.840.10008.1.2.1"
# Who wrote the file (PS3.7 D.3.3.2); a constant of ours under the UUID root.
IMPLEMENTATION_UID = "2.25.271828182845904523536028747135266249775"
IMPLEMENTATION_NAME = "DOSELOOP_SIM"

_LONG = frozenset({"OB", "OD", "OF", "OL", "OW", "SQ", "UC", "UN", "UR", "UT"})
_PACK = {"US": "<H", "SS": "<h", "UL": "<I", "SL": "<i", "FL": "<f", "FD": "<d"}
_CHARSET_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_CODECS = {
    # Devices that declare no character set send what the worklist gave them: Latin-1.
    None: "latin-1",
    "ISO_IR 100": "latin-1",
    "ISO_IR 101": "iso8859_2",
    "ISO_IR 109": "iso8859_3",
    "ISO_IR 144": "iso8859_5",
    "ISO_IR 192": "utf-8",
}

# An element of a data set: value representation and value. A sequence holds data sets.
Element = tuple[str, Any]
DataSet = Mapping[int, Element]


def codec(charset: str | None) -> str:
    """Python's name of a Specific Character Set (PS3.3 C.12.1.1.2)."""
    return _CODECS[charset]


def element(tag: int, vr: str, value: bytes) -> bytes:
    """One element; `value` is padded to even length by the caller."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode("ascii")
    if vr in _LONG:
        return head + b"\0\0" + len(value).to_bytes(4, "little") + value
    return head + len(value).to_bytes(2, "little") + value


def item(content: bytes) -> bytes:
    """One item of a sequence, of defined length."""
    return b"\xfe\xff\x00\xe0" + len(content).to_bytes(4, "little") + content


def pad(value: bytes, filler: bytes = b" ") -> bytes:
    """`value` with an even number of bytes."""
    return value + filler if len(value) % 2 else value


def _raw(vr: str, value: Any, encoding: str) -> bytes:
    values = value if isinstance(value, list | tuple) else (value,)
    if vr in _PACK:
        return b"".join(struct.pack(_PACK[vr], v) for v in values)
    if vr in ("OB", "OW", "UN"):
        return pad(bytes(value), b"\0")
    text = "\\".join("" if v is None else str(v) for v in values)
    raw = text.encode(encoding if vr in _CHARSET_TEXT else "ascii")
    return pad(raw, b"\0" if vr == "UI" else b" ")


def encode(elements: DataSet, charset: str | None = None) -> bytes:
    """A data set as bytes, elements in ascending order of tag.

    Parameters
    ----------
    elements
        tag -> (VR, value). Text as str, several values as a list, a sequence as a list of
        data sets (or of ready bytes), None for an empty value.
    charset
        Specific Character Set; the caller writes (0008,0005) itself.
    """
    encoding = codec(charset)
    parts = []
    for tag in sorted(elements):
        vr, value = elements[tag]
        if value is None:
            raw = b""
        elif vr == "SQ":
            raw = b"".join(item(i if isinstance(i, bytes) else encode(i, charset)) for i in value)
        else:
            raw = _raw(vr, value, encoding)
        parts.append(element(tag, vr, raw))
    return b"".join(parts)


def sequence(tag: int, items: Iterable[bytes]) -> bytes:
    """A sequence of ready items."""
    return element(tag, "SQ", b"".join(items))


def part10(
    sop_class: str, sop_instance: str, body: bytes, *, source_ae: str = "SIMULATOR"
) -> bytes:
    """A DICOM file (PS3.10): preamble, file meta information, data set."""
    meta: dict[int, Element] = {
        0x00020001: ("OB", b"\0\1"),
        0x00020002: ("UI", sop_class),
        0x00020003: ("UI", sop_instance),
        0x00020010: ("UI", EXPLICIT_LE),
        0x00020012: ("UI", IMPLEMENTATION_UID),
        0x00020013: ("SH", IMPLEMENTATION_NAME),
        0x00020016: ("AE", source_ae),
    }
    head = encode(meta)
    return b"".join(
        (b"\0" * 128, b"DICM", element(0x00020000, "UL", struct.pack("<I", len(head))), head, body)
    )


def body_of(data: bytes) -> bytes:
    """The data set of a file written by `part10`, without preamble and file meta information."""
    length = int(struct.unpack_from("<I", data, 140)[0])
    return data[144 + length :]


def decimal_string(number: float) -> str:
    """A number as DS: at most 16 characters, as exact as they allow (PS3.5 §6.2)."""
    if number == int(number) and abs(number) < 1e15:
        return str(int(number))
    text = repr(number)
    digits = 15
    while len(text) > 16:
        text = f"{number:.{digits}g}"
        digits -= 1
    return text
