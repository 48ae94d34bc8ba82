"""Limits of running queries: time, and memory that DuckDB does not count."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import duckdb
import psutil

_PERIOD_S = 0.05
_LEAST_BYTES = 256 << 20


class Verdict:
    """Why a query was stopped, if it was."""

    def __init__(self) -> None:
        self.is_too_late = False
        self.is_too_large = False


class _Running(NamedTuple):
    con: duckdb.DuckDBPyConnection
    until: float
    most_bytes: int
    verdict: Verdict


class Watch:
    """Interrupts queries that take too long, or during which the process grows too much.

    Parameters
    ----------
    timeout_s
        Seconds a query may take.
    memory_bytes
        What the process may grow by since a query began. DuckDB counts tables, joins and
        sorts by itself; texts and lists that a query builds are counted here only.
    """

    def __init__(self, timeout_s: float, memory_bytes: int) -> None:
        self.timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._running: set[_Running] = set()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._process = psutil.Process()

    @contextmanager
    def over(self, con: duckdb.DuckDBPyConnection) -> Iterator[Verdict]:
        """Watch over what runs on `con` inside the block."""
        until = time.monotonic() + self.timeout_s
        running = _Running(con, until, self._now_bytes() + self._memory_bytes, Verdict())
        with self._wake:
            self._running.add(running)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
                self._thread.start()
            self._wake.notify()
        try:
            yield running.verdict
        finally:
            # Under the lock: nobody interrupts a connection that went on to something else.
            with self._wake:
                self._running.remove(running)

    def _look(self) -> None:
        while True:
            with self._wake:
                while not self._running:
                    self._wake.wait()
                self._stop_some()
            time.sleep(_PERIOD_S)

    def _stop_some(self) -> None:
        now_bytes = self._now_bytes()
        for con, until, most_bytes, verdict in self._running:
            verdict.is_too_large |= now_bytes > most_bytes
            verdict.is_too_late |= time.monotonic() > until
            if verdict.is_too_large or verdict.is_too_late:
                con.interrupt()

    def _now_bytes(self) -> int:
        return int(self._process.memory_info().rss)


class Room:
    """Address space that the process may still take; then allocations fail.

    What a query builds inside one step of DuckDB is neither counted by it nor can be
    interrupted. Without a limit the kernel would end this process or another; with it the
    query fails. Addresses stay taken when memory is given back, so the limit moves along
    with what is in use.

    Parameters
    ----------
    growth_bytes
        How much more than now; None for no limit, where other work shares the process.
    """

    def __init__(self, growth_bytes: int | None) -> None:
        self._growth_bytes = growth_bytes
        self._process = psutil.Process()
        self._start_bytes = int(self._process.memory_info().rss)

    def renew(self) -> None:
        """Set the limit by what is in use now; enough for an honest query is always left."""
        if self._growth_bytes is None:
            return
        now = self._process.memory_info()
        left = self._growth_bytes - (now.rss - self._start_bytes)
        limit = int(now.vms + max(left, _LEAST_BYTES))
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        if hard == resource.RLIM_INFINITY or limit < hard:
            resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
