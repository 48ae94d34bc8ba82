"""Image headers while they stream in: kept up to the pixels, which are dropped on arrival.

Dose lies in the header, and pixels show the patient. An image may be of any length; what is
held of it in memory is its header alone. Elements stand in order of their tags (PS3.5 §7.1),
so the first of group 7FE0 or beyond ends what is kept. Icons, overlays and curves go too.
"""

from __future__ import annotations

import struct

_PIXELS = 0x7FE0
_IMPLICIT, _BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXEL_DATA = 0x7FE00010
_UNDEFINED = 0xFFFFFFFF
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_DEEPEST = 64


class HeaderStream:
    """The header of one object, cut where its pixels begin.

    Parameters
    ----------
    transfer_syntax
        UID of the encoding; not a deflated one, whose elements cannot be told apart.
    measured_bytes
        Most bytes of pixel data that are held until the end, to be measured; by default none.

    Attributes
    ----------
    content
        What is kept.
    pixels
        The element of the pixel data, to be measured and dropped; empty where they are longer
        than allowed. With `content` before it, it can be decoded.
    has_pixels
        True once pixel data came.
    has_dropped
        True once anything was dropped.
    """

    def __init__(self, transfer_syntax: str, measured_bytes: int = 0) -> None:
        self.content = bytearray()
        self.pixels = bytearray()
        self.has_pixels = self.has_dropped = False
        self._pixels_left = 0
        self._has_length = True
        self._most_pixels = measured_bytes
        self._is_over = False
        self._is_implicit = transfer_syntax == _IMPLICIT
        self._order = ">" if transfer_syntax == _BIG_ENDIAN else "<"
        self._at = 0
        self._unwanted: int | None = None  # where an element begins that is to be dropped
        self._is_lost = False
        # Open sequences and items of undefined length: is a sequence, is implicit VR.
        self._open: list[tuple[bool, bool]] = []

    def feed(self, fragment: bytes) -> None:
        """Take the next bytes of the object."""
        if self._is_over:
            self._hold(fragment)
            return
        self.content += fragment
        # Where elements cannot be told apart all is kept: what is wrong is the reader's to say.
        while not (self._is_over or self._is_lost) and self._step():
            pass

    def finish(self) -> bytes:
        """What is kept, after the last fragment."""
        if not (self._open or self._is_lost):
            self._drop()
        return bytes(self.content)

    def _step(self) -> bool:
        """Pass one element or delimiter; False if more bytes are needed for that."""
        if self._at + 12 > len(self.content):
            return False
        if not self._open:
            self._drop()
        group, element = struct.unpack_from(self._order + "HH", self.content, self._at)
        tag = group << 16 | element
        is_sequence, is_implicit = self._open[-1] if self._open else (False, self._is_implicit)
        if not self._open and group >= _PIXELS:
            if tag == _PIXEL_DATA:
                self.has_pixels = True
                self._begin_pixels(self.content[self._at :])
            del self.content[self._at :]
            self._is_over = self.has_dropped = True
        elif is_sequence or tag == _ITEM_END:
            self._pass_delimiter(tag, is_implicit=is_implicit)
        else:
            if not self._open and _is_picture(group, element):
                self._unwanted = self._at
            self._pass_element(is_implicit=is_implicit)
        return True

    @property
    def is_complete(self) -> bool:
        """True once nothing that follows could be kept or held."""
        return self._is_over and not self._pixels_left

    def _begin_pixels(self, rest: bytearray) -> None:
        """Hold pixel data that are short enough."""
        code, start = ("L", 4) if self._is_implicit else ("L", 8)
        (length,) = struct.unpack_from(self._order + code, rest, start)
        self._has_length = length != _UNDEFINED
        if not self._has_length and self._most_pixels:  # compressed: how long shows at the end
            self._pixels_left = self._most_pixels
        elif length <= self._most_pixels:
            self._pixels_left = start + 4 + length
        self._hold(bytes(rest))

    def _hold(self, fragment: bytes) -> None:
        if len(fragment) > self._pixels_left and not self._has_length:
            self.pixels.clear()
            self._pixels_left = 0
            return
        taken = fragment[: self._pixels_left]
        self.pixels += taken
        self._pixels_left -= len(taken)

    def _drop(self) -> None:
        """Drop the element just passed, if it is a picture."""
        if self._unwanted is not None:
            del self.content[self._unwanted : self._at]
            self._at, self._unwanted = self._unwanted, None
            self.has_dropped = True

    def _pass_delimiter(self, tag: int, *, is_implicit: bool) -> None:
        (length,) = struct.unpack_from(self._order + "L", self.content, self._at + 4)
        self._at += 8
        if tag in (_ITEM_END, _SEQUENCE_END) and self._open:
            self._open.pop()
        elif tag != _ITEM:
            self._is_lost = True
        elif length == _UNDEFINED:
            self._enter(is_sequence=False, is_implicit=is_implicit)
        else:
            self._at += length

    def _pass_element(self, *, is_implicit: bool) -> None:
        vr = bytes(self.content[self._at + 4 : self._at + 6])
        if is_implicit:
            size, code, start = 0, "L", 4
        elif vr in _LONG:
            size, code, start = 4, "L", 8
        elif vr in _SHORT:
            size, code, start = 0, "H", 6
        else:
            self._is_lost = True
            return
        (length,) = struct.unpack_from(self._order + code, self.content, self._at + start)
        self._at += 8 + size
        if length != _UNDEFINED or code == "H":
            self._at += length
        else:
            # An unknown sequence is encoded in implicit VR (PS3.5 §6.2.2 note 4).
            self._enter(is_sequence=True, is_implicit=is_implicit or vr == b"UN")

    def _enter(self, *, is_sequence: bool, is_implicit: bool) -> None:
        self._open.append((is_sequence, is_implicit))
        self._is_lost = len(self._open) > _DEEPEST


def _is_picture(group: int, element: int) -> bool:
    """Icon image sequence, overlay data, curve data."""
    return (group, element) == (0x0088, 0x0200) or (
        group & 0xFF01 in (0x5000, 0x6000) and element == 0x3000
    )


def without_pixels(content: bytes, transfer_syntax: str) -> bytes:
    """The header of an encoded data set, without pixels and other pictures.

    Parameters
    ----------
    content
        The data set, without file meta information.
    transfer_syntax
        UID of its encoding, not a deflated one.
    """
    stream = HeaderStream(transfer_syntax)
    stream.feed(content)
    return stream.finish()
