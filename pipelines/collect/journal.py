"""What was asked of each archive, day by day, and what became of every study: SQLite.

Why a database and not a file of lines: ten years are a million studies, each settled, tried
again and looked up; a crash must lose nothing that was settled, and others must be able to
read while a backfill writes. Why not the store: only its owner may write there, and nothing
of this is a dose. A study is settled only after its objects are in the spool or the ledger;
what a crash interrupts is asked for again, and what came already is found to be here.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from dose_lib import Settings
from dose_lib.errors import CollectError
from pipelines.disk import make_folder

_VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS study (
    pacs TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    day TEXT NOT NULL,
    modalities TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT,
    n_objects INTEGER,           -- as the archive counts them: more of them, and it is asked again
    n_taken INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    settled_at TEXT NOT NULL,
    retry_at TEXT,
    PRIMARY KEY (pacs, study_uid)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS study_by_day ON study (pacs, day);
CREATE TABLE IF NOT EXISTS day (
    pacs TEXT NOT NULL,
    day TEXT NOT NULL,
    is_complete INTEGER NOT NULL,
    n_studies INTEGER NOT NULL,
    n_taken INTEGER NOT NULL,
    reason TEXT,
    settled_at TEXT NOT NULL,
    PRIMARY KEY (pacs, day)
) WITHOUT ROWID;
"""


class Fate(StrEnum):
    """What became of a study."""

    TAKEN = "taken"
    HERE = "here"
    NOTHING = "nothing"
    FAILED = "failed"
    GIVEN_UP = "given_up"


FINAL = (Fate.TAKEN, Fate.HERE, Fate.NOTHING, Fate.GIVEN_UP)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one study of an archive.

    Attributes
    ----------
    outcome, reason
        What became of it; the reason where nothing, or not all, was taken.
    n_objects
        Objects of the study as the archive counted them; None if it does not.
    n_taken
        Objects that were fetched.
    attempts
        Runs that have tried.
    settled_at, retry_at
        When this was written; when a failed one is tried again.
    """

    pacs: str
    study_uid: str
    day: date
    modalities: tuple[str, ...] = ()
    outcome: Fate
    reason: str | None = None
    n_objects: int | None = None
    n_taken: int = 0
    attempts: int = 1
    settled_at: datetime
    retry_at: datetime | None = None


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one day of an archive."""

    pacs: str
    day: date
    is_complete: bool
    n_studies: int
    n_taken: int
    reason: str | None = None
    settled_at: datetime


