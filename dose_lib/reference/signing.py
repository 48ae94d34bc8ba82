"""The site's sign-off of rows that were not verified in their source.

A sign-off is a `Decision` of kind ``drl_sign_off``: subject the set, payload
``{"rows": {row_id: [value, phantom]}, "also_for": [...], "is_revoked": false, "note": ...}``. It
names the value that was signed, so that it lapses when a row is corrected. `also_for` names
further procedures the rows are for at this site: the publication's words are wider than ours
("abdomen" of RP 185 is used for abdomen with pelvis, too).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from dose_lib.errors import LevelError, did_you_mean
from dose_lib.normalise import find_procedure
from dose_lib.records import Decision, Phantom
from dose_lib.reference.level import Level, PhantomBasis

KIND = "drl_sign_off"


class SignOff(NamedTuple):
    """One row that somebody of the site has confirmed, or taken back."""

    row_id: str
    value: float
    phantom: str | None
    author: str
    is_revoked: bool = False
    also_for: tuple[str, ...] = ()


def sign_off(
    levels: Iterable[Level],
    set_id: str,
    *,
    author: str,
    rows: Sequence[str] | None = None,
    phantom: Phantom | str | None = None,
    also_for: Sequence[str] = (),
    note: str | None = None,
    is_revoked: bool = False,
) -> Decision:
    """The decision that confirms rows of a set against their source.

    Parameters
    ----------
    levels
        The library, as `load_levels` gives it.
    set_id
        Set that was checked, such as ``GB-UKHSA-NDRL``.
    author
        Who checked it.
    rows
        Row ids; all rows of the set by default.
    phantom
        Phantom of the rows that name none; a stated phantom stays.
    also_for
        Procedures of the catalogue the rows are for besides their own.
    note
        What was checked, and against which copy.
    is_revoked
        True takes an earlier sign-off back.

    Raises
    ------
    LevelError
        For a set or a row that does not exist.
    UsageError
        For an unknown procedure in `also_for`.

    Examples
    --------
    `store.decide(sign_off(load_levels(settings), "GB-UKHSA-NDRL", author="medical physics"))`
    """
    library = tuple(levels)
    of_set = {level.row_id: level for level in library if level.set_id == set_id}
    if not of_set:
        known = {level.set_id for level in library}
        raise LevelError(f"no set {set_id!r}", todo=did_you_mean(set_id, known))
    chosen = list(of_set) if rows is None else list(rows)
    for row in chosen:
        if row not in of_set:
            raise LevelError(f"no row {row!r} in {set_id}", todo=did_you_mean(row, of_set))
    signed = {row: [of_set[row].value, of_set[row].phantom or phantom] for row in chosen}
    payload: dict[str, Any] = {"rows": signed, "is_revoked": is_revoked, "note": note}
    if also_for:
        payload["also_for"] = [find_procedure(name).name for name in also_for]
    return Decision(kind=KIND, subject=set_id, payload=payload, author=author)


def sign_offs(decisions: Iterable[Decision]) -> tuple[SignOff, ...]:
    """Rows signed off or taken back, in the order they were decided."""
    found: list[SignOff] = []
    for decision in decisions:
        rows = decision.payload.get("rows") if decision.kind == KIND else None
        if isinstance(rows, Mapping):
            revoked = bool(decision.payload.get("is_revoked"))
            more = decision.payload.get("also_for")
            names = tuple(str(n) for n in more) if isinstance(more, Sequence) else ()
            found += [
                SignOff(row, float(value), phantom, decision.author, revoked, names)
                for row, (value, phantom) in rows.items()
            ]
    return tuple(found)


def read_decisions(
    con: Any, kind: str = KIND, *, as_of: datetime | None = None
) -> tuple[Decision, ...]:
    """Decisions of one kind from the store's view `decisions`, oldest first.

    Parameters
    ----------
    con
        ibis backend of `dose_lib.connect`; None gives none.
    kind
        Kind of decision.
    as_of
        A moment with zone: those of later are left out.
    """
    if con is None:
        return ()
    table = con.table("decisions")
    table = table.filter(table.kind == kind)
    if as_of is not None:
        table = table.filter(table.decided_at <= as_of)
    rows = table.order_by(table.decided_at).to_pyarrow().to_pylist()
    return tuple(
        Decision(
            kind=row["kind"],
            subject=row["subject"],
            payload=_payload(row["payload"]),
            author=row["author"],
            decided_at=row["decided_at"],
        )
        for row in rows
    )


def _payload(value: object) -> dict[str, Any]:
    if isinstance(value, str):
        return dict(json.loads(value))
    return dict(value) if isinstance(value, Mapping) else {}


def apply_sign_offs(levels: Iterable[Level], signed: Iterable[SignOff]) -> tuple[Level, ...]:
    """Levels with what the site confirmed; the last word on a row counts.

    A sign-off of another value than the row has now does not count.
    """
    last = {s.row_id: s for s in signed}
    found: list[Level] = []
    for level in levels:
        mine = last.get(level.row_id)
        applied = _apply(level, mine)
        found.append(applied)
        if mine is not None and applied.is_signed_off:
            found += [_for_procedure(applied, name) for name in mine.also_for]
    return tuple(found)


def _for_procedure(level: Level, name: str) -> Level:
    """The row for a further procedure that the site has named."""
    return msgspec.structs.replace(
        level,
        row_id=f"{level.row_id}@{name}",
        procedure_name=name,
        body_region=find_procedure(name).region or level.body_region,
        note="; ".join(n for n in (level.note, f"also for {name} by the site's decision") if n),
    )


def _apply(level: Level, signed: SignOff | None) -> Level:
    if signed is None or signed.is_revoked or signed.value != level.value:
        return level
    phantom, basis = level.phantom, level.phantom_basis
    if level.needs_phantom and (phantom or signed.phantom):
        phantom = phantom or Phantom(str(signed.phantom))
        basis = PhantomBasis.SIGN_OFF
    return msgspec.structs.replace(
        level, is_signed_off=True, signed_by=signed.author, phantom=phantom, phantom_basis=basis
    )
