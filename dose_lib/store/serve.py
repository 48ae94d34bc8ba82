"""Serving: the owner lets other processes of the same user read, through DuckDB's quack.

The token alone would give full control, so before the first client comes the owner closes
what a client could use (DESIGN §5):

- no access to files or the network from SQL, and no setting can be changed any more;
- `dose_admits`, called by the server for every request, admits only what parses as one
  SELECT; what it returns is run instead of the client's text: a call of `dose_answer` with
  that text as a literal. So a session of the server never runs a client's SQL itself;
- `dose_answer` checks the text against the guard's lists and runs it on a connection of its
  own, with a limit in time, memory and size;
- the token is new at each start, in a file of mode 0600, on loopback.
"""

from __future__ import annotations

import os
import secrets
import threading
from typing import TYPE_CHECKING

import duckdb
import msgspec

from dose_lib.errors import DoseError, QueryTimeoutError, ServiceError
from dose_lib.store.answer import answer, failure
from dose_lib.store.backup import backup
from dose_lib.store.door import Door
from dose_lib.store.endpoint import (
    Endpoint,
    door_endpoint_file,
    free_port,
    remove_endpoint,
    store_endpoint_file,
    write_endpoint,
)
from dose_lib.store.engine import load_quack, memory_bytes
from dose_lib.store.guard import Guard
from dose_lib.store.watch import Room, Watch
from dose_lib.store.wire import fetch

if TYPE_CHECKING:
    from dose_lib.store.owner import Store

# Queries that run at once; more wait for their turn. DuckDB spreads each over all cores.
_AT_ONCE = 4

# Address space beyond DuckDB's memory: stacks and heaps of the server's threads.
_HEADROOM_BYTES = 1 << 30

_ADMITS = """
    CREATE OR REPLACE MACRO dose_admits(session_id, query) AS
    CASE WHEN json_array_length(json_serialize_sql(query::VARCHAR), '$.statements') = 1
    THEN 'SELECT dose_answer(''' || replace(query::VARCHAR, '''', '''''') || ''') AS answer'
    END
"""


class Service:
    """A served store; made by `Store.serve`."""

    def __init__(self, store: Store, con: duckdb.DuckDBPyConnection, url: str, token: str) -> None:
        self._con = con
        self._store = store
        self._door = Door(
            lambda given: store.decide(*given),
            lambda folder: backup(store, folder),
            store.add_findings,
        )
        self.endpoint = Endpoint(url, token, os.getpid())
        self.door_endpoint = self._door.endpoint

    def publish(self) -> None:
        """Write the endpoint files."""
        settings = self._store.settings
        write_endpoint(door_endpoint_file(settings), self.door_endpoint)
        write_endpoint(store_endpoint_file(settings), self.endpoint)

    def stop(self) -> None:
        """Take the endpoints back, then stop listening."""
        settings = self._store.settings
        remove_endpoint(store_endpoint_file(settings), self.endpoint)
        remove_endpoint(door_endpoint_file(settings), self.door_endpoint)
        self._door.stop()
        self._con.execute("CALL quack_stop(?)", [self.endpoint.url])


def start(store: Store, con: duckdb.DuckDBPyConnection, *, is_dedicated: bool = False) -> Service:
    """Lock the opened store down and serve it on loopback; see `Store.serve`.

    Raises
    ------
    ServiceError
        If it is served already or the server does not answer as ours.
    PortInUseError
        If another process answers on the port.
    """
    running = con.execute(
        "SELECT count(*) FROM duckdb_settings() WHERE name = 'quack_loaded_at_us'"
    )
    if (running.fetchone() or (0,))[0]:
        raise ServiceError("this store is served already", todo="Serve it once")
    port = free_port(store.settings.store_port, "the store")
    growth = 4 * memory_bytes(store.settings.store_memory) + _HEADROOM_BYTES
    room = Room(growth if is_dedicated else None)
    _lock_down(store, con, room)
    token, url = secrets.token_urlsafe(32), f"quack:localhost:{port}"
    con.execute("CALL quack_serve(?, token = ?)", [url, token])
    _check_is_ours(url, token)
    service = Service(store, con, url, token)
    service.publish()
    return service


def _lock_down(store: Store, con: duckdb.DuckDBPyConnection, room: Room) -> None:
    settings = store.settings
    load_quack(con)
    watch = Watch(settings.store_query_timeout_s, 2 * memory_bytes(settings.store_memory))
    _add_answer(con, watch, room)
    con.execute(_ADMITS)
    for name, value in (
        ("memory_limit", settings.store_memory),
        ("max_temp_directory_size", settings.store_memory),
        ("TimeZone", "UTC"),
        ("quack_authorization_function", "dose_admits"),
        ("allow_persistent_secrets", False),
        ("autoinstall_known_extensions", False),
        ("autoload_known_extensions", False),
        ("enable_external_access", False),
        ("lock_configuration", True),
    ):
        literal = str(value).lower() if isinstance(value, bool) else f"'{_text(value)}'"
        con.execute(f"SET GLOBAL {name} = {literal}")


def _text(value: str) -> str:
    return value.replace("'", "''")


def _add_answer(con: duckdb.DuckDBPyConnection, watch: Watch, room: Room) -> None:
    """Register `dose_answer(query)`: why there is no answer as JSON, or the Arrow stream."""
    guard = Guard(con)
    # Never runs anything itself, so that opening further cursors never waits for the writer.
    readers = con.cursor()
    turns = threading.BoundedSemaphore(_AT_ONCE)

    def dose_answer(query: str) -> dict[str, str | bytes | None]:
        if not turns.acquire(timeout=watch.timeout_s):
            busy = QueryTimeoutError(
                f"{_AT_ONCE} other queries kept the store busy for {watch.timeout_s:g} s",
                todo="Try again; look for the query that takes so long",
            )
            return {"failure": _packed(busy), "stream": None}
        room.renew()
        try:
            return {"failure": None, "stream": _answered(readers, guard, query, watch)}
        except DoseError as error:
            return {"failure": _packed(error), "stream": None}
        finally:
            turns.release()

    con.create_function(
        "dose_answer",
        dose_answer,
        ["VARCHAR"],
        'STRUCT("failure" VARCHAR, "stream" BLOB)',
        side_effects=True,
    )


def _answered(readers: duckdb.DuckDBPyConnection, guard: Guard, query: str, watch: Watch) -> bytes:
    cursor = readers.cursor()
    try:
        stream: bytes = answer(cursor, guard, query, watch).to_pybytes()
        return stream
    finally:
        cursor.close()


def _packed(error: DoseError) -> str:
    return msgspec.json.encode(failure(error)).decode()


def _check_is_ours(url: str, token: str) -> None:
    """Ask the server through its port: a stranger on the same port would not know the token."""
    with duckdb.connect(":memory:") as client:
        load_quack(client)
        try:
            fetch(client, Endpoint(url, token, os.getpid()), "SELECT 1", 10.0)
        except DoseError as error:
            raise ServiceError(
                "the store's server does not answer as ours", where=url, todo=error.seen
            ) from None
