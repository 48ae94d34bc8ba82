"""The worker processes: kept busy, watched, replaced."""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path

from dose_lib.errors import ServiceError
from pipelines.defects import Failure
from pipelines.worker import (
    Detect,
    Detected,
    Read,
    ReadObject,
    Ready,
    Response,
    decode_response,
    encode,
    serve,
)

log = logging.getLogger(__name__)

# Objects a worker has before it: their names fit the pipe, so asking never waits; and the
# latest object waits for no more than these.
_AHEAD = 48
_PATIENCE_S = 120.0  # longest time one object may take
_START_S = 180.0  # longest time a worker may take to start
_TRIES = 2  # deaths that one object may cause before it is set aside
_STARTS = 3  # workers in a row that ended before they had started


Serve = Callable[[Connection, str], None]
"""What a worker process runs: answers requests on a connection, for a home folder."""


class WorkersCannotStartError(ServiceError):
    """The processes that read end before they have started; no object is at fault."""


class _Process:
    """One worker and what it has been asked, in the order of its answers."""

    def __init__(self, work: Serve, home: Path, number: int) -> None:
        # Spawned, not forked: the owner has threads and an open database.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=work, args=(theirs, str(home)), name=f"worker-{number}", daemon=True
        )
        self.process.start()
        theirs.close()
        self.asked: deque[str | Detect] = deque()
        self.since = time.monotonic()
        self.is_ready = False
        self.problem: str | None = None

    @property
    def room(self) -> int:
        return max(0, _AHEAD - len(self.asked))

    @property
    def is_stuck(self) -> bool:
        patience = _PATIENCE_S if self.is_ready else _START_S
        return bool(self.asked) and time.monotonic() - self.since > patience

    def ask(self, request: Read | Detect) -> None:
        if not self.asked:
            self.since = time.monotonic()
        self.asked.extend([request] if isinstance(request, Detect) else request.paths)
        try:
            self.connection.send_bytes(encode(request))
        except (BrokenPipeError, ConnectionResetError):
            log.error("worker is gone", extra={"pid": self.process.pid})  # `results` replaces it

    def take(self) -> Response:
        response: Response = decode_response(self.connection.recv_bytes())
        self.since = time.monotonic()
        if isinstance(response, Ready):
            self.is_ready, self.problem = response.problem is None, response.problem
        else:
            self.asked.popleft()
        return response

    def end(self) -> None:
        self.connection.close()
        self.process.join(timeout=2.0)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class Pool:
    """A number of workers; results come back in any order.

    A worker gets a batch for the detectors only when it has nothing else to do: then it
    waits to receive, and a message of any size passes. While such a batch waits, the last
    worker gets no further objects.

    Parameters
    ----------
    home
        Home folder of the installation.
    size
        Number of processes.
    work
        What they run.
    """

    def __init__(self, home: Path, size: int, work: Serve = serve) -> None:
        self._home, self._work = home, work
        self._workers = [_Process(work, home, n) for n in range(size)]
        self._deaths: dict[str, int] = {}
        self._batches: deque[Detect] = deque()
        self._failed_starts = 0
        self._trouble: WorkersCannotStartError | None = None

    @property
    def room(self) -> int:
        """Objects that can be given now without making a worker's queue long."""
        return sum(w.room for w in self._readers())

    @property
    def is_reading(self) -> bool:
        """True if objects are with the workers."""
        return any(isinstance(asked, str) for w in self._workers for asked in w.asked)

    @property
    def is_idle(self) -> bool:
        """True if every request has been answered."""
        return not self._batches and not any(w.asked for w in self._workers)

    @property
    def pids(self) -> list[int]:
        """Processes of the workers."""
        return [w.process.pid for w in self._workers if w.process.pid]

    def read(self, paths: Sequence[Path]) -> None:
        """Have objects read, at most `room` of them, shared evenly."""
        waiting = deque(map(str, paths))
        readers = self._readers()
        share = -(-len(waiting) // max(1, len(readers)))
        for worker in sorted(readers, key=lambda w: len(w.asked)):
            chunk = [waiting.popleft() for _ in range(min(share, worker.room, len(waiting)))]
            if chunk:
                worker.ask(Read(tuple(chunk)))

    def detect(self, request: Detect) -> None:
        """Have a committed batch looked at."""
        self._batches.append(request)
        self._give_batches()

    def results(self, timeout: float) -> list[ReadObject | Detected]:
        """All results that are there, waiting for the first at most `timeout` seconds.

        Raises
        ------
        WorkersCannotStartError
            If worker after worker ends before it has started; the next call tries again.
        """
        connections = {w.connection: w for w in self._workers}
        found: list[ReadObject | Detected] = []
        for connection in wait(list(connections), timeout):
            assert isinstance(connection, Connection)  # noqa: S101 - for the type checker
            found += self._drain(connections[connection])
        for worker in [w for w in self._workers if w.is_stuck]:
            log.error("worker hangs", extra={"pid": worker.process.pid})
            worker.process.kill()
        self._give_batches()
        if self._trouble is not None and not found:
            trouble, self._trouble = self._trouble, None
            raise trouble
        return found

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.end()

    def _readers(self) -> list[_Process]:
        return self._workers[:-1] if self._batches else self._workers

    def _give_batches(self) -> None:
        for worker in self._workers:
            if self._batches and not worker.asked:
                worker.ask(self._batches.popleft())

    def _drain(self, worker: _Process) -> list[ReadObject | Detected]:
        found: list[ReadObject | Detected] = []
        try:
            while worker.connection.poll():
                response = worker.take()
                if isinstance(response, Ready):
                    self._note_start(response)
                else:
                    found.append(response)
        except (EOFError, ConnectionResetError):
            found += self._replace(worker)
        return found

    def _replace(self, dead: _Process) -> list[ReadObject | Detected]:
        """Start another worker with the work of a dead one; set aside what keeps killing."""
        dead.end()
        log.error("worker died", extra={"exit_code": dead.process.exitcode})
        place = self._workers.index(dead)
        self._workers[place] = fresh = _Process(self._work, self._home, place)
        if not dead.is_ready:
            self._note_failed_start(dead, fresh)
            return []
        given_up = self._blame(dead.asked.popleft()) if dead.asked else None
        again = [asked for asked in dead.asked if isinstance(asked, str)]
        if again:
            fresh.ask(Read(tuple(again)))
        return [given_up] if given_up else []

    def _note_start(self, ready: Ready) -> None:
        if ready.problem is None:
            self._failed_starts, self._trouble = 0, None

    def _note_failed_start(self, dead: _Process, fresh: _Process) -> None:
        """No object can be blamed: what the dead one was asked goes to the next."""
        self._batches.extendleft(a for a in dead.asked if isinstance(a, Detect))
        if again := [a for a in dead.asked if isinstance(a, str)]:
            fresh.ask(Read(tuple(again)))
        self._failed_starts += 1
        if dead.problem or self._failed_starts >= _STARTS:
            self._trouble = WorkersCannotStartError(
                dead.problem or "the processes that read end before they have started",
                todo="Received objects wait in the spool, nothing is lost; why they end shows"
                " `python -c 'import pipelines.worker'` in the environment of the service",
            )

    def _blame(self, asked: str | Detect) -> ReadObject | Detected:
        """What becomes of the request that a worker died on."""
        defect = "worker died"
        if isinstance(asked, Detect):
            failure = Failure(seen="the detectors did not finish", defect=defect)
            return Detected(batch=asked.batch, failures=(failure,))
        self._deaths[asked] = self._deaths.get(asked, 0) + 1
        if self._deaths[asked] < _TRIES:
            return ReadObject(path=asked)  # as if it were not there: it is found again
        del self._deaths[asked]
        failure = Failure(
            seen="the reader did not finish with this object; the defect is ours",
            todo="Retry after an upgrade: dose quarantine retry",
            defect=defect,
        )
        return ReadObject(path=asked, failure=failure)
