"""Tables of an export on the disk: heads and rows, a few at a time, whatever the size."""

from __future__ import annotations

import csv
import hashlib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from dose_lib.errors import UsageError
from dose_lib.history import Cell, Row

_CHUNK = 1 << 20
_SNIFF = 1 << 16
_MAX_CELL = 1 << 20  # a longer cell is a quote that nobody closed
# An xlsx file is a zip: more than this, or so much from so little, is no table.
_MAX_UNPACKED = 4 << 30
_MAX_RATIO = 400


class TableFile(msgspec.Struct, frozen=True, kw_only=True):
    """An export: where it lies, what it is, and its heads.

    `header_row` counts from 1.
    """

    path: Path
    sha256: str
    size: int
    heads: tuple[str, ...]
    header_row: int
    sheet: str | None = None
    encoding: str = "utf-8"
    delimiter: str = ","

    @property
    def is_workbook(self) -> bool:
        """True for xlsx."""
        return self.sheet is not None


def open_table(
    path: Path,
    *,
    sheet: str | None = None,
    header_row: int = 1,
    delimiter: str | None = None,
    encoding: str | None = None,
) -> TableFile:
    """Look at an export: hash, encoding, delimiter, heads.

    Parameters
    ----------
    path
        A csv, tsv, txt or xlsx file.
    sheet
        Of a workbook; None or one that is not there: the first with several columns.
    header_row
        Where the heads stand, from 1.
    delimiter, encoding
        Of a csv file; None: found out.

    Raises
    ------
    UsageError
        If there is no such file, or no table in it.
    """
    try:
        sha256, size = _hash(path)
        with path.open("rb") as file:
            start = file.read(_SNIFF)
    except OSError as error:
        raise UsageError(f"the export cannot be read ({error.strerror})", where=str(path)) from None
    if start.startswith(b"PK\x03\x04"):
        return _open_workbook(path, sha256, size, sheet, header_row)
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        raise UsageError(
            "an Excel file of before 2007",
            where=str(path),
            expected="csv or xlsx",
            todo="Open it and save it as xlsx",
        )
    found = encoding or _encoding(path, start)
    text = start.decode(found, "replace")
    sign = delimiter or _delimiter(text, header_row)
    table = TableFile(
        path=path,
        sha256=sha256,
        size=size,
        heads=(),
        header_row=header_row,
        encoding=found,
        delimiter=sign,
    )
    with _lines(table) as lines:
        heads = next(islice(lines, header_row - 1, None), [])
    return _with_heads(table, [str(h) for h in heads])


def _with_heads(table: TableFile, heads: list[str]) -> TableFile:
    plain = tuple(h.replace("\ufeff", "").strip() for h in heads)
    if sum(1 for h in plain if h) < 2:
        raise UsageError(
            f"row {table.header_row} holds no heads of a table",
            expected="one row with the names of the columns",
            where=str(table.path),
            todo="Say which row has the heads, and the sign between columns, in [table]",
        )
    return msgspec.structs.replace(table, heads=plain)


def read_rows(
    table: TableFile, *, progress: Callable[[int, int], None] = lambda *_: None
) -> Iterator[Row]:
    """Rows below the heads, with their numbers in the file; empty rows are left out.

    Parameters
    ----------
    table
        As `open_table` returned it.
    progress
        Called with how much has been read, and of how much.
    """
    with _sheet_rows(table) if table.is_workbook else _lines(table, progress) as rows:
        for number, cells in enumerate(rows, 1):
            if number > table.header_row and any(c not in (None, "") for c in cells):
                yield Row(number, tuple(cells))


def _hash(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


def _encoding(path: Path, start: bytes) -> str:
    """UTF-8 if all of the file is; else what Windows programs of Western Europe write."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        with path.open(encoding="utf-8-sig") as file:
            while file.read(_CHUNK):
                pass
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _delimiter(text: str, header_row: int) -> str:
    """The sign that stands most often in the row of the heads."""
    lines = text.splitlines()
    line = lines[header_row - 1] if len(lines) >= header_row else ""
    return max(",;\t|", key=line.count)


@contextmanager
def _lines(
    table: TableFile, progress: Callable[[int, int], None] = lambda *_: None
) -> Iterator[Iterator[list[Any]]]:
    csv.field_size_limit(_MAX_CELL)
    with table.path.open(encoding=table.encoding, errors="replace", newline="") as file:

        def counted() -> Iterator[list[Any]]:
            reader = csv.reader(file, delimiter=table.delimiter)
            done = 0
            try:
                for n, cells in enumerate(reader):
                    done += sum(map(len, cells)) + len(cells)
                    if n % 500 == 0:
                        progress(min(done, table.size), table.size)
                    yield cells
            except csv.Error as error:
                raise UsageError(
                    f"line {reader.line_num} is no line of a table ({error})",
                    where=str(table.path),
                ) from None
            progress(table.size, table.size)

        yield counted()


def check_workbook(path: Path) -> None:
    """Refuse a workbook that unpacks to more than a table can be.

    Raises
    ------
    UsageError
        Before anything of it is unpacked.
    """
    try:
        with zipfile.ZipFile(path) as book:
            size = sum(i.file_size for i in book.infolist())
            packed = sum(i.compress_size for i in book.infolist())
    except (zipfile.BadZipFile, OSError) as error:
        raise UsageError(f"the workbook is damaged ({error})", where=str(path)) from None
    if size > _MAX_UNPACKED or size > _MAX_RATIO * max(packed, 1):
        raise UsageError(
            f"the workbook unpacks from {packed:,} to {size:,} bytes",
            expected=f"at most {_MAX_RATIO} times as much, and {_MAX_UNPACKED:,} bytes",
            where=str(path),
            todo="If it is a real table, save it as csv",
        )


def _open_workbook(
    path: Path, sha256: str, size: int, sheet: str | None, header_row: int
) -> TableFile:
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    check_workbook(path)
    try:
        book = load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UsageError(
            f"no workbook ({type(error).__name__})", expected="csv or xlsx", where=str(path)
        ) from None
    try:
        wanted = [sheet] if sheet in book.sheetnames else book.sheetnames
        for name in wanted:
            first = next(
                book[name].iter_rows(min_row=header_row, max_row=header_row, values_only=True), ()
            )
            heads = [str(c) if c is not None else "" for c in first]
            if sum(1 for h in heads if h) > 1 or len(wanted) == 1:
                table = TableFile(
                    path=path,
                    sha256=sha256,
                    size=size,
                    heads=(),
                    header_row=header_row,
                    sheet=name,
                )
                return _with_heads(table, heads)
    finally:
        book.close()
    raise UsageError("no sheet of the workbook holds a table", where=str(path))


@contextmanager
def _sheet_rows(table: TableFile) -> Iterator[Iterator[tuple[Cell, ...]]]:
    from openpyxl import load_workbook

    book = load_workbook(table.path, read_only=True, data_only=True)
    try:
        yield book[table.sheet].iter_rows(values_only=True)
    finally:
        book.close()
