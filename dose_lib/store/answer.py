"""Answering a query: checked, limited in time, memory and size, as an Arrow stream.

In DuckDB 1.5.5 a query that runs in a session of the client/server protocol cannot be
stopped: it goes on after the client was interrupted, has ended, or the server was stopped
(measured; duckdb-quack issue 257). So the owner runs every query on a connection of its own,
which it can interrupt, and the session only carries the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import msgspec
import pyarrow as pa

from dose_lib.errors import DoseError, QueryRefusedError, QueryTimeoutError, StoreError
from dose_lib.store.guard import Guard
from dose_lib.store.watch import Watch

MAX_ANSWER_BYTES = 256 << 20
_ROWS_PER_BATCH = 65_536

_KINDS: dict[str, type[DoseError]] = {
    "refused": QueryRefusedError,
    "timeout": QueryTimeoutError,
    "failed": StoreError,
}


class Failure(msgspec.Struct, frozen=True):
    """Why there is no answer, in a form that crosses processes."""

    kind: str
    seen: str
    expected: str | None = None
    todo: str | None = None

    def error(self) -> DoseError:
        """The error to raise on the reader's side."""
        return _KINDS.get(self.kind, StoreError)(self.seen, expected=self.expected, todo=self.todo)


def failure(error: DoseError) -> Failure:
    """An error of ours as a value."""
    kind = "failed"
    if isinstance(error, QueryRefusedError):
        kind = "refused"
    elif isinstance(error, QueryTimeoutError):
        kind = "timeout"
    return Failure(kind, error.seen, error.expected, error.todo)


def answer(con: duckdb.DuckDBPyConnection, guard: Guard, query: str, watch: Watch) -> pa.Buffer:
    """Result of a query as an Arrow IPC stream.

    Parameters
    ----------
    con
        A connection that does nothing else meanwhile.
    guard
        Judges the query first.
    query
        One SELECT.
    watch
        Stops it if it takes too long or too much memory.

    Raises
    ------
    QueryRefusedError
        If the guard does not admit it.
    QueryTimeoutError
        If it took too long.
    StoreError
        If DuckDB cannot run it, or the answer needs too much memory.
    """
    with _watched(con, watch):
        guard.check(con, query)
        return _stream(con.execute(query))


def _stream(con: duckdb.DuckDBPyConnection) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    reader = con.to_arrow_reader(_ROWS_PER_BATCH)
    with pa.ipc.new_stream(sink, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
            if sink.tell() > MAX_ANSWER_BYTES:
                raise StoreError(
                    f"the answer is larger than {MAX_ANSWER_BYTES >> 20} MB",
                    todo="Ask for fewer columns or rows, or for statistics instead of rows",
                )
    return sink.getvalue()


@contextmanager
def _watched(con: duckdb.DuckDBPyConnection, watch: Watch) -> Iterator[None]:
    """Limit what runs on the connection; DuckDB's errors become ours."""
    with watch.over(con) as verdict:
        try:
            yield
        except (duckdb.Error, pa.ArrowException, OSError, RuntimeError, MemoryError) as error:
            if verdict.is_too_large:
                raise _too_large("stopped before the machine ran out of it") from None
            if verdict.is_too_late:
                raise QueryTimeoutError(
                    f"the query took longer than {watch.timeout_s:g} s and was stopped",
                    todo="Ask for a shorter period or fewer groups, or raise store_query_timeout_s",
                ) from None
            raise _ours(error) from None


def _too_large(detail: str) -> StoreError:
    return StoreError(
        f"the query needs more memory than it may use ({detail})",
        todo="Ask for fewer columns or groups, or raise store_memory",
    )


def _ours(error: BaseException) -> StoreError:
    text = " ".join(str(error).split())[:500]
    if isinstance(error, MemoryError | duckdb.OutOfMemoryException):
        return _too_large(text)
    if isinstance(error, duckdb.PermissionException):
        return QueryRefusedError(text)
    return StoreError(f"the query cannot be answered ({text})")
