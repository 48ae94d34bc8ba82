"""What lies in folders and archives: bytes one after another, and what was left out and why."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from dose_lib import Settings
from dose_lib.errors import ReadError, UsageError
from pipelines.collect.dicomdir import find_file, is_directory, is_within, missing, referenced
from pipelines.collect.unpack import SUFFIXES, Limits, Member, Refused, is_archive, members

_MISSING = "DICOMDIR names it, but it is not there"


class Found(msgspec.Struct, frozen=True):
    """A file and its bytes; `is_named` if it was asked for by its own name."""

    path: Path
    data: bytes
    is_named: bool = False


class LeftOut(msgspec.Struct, frozen=True):
    """A file that was not taken in, and why; `is_trouble` if a person should look."""

    path: Path
    reason: str
    is_trouble: bool


class Place(msgspec.Struct, frozen=True):
    """A file on the disk to be looked at.

    `root` is the folder that was named, if not the file itself was.
    """

    path: Path
    root: Path | None = None

    @property
    def is_named(self) -> bool:
        """True if the file itself was named."""
        return self.root is None


def limits_of(settings: Settings) -> Limits:
    """What an archive may unpack to."""
    return Limits(
        object_bytes=settings.max_object_mb * 1_000_000,
        total_bytes=settings.max_archive_gb * 1_000_000_000,
    )


def find_places(paths: Sequence[Path]) -> list[Place]:
    """Files below the given folders, and the given files.

    Raises
    ------
    UsageError
        If a path does not exist.
    """
    found: list[Place] = []
    for path in paths:
        if path.is_dir():
            found += [Place(file, path) for file in _walk(path)]
        elif path.exists():
            found.append(Place(path))
        else:
            raise UsageError(f"there is no file or folder {path}", todo="Check the path")
    return found


def _walk(folder: Path) -> Iterator[Path]:
    """Files at any depth; links to folders are not followed, so that no loop has an end to find."""
    for place, folders, names in os.walk(folder, followlinks=False):
        folders.sort()
        yield from (Path(place) / name for name in sorted(names))


def read_place(place: Place, limits: Limits) -> Iterator[Found | LeftOut]:
    """The bytes of a file, of the members of an archive, or of the files of a DICOMDIR."""
    path = place.path
    if reason := _link_reason(place):
        yield LeftOut(path, reason, True)
        return
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            yield LeftOut(path, "no regular file", True)
            return
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        yield LeftOut(path, f"cannot be read ({error.strerror})", True)
        return
    if is_directory(path.name) and start[128:132] == b"DICM":
        yield from _directory(place, limits)
    elif _is_to_be_unpacked(place, start):
        yield from _archive(path, limits, is_named=place.is_named)
    else:
        yield _plain(place, state.st_size, limits)


def _link_reason(place: Place) -> str | None:
    """Why a link in a folder is not followed; one that a person named is."""
    if place.root is None or not place.path.is_symlink():
        return None
    try:
        target = place.path.resolve(strict=True)
    except (OSError, RuntimeError):
        return "a symbolic link to nothing, or to itself"
    inside = target.is_relative_to(place.root.resolve())
    return None if inside else "a symbolic link that leads outside the folder"


def _is_to_be_unpacked(place: Place, start: bytes) -> bool:
    """In a folder only what is called an archive: documents of Office are zip files, too."""
    is_called = place.path.name.casefold().endswith(SUFFIXES)
    return is_archive(start) and (place.is_named or is_called)


def _plain(place: Place, size: int, limits: Limits) -> Found | LeftOut:
    if size > limits.object_bytes:
        reason = f"larger than max_object_mb = {limits.object_bytes // 1_000_000}"
        return LeftOut(place.path, reason, True)
    try:
        return Found(place.path, place.path.read_bytes(), place.is_named)
    except OSError as error:
        return LeftOut(place.path, f"cannot be read ({error.strerror})", True)


def _archive(path: Path, limits: Limits, *, is_named: bool) -> Iterator[Found | LeftOut]:
    names: list[str] = []
    n_refused = 0
    directories: list[tuple[str, list[PurePosixPath]]] = []
    for one in members(path, limits):
        where = path.parent / one.name
        if isinstance(one, Refused):
            n_refused += 1
            yield LeftOut(where, one.reason, one.is_trouble)
            continue
        names.append(one.name)
        if is_directory(one.name):
            yield from _note(one, where, directories)
        else:
            yield Found(where, one.data)
    for base, wanted in directories:
        for name in missing(names, wanted, base):
            yield LeftOut(path.parent / f"{base}{name}", _MISSING, True)
    if not names and not n_refused:
        yield LeftOut(path, "an archive without files", is_named)


def _note(
    one: Member, where: Path, directories: list[tuple[str, list[PurePosixPath]]]
) -> Iterator[LeftOut]:
    base = one.name[: len(one.name) - len(PurePosixPath(one.name).name)]
    try:
        directories.append((base, referenced(one.data, str(where))))
    except ReadError as error:
        yield LeftOut(where, error.seen, True)


def _directory(place: Place, limits: Limits) -> Iterator[Found | LeftOut]:
    """Files that a DICOMDIR names; in a folder that is walked, only those that are missing."""
    folder = place.path.parent
    try:
        wanted = referenced(place.path.read_bytes(), str(place.path))
    except (OSError, ReadError) as error:
        seen = error.seen if isinstance(error, ReadError) else f"cannot be read ({error.strerror})"
        yield LeftOut(place.path, seen, True)
        return
    for name in wanted:
        if not is_within(name):
            yield LeftOut(folder / name.name, "DICOMDIR names a file outside its medium", True)
        elif (file := find_file(folder, name)) is None:
            yield LeftOut(folder / name, _MISSING, True)
        elif place.is_named:
            yield from read_place(Place(file, folder), limits)


def read_places(places: Iterable[Place], limits: Limits) -> Iterator[Found | LeftOut]:
    """All that lies at these places."""
    for place in places:
        yield from read_place(place, limits)
