"""What leaves the store: columns named one by one, so that a new column of a view stays in.

Left out on purpose: UIDs, serial numbers, keys and codes of patients and staff, free text other
than names of protocols. Dates, ages and sizes remain: the rows are pseudonymous, not anonymous.
"""

from __future__ import annotations

from typing import NamedTuple

from dose_lib.records import contract


class Table(NamedTuple):
    """One table of the lake: the view it is of, its columns, its time, and the order of rows."""

    name: str
    columns: tuple[str, ...]
    started: str
    order: tuple[str, ...]


_EXAM = (
    "part_key", "modality", "started_at", "started_at_utc", "tz_source", "received_at",
    "procedure_name", "procedure_confidence", "contrast", "body_region",
    "is_body_region_inferred", "protocol_names", "is_patient", "not_patient_reason", "mg_mode",
    "device_key", "device", "manufacturer", "model", "software_versions", "site", "room",
    "is_linked", "age_y", "sex", "weight_kg", "height_cm", "bmi_kg_per_m2", "size_method",
    "derived_water_equivalent_diameter_mm", "derived_ssde_max_mgy", "derived_ssde_mean_mgy",
    "derived_effective_dose_msv", "n_events", "n_administrations", "n_localiser_events",
    "n_spiral_events", "n_sequenced_events", "n_stationary_events", "n_fluoro_events",
    "n_acquisition_events", "dlp_total_mgy_cm", "dlp_16cm_mgy_cm", "dlp_32cm_mgy_cm",
    "dlp_10cm_mgy_cm", "dlp_unknown_phantom_mgy_cm", "ctdi_vol_16cm_max_mgy",
    "ctdi_vol_32cm_max_mgy", "ssde_max_mgy", "effective_dose_msv", "kap_gy_cm2",
    "kap_fluoro_gy_cm2", "kap_acquisition_gy_cm2", "ka_r_mgy", "ka_r_fluoro_mgy",
    "ka_r_acquisition_mgy", "ka_r_max_plane_mgy", "fluoro_time_s", "acquisition_time_s",
    "n_exposures", "n_frames", "entrance_dose_mgy", "entrance_dose_derivation", "agd_left_mgy",
    "agd_right_mgy", "agd_both_mgy", "totals_derived", "n_issues",
)  # fmt: skip
_OF_EXAM = (
    "part_key", "modality", "study_started_at", "device_key", "device", "procedure_name",
    "body_region", "age_y", "sex", "weight_kg", "is_patient",
)  # fmt: skip
_EVENT = (
    "event_index", "record", "ordinal", "started_at", "acquisition_protocol", "acquisition_type",
    "is_bolus_tracking", "target_region", "is_target_region_inferred", "phantom",
    "is_phantom_inferred", "ctdi_vol_mgy", "dlp_mgy_cm", "ssde_mgy",
    "water_equivalent_diameter_mm", "scanning_length_mm", "exposure_time_s",
    "nominal_total_collimation_mm", "pitch", "kvp_kv", "tube_current_ma", "max_tube_current_ma",
    "rotation_time_s", "exposure_mas", "modulation_type", "is_repeated", "is_rejected", "plane",
    "event_type", "projection", "laterality", "view", "kap_gy_cm2", "ka_r_mgy", "ka_i_mgy",
    "ka_e_mgy", "entrance_dose_mgy", "agd_mgy", "pulse_rate_hz", "frame_rate_hz", "n_pulses",
    "n_frames", "irradiation_duration_s", "exposure_time_ms", "field_width_mm",
    "field_height_mm", "primary_angle_deg", "secondary_angle_deg", "sid_mm", "exposure_index",
    "target_exposure_index", "deviation_index", "body_part_thickness_mm",
    "compressed_thickness_mm", "compression_force_n", "mg_mode",
)  # fmt: skip
_GIVEN = (
    "administration_index", "ordinal", "started_at", "radiopharmaceutical", "radionuclide",
    "half_life_s", "administered_activity_mbq", "administered_volume_ml", "route",
    "effective_dose_msv",
)  # fmt: skip

TABLES = (
    Table("studies", _EXAM, "started_at", ("started_at", "part_key")),
    Table("events", (*_OF_EXAM, *_EVENT), "study_started_at", ("part_key", "event_index")),
    Table(
        "administrations",
        (*_OF_EXAM, *_GIVEN),
        "study_started_at",
        ("part_key", "administration_index"),
    ),
)

_OURS = {
    "site_id": ("", "Which installation the rows are of; a folder of the table."),
    "month": ("", "Month of the exam, local time, as in 2026-03; a folder of the table."),
    "device": ("", "Device by the site's name, else as it calls itself."),
    "study_started_at": ("", "Start of the exam, local time as recorded."),
    "event_index": ("", "Place of the event in the exam part."),
    "administration_index": ("", "Place of the administration in the exam part."),
    "received_at": ("", "When the exam part was last changed by an object that arrived."),
    "record": ("", "ct_event or xray_event."),
}


def unit_and_meaning(name: str) -> tuple[str, str]:
    """Unit and meaning of a column, from the data model."""
    if name in _OURS:
        return _OURS[name]
    plain = name.removeprefix("derived_")
    found = next((c for c in contract() if c.name in (name, plain)), None)
    if found is None:
        return "", ""
    return found.unit or "", found.meaning
