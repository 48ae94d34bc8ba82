"""What a rejection note says: which objects are to be used no more, and why."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class RejectionReason(StrEnum):
    """Why objects were rejected: DCM codes of CID 7011."""

    QUALITY = "113001"
    PATIENT_SAFETY = "113037"
    WRONG_WORKLIST_ENTRY = "113038"
    RETENTION_EXPIRED = "113039"

    @property
    def meaning(self) -> str:
        """Its code meaning (PS3.16)."""
        return _MEANINGS[self]

    @property
    def is_withdrawal(self) -> bool:
        """True where the objects were wrong, so that what they say must not count.

        An image of bad quality was irradiated for all that, and a dose does not end with
        the time for which its image is kept: for those two the dose stays.
        """
        return self in (RejectionReason.PATIENT_SAFETY, RejectionReason.WRONG_WORKLIST_ENTRY)


_MEANINGS = {
    RejectionReason.QUALITY: "Rejected for Quality Reasons",
    RejectionReason.PATIENT_SAFETY: "Rejected for Patient Safety Reasons",
    RejectionReason.WRONG_WORKLIST_ENTRY: "Incorrect Modality Worklist Entry",
    RejectionReason.RETENTION_EXPIRED: "Data Retention Policy Expired",
}


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """Objects that a rejection note names.

    Attributes
    ----------
    reason
        Why.
    sop_instance_uids
        The objects.
    study_uids
        Studies they are filed under.
    """

    reason: RejectionReason
    sop_instance_uids: tuple[str, ...]
    study_uids: tuple[str, ...] = ()
