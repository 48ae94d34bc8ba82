"""Pixels of images: measured for the patient's size, then dropped; the same on every route.

Dose lies in the header, and pixels show the patient. Whatever brings an object to us (C-STORE
and C-MOVE, C-GET, WADO-RS, STOW-RS, files) asks here what is kept of it, before anything is
written: reports are kept as they came, of all else the header alone.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from types import TracebackType

import msgspec

from dose_lib.dicom.encoding import DEFLATED_LITTLE, open_bytes
from dose_lib.dicom.identify import head_of
from dose_lib.errors import ReadError
from pipelines.classes import DOSE_CLASSES
from pipelines.envelope import part10
from pipelines.headers import HeaderStream
from pipelines.measuring import Measurer
from pipelines.slices import (
    MOST_PIXELS,
    Derived,
    Wanted,
    can_decode,
    can_measure,
    look_at,
    why_not_decoded,
)

_IMPLICIT, _EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_PIECE = 1 << 18


class Kept(msgspec.Struct, frozen=True):
    """What is kept of an object: a Part 10 file, and what was measured on its pixels."""

    data: bytes
    derived: Derived = {}
    has_dropped: bool = False


class Pixels:
    """Measures and drops pixels for one way in.

    Parameters
    ----------
    every
        Setting `measure_every_image`.
    measure
        Decodes and measures; default a process of its own, started when it is first needed.
    """

    def __init__(
        self, every: int, measure: Callable[[bytes, Wanted], Derived] | None = None
    ) -> None:
        self._every = every
        self._measurer = Measurer()
        self._measure = measure or self._measurer.measure

    def __enter__(self) -> Pixels:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process that measures."""
        self._measurer.close()

    def held(self, sop_class: str, transfer_syntax: str) -> int:
        """Most bytes of pixel data that are worth holding until they are measured."""
        return MOST_PIXELS if self._every and can_measure(sop_class, transfer_syntax) else 0

    def keep(self, data: bytes) -> Kept:
        """What is kept of an object, before it is written anywhere.

        Parameters
        ----------
        data
            A Part 10 file; what cannot be read stays as it is, and the reader says why.
        """
        try:
            opened = open_bytes(data)
        except ReadError:
            return Kept(data)
        head = head_of(opened)
        sop_class, syntax = head.sop_class or "", head.transfer_syntax or _IMPLICIT
        if sop_class in DOSE_CLASSES:
            return Kept(data)
        start, plain = opened.start, data
        meta = data[:start]
        if syntax == DEFLATED_LITTLE:
            # Nothing can be cut out of a deflated stream: what is kept is laid out plainly.
            syntax, plain = _EXPLICIT, opened.source.data
            uid = head.sop_instance_uid or ""
            meta = part10(b"", sop_class=sop_class, sop_instance_uid=uid, transfer_syntax=syntax)
        elif opened.source.data is not data:  # big endian, which the reader has turned round
            start = _start_of(data)
            meta = data[:start]
        elif syntax != _BIG_ENDIAN and opened.source.explicit == (syntax == _IMPLICIT):
            syntax = _EXPLICIT if opened.source.explicit else _IMPLICIT  # declared wrongly
        return self._cut(meta, memoryview(plain)[start:], sop_class, syntax) or Kept(data)

    def _cut(self, meta: bytes, content: memoryview, sop_class: str, syntax: str) -> Kept | None:
        stream = HeaderStream(syntax, self.held(sop_class, syntax))
        for at in range(0, len(content), _PIECE):
            stream.feed(bytes(content[at : at + _PIECE]))
            if stream.is_complete:
                break
        header = meta + stream.finish()
        if not stream.has_dropped:
            return None
        sizes = self.measure(header, bytes(stream.pixels), has_pixels=stream.has_pixels)
        return Kept(header, sizes, has_dropped=True)

    def measure(self, header: bytes, pixels: bytes, *, has_pixels: bool = True) -> Derived:
        """The patient's size on an image whose pixels were held.

        Parameters
        ----------
        header
            A Part 10 file without pixels.
        pixels
            The element of the pixel data; empty where it was not worth holding, or too long.
        has_pixels
            False where the image came without any: then there is nothing to say.

        Returns
        -------
        mapping
            One derived value under the name of the slice, without a value and with the reason
            where it could not be measured; empty for images that are not measured.
        """
        wanted = look_at(header, every=self._every) if has_pixels else None
        if wanted is None:
            return {}
        if not wanted.is_single:
            return wanted.given_up("an image of many frames; single CT images are measured")
        if not can_decode(wanted.transfer_syntax):
            return wanted.given_up(why_not_decoded(wanted.transfer_syntax))
        if not pixels:
            return wanted.given_up(f"pixel data longer than {MOST_PIXELS:,} bytes")
        return self._measure(header + pixels, wanted)


def _start_of(data: bytes) -> int:
    """Where the data set begins, by the length of the file meta information."""
    if data[128:136] != b"DICM\x02\x00\x00\x00":
        return 0
    (length,) = struct.unpack_from("<L", data, 140)
    return 144 + int(length)
