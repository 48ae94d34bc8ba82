"""Exam parts and events as files: a Parquet lake for groups of hospitals, sheets for people."""

from __future__ import annotations

from dose_lib.lake.columns import TABLES, Table
from dose_lib.lake.sheet import read_sheet, write_csv, write_xlsx
from dose_lib.lake.view import open_lake
from dose_lib.lake.write import Exported, export_lake, site_id_of

__all__ = [
    "TABLES",
    "Exported",
    "Table",
    "export_lake",
    "open_lake",
    "read_sheet",
    "site_id_of",
    "write_csv",
    "write_xlsx",
]
