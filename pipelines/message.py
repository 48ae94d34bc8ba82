"""One DIMSE message while it comes in, and the response to it (PS3.7)."""

from __future__ import annotations

import struct

import msgspec

from pipelines.headers import HeaderStream

C_STORE_RQ, C_ECHO_RQ = 0x0001, 0x0030
SUCCESS = 0x0000
ELEMENTS_DISCARDED = 0xB006  # PS3.4 table B.2-1: a warning; stored, and not all of it
OUT_OF_RESOURCES = 0xA700  # PS3.4 table B.2-1: the sender may try again
CANNOT_PROCESS = 0x0110  # PS3.7 C.5.23 processing failure
MISTYPED = 0x0212  # PS3.7 C.5.14

P_DATA_TF = 0x04  # PS3.8 table 9-22
LAST, COMMAND = 0x02, 0x01  # bits of the message control header, PS3.8 E.2
MAX_OTHER = 1 << 20  # longest command set, and longest message that is no object
_NO_DATA_SET = 0x0101

# Elements of the command set (group 0000), PS3.7 E.1
SOP_CLASS, SOP_INSTANCE = 0x0002, 0x1000
_FIELD, _MESSAGE_ID, _RESPONDED_TO = 0x0100, 0x0110, 0x0120
_DATA_SET_TYPE, _STATUS, _COMMENT = 0x0800, 0x0900, 0x0902


class ProtocolError(Exception):
    """The peer sent what PS3.7 or PS3.8 does not allow; the association is aborted."""


class Answer(msgspec.Struct, frozen=True):
    """Status of a response, with a comment of up to 64 characters."""

    status: int
    comment: str = ""


class Message:
    """One DIMSE message while it comes in."""

    def __init__(self) -> None:
        self.context = 0
        self.command = b""
        self.elements: dict[int, bytes] | None = None
        self.pieces: list[bytes] = []
        self.header: HeaderStream | None = None  # of an image: all that is kept of it
        self.size = 0
        self.is_complete = self.is_too_large = False

    @property
    def field(self) -> int:
        """Command field: what is asked for."""
        return self.number(_FIELD)

    @property
    def has_data_set(self) -> bool:
        """True if a data set follows the command set."""
        return self.number(_DATA_SET_TYPE, _NO_DATA_SET) != _NO_DATA_SET

    @property
    def is_foreign(self) -> bool:
        """True for a request that is neither C-STORE nor C-ECHO."""
        return self.elements is not None and self.field not in (C_STORE_RQ, C_ECHO_RQ)

    def add(self, context: int, control: int, fragment: bytes, limit: int) -> None:
        """Add a fragment of command set or data set."""
        if self.context not in (0, context):
            raise ProtocolError("one message in two presentation contexts")
        self.context = context
        is_command = bool(control & COMMAND)
        if is_command == (self.elements is not None):
            raise ProtocolError("command set and data set in the wrong order")
        if is_command:
            self._add_command(fragment, is_last=bool(control & LAST))
        else:
            self._add_data(fragment, limit)
            self.is_complete = bool(control & LAST)

    def _add_command(self, fragment: bytes, *, is_last: bool) -> None:
        self.command += fragment
        if len(self.command) > MAX_OTHER:
            raise ProtocolError("command set without end")
        if is_last:
            self.elements = _parse_command(self.command)
            self.is_complete = not self.has_data_set

    def _add_data(self, fragment: bytes, limit: int) -> None:
        if self.header is not None:
            self.header.feed(fragment)
            self.size = len(self.header.content)
            fragment = b""
        self.size += len(fragment)
        if self.is_foreign:
            if self.size > MAX_OTHER:
                raise ProtocolError("message too long")
        elif self.size > limit:
            self.is_too_large = True
            self.pieces.clear()
            self.header = None
        elif fragment:
            self.pieces.append(fragment)

    @property
    def data_set(self) -> bytes:
        """What is kept of the data set."""
        return self.header.finish() if self.header is not None else b"".join(self.pieces)

    def take_unread(self, control: int, fragment: bytes) -> bytes:
        """What pynetdicom has not seen of this message: control header and fragment."""
        if control & COMMAND:
            return bytes([COMMAND | LAST]) + self.command
        return bytes([control]) + fragment

    def number(self, element: int, default: int = 0) -> int:
        """Unsigned short of the command set."""
        value = (self.elements or {}).get(element, b"")
        return int.from_bytes(value, "little") if value else default

    def text(self, element: int) -> str:
        """UID of the command set."""
        value = (self.elements or {}).get(element, b"")
        return value.rstrip(b"\x00 ").decode("ascii", "replace")

    def response(self, answer: Answer) -> bytes:
        """The response as one PDU (PS3.7 9.3.1.2, 9.3.5.2)."""
        given = self.elements or {}
        items = [
            _element(SOP_CLASS, given.get(SOP_CLASS, b"")),
            _element(_FIELD, struct.pack("<H", self.field | 0x8000)),
            _element(_RESPONDED_TO, given.get(_MESSAGE_ID, b"\x00\x00")),
            _element(_DATA_SET_TYPE, struct.pack("<H", _NO_DATA_SET)),
            _element(_STATUS, struct.pack("<H", answer.status)),
        ]
        if answer.comment:
            comment = answer.comment[:64].encode("ascii", "replace")
            items.append(_element(_COMMENT, comment + b" " * (len(comment) % 2)))
        if SOP_INSTANCE in given:
            items.append(_element(SOP_INSTANCE, given[SOP_INSTANCE]))
        body = b"".join(items)
        body = _element(0x0000, struct.pack("<I", len(body))) + body
        length = len(body) + 2
        control = COMMAND | LAST
        return (
            struct.pack(">BBIIBB", P_DATA_TF, 0, length + 4, length, self.context, control) + body
        )


def _parse_command(content: bytes) -> dict[int, bytes]:
    """Elements of a command set: implicit VR little endian, group 0000 (PS3.7 6.3.1)."""
    elements: dict[int, bytes] = {}
    at = 0
    while at < len(content):
        group, element, length = struct.unpack_from("<HHI", content, at)
        if group != 0 or at + 8 + length > len(content):
            raise ProtocolError("command set cannot be read")
        elements[element] = content[at + 8 : at + 8 + length]
        at += 8 + length
    return elements


def _element(element: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, element, len(value)) + value
