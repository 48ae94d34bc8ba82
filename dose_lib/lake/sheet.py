"""Exam parts as a sheet for people: CSV and XLSX, of the same columns as the lake."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from dose_lib.errors import OutOfRoomError
from dose_lib.lake.columns import TABLES

Backend: TypeAlias = Any

_STUDIES = TABLES[0]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def read_sheet(
    con: Backend,
    *,
    start: date | None = None,
    end: date | None = None,
    modality: str | None = None,
    procedure_name: str | None = None,
) -> pa.Table:
    """Exam parts of a period in order of start; columns without any value are left out.

    Parameters
    ----------
    con
        ibis backend with the view `studies`.
    start, end
        First and last day, inclusive.
    modality, procedure_name
        Only these.
    """
    exams = con.table("studies")
    for name, wanted in (("modality", modality), ("procedure_name", procedure_name)):
        if wanted is not None:
            exams = exams.filter(exams[name] == wanted)
    if start is not None:
        exams = exams.filter(exams.started_at >= datetime.combine(start, time()))
    if end is not None:
        after = datetime.combine(end + timedelta(days=1), time())
        exams = exams.filter(exams.started_at < after)
    found = exams.select(*_STUDIES.columns).order_by("started_at", "part_key").to_pyarrow()
    return found.select([n for n in found.column_names if found[n].null_count < found.num_rows])


def write_csv(rows: pa.Table, file: Path) -> None:
    """UTF-8 with a mark, so that spreadsheets read names right; the file is whole or not there."""
    with _whole(file) as temporary, temporary.open("w", encoding="utf-8-sig", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(rows.column_names)
        writer.writerows(_lines(rows))


def write_xlsx(rows: pa.Table, file: Path) -> None:
    """One sheet with a frozen header."""
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet("studies")
    sheet.freeze_panes = "A2"
    sheet.append(rows.column_names)
    for line in _lines(rows):
        sheet.append(line)
    sheet.close()  # what cannot be saved leaves nothing half written behind
    with _whole(file) as temporary:
        book.save(temporary)


@contextmanager
def _whole(file: Path) -> Iterator[Path]:
    """A name to write to; it becomes `file` once all is written."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.replace(file)
    except OSError as error:
        raise OutOfRoomError(f"the file cannot be written ({error})", where=str(file)) from None
    finally:
        temporary.unlink(missing_ok=True)


def _lines(rows: pa.Table) -> Iterator[tuple[Any, ...]]:
    columns = [[_cell(v) for v in rows[name].to_pylist()] for name in rows.column_names]
    return zip(*columns, strict=True)


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        # A name of a protocol that begins so would be run by a spreadsheet.
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.isoformat()
    if isinstance(value, Iterable):
        return _cell(" + ".join(str(v) for v in value))
    return value
