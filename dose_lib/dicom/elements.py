"""Data elements straight from bytes: little endian, explicit or implicit VR, any lengths.

Values are not copied or decoded until they are asked for, so that a header costs the same
whether pixels or private elements of 100 MB follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct, calcsize

from dose_lib.dicom.tags import BINARY, SpecificCharacterSet
from dose_lib.dicom.text import clean, codecs_of, decode, is_declared_wrong, is_number, read_numbers
from dose_lib.errors import ReadError, TruncatedError

MAX_DEPTH = 64  # deepest nesting of items that is read; real reports have fewer than 12
# Most elements of one data set, and items of one object: real headers have fewer than a
# thousand elements, real content items more than 160 bytes each.
MAX_ELEMENTS = 10_000


def most_items(size: int) -> int:
    """How many items an object of so many bytes may have."""
    return 2_000 + size // 64


_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_SEQUENCE_END_BYTES = b"\xfe\xff\xdd\xe0\0\0\0\0"
_MAX_KNOWN, _MAX_KNOWN_LENGTH = 10_000, 512
# Values of short sequences of undefined length, by explicit VR, that end at their delimiter.
_KNOWN_SEQUENCES: dict[bool, set[bytes]] = {False: set(), True: set()}
_EXPLICIT = Struct("<HH2sH").unpack_from
_IMPLICIT = Struct("<HHL").unpack_from
_LONG = Struct("<L").unpack_from
_PAIR = Struct("<2f").unpack
_NUMBERS = {b"US": "H", b"SS": "h", b"UL": "L", b"SL": "l", b"FL": "f", b"FD": "d"}

# Where a value stands: VR (empty in implicit VR), first byte, byte after the last.
Span = tuple[bytes, int, int]


class OddEncodingError(ReadError):
    """The bytes are not laid out as their transfer syntax says; a tolerant reader may try."""


def shown(tag: int) -> str:
    """A tag as people write it."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


