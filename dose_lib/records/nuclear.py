"""Radiopharmaceutical administrations (TID 10022) and dose estimates made by others (TID 10030)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from dose_lib.records.device import Device
from dose_lib.records.enums import EstimateStatistic, Laterality
from dose_lib.records.source import Code


class OrganDose(msgspec.Struct, frozen=True, kw_only=True):
    """Organ dose stated by the sender (TID 10023): an estimate, not a measurement."""

    finding_site: Code | None = None
    laterality: Laterality | None = None
    mass_g: float | None = None
    mass_method: str | None = None
    organ_dose_mgy: float | None = None
    reference_authority: Code | None = None


class Administration(msgspec.Struct, frozen=True, kw_only=True):
    """One radiopharmaceutical administration (TID 10022); activities of agents are never summed."""

    administration_uid: str | None = None
    ordinal: int | None = None
    radiopharmaceutical: Code | None = None
    radionuclide: Code | None = None
    half_life_s: float | None = None
    specific_activity: float | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    administered_activity_mbq: float | None = None
    administered_volume_ml: float | None = None
    pre_activity_mbq: float | None = None
    pre_activity_device: Code | None = None
    post_activity_mbq: float | None = None
    post_activity_device: Code | None = None
    route: Code | None = None
    injection_site: Code | None = None
    injection_site_laterality: Laterality | None = None
    effective_dose_msv: float | None = None
    effective_dose_reference_authority: Code | None = None
    organ_doses: tuple[OrganDose, ...] = ()
    extravasation: tuple[Code, ...] = ()
    extravasation_percent: float | None = None
    brand_name: str | None = None
    drug_product: Code | None = None
    billing_codes: tuple[Code, ...] = ()
    lot_ids: tuple[str, ...] = ()
    reagent_vial_ids: tuple[str, ...] = ()
    radionuclide_vial_ids: tuple[str, ...] = ()
    operator_key: str | None = None
    calibrator_devices: tuple[Device, ...] = ()
    comment: str | None = None
    field_sources: Mapping[str, int] = msgspec.field(default_factory=dict)


class EstimateParameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter of a dose estimate, such as a backscatter factor."""

    parameter_type: Code | None = None
    value: float | None = None
    unit: str | None = None


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Patient dose estimated by others (TID 10030 family); never summed with measured output."""

    name: str | None = None
    dose_type: Code | None = None
    statistic: EstimateStatistic | None = None
    organ: Code | None = None
    absorbed_dose_mgy: float | None = None
    equivalent_dose_msv: float | None = None
    representation: Code | None = None
    representation_uids: tuple[str, ...] = ()
    source_sr_uids: tuple[str, ...] = ()
    source_event_uids: tuple[str, ...] = ()
    fiducials_uids: tuple[str, ...] = ()
    patient_model_type: Code | None = None
    patient_model_reference: str | None = None
    patient_model_data_uids: tuple[str, ...] = ()
    patient_model_min_age_y: float | None = None
    patient_model_max_age_y: float | None = None
    patient_model_sex: Code | None = None
    patient_model_min_weight_kg: float | None = None
    patient_model_max_weight_kg: float | None = None
    patient_model_min_height_cm: float | None = None
    patient_model_max_height_cm: float | None = None
    patient_model_registration: str | None = None
    transport_model_type: Code | None = None
    attenuator_model: str | None = None
    method_type: Code | None = None
    method_reference: str | None = None
    parameters: tuple[EstimateParameter, ...] = ()
    author_device: Device | None = None
    comment: str | None = None
