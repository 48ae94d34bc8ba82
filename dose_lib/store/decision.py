"""Decisions of people: what may be decided, checked, and appended to the store."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import duckdb
import msgspec
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from dose_lib.errors import UsageError, did_you_mean
from dose_lib.records import Decision, FindingState, Modality
from dose_lib.vault.payloads import PAYLOADS, SUBJECTS

MAX_PAYLOAD_BYTES = 20_000


class _Payload(BaseModel):
    model_config = ConfigDict(extra="forbid", str_max_length=2000, str_strip_whitespace=True)


class FindingStatePayload(_Payload):
    """A finding was acknowledged, dismissed, closed or opened again."""

    state: FindingState
    note: str | None = None


class DeviceNamePayload(_Payload):
    """How the site calls a device, and where it stands."""

    display_name: str | None = Field(None, min_length=1, max_length=80)
    site: str | None = Field(None, min_length=1, max_length=80)
    room: str | None = Field(None, min_length=1, max_length=80)


class OperatorCodePayload(_Payload):
    """The code under which a member of staff appears."""

    code: str = Field(min_length=1, max_length=40)


class ProcedureMappingPayload(_Payload):
    """The standard procedure behind a study description, code or protocol of the site.

    Without a name the exams are to have none. `origin` is ``learned`` where no person chose
    the name; `is_revoked` takes an earlier mapping of the same subject back, `undoes` is the
    id of the decision before which this one returns.
    """

    procedure_name: str | None = Field(None, min_length=1, max_length=80)
    body_region: str | None = Field(None, max_length=80)
    modality: Modality | None = None
    origin: Literal["person", "learned"] = "person"
    confidence: float | None = Field(None, ge=0, le=1)
    evidence: str | None = None
    note: str | None = None
    is_revoked: bool = False
    undoes: str | None = Field(None, max_length=40)


class DeviceLinkPayload(_Payload):
    """Two device keys are one unit; null takes a link back."""

    same_as: str | None = Field(max_length=40)
    note: str | None = None


class DeviceEventPayload(_Payload):
    """Something that happened to a device, for its timeline."""

    what: str = Field(min_length=1, max_length=200)
    category: Literal["service", "part replaced", "protocol", "calibration", "test", "other"]
    at: datetime
    note: str | None = None


class RenormalisePayload(_Payload):
    """Names, sizes and derived doses of all stored exams are to be made anew."""

    reason: str | None = None


class DoseExpirePayload(_Payload):
    """Doses of exams before this moment are no longer kept."""

    before: AwareDatetime


class HistoryImportPayload(_Payload):
    """The exams of an imported export count no longer, or count again."""

    is_undone: bool
    note: str | None = None


class CommentPayload(_Payload):
    """A remark on anything."""

    text: str = Field(min_length=1)


class OpenPayload(BaseModel):
    """Any JSON object: what a sign-off says is checked by the reference levels it is about."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue] = Field(init=False)


KINDS: Mapping[str, type[BaseModel]] = {
    "comment": CommentPayload,
    "device_event": DeviceEventPayload,
    "device_link": DeviceLinkPayload,
    "device_name": DeviceNamePayload,
    "dose_expire": DoseExpirePayload,
    "drl_adoption": OpenPayload,
    "drl_sign_off": OpenPayload,
    "finding_state": FindingStatePayload,
    "history_import": HistoryImportPayload,
    "operator_code": OperatorCodePayload,
    "procedure_mapping": ProcedureMappingPayload,
    "renormalise": RenormalisePayload,
    # Decisions about people come from the vault, which also says what they may hold.
    **PAYLOADS,
}


