"""Objects into the spool no faster than they are stored, however many there are.

Works with and without a running service: either the service empties the spool, or this
process does. A spool of hundreds of thousands of files would be slow for everybody.
"""

from __future__ import annotations

import time
from collections.abc import Callable
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
from pipelines.spool import Spool

_ROOM = 600  # objects of ours that may wait: some batches of the store
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
        self._on_stored = on_stored
        self._waiting: set[str] = set()
        self._put = 0
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
        if self._ingest is not None:
            self._ingest.close()
        if self._store is not None:
            self._store.close()

    def put(self, data: bytes, route: Route) -> Fed:
        """Put an object into the spool; waits while much of ours is there.

        Raises
        ------
        OutOfRoomError
            If the spool's disk is full; what was put before is stored by the next run.
        ServiceError
            If a service owns the store but does not store anything.
        """
        if not self._put:
            self._start()
        receipt = make_receipt(data, route)
        place = self._spool.put(data, receipt)
        self._waiting.add(place.name)
        self._put += 1
        if len(self._waiting) >= _ROOM:
            self._settle(_ROOM // 2)
        return Fed(place, receipt.sha256, receipt.received_at)

    def finish(self) -> None:
        """Return when all of it is stored; errors as for `put`."""
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
