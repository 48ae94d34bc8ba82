"""The vault: who the exams were of and by whom; asked with a reason, answered by role.

One process holds it open (`pipelines.vault`), without any network server. Every method
that shows or changes something takes the person who asks: their role decides, and the
audit is written before they are answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from dose_lib.errors import UsageError, VaultError
from dose_lib.records import Decision
from dose_lib.settings import Settings
from dose_lib.store.decision import read_decisions
from dose_lib.vault import audit, decisions, groups, read, search, write
from dose_lib.vault.file import VaultFile
from dose_lib.vault.gate import Gate
from dose_lib.vault.inbox import Inbox
from dose_lib.vault.payloads import Cause, Scope
from dose_lib.vault.people import Action, Caller, Person, service
from dose_lib.vault.read import Kind
from dose_lib.vault.records import (
    AuditRow,
    Erasure,
    Identification,
    Match,
    VaultEntry,
    VaultFacts,
)

Clock = Callable[[], datetime]
_SHOW = {
    Kind.PATIENT: Action.SHOW_PATIENT,
    Kind.EXAM: Action.SHOW_EXAM,
    Kind.STAFF: Action.SHOW_STAFF,
}
_MOST_KEYS = 500
_STAFF_KEY = 16  # digits


def _now() -> datetime:
    return datetime.now(UTC)


class Vault:
    """The opened vault. Use `Vault.open`; methods may be called from any thread."""

    def __init__(self, settings: Settings, file: VaultFile, clock: Clock) -> None:
        self.settings = settings
        self._file = file
        self._clock = clock
        self._gate = Gate(settings, file, clock)
        self._inbox = Inbox(settings)
        with file.reading() as con:
            self._decisions = read_decisions(con)
        self._gone = groups.forgotten(self._decisions)

    @classmethod
    def open(cls, settings: Settings, *, clock: Clock = _now) -> Self:
        """Open the vault, or make it with its key where there is none.

        Raises
        ------
        VaultInUseError
            If another process has it open.
        VaultError
            If the key is missing or another's, or the file is damaged or was replaced.
        """
        file = VaultFile(settings)
        try:
            vault = cls(settings, file, clock)
            vault._inbox.try_again()
        except BaseException:
            file.close()
            raise
        return vault

    # Taking in

    def put(self, entries: Iterable[VaultEntry]) -> int:
        """Keep entries in one transaction; returns how many were kept.

        Entries of people who were erased since, and of exams that have expired, are left out.
        The same entries again, in any order, change nothing.
        """
        with self._file.transaction() as con:
            kept, _ = write.put(con, list(entries), self._gone)
        return kept

    def drain(self, *, most: int = 200) -> int:
        """Take in what waits in the inbox; returns the number of files taken.

        Parameters
        ----------
        most
            Files in one transaction.
        """
        taken: list[Path] = []
        entries: list[VaultEntry] = []
        with self._file.lock:  # of two who drain at once the second finds what is left
            for path in self._inbox.waiting()[:most]:
                try:
                    entries += self._inbox.load(path, self._file.keys)
                    taken.append(path)
                except VaultError:
                    self._inbox.set_aside(path)
            if taken:
                self.put(entries)
            for path in taken:
                path.unlink()
        return len(taken)

    # Looking

    def recognise(self, caller: Caller) -> Person:
        """The person behind a caller; a changed list of people leaves a row in the audit."""
        return self._gate.recognise(caller)

    def identify(self, keys: Sequence[str], who: Person, why: str) -> tuple[Identification, ...]:
        """Whom keys stand for: patients, exams or staff.

        Parameters
        ----------
        keys
            Patient, part or staff keys, or the first eight digits or more of one.
        who
            The person who asks.
        why
            Their reason, kept in the audit.

        Raises
        ------
        LookUpRefusedError
            If their role does not reach any one of the keys, or no reason is given.
        UsageError
            If something is no key.
        """
        if not 0 < len(keys) <= _MOST_KEYS:
            raise UsageError(f"{len(keys)} keys at once", expected=f"1 to {_MOST_KEYS}")
        if not any(self._gate.may(who, action) for action in _SHOW.values()):
            self._gate.check(who, Action.SHOW_PATIENT, ["-"], why)
        with self._file.reading() as con:
            found = [read.resolve(con, key) for key in keys]
        for kind in dict.fromkeys(kind for kind, _ in found):
            self._gate.check(who, _SHOW[kind], [key for k, key in found if k is kind], why)
        sees_patients = self._gate.may(who, Action.SHOW_PATIENT)
        merged = groups.group(self._decisions)
        with self._file.transaction() as con:
            answers = tuple(
                read.identification(con, kind, key, merged, with_patient=sees_patients)
                for kind, key in found
            )
            for answer in answers:
                outcome = "shown" if answer.is_known else "not known"
                self._gate.note(who, _SHOW[Kind(answer.kind)], [(answer.key, outcome)], why)
        return answers

    def search(self, by: str, value: str, who: Person, why: str) -> tuple[Match, ...]:
        """Keys of someone by name or number; see `dose_lib.vault.search.By` for the ways.

        Raises
        ------
        LookUpRefusedError
            If the person may not search, or gives no reason.
        UsageError
            If too little is searched for, or too many fit.
        """
        way = search.By(by)
        action = Action.SHOW_STAFF if way.value.startswith("staff") else Action.SEARCH
        self._gate.check(who, action, [way.value], why)
        with self._file.reading() as con:
            try:
                found = search.search(con, way, value)
            except UsageError as error:
                with self._file.transaction():
                    self._gate.note(who, action, [(way.value, error.seen)], why)
                raise
        with self._file.transaction():
            rows = [(way.value, f"{len(found)} found"), *((m.key, "found") for m in found)]
            self._gate.note(who, action, rows, why)
        return found

    def staff_names(self, who: Person) -> Mapping[str, str]:
        """Newest name of each member of staff by key, where the site shows operators by name.

        Raises
        ------
        LookUpRefusedError
            If the site does not, or the role does not reach it.
        """
        self._gate.check(who, Action.STAFF_NAMES, ["all"], None)
        with self._file.transaction() as con:
            known = read.staff(con, None)
            self._gate.note(who, Action.STAFF_NAMES, [("all", "shown")])
        return {s.staff_key: s.staff_name for s in reversed(known) if s.staff_name}

    def operators(self) -> tuple[str, ...]:
        """Keys of all who administered irradiation; keys only, so for anyone."""
        with self._file.reading() as con:
            return read.operators(con)

    def same_staff(self) -> tuple[tuple[str, ...], ...]:
        """Staff keys that are very likely one person; keys only, so for anyone."""
        with self._file.reading() as con:
            return read.same_staff(con)

    # Changing

    def merge(self, surviving: str, losing: str, who: Person, why: str) -> Decision:
        """Make two patients one; both keys find both from now on.

        Returns
        -------
        Decision
            To be appended to the store as well.
        """
        return self._join(groups.MERGE, surviving, losing, who, why)

    def unmerge(self, surviving: str, losing: str, who: Person, why: str) -> Decision:
        """Take back the merge of two patients."""
        return self._join(groups.UNMERGE, surviving, losing, who, why)

    def erase(
        self,
        key: str,
        who: Person,
        why: str,
        *,
        cause: Cause = "request",
        scope: Scope = "identities",
    ) -> Erasure:
        """Erase a patient (with all keys merged into it) or a member of staff.

        Everything received, and every exam done, until now; the file is written anew, so that
        nothing of it is left there. A later visit is kept.

        Parameters
        ----------
        key
            Patient key or staff key, in full.
        who, why
            The person who asks and the reason; the reason stays in the audit.
        cause
            Goes into the decision, which the store keeps too.
        scope
            Whether the rest of the house shall drop the doses as well.

        Returns
        -------
        Erasure
            What the archive and the store have to remove in turn.
        """
        is_staff = len(key) == _STAFF_KEY
        kind = groups.ERASE_STAFF if is_staff else groups.ERASE
        payload = {"cause": cause} if is_staff else {"cause": cause, "scope": scope}
        self._gate.check(who, Action.ERASE, [key], why)
        with self._file.reading() as con:
            keys = groups.group(self._decisions).members(key)
            latest = write.latest_receipt(con, keys)
            parts, objects = ((), ()) if is_staff else read.told_of(con, keys)
        # A clock that was ahead when something came in must not carry it past the erasure.
        now = max(self._clock(), latest) if latest else self._clock()
        decision = decisions.make(
            kind, key, payload, who.role.value, now=now, after=self._decisions
        )
        self._apply([decision], who, Action.ERASE, why)
        patients = () if is_staff else keys
        return Erasure(decision=decision, patient_keys=patients, part_keys=parts, objects=objects)

    def expire(self, before: datetime, who: Person | None = None) -> Erasure | None:
        """Drop the identities of exams before a moment; None if there are none.

        The doses stay. What comes late from before that moment stays out, too.
        """
        person = who or service()
        self._gate.check(person, Action.EXPIRE, ["identities"], None)
        with self._file.reading() as con:
            parts, objects = read.expiring(con, before)
        if not objects:
            return None
        moment = before.astimezone(UTC).isoformat()
        decision = decisions.make(
            groups.EXPIRE,
            "identities",
            {"before": moment},
            person.role.value,
            now=self._clock(),
            after=self._decisions,
        )
        self._apply([decision], person, Action.EXPIRE, f"before {moment[:10]}")
        return Erasure(decision=decision, part_keys=parts, objects=objects)

    def apply(self, given: Iterable[Decision], who: Person | None = None) -> int:
        """Take over decisions made elsewhere (store, rebuild, restore); returns the new ones."""
        person = who or service()
        fresh = decisions.unknown(given, self._decisions)
        self._gate.check(person, Action.APPLY, [d.subject for d in fresh], None)
        if fresh:
            self._apply(fresh, person, Action.APPLY, None)
        return len(fresh)

    def decisions(self) -> tuple[Decision, ...]:
        """All merges, erasures and expiries, oldest first; no identities in them."""
        return tuple(groups.in_order(self._decisions))

    # Of the vault itself

    def audit(
        self,
        who: Person,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        key: str | None = None,
        limit: int = 10_000,
    ) -> tuple[AuditRow, ...]:
        """Rows of the audit, the newest first; reading it is itself a row."""
        self._gate.check(who, Action.READ_AUDIT, ["audit"], None)
        with self._file.transaction() as con:
            rows = audit.read(con, since=since, until=until, key=key, limit=limit)
            self._gate.note(who, Action.READ_AUDIT, [("audit", f"{len(rows)} rows shown")])
        return rows

    def verify(self) -> tuple[int, str]:
        """Check the audit's chain; returns its length and newest hash.

        Raises
        ------
        VaultError
            With the first row that was changed, removed or put in.
        """
        with self._file.reading() as con:
            return audit.verify(con, self._file.audit_key)

    def facts(self) -> VaultFacts:
        """Numbers for health and status."""
        with self._file.reading() as con:
            counts = read.counts(con)
        n_audit, head = self.audit_head()
        waiting, unopened = self.n_waiting()
        return VaultFacts(
            **counts, n_audit=n_audit, audit_head=head, n_waiting=waiting, n_unopened=unopened
        )

    def audit_head(self) -> tuple[int, str]:
        """Length and newest hash of the audit: kept elsewhere, they show a cut."""
        with self._file.reading() as con:
            return audit.head(con)

    def n_waiting(self) -> tuple[int, int]:
        """Files that wait in the inbox, and files there that could not be opened."""
        return len(self._inbox.waiting()), self._inbox.n_set_aside()

    @property
    def is_broken(self) -> bool:
        """True if the engine gave up: only opening the vault again helps."""
        return self._file.is_broken

    def copy_to(self, path: Path, who: Person | None = None) -> None:
        """Write an encrypted copy for a backup; the key file is backed up apart."""
        self._gate.check(who or service(), Action.COPY, ["vault"], None)
        self._file.copy_to(path)

    def rekey(self, who: Person, why: str) -> None:
        """Encrypt with a fresh key; back up the key file again afterwards."""
        self._gate.check(who, Action.REKEY, ["vault"], why)
        self._file.rekey()
        with self._file.transaction():
            self._gate.note(who, Action.REKEY, [("vault", "done")], why)

    def close(self) -> None:
        """Write everything into the file and let go of it."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _join(self, kind: str, surviving: str, losing: str, who: Person, why: str) -> Decision:
        payload = {"surviving": surviving}
        decision = decisions.make(
            kind, losing, payload, who.role.value, now=self._clock(), after=self._decisions
        )
        self._gate.check(who, Action.MERGE, [losing, surviving], why)
        self._apply([decision], who, Action.MERGE, why)
        return decision

    def _apply(
        self, fresh: Sequence[Decision], who: Person, action: Action, why: str | None
    ) -> None:
        """Append decisions and do what they say, at once or not at all."""
        known = [*self._decisions, *fresh]
        gone = groups.forgotten(known)
        with self._file.transaction() as con:
            decisions.append(con, fresh)
            removed = write.forget(con, gone)
            if removed:
                self._file.mark_for_compaction()
            outcome = f"{removed} rows removed" if removed else "done"
            rows = [(d.subject, f"{d.kind}: {outcome}") for d in fresh]
            self._gate.note(who, action, rows, why)
        self._decisions, self._gone = known, gone
        if removed:
            self._file.compact()
