"""The part of the service that collects by itself: each archive in its own rhythm and thread.

`every_minutes` and `days_back` of `site/pacs.toml` say how often and how far back. Changes of
the file are followed; a bad one leaves the last good one and shows in `dose status`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from dose_lib import Settings
from dose_lib.errors import DoseError, SettingsError
from pipelines.collect.collect import Summary
from pipelines.collect.hours import next_opening
from pipelines.collect.pacs import Pacs, WebArchive, pacs_file, read_peers
from pipelines.collect.run import collect_days, last_days
from pipelines.heartbeat import Heartbeat, Value
from pipelines.process import Stop, run_part
from pipelines.watched import Watched

log = logging.getLogger(__name__)

PART = "collector"

_LOOK_S = 2.0
_JOIN_S = 8.0

Run = Callable[[Pacs | WebArchive, Stop], Summary]


class Collector:
    """Starts a collection of each archive when its time has come.

    Parameters
    ----------
    settings
        Of the installation.
    stop
        Ends the collections that run.
    run
        Collects from one archive; default: the last days.
    clock, local
        Seconds, and the site's time.
    """

    def __init__(
        self,
        settings: Settings,
        stop: Stop,
        *,
        run: Run | None = None,
        clock: Callable[[], float] = time.monotonic,
        local: Callable[[ZoneInfo], datetime] = datetime.now,
    ) -> None:
        self._local = local
        self._settings, self._stop, self._clock = settings, stop, clock
        self._run = run or self._last_days
        self._file: Watched | None = None
        self._archives: tuple[Pacs | WebArchive, ...] = ()
        self._due: dict[str, float] = {}
        self._running: dict[str, threading.Thread] = {}
        self._counts: Counter[str] = Counter()
        self._troubles: dict[str, str] = {}
        self._file_problem: str | None = None

    def look(self) -> None:
        """Follow the file, and start what is due."""
        self._refresh()
        for archive in self._archives:
            thread = self._running.get(archive.name)
            if archive.every_minutes == 0 or (thread is not None and thread.is_alive()):
                continue
            now = self._clock()
            if now >= self._due.get(archive.name, now) and not self._is_quiet(archive):
                self._due[archive.name] = now + 60.0 * archive.every_minutes
                self._start(archive)

    def join(self) -> None:
        """Wait a little for the collections that were told to end."""
        until = time.monotonic() + _JOIN_S
        for thread in self._running.values():
            thread.join(max(0.0, until - time.monotonic()))

    def facts(self) -> dict[str, Value]:
        """Counters, for the heartbeat."""
        running = sum(t.is_alive() for t in self._running.values())
        return {
            "archives": len(self._archives),
            "collecting": running,
            "collections": self._counts["collections"],
            "collected": self._counts["objects"],
            "archives_in_trouble": len(self._troubles),
            "trouble": "; ".join(self._troubles.values()) or None,
        }

    def problem(self) -> str | None:
        """What keeps us from collecting at all: the file. A silent archive is none of ours."""
        return self._file_problem

    def _refresh(self) -> None:
        if self._file is None:
            self._file = Watched(pacs_file(self._settings))
        elif not self._file.has_changed():
            return
        try:
            self._archives = read_peers(self._settings).archives
            self._file_problem = None
        except SettingsError as error:
            self._file_problem = str(error)
            log.error("archives cannot be used", extra={"reason": str(error)})

    def _is_quiet(self, archive: Pacs | WebArchive) -> bool:
        now = self._local(ZoneInfo(self._settings.timezone))
        return next_opening(archive.quiet_hours, now) > now

    def _start(self, archive: Pacs | WebArchive) -> None:
        thread = threading.Thread(
            target=self._collect, args=[archive], name=f"collect {archive.name}", daemon=True
        )
        self._running[archive.name] = thread
        thread.start()

    def _collect(self, archive: Pacs | WebArchive) -> None:
        try:
            summary = self._run(archive, self._stop)
        except DoseError as error:
            self._troubles[archive.name] = str(error)
            log.error("collection failed", extra={"called": archive.name, "reason": error.seen})
            return
        self._counts["collections"] += 1
        self._counts["objects"] += summary.n_objects
        if summary.is_complete or summary.is_interrupted:
            self._troubles.pop(archive.name, None)
        else:
            open_days = "; ".join(f"{d}: {why}" for d, why in summary.incomplete.items())
            self._troubles[archive.name] = f"{archive.name}: {summary.problem or open_days}"[:500]
        log.info(
            "collected",
            extra={
                "called": archive.name,
                "count": summary.n_objects,
                "seconds": round(summary.seconds, 1),
            },
        )

    def _last_days(self, archive: Pacs | WebArchive, stop: Stop) -> Summary:
        days = last_days(self._settings, archive.days_back)
        return collect_days(archive, self._settings, days, stop=stop, minds_hours=True)


def serve(settings: Settings, stop: Stop) -> None:
    """Collect until `stop` is set."""
    collector = Collector(settings, stop)
    with Heartbeat(settings.run_dir, PART, collector.facts, collector.problem):
        while not stop.wait(_LOOK_S):
            collector.look()
        collector.join()


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of the process."""
    return run_part(PART, serve, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
