"""Decisions about names: taken, taken back, listed, and what they did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from dose_lib.errors import UsageError, did_you_mean
from dose_lib.mapping.read import read_decisions
from dose_lib.normalise import (
    LEARNED_BY,
    body_regions,
    find_procedure,
    mapping_key,
    read_site,
    subject_key,
)
from dose_lib.records import Decision, Modality
from dose_lib.settings import Settings, load_settings
from dose_lib.store import decision_id, submit_decision

if TYPE_CHECKING:
    import pandas as pd

MAPPING, ANEW = "procedure_mapping", "renormalise"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A mapping that holds.

    `origin` is ``person``, ``learned`` or ``file``; author and time are those of the decision.
    """

    subject: str
    modality: str | None
    procedure_name: str | None
    origin: str
    author: str | None = None
    decided_at: datetime | None = None
    because: str | None = None


def mapping_decision(
    subject: str,
    procedure_name: str | None,
    *,
    modality: str | None,
    author: str,
    because: str | None = None,
    body_region: str | None = None,
) -> Decision:
    """The decision that a name means a procedure, checked.

    Raises
    ------
    UsageError
        For an unknown procedure (the site's own need their body region), region or modality,
        or a procedure that the modality does not do.
    """
    if modality is not None and modality not in list(Modality):
        raise UsageError(f"unknown modality {modality!r}", todo=did_you_mean(modality, Modality))
    if body_region is not None and body_region not in body_regions():
        hint = did_you_mean(body_region, body_regions())
        raise UsageError(f"unknown body region {body_region!r}", todo=hint)
    if procedure_name is not None and body_region is None:
        entry = find_procedure(procedure_name)
        if modality is not None and modality not in entry.modalities:
            does = " or ".join(entry.modalities)
            raise UsageError(f"{procedure_name} is done by {does}", expected=f"one of {modality}")
    said = {"modality": modality, "body_region": body_region, "note": because}
    payload = {"procedure_name": procedure_name} | {k: v for k, v in said.items() if v}
    return Decision(kind=MAPPING, subject=subject_key(subject), payload=payload, author=author)


def accept_name(
    subject: str,
    procedure_name: str | None,
    *,
    author: str,
    because: str,
    modality: str | None = None,
    body_region: str | None = None,
    settings: Settings | None = None,
) -> Decision:
    """Say what a name means here; stored exams are named anew, and former names are kept.

    Parameters
    ----------
    subject
        The name as written, or ``SCHEME:code``.
    procedure_name
        A procedure of the catalogue; another one of the site with its `body_region`; None:
        exams of this name are to have none.
    author, because
        Who decides, and why; kept with the time, and never overwritten. Name no patient here.
    modality
        Only exams of it; by default of every modality that does the procedure.

    Returns
    -------
    Decision
        As kept.
    """
    decision = mapping_decision(
        subject, procedure_name, modality=modality, author=author, because=because,
        body_region=body_region,
    )  # fmt: skip
    return submit_decision(settings or load_settings(), decision)[0]


def undo_name(
    con: Any,
    subject: str,
    *,
    author: str,
    because: str,
    modality: str | None = None,
    settings: Settings | None = None,
) -> Decision:
    """Take back the last decision about a name: what held before it holds again.

    Raises
    ------
    UsageError
        If no decision about this name holds.
    """
    made = _about(con, subject, modality)
    held = _held(made)
    if not held:
        known = sorted({d.subject for d in read_decisions(con, MAPPING)})
        hint = did_you_mean(subject, known) if known else "Nothing was decided yet"
        raise UsageError(f"no decision about {subject!r} holds", todo=hint)
    last, former = held[-1], held[-2] if len(held) > 1 else None
    payload: dict[str, Any] = {"procedure_name": None, "is_revoked": True}
    if former is not None:
        payload = {k: v for k, v in former.payload.items() if k != "undoes"}
    elif last.payload.get("origin") == LEARNED_BY:
        payload["origin"] = LEARNED_BY
    if known_modality := last.payload.get("modality"):
        payload["modality"] = known_modality
    payload |= {"note": because, "undoes": decision_id(last)}
    taken_back = Decision(kind=MAPPING, subject=last.subject, payload=payload, author=author)
    return submit_decision(settings or load_settings(), taken_back)[0]


