"""Answers to findings: decisions handed to the store's owner through its door."""

from __future__ import annotations

from dose_lib.records import Decision, FindingState
from dose_lib.settings import Settings, load_settings
from dose_lib.store import submit_decision


def acknowledge(
    finding_id: str, *, author: str, note: str | None = None, settings: Settings | None = None
) -> Decision:
    """Somebody has seen the finding and looks into it.

    Parameters
    ----------
    finding_id
        Which one.
    author
        Who answers: a role or a name the site may store.
    note
        What was found out; no identifiers of patients.
    settings
        Of the installation; by default this one.

    Returns
    -------
    Decision
        As it was recorded. Answering again adds a decision; the latest one holds.
    """
    return _decide(finding_id, FindingState.ACKNOWLEDGED, author, note, settings)


def dismiss(
    finding_id: str, *, author: str, note: str, settings: Settings | None = None
) -> Decision:
    """The finding is no problem; the note says why, which is how precision is measured."""
    return _decide(finding_id, FindingState.DISMISSED, author, note, settings)


def close_finding(
    finding_id: str, *, author: str, note: str, settings: Settings | None = None
) -> Decision:
    """The finding was true and its cause is removed; the note says how."""
    return _decide(finding_id, FindingState.CLOSED, author, note, settings)


def reopen(
    finding_id: str, *, author: str, note: str | None = None, settings: Settings | None = None
) -> Decision:
    """The finding is open again."""
    return _decide(finding_id, FindingState.OPEN, author, note, settings)


def _decide(
    finding_id: str, state: FindingState, author: str, note: str | None, settings: Settings | None
) -> Decision:
    payload = {"state": state.value} | ({"note": note} if note else {})
    decision = Decision(kind="finding_state", subject=finding_id, payload=payload, author=author)
    return submit_decision(settings or load_settings(), decision)[0]
