"""Which readings count: objects are corrected, moved to another study, rejected.

Three things take an object's reading out, and none of them depends on the order of arrival
(exams of exports have rules of their own, see `history`):

* a rejection note says that its object was wrong (`dose_lib.dicom.rejection`);
* the same object, by SOP Instance UID, is there with newer content: corrected, or changed by
  an archive on its way;
* the same exposures, by event UID and start, are there under another Study Instance UID, with
  further ones or newer: moved, or filed under two orders.

Newer is what was made later; of two made at the same time, what was first received later. What
an object says of all its parts counts together: of a PET-CT whose CT alone came again elsewhere
nothing goes out.
What is out stays in `reading` with its receipt, and comes back when the reason goes.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import duckdb
import msgspec

from dose_lib.dicom.report_set import is_stand_in
from dose_lib.records import Code, Part, Rejection, RejectionReason, XRayEvent
from dose_lib.store.history import history_out

CORRECTED = "the object was received again with other content"
MOVED = "the same exposures were received again under another study"
Place = tuple[str, str]  # study, hash of the object


class Standing(NamedTuple):
    """Which readings of some studies do not count, and why.

    `studies` are all that have to be made anew together.
    """

    studies: frozenset[str]
    out: Mapping[Place, str]


class _Row(NamedTuple):
    """A reading without its content."""

    study_uid: str
    sha256: str
    receipt_id: str
    received_at: datetime
    sop_key: int | None
    content_at: datetime | None
    exposures: frozenset[int] = frozenset()

    @property
    def place(self) -> Place:
        return self.study_uid, self.sha256

    @property
    def age(self) -> tuple[datetime, datetime, str]:
        return self.content_at or datetime.min, self.received_at, self.receipt_id


def text_key(text: str) -> int:
    """First 64 bits of the SHA-256 of a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def sop_key(uid: str | None) -> int | None:
    """Key of a SOP Instance UID."""
    return None if uid is None else text_key(uid)


def exposures_of(part: Part) -> list[str] | None:
    """What tells each exposure and administration of a reading; None if one has no UID."""
    source = part.sources[0]
    marks = []
    for event in part.events:
        if event.event_uid is None or is_stand_in(event.event_uid, source):
            return None
        plane = event.plane if isinstance(event, XRayEvent) else None
        marks.append(f"{event.event_uid} {plane} {_naive(event.started_at)}")
    for given in part.administrations:
        if given.administration_uid is None:
            return None
        marks.append(f"{given.administration_uid} {_naive(given.started_at)}")
    return sorted(marks) or None


def _naive(moment: datetime | None) -> str:
    return "" if moment is None else moment.replace(tzinfo=None).isoformat()


def marks_of(part: Part) -> dict[str, object]:
    """What a reading is known by, in the columns of `reading`."""
    source, marks = part.sources[0], exposures_of(part)
    modality = str(part.modality)
    return {
        "sop_key": sop_key(source.sop_instance_uid),
        "exposures_key": text_key("\n".join([modality, *marks])) if marks else None,
        "exposures": [text_key(f"{modality} {m}") for m in marks] if marks else None,
        "content_at": source.content_at.replace(tzinfo=None) if source.content_at else None,
        "started_at": part.started_at.replace(tzinfo=None) if part.started_at else None,
        "patient_key": part.patient.patient_key,
    }


_COLUMNS = "study_uid, sha256, receipt_id, received_at, sop_key, content_at, exposures"
# Exposures are looked for among exams of the same days: millions of keys stay unread.
_RELATED = f"""
    WITH mine AS MATERIALIZED (
        SELECT sop_key, exposures_key, exposures, CAST(started_at AS DATE) AS day FROM reading
        WHERE study_uid IN (SELECT unnest($studies))
    ), days AS (
        SELECT DISTINCT day + d AS day FROM mine, (SELECT unnest([-1, 0, 1]) AS d)
        WHERE exposures IS NOT NULL
    ), near AS (
        SELECT study_uid, unnest(exposures) AS exposure FROM reading
        WHERE CAST(started_at AS DATE) IN (SELECT day FROM days)
    ), sharing AS (
        SELECT DISTINCT study_uid FROM near
        WHERE exposure IN (SELECT unnest(exposures) FROM mine)
    )
    SELECT DISTINCT {_COLUMNS} FROM reading
    WHERE study_uid IN (SELECT unnest($studies))
        OR sop_key IN (SELECT sop_key FROM mine WHERE sop_key IS NOT NULL)
        OR exposures_key IN (SELECT exposures_key FROM mine WHERE exposures_key IS NOT NULL)
        OR study_uid IN (SELECT study_uid FROM sharing)
"""  # noqa: S608 - constants


def standing(con: duckdb.DuckDBPyConnection, studies: Iterable[str]) -> Standing:
    """Which readings count in some studies, and in those they share objects or exposures with."""
    known: set[str] = set()
    found = set(studies)
    rows: list[_Row] = []
    while found - known:
        known = set(found)
        rows = _by_place(con.execute(_RELATED, {"studies": sorted(known)}).fetchall())
        found |= {r.study_uid for r in rows}
    out = _judge(rows, _withdrawn(con, rows))
    return Standing(frozenset(found), out | history_out(con, sorted(found)))