class Source:
    """The bytes of one object and how they are encoded.

    Ends of sequences and items of undefined length are remembered with what stands in the
    items, so that each byte is looked at once however deep such items are nested.
    """

    __slots__ = ("_ends", "_inner", "_room", "_seen", "data", "explicit", "is_misdeclared")

    def __init__(self, data: bytes, *, explicit: bool) -> None:
        self.data = data
        self.explicit = explicit
        self._ends: dict[int, int] = {}
        self._seen: dict[int, dict[int, Span]] = {}
        self._room = most_items(len(data)) // 2  # elements that may be remembered
        self._inner: Source | None = None
        self.is_misdeclared = False

    def spans(self, pos: int, end: int, depth: int = 0, stop_at: int = _ITEM) -> dict[int, Span]:
        """Tag and place of each element from `pos` to `end`; the first of a repeated tag wins.

        Parameters
        ----------
        pos, end
            First byte, and the byte after the last.
        depth
            How deep the elements are nested, for the limit.
        stop_at
            Reading stops before the first tag that is not smaller, such as pixel data.

        Raises
        ------
        TruncatedError
            If an element is longer than the bytes that are left.
        OddEncodingError
            If the layout is not that of the transfer syntax.
        """
        seen = self._seen.get(pos)
        if seen is not None:
            return seen
        found: dict[int, Span] = {}
        self._walk(pos, end, depth, found, stop_at)
        return found

    def head(self, pos: int, end: int, *, stop_at: int) -> tuple[dict[int, Span], int]:
        """Elements before tag `stop_at`, and the byte it stands at."""
        found: dict[int, Span] = {}
        return found, self._walk(pos, end, 0, found, stop_at)

    def _walk(
        self, pos: int, end: int, depth: int, found: dict[int, Span], stop_at: int = _ITEM
    ) -> int:
        """Fill `found`; return where an item delimiter, `stop_at` or `end` was met."""
        data, explicit = self.data, self.explicit
        while pos + 8 <= end:
            group, element, vr, length = _EXPLICIT(data, pos)
            tag = group << 16 | element
            if tag >= stop_at:
                return pos if tag >> 16 != 0xFFFE else self._stopped(tag, pos)
            start = pos + 8
            if not explicit:
                vr, length = b"", _LONG(data, pos + 4)[0]
            elif vr in LONG_VRS:
                if start + 4 > end:
                    raise self._truncated(tag, pos)
                length = _LONG(data, start)[0]
                start += 4
            elif vr not in SHORT_VRS:
                return self._stopped(tag, pos)
            stop = following = start + length
            if length == _UNDEFINED:
                stop = self._sequence_end(vr, start, end, depth + 1)
                following = stop + 8
            if following > end or len(found) >= MAX_ELEMENTS:
                raise self._refused(tag, pos, is_too_long=following > end)
            found.setdefault(tag, (vr, start, stop))
            pos = following
        if pos != end and any(data[pos:end]):
            raise TruncatedError("the object ends within an element", where=f"byte {pos}")
        return end

    def items(self, start: int, stop: int, depth: int) -> Iterator[tuple[int, int]]:
        """First byte, and the byte after the last, of each item of a sequence."""
        pos, left = start, most_items(len(self.data))
        while pos + 8 <= stop:
            group, element, length = _IMPLICIT(self.data, pos)
            tag = group << 16 | element
            if tag == _SEQUENCE_END:
                return
            if (left := left - 1) < 0:
                raise ReadError("more items than a real object can have", where=f"byte {pos}")
            if tag != _ITEM:
                raise OddEncodingError(f"{shown(tag)} instead of an item", where=f"byte {pos}")
            first = pos + 8
            last = following = first + length
            if length == _UNDEFINED:
                last = self._item_end(first, stop, depth)
                following = last + 8
            if following > stop:
                raise self._truncated(tag, pos)
            if depth > MAX_DEPTH:
                raise ReadError(f"nested deeper than {MAX_DEPTH} levels", where=f"byte {pos}")
            yield first, last
            pos = following

    def text(self, raw: bytes, codecs: tuple[str, ...]) -> str | None:
        """Text of a value; remembers whether any was not in the declared character set."""
        if raw.isascii() and b"\x1b" not in raw:
            return raw.decode("ascii").strip(" \0\t\r\n") or None
        if is_declared_wrong(raw, codecs):
            self.is_misdeclared = True
        return clean(decode(raw, codecs))

    def inner(self, vr: bytes, start: int) -> Source:
        """How a sequence is encoded that starts at `start`: one sent as UN is implicit VR."""
        if vr != b"UN" or not self.explicit or self.data[start + 12 : start + 14] in SHORT_VRS:
            return self
        if self._inner is None:
            self._inner = Source(self.data, explicit=False)
        return self._inner

    def _item_end(self, first: int, stop: int, depth: int) -> int:
        """Where the delimiter of an item of undefined length stands."""
        if first not in self._ends:
            if depth > MAX_DEPTH:
                raise ReadError(f"nested deeper than {MAX_DEPTH} levels", where=f"byte {first}")
            found: dict[int, Span] = {}
            end = self._walk(first, stop, depth, found)
            if self.data[end : end + 4] != b"\xfe\xff\x0d\xe0":
                raise TruncatedError("an item is not closed", where=f"byte {first}")
            self._ends[first] = end
            if (room := self._room - len(found) - 1) >= 0:
                self._room, self._seen[first] = room, found
        return self._ends[first]

    def _sequence_end(self, vr: bytes, start: int, end: int, depth: int) -> int:
        """Where the delimiter of a sequence of undefined length stands."""
        if start in self._ends:
            return self._ends[start]
        # Codes repeat: a value that was walked before ends where it ended then.
        likely = self.data.find(_SEQUENCE_END_BYTES, start, start + _MAX_KNOWN_LENGTH)
        value = self.data[start:likely] if likely > start and vr != b"UN" else b""
        known = _KNOWN_SEQUENCES[self.explicit]
        if value and value in known:
            self._ends[start] = likely
            return likely
        if vr not in (b"SQ", b"UN", b""):
            raise OddEncodingError(f"VR {vr!r} of undefined length", where=f"byte {start}")
        source, pos = (self.inner(vr, start) if vr == b"UN" else self), start
        while pos + 8 <= end:
            group, element, length = _IMPLICIT(self.data, pos)
            tag = group << 16 | element
            if tag == _SEQUENCE_END:
                self._ends[start] = pos
                if value and pos == likely:
                    if len(known) >= _MAX_KNOWN:
                        known.clear()
                    known.add(value)
                return pos
            if tag != _ITEM:
                raise OddEncodingError(f"{shown(tag)} instead of an item", where=f"byte {pos}")
            first = pos + 8
            pos = first + length
            if length == _UNDEFINED:
                pos = source._item_end(first, end, depth) + 8
        raise TruncatedError("a sequence is not closed", where=f"byte {start}")

    def _stopped(self, tag: int, pos: int) -> int:
        """An item delimiter ends the walk; anything else without a known VR is odd."""
        if tag == _ITEM_END:
            return pos
        raise OddEncodingError(
            f"{shown(tag)} with value representation {self.data[pos + 4 : pos + 6]!r}",
            where=f"byte {pos}",
        )

    def _refused(self, tag: int, pos: int, *, is_too_long: bool) -> ReadError:
        if is_too_long:
            return self._truncated(tag, pos)
        return ReadError(f"more than {MAX_ELEMENTS} elements", where=f"byte {pos}")

    def _truncated(self, tag: int, pos: int) -> TruncatedError:
        return TruncatedError(
            f"{shown(tag)} is longer than the bytes that are left", where=f"byte {pos}"
        )


