"""Encodings the lean reader does not know, laid out anew as explicit VR little endian.

Big endian is byte-swapped. Elements whose value representation is unknown, and those
without one in an explicit data set, become UN: the reader knows the types of what it
needs. One pass, so that the cost grows with the bytes and not with what they claim.
"""

from __future__ import annotations

from array import array
from struct import Struct

from dose_lib.dicom.elements import (
    LONG_VRS,
    MAX_DEPTH,
    SHORT_VRS,
    OddEncodingError,
    shown,
)
from dose_lib.errors import ReadError, TruncatedError

PIXELS = 0x7FE00000
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_OUT_ITEM = b"\xfe\xff\x00\xe0"
_OUT_TAG, _OUT_SHORT, _OUT_LONG = Struct("<HH").pack, Struct("<H").pack, Struct("<L").pack
# Bytes of one number, by VR; its array type code.
_WIDTHS = {
    **dict.fromkeys((b"US", b"SS", b"OW", b"AT"), "H"),
    **dict.fromkeys((b"UL", b"SL", b"FL", b"OL", b"OF"), "I"),
    **dict.fromkeys((b"FD", b"SV", b"UV", b"OD", b"OV"), "Q"),
}


def is_big_endian(data: bytes, start: int) -> bool:
    """True if the first element's group, 0008 or below, stands high byte first."""
    first = data[start : start + 2]
    return len(first) == 2 and first[0] == 0 and first[1] in (2, 4, 8)


def to_explicit_little(data: bytes, start: int) -> bytes:
    """The data set from byte `start` in explicit VR little endian, without pixels.

    Parameters
    ----------
    data
        The object, its data set in explicit VR of either byte order.
    start
        First byte of the data set.

    Raises
    ------
    TruncatedError
        If an element is longer than the bytes that are left.
    OddEncodingError, ReadError
        If this is no layout of elements, or nested too deep.
    """
    copy = _Copy(data, ">" if is_big_endian(data, start) else "<")
    copy.elements(start, len(data), 0)
    return bytes(copy.out)


class _Copy:
    """One pass over the source; `out` grows as it goes."""

    def __init__(self, data: bytes, order: str) -> None:
        self.data, self.is_big = data, order == ">"
        self.out = bytearray()
        self._head = Struct(order + "HH2sH").unpack_from
        self._tag_and_length = Struct(order + "HHL").unpack_from
        self._long = Struct(order + "L").unpack_from

    def elements(self, pos: int, end: int, depth: int) -> int:
        """Copy elements up to `end`, an item's delimiter or pixels; returns where it stopped."""
        data = self.data
        while pos + 8 <= end:
            group, element, vr, length = self._head(data, pos)
            tag = group << 16 | element
            if tag >= PIXELS:
                if group == 0xFFFE and tag != _ITEM_END:
                    raise OddEncodingError(f"{shown(tag)} among elements", where=f"byte {pos}")
                return pos
            vr, start, length = self._layout(vr, length, pos, end, tag)
            if vr == b"SQ" or (length == _UNDEFINED and vr == b"UN"):
                self.out += _OUT_TAG(group, element) + b"SQ\0\0"
                place = self._leave_room()
                pos = self._sequence(start, length, end, depth + 1, tag)
                self._fill_in(place)
                continue
            if start + length > end:
                raise _truncated(tag, pos)
            self._value(group, element, vr, data[start : start + length])
            pos = start + length
        if pos != end and any(data[pos:end]):
            raise TruncatedError("the object ends within an element", where=f"byte {pos}")
        return end

    def _layout(
        self, vr: bytes, short: int, pos: int, end: int, tag: int
    ) -> tuple[bytes, int, int]:
        """VR, first byte of the value and its length, in whichever way they were written."""
        is_new = vr.isalpha() and vr.isupper() and vr not in SHORT_VRS and short == 0
        if vr in LONG_VRS or is_new:
            if pos + 12 > end:
                raise _truncated(tag, pos)
            return (vr if vr in LONG_VRS else b"UN"), pos + 12, self._long(self.data, pos + 8)[0]
        if vr in SHORT_VRS:
            return vr, pos + 8, short
        length = self._long(self.data, pos + 4)[0]
        fits = length == _UNDEFINED or pos + 8 + length <= end
        is_implicit = fits and not (vr.isalpha() and vr.isupper())
        return b"UN", pos + 8, length if is_implicit else short

    def _sequence(self, pos: int, length: int, end: int, depth: int, tag: int) -> int:
        """Copy the items of a sequence; returns the byte after it."""
        if depth > MAX_DEPTH:
            raise ReadError(f"nested deeper than {MAX_DEPTH} levels", where=f"byte {pos}")
        stop = end if length == _UNDEFINED else pos + length
        if stop > end:
            raise _truncated(tag, pos)
        is_closed = length != _UNDEFINED
        while pos + 8 <= stop:
            group, element, size = self._tag_and_length(self.data, pos)
            found = group << 16 | element
            if found == _SEQUENCE_END:
                is_closed, pos = True, pos + 8
                break
            if found != _ITEM:
                raise OddEncodingError(f"{shown(found)} instead of an item", where=f"byte {pos}")
            pos = self._item(pos + 8, size, stop, depth)
        if not is_closed:
            raise TruncatedError("a sequence is not closed", where=f"byte {pos}")
        return pos if length == _UNDEFINED else stop

    def _item(self, pos: int, size: int, stop: int, depth: int) -> int:
        last = stop if size == _UNDEFINED else pos + size
        if last > stop:
            raise _truncated(_ITEM, pos)
        self.out += _OUT_ITEM
        place = self._leave_room()
        met = self.elements(pos, last, depth)
        self._fill_in(place)
        if size != _UNDEFINED:
            return last
        if met + 8 > stop:
            raise TruncatedError("an item is not closed", where=f"byte {pos}")
        return met + 8

    def _leave_room(self) -> int:
        """A length that is known only when what follows has been copied."""
        self.out += b"\0\0\0\0"
        return len(self.out)

    def _fill_in(self, place: int) -> None:
        self.out[place - 4 : place] = _OUT_LONG(len(self.out) - place)

    def _value(self, group: int, element: int, vr: bytes, raw: bytes) -> None:
        if self.is_big and (code := _WIDTHS.get(vr)):
            numbers = array(code)
            numbers.frombytes(raw[: len(raw) // numbers.itemsize * numbers.itemsize])
            numbers.byteswap()
            raw = numbers.tobytes()
        self.out += _OUT_TAG(group, element) + vr
        self.out += b"\0\0" + _OUT_LONG(len(raw)) if vr in LONG_VRS else _OUT_SHORT(len(raw))
        self.out += raw


def _truncated(tag: int, pos: int) -> TruncatedError:
    return TruncatedError(
        f"{shown(tag)} is longer than the bytes that are left", where=f"byte {pos}"
    )
