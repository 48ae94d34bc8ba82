"""Files of a report: found by name, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dose_lib.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from dose_lib.settings import Settings

_PACKAGE = Path(__file__).parents[1]


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old one or the whole new one.

    Temporary name in the same folder, fsync, rename, fsync of the folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def notebook_folders(settings: Settings) -> tuple[Path, ...]:
    """Where notebooks lie: the site's own first, then those that come with DoseLoop."""
    shipped = [_PACKAGE / "share" / "notebooks", _PACKAGE.parent / "notebooks"]
    return (settings.site_dir / "notebooks", *(f for f in shipped if f.is_dir()))


def notebooks(settings: Settings) -> dict[str, Path]:
    """Every notebook by name; the site's own hides one of the same name that comes with us."""
    found: dict[str, Path] = {}
    for folder in reversed(notebook_folders(settings)):
        found |= {p.stem: p for p in sorted(folder.glob("*.ipynb"))}
    return dict(sorted(found.items()))


def find_notebook(name: str | Path, settings: Settings) -> Path:
    """The file of a notebook given as path or as name.

    Raises
    ------
    UsageError
        If there is none, with the nearest names.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path.resolve()
    known = notebooks(settings)
    if (found := known.get(path.name.removesuffix(".ipynb"))) and path.parent == Path():
        return found.resolve()
    raise UsageError(
        f"there is no notebook {str(name)!r}",
        expected="a file or the name of a notebook",
        todo=did_you_mean(path.name.removesuffix(".ipynb"), known),
    )
