"""Writing the lake: month by month, only what changed, each file whole or not at all."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dose_lib.errors import OutOfRoomError, UsageError
from dose_lib.lake.columns import TABLES, Table
from dose_lib.lake.page import readme, schema_json

Backend: TypeAlias = Any
Advance: TypeAlias = Callable[[str, int, int], None]

LAYOUT = 1
"""Version of folders and columns; another one writes everything anew."""

FILE = "data.parquet"
_NO_MONTH = "unknown"
# A year at once: one query for the months of it that changed.
_YEAR = slice(0, 4)


class Exported(NamedTuple):
    """What an export did: files of months by table, and rows in the lake of this site."""

    folder: Path
    site_id: str
    n_written: int
    n_unchanged: int
    n_removed: int
    n_rows: Mapping[str, int]


class _Month(msgspec.Struct, frozen=True):
    """State of one file: rows, and a checksum of their content."""

    rows: int
    checksum: str


class _Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a site has in the lake; written last, so that it never promises too much."""

    layout: int
    site_id: str
    exported_at: datetime
    tables: dict[str, dict[str, _Month]]


def site_id_of(site_name: str) -> str:
    """Name of an installation in a lake: letters, digits and hyphens.

    Examples
    --------
    >>> site_id_of("St. Mary's, Leeds")
    'st-mary-s-leeds'
    """
    return re.sub(r"[^a-z0-9]+", "-", site_name.casefold()).strip("-") or "site"