class Journal:
    """The journal of one installation.

    Raises
    ------
    CollectError
        If the file cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self.file = make_folder(settings.collect_dir) / "journal.sqlite"
        is_new = not self.file.exists()
        try:
            self._db = sqlite3.connect(self.file, timeout=30.0, isolation_level=None)
            # NORMAL: a power cut may lose the last lines, never the file; what is lost is asked
            # for again and found to be here.
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > _VERSION:
                raise CollectError(
                    f"the journal of collections is of a newer version ({version})",
                    where=str(self.file),
                    todo="Use the DoseLoop that wrote it",
                )
            self._db.executescript(_TABLES)
            self._db.execute(f"PRAGMA user_version = {_VERSION}")
        except sqlite3.DatabaseError as error:
            raise CollectError(
                f"the journal of collections cannot be used ({error})",
                where=str(self.file),
                todo="Move it away: everything is asked for again, and what is here is found",
            ) from None
        if is_new:
            self.file.chmod(0o600)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def settle(self, entries: Iterable[Entry]) -> None:
        """Keep what became of studies, in place of what was known of them."""
        rows = [
            (
                e.pacs,
                e.study_uid,
                e.day.isoformat(),
                "\\".join(e.modalities),
                e.outcome.value,
                e.reason,
                e.n_objects,
                e.n_taken,
                e.attempts,
                _text(e.settled_at),
                _text(e.retry_at),
            )
            for e in entries
        ]
        with self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO study VALUES (?,?,?,?,?,?,?,?,?,?,?)", rows
            )

    def settle_day(self, day: Day) -> None:
        """Keep how a day ended."""
        values = (day.pacs, day.day.isoformat(), day.is_complete, day.n_studies, day.n_taken)
        with self._transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO day VALUES (?,?,?,?,?,?,?)",
                (*values, day.reason, _text(day.settled_at)),
            )

    def entries(
        self, pacs: str, first: date, last: date, outcomes: Sequence[Fate] = ()
    ) -> list[Entry]:
        """Studies of some days, the latest day first."""
        marks = ",".join("?" * len(outcomes))
        only = f" AND outcome IN ({marks})" if outcomes else ""
        rows = self._db.execute(
            f"SELECT * FROM study WHERE pacs = ? AND day BETWEEN ? AND ?{only}"  # noqa: S608 - marks
            " ORDER BY day DESC, study_uid",
            (pacs, first.isoformat(), last.isoformat(), *outcomes),
        )
        return [_entry(row) for row in rows]

    def known(self, pacs: str, study_uids: Sequence[str]) -> dict[str, Entry]:
        """What is known of these studies."""
        found: dict[str, Entry] = {}
        for at in range(0, len(study_uids), 500):
            some = study_uids[at : at + 500]
            rows = self._db.execute(
                "SELECT * FROM study WHERE pacs = ? AND study_uid IN"  # noqa: S608 - marks
                f" ({','.join('?' * len(some))})",
                (pacs, *some),
            )
            found |= {row[1]: _entry(row) for row in rows}
        return found

    def days(self, pacs: str, first: date, last: date) -> dict[date, Day]:
        """Days that were asked for."""
        rows = self._db.execute(
            "SELECT * FROM day WHERE pacs = ? AND day BETWEEN ? AND ?",
            (pacs, first.isoformat(), last.isoformat()),
        )
        return {date.fromisoformat(row[1]): _day(row) for row in rows}

    def counts(self, pacs: str) -> dict[Fate, int]:
        """Studies by what became of them."""
        rows = self._db.execute(
            "SELECT outcome, count(*) FROM study WHERE pacs = ? GROUP BY outcome", (pacs,)
        )
        found = {Fate(outcome): n for outcome, n in rows}
        return {fate: found.get(fate, 0) for fate in Fate}

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise CollectError(
                f"the journal of collections cannot be written ({error})",
                where=str(self.file),
                todo="Make room; what was fetched is in the spool",
            ) from None


@contextmanager
def alone(settings: Settings, pacs: str) -> Iterator[None]:
    """Let one collection at a time run on an archive.

    Raises
    ------
    CollectError
        If another one runs.
    """
    file = make_folder(settings.collect_dir) / f"{pacs}.lock"
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise CollectError(
            f"another collection from {pacs} runs",
            where=str(file),
            todo="Wait for its end; a backfill goes on where it stopped",
        ) from None
    finally:
        os.close(handle)


def journal_file(settings: Settings) -> Path:
    """Where the journal lies."""
    return settings.collect_dir / "journal.sqlite"


def _text(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _entry(row: Sequence[object]) -> Entry:
    pacs, uid, day, modalities, outcome, reason, n_objects, n_taken, tries, settled, retry = row
    return msgspec.convert(
        {
            "pacs": pacs,
            "study_uid": uid,
            "day": day,
            "modalities": tuple(m for m in str(modalities).split("\\") if m),
            "outcome": outcome,
            "reason": reason,
            "n_objects": n_objects,
            "n_taken": n_taken,
            "attempts": tries,
            "settled_at": settled,
            "retry_at": retry,
        },
        Entry,
    )


def _day(row: Sequence[object]) -> Day:
    names = ("pacs", "day", "is_complete", "n_studies", "n_taken", "reason", "settled_at")
    given = dict(zip(names, row, strict=True))
    return msgspec.convert(given | {"is_complete": bool(given["is_complete"])}, Day)
