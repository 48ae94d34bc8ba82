"""Zip and tar archives, member by member, in memory and within limits.

Nothing is written by a name that an archive chose, so no member can leave any folder; one
that tries is refused all the same, because such an archive was not made by an export. Links
and devices are refused, what is encrypted is told, and an archive that unpacks to far more than
it holds is left where it shows. Members before and beside a refused one are taken.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, Protocol, cast

import msgspec

ZIP_SUFFIXES = (".zip",)
TAR_SUFFIXES = (".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")
SUFFIXES = (*ZIP_SUFFIXES, *TAR_SUFFIXES)

_FOREIGN = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "rar",
}
_Opener = Callable[[IO[bytes]], io.BufferedIOBase]
_PACKED: Mapping[bytes, _Opener] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    EOFError,
    OSError,
    NotImplementedError,  # a method of compression that zipfile does not know
    UnicodeError,
    ValueError,
)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much an archive may unpack to.

    Attributes
    ----------
    object_bytes
        Of one member.
    total_bytes
        Of all, archives within it included.
    ratio
        Of all, as a multiple of the file's size; looked at from `ratio_from` bytes on. Objects
        shrink by 2 to 20, empty images by some hundreds.
    depth
        Archives within archives.
    members
        How many.
    """

    object_bytes: int
    total_bytes: int
    ratio: int = 300
    ratio_from: int = 100_000_000
    depth: int = 3
    members: int = 2_000_000


class Member(msgspec.Struct, frozen=True):
    """One file of an archive: its name, and its bytes."""

    name: str
    data: bytes


class Refused(msgspec.Struct, frozen=True):
    """A member, or the rest of an archive, that was not taken, and why.

    `is_trouble`: someone should know, whatever else the archive holds.
    """

    name: str
    reason: str
    is_trouble: bool = True


class _TooMuchError(Exception):
    """An archive unpacks to more than it may; says what was seen."""


class _Meter:
    """Counts what one file on the disk has unpacked to, through all its levels."""

    def __init__(self, packed: int, limits: Limits) -> None:
        self._packed, self._limits = max(packed, 1), limits
        self._unpacked = self._members = 0

    def add(self, size: int) -> None:
        """Count unpacked bytes, before or while they come."""
        self._unpacked += size
        limits = self._limits
        if self._unpacked > limits.total_bytes:
            raise _TooMuchError(f"unpacks to more than {limits.total_bytes / 1e9:g} GB")
        if self._unpacked > limits.ratio_from and self._unpacked > limits.ratio * self._packed:
            times = self._unpacked // self._packed
            raise _TooMuchError(f"unpacks to {times} times its size and more")

    def add_member(self) -> None:
        """Count one more file."""
        self._members += 1
        if self._members > self._limits.members:
            raise _TooMuchError(f"holds more than {self._limits.members} files")


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Metered:
    """A stream whose bytes are counted as they are read."""

    def __init__(self, stream: _Readable, meter: _Meter) -> None:
        self._stream, self._meter = stream, meter

    def read(self, size: int = -1, /) -> bytes:
        """Some bytes, at most a megabyte."""
        data = self._stream.read(min(size, 1 << 20) if size >= 0 else 1 << 20)
        self._meter.add(len(data))
        return data


def is_archive(start: bytes) -> bool:
    """True if a file that begins so is an archive of some kind, also of one we cannot open."""
    magics = (b"PK\x03\x04", b"PK\x05\x06", *_PACKED, *_FOREIGN)
    return start.startswith(magics) or start[257:262] == b"ustar"


class _Level(NamedTuple):
    """How deep we are, and what was unpacked so far of the file on the disk."""

    meter: _Meter
    limits: Limits
    depth: int

    @property
    def is_outermost(self) -> bool:
        """True for the file on the disk itself."""
        return self.depth == self.limits.depth

    def inner(self) -> _Level:
        """Of an archive in this one."""
        return self._replace(depth=self.depth - 1)


def members(path: Path, limits: Limits) -> Iterator[Member | Refused]:
    """Files of an archive, also of archives within it, and what was refused.

    Parameters
    ----------
    path
        The archive; names of members begin with its name.
    limits
        What it may unpack to.
    """
    meter = _Meter(path.stat().st_size, limits)
    with path.open("rb") as file:
        yield from _unpack(file, path.name, _Level(meter, limits, limits.depth))


