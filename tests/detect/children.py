"""Exams of children to look at, and histories of the device they were made on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from dose_lib.normalise import SiteFacts, normalise_part
from dose_lib.records import (
    Code,
    CtAcquisitionType,
    CtEvent,
    Device,
    Modality,
    Part,
    Patient,
    Phantom,
)

CODES = {
    "chest": Code("T-D3000", "SRT", "Chest"),
    "abdomen": Code("T-D4000", "SRT", "Abdomen"),
    "head": Code("T-D1100", "SRT", "Head"),
}


def child(
    protocol: str | None = "Thorax^ThoraxRoutine (Adult)",
    *,
    age_y: float | None = 4.0,
    weight_kg: float | None = 17.0,
    ctdi_vol_mgy: float | None = 8.0,
    region: str = "chest",
    description: str | None = "CT Chest",
    phantom: Phantom | None = None,
    key: str = "p1",
    kvp_kv: float | None = None,
    events: tuple[CtEvent, ...] | None = None,
    **fields: Any,
) -> Part:
    """A normalised CT of a child of four years on an adult protocol, unless said otherwise."""
    head = region == "head"
    usual = Phantom.HEAD_16CM if head else Phantom.BODY_32CM
    localiser = CtEvent(
        acquisition_protocol="Topogram", acquisition_type=CtAcquisitionType.CONSTANT_ANGLE
    )
    scan = CtEvent(
        acquisition_protocol=protocol,
        acquisition_type=CtAcquisitionType.SPIRAL,
        ctdi_vol_mgy=ctdi_vol_mgy,
        dlp_mgy_cm=200.0,
        phantom=phantom or usual,
        target_region=CODES[region],
        kvp_kv=kvp_kv,
    )
    part = Part(
        part_key=key,
        study_uid="1.2.3",
        modality=Modality.CT,
        started_at=datetime(2026, 6, 1, 9),
        study_description=description,
        events=(localiser, scan) if events is None else events,
        device=Device(device_key="d1", station_name="CT3", manufacturer="M", model="X"),
        patient=Patient(age_y=age_y, weight_kg=weight_kg),
    )
    return normalise_part(msgspec.structs.replace(part, **fields), SiteFacts())
