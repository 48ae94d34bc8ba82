"""What decisions about people say, checked; the store knows the same kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from dose_lib.vault import groups

Cause = Literal["request", "mistake", "retention", "other"]
Scope = Literal["identities", "everything"]
_PATIENT = "^[0-9a-f]{64}$"


class _Payload(BaseModel):
    # Closed sets and keys only: free text could name someone, and decisions leave the vault.
    model_config = ConfigDict(extra="forbid", frozen=True)


class JoinPayload(_Payload):
    """The key that two patients have in common from now on, or no longer."""

    surviving: str = Field(pattern=_PATIENT)


class ErasePayload(_Payload):
    """Why a patient is erased, and whether the doses go too."""

    cause: Cause = "request"
    scope: Scope = "identities"


class EraseStaffPayload(_Payload):
    """Why a member of staff is erased."""

    cause: Cause = "request"


class ExpirePayload(_Payload):
    """Identities of exams before this moment are no longer kept."""

    before: AwareDatetime


PAYLOADS: Mapping[str, type[BaseModel]] = {
    groups.MERGE: JoinPayload,
    groups.UNMERGE: JoinPayload,
    groups.ERASE: ErasePayload,
    groups.ERASE_STAFF: EraseStaffPayload,
    groups.EXPIRE: ExpirePayload,
}
SUBJECTS: Mapping[str, str] = {
    groups.MERGE: _PATIENT,
    groups.UNMERGE: _PATIENT,
    groups.ERASE: _PATIENT,
    groups.ERASE_STAFF: "^[0-9a-f]{16}$",
    groups.EXPIRE: "^identities$",
}
