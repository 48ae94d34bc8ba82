"""Local levels that a site adopted from its own data: signed, dated editions.

An adoption is a `Decision` of kind ``drl_adoption``: subject the set, payload ``{"edition",
"valid_from", "period": [first, last], "levels": [...], "note"}``. Each level carries the figures
it rests on, so that an edition can be read without the data behind it. A later edition of the
same set ends the one before for the procedures it holds; taking an edition back is a decision,
too (``is_revoked``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from dose_lib.errors import LevelError
from dose_lib.records import Decision, Phantom
from dose_lib.reference.level import Confidence, Kind, Level, Per, PhantomBasis, Quantity

ADOPTION = "drl_adoption"
MAX_LEVELS = 40  # a decision: what the store's door takes in one piece

_FIELDS = (
    "modality", "procedure_name", "body_region", "contrast", "population", "size_basis",
    "size_min", "size_max", "size_unit", "statistic", "value", "unit",
)  # fmt: skip


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """Figures an adopted level rests on.

    `n` patients in `n_rooms` rooms; `median` of them with its exact interval and quartiles.
    """

    n: int
    n_rooms: int
    median: float
    ci_low: float | None = None
    ci_high: float | None = None
    p25: float | None = None
    p75: float | None = None

    def in_words(self) -> str:
        """For the level's note."""
        rooms = "1 room" if self.n_rooms == 1 else f"{self.n_rooms} rooms"
        interval = ""
        if self.ci_low is not None and self.ci_high is not None:
            interval = f" (95 % CI {self.ci_low:.4g} to {self.ci_high:.4g})"
        return f"{self.n} patients in {rooms}, median {self.median:.4g}{interval}"


def adoption(
    levels: Sequence[tuple[Level, Basis]],
    *,
    set_id: str,
    edition: str,
    valid_from: date,
    period: tuple[date, date],
    author: str,
    note: str | None = None,
) -> tuple[Decision, ...]:
    """Decisions that make levels the site's own, from a day on.

    Parameters
    ----------
    levels
        Proposed rows, each with the figures it rests on.
    set_id, edition
        Name of the site's set and of this edition.
    valid_from
        First day of exams that are compared with it.
    period
        First and last day of the data it was computed from.
    author
        Who signs.
    note
        Why, by which method.

    Returns
    -------
    tuple of Decision
        One or, for many rows, several; all belong to the edition.

    Raises
    ------
    LevelError
        Without any level, or for a row without a quantity's phantom.
    """
    if not levels:
        raise LevelError("there is no level to adopt", todo="Propose levels of a longer period")
    for level, _ in levels:
        if level.needs_phantom and level.phantom is None:
            raise LevelError(f"{level.row_id} states no phantom", expected="16cm or 32cm")
    rows = [_payload(level, basis) for level, basis in levels]
    common = {
        "edition": edition,
        "valid_from": valid_from.isoformat(),
        "period": [d.isoformat() for d in period],
        "note": note,
        "is_revoked": False,
    }
    return tuple(
        Decision(
            kind=ADOPTION,
            subject=set_id,
            payload={**common, "levels": rows[i : i + MAX_LEVELS]},
            author=author,
        )
        for i in range(0, len(rows), MAX_LEVELS)
    )


def _payload(level: Level, basis: Basis) -> dict[str, Any]:
    plain = {name: getattr(level, name) for name in _FIELDS}
    plain |= {
        "quantity": level.quantity.value,
        "per": level.per.value,
        "phantom": level.phantom and level.phantom.value,
        "basis": msgspec.to_builtins(basis),
    }
    return {name: value for name, value in plain.items() if value is not None}


def revoke(set_id: str, edition: str, *, author: str, note: str | None = None) -> Decision:
    """The decision that takes an edition of the site's own levels back."""
    payload = {"edition": edition, "is_revoked": True, "note": note, "levels": []}
    return Decision(kind=ADOPTION, subject=set_id, payload=payload, author=author)


def adopted_levels(decisions: Iterable[Decision]) -> tuple[Level, ...]:
    """Levels in force by adoption, oldest edition first.

    Parameters
    ----------
    decisions
        Of kind ``drl_adoption``, oldest first.
    """
    editions: dict[tuple[str, str], list[Level]] = {}
    for decision in (d for d in decisions if d.kind == ADOPTION):
        key = (decision.subject, str(decision.payload.get("edition")))
        if decision.payload.get("is_revoked"):
            editions.pop(key, None)
        else:
            editions.setdefault(key, []).extend(_levels(decision))
    return _with_ends([level for levels in editions.values() for level in levels])


def _levels(decision: Decision) -> list[Level]:
    payload = decision.payload
    rows = payload.get("levels")
    valid_from = date.fromisoformat(str(payload["valid_from"]))
    given = rows if isinstance(rows, Sequence) else ()
    return [_level(row, decision, str(payload["edition"]), valid_from) for row in given]


def _level(row: Mapping[str, Any], decision: Decision, edition: str, valid_from: date) -> Level:
    basis = msgspec.convert(row["basis"], Basis)
    own: dict[str, Any] = {name: row[name] for name in _FIELDS if name in row}
    own.setdefault("population", "adult")
    phantom = row.get("phantom")
    band = f"{row.get('size_min') or 0:g}-{row.get('size_max') or ''}{row.get('size_unit') or ''}"
    words = (
        decision.subject, edition, str(row["procedure_name"]), row.get("contrast"),
        own["population"], band if row.get("size_basis") else None, row["quantity"], phantom,
        row["statistic"], row["per"],
    )  # fmt: skip
    return Level(
        set_id=decision.subject,
        edition=edition,
        row_id="/".join(str(w) for w in words if w),
        kind=Kind.LOCAL,
        origin="site",
        year=valid_from.year,
        status=f"adopted by {decision.author}",
        valid_from=valid_from,
        source_procedure=row["procedure_name"],
        quantity=Quantity(row["quantity"]),
        per=Per(row["per"]),
        phantom=Phantom(phantom) if phantom else None,
        phantom_basis=PhantomBasis.SOURCE if phantom else None,
        confidence=Confidence.VERIFIED,
        note=basis.in_words(),
        is_signed_off=True,
        signed_by=decision.author,
        **own,
    )


def _with_ends(levels: Sequence[Level]) -> tuple[Level, ...]:
    """Each row ends the day before a later edition of its set has the same row."""
    return tuple(_ended(level, _later(level, levels)) for level in levels)


def _later(level: Level, levels: Sequence[Level]) -> list[date]:
    return [
        x.valid_from
        for x in levels
        if x.valid_from and level.valid_from and x.valid_from > level.valid_from
        and x.set_id == level.set_id and _slot(x) == _slot(level)
    ]  # fmt: skip


def _slot(level: Level) -> tuple[object, ...]:
    return (
        level.procedure_name, level.contrast, level.population, level.size_basis, level.size_min,
        level.size_max, level.quantity, level.phantom, level.per,
    )  # fmt: skip


def _ended(level: Level, later: Sequence[date]) -> Level:
    if not later:
        return level
    return msgspec.structs.replace(level, valid_to=min(later) - timedelta(days=1))
