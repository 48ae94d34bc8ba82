"""Identifying data, kept apart from doses from the first moment."""

from __future__ import annotations

import msgspec

from dose_lib.records.source import Code


class Hidden(msgspec.Struct, frozen=True):
    """A record whose `repr` shows no content, so that no log or traceback shows a person."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: hidden>"


class OtherPatientId(Hidden, frozen=True, kw_only=True):
    """A further patient ID with its issuer."""

    id: str | None = None
    issuer: str | None = None


class Staff(Hidden, frozen=True, kw_only=True):
    """A person named anywhere in the object."""

    staff_key: str | None = None
    staff_name: str | None = None
    staff_id: str | None = None
    staff_id_issuer: str | None = None
    staff_login: str | None = None
    staff_organization: str | None = None
    staff_role_in_organization: Code | None = None
    staff_role_in_procedure: Code | None = None
    staff_where: str | None = None


class IdentifyingText(Hidden, frozen=True, kw_only=True):
    """Free text that repeats identifiers, verbatim, and where it stood."""

    where: str
    text: str


class Identity(Hidden, frozen=True, kw_only=True):
    """Who the exam was of and by whom: goes to the identity vault only.

    Every field defaults to hidden in `repr`, so that no log or traceback shows a name.
    """

    part_key: str | None = None
    patient_key: str | None = None
    patient_id: str | None = None
    patient_id_issuer: str | None = None
    other_patient_ids: tuple[OtherPatientId, ...] = ()
    patient_name: str | None = None
    birth_date: str | None = None
    patient_comments: str | None = None
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
    staff: tuple[Staff, ...] = ()
    texts: tuple[IdentifyingText, ...] = ()
