"""Running a collection on this installation: with its listener, journal, pace and store.

`collect_days` looks at the last days and is what the timetable runs; `backfill` goes through
years in slices of a day, leaves quiet hours alone and goes on where it stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from dose_lib import Settings
from dose_lib.errors import ServiceError, StoreInUseError, UsageError
from dose_lib.store import Store
from pipelines.collect.arrivals import Arrivals
from pipelines.collect.collect import Collection, Progress, Summary, Waits
from pipelines.collect.dicomweb import open_web
from pipelines.collect.hours import next_opening
from pipelines.collect.journal import Day, Journal, alone
from pipelines.collect.pace import Pace
from pipelines.collect.pacs import Archive, Pacs, WebArchive
from pipelines.collect.retrieve import DicomSource, Source
from pipelines.heartbeat import read_beat
from pipelines.ingest import Ingest
from pipelines.process import Stop
from pipelines.receive import PART as RECEIVER
from pipelines.receive import Receiver
from pipelines.spool import Spool
from pipelines.status import is_running

log = logging.getLogger(__name__)

# A day is closed for a backfill once it was asked for so long after its end: reports come late.
_SETTLED = timedelta(days=3)
_QUIET_LOOK_S = 30.0


class Gate:
    """Lets the next study pass: in its turn, outside quiet hours, unless it is time to end.

    Parameters
    ----------
    archive
        Its pace and quiet hours.
    zone
        Of the site.
    stop
        The wish to end.
    clock
        Local time.
    on_quiet
        Called with the end of quiet hours when waiting begins.
    minds_hours
        False where a person asks now.
    """

    def __init__(
        self,
        archive: Archive,
        zone: ZoneInfo,
        stop: Stop,
        *,
        clock: Callable[[ZoneInfo], datetime] = datetime.now,
        on_quiet: Callable[[datetime], None] = lambda _: None,
        minds_hours: bool = True,
    ) -> None:
        self._hours = archive.quiet_hours if minds_hours else ()
        self._zone, self._stop, self._clock, self._on_quiet = zone, stop, clock, on_quiet
        self._pace = Pace(archive.studies_per_minute, sleep=stop.wait)

    def turn(self) -> bool:
        """Wait for the next turn; True if it is time to end."""
        opening = next_opening(self._hours, now := self._clock(self._zone))
        if opening > now:
            self._on_quiet(opening)
            while self._clock(self._zone) < opening and not self._stop.wait(_QUIET_LOOK_S):
                pass
        self._pace.wait()
        return self._stop.is_set()


def collect_days(
    archive: Pacs | WebArchive,
    settings: Settings,
    days: Sequence[date],
    *,
    stop: Stop | None = None,
    progress: Progress = lambda *_: None,
    is_again: bool = False,
    minds_hours: bool = False,
    is_stored: bool = True,
) -> Summary:
    """Collect what an archive has of some days, and return when it can be queried.

    Parameters
    ----------
    archive
        From `site/pacs.toml`.
    settings
        Of the installation.
    days
        In the order in which they are asked for.
    stop
        Set to end early.
    progress
        Called as the work goes on.
    is_again
        Ask for settled studies too.
    minds_hours
        Wait for the end of quiet hours.
    is_stored
        Where no service runs, store what came before this returns; else it waits in the spool.

    Raises
    ------
    CollectError
        If another collection from this archive runs.
    ServiceError
        If our listener is needed and cannot work.
    """
    stop = stop or Stop()
    gate = Gate(archive, ZoneInfo(settings.timezone), stop, minds_hours=minds_hours)
    waits = Waits(gate.turn, stop.wait)
    summary = _run(archive, settings, days, waits, progress=progress, is_again=is_again)
    if is_stored:
        store_what_waits(settings, progress, stop)
    return summary


def backfill(
    archive: Pacs | WebArchive,
    settings: Settings,
    first: date,
    last: date,
    *,
    stop: Stop | None = None,
    progress: Progress = lambda *_: None,
    on_quiet: Callable[[datetime], None] = lambda _: None,
    minds_hours: bool = True,
    oldest_first: bool = False,
) -> Summary:
    """Collect years of an archive, day by day, going on where an earlier run stopped.

    Days that are complete are left out; days with failures are asked for again, and of them
    only the studies that are open. The newest day comes first, since it is of most use.
    """
    stop = stop or Stop()
    with Journal(settings) as journal:
        done = journal.days(archive.name, first, last)
    days = [d for d in _days(first, last) if not _is_closed(done.get(d), settings)]
    if not oldest_first:
        days.reverse()
    zone = ZoneInfo(settings.timezone)
    gate = Gate(archive, zone, stop, on_quiet=on_quiet, minds_hours=minds_hours)
    summary = _run(archive, settings, days, Waits(gate.turn, stop.wait), progress=progress)
    store_what_waits(settings, progress, stop)
    return summary


def last_days(settings: Settings, n: int, until: date | None = None) -> list[date]:
    """The last `n` days of the site's calendar, the newest first."""
    if n < 1:
        raise UsageError(f"{n} days", expected="1 or more", where="--days")
    today = until or datetime.now(ZoneInfo(settings.timezone)).date()
    return [today - timedelta(days=k) for k in range(n)]