def _unpack(raw: bytes, code: str) -> tuple[float, ...]:
    """Numbers of a binary value; of the other size where its length is wrong for its own."""
    if code == "d" and len(raw) == 4:
        code = "f"  # a single was sent as a double (Siemens, issue #1006)
    if code == "f" and len(raw) == 8 and _PAIR(raw)[0] == 0 and _PAIR(raw)[1] != 0:
        code = "d"  # and the other way: two singles of which the first is 0 are rare
    size = len(raw) // calcsize(code)
    return Struct(f"<{size}{code}").unpack_from(raw)


class DataSet:
    """Elements of one data set or sequence item, decoded when asked for."""

    __slots__ = ("codecs", "depth", "source", "spans")

    def __init__(
        self, source: Source, spans: dict[int, Span], codecs: tuple[str, ...] = (), depth: int = 0
    ) -> None:
        self.source, self.spans, self.depth = source, spans, depth
        self.codecs = codecs
        if declared := self.raw(SpecificCharacterSet):
            self.codecs = codecs_of(declared.decode("latin_1")) or codecs

    def __contains__(self, tag: int) -> bool:
        return tag in self.spans

    def raw(self, tag: int) -> bytes | None:
        """Bytes of a value as sent; None where the element is missing or empty."""
        span = self.spans.get(tag)
        return self.source.data[span[1] : span[2]] or None if span else None

    def text(self, tag: int) -> str | None:
        """Text of a value, several values with their backslashes; None if empty."""
        span = self.spans.get(tag)
        if span is None or span[1] == span[2]:
            return None
        return self.source.text(self.source.data[span[1] : span[2]], self.codecs)

    def texts(self, tag: int) -> tuple[str, ...]:
        """Values of a text element, empty ones left out."""
        text = self.text(tag)
        if text is None:
            return ()
        return tuple(p for p in map(clean, text.split("\\")) if p)

    def numbers(self, tag: int) -> tuple[float, ...]:
        """Values of a numeric element, text or binary; empty if none is readable."""
        raw = self.raw(tag)
        if raw is None:
            return ()
        vr = self.spans[tag][0]
        if vr in (b"", b"UN"):
            vr = BINARY.get(tag, b"")
        if code := _NUMBERS.get(vr):
            values = _unpack(raw, code)
            return tuple(float(v) for v in values if is_number(v))
        return read_numbers(decode(raw))[0]

    def is_binary(self, tag: int) -> bool:
        """True for an element that was sent as a binary number, whatever it should be."""
        return self.spans[tag][0] in _NUMBERS

    def number(self, tag: int) -> float | None:
        """First value of a numeric element."""
        return next(iter(self.numbers(tag)), None)

    def integer(self, tag: int) -> int | None:
        """First value of a numeric element as a whole number; None if it is none."""
        number = self.number(tag)
        is_whole = number is not None and abs(number) < 2**31 and number == int(number)
        return int(number) if number is not None and is_whole else None

    def items(self, tag: int) -> tuple[DataSet, ...]:
        """Items of a sequence; empty where it is missing or empty."""
        span = self.spans.get(tag)
        if span is None or span[1] == span[2]:
            return ()
        source, depth = self.source.inner(span[0], span[1]), self.depth + 1
        return tuple(
            DataSet(source, source.spans(first, last, depth), self.codecs, depth)
            for first, last in source.items(span[1], span[2], depth)
        )

    def item(self, tag: int) -> DataSet | None:
        """First item of a sequence."""
        return next(iter(self.items(tag)), None)

    def private(self, group: int, creator: str, element: int) -> int | None:
        """Tag of a private element in the block its creator has reserved; None without one."""
        for block in range(0x10, 0x100):
            tag = group << 16 | block
            if tag not in self.spans:
                continue
            if (self.text(tag) or "").upper() == creator.upper():
                found = group << 16 | block << 8 | element
                return found if found in self.spans else None
        return None

    def shown(self, tag: int) -> str:
        """A value as recorded, for provenance: text, or the numbers of a binary value."""
        if self.spans[tag][0] in _NUMBERS or tag in BINARY:
            return "\\".join(f"{n:.17g}" for n in self.numbers(tag))
        return self.text(tag) or ""
