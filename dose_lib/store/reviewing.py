"""Findings about exams that no longer stand as they did: closed with the reason, opened again.

* The exam is withdrawn: by a rejection note, or because it counts elsewhere now. The finding is
  closed, and gets its former state back when the exam counts again.
* The exam was corrected after the finding was opened, and its detector, looking at what counts
  now, finds nothing: closed, until that detector finds it again.

Both are decisions like those of people, by an author of their own, so that a rebuild knows them.
Whatever a person says afterwards holds. Findings about erased exams are gone with them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import duckdb
import msgspec

from dose_lib.records import Decision, FindingState
from dose_lib.store.standing import CORRECTED

AUTHOR = "doseloop"
WITHDRAWN = "the exam counts no longer"
CHANGED = "the exam was corrected, and nothing is found in it any more"
_STILL_OPEN = (FindingState.OPEN, FindingState.ACKNOWLEDGED)

_FINDINGS = """
    SELECT f.finding_id, f.part_key, f.detector,
        EXISTS (SELECT 1 FROM part AS p WHERE p.part_key = f.part_key) AS has_part,
        list({'state': d.payload->>'state', 'note': d.payload->>'note', 'author': d.author}
            ORDER BY d.decided_at, d.decision_id) FILTER (d.decision_id IS NOT NULL) AS answers
    FROM finding AS f
    LEFT JOIN decision AS d ON d.kind = 'finding_state' AND d.subject = f.finding_id
    WHERE f.part_key IS NOT NULL AND ($everything OR f.part_key IN (SELECT unnest($part_keys)))
    GROUP BY ALL
    ORDER BY f.finding_id
"""
_WHY = """
    SELECT r.part_key, min(o.reason) FROM reading AS r JOIN object AS o USING (receipt_id)
    WHERE r.part_key IN (SELECT unnest(?)) GROUP BY r.part_key
"""
# Something that counted has gone out since the finding was opened.
_CORRECTED_SINCE = """
    SELECT f.finding_id FROM finding AS f
    JOIN reading AS r USING (part_key)
    JOIN object AS o ON o.receipt_id = r.receipt_id
    WHERE f.finding_id IN (SELECT unnest($ids)) AND o.status = 'superseded'
        AND (o.reason = $corrected OR o.reason LIKE 'withdrawn by%')
        AND f.opened_at < greatest(
            (SELECT max(n.stored_at) FROM reading AS m JOIN object AS n USING (receipt_id)
                WHERE m.part_key = f.part_key),
            (SELECT max(n.stored_at) FROM rejection AS j JOIN object AS n USING (receipt_id)
                WHERE j.sop_key = r.sop_key))
"""


class _Answered(NamedTuple):
    """A finding with the answers to it, the oldest first."""

    finding_id: str
    part_key: str
    detector: str
    has_part: bool
    answers: list[dict[str, str | None]]

    @property
    def state(self) -> str:
        return (self.answers[-1]["state"] if self.answers else None) or FindingState.OPEN

    @property
    def ours(self) -> str | None:
        """Why we closed it; None if we did not, or opened it again."""
        last = next((a for a in reversed(self.answers) if a["author"] == AUTHOR), None)
        is_closed = last is not None and last["state"] == FindingState.CLOSED
        return last["note"] or "" if last is not None and is_closed else None

    @property
    def is_last_ours(self) -> bool:
        """True if nobody answered after us."""
        return bool(self.answers) and self.answers[-1]["author"] == AUTHOR

    @property
    def before(self) -> str:
        """Its state before we closed it."""
        said = [a["state"] for a in self.answers if a["author"] != AUTHOR]
        return (said[-1] if said else None) or FindingState.OPEN

    def answer(self, state: str, note: str) -> Decision:
        payload = {"state": str(state), "note": note}
        return Decision(
            kind="finding_state", subject=self.finding_id, payload=payload, author=AUTHOR
        )


class LookedAt(msgspec.Struct, frozen=True, kw_only=True):
    """What a look of the detectors came to.

    Attributes
    ----------
    part_keys
        The exams they looked at.
    detectors
        Those that looked without failing.
    found
        Ids of all they found, whether known before or not.
    """

    part_keys: tuple[str, ...]
    detectors: tuple[str, ...]
    found: frozenset[str]


def review_withdrawn(
    con: duckdb.DuckDBPyConnection, part_keys: Collection[str] | None = None
) -> list[Decision]:
    """Answers to findings whose exam counts no longer, or counts again.

    Parameters
    ----------
    con
        The store.
    part_keys
        Exams that were made anew; None for all.
    """
    findings = _findings(con, part_keys)
    gone = [f for f in findings if not f.has_part and f.state in _STILL_OPEN and f.ours is None]
    # An exam that has no reading either was never here, or is older than doses are kept.
    why = dict(con.execute(_WHY, [[f.part_key for f in gone]]).fetchall()) if gone else {}
    closed = [
        f.answer(FindingState.CLOSED, f"{WITHDRAWN}: {why[f.part_key]}")
        for f in gone
        if why.get(f.part_key)
    ]
    back = [
        f.answer(f.before, "the exam counts again")
        for f in findings
        if f.has_part and f.is_last_ours and (f.ours or "").startswith(WITHDRAWN)
    ]
    return closed + back


def review_looked_at(con: duckdb.DuckDBPyConnection, looked: LookedAt) -> list[Decision]:
    """Answers to findings about exams that detectors have looked at again."""
    findings = [
        f for f in _findings(con, looked.part_keys) if f.has_part and f.detector in looked.detectors
    ]
    lost = [
        f
        for f in findings
        if f.finding_id not in looked.found and f.state in _STILL_OPEN and f.ours is None
    ]
    since = _corrected_since(con, (f.finding_id for f in lost))
    back = [
        f.answer(f.before, "found in the exam again")
        for f in findings
        if f.finding_id in looked.found and f.is_last_ours and f.ours == CHANGED
    ]
    return [f.answer(FindingState.CLOSED, CHANGED) for f in lost if f.finding_id in since] + back


def _findings(con: duckdb.DuckDBPyConnection, part_keys: Collection[str] | None) -> list[_Answered]:
    given: dict[str, Any] = {"everything": part_keys is None, "part_keys": list(part_keys or ())}
    rows = con.execute(_FINDINGS, given).fetchall()
    return [_Answered._make((*row[:-1], row[-1] or [])) for row in rows]


def _corrected_since(con: duckdb.DuckDBPyConnection, ids: Iterable[str]) -> set[str]:
    given = list(ids)
    if not given:
        return set()
    rows = con.execute(_CORRECTED_SINCE, {"ids": given, "corrected": CORRECTED}).fetchall()
    return {finding_id for (finding_id,) in rows}