def export_lake(
    con: Backend,
    folder: Path,
    site_id: str,
    *,
    advance: Advance | None = None,
    now: datetime | None = None,
) -> Exported:
    """Bring a lake up to date with the store.

    Parameters
    ----------
    con
        ibis backend of `dose_lib.connect`.
    folder
        Of the lake; sites may share one.
    site_id
        Name of this installation in it.
    advance
        Called with table, months done and months to do.
    now
        The present, for tests.

    Returns
    -------
    Exported
        Months whose rows are as they were are not written again; months without rows are
        removed.

    Raises
    ------
    UsageError
        For a name that cannot be a folder's, or a folder that is no lake.
    OutOfRoomError
        If a file cannot be written; files already written stay, each of them whole.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", site_id):
        raise UsageError(f"{site_id!r} is no site", expected="a-z, 0-9 and hyphens")
    folder = folder.expanduser().absolute()
    before = _read_manifest(folder, site_id)
    states: dict[str, dict[str, _Month]] = {}
    n_written = n_removed = 0
    for table in TABLES:
        place = folder / table.name / f"site_id={site_id}"
        has = states[table.name] = _months(con, table)
        n_written += _update(con, table, place, has, before.get(table.name, {}), advance=advance)
        n_removed += _remove(place, set(has))
    _finish(folder, site_id, states, now or datetime.now(UTC))
    n_months = sum(map(len, states.values()))
    rows = {name: sum(m.rows for m in months.values()) for name, months in states.items()}
    return Exported(folder, site_id, n_written, n_months - n_written, n_removed, rows)


def _update(
    con: Backend,
    table: Table,
    place: Path,
    has: Mapping[str, _Month],
    had: Mapping[str, _Month],
    *,
    advance: Advance | None,
) -> int:
    """Write the months of one table that are not in the lake as they are now; returns how many."""
    changed = sorted(
        month
        for month, state in has.items()
        if had.get(month) != state or not (place / f"month={month}" / FILE).is_file()
    )
    for done, (month, rows) in enumerate(_rows_of(con, table, changed)):
        _write_parquet(place / f"month={month}" / FILE, rows)
        if advance is not None:
            advance(table.name, done + 1, len(changed))
    return len(changed)


def _month_sql(table: Table) -> str:
    return f"coalesce(strftime({table.started}, '%Y-%m'), '{_NO_MONTH}')"


def _selected(table: Table) -> str:
    return ", ".join(f'"{c}"' for c in table.columns)


def _months(con: Backend, table: Table) -> dict[str, _Month]:
    """Rows and checksum of each month; the order of rows does not count.

    Names of columns and tables are ours, and nothing else is put into the text.
    """
    sql = (
        f"SELECT month, count(*) AS n, sum(row_hash)::VARCHAR AS checksum FROM ("  # noqa: S608
        f"SELECT {_month_sql(table)} AS month, hash(rows)::HUGEINT AS row_hash "
        f"FROM (SELECT {_selected(table)} FROM {table.name}) AS rows) GROUP BY month"
    )
    found = con.query(sql).to_pylist()
    return {r["month"]: _Month(r["n"], r["checksum"]) for r in found}


def _rows_of(con: Backend, table: Table, months: Iterable[str]) -> Iterator[tuple[str, pa.Table]]:
    """Rows of each month, asked for a year at a time."""
    wanted = list(months)
    for year in sorted({m[_YEAR] for m in wanted}):
        own = [m for m in wanted if m[_YEAR] == year]
        listed = ", ".join(f"'{m}'" for m in own)
        sql = (
            f"SELECT {_selected(table)}, {_month_sql(table)} AS month "  # noqa: S608
            f"FROM {table.name} WHERE {_month_sql(table)} IN ({listed}) "
            f"ORDER BY {', '.join(table.order)}"
        )
        found = con.query(sql)
        names = pc.cast(found["month"], pa.string())
        for month in own:
            yield month, found.filter(pc.equal(names, month)).drop_columns("month")


def _remove(place: Path, kept: set[str]) -> int:
    """Months that have no rows any more: erased, or moved by a correction."""
    n = 0
    for path in sorted(place.glob("month=*")):
        if path.name.removeprefix("month=") not in kept:
            (path / FILE).unlink(missing_ok=True)
            path.rmdir()
            n += 1
    return n


def _manifest_file(folder: Path, site_id: str) -> Path:
    # Engines take files and folders that begin with an underscore for none of a table's.
    return folder / "_doseloop" / f"{site_id}.json"


def _read_manifest(folder: Path, site_id: str) -> dict[str, dict[str, _Month]]:
    if folder.exists() and any(folder.iterdir()) and not (folder / "_doseloop").is_dir():
        raise UsageError(
            "the folder is no lake", where=str(folder), expected="an empty folder, or a lake"
        )
    file = _manifest_file(folder, site_id)
    if not file.is_file():
        return {}
    try:
        found = msgspec.json.decode(file.read_bytes(), type=_Manifest)
    except msgspec.MsgspecError:
        return {}  # everything is written again
    return found.tables if found.layout == LAYOUT else {}


def _finish(
    folder: Path, site_id: str, states: dict[str, dict[str, _Month]], now: datetime
) -> None:
    manifest = _Manifest(layout=LAYOUT, site_id=site_id, exported_at=now, tables=states)
    described = schema_json(LAYOUT)
    for file, content in (
        (folder / "README.md", readme()),
        (folder / "_doseloop" / "schema.json", json.dumps(described, indent=2) + "\n"),
        (_manifest_file(folder, site_id), msgspec.json.encode(manifest).decode() + "\n"),
    ):
        _write_text(file, content)


def _write_text(file: Path, content: str) -> None:
    _write_whole(file, lambda path: path.write_text(content, encoding="utf-8"))


def _write_parquet(file: Path, rows: pa.Table) -> None:
    _write_whole(file, lambda path: pq.write_table(rows, path, compression="zstd"))


def _write_whole(file: Path, write: Callable[[Path], object]) -> None:
    """Temporary name in the same folder, flushed, renamed: a reader sees old or new."""
    temporary = file.with_name(f"_{file.name}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb") as opened:
            os.fsync(opened.fileno())
        temporary.replace(file)
    except OSError as error:
        raise OutOfRoomError(f"the lake cannot be written ({error})", where=str(file)) from None
    finally:
        temporary.unlink(missing_ok=True)
