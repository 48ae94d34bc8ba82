"""CT irradiation events (TID 10013 to 10015)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from dose_lib.records.enums import CtAcquisitionType, Phantom
from dose_lib.records.source import Code


class CtSource(msgspec.Struct, frozen=True, kw_only=True):
    """One X-ray source of a CT event (TID 10013 rows 14 to 20)."""

    source_id: str | None = None
    ordinal: int | None = None
    kvp_kv: float | None = None
    tube_current_ma: float | None = None
    max_tube_current_ma: float | None = None
    rotation_time_s: float | None = None
    filter_al_equivalent_mm: float | None = None
    filter_name: str | None = None
    focal_spot_mm: float | None = None


class DoseCheck(msgspec.Struct, frozen=True, kw_only=True):
    """Dose check alert and notification of a CT event (TID 10015, NEMA XR 25)."""

    alert_dlp_configured: bool | None = None
    alert_ctdi_vol_configured: bool | None = None
    alert_dlp_mgy_cm: float | None = None
    alert_ctdi_vol_mgy: float | None = None
    alert_dlp_forward_mgy_cm: float | None = None
    alert_ctdi_vol_forward_mgy: float | None = None
    alert_reason: str | None = None
    alert_operator_key: str | None = None
    is_alternative_alert_behaviour: bool | None = None
    notification_dlp_configured: bool | None = None
    notification_ctdi_vol_configured: bool | None = None
    notification_dlp_mgy_cm: float | None = None
    notification_ctdi_vol_mgy: float | None = None
    notification_dlp_forward_mgy_cm: float | None = None
    notification_ctdi_vol_forward_mgy: float | None = None
    notification_reason: str | None = None
    notification_operator_key: str | None = None


class SsdeAlternative(msgspec.Struct, frozen=True, kw_only=True):
    """A further size-specific dose estimate of the same event."""

    ssde_mgy: float | None = None
    ssde_method: Code | None = None


class SsdeAtZ(msgspec.Struct, frozen=True, kw_only=True):
    """Size-specific dose estimate at one z position (TID 10013 rows 34f to 34h)."""

    z_mm: float | None = None
    ssde_mgy: float | None = None
    water_equivalent_diameter_mm: float | None = None


class CtEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="record", tag="ct_event"):
    """One CT irradiation event (TID 10013); two tubes are one event with two `sources`."""

    event_uid: str | None = None
    ordinal: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    label: str | None = None
    label_type: Code | None = None
    acquisition_protocol: str | None = None
    series_description: str | None = None
    acquisition_type: CtAcquisitionType | None = None
    is_bolus_tracking: bool | None = None
    target_region: Code | None = None
    is_target_region_inferred: bool | None = None
    procedure_context: Code | None = None
    reconstruction_algorithm: tuple[Code, ...] = ()
    reconstruction_kernel: tuple[str, ...] = ()
    reconstruction_diameter_mm: float | None = None
    slice_thickness_mm: float | None = None
    ctdi_vol_mgy: float | None = None
    dlp_mgy_cm: float | None = None
    phantom: Phantom | None = None
    is_phantom_inferred: bool | None = None
    ctdi_free_air_mgy: float | None = None
    ctdi_free_air_factor_mgy_per_mas: float | None = None
    effective_dose_msv: float | None = None
    effective_dose_method: Code | None = None
    effective_dose_factor_msv_per_mgy_cm: float | None = None
    estimated_dose_saving_percent: float | None = None
    ssde_mgy: float | None = None
    ssde_method: Code | None = None
    ssde_alternatives: tuple[SsdeAlternative, ...] = ()
    ssde_at_z: tuple[SsdeAtZ, ...] = ()
    ssde_source_uids: tuple[str, ...] = ()
    water_equivalent_diameter_mm: float | None = None
    water_equivalent_diameter_method: Code | None = None
    water_equivalent_diameter_z_mm: float | None = None
    dw_coefficients: tuple[float, ...] = ()
    lateral_mm: float | None = None
    ap_mm: float | None = None
    effective_diameter_mm: float | None = None
    scanning_length_mm: float | None = None
    reconstructable_length_mm: float | None = None
    exposed_range_mm: float | None = None
    reconstructable_top_z_mm: float | None = None
    reconstructable_bottom_z_mm: float | None = None
    scan_top_z_mm: float | None = None
    scan_bottom_z_mm: float | None = None
    frame_of_reference_uid: str | None = None
    exposure_time_s: float | None = None
    nominal_single_collimation_mm: float | None = None
    nominal_total_collimation_mm: float | None = None
    pitch: float | None = None
    table_feed_per_rotation_mm: float | None = None
    n_sources: int | None = None
    sources: tuple[CtSource, ...] = ()
    kvp_kv: float | None = None
    tube_current_ma: float | None = None
    max_tube_current_ma: float | None = None
    rotation_time_s: float | None = None
    exposure_mas: float | None = None
    modulation_type: str | None = None
    gantry_tilt_deg: float | None = None
    table_height_mm: float | None = None
    data_collection_diameter_mm: float | None = None
    is_repeated: bool | None = None
    repeat_reason: Code | None = None
    repeat_of_event_uid: str | None = None
    is_rejected: bool | None = None
    reject_reason: Code | None = None
    dose_check: DoseCheck | None = None
    operator_key: str | None = None
    comment: str | None = None
    field_sources: Mapping[str, int] = msgspec.field(default_factory=dict)
