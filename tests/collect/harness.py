"""Collecting a day from a peer that misbehaves, whatever it speaks: one run and what came of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from dose_lib.settings import Settings
from dose_lib.simulate import SimObject
from pipelines.collect.arrivals import Arrivals
from pipelines.collect.collect import Collection, Summary, Waits
from pipelines.collect.journal import Entry, Journal
from pipelines.collect.pacs import Pacs, WebArchive
from pipelines.collect.retrieve import Source
from pipelines.spool import Spool
from tests.collect.conftest import END, hospital_objects


class Peer(Protocol):
    """An archive of the tests: `BadPacs` or `BadWeb`."""

    def describe(self, **more: object) -> Pacs | WebArchive:
        """Its description, with fields of a test's own."""

    def open(self, archive: Pacs | WebArchive, settings: Settings) -> Source:
        """It, ready to be asked."""


P = TypeVar("P", bound=Peer)


class Outcome(Generic[P]):
    """What a run did: its summary, the journal, the spool, and how long it paused."""

    def __init__(self, settings: Settings, peer: P) -> None:
        self.settings, self.peer = settings, peer
        self.pauses: list[float] = []
        self.summary = Summary(pacs="")

    def run(self, *, clock: datetime | None = None, **more: object) -> Outcome[P]:
        """Collect the day once; pauses are noted, not waited for."""
        archive = self.peer.describe(**more)
        now = (lambda: clock) if clock else (lambda: datetime.now(UTC))
        with Journal(self.settings) as journal:
            self.summary = Collection(
                archive,
                self.peer.open(archive, self.settings),
                journal,
                Arrivals(self.settings, patience_s=1.0),
                Waits(lambda: False, self.pauses.append),
                clock=now,
            ).run([END])
        return self

    @property
    def entries(self) -> list[Entry]:
        """What the journal says of the day's studies."""
        with Journal(self.settings) as journal:
            return journal.entries(self.peer.describe().name, END, END)

    @property
    def arrived(self) -> set[str | None]:
        """Objects in the spool."""
        spool = Spool(self.settings.spool_dir)
        return {spool.load(p).receipt.sop_instance_uid for p in spool.waiting()}

    @property
    def reasons(self) -> str:
        """Why studies were not taken."""
        return " | ".join(e.reason or "" for e in self.entries)


def objects(n: int) -> list[SimObject]:
    """The first objects of a day, each of a study of its own."""
    return list({o.study_uid: o for o in hospital_objects(1)}.values())[:n]


def uids(n: int) -> set[str]:
    """Their SOP Instance UIDs."""
    return {o.sop_instance_uid for o in objects(n)}
