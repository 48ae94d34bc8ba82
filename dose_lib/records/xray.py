"""Projection irradiation events (TID 10003): fluoroscopy, angiography, radiography, mammography."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from dose_lib.records.enums import Laterality, MgMode, Phantom, Plane, XRayEventType
from dose_lib.records.source import Code


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent for one pulse of an event; lists never replace the event's own scalar."""

    ordinal: int | None = None
    kvp_kv: float | None = None
    tube_current_ma: float | None = None
    pulse_width_ms: float | None = None
    exposure_mas: float | None = None


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """One X-ray filter of a projection event (TID 10003B rows 18 to 22)."""

    ordinal: int | None = None
    filter_type: Code | None = None
    material: Code | None = None
    thickness_min_mm: float | None = None
    thickness_max_mm: float | None = None
    wedge_distance_mm: float | None = None
    wedge_angle_deg: float | None = None


class RelativeExposure(msgspec.Struct, frozen=True, kw_only=True):
    """A maker's exposure indicator on its own scale (S, lgM, REX, EXI); never an exposure index."""

    value: float | None = None
    scale: str | None = None


class XRayEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="record", tag="xray_event"):
    """One projection irradiation event (TID 10003); each plane of a biplane exposure is one."""

    event_uid: str | None = None
    ordinal: int | None = None
    source_id: str | None = None
    plane: Plane | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    label: str | None = None
    label_type: Code | None = None
    event_type: XRayEventType | None = None
    acquisition_protocol: str | None = None
    application: str | None = None
    fluoro_flavour: str | None = None
    anatomical_structure: Code | None = None
    target_region: Code | None = None
    laterality: Laterality | None = None
    view: Code | None = None
    view_modifiers: tuple[Code, ...] = ()
    eponymous_view: Code | None = None
    projection: str | None = None
    table_relationship: Code | None = None
    orientation: Code | None = None
    orientation_modifier: Code | None = None
    kap_gy_cm2: float | None = None
    ka_r_mgy: float | None = None
    reference_point: Code | None = None
    reference_point_text: str | None = None
    ka_i_mgy: float | None = None
    ka_e_mgy: float | None = None
    entrance_dose_mgy: float | None = None
    entrance_dose_derivation: str | None = None
    ka_output_mgy: float | None = None
    agd_mgy: float | None = None
    ctdi_vol_mgy: float | None = None
    dlp_mgy_cm: float | None = None
    phantom: Phantom | None = None
    fluoro_mode: Code | None = None
    pulse_rate_hz: float | None = None
    n_pulses: int | None = None
    n_pulses_derivation: Code | None = None
    n_frames: int | None = None
    n_subimages_per_frame: int | None = None
    frame_rate_hz: float | None = None
    irradiation_duration_s: float | None = None
    kvp_kv: float | None = None
    tube_current_ma: float | None = None
    average_tube_current_ma: float | None = None
    exposure_time_ms: float | None = None
    exposure_mas: float | None = None
    pulse_width_ms: float | None = None
    pulses: tuple[Pulse, ...] = ()
    focal_spot_mm: float | None = None
    anode_target: Code | None = None
    filters: tuple[Filter, ...] = ()
    half_value_layer_mm: float | None = None
    collimated_area_cm2: float | None = None
    field_width_mm: float | None = None
    field_height_mm: float | None = None
    shutter_left_mm: float | None = None
    shutter_right_mm: float | None = None
    shutter_top_mm: float | None = None
    shutter_bottom_mm: float | None = None
    detector_field_width_mm: float | None = None
    detector_field_height_mm: float | None = None
    ii_diameter_mm: float | None = None
    grid: tuple[Code, ...] = ()
    grid_absorbing_material: str | None = None
    grid_spacing_material: str | None = None
    grid_thickness_mm: float | None = None
    grid_pitch_mm: float | None = None
    grid_ratio: str | None = None
    grid_period_ms: float | None = None
    grid_focal_distance_mm: float | None = None
    primary_angle_deg: float | None = None
    secondary_angle_deg: float | None = None
    primary_end_angle_deg: float | None = None
    secondary_end_angle_deg: float | None = None
    isocenter_primary_angle_deg: float | None = None
    isocenter_secondary_angle_deg: float | None = None
    isocenter_detector_rotation_deg: float | None = None
    isocenter_primary_end_angle_deg: float | None = None
    isocenter_secondary_end_angle_deg: float | None = None
    isocenter_detector_rotation_end_deg: float | None = None
    column_angulation_deg: float | None = None
    beam_angle_deg: float | None = None
    beam_longitudinal_mm: float | None = None
    beam_lateral_mm: float | None = None
    sid_mm: float | None = None
    sid_end_mm: float | None = None
    source_isocenter_mm: float | None = None
    source_reference_point_mm: float | None = None
    source_table_mm: float | None = None
    source_entrance_mm: float | None = None
    source_patient_mm: float | None = None
    table_longitudinal_mm: float | None = None
    table_lateral_mm: float | None = None
    table_height_mm: float | None = None
    table_longitudinal_end_mm: float | None = None
    table_lateral_end_mm: float | None = None
    table_height_end_mm: float | None = None
    table_x_isocenter_mm: float | None = None
    table_y_isocenter_mm: float | None = None
    table_z_isocenter_mm: float | None = None
    table_x_isocenter_end_mm: float | None = None
    table_y_isocenter_end_mm: float | None = None
    table_z_isocenter_end_mm: float | None = None
    table_head_tilt_deg: float | None = None
    table_cradle_tilt_deg: float | None = None
    table_horizontal_rotation_deg: float | None = None
    table_head_tilt_end_deg: float | None = None
    table_cradle_tilt_end_deg: float | None = None
    table_horizontal_rotation_end_deg: float | None = None
    mechanical_configuration: Code | None = None
    magnification: float | None = None
    exposure_index: float | None = None
    target_exposure_index: float | None = None
    deviation_index: float | None = None
    relative_exposure: RelativeExposure | None = None
    exposure_control_mode: str | None = None
    exposure_control_description: str | None = None
    patient_equivalent_thickness_mm: float | None = None
    object_thickness_mm: float | None = None
    radiological_thickness_mm: float | None = None
    body_part_thickness_mm: float | None = None
    compressed_thickness_mm: float | None = None
    compression_force_n: float | None = None
    compression_pressure_kpa: float | None = None
    compression_area_mm2: float | None = None
    breast_composition: Code | None = None
    fibroglandular_percent: float | None = None
    mg_mode: MgMode | None = None
    acquired_image_uids: tuple[str, ...] = ()
    is_repeated: bool | None = None
    repeat_reason: Code | None = None
    repeat_of_event_uid: str | None = None
    is_rejected: bool | None = None
    reject_reason: Code | None = None
    irradiation_details: str | None = None
    operator_key: str | None = None
    device_role: Code | None = None
    comment: str | None = None
    field_sources: Mapping[str, int] = msgspec.field(default_factory=dict)
