"""Levels of the site's own files, `site/drl/*.csv`: reading, checking, taking in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dose_lib.errors import LevelError, UsageError, did_you_mean
from dose_lib.normalise import catalogue, projections, read_site
from dose_lib.records import Phantom
from dose_lib.reference.level import Kind, Level, PhantomBasis
from dose_lib.reference.template import SITE_COLUMNS, TIMES, Row, day, lines, row_id
from dose_lib.settings import Settings

ANY = "any"
"""Procedure of a trigger that is for every exam of its modality."""

_TOLD = 50  # complaints of one file that are told at once
_EXAMPLES = (
    "MAIN-LOCAL,2026,CT,CT Chest,,,adult,none,,,,32cm,DLP,p75,240,mGy.cm,exam,2026-01-01,,",
    "MAIN-LOCAL,2026,CT,CT Head,,,paediatric,age,12,72,month,16cm,CTDIvol,p75,30,mGy,scan,,,",
    "MAIN-LOCAL,2026,DX,Chest PA,,,adult,none,,,,,DAP(KAP),p75,0.1,Gy.cm2,projection,2026-01-01,,",
)
_TEMPLATE = (
    "drl_set,year,modality,procedure,indication,contrast,population,size_basis,size_min,"
    "size_max,size_unit,phantom,quantity,statistic,value,unit,per,valid_from,valid_to,source_note"
)


class Imported(NamedTuple):
    """A file of levels that was taken in, or only checked."""

    file: Path
    levels: tuple[Level, ...]
    is_replaced: bool


def template() -> str:
    """A file of levels to begin with: the header and three lines as examples."""
    return "\n".join((_TEMPLATE, *_EXAMPLES)) + "\n"


def site_levels(settings: Settings) -> tuple[Level, ...]:
    """Levels of the site's own files `site/drl/*.csv`, in order of file name and line.

    Raises
    ------
    LevelError
        For the first line that cannot be read, and for a row said twice.
    """
    texts = {file: _text(file) for file in _files(settings)}
    for read in _read(texts, settings):
        if isinstance(read, LevelError):
            raise read
    return tuple(x for x in _read(texts, settings) if isinstance(x, Level))


def import_levels(
    settings: Settings,
    file: Path,
    *,
    name: str | None = None,
    is_replacing: bool = False,
    is_check: bool = False,
) -> Imported:
    """Take a file of levels into the site's own, after every line of it was read.

    Parameters
    ----------
    settings
        Of the installation.
    file
        CSV in the template's columns.
    name
        Under which name it is kept; by default its own.
    is_replacing
        True replaces a file of this name.
    is_check
        True only reads it.

    Raises
    ------
    LevelError
        If a line cannot be read or a row is there already, with file, line, column and value;
        the other complaints about the file are notes of the error.
    UsageError
        If a file of this name is there already.
    """
    kept = settings.site_dir / "drl" / _file_name(name or file.stem)
    content = _text(file)
    others = {other: _text(other) for other in _files(settings) if other != kept}
    if kept.exists() and not is_replacing and not is_check:
        todo = "Take another name, or say that it is replaced"
        raise UsageError("levels of this name are here already", where=str(kept), todo=todo)
    found = list(_read({**others, file: content}, settings))
    _raise_all([x for x in found if isinstance(x, LevelError)])
    before = sum(isinstance(x, Level) for x in _read(others, settings))
    levels = tuple(x for x in found if isinstance(x, Level))[before:]
    if not levels:
        raise LevelError("the file holds no level", where=str(file))
    is_replaced = kept.exists()
    if not is_check:
        _write(kept, content)
    return Imported(kept, levels, is_replaced)


def _raise_all(complaints: Sequence[LevelError]) -> None:
    if not complaints:
        return
    first, more = complaints[0], complaints[1:]
    for complaint in more[:_TOLD]:
        first.add_note(str(complaint))
    if len(more) > _TOLD:
        first.add_note(f"... and {len(more) - _TOLD} more")
    raise first


def _file_name(name: str) -> str:
    if not re.fullmatch(r"[\w.-]{1,80}", name) or name.startswith("."):
        raise UsageError(f"{name!r} is no name", expected="letters, digits, '-', '_' and '.'")
    return name if name.endswith(".csv") else f"{name}.csv"


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except OSError as error:
        raise LevelError(f"the file cannot be written ({error})", where=str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


def _files(settings: Settings) -> list[Path]:
    return sorted((settings.site_dir / "drl").glob("*.csv"))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LevelError(
            f"the file cannot be read ({error})", expected="CSV in UTF-8", where=str(file)
        ) from None


def _read(texts: Mapping[Path, str], settings: Settings) -> Iterator[Level | LevelError]:
    names = {
        **dict.fromkeys(projections()),
        **{n: p.region for n, p in catalogue().items()},
        **read_site(settings).regions,
    }
    seen: set[str] = set()
    for file, text in texts.items():
        for row in lines(text, file, columns=SITE_COLUMNS):
            if isinstance(row, LevelError):
                yield row
                continue
            try:
                level = _own(row, names, settings.country)
            except LevelError as error:
                yield error
                continue
            if level.row_id in seen:
                yield row.place.refuse("procedure", row.texts["procedure"], "each row once")
            seen.add(level.row_id)
            yield level


def _own(row: Row, names: Mapping[str, str | None], country: str) -> Level:
    name = row.texts["procedure"]
    kind = row.text("kind") or "local"
    if kind not in tuple(Kind):
        raise row.place.refuse("kind", kind, "one of " + ", ".join(Kind))
    if row.unit == TIMES and kind != Kind.TRIGGER:
        raise row.place.refuse("unit", TIMES, "a unit of dose; multiples are for triggers")
    is_for_all = kind == Kind.TRIGGER and name == ANY
    if name not in names and not is_for_all:
        hint = did_you_mean(name, names)
        raise row.place.refuse("procedure", name, "a procedure of the catalogue", hint)
    year = row.text("year")
    if year is not None and not year.isdigit():
        raise row.place.refuse("year", year, "a year such as 2026")
    edition = row.text("edition") or year or "undated"
    return Level(
        set_id=row.texts["drl_set"],
        edition=edition,
        row_id="/".join(_identity(row, edition)),
        kind=Kind.ACHIEVABLE if row.statistic == "p50" and kind != "local" else Kind(kind),
        origin="site",
        country=row.text("country_or_region") or country,
        publication=row.text("publication"),
        year=int(year) if year else None,
        valid_from=day(row.place, "valid_from", row.text("valid_from")),
        valid_to=day(row.place, "valid_to", row.text("valid_to")),
        modality=row.texts["modality"],
        procedure_name=None if is_for_all else name,
        source_procedure=name,
        body_region=row.text("body_region") or (None if is_for_all else names[name]),
        indication=row.text("indication"),
        contrast=row.text("contrast"),
        population=row.population,
        size_basis=row.size_basis,
        size_min=row.size_min,
        size_max=row.size_max,
        size_unit=row.size_unit,
        phantom=Phantom(row.texts["phantom"]) if row.text("phantom") else None,
        phantom_basis=PhantomBasis.SOURCE if row.text("phantom") else None,
        quantity=row.quantity,
        statistic=row.statistic,
        value=row.value,
        unit=row.unit,
        per=row.per,
        is_comparable=kind != Kind.TRIGGER,
        confidence=row.confidence,
        note=row.text("source_note"),
    )


def _identity(row: Row, edition: str) -> Iterator[str]:
    """What tells a row of the site from its others: all but its value and place."""
    yield row_id(row)
    for column in ("contrast", "phantom"):
        if said := row.text(column):
            yield said
    yield edition
