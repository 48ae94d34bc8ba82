"""Where a number came from: codes, provenance, issues, source objects."""

from __future__ import annotations

from datetime import datetime

import msgspec

from dose_lib.records.enums import SetRole, Severity, SourceKind


class Code(msgspec.Struct, frozen=True):
    """A coded value as recorded: value, coding scheme, meaning.

    `value` and `scheme` are None where the sender gave words only.
    """

    value: str | None = None
    scheme: str | None = None
    meaning: str | None = None


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Where one value came from (`dose inspect --trace`, `dose trace`).

    Attributes
    ----------
    name
        Contract name with its place, such as ``totals.dlp_total_mgy_cm`` or
        ``events[3].ctdi_vol_mgy``.
    source
        Index in `Part.sources` of the object.
    path
        Content-item path (``/113701/113819[3]/113829/113830``) or tag (``(0018,9345)``).
    recorded, unit
        Value and unit exactly as recorded, as text; `unit` None where none was sent.
    factor
        What the recorded number was multiplied by; None where it was not converted.
    rule
        Dialect rule that was applied, if any.
    """

    name: str
    source: int
    path: str
    recorded: str
    unit: str | None = None
    factor: float | None = None
    rule: str | None = None


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """Something the reader noticed, tolerated or could not read."""

    code: str
    severity: Severity
    where: str | None = None
    seen: str | None = None
    message: str
    source: int | None = None
    rule: str | None = None


class SourceObject(msgspec.Struct, frozen=True, kw_only=True):
    """An object a part was read from (not an X-ray source; those are `CtEvent.sources`)."""

    sop_instance_uid: str | None = None
    sop_class: str | None = None
    file: str | None = None
    kind: SourceKind | None = None
    template: str | None = None
    is_recognised_by_content: bool | None = None
    sha256: str | None = None
    series_uid: str | None = None
    series_number: int | None = None
    series_description: str | None = None
    series_started_at: datetime | None = None
    content_at: datetime | None = None
    event_uids: tuple[str, ...] = ()
    role_in_set: SetRole | None = None
    superseded_by: str | None = None
    predecessor_uids: tuple[str, ...] = ()
    is_complete: bool | None = None
    transfer_syntax: str | None = None
    implementation: str | None = None
    image_type: tuple[str, ...] = ()
    manufacturer: str | None = None
    is_quantity_read: bool | None = None
    no_dose_reason: str | None = None
    dialect_rules: tuple[str, ...] = ()
    dose_image_uids: tuple[str, ...] = ()
    pet_series_type: tuple[str, ...] = ()
    pet_units: str | None = None
    pet_corrections: tuple[str, ...] = ()
    pet_attenuation_correction: str | None = None
    pet_scatter_correction: str | None = None
    pet_randoms_correction: str | None = None
    pet_decay_correction: str | None = None
    pet_reconstruction_method: str | None = None
    pet_n_slices: int | None = None
    pet_n_time_slices: int | None = None
    pet_n_time_slots: int | None = None
    pet_n_rr_intervals: int | None = None
    pet_frame_duration_s: float | None = None
    pet_energy_window_lower_kev: float | None = None
    pet_energy_window_upper_kev: float | None = None
    pet_coincidence_window_ns: float | None = None
    pet_scan_progression: str | None = None
