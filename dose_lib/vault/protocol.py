"""What can be said to the vault's process: one line of JSON asks, one line answers.

Closed kinds, no unknown names, sizes limited; whatever does not fit is refused before
anything is done with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec

from dose_lib import errors
from dose_lib.errors import DoseError, VaultError
from dose_lib.records import Decision
from dose_lib.records.identity import Hidden
from dose_lib.vault.payloads import Cause, Scope
from dose_lib.vault.records import AuditRow, Erasure, Identification, Match, VaultFacts
from dose_lib.vault.search import By

MAX_REQUEST = 512_000
MAX_DECISIONS = 500

_Key = Annotated[str, msgspec.Meta(max_length=64)]
_Text = Annotated[str, msgspec.Meta(max_length=1000)]


class Ask(Hidden, frozen=True, kw_only=True, tag_field="ask", forbid_unknown_fields=True):
    """A request; `token` shows who asks where the account alone does not."""

    token: Annotated[str, msgspec.Meta(max_length=200)] | None = None


class Status(Ask, frozen=True, kw_only=True, tag="status"):
    """Numbers about the vault."""


class Drain(Ask, frozen=True, kw_only=True, tag="drain"):
    """Take in what waits, now; answers how many files."""


class SameStaff(Ask, frozen=True, kw_only=True, tag="same staff"):
    """Staff keys that are very likely one person."""


class StaffNames(Ask, frozen=True, kw_only=True, tag="staff names"):
    """Names of staff by key, where the site shows them."""


class Identify(Ask, frozen=True, kw_only=True, tag="identify"):
    """Whom keys stand for."""

    keys: Annotated[tuple[_Key, ...], msgspec.Meta(min_length=1, max_length=500)]
    reason: _Text


class Search(Ask, frozen=True, kw_only=True, tag="search"):
    """The key of someone."""

    by: By
    value: Annotated[str, msgspec.Meta(max_length=200)]
    reason: _Text


class Merge(Ask, frozen=True, kw_only=True, tag="merge"):
    """Make two patients one."""

    surviving: _Key
    losing: _Key
    reason: _Text


class Unmerge(Ask, frozen=True, kw_only=True, tag="unmerge"):
    """Take a merge back."""

    surviving: _Key
    losing: _Key
    reason: _Text


class Erase(Ask, frozen=True, kw_only=True, tag="erase"):
    """Erase a patient or a member of staff."""

    key: _Key
    reason: _Text
    cause: Cause = "request"
    scope: Scope = "identities"


class Expire(Ask, frozen=True, kw_only=True, tag="expire"):
    """Drop identities of exams before a moment."""

    before: Annotated[datetime, msgspec.Meta(tz=True)]


class Apply(Ask, frozen=True, kw_only=True, tag="apply"):
    """Take over decisions made elsewhere; answers how many were new."""

    decisions: Annotated[tuple[Decision, ...], msgspec.Meta(max_length=MAX_DECISIONS)]


class Decisions(Ask, frozen=True, kw_only=True, tag="decisions"):
    """All decisions of the vault."""


class ReadAudit(Ask, frozen=True, kw_only=True, tag="audit"):
    """Rows of the audit, the newest first."""

    since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    key: _Key | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1000


class Verify(Ask, frozen=True, kw_only=True, tag="verify"):
    """Check the audit's chain; answers its length and newest hash."""


class Copy(Ask, frozen=True, kw_only=True, tag="copy"):
    """Write an encrypted copy for a backup."""

    path: _Text


class Rekey(Ask, frozen=True, kw_only=True, tag="rekey"):
    """Encrypt with a fresh key."""

    reason: _Text


Request = (
    Status
    | Drain
    | SameStaff
    | StaffNames
    | Identify
    | Search
    | Merge
    | Unmerge
    | Erase
    | Expire
    | Apply
    | Decisions
    | ReadAudit
    | Verify
    | Copy
    | Rekey
)

# What answers each kind of request.
ANSWERS: Mapping[type[Ask], Any] = {
    Status: VaultFacts,
    Drain: int,
    SameStaff: tuple[tuple[str, ...], ...],
    StaffNames: dict[str, str],
    Identify: tuple[Identification, ...],
    Search: tuple[Match, ...],
    Merge: Decision,
    Unmerge: Decision,
    Erase: Erasure,
    Expire: Erasure | None,
    Apply: int,
    Decisions: tuple[Decision, ...],
    ReadAudit: tuple[AuditRow, ...],
    Verify: tuple[int, str],
    Copy: None,
    Rekey: None,
}


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """An error on its way to whoever asked."""

    kind: str
    seen: str
    expected: str | None = None
    where: str | None = None
    todo: str | None = None

    @classmethod
    def of(cls, error: DoseError) -> Fault:
        """The fault that tells of an error."""
        return cls(
            kind=type(error).__name__,
            seen=error.seen,
            expected=error.expected,
            where=error.where,
            todo=error.todo,
        )

    def as_error(self) -> DoseError:
        """The error again, of the same kind where it is one of ours."""
        kind = getattr(errors, self.kind, VaultError)
        if not (isinstance(kind, type) and issubclass(kind, DoseError)):
            kind = VaultError
        return kind(self.seen, expected=self.expected, where=self.where, todo=self.todo)


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An answer: a result, or a fault."""

    result: msgspec.Raw = msgspec.Raw(b"null")
    fault: Fault | None = None

    def __repr__(self) -> str:
        return "<Reply: hidden>"


_REQUESTS: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_REPLIES = msgspec.json.Decoder(Reply)


def encode(message: Ask | Reply) -> bytes:
    """A message as one line."""
    return msgspec.json.encode(message) + b"\n"


def decode_request(line: bytes) -> Request:
    """A request from a line.

    Raises
    ------
    UsageError
        If it is none; what it said is not repeated.
    """
    try:
        return _REQUESTS.decode(line)
    except msgspec.DecodeError:
        raise errors.UsageError(
            "this is no request to the identity vault",
            expected="a line of JSON of a known kind",
            todo="Is the other side of the same version?",
        ) from None


def decode_answer(request: Ask, line: bytes) -> Any:
    """What a reply says.

    Raises
    ------
    DoseError
        The error of the other side, of the same kind.
    """
    try:
        reply = _REPLIES.decode(line)
        if reply.fault is None:
            return msgspec.json.decode(reply.result, type=ANSWERS[type(request)])
    except msgspec.DecodeError:
        raise VaultError(
            "the vault's answer cannot be read", todo="Is the service of the same version?"
        ) from None
    raise reply.fault.as_error()