def name_anew(*, author: str, because: str, settings: Settings | None = None) -> Decision:
    """Name all stored exams anew: after an upgrade, a new threshold, an edited `procedures.toml`.

    Sizes and derived doses are computed anew too; what each exam was called before stays known.
    """
    decision = Decision(kind=ANEW, subject="all", payload={"reason": because}, author=author)
    return submit_decision(settings or load_settings(), decision)[0]


def _about(con: Any, subject: str, modality: str | None) -> list[Decision]:
    """Decisions about a name in one modality, oldest first."""
    key = subject_key(subject)
    made = [d for d in read_decisions(con, MAPPING) if subject_key(d.subject) == key]
    if modality is not None:
        return [d for d in made if d.payload.get("modality") == modality]
    kinds = sorted({str(d.payload.get("modality") or "any") for d in made})
    if len(kinds) > 1:
        seen = f"{subject!r} was decided about for {', '.join(kinds)}"
        raise UsageError(seen, todo="Say which with the modality")
    return made


def _held(made: list[Decision]) -> list[Decision]:
    """Decisions that hold one over the other; those that were taken back are gone."""
    held: list[Decision] = []
    for decision in made:
        if undone := decision.payload.get("undoes"):
            held = [d for d in held if decision_id(d) != undone]
        elif decision.payload.get("is_revoked"):
            held = []
        else:
            held.append(decision)
    return held


def standing_names(
    con: Any, *, as_of: datetime | None = None, settings: Settings | None = None
) -> tuple[Standing, ...]:
    """The mappings that hold, or held at a moment: decisions and `procedures.toml`.

    The file has no history: it is shown as it is now.
    """
    settings = settings or load_settings()
    made = read_decisions(con, MAPPING, as_of=as_of)
    last: dict[tuple[str, bool], Decision] = {}
    for decision in made:
        last[mapping_key(decision), decision.payload.get("origin") == LEARNED_BY] = decision
    found = [_standing(d) for d in last.values() if not d.payload.get("is_revoked")]
    decided = {mapping_key(d) for d in made if d.payload.get("origin") != LEARNED_BY}
    by_file = read_site(settings).procedures
    found += [
        Standing(subject=key, modality=None, procedure_name=name or None, origin="file")
        for key, name in by_file.items()
        if key not in decided
    ]
    return tuple(sorted(found, key=lambda s: (s.subject, s.modality or "")))


def _standing(decision: Decision) -> Standing:
    payload: Mapping[str, Any] = decision.payload
    return Standing(
        subject=decision.subject,
        modality=payload.get("modality"),
        procedure_name=payload.get("procedure_name"),
        origin=payload.get("origin") or "person",
        author=decision.author,
        decided_at=decision.decided_at,
        because=payload.get("note") or payload.get("evidence"),
    )


def name_history(con: Any, subject: str | None = None) -> pd.DataFrame:
    """Every decision about names, the newest first, with what it did.

    Returns
    -------
    pandas.DataFrame
        ``decided_at, author, subject, modality, decided, because, n_renamed, decision_id``;
        `n_renamed` is None while stored exams do not obey it yet.
    """
    import pandas as pd

    decisions, applied = con.table("decisions"), con.table("applied_decision")
    rows = decisions.filter(decisions.kind.isin((MAPPING, ANEW))).left_join(applied, "decision_id")
    names = ("decision_id", "kind", "subject", "payload", "author", "decided_at", "n_parts")
    chosen = rows.select(*names)
    wanted = None if subject is None else subject_key(subject)
    told = [
        _history_row(row)
        for row in chosen.order_by(chosen.decided_at.desc(), "decision_id").to_pyarrow().to_pylist()
        if wanted in (None, row["subject"], subject_key(row["subject"]))
    ]
    columns = [
        "decided_at", "author", "subject", "modality", "decided", "because", "n_renamed",
        "decision_id",
    ]  # fmt: skip
    return pd.DataFrame(told, columns=columns)


def _history_row(row: dict[str, Any]) -> tuple[Any, ...]:
    payload = row["payload"]
    said = json.loads(payload) if isinstance(payload, str) else dict(payload)
    if row["kind"] == ANEW:
        decided = "all named anew"
    elif said.get("is_revoked"):
        decided = "taken back"
    else:
        decided = said.get("procedure_name") or "no procedure"
    because = said.get("note") or said.get("evidence") or said.get("reason")
    return (
        row["decided_at"], row["author"], row["subject"], said.get("modality"), decided, because,
        row["n_parts"], row["decision_id"],
    )  # fmt: skip