class DecisionForm(BaseModel):
    """A decision as it comes in at the door: closed kinds, limited sizes, no other names."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    kind: str = Field(max_length=40)
    subject: str = Field(min_length=1, max_length=400)
    payload: dict[str, JsonValue] = Field(default_factory=dict)
    author: str = Field(min_length=1, max_length=80)
    decided_at: datetime | None = None


def check_decision(given: Decision | Mapping[str, Any] | bytes) -> Decision:
    """A decision whose kind, payload and sizes are right.

    Parameters
    ----------
    given
        A decision, its fields by name, or their JSON.

    Raises
    ------
    UsageError
        With the name and what is wrong with it.
    """
    try:
        if isinstance(given, bytes):
            form = DecisionForm.model_validate_json(given)
        else:
            plain = msgspec.to_builtins(given, builtin_types=(datetime,))
            form = DecisionForm.model_validate(plain)
        if form.kind not in KINDS:
            hint = did_you_mean(form.kind, KINDS)
            raise UsageError(f"nothing is decided under the name {form.kind!r}", todo=hint)
        _check_subject(form)
        payload = KINDS[form.kind].model_validate(form.payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(p) for p in first["loc"]) or "decision"
        raise UsageError(f"the decision is not usable: {first['msg']}", where=where) from None
    kept = payload.model_dump(mode="json", exclude_unset=True)
    if len(msgspec.json.encode(kept)) > MAX_PAYLOAD_BYTES:
        raise UsageError("the decision is too long", expected=f"{MAX_PAYLOAD_BYTES} bytes at most")
    return Decision(
        kind=form.kind,
        subject=form.subject,
        payload=kept,
        author=form.author,
        decided_at=_aware(form.decided_at),
    )


def _check_subject(form: DecisionForm) -> None:
    pattern = SUBJECTS.get(form.kind)
    if pattern is not None and not re.match(pattern, form.subject):
        raise UsageError(
            f"the subject of a decision of kind {form.kind} is no key", expected=pattern
        )


def _aware(moment: datetime | None) -> datetime | None:
    if moment is None or moment.tzinfo is not None:
        return moment
    raise UsageError("decided_at has no zone", expected="such as 2026-05-04T10:15:00+02:00")


def decision_id(decision: Decision) -> str:
    """Key of a decision: handed in twice, it is kept once."""
    moment = decision.decided_at.astimezone(UTC) if decision.decided_at else None
    given = msgspec.structs.replace(decision, decided_at=moment)
    # Sorted: a payload that was written down and read again has its names in another order.
    content = msgspec.json.encode(given, order="sorted")
    return hashlib.sha256(content).hexdigest()[:24]


def read_decisions(
    con: duckdb.DuckDBPyConnection, kinds: Collection[str] | None = None
) -> list[Decision]:
    """Every decision of a store or of the vault, or those of some kinds; the oldest first."""
    rows = con.execute(
        "SELECT kind, subject, payload, author, decided_at FROM decision"
        " WHERE $all OR kind IN (SELECT unnest($kinds)) ORDER BY decided_at, decision_id",
        {"all": kinds is None, "kinds": sorted(kinds or ())},
    ).fetchall()
    return [
        Decision(
            kind=kind,
            subject=subject,
            payload=msgspec.json.decode(payload),
            author=author,
            decided_at=decided_at.astimezone(UTC),
        )
        for kind, subject, payload, author, decided_at in rows
    ]


def append_decisions(
    con: duckdb.DuckDBPyConnection, decisions: Sequence[Decision], now: datetime
) -> list[Decision]:
    """Append checked decisions; those that are there already are left. Returns all, as kept."""
    kept = [d if d.decided_at else msgspec.structs.replace(d, decided_at=now) for d in decisions]
    for decision in kept:
        con.execute(
            "INSERT INTO decision SELECT ?, ?, ?, ?, ?, ?"
            " WHERE NOT EXISTS (SELECT 1 FROM decision WHERE decision_id = ?)",
            [
                decision_id(decision),
                decision.kind,
                decision.subject,
                msgspec.json.encode(decision.payload, order="sorted").decode(),
                decision.author,
                decision.decided_at,
                decision_id(decision),
            ],
        )
    return kept
