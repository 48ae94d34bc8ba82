"""DICOMDIR: the list of files on a medium (PS3.10 chapter 8), held against what is there."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path, PurePosixPath

import pydicom
from pydicom.config import disable_value_validation
from pydicom.errors import BytesLengthException, InvalidDicomError

from dose_lib.errors import ReadError

NAME = "DICOMDIR"
_BROKEN = (
    InvalidDicomError,
    BytesLengthException,
    AttributeError,
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,
    TypeError,
    ValueError,
    struct.error,
)


def is_directory(name: str) -> bool:
    """True for the name that the standard gives it, in any case."""
    return PurePosixPath(name.replace("\\", "/")).name.casefold() == NAME.casefold()


def referenced(data: bytes, where: str) -> list[PurePosixPath]:
    """Files that a DICOMDIR names, relative to its folder, each once.

    Raises
    ------
    ReadError
        If the bytes are no directory, or one that cannot be read.
    """
    try:
        # Names with small letters are no CS values, and are there all the same.
        with disable_value_validation():
            found = list(_files(pydicom.dcmread(BytesIO(data), force=False)))
    except _BROKEN as error:
        raise ReadError(
            f"the DICOMDIR cannot be read ({type(error).__name__})",
            where=where,
            todo="Name its folder instead: then every file in it is looked at",
        ) from None
    return list(dict.fromkeys(found))


def _files(directory: pydicom.Dataset) -> Iterator[PurePosixPath]:
    for record in directory.DirectoryRecordSequence:
        # Zero marks a record as no longer in use (PS3.3 F.3).
        if getattr(record, "RecordInUseFlag", 0xFFFF) == 0:
            continue
        value = getattr(record, "ReferencedFileID", None)
        if value:
            parts = [value] if isinstance(value, str) else list(value)
            yield PurePosixPath(*(str(p).strip() for p in parts))


def is_within(path: PurePosixPath) -> bool:
    """False for a reference that leads out of the medium."""
    return not path.is_absolute() and not any(
        p in ("", "..") or "/" in p or "\\" in p for p in path.parts
    )


def find_file(folder: Path, path: PurePosixPath) -> Path | None:
    """A referenced file on the disk, whatever the case its names got on the way."""
    place = folder
    for part in path.parts:
        exact = place / part
        if exact.exists():
            place = exact
            continue
        wanted = {part.casefold(), f"{part.casefold()};1"}  # versions of ISO 9660
        try:
            near = [e for e in place.iterdir() if e.name.casefold() in wanted]
        except OSError:
            return None
        if not near:
            return None
        place = near[0]
    return place if place.is_file() else None


def missing(names: Iterable[str], wanted: Iterable[PurePosixPath], base: str) -> list[str]:
    """References that none of these names, such as those of an archive's members, is."""
    there = {n.casefold() for n in names}
    return [str(w) for w in wanted if f"{base}{w}".casefold() not in there]
