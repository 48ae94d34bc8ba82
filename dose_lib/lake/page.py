"""What the lake says of itself: README and schema, made from the data model."""

from __future__ import annotations

from typing import Any

from dose_lib.lake.columns import TABLES, unit_and_meaning

_HEAD = """\
# A lake of DoseLoop

Doses of medical imaging as Parquet, written by `dose export --lake`. One folder a table, in it one
a site (`site_id=...`) and month of the exam (`month=2026-03`), in that one file `data.parquet`.

- A file is replaced whole, by renaming; months that did not change are not touched. While an export
  runs, tables may be of different moments: `_doseloop/<site_id>.json`, written last, says which
  months belong together, with rows and checksums.
- There are no names, IDs, UIDs of studies, keys of patients or staff, and no free text but names of
  protocols. Dates, ages and sizes remain, so that the rows are **pseudonymous, not anonymous**:
  treat them as data of patients.
- Missing is NULL, never 0. Times are local as recorded, without zone (`started_at`), or with one
  (`..._utc`, `received_at`). Units stand in the names.
- The rows of phantoms and tests are here, too: `is_patient` is false.

Read it with DuckDB or Apache Spark; DoseLoop's functions take either:

    from dose_lib.lake import open_lake
    con = open_lake("this/folder")                    # DuckDB
    con = open_lake("this/folder", spark=session)     # a SparkSession of yours
    dose_lib.compare_practice(con, ...)
"""


def readme() -> str:
    """Page that lies beside the tables."""
    lines = [_HEAD]
    for table in TABLES:
        lines += [f"## {table.name}", "", "| column | unit | meaning |", "| --- | --- | --- |"]
        for name in ("site_id", "month", *table.columns):
            unit, meaning = unit_and_meaning(name)
            lines.append(f"| `{name}` | {unit} | {meaning} |")
        lines.append("")
    return "\n".join(lines)


def schema_json(layout: int) -> dict[str, Any]:
    """Tables and columns for programs."""
    return {
        "layout": layout,
        "tables": {table.name: [_column(name) for name in table.columns] for table in TABLES},
    }


def _column(name: str) -> dict[str, str]:
    unit, meaning = unit_and_meaning(name)
    return {"name": name, "unit": unit, "meaning": meaning}
