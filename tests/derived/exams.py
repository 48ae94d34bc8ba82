"""CT parts to compute from: an adult's chest on the 32 cm phantom, unless said otherwise."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from dose_lib.records import (
    Code,
    CtAcquisitionType,
    CtEvent,
    Modality,
    Part,
    Patient,
    Phantom,
)

CHEST = Code("816094009", "SCT", "Chest")
ABDOMEN = Code("818981001", "SCT", "Abdomen")
HEAD = Code("69536005", "SCT", "Head")
NINE = datetime(2026, 6, 1, 9)


def event(**values: Any) -> CtEvent:
    """One spiral acquisition."""
    return CtEvent(
        **{
            "acquisition_type": CtAcquisitionType.SPIRAL,
            "ctdi_vol_mgy": 8.0,
            "dlp_mgy_cm": 280.0,
            "phantom": Phantom.BODY_32CM,
            "target_region": CHEST,
            **values,
        }
    )


def part(*events: CtEvent, patient: dict[str, Any] | None = None, **values: Any) -> Part:
    """A CT part of an adult of 70 kg and 170 cm."""
    who = {"age_y": 60.0, "weight_kg": 70.0, "height_cm": 170.0} | (patient or {})
    return Part(
        **{
            "part_key": "p",
            "study_uid": "1.2.3",
            "modality": Modality.CT,
            "started_at": NINE,
            "body_region": "chest",
            "procedure_name": "CT Chest",
            "events": events or (event(),),
            "patient": Patient(**who),
            **values,
        }
    )


def child(age_y: float, **values: Any) -> dict[str, Any]:
    """Patient values of a child; nothing but the age is known unless said."""
    return {"age_y": age_y, "weight_kg": None, "height_cm": None} | values


def localiser() -> CtEvent:
    """A localiser with a little dose."""
    return msgspec.structs.replace(
        event(),
        acquisition_type=CtAcquisitionType.CONSTANT_ANGLE,
        ctdi_vol_mgy=0.1,
        dlp_mgy_cm=4.0,
    )