def _unpack(file: IO[bytes], name: str, level: _Level) -> Iterator[Member | Refused]:
    start = file.read(512)
    file.seek(0)
    try:
        if start.startswith(b"PK"):
            yield from _zip(file, name, level)
        elif foreign := next((k for m, k in _FOREIGN.items() if start.startswith(m)), None):
            yield Refused(name, f"a {foreign} archive, which cannot be opened here: unpack it")
        else:
            yield from _tar(file, start, name, level)
    except _TooMuchError as error:
        if not level.is_outermost:
            raise  # the whole file on the disk is given up
        yield Refused(name, f"the archive {error}; the rest of it was not taken")
    except _DAMAGED as error:
        yield Refused(name, f"the archive is damaged ({type(error).__name__})")


def _zip(file: IO[bytes], name: str, level: _Level) -> Iterator[Member | Refused]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            level.meter.add_member()
            if info.is_dir():
                continue
            inner = f"{name}/{info.filename}"
            if reason := _outside(info.filename) or _zip_reason(info, level.limits):
                yield Refused(inner, reason)
                continue
            try:
                with archive.open(info) as stream:
                    metered = _Metered(stream, level.meter)
                    yield from _file(metered, inner, level)
            except _DAMAGED as error:
                yield Refused(inner, f"the member is damaged ({type(error).__name__})")


def _zip_reason(info: zipfile.ZipInfo, limits: Limits) -> str | None:
    kind = (info.external_attr >> 16) & 0o170000  # of a Unix system, else zero
    if info.flag_bits & 1:
        return "encrypted: unpack it with its password"
    if kind == stat.S_IFLNK:
        return "a symbolic link"
    if kind not in (0, stat.S_IFREG):
        return "no regular file"
    return _too_large(info.file_size, info.filename, limits)


def _tar(file: IO[bytes], start: bytes, name: str, level: _Level) -> Iterator[Member | Refused]:
    opened = next((o for m, o in _PACKED.items() if start.startswith(m)), None)
    if opened is None:
        yield from _tar_members(_Metered(file, level.meter), name, level)
        return
    with closing(opened(file)) as stream:
        head = stream.read(512)
        stream.seek(0)
        metered = _Metered(stream, level.meter)
        if head[257:262] == b"ustar":
            yield from _tar_members(metered, name, level)
        else:  # one file, compressed alone
            yield from _file(metered, f"{name}/{Path(name).stem}", level)


def _tar_members(stream: _Metered, name: str, level: _Level) -> Iterator[Member | Refused]:
    # Bytes are counted by the stream, heads and all.
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|") as archive:
        for info in archive:
            archive.members = []  # type: ignore[attr-defined]  # else it keeps every head it has read
            level.meter.add_member()
            if info.isdir():
                continue
            inner = f"{name}/{info.name}"
            if reason := _outside(info.name) or _tar_reason(info, level.limits):
                yield Refused(inner, reason)
                continue
            content = archive.extractfile(info)
            if content is not None:
                yield from _file(content, inner, level)


def _tar_reason(info: tarfile.TarInfo, limits: Limits) -> str | None:
    if info.issym():
        return "a symbolic link"
    if info.islnk():
        return "a hard link; the file it names is taken where it stands"
    if not info.isreg() or info.issparse():
        return "no regular file"
    return _too_large(info.size, info.name, limits)


def _file(stream: _Readable, name: str, level: _Level) -> Iterator[Member | Refused]:
    """One file of an archive; if it is an archive itself, its files."""
    limits = level.limits
    is_inner = name.casefold().endswith(SUFFIXES)
    most = limits.total_bytes if is_inner else limits.object_bytes
    with tempfile.SpooledTemporaryFile(max_size=1 << 26) as kept:
        size = 0
        while piece := stream.read(1 << 20):
            size += len(piece)
            if size > most:
                yield Refused(name, f"larger than {most // 1_000_000} MB, whatever its head says")
                return
            kept.write(piece)
        kept.seek(0)
        is_inner = is_inner and is_archive(kept.read(512))
        kept.seek(0)
        if not is_inner:
            yield Member(name, kept.read())
        elif level.depth == 1:
            yield Refused(name, f"archives within archives deeper than {limits.depth}")
        else:
            yield from _unpack(cast("IO[bytes]", kept), name, level.inner())


def _too_large(size: int, name: str, limits: Limits) -> str | None:
    if name.casefold().endswith(SUFFIXES):
        return None  # its files count one by one
    if size > limits.object_bytes:
        return f"larger than max_object_mb = {limits.object_bytes // 1_000_000}"
    return None


def _outside(name: str) -> str | None:
    """Why a member's name cannot be one of an export; None if it can."""
    plain = name.replace("\\", "/")
    path = PurePosixPath(plain)
    if path.is_absolute() or plain[1:2] == ":":
        return "its name is an absolute path"
    if ".." in path.parts:
        return "its name leads outside the archive"
    return "its name holds a sign that no name has" if "\x00" in name else None
