"""A collection: days of an archive, study by study, until each has an outcome and a reason.

For every study the order is: ask, fetch, see that it is here, write the outcome. A crash at
any instant leaves studies without an outcome; the next run asks for those again and finds
that what came is here. Nothing is skipped without a reason in the journal.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

import msgspec

from dose_lib.errors import PeerError
from pipelines.collect.answer import Answers, Complaint, Study
from pipelines.collect.arrivals import Arrivals
from pipelines.collect.journal import Day, Entry, Fate, Journal
from pipelines.collect.pace import later, pause_s
from pipelines.collect.pacs import Archive
from pipelines.collect.peer import DeniedError
from pipelines.collect.retrieve import Source
from pipelines.collect.study import Look, look_into

log = logging.getLogger(__name__)

T = TypeVar("T")
Progress = Callable[[str, int, int], None]

# Studies that go on: without counts from the archive they are asked for again after so long.
_AGAIN = {
    Fate.NOTHING: timedelta(hours=1),
    Fate.TAKEN: timedelta(hours=24),
    Fate.HERE: timedelta(hours=24),
}
_VERIFY_EVERY = 100  # moved studies, between looks at what arrived
_ARRIVAL_SHARE = 0.2  # of our patience, after a retrieval that has complaints
_IN_A_ROW = 5  # failures in a row after which the archive counts as down
_MOST_COMPLAINTS = 500


class Summary(msgspec.Struct, kw_only=True):
    """What a collection did.

    Attributes
    ----------
    n_days, n_studies
        Days asked for, studies the archive has on them.
    n_unchanged
        Studies that were settled before and have not changed since.
    outcomes, reasons
        Studies that were looked into, by what became of them and why.
    n_objects
        Objects fetched.
    complaints
        What was asked and what was wrong with the answer.
    incomplete
        Days on which something is open, with why.
    problem
        What ended the run before its end.
    """

    pacs: str
    n_days: int = 0
    n_studies: int = 0
    n_unchanged: int = 0
    n_objects: int = 0
    seconds: float = 0.0
    outcomes: Counter[str] = msgspec.field(default_factory=Counter)
    reasons: Counter[str] = msgspec.field(default_factory=Counter)
    complaints: list[Complaint] = msgspec.field(default_factory=list)
    incomplete: dict[str, str] = msgspec.field(default_factory=dict)
    problem: str | None = None
    is_interrupted: bool = False

    @property
    def is_complete(self) -> bool:
        """True if every study of every day has its outcome."""
        return not (self.incomplete or self.problem or self.is_interrupted)


class Waits(msgspec.Struct, frozen=True):
    """What a run waits for: `turn` before each study, `sleep` after a failure.

    Both return True if the run is to end.
    """

    turn: Callable[[], bool]
    sleep: Callable[[float], object] = time.sleep


class Collection:
    """A run on one archive.

    Parameters
    ----------
    archive
        What is wanted.
    source
        Asks and fetches.
    journal
        Keeps what became of every study.
    arrivals
        Knows what is here.
    waits
        Pace, quiet hours and the wish to stop.
    progress
        Called as the work goes on.
    clock
        Gives the time, with zone.
    is_eager
        Ask for what failed before its time has come.
    is_again
        Ask for everything again, also for what is settled.
    """

    def __init__(
        self,
        archive: Archive,
        source: Source,
        journal: Journal,
        arrivals: Arrivals,
        waits: Waits,
        *,
        progress: Progress = lambda *_: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        is_eager: bool = False,
        is_again: bool = False,
    ) -> None:
        self._archive, self._source, self._journal = archive, source, journal
        self._arrivals, self._waits = arrivals, waits
        self._progress, self._clock = progress, clock
        self._is_eager, self._is_again = is_eager, is_again
        self._failed_in_a_row = 0
        self._moved: list[tuple[Study, Look, Entry | None]] = []
        self._moved_since = clock()
        self.summary = Summary(pacs=archive.name)

    def run(self, days: Sequence[date]) -> Summary:
        """Collect days in their order; returns when all are done, or it must end."""
        began = time.monotonic()
        try:
            for number, day in enumerate(days):
                self._progress("days", number, len(days))
                if self._waits.turn():
                    self.summary.is_interrupted = True
                    break
                self._day(day)
                if self.summary.is_interrupted:
                    break
            else:
                self._progress("days", len(days), len(days))
        except PeerError as error:
            self.summary.problem = str(error)
            self._source.reset()
        finally:
            self._source.close()
            self.summary.seconds = time.monotonic() - began
        return self.summary

    def _day(self, day: date) -> None:
        try:
            answers = self._ask_for(day)
        except PeerError as error:
            self._settle_day(day, Answers(), 0, str(error))
            raise
        n_before = self.summary.n_objects
        self.summary.n_studies += len(answers.rows)
        self._complain(answers.complaints)
        problem: str | None = None
        try:
            self._studies(day, answers.rows)
        except PeerError as error:
            problem = str(error)
            raise
        finally:
            self._settle_day(day, answers, self.summary.n_objects - n_before, problem)

    def _ask_for(self, day: date) -> Answers[Study]:
        """Studies of a day; an empty answer is asked for twice.

        A day without studies is not asked for again in years. Measured: of 10,000 questions
        one was answered empty, without an error, and wrongly.
        """
        answers = self._persist(lambda: self._source.studies(day))
        if not answers.n_read:
            answers = self._persist(lambda: self._source.studies(day))
        return answers

    def _studies(self, day: date, studies: Sequence[Study]) -> None:
        known = self._journal.known(self._archive.name, [s.uid for s in studies])
        todo = [s for s in studies if self._is_open(known.get(s.uid), s)]
        self.summary.n_unchanged += len(studies) - len(todo)
        here = self._arrivals.of_studies([s.uid for s in todo])
        self._moved, self._moved_since = [], self._clock()
        for number, study in enumerate(todo):
            if self._waits.turn():
                self.summary.is_interrupted = True
                break
            self._study(study, known.get(study.uid), here.get(study.uid, set()), day)
            self._progress(f"studies of {day}", number + 1, len(todo))
            if len(self._moved) >= _VERIFY_EVERY:
                self._verify(day)
        self._verify(day)

    def _is_open(self, entry: Entry | None, study: Study) -> bool:
        """True if a study is to be looked into now."""
        if entry is None or self._is_again:
            return True
        if entry.outcome is Fate.FAILED:
            return self._is_eager or entry.retry_at is None or entry.retry_at <= self._clock()
        if entry.outcome is Fate.GIVEN_UP:
            return False
        if study.n_objects is not None and entry.n_objects is not None:
            return study.n_objects != entry.n_objects
        return self._clock() - entry.settled_at > _AGAIN[entry.outcome]

    def _study(self, study: Study, entry: Entry | None, here: set[str], day: date) -> None:
        try:
            look = self._persist(lambda: self._look(study, here))
        except _RefusedError as error:
            look = Look(fate=Fate.FAILED, complaints=error.remarks)
        except DeniedError:
            raise  # nothing is wrong with this study, and the next would fare no better
        except PeerError as error:
            complaint = Complaint(asked=f"study {study.uid}", seen=str(error))
            look = Look(fate=Fate.FAILED, complaints=(complaint,))
        if look.fate is Fate.TAKEN and not look.is_confirmed and look.asked:
            self._moved.append((study, look, entry))
        else:
            self._settle(study, look, entry, day)

    def _look(self, study: Study, here: set[str]) -> Look:
        """Look into a study; what did not come is asked for again, what came counts as here.

        Raises
        ------
        PeerError
            If the archive fails, or something that was asked for did not come.
        """
        look = look_into(study, self._archive, self._source, here)
        if not look.remarks:
            return look
        wait_s = 0.0 if look.is_counted else _ARRIVAL_SHARE * self._arrivals.patience_s
        came = self._arrivals.await_all(look.asked, wait_s) if look.asked else set()
        here |= came
        if not look.asked or set(look.asked) - came:
            raise _RefusedError(look.remarks)
        # All of it is here: what was odd about its coming is only reported.
        self._complain(look.remarks)
        return msgspec.structs.replace(look, is_confirmed=True)

    def _persist(self, work: Callable[[], T]) -> T:
        """Do `work`, again after a pause if the archive fails, so often as the site allows.

        Raises
        ------
        PeerError
            If it fails every time, or once by refusing us.
        """
        for attempt in range(1, self._archive.attempts + 1):
            try:
                return work()
            except DeniedError:
                raise
            except PeerError as error:
                asked_s = getattr(error, "retry_after_s", None) or 0.0
                log.warning(
                    "archive failed",
                    extra={"called": self._archive.name, "attempt": attempt, "reason": error.seen},
                )
                if not isinstance(error, _RefusedError):
                    self._source.reset()
                if attempt == self._archive.attempts:
                    raise
            self._waits.sleep(max(pause_s(attempt), asked_s))
        raise AssertionError("unreachable")  # attempts is 1 or more

    def _verify(self, day: date) -> None:
        """See that what the archive says it sent is here; what is not counts as failed."""
        moved, self._moved = self._moved, []
        if not moved:
            return
        asked = [uid for _, look, _ in moved for uid in look.asked]
        came = self._arrivals.await_all(asked)
        strange = [] if came >= set(asked) else self._strangers(asked)
        for study, look, entry in moved:
            absent = [uid for uid in look.asked if uid not in came]
            complaints = _absences(absent, strange)
            fate = Fate.FAILED if absent else look.fate
            seen = msgspec.structs.replace(look, fate=fate, complaints=complaints)
            self._settle(study, seen, entry, day)

    def _strangers(self, asked: Sequence[str]) -> list[str]:
        caller = getattr(self._archive, "ae_title", None)
        return self._arrivals.strangers(caller, self._moved_since, asked) if caller else []

    def _settle(self, study: Study, look: Look, entry: Entry | None, day: date) -> None:
        """Write what became of a study."""
        now = self._clock()
        tries = (entry.attempts if entry else 0) + 1
        fate, reason = look.fate, look.reason
        if look.complaints:
            reason = "; ".join(dict.fromkeys(map(str, look.complaints)))
        if fate is Fate.FAILED and tries >= self._archive.give_up_after:
            fate = Fate.GIVEN_UP
        self._journal.settle(
            [
                Entry(
                    pacs=self._archive.name,
                    study_uid=study.uid,
                    day=study.day or day,
                    modalities=study.modalities,
                    outcome=fate,
                    reason=reason,
                    n_objects=study.n_objects,
                    n_taken=look.n_fetched if fate is Fate.TAKEN else 0,
                    attempts=tries if fate in (Fate.FAILED, Fate.GIVEN_UP) else 0,
                    settled_at=now,
                    retry_at=now + later(tries) if fate is Fate.FAILED else None,
                )
            ]
        )
        self.summary.outcomes[fate.value] += 1
        if fate is Fate.NOTHING and reason:
            self.summary.reasons[reason] += 1
        self.summary.n_objects += look.n_fetched if fate is Fate.TAKEN else 0
        self._complain(look.complaints)
        self._watch_for_outage(fate, reason)

    def _watch_for_outage(self, fate: Fate, reason: str | None) -> None:
        is_failed = fate in (Fate.FAILED, Fate.GIVEN_UP)
        self._failed_in_a_row = self._failed_in_a_row + 1 if is_failed else 0
        if self._failed_in_a_row >= _IN_A_ROW:
            raise PeerError(
                f"{_IN_A_ROW} studies in a row failed; the last one: {reason}",
                where=self._archive.name,
                todo="The run ends here; the next one goes on with what is open",
            )

    def _settle_day(
        self, day: date, answers: Answers[Study], n_taken: int, problem: str | None
    ) -> None:
        entries = self._journal.known(self._archive.name, [s.uid for s in answers.rows])
        n_open = len(answers.rows) - len(entries)
        n_failed = sum(e.outcome in (Fate.FAILED, Fate.GIVEN_UP) for e in entries.values())
        reasons = [problem] if problem else []
        reasons += [str(c) for c in answers.complaints]
        reasons += [f"{n_failed} studies failed"] if n_failed else []
        reasons += [f"{n_open} studies are open"] if n_open else []
        is_complete = not reasons and not answers.is_cut
        self._journal.settle_day(
            Day(
                pacs=self._archive.name,
                day=day,
                is_complete=is_complete,
                n_studies=len(answers.rows),
                n_taken=n_taken,
                reason="; ".join(reasons) or None,
                settled_at=self._clock(),
            )
        )
        self.summary.n_days += 1
        if not is_complete:
            self.summary.incomplete[f"{day}"] = "; ".join(reasons) or "answers are cut"

    def _complain(self, complaints: Iterable[Complaint]) -> None:
        room = _MOST_COMPLAINTS - len(self.summary.complaints)
        self.summary.complaints += list(complaints)[:room]


def _absences(absent: Sequence[str], strange: Sequence[str]) -> tuple[Complaint, ...]:
    seen = "success, and it did not come to our listener"
    if strange:
        seen += f"; {len(strange)} objects came that were not asked for, such as {strange[0]}"
    return tuple(Complaint(asked=f"object {uid}", seen=seen) for uid in absent)


class _RefusedError(PeerError):
    """Part of what was asked for did not come; the connection is in order."""

    def __init__(self, remarks: tuple[Complaint, ...]) -> None:
        super().__init__("; ".join(map(str, remarks)))
        self.remarks = remarks
