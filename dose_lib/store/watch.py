"""Limits of running queries: time, and memory that DuckDB does not count."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import psutil

_PERIOD_S = 0.05


class Verdict:
    """Why a query was stopped, if it was."""

    def __init__(self) -> None:
        self.is_too_late = False
        self.is_too_large = False


class Watch:
    """Interrupts queries that take too long, and all where they take too much memory.

    Parameters
    ----------
    timeout_s
        Seconds a query may take.
    memory_bytes
        What the process may grow by while queries run. DuckDB counts tables, joins and
        sorts by itself; texts and lists that a query builds are counted here only.
    """

    def __init__(self, timeout_s: float, memory_bytes: int) -> None:
        self.timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._running: dict[int, tuple[duckdb.DuckDBPyConnection, float, Verdict]] = {}
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._process = psutil.Process()

    @contextmanager
    def over(self, con: duckdb.DuckDBPyConnection) -> Iterator[Verdict]:
        """Watch over what runs on `con` inside the block."""
        verdict = Verdict()
        with self._wake:
            self._running[id(verdict)] = (con, time.monotonic() + self.timeout_s, verdict)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
                self._thread.start()
            self._wake.notify()
        try:
            yield verdict
        finally:
            # Under the lock: nobody interrupts a connection that went on to something else.
            with self._wake:
                del self._running[id(verdict)]

    def _look(self) -> None:
        while True:
            with self._wake:
                while not self._running:
                    self._wake.wait()
                base = self._process.memory_info().rss
            while self._stop_some(base):
                time.sleep(_PERIOD_S)

    def _stop_some(self, base: int) -> bool:
        """One look; True if queries still run."""
        is_too_large = self._process.memory_info().rss > base + self._memory_bytes
        with self._wake:
            for con, until, verdict in self._running.values():
                verdict.is_too_large |= is_too_large
                verdict.is_too_late |= time.monotonic() > until
                if verdict.is_too_large or verdict.is_too_late:
                    con.interrupt()
            return bool(self._running)
