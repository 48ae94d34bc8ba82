"""A transaction of the store: all of it or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb


@contextmanager
def transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit what is done inside, or roll all of it back.

    Raises
    ------
    duckdb.IOException
        If the file could not be written. DuckDB says so with this class while it works, and as
        a failed transaction ("Failed to commit: Could not write file") when the disk fills up
        at the very end; for those who call it is the same.
    """
    con.execute("BEGIN")
    try:
        yield
    except BaseException:
        con.execute("ROLLBACK")
        raise
    try:
        con.execute("COMMIT")
    except duckdb.TransactionException as error:
        if "Could not" in str(error):
            raise duckdb.IOException(str(error)) from error
        raise
