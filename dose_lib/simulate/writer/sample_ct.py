"""Default CT records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from dose_lib.records import (
    CtAcquisitionType,
    CtEvent,
    CtSource,
    Modality,
    Part,
    Phantom,
    Totals,
)
from dose_lib.simulate.uids import derive_uid
from dose_lib.simulate.writer.codes import sct
from dose_lib.simulate.writer.sample_parts import START, part_of


def ct_event(index: int, seed: object) -> CtEvent:
    """The first is a localiser, the others are spiral scans of the chest."""
    common: dict[str, Any] = {
        "event_uid": derive_uid("event", seed, index),
        "ordinal": 0,
        "started_at": START + timedelta(seconds=40 * index),
        "target_region": sct("816094009"),
        "procedure_context": sct("399331006"),
        "nominal_single_collimation_mm": 0.6,
        "n_sources": 1,
        "kvp_kv": 120.0,
        "phantom": Phantom.BODY_32CM,
    }
    if index == 0:
        return CtEvent(
            **common,
            acquisition_protocol="Topogram",
            acquisition_type=CtAcquisitionType.CONSTANT_ANGLE,
            exposure_time_s=4.2,
            scanning_length_mm=412.0,
            nominal_total_collimation_mm=3.6,
            tube_current_ma=35.0,
            max_tube_current_ma=35.0,
            ctdi_vol_mgy=0.13,
            dlp_mgy_cm=5.4,
            sources=(_tube(35.0, 35.0, None),),
        )
    return CtEvent(
        **common,
        acquisition_protocol="Thorax",
        acquisition_type=CtAcquisitionType.SPIRAL,
        exposure_time_s=8.25,
        scanning_length_mm=341.0,
        nominal_total_collimation_mm=38.4,
        pitch=1.2,
        tube_current_ma=156.0 + index,
        max_tube_current_ma=312.0,
        rotation_time_s=0.5,
        ctdi_vol_mgy=6.0 + index / 4,
        dlp_mgy_cm=204.6 + 8 * index,
        modulation_type="XYZ_EC",
        sources=(_tube(156.0 + index, 312.0, 0.5),),
    )


def _tube(ma: float, ma_max: float, rotation_time_s: float | None) -> CtSource:
    return CtSource(
        source_id="A",
        ordinal=0,
        kvp_kv=120.0,
        max_tube_current_ma=ma_max,
        tube_current_ma=ma,
        rotation_time_s=rotation_time_s,
    )


def ct_part(events: Sequence[CtEvent], vendor: str, seed: object) -> Part:
    """A CT report of given events."""
    starts = [e.started_at for e in events if e.started_at is not None] or [START]
    names = (e.acquisition_protocol for e in events if e.acquisition_protocol)
    return part_of(
        Modality.CT,
        vendor,
        seed,
        started_at=min(starts),
        ended_at=max(starts) + timedelta(seconds=12),
        study_description="CT Thorax",
        protocol_names=tuple(dict.fromkeys(names)),
        procedure_reported=sct("77477000"),
        totals=Totals(
            n_events=len(events),
            dlp_total_mgy_cm=round(sum(e.dlp_mgy_cm or 0.0 for e in events), 6),
        ),
        events=tuple(events),
    )
