"""multipart/related, read while it comes in: one part in memory at a time, of limited size."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from dose_lib.errors import PeerError

_MOST_HEADER = 16_384
_MOST_PREAMBLE = 65_536
# RFC 2046 5.1.1, without the space that only quoting could carry. It allows 70 characters;
# Orthanc sends 73.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=?]{1,200}")
_PARAMETER = re.compile(r';\s*([\w-]+)\s*=\s*(?:"([^"]*)"|([^\s;]+))')


class BrokenMultipartError(PeerError):
    """A multipart body does not keep to its form."""


class BodyPart(msgspec.Struct, frozen=True, kw_only=True):
    """One part: its headers by lower-case name, and its content.

    `content` is None for a part beyond the limit, of which only `size` was counted.
    """

    headers: dict[str, str]
    content: bytes | None
    size: int

    @property
    def kind(self) -> str:
        """Its media type, without parameters."""
        return media_type(self.headers.get("content-type", ""))


def media_type(header: str) -> str:
    """`application/dicom` of `application/dicom; transfer-syntax=*`."""
    return header.partition(";")[0].strip().lower()


def parameters(header: str) -> dict[str, str]:
    """Parameters of a media type, by lower-case name."""
    return {m[1].lower(): m[2] if m[2] is not None else m[3] for m in _PARAMETER.finditer(header)}


def boundary_of(header: str) -> bytes:
    """The boundary that a Content-Type names.

    Raises
    ------
    BrokenMultipartError
        If it names none that can be used.
    """
    text = parameters(header).get("boundary", "")
    if not _BOUNDARY.fullmatch(text):
        raise BrokenMultipartError(f"the boundary {text[:80]!r} cannot be used")
    return text.encode("ascii")


def read_parts(chunks: Iterable[bytes], boundary: bytes, *, most_bytes: int) -> Iterator[BodyPart]:
    """Parts of a body, each as soon as it is whole.

    Parameters
    ----------
    chunks
        The body as it comes in.
    boundary
        From its Content-Type.
    most_bytes
        Largest part whose content is kept.

    Raises
    ------
    BrokenMultipartError
        If the body ends early or has no such form; parts before that were given.
    """
    stream = _Stream(chunks)
    mark = b"\r\n--" + boundary
    # A first boundary may stand at the very beginning, without a line before it.
    stream.prepend(b"\r\n")
    _, size = stream.until(mark, keep=0)
    if size > _MOST_PREAMBLE:
        raise BrokenMultipartError(f"{size} bytes before the first part")
    while not stream.ends_here():
        headers = _headers(stream)
        content, size = stream.until(mark, keep=most_bytes)
        yield BodyPart(headers=headers, content=content, size=size)


def _headers(stream: _Stream) -> dict[str, str]:
    # With the line end of the boundary before it, an empty block ends at once.
    stream.prepend(b"\r\n")
    block, size = stream.until(b"\r\n\r\n", keep=_MOST_HEADER)
    if block is None:
        raise BrokenMultipartError(f"the header of a part is {size} bytes long")
    found = {}
    for line in block.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if line and not colon:
            raise BrokenMultipartError("a header line without a colon")
        if line:
            found[name.strip().lower()] = value.strip()
    return found


class _Stream:
    """Bytes as they come, read up to marks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._held = bytearray()

    def prepend(self, text: bytes) -> None:
        self._held[:0] = text

    def until(self, mark: bytes, *, keep: int) -> tuple[bytes | None, int]:
        """Bytes before `mark`, which is passed; None of them, only counted, beyond `keep`."""
        kept, size, searched = bytearray(), 0, 0
        while (at := self._held.find(mark, searched)) < 0:
            # The mark may lie across two chunks: its length stays.
            safe = max(0, len(self._held) - len(mark) + 1)
            size += safe
            if size <= keep:
                kept += self._held[:safe]
            else:
                kept.clear()
            del self._held[:safe]
            self._more()
        size += at
        content = bytes(kept + self._held[:at]) if size <= keep else None
        del self._held[: at + len(mark)]
        return content, size

    def ends_here(self) -> bool:
        """True after the closing boundary; else the rest of its line is passed."""
        while len(self._held) < 2:
            self._more()
        if self._held[:2] == b"--":
            return True
        blank, _ = self.until(b"\r\n", keep=_MOST_HEADER)
        if blank is None or blank.strip(b" \t"):
            raise BrokenMultipartError("a boundary with something behind it")
        return False

    def _more(self) -> None:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise BrokenMultipartError("the body ends before its closing boundary")
        self._held += chunk
