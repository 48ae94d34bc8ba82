"""A lake as an ibis backend: DuckDB in this process, or the reader's own Spark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from dose_lib.errors import UsageError
from dose_lib.lake.columns import TABLES
from dose_lib.lake.write import FILE
from dose_lib.store.connect import StoreBackend


class _Files:
    """The way from a backend to the files of a lake."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.place = str(folder)
        self._con = duckdb.connect()
        for name in names:
            files = self._con.read_parquet(
                str(folder / name / "*" / "*" / FILE), hive_partitioning=True, union_by_name=True
            )
            files.create_view(name)

    def query(self, sql: str) -> pa.Table:
        """Result of one SELECT."""
        return self._con.cursor().sql(sql).to_arrow_table()


def open_lake(folder: str | Path, *, spark: Any = None) -> Any:
    """The tables of a lake, for every function that takes a connection.

    Parameters
    ----------
    folder
        As given to `export_lake`.
    spark
        A ``SparkSession``; by default DuckDB reads the files in this process.

    Returns
    -------
    ibis backend
        With the tables `studies`, `events` and `administrations`, as far as there are rows.
        There are no decisions in a lake: give `levels` to comparisons, with their sign-offs.

    Raises
    ------
    UsageError
        If the folder is no lake.
    """
    place = Path(folder).expanduser().absolute()
    if not (place / "_doseloop").is_dir():
        raise UsageError(
            "there is no lake", where=str(place), todo="Write one: dose export --lake DIR"
        )
    names = [t.name for t in TABLES if any((place / t.name).glob(f"*/*/{FILE}"))]
    if spark is None:
        return StoreBackend.over(_Files(place, names))
    import ibis

    for name in names:
        # Columns that are NULL in one month have their type from the others.
        table = spark.read.option("mergeSchema", "true").parquet(str(place / name))
        table.createOrReplaceTempView(name)
    return ibis.pyspark.connect(spark)
