"""How long things are kept: bytes as received, doses, and who erasures leave nothing of.

Limits apart from each other: received objects (`raw_retention_days`), those that cannot be read
(`quarantine_retention_days`), doses (`dose_retention_days`), identities
(`identity_retention_days`, kept by the vault itself). Since received objects identify, they are
kept no longer than identities.

Done by the owner of the store, once a day and soon after an erasure, while the spool is empty:
then every object the ledger knows lies where it belongs. The order is: write what was read into
the base, then remove the bytes, then note that they are gone. A crash in between repeats a step.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pyarrow as pa

from dose_lib import Settings
from dose_lib.records import Decision
from dose_lib.store import Incoming, Store
from dose_lib.store.base import Base, rows_of_contents, rows_of_receipts, rows_received_on
from dose_lib.store.people import EXPIRE_DOSES
from pipelines.archive import Archive, Quarantine, Quarantined
from pipelines.disk import Disk
from pipelines.envelope import Receipt

log = logging.getLogger(__name__)

_LOOK_S = 10.0  # between looks whether something was erased
_DAY_S = 86_400.0

Clock = Callable[[], datetime]


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """What is to go now.

    Attributes
    ----------
    n_objects, n_bytes
        Received objects that are older than they are kept, and their size.
    raw_before
        Objects received before this day go; None if they are kept for good.
    n_exams
        Exam parts that are older than doses are kept.
    doses_before
        Exams before this moment go; None if doses are kept for good.
    n_erased
        Contents that are to be removed because their patient was erased.
    n_quarantined
        Objects that cannot be read and are older than such are kept.
    quarantine_before
        Such objects received before this moment go; None if they are kept for good.
    """

    n_objects: int = 0
    n_bytes: int = 0
    raw_before: date | None = None
    n_exams: int = 0
    doses_before: datetime | None = None
    n_erased: int = 0
    n_quarantined: int = 0
    quarantine_before: datetime | None = None


def raw_days(settings: Settings) -> int | None:
    """Days for which received objects are kept: never longer than identities or doses."""
    limits = (
        settings.raw_retention_days,
        settings.identity_retention_days,
        settings.dose_retention_days,
    )
    return min((days for days in limits if days is not None), default=None)


def raw_limit(settings: Settings, now: datetime) -> date | None:
    """Objects received before this day (UTC) are no longer kept."""
    days = raw_days(settings)
    return None if days is None else (now - timedelta(days=days)).astimezone(UTC).date()


def dose_limit(settings: Settings, now: datetime) -> datetime | None:
    """Exams before this moment are no longer kept: whole months, so that decisions stay few."""
    days = settings.dose_retention_days
    if days is None:
        return None
    last = (now - timedelta(days=days)).astimezone(UTC)
    return datetime(last.year, last.month, 1, tzinfo=UTC)


def quarantine_limit(settings: Settings, now: datetime) -> datetime | None:
    """Unreadable objects received before this moment are no longer kept."""
    days = settings.quarantine_retention_days
    return None if days is None else now - timedelta(days=days)


def due_of(settings: Settings, n_old: Callable[[datetime], int], now: datetime) -> Due:
    """What is older than it is kept; nothing is changed.

    Parameters
    ----------
    settings
        Of the installation.
    n_old
        How many exam parts began before a moment.
    now
        The time, with zone.
    """
    raw, doses = raw_limit(settings, now), dose_limit(settings, now)
    files: list[Path] = []
    if raw is not None and settings.archive_dir.exists():
        archive = Archive(settings.archive_dir)
        files = [p for day in archive.days() if day < raw for p in archive.contents(day)]
    unread = quarantine_limit(settings, now)
    return Due(
        n_quarantined=len(_unread_before(settings, unread)) if unread else 0,
        quarantine_before=unread,
        n_objects=len(files),
        n_bytes=sum(p.stat().st_size for p in files),
        raw_before=raw,
        n_exams=n_old(doses) if doses else 0,
        doses_before=doses,
    )


class Keeper:
    """Removes what may no longer be kept.

    Parameters
    ----------
    settings, store
        Of the installation; the store opened by this process.
    disk
        The file system.
    clock
        Gives the time, with zone.
    is_idle
        True while nothing is under way between spool and archive.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        disk: Disk | None = None,
        clock: Clock = lambda: datetime.now(UTC),
        is_idle: Callable[[], bool] = lambda: True,
    ) -> None:
        self._settings, self._store, self._clock = settings, store, clock
        self._is_idle = is_idle
        self._archive = Archive(settings.archive_dir, disk)
        self._quarantine = Quarantine(settings.quarantine_dir, disk)
        self._base = Base(settings)
        self._look_at = self._day_at = 0.0

    def look(self) -> None:
        """Do what is due, if it is time to look and nothing is under way."""
        now = time.monotonic()
        if now < self._look_at or not self._is_idle():
            return
        self._look_at = now + _LOOK_S
        self.remove_erased()
        if now >= self._day_at:
            self._day_at = now + _DAY_S
            self.expire()

    def expire(self) -> Due:
        """Let go of what is older than it is kept; returns what that was."""
        found = due_of(self._settings, self._n_old, self._clock())
        if found.doses_before is not None and found.n_exams:
            self._store.decide(
                Decision(
                    kind=EXPIRE_DOSES,
                    subject="doses",
                    payload={"before": found.doses_before.isoformat()},
                    author="retention",
                )
            )
            log.info("doses expired", extra={"count": found.n_exams})
        n_erased = self.remove_erased()
        for day in self._archive.days() if found.raw_before else ():
            if found.raw_before and day < found.raw_before:
                self._expire_day(day)
        if found.quarantine_before is not None and found.n_quarantined:
            self._give_up(_unread_before(self._settings, found.quarantine_before))
        return msgspec.structs.replace(found, n_erased=n_erased)

    def remove_erased(self) -> int:
        """Remove the bytes of erased patients' objects; returns how many contents."""
        hashes = self._to_remove()
        for start in range(0, len(hashes), 500):
            self._remove(hashes[start : start + 500])
        return len(hashes)

    def _remove(self, hashes: Sequence[str]) -> None:
        rows = self._rows(hashes)
        self._base.put(rows)
        some = set(hashes)
        days = {moment.astimezone(UTC).date() for moment in rows["received_at"].to_pylist()}
        self._archive.remove(self._files_of(some, days))
        self._quarantine.discard(self._quarantine.holding(some))
        self._archive.remove(_steps_of(self._settings.steps_dir, some))
        self._store.removed_raw(hashes)
        log.info("received objects of erased patients removed", extra={"count": len(some)})

    def _files_of(self, hashes: set[str], days: Iterable[date]) -> list[Path]:
        found = []
        for day in days:
            found += [p for p in self._archive.contents(day) if p.stem in hashes]
            found += [p for p, r in self._archive.repetitions(day) if r.sha256 in hashes]
        return found

    def _expire_day(self, day: date) -> None:
        with self._store.cursor() as con:
            rows = rows_received_on(con, day)
        if rows.num_rows:
            self._base.put(rows)
        contents, receipts = set(rows["sha256"].to_pylist()), set(rows["receipt_id"].to_pylist())
        files = [p for p in self._archive.contents(day) if p.stem in contents]
        notes = [p for p, r in self._archive.repetitions(day) if receipt_id(r) in receipts]
        freed = self._archive.remove([*files, *notes])
        left = len(self._archive.contents(day))
        if left:  # not in the ledger: `dose rebuild` takes them in
            log.warning("received objects without a receipt stay", extra={"count": left})
        log.info("received objects expired", extra={"count": len(files), "bytes": freed})

    def _give_up(self, items: Sequence[Quarantined]) -> None:
        """Let go of objects that could not be read; the ledger and the base keep their receipts."""
        receipts = [receipt_id(i.receipt) for i in items if i.receipt is not None]
        self._store.give_up(receipts)
        with self._store.cursor() as con:
            self._base.put(rows_of_receipts(con, receipts))
        self._quarantine.discard(i.name for i in items)
        log.warning("unreadable objects are kept no longer", extra={"count": len(items)})

    def _rows(self, hashes: Sequence[str]) -> pa.Table:
        with self._store.cursor() as con:
            return rows_of_contents(con, hashes)

    def _to_remove(self) -> list[str]:
        return [h for (h,) in self._store.sql("SELECT DISTINCT sha256 FROM raw_removal ORDER BY 1")]

    def _n_old(self, before: datetime) -> int:
        query = (
            "SELECT count(DISTINCT part_key) FROM reading"
            " WHERE coalesce(started_at, received_at AT TIME ZONE 'UTC') < ?"
        )
        return int(self._store.sql(query, [before.replace(tzinfo=None)])[0][0])


def _unread_before(settings: Settings, moment: datetime) -> list[Quarantined]:
    """Objects in quarantine that were received before a moment; without a receipt they stay."""
    if not settings.quarantine_dir.exists():
        return []
    items = Quarantine(settings.quarantine_dir).items()
    return [i for i in items if i.receipt is not None and i.receipt.received_at < moment]


def receipt_id(receipt: Receipt) -> str:
    """Key of a receipt in the ledger."""
    return Incoming(
        sha256=receipt.sha256,
        size_bytes=receipt.size,
        received_at=receipt.received_at,
        route=receipt.route,
        caller=receipt.caller,
    ).receipt_id


def _steps_of(folder: Path, hashes: set[str]) -> list[Path]:
    """Performed procedure steps under way whose last message is one of these contents."""
    files = folder.glob("*.dcm") if folder.exists() else ()
    return [p for p in files if hashlib.sha256(p.read_bytes()).hexdigest() in hashes]