def open_source(archive: Pacs | WebArchive, settings: Settings, spool: Spool) -> Source:
    """The archive, ready to be asked."""
    if isinstance(archive, Pacs):
        return DicomSource(archive, settings, spool)
    return open_web(archive, settings, spool)


def _run(
    archive: Pacs | WebArchive,
    settings: Settings,
    days: Sequence[date],
    waits: Waits,
    *,
    progress: Progress,
    is_again: bool = False,
) -> Summary:
    spool = Spool(settings.spool_dir, reserve_bytes=settings.spool_reserve_mb * 1_000_000)
    with alone(settings, archive.name), listening(archive, settings), Journal(settings) as journal:
        collection = Collection(
            archive,
            open_source(archive, settings, spool),
            journal,
            Arrivals(settings),
            waits,
            progress=progress,
            is_eager=True,
            is_again=is_again,
        )
        return collection.run(days)


@contextmanager
def listening(archive: Archive, settings: Settings) -> Iterator[None]:
    """See that our listener runs where the archive sends to it: the service's, or our own.

    Raises
    ------
    ServiceError
        If the service runs and its listener does not.
    PortInUseError
        If something else listens on our port.
    """
    if not isinstance(archive, Pacs) or archive.retrieve != "c-move":
        yield
    elif is_running(settings):
        beat = read_beat(settings.run_dir, RECEIVER)
        if beat is None or not beat.is_ready:
            raise ServiceError(
                "the service runs, and its listener does not",
                expected="a listener for what the archive sends",
                todo="See `dose status`",
            )
        yield
    else:
        with Receiver(settings):
            yield


def store_what_waits(
    settings: Settings, progress: Progress = lambda *_: None, stop: Stop | None = None
) -> None:
    """Empty the spool into the store where no service does; return when it is empty.

    Also where a defect of ours meets every object: what is left waits for a version without it;
    and when `stop` is set: what is left is stored by the next run, or by the service.
    """
    waiting = len(Spool(settings.spool_dir).waiting())
    if not waiting or is_running(settings):
        return
    try:
        store = Store.open(settings)
    except StoreInUseError:
        return  # whoever owns it takes what waits, now or at its next start
    with store:
        store.serve()
        ingest = Ingest(settings, store)
        try:
            while not (ingest.is_done or ingest.halted or (stop is not None and stop.is_set())):
                ingest.step()
                left = len(Spool(settings.spool_dir).waiting())
                progress("storing", max(0, waiting - left), waiting)
        finally:
            ingest.close()


def _days(first: date, last: date) -> list[date]:
    if last < first:
        raise UsageError(f"{first} is after {last}", where="--from, --to")
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _is_closed(day: Day | None, settings: Settings) -> bool:
    if day is None or not day.is_complete:
        return False
    asked_on = day.settled_at.astimezone(ZoneInfo(settings.timezone)).date()
    return asked_on - day.day >= _SETTLED
