"""What goes into the vault and what comes out of it. No `repr` shows its content."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Self

import msgspec

from dose_lib.errors import UsageError
from dose_lib.records import (
    Code,
    Decision,
    IdentifyingText,
    Identity,
    OtherPatientId,
    Part,
    Staff,
)
from dose_lib.records.identity import Hidden


class VaultEntry(Hidden, frozen=True, kw_only=True):
    """The identities of one received object, on their way into the vault.

    Attributes
    ----------
    sha256
        Hash of the object: the same object again replaces its entry.
    received_at
        When it was received, with zone.
    identity
        Who the exam was of and by whom, read with the site key.
    part_keys
        The exam parts the object tells of; one at least.
    occurred_at
        When the exam took place, with zone; None if the object does not say.

    Raises
    ------
    UsageError
        If a key or a zone is missing: nothing would join the identities to the doses.
    """

    sha256: str
    received_at: datetime
    identity: Identity
    part_keys: tuple[str, ...]
    occurred_at: datetime | None = None

    def __post_init__(self) -> None:
        missing = {
            "a patient key": self.identity.patient_key is None,
            "a part key": not self.part_keys,
            "a time with zone": any(
                t is not None and t.tzinfo is None for t in (self.received_at, self.occurred_at)
            ),
        }
        if lacking := [name for name, is_missing in missing.items() if is_missing]:
            raise UsageError(
                f"identities without {' and '.join(lacking)} cannot be kept",
                expected="an object read with the site key",
                where=f"object {self.sha256[:16]}",
            )

    @classmethod
    def of(
        cls, parts: Sequence[Part], identity: Identity, *, sha256: str, received_at: datetime
    ) -> Self:
        """Entry of an object as the reader returned it; see the class for what is refused."""
        patient = identity.patient_key or next(
            (p.patient.patient_key for p in parts if p.patient.patient_key), None
        )
        keys = dict.fromkeys(k for k in (identity.part_key, *(p.part_key for p in parts)) if k)
        return cls(
            sha256=sha256,
            received_at=received_at,
            identity=msgspec.structs.replace(identity, patient_key=patient),
            part_keys=tuple(keys),
            occurred_at=_earliest(p.started_at_utc or p.started_at for p in parts),
        )


class PatientIdentity(Hidden, frozen=True, kw_only=True):
    """A patient as objects between two dates gave them."""

    patient_key: str
    patient_id: str | None = None
    patient_id_issuer: str | None = None
    other_patient_ids: tuple[OtherPatientId, ...] = ()
    patient_name: str | None = None
    birth_date: str | None = None
    patient_comments: str | None = None
    first_seen: datetime | None = None
    last_seen: datetime | None = None


class ExamIdentity(Hidden, frozen=True, kw_only=True):
    """Numbers and texts by which an exam part is known elsewhere (PACS, RIS)."""

    part_key: str
    patient_key: str | None = None
    accession_number: str | None = None
    accession_issuer: str | None = None
    grouped_accession_numbers: tuple[str, ...] = ()
    study_id: str | None = None
    requested_procedure_id: str | None = None
    scheduled_step_id: str | None = None
    performed_step_id: str | None = None
    admission_id: str | None = None
    patient_location: str | None = None
    placer_order_number: str | None = None
    filler_order_number: str | None = None
    prescription_id: str | None = None
    dispense_unit_id: str | None = None
    calibration_responsible: tuple[str, ...] = ()
    unkeyed_staff: tuple[Staff, ...] = ()
    texts: tuple[IdentifyingText, ...] = ()
    occurred_at: datetime | None = None
    first_seen: datetime | None = None
    last_seen: datetime | None = None


class StaffIdentity(Hidden, frozen=True, kw_only=True):
    """A member of staff as objects between two dates gave them."""

    staff_key: str
    staff_name: str | None = None
    staff_id: str | None = None
    staff_id_issuer: str | None = None
    staff_login: str | None = None
    staff_organization: str | None = None
    staff_role_in_organization: Code | None = None
    first_seen: datetime | None = None
    last_seen: datetime | None = None


class Identification(Hidden, frozen=True, kw_only=True):
    """The answer to a look-up of one key; every version known, the newest first.

    Attributes
    ----------
    key
        As asked for.
    kind
        patient, exam or staff.
    patient_keys
        All keys that merges made one patient, the surviving one first.
    patients, exams, staff
        What the vault knows; empty where the asking person's role does not reach.
    """

    key: str
    kind: str
    patient_keys: tuple[str, ...] = ()
    patients: tuple[PatientIdentity, ...] = ()
    exams: tuple[ExamIdentity, ...] = ()
    staff: tuple[StaffIdentity, ...] = ()

    @property
    def is_known(self) -> bool:
        """True if the vault knows anything of the key."""
        return bool(self.patients or self.exams or self.staff)


class Match(Hidden, frozen=True, kw_only=True):
    """What a search found: a key and what it was found by."""

    kind: str
    key: str
    found: str
    first_seen: datetime
    last_seen: datetime


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure or an expiry removed; the rest of the house has to follow it.

    Attributes
    ----------
    decision
        To be appended to the store, so that rebuild erases again.
    patient_keys
        Keys whose identities are gone.
    part_keys, objects
        Exam parts and hashes of received objects (archive) that told of them.
    """

    decision: Decision
    patient_keys: tuple[str, ...] = ()
    part_keys: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the audit: who asked for what, when, why, and the outcome."""

    n: int
    asked_at: datetime
    person: str
    role: str
    os_user: str
    pid: int
    action: str
    key: str
    reason: str
    outcome: str
    chain: str = ""


class VaultFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers about the vault for health and status; nothing that identifies."""

    n_patients: int
    n_exams: int
    n_staff: int
    n_objects: int
    n_audit: int
    audit_head: str
    n_waiting: int = 0
    n_unopened: int = 0


def _earliest(moments: Iterable[datetime | None]) -> datetime | None:
    """The first moment; a local time without zone is taken as UTC, which is near enough here."""
    known = [m if m.tzinfo else m.replace(tzinfo=UTC) for m in moments if m is not None]
    return min(known, default=None)
