"""The reader's end of the wire: one query sent whole, one Arrow table back."""

from __future__ import annotations

import duckdb
import msgspec
import pyarrow as pa

from dose_lib.errors import QueryRefusedError, ServiceError, StoreError
from dose_lib.store.answer import Failure
from dose_lib.store.endpoint import Endpoint
from dose_lib.store.guard import parse_select

# What the client says when nobody listens or the token is of an earlier start.
_GONE = (
    "could not connect",
    "connection refused",
    "authentication failed",
    "invalid connection id",
    "connection error",
    "could not establish",
    "failed to",
    "http error",
    "io error",
)


class OwnerGoneError(ServiceError):
    """The owner does not answer at this address, or not with this token."""


def fetch(
    client: duckdb.DuckDBPyConnection, endpoint: Endpoint, query: str, timeout_s: float
) -> pa.Table:
    """Result of one SELECT from the owner.

    Parameters
    ----------
    client
        An in-memory connection with the client/server extension loaded.
    endpoint
        Of the owner.
    query
        The SQL, sent whole.
    timeout_s
        The owner's limit; the client waits a little longer.

    Raises
    ------
    OwnerGoneError
        If the owner cannot be reached: it ended, or started anew elsewhere.
    QueryRefusedError, QueryTimeoutError, StoreError
        As the owner says.
    """
    cursor = client.cursor()
    try:
        cursor.execute(f"SET http_timeout = {int(timeout_s) + 30}; SET http_retries = 0")
        row = cursor.execute(
            "SELECT answer FROM quack_query(?, ?, token := ?)",
            [endpoint.url, query, endpoint.token],
        ).fetchone()
    except duckdb.Error as error:
        if "authorization failed" in str(error).lower():
            raise _refusal(cursor, query) from None
        raise _wire_error(str(error)) from None
    finally:
        cursor.close()
    if row is None or not isinstance(row[0], dict):
        raise StoreError("the owner's answer is not understood", todo="Use one version of DoseLoop")
    if row[0]["failure"] is not None:
        raise msgspec.json.decode(row[0]["failure"], type=Failure).error()
    return pa.ipc.open_stream(row[0]["stream"]).read_all()


def _refusal(cursor: duckdb.DuckDBPyConnection, query: str) -> StoreError:
    """Why the owner would not even look at it: found here, with the same parser."""
    try:
        parse_select(cursor, query)
    except StoreError as error:
        return error
    return QueryRefusedError(
        "the store's owner admits no query", todo="Use one version of DoseLoop everywhere"
    )


def _wire_error(text: str) -> ServiceError | StoreError:
    flat = " ".join(text.split())[:300]
    if any(mark in flat.lower() for mark in _GONE):
        return OwnerGoneError(f"the store's owner does not answer ({flat})")
    return StoreError(f"the query could not be sent ({flat})")
