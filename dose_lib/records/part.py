"""The exam part: patient, totals and everything that hangs on them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from dose_lib.records.ct import CtEvent
from dose_lib.records.device import Device
from dose_lib.records.enums import (
    AgeSource,
    Contrast,
    MgMode,
    Modality,
    Plane,
    PregnancyStatus,
    Sex,
    SizeSource,
    StepStatus,
    TzSource,
)
from dose_lib.records.nuclear import Administration, Estimate
from dose_lib.records.source import Code, Issue, Provenance, SourceObject
from dose_lib.records.xray import XRayEvent


class DerivedValue(msgspec.Struct, frozen=True, kw_only=True):
    """A quantity that we computed, with all that is needed to compute it again."""

    value: float | None
    formula: str
    version: str
    inputs: Mapping[str, float | str | None] = msgspec.field(default_factory=dict)


class Extra(msgspec.Struct, frozen=True, kw_only=True):
    """A content item that has no name in the model, kept with its path."""

    path: str
    code: str | None = None
    scheme: str | None = None
    meaning: str | None = None
    value_type: str | None = None
    value: str | None = None
    unit: str | None = None


class Fiducial(msgspec.Struct, frozen=True, kw_only=True):
    """A patient location fiducial with its z distance from the equipment landmark."""

    meaning: str | None = None
    landmark_z_mm: float | None = None


class Patient(msgspec.Struct, frozen=True, kw_only=True):
    """Age, sex and size of the patient at the exam; never an identifier."""

    patient_key: str | None = None
    is_linked: bool | None = None
    age_y: float | None = None
    age_source: AgeSource | None = None
    sex: Sex | None = None
    weight_kg: float | None = None
    height_cm: float | None = None
    size_source: SizeSource | None = None
    size_measured_at: datetime | None = None
    bmi_kg_per_m2: float | None = None
    bmi_equation: Code | None = None
    bsa_m2: float | None = None
    bsa_formula: Code | None = None
    glucose_mmol_per_l: float | None = None
    fasting_duration_h: float | None = None
    hydration_volume_ml: float | None = None
    recent_physical_activity: str | None = None
    creatinine_mg_per_dl: float | None = None
    gfr_ml_per_min_per_173m2: float | None = None
    gfr_method: Code | None = None
    gfr_equivalent_meaning: Code | None = None
    patient_state: tuple[Code, ...] = ()
    pregnancy_status: PregnancyStatus | None = None
    position: Code | None = None


class TotalsPlane(msgspec.Struct, frozen=True, kw_only=True):
    """Totals of one acquisition plane or X-ray source, as stated (TID 10002, TID 10041)."""

    plane: Plane | None = None
    source_id: str | None = None
    kap_gy_cm2: float | None = None
    kap_fluoro_gy_cm2: float | None = None
    kap_acquisition_gy_cm2: float | None = None
    ka_r_mgy: float | None = None
    ka_r_fluoro_mgy: float | None = None
    ka_r_acquisition_mgy: float | None = None
    fluoro_time_s: float | None = None
    acquisition_time_s: float | None = None
    n_frames: int | None = None
    n_events: int | None = None
    agd_left_mgy: float | None = None
    agd_right_mgy: float | None = None
    agd_both_mgy: float | None = None
    dlp_total_mgy_cm: float | None = None
    source_reference_point_mm: float | None = None
    reference_point: Code | None = None
    reference_point_text: str | None = None
    detector_type: Code | None = None
    calibration_device: tuple[Code | None, ...] = ()
    calibrated_at: tuple[datetime | None, ...] = ()
    calibration_factor: tuple[float | None, ...] = ()
    calibration_uncertainty_percent: tuple[float | None, ...] = ()
    calibration_protocol: tuple[str | None, ...] = ()
    landmark: Code | None = None
    landmark_x_mm: float | None = None
    landmark_z_mm: float | None = None
    fiducials: tuple[Fiducial, ...] = ()
    system_height_mm: float | None = None


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What the object states for the whole part; sums and counts of ours are named in `derived`."""

    n_events: int | None = None
    n_administrations: int | None = None
    n_localiser_events: int | None = None
    n_spiral_events: int | None = None
    n_sequenced_events: int | None = None
    n_stationary_events: int | None = None
    n_fluoro_events: int | None = None
    n_acquisition_events: int | None = None
    dlp_total_mgy_cm: float | None = None
    dlp_16cm_mgy_cm: float | None = None
    dlp_32cm_mgy_cm: float | None = None
    dlp_10cm_mgy_cm: float | None = None
    dlp_unknown_phantom_mgy_cm: float | None = None
    ctdi_vol_16cm_max_mgy: float | None = None
    ctdi_vol_32cm_max_mgy: float | None = None
    ssde_max_mgy: float | None = None
    effective_dose_msv: float | None = None
    effective_dose_reference_authority: Code | None = None
    effective_dose_method: Code | None = None
    effective_dose_patient_model: str | None = None
    effective_dose_phantom: str | None = None
    effective_dose_dosimeter: str | None = None
    kap_gy_cm2: float | None = None
    kap_fluoro_gy_cm2: float | None = None
    kap_acquisition_gy_cm2: float | None = None
    ka_r_mgy: float | None = None
    ka_r_fluoro_mgy: float | None = None
    ka_r_acquisition_mgy: float | None = None
    ka_r_max_plane_mgy: float | None = None
    fluoro_time_s: float | None = None
    acquisition_time_s: float | None = None
    n_exposures: int | None = None
    n_frames: int | None = None
    entrance_dose_mgy: float | None = None
    entrance_dose_derivation: str | None = None
    agd_left_mgy: float | None = None
    agd_right_mgy: float | None = None
    agd_both_mgy: float | None = None
    planes: tuple[TotalsPlane, ...] = ()
    derived: tuple[str, ...] = ()
    field_sources: Mapping[str, int] = msgspec.field(default_factory=dict)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One exam part: what one device did in one study in one modality class.

    The row of everything downstream. Nothing is ever added across parts: a PET-CT,
    a hybrid theatre or a dual DX/RF room makes several parts of one study.
    `provenance` is ours and not part of the JSON form.
    """

    part_key: str
    study_uid: str
    modality: Modality
    started_at: datetime | None = None
    ended_at: datetime | None = None
    started_at_utc: datetime | None = None
    tz_source: TzSource | None = None
    is_ambiguous_hour: bool | None = None
    study_description: str | None = None
    procedure_code: Code | None = None
    requested_procedure: Code | None = None
    performed_procedure_step_description: str | None = None
    procedure_name: str | None = None
    procedure_rule: str | None = None
    procedure_confidence: float | None = None
    procedure_evidence: str | None = None
    body_region: str | None = None
    is_body_region_inferred: bool | None = None
    protocol_names: tuple[str, ...] = ()
    procedure_reported: Code | None = None
    nm_procedure: Code | None = None
    intent: Code | None = None
    is_patient: bool | None = None
    not_patient_reason: str | None = None
    is_history: bool | None = None
    acquisition_device_type: Code | None = None
    scope_of_accumulation: Code | None = None
    scope_uid: str | None = None
    source_of_dose: tuple[Code, ...] = ()
    has_detector_data: bool | None = None
    has_source_data: bool | None = None
    has_mechanical_data: bool | None = None
    mg_mode: MgMode | None = None
    contrast_agent: str | None = None
    contrast_volume_ml: float | None = None
    contrast: Contrast | None = None
    indication: str | None = None
    admitting_diagnosis: str | None = None
    performed_step_status: StepStatus | None = None
    performed_step_uids: tuple[str, ...] = ()
    operator_keys: tuple[str, ...] = ()
    physician_keys: tuple[str, ...] = ()
    requester_key: str | None = None
    language: Code | None = None
    comment: str | None = None
    device: Device = msgspec.field(default_factory=Device)
    other_devices: tuple[Device, ...] = ()
    patient: Patient = msgspec.field(default_factory=Patient)
    totals: Totals = msgspec.field(default_factory=Totals)
    events: tuple[CtEvent | XRayEvent, ...] = ()
    administrations: tuple[Administration, ...] = ()
    estimates: tuple[Estimate, ...] = ()
    derived: Mapping[str, DerivedValue] = msgspec.field(default_factory=dict)
    issues: tuple[Issue, ...] = ()
    sources: tuple[SourceObject, ...] = ()
    extras: tuple[Extra, ...] = ()
    provenance: tuple[Provenance, ...] = ()
