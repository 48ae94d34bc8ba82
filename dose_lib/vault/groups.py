"""Which patient keys are one person, and what is to be forgotten: a pure reading of decisions.

Decisions are only ever appended; what holds is worked out from all of them, in the order of
their time. So a rebuild that gets the same decisions comes to the same result.

| kind | subject | payload | from |
| --- | --- | --- | --- |
| `patient_merge` | losing key | `surviving` | HL7 A40, PACS, a person |
| `patient_unmerge` | losing key | `surviving` | HL7 A37: the merge was wrong |
| `patient_erase` | key | `scope`, `cause` | GDPR Art. 17 or a mistaken delivery |
| `staff_erase` | staff key | `cause` | likewise, of a member of staff |
| `identity_expire` | `identities` | `before` | retention of identities apart from doses |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec

from dose_lib.records import Decision

MERGE, UNMERGE = "patient_merge", "patient_unmerge"
ERASE, ERASE_STAFF, EXPIRE = "patient_erase", "staff_erase", "identity_expire"
KINDS = frozenset({MERGE, UNMERGE, ERASE, ERASE_STAFF, EXPIRE})


class Groups(msgspec.Struct, frozen=True):
    """Patient keys that merges made one.

    Attributes
    ----------
    survivors
        The surviving key of each key that was ever merged.
    """

    survivors: Mapping[str, str]

    def survivor(self, key: str) -> str:
        """The key that stands for `key`; itself if it was never merged."""
        return self.survivors.get(key, key)

    def members(self, key: str) -> tuple[str, ...]:
        """All keys of the same person, the surviving one first."""
        head = self.survivor(key)
        others = sorted(k for k, s in self.survivors.items() if s == head and k != head)
        return (head, *others)


class Forgotten(msgspec.Struct, frozen=True):
    """What may no longer be kept, nor taken in again.

    Attributes
    ----------
    patients, staff
        For each key the moment: what happened or was received until then is erased.
    before
        Exams before this moment have expired; None: none.
    """

    patients: Mapping[str, datetime]
    staff: Mapping[str, datetime]
    before: datetime | None = None

    def has_expired(self, received_at: datetime, occurred_at: datetime | None) -> bool:
        """True if an exam is older than identities are kept."""
        return self.before is not None and (occurred_at or received_at) < self.before

    def covers(self, key: str, received_at: datetime, occurred_at: datetime | None) -> bool:
        """True if a person was erased after this exam.

        An object that comes late does not make its exam younger, and a modality whose clock
        runs ahead does not carry it past an erasure: the earlier of the two times counts.
        """
        until = self.patients.get(key) or self.staff.get(key)
        return until is not None and min(received_at, occurred_at or received_at) <= until


def in_order(decisions: Iterable[Decision]) -> list[Decision]:
    """Decisions by time; ties by content, so that every reading gives the same."""
    return sorted(decisions, key=lambda d: (_moment(d), d.kind, d.subject, _content(d)))


def group(decisions: Iterable[Decision], *, until: datetime | None = None) -> Groups:
    """Patients after all merges and unmerges (up to and including `until`).

    A merge joins the two groups; the surviving side keeps its name. Merged the other way
    round later, the later survivor stands for the group. An unmerge cancels every earlier
    merge of the two keys, in either direction.
    """
    merges: list[tuple[str, str]] = []
    for decision in in_order(decisions):
        if until is not None and _moment(decision) > until:
            break
        pair = (decision.subject, str(decision.payload.get("surviving")))
        if decision.kind == MERGE:
            merges.append(pair)
        elif decision.kind == UNMERGE:
            merges = [m for m in merges if set(m) != set(pair)]
    members: dict[str, set[str]] = {}
    heads: dict[str, str] = {}
    for losing, surviving in merges:
        kept = members.setdefault(heads.get(surviving, surviving), {surviving})
        lost = members.setdefault(heads.get(losing, losing), {losing})
        head = surviving if kept is lost else heads.get(surviving, surviving)
        for old in {heads.get(k, k) for k in kept | lost}:
            members.pop(old, None)
        members[head] = kept | lost
        heads |= dict.fromkeys(members[head], head)
    return Groups(heads)


def forgotten(decisions: Iterable[Decision]) -> Forgotten:
    """What all erasures and expiries together say.

    An erasure reaches the whole person as merged at that moment, and whatever was received
    or happened until then: an exam of before that arrives late stays out, one of a later
    visit is kept.
    """
    known = in_order(decisions)
    patients: dict[str, datetime] = {}
    staff: dict[str, datetime] = {}
    before: datetime | None = None
    for decision in known:
        at = _moment(decision)
        if decision.kind == ERASE:
            patients |= dict.fromkeys(group(known, until=at).members(decision.subject), at)
        elif decision.kind == ERASE_STAFF:
            staff[decision.subject] = at
        elif decision.kind == EXPIRE:
            limit = datetime.fromisoformat(str(decision.payload["before"])).astimezone(UTC)
            before = limit if before is None else max(before, limit)
    return Forgotten(patients, staff, before)


def _moment(decision: Decision) -> datetime:
    if decision.decided_at is None:
        raise ValueError(f"a decision of kind {decision.kind} has no time")
    return decision.decided_at


def _content(decision: Decision) -> bytes:
    return msgspec.json.encode((decision.payload, decision.author), order="sorted")
