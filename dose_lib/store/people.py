"""What decisions about people do to the store: merged patients, and exams to be forgotten.

The vault decides, and hands its decisions on; the store keeps them, so that a rebuild comes
to the same result without the vault.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import duckdb

from dose_lib.records import Decision, Part
from dose_lib.store.decision import read_decisions
from dose_lib.vault.groups import ERASE, KINDS, Forgotten, forgotten, group

ERASED = "the patient's data were erased"
EXPIRED = "older than doses are kept"
UNREAD = "could not be read, and was kept no longer"
EXPIRE_DOSES = "dose_expire"
DECIDING = KINDS | {EXPIRE_DOSES}


def people_decisions(con: duckdb.DuckDBPyConnection) -> list[Decision]:
    """Every decision about people, and about how long doses are kept, that the store has."""
    return read_decisions(con, DECIDING)


class Gone(Forgotten, frozen=True):
    """What may no longer be kept in the store: exams of erased patients, and old ones.

    Attributes
    ----------
    unlinked
        Patients whose identities were erased; their doses stay, of nobody.
    doses_before
        Exams before this moment are older than doses are kept; None: none.
    """

    unlinked: Forgotten = Forgotten({}, {})
    doses_before: datetime | None = None

    def is_old(self, part: Part, received_at: datetime) -> bool:
        """True if a reading is older than doses are kept; local times are taken as they are."""
        if self.doses_before is None:
            return False
        started = part.started_at.replace(tzinfo=UTC) if part.started_at else received_at
        return started < self.doses_before


def what_is_gone(decisions: Sequence[Decision]) -> Gone:
    """What all erasures and expiries say; erasing identities alone leaves the doses."""
    about = [d for d in decisions if d.kind in KINDS]
    whole = forgotten(_without(about, "identities"))
    unlinked = forgotten(_without(about, "everything"))
    limits = [str(d.payload["before"]) for d in decisions if d.kind == EXPIRE_DOSES]
    return Gone(
        whole.patients,
        whole.staff,
        whole.before,
        unlinked,
        max((datetime.fromisoformat(x).astimezone(UTC) for x in limits), default=None),
    )


def _without(decisions: Sequence[Decision], scope: str) -> list[Decision]:
    return [
        d for d in decisions if d.kind != ERASE or d.payload.get("scope", "identities") != scope
    ]


def apply_aliases(con: duckdb.DuckDBPyConnection, decisions: Sequence[Decision]) -> None:
    """Bring the aliases of merged patients up to date; inside the caller's transaction."""
    aliases = sorted(group(decisions).survivors.items())
    con.execute("DELETE FROM patient_alias")
    if aliases:
        con.executemany("INSERT INTO patient_alias VALUES (?, ?)", aliases)
