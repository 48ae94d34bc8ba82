"""How a reader reaches the store: through the running owner, else the file, decided each time.

Nothing is held between two queries: the owner may start, stop or restart at any time, and a
file that a reader keeps open would shut the owner out.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Protocol

import duckdb
import pyarrow as pa

from dose_lib.errors import StoreInUseError
from dose_lib.settings import Settings
from dose_lib.store.answer import answer
from dose_lib.store.endpoint import Endpoint, read_endpoint, store_endpoint_file
from dose_lib.store.engine import load_quack, memory_bytes, missing, open_file
from dose_lib.store.guard import Guard
from dose_lib.store.migrate import require_current
from dose_lib.store.watch import Watch
from dose_lib.store.wire import OwnerGoneError, fetch

# How long an owner may take to come up: opening, migrating, locking down.
_PATIENCE_S = 8.0
_PAUSE_S = 0.1
# Connections of one process to one file share their configuration: a second one, opened by
# another thread while the first is locked, could not be set up.
_ONE_AT_A_TIME = threading.Lock()


class Link(Protocol):
    """Answers one SELECT with an Arrow table."""

    def query(self, sql: str) -> pa.Table:
        """Result of `sql`."""

    @property
    def place(self) -> str:
        """Where the answers come from, for people."""


class HomeLink:
    """The store of an installation on this machine.

    Parameters
    ----------
    settings
        Of the installation.
    patience_s
        Seconds to wait for an owner that is starting before an error is raised.
    """

    def __init__(self, settings: Settings, patience_s: float = _PATIENCE_S) -> None:
        self._settings = settings
        self._patience_s = patience_s
        self._client = Client()

    def query(self, sql: str) -> pa.Table:
        """Result of `sql` from the owner if one runs, else from the file.

        Raises
        ------
        StoreInUseError
            If another process has the file open and does not serve it.
        StoreError
            If there is no store, or the query cannot be answered.
        """
        until = time.monotonic() + self._patience_s
        while True:
            try:
                return self._once(sql)
            except (StoreInUseError, OwnerGoneError):
                # Between two starts of the owner: it will publish a new endpoint, or is gone.
                if time.monotonic() > until:
                    raise
                time.sleep(_PAUSE_S)

    def _once(self, sql: str) -> pa.Table:
        endpoint = read_endpoint(store_endpoint_file(self._settings))
        if endpoint is not None:
            return self._client.fetch(endpoint, sql, self._settings.store_query_timeout_s)
        return query_file(self._settings.store_file, sql, self._settings)

    @property
    def place(self) -> str:
        """The owner's address, or the file."""
        endpoint = read_endpoint(store_endpoint_file(self._settings))
        return endpoint.url if endpoint else str(self._settings.store_file)


class FileLink:
    """A store file by itself, such as a restored backup."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self._path = path
        self._settings = settings

    def query(self, sql: str) -> pa.Table:
        """Result of `sql` from the file, opened for reading and closed again."""
        return query_file(self._path, sql, self._settings)

    @property
    def place(self) -> str:
        """The file."""
        return str(self._path)


class RemoteLink:
    """An owner at a known address."""

    def __init__(self, endpoint: Endpoint, settings: Settings) -> None:
        self._endpoint = endpoint
        self._timeout_s = settings.store_query_timeout_s
        self._client = Client()

    def query(self, sql: str) -> pa.Table:
        """Result of `sql` from that owner."""
        return self._client.fetch(self._endpoint, sql, self._timeout_s)

    @property
    def place(self) -> str:
        """The owner's address."""
        return self._endpoint.url


class Client:
    """An in-memory DuckDB that speaks the protocol; made when first needed, for all threads."""

    def __init__(self) -> None:
        self._con: duckdb.DuckDBPyConnection | None = None
        self._lock = threading.Lock()

    def fetch(self, endpoint: Endpoint, sql: str, timeout_s: float) -> pa.Table:
        """Result of `sql` from the owner; Ctrl-C is heard while it is awaited."""
        con = self._connection()
        outcome: list[pa.Table | BaseException] = []

        def run() -> None:
            try:
                outcome.append(fetch(con, endpoint, sql, timeout_s))
            except Exception as error:  # noqa: BLE001 - handed to the thread that asked
                outcome.append(error)

        worker = threading.Thread(target=run, name="store query", daemon=True)
        worker.start()
        while worker.is_alive():
            worker.join(0.5)
        (result,) = outcome
        if isinstance(result, BaseException):
            raise result
        return result

    def _connection(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            if self._con is None:
                con = duckdb.connect(":memory:")
                load_quack(con)
                self._con = con
            return self._con


def query_file(path: Path, sql: str, settings: Settings) -> pa.Table:
    """Result of one SELECT from a store file, under the same rules as from the owner."""
    if not path.exists():
        raise missing(path)
    with _ONE_AT_A_TIME:
        con = open_file(path, read_only=True)
        try:
            require_current(con, str(path))
            con.execute("SET enable_external_access = false")
            con.execute("SET lock_configuration = true")
            limit = 2 * memory_bytes(settings.store_memory)
            stream = answer(con, Guard(con), sql, Watch(settings.store_query_timeout_s, limit))
            return pa.ipc.open_stream(stream).read_all()
        finally:
            con.close()