def _by_place(readings: Iterable[tuple[Any, ...]]) -> list[_Row]:
    """One row an object in a study, with the exposures of all its parts, if all are known."""
    found: dict[Place, list[tuple[Any, ...]]] = defaultdict(list)
    for reading in readings:
        found[reading[0], reading[1]].append(reading)
    rows = []
    for same in found.values():
        lists = [reading[-1] for reading in same]
        exposures = frozenset(key for keys in lists for key in keys) if all(lists) else frozenset()
        rows.append(_Row._make((*same[0][:-1], exposures)))
    return rows


def _withdrawn(con: duckdb.DuckDBPyConnection, rows: Iterable[_Row]) -> dict[int, RejectionReason]:
    keys = sorted({r.sop_key for r in rows if r.sop_key is not None})
    given = con.execute(
        "SELECT sop_key, min(code) FROM rejection WHERE code IN (SELECT unnest(?))"
        " AND sop_key IN (SELECT unnest(?)) GROUP BY sop_key",
        [[r.value for r in RejectionReason if r.is_withdrawal], keys],
    ).fetchall()
    return {key: RejectionReason(code) for key, code in given}


def _judge(rows: Sequence[_Row], withdrawn: Mapping[int, RejectionReason]) -> dict[Place, str]:
    out: dict[Place, str] = {}
    for row in rows:
        if row.sop_key is not None and row.sop_key in withdrawn:
            out[row.place] = reason_of(withdrawn[row.sop_key])
    for same in _of_one_object(r for r in rows if r.place not in out):
        newest = max(same, key=lambda r: r.age)
        out |= {r.place: CORRECTED for r in same if r.sha256 != newest.sha256}
    left = [r for r in rows if r.place not in out and r.exposures]
    having: dict[int, list[_Row]] = defaultdict(list)
    for row in left:
        for exposure in row.exposures:
            having[exposure].append(row)
    for row in left:
        # Whoever has all of its exposures has this one.
        if any(_gives_way(row, other) for other in having[min(row.exposures)]):
            out[row.place] = MOVED
    return out


def _of_one_object(rows: Iterable[_Row]) -> list[list[_Row]]:
    groups: dict[int, list[_Row]] = defaultdict(list)
    for row in rows:
        if row.sop_key is not None:
            groups[row.sop_key].append(row)
    return list(groups.values())


def _gives_way(row: _Row, other: _Row) -> bool:
    """True if another study tells of all these exposures, and of more, or newer."""
    if row.study_uid == other.study_uid or not row.exposures <= other.exposures:
        return False
    return len(row.exposures) < len(other.exposures) or row.age < other.age


def reason_of(reason: RejectionReason) -> str:
    """What the ledger says of a withdrawn object."""
    return f"withdrawn by a rejection note: {reason.meaning} ({reason.value})"


def note_of(rejection: Rejection) -> str:
    """What the ledger says of the note."""
    reason, n = rejection.reason, len(rejection.sop_instance_uids)
    what = "withdrawn" if reason.is_withdrawal else "rejected, their dose stays"
    return f"a rejection note: {reason.meaning} ({reason.value}); {n} objects {what}"


def add_rejection(
    con: duckdb.DuckDBPyConnection, receipt_id: str, received_at: datetime, rejection: Rejection
) -> list[str]:
    """Keep what a note says; returns the studies it concerns that are stored."""
    uids, studies = list(rejection.sop_instance_uids), list(rejection.study_uids)
    keys = [text_key(uid) for uid in uids]
    con.execute(
        "INSERT INTO rejection SELECT $receipt, $code, u.uid, u.key, $studies, $at"
        " FROM (SELECT unnest($uids) AS uid, unnest($keys) AS key) AS u",
        {
            "receipt": receipt_id,
            "code": rejection.reason.value,
            "uids": uids,
            "keys": keys,
            "studies": studies,
            "at": received_at.astimezone(UTC),
        },
    )
    rows = con.execute(
        "SELECT DISTINCT study_uid FROM reading"
        " WHERE sop_key IN (SELECT unnest(?)) OR study_uid IN (SELECT unnest(?))",
        [keys, studies],
    ).fetchall()
    return [study for (study,) in rows]


def bad_images(con: duckdb.DuckDBPyConnection, studies: Iterable[str]) -> dict[str, frozenset[str]]:
    """Images rejected for their quality, by the studies that their notes name."""
    rows = con.execute(
        "SELECT study, list(DISTINCT sop_instance_uid) FROM"
        " (SELECT unnest(study_uids) AS study, sop_instance_uid FROM rejection WHERE code = ?)"
        " WHERE study IN (SELECT unnest(?)) GROUP BY study",
        [RejectionReason.QUALITY.value, sorted(set(studies))],
    ).fetchall()
    return {study: frozenset(uids) for study, uids in rows}


def with_rejected(part: Part, bad: frozenset[str]) -> Part:
    """The part with the exposures of rejected images marked; their dose was given."""
    own = {s.sop_instance_uid for s in part.sources} & bad if len(part.sources) == 1 else set()
    reason = RejectionReason.QUALITY
    code = Code(value=reason.value, scheme="DCM", meaning=reason.meaning)
    events = tuple(
        msgspec.structs.replace(e, is_rejected=True, reject_reason=e.reject_reason or code)
        if own or bad.intersection(getattr(e, "acquired_image_uids", ()))
        else e
        for e in part.events
    )
    return msgspec.structs.replace(part, events=events) if part.events else part
