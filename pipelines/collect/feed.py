"""Objects into the spool no faster than they are stored, however many there are.

Works with and without a running service: either the service empties the spool, or this
process does. A spool of hundreds of thousands of files would be slow for everybody.

Two flushes to the disk an object take longer than storing it. `push` has several under way at
once, which the disk does together, and stores meanwhile.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from types import TracebackType

import msgspec

from dose_lib import Settings
from dose_lib.errors import ServiceError, StoreInUseError
from dose_lib.store import Store
from pipelines.envelope import Route, make_receipt
from pipelines.heartbeat import read_beat
from pipelines.ingest import Ingest
from pipelines.owner import PART
from pipelines.pixels import Kept, Pixels
from pipelines.spool import Spool

_ROOM = 1000  # objects of ours that may wait: some batches of the store
_WRITERS = 8  # flushes under way at once
_AHEAD = 2 * _WRITERS
_STEP_EVERY = 16  # objects pushed between two steps of the store
_STALE_S = 60.0  # a store whose part said nothing for so long will not store ours soon
_POLL_S = 0.1


class Fed(msgspec.Struct, frozen=True):
    """An object of ours in the spool: where, and its place in the ledger."""

    place: Path
    sha256: str
    received_at: datetime


class Feed:
    """Puts objects into the spool, and sees that they are stored.

    Parameters
    ----------
    settings
        Of the installation.
    on_stored
        Called with how many of ours have left the spool, and how many there were.
    """

    def __init__(
        self, settings: Settings, *, on_stored: Callable[[int, int], None] = lambda *_: None
    ) -> None:
        self._settings = settings
        self._spool = Spool(settings.spool_dir, reserve_bytes=settings.spool_reserve_mb * 1_000_000)
        self._pixels = Pixels(settings.measure_every_image)
        self._on_stored = on_stored
        self._waiting: set[str] = set()
        self._put = 0
        self._writers: ThreadPoolExecutor | None = None
        self._writing: deque[Future[Fed]] = deque()
        self._store: Store | None = None
        self._ingest: Ingest | None = None

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writers is not None:
            self._writers.shutdown(cancel_futures=True)
        self._pixels.close()
        if self._ingest is not None:
            self._ingest.close()
        if self._store is not None:
            self._store.close()

    def put(self, data: bytes, route: Route) -> Fed:
        """Put an object into the spool; waits while much of ours is there.

        Of an image the header is kept, and the size of the patient.

        Raises
        ------
        OutOfRoomError
            If the spool's disk is full; what was put before is stored by the next run.
        ServiceError
            If a service owns the store but does not store anything.
        """
        if not self._put:
            self._start()
        fed = self._keep(data, route)
        self._count(fed)
        return fed

    def push(self, data: bytes, route: Route) -> None:
        """As `put`, without waiting for the disk; `finish` returns when it is there, too.

        Raises
        ------
        OutOfRoomError, ServiceError
            As `put`, for this object or an earlier one.
        """
        if self._writers is None:
            self._start()
            self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="feed")
            if self._ingest is not None:
                self._ingest.more_to_come = True
        self._writing.append(self._writers.submit(self._keep, data, route))
        if len(self._writing) >= _AHEAD:
            self._count(self._writing.popleft().result())
            if self._ingest is not None and self._put % _STEP_EVERY == 0:
                self._ingest.step(0)

    def _keep(self, data: bytes, route: Route) -> Fed:
        kept = Kept(data) if route == "history" else self._pixels.keep(data)
        receipt = make_receipt(kept.data, route, derived=kept.derived)
        place = self._spool.put(kept.data, receipt)
        return Fed(place, receipt.sha256, receipt.received_at)

    def _count(self, fed: Fed) -> None:
        self._waiting.add(fed.place.name)
        self._put += 1
        if len(self._waiting) >= _ROOM:
            self._settle(_ROOM // 2)

    def finish(self) -> None:
        """Return when all of it is stored; errors as for `put`."""
        while self._writing:
            self._count(self._writing.popleft().result())
        if self._ingest is not None:
            self._ingest.more_to_come = False
        if self._put:
            self._settle(0)
            self._on_stored(self._put, self._put)

    def _start(self) -> None:
        """Open the store, if no service has; only once there is something to be stored."""
        try:
            self._store = Store.open(self._settings)
        except StoreInUseError:
            return
        self._store.serve()
        self._ingest = Ingest(self._settings, self._store)

    def _settle(self, most: int) -> None:
        while len(self._waiting) > most or (most == 0 and not self._is_done()):
            if self._ingest is None:
                self._watch_service()
            else:
                self._step(self._ingest)
            self._waiting &= {p.name for p in self._spool.waiting()}
            self._on_stored(self._put - len(self._waiting), self._put)

    def _is_done(self) -> bool:
        return self._ingest is None or self._ingest.is_done

    def _step(self, ingest: Ingest) -> None:
        for _ in range(20):  # a look at the folder after each step would cost more than it
            ingest.step()
            if ingest.halted:
                raise ServiceError(ingest.halted, where=str(self._settings.spool_dir))
            if ingest.is_done:
                return

    def _watch_service(self) -> None:
        beat = read_beat(self._settings.run_dir, PART)
        if beat is None or beat.age_s > _STALE_S or beat.problem:
            raise ServiceError(
                f"{len(self._waiting)} objects wait in the spool; the service does not store them"
                + (f" ({beat.problem})" if beat and beat.problem else ""),
                expected="a running service, or none",
                where=str(self._settings.spool_dir),
                todo="They are safe there; see `dose status`",
            )
        time.sleep(_POLL_S)
