"""From a file's bytes to its data set: preamble, file meta information, transfer syntax."""

from __future__ import annotations

import zlib

from dose_lib.dicom import tags as t
from dose_lib.dicom.elements import DataSet, OddEncodingError, Source
from dose_lib.dicom.transcoding import is_big_endian, to_explicit_little
from dose_lib.errors import NotDicomError, ReadError, TruncatedError

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED_LITTLE = "1.2.840.10008.1.2.1.99"

# A report of 1.3 MB deflates to 40 KB, our densest to a sixtieth; a bomb of 40 KB inflates
# to 40 MB. Beyond 50 MB it is pixels, which deflate to a quarter at best.
_INFLATED_RATIO, _SMALL, _LARGE = 80, 4_000_000, 50_000_000
# pydicom takes 6 s and 80 MB for a hostile megabyte: only what is short goes there.
MOST_FOR_PYDICOM = 200_000


class Opened:
    """A data set that can be read, with the facts of its file."""

    __slots__ = ("data_set", "meta", "source", "start", "syntax")

    def __init__(
        self, meta: DataSet | None, syntax: str | None, source: Source, start: int
    ) -> None:
        self.meta, self.syntax, self.source, self.start = meta, syntax, source, start
        # Pixels and what follows them are of no use here and may be of any length.
        spans = source.spans(start, len(source.data), stop_at=0x7FE00000)
        self.data_set = DataSet(source, spans)


def open_bytes(data: bytes) -> Opened:
    """The data set of an object in any transfer syntax.

    Parameters
    ----------
    data
        A DICOM file (PS3.10), or a bare data set in little endian.

    Raises
    ------
    NotDicomError
        If the bytes are no DICOM object.
    TruncatedError, ReadError
        If the object cannot be read; `where` names the byte.
    """
    meta, start = _read_meta(data)
    syntax = meta.text(t.TransferSyntaxUID) if meta else None
    if syntax == DEFLATED_LITTLE:
        data, start = _inflate(data, start), 0
    # Some senders encode one way and declare the other; the first element shows which.
    if is_big_endian(data, start):
        plain = to_explicit_little(data, start)
        return Opened(meta, syntax, Source(plain, explicit=True), 0)
    explicit = _looks_explicit(data, start)
    try:
        return Opened(meta, syntax, Source(data, explicit=explicit), start)
    except OddEncodingError:
        return _lay_out_anew(meta, syntax, data, start)


def open_anew(opened: Opened) -> Opened:
    """The data set laid out anew, where its content turned out odd only while it was read.

    Raises
    ------
    TruncatedError, ReadError
        If it is odd in a way that nobody reads.
    """
    return _lay_out_anew(opened.meta, opened.syntax, opened.source.data, opened.start)


def _read_meta(data: bytes) -> tuple[DataSet | None, int]:
    """File meta information and the first byte after it; None for a bare data set."""
    if not data:
        raise NotDicomError("the file is empty", expected="a DICOM object")
    start = 132 if data[128:132] == b"DICM" else 0
    if start or data[:2] == b"\x02\x00":
        source = Source(data, explicit=_looks_explicit(data, start))
        try:
            spans, end = source.head(start, len(data), stop_at=0x00030000)
        except OddEncodingError as error:
            raise ReadError(
                "the file meta information is not readable", where=error.where
            ) from None
        if end == len(data):
            raise TruncatedError(
                "there is no data set after the file meta information", where=f"byte {end}"
            )
        return DataSet(source, spans), end
    for bare in (0, 128):  # without meta information, with or without a preamble
        if data[bare : bare + 2] == b"\x08\x00" and len(data) >= bare + 8:
            return None, bare
    raise NotDicomError(
        f"the bytes begin with {data[:8]!r}", expected="a DICOM file ('DICM' at byte 128)"
    )


def _looks_explicit(data: bytes, start: int) -> bool:
    """True if a value representation stands where implicit VR has a length below 16 KB."""
    return data[start + 4 : start + 6].isalpha() and data[start + 4 : start + 6].isupper()


def _inflate(data: bytes, start: int) -> bytes:
    size = len(data) - start
    limit = min(max(_SMALL, _INFLATED_RATIO * size), max(_LARGE, 4 * size))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(memoryview(data)[start:], limit)
    except zlib.error as error:
        raise ReadError(
            f"the deflated data set is broken ({error})", where=f"byte {start}"
        ) from None
    if inflater.unconsumed_tail:
        raise ReadError(
            f"the deflated data set is longer than {limit} bytes",
            where=f"byte {start}",
            todo="Send it in another transfer syntax if it is a real report",
        )
    if not inflater.eof and not plain:
        raise TruncatedError("the deflated data set ends early", where=f"byte {start}")
    return plain


def _lay_out_anew(meta: DataSet | None, syntax: str | None, data: bytes, start: int) -> Opened:
    try:
        plain = to_explicit_little(data, start)
        return Opened(meta, syntax, Source(plain, explicit=True), 0)
    except OddEncodingError as error:
        if len(data) - start > MOST_FOR_PYDICOM:
            raise ReadError(
                f"the encoding is odd, and the object too long to look closer ({error.seen})",
                where=error.where,
                todo="Check how it was exported; other tools may show where it breaks",
            ) from None
        return _ask_pydicom(meta, syntax, data, error.where)


def _ask_pydicom(
    meta: DataSet | None, syntax: str | None, data: bytes, where: str | None
) -> Opened:
    from dose_lib.dicom.tolerant import rewrite  # pydicom only where it is needed

    try:
        plain = rewrite(data)
    except ReadError as error:
        raise ReadError(error.seen, expected=error.expected, where=where, todo=error.todo) from None
    _, begin = _read_meta(plain)
    return Opened(meta, syntax, Source(plain, explicit=True), begin)
