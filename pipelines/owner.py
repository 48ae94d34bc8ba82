"""The process that owns the store: takes the spool in, and lets all others read.

`python -m pipelines.owner` is the part `store` of the service. What it does with an object
is in `ingest`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Protocol

import duckdb

from dose_lib import Settings
from dose_lib.errors import ServiceError, SettingsError, StoreError
from dose_lib.store import Store
from pipelines.collect.sizes import SizeIntake
from pipelines.heartbeat import Heartbeat
from pipelines.ingest import Ingest
from pipelines.keeping import Keeper
from pipelines.memory import go_without
from pipelines.pool import WorkersCannotStartError
from pipelines.process import Stop, run_part
from pipelines.rest import Rest
from pipelines.watched import Watched
from pipelines.worker import site_files

log = logging.getLogger(__name__)

PART = "store"

_DRAIN_S = 30.0  # longest time a stop waits for the spool to empty
_RETRY_S = 5.0  # between attempts while the store cannot be written
_FILE_S = 1.0  # between looks whether the store is still the file under its name
_SITE_S = 2.0  # between looks whether the site's files were changed


class StoreFile:
    """Notices that the open file is no longer the one under its name.

    What is written then goes nowhere: so the part ends, and opens what is there now.
    """

    def __init__(self, settings: Settings) -> None:
        self._path = settings.store_file
        self._opened = self._identity()
        self._look_at = 0.0

    def look(self) -> None:
        """Look once in a while.

        Raises
        ------
        ServiceError
            If the file was replaced, moved or removed.
        """
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _FILE_S
        if self._identity() != self._opened:
            raise ServiceError(
                "the store file was replaced or removed while the service had it open",
                where=str(self._path),
                todo="Stop the service before you restore. What came since is in the archive:"
                " `dose rebuild` makes the store again from it",
            )

    def _identity(self) -> tuple[int, int] | None:
        try:
            facts = self._path.stat()
        except FileNotFoundError:
            return None
        return facts.st_dev, facts.st_ino


class Site:
    """Keeps the open store in step with what the site says of devices and procedures."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._store = store
        self._files = Watched(*site_files(settings))
        self._look_at = 0.0
        self.problem: str | None = None

    def look(self) -> None:
        """Read the site's files again if they were changed; bad ones leave the last good ones."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _SITE_S
        if not self._files.has_changed():
            return
        try:
            self._store.renew_site()
        except SettingsError as error:
            self.problem = f"{error}. What was said before still holds"
            log.error("site files cannot be used", extra={"reason": str(error)})
        else:
            self.problem = None
            log.info("site files read")


def serve(settings: Settings, stop: Stop) -> None:
    """Own the store until `stop` is set, then empty the spool and close."""
    go_without("pandas")
    with Store.open(settings) as store:
        store.serve(is_dedicated=True)
        ingest = Ingest(settings, store)
        site, sizes = Site(settings, store), SizeIntake(settings, store)
        keeper = Keeper(settings, store, is_idle=lambda: ingest.is_done)
        rest = Rest(lambda: ingest.counts.total, lambda: _write_into_file(store))
        try:
            with Heartbeat(settings.run_dir, PART, ingest.facts, lambda: _problem(ingest, site)):
                _run(ingest, (StoreFile(settings), site, sizes, keeper, rest), stop)
                _drain(ingest)
        finally:
            ingest.close()


def _write_into_file(store: Store) -> None:
    """Empty the write-ahead log: rows that were appended one batch after another hold memory."""
    try:
        store.checkpoint()
    except duckdb.TransactionException:  # someone writes just now; after that there is a rest
        log.info("checkpoint left for later")


def _problem(ingest: Ingest, site: Site) -> str | None:
    return ingest.problem or ingest.halted or site.problem


class Looker(Protocol):
    """Looks now and then whether there is something to do."""

    def look(self) -> None:
        """Look, if it is time to."""


def _run(ingest: Ingest, watched: Sequence[Looker], stop: Stop) -> None:
    while not stop.is_set():
        try:
            for one in watched:
                one.look()
            ingest.step()
            ingest.problem = None
        except WorkersCannotStartError as error:
            log.error("nothing can be read", extra={"reason": str(error)})
            ingest.problem = str(error)
            stop.wait(_RETRY_S)
        except StoreError as error:
            log.error("store cannot be written", extra={"reason": str(error)})
            ingest.problem = str(error)
            ingest.forget()
            stop.wait(_RETRY_S)


def _drain(ingest: Ingest) -> None:
    deadline = time.monotonic() + _DRAIN_S
    while not (ingest.is_done or ingest.halted) and time.monotonic() < deadline:
        try:
            ingest.step()
        except (StoreError, WorkersCannotStartError) as error:
            log.error("spool is not empty", extra={"reason": str(error)})
            return


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of the process."""
    return run_part(PART, serve, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
