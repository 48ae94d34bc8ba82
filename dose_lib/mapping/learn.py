"""Names learned from the site's own: what differs from a known name by its spelling alone."""

from __future__ import annotations

from typing import Any

from dose_lib.mapping.decide import MAPPING
from dose_lib.mapping.read import read_decisions
from dose_lib.mapping.waiting import WaitingName, find_waiting
from dose_lib.normalise import LEARNED_BY, mapping_key
from dose_lib.records import Decision
from dose_lib.settings import Settings, load_settings
from dose_lib.store import submit_decision

AUTHOR = "DoseLoop"


def learn_names(
    con: Any, *, settings: Settings | None = None, dry_run: bool = False
) -> tuple[Decision, ...]:
    """Take what is sure enough among the names that wait; a person may take each back.

    Parameters
    ----------
    con
        From `dose_lib.connect`.
    settings
        Of the installation; its `accept_names_from` decides what is sure enough.
    dry_run
        True to say what would be learned, and change nothing.

    Returns
    -------
    tuple of Decision
        One a name, with confidence and evidence. What a person decided about, or took back,
        is never learned again.
    """
    settings = settings or load_settings()
    settled = {mapping_key(d) for d in read_decisions(con, MAPPING)}
    found = [
        learned(w)
        for w in find_waiting(con, settings=settings)
        if w.best is not None and w.best.confidence >= settings.accept_names_from
    ]
    fresh = [d for d in found if not {mapping_key(d), d.subject} & settled]
    return tuple(fresh) if dry_run or not fresh else submit_decision(settings, *fresh)


def learned(name: WaitingName) -> Decision:
    """The decision that a waiting name means what it most likely does."""
    best = name.suggestions[0]
    payload = {
        "procedure_name": best.procedure_name,
        "modality": name.modality,
        "origin": LEARNED_BY,
        "confidence": round(best.confidence, 4),
        "evidence": best.evidence,
    }
    return Decision(kind=MAPPING, subject=name.subject, payload=payload, author=AUTHOR)
