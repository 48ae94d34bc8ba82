"""Default records of fluoroscopy and angiography."""

from __future__ import annotations

from typing import Any

from dose_lib.records import (
    Filter,
    Modality,
    Part,
    Plane,
    Pulse,
    TotalsPlane,
    XRayEvent,
    XRayEventType,
)
from dose_lib.simulate.writer.codes import dcm, sct
from dose_lib.simulate.writer.sample_parts import copper, event_of, part_of
from dose_lib.simulate.writer.totals import part_totals, plane_totals


def fluoroscopy(n: int, vendor: str, seed: object) -> Part:
    """A procedure in one plane."""
    events = tuple(_angio_event(i, seed) for i in range(n))
    return _angio(events, [plane_totals(Plane.SINGLE, events)], vendor, seed)


def biplane(n: int, vendor: str, seed: object) -> Part:
    """A procedure in two planes: each exposure is an event of plane A and one of plane B."""
    pairs = [(_angio_event(i, (seed, p), p)) for i in range(n) for p in (Plane.A, Plane.B)]
    planes = [plane_totals(p, pairs) for p in (Plane.A, Plane.B)]
    return _angio(tuple(pairs), planes, vendor, seed)


def _angio(
    events: tuple[XRayEvent, ...], planes: list[TotalsPlane], vendor: str, seed: object
) -> Part:
    return part_of(
        Modality.XA,
        vendor,
        seed,
        study_description="Coronary angiography",
        protocol_names=tuple(dict.fromkeys(e.acquisition_protocol or "" for e in events)),
        acquisition_device_type=dcm("113957"),
        has_detector_data=False,
        has_source_data=True,
        has_mechanical_data=True,
        totals=part_totals(planes, len(events)),
        events=events,
    )


def _angio_event(index: int, seed: object, plane: Plane = Plane.SINGLE) -> XRayEvent:
    """Fluoroscopy at even numbers, acquisitions at odd ones."""
    shared: dict[str, Any] = {
        **event_of(index, seed, plane),
        "target_region": sct("80891009"),
        "reference_point": dcm("113860"),
        "kvp_kv": 76.0 + index,
        "tube_current_ma": 95.5,
        "pulse_width_ms": 6.4,
        "focal_spot_mm": 0.6,
        "filters": (copper(0.3),),
        "primary_angle_deg": 12.5 + index,
        "secondary_angle_deg": -8.1,
        "source_isocenter_mm": 785.0,
        "sid_mm": 1120.0,
        "table_longitudinal_mm": -25.9,
        "table_lateral_mm": 525.1,
        "table_height_mm": 151.8,
        "table_relationship": sct("102540008"),
        "orientation": sct("102538003"),
        "orientation_modifier": sct("40199007"),
    }
    if index % 2:
        return XRayEvent(
            **shared,
            event_type=XRayEventType.STATIONARY,
            acquisition_protocol="Coro 15 fps",
            kap_gy_cm2=2.35 + index,
            ka_r_mgy=24.5 + index,
            pulse_rate_hz=15.0,
            n_pulses=72,
            irradiation_duration_s=4.8,
            exposure_time_ms=460.8,
            exposure_mas=44.0,
            field_width_mm=160.0,
            field_height_mm=160.0,
            collimated_area_cm2=256.0,
        )
    return XRayEvent(
        **shared,
        event_type=XRayEventType.FLUOROSCOPY,
        acquisition_protocol="FL Coro",
        fluoro_mode=dcm("113631"),
        kap_gy_cm2=0.62 + index / 10,
        ka_r_mgy=7.1 + index,
        pulse_rate_hz=7.5,
        n_pulses=210,
        irradiation_duration_s=28.0,
        exposure_time_ms=1344.0,
        exposure_mas=128.4,
        ii_diameter_mm=220.0,
    )


def pulsed(n: int, vendor: str, seed: object) -> Part:
    """Fluoroscopy that states kVp, mA and width of every pulse, the first without beam."""
    events = []
    for i in range(n):
        beam = [(70.0 + k, 40.0 + k, 8.0) for k in range(5)]
        pulses = [Pulse(ordinal=0, kvp_kv=0.0, tube_current_ma=0.0, pulse_width_ms=0.0)] + [
            Pulse(ordinal=k + 1, kvp_kv=kv, tube_current_ma=ma, pulse_width_ms=ms)
            for k, (kv, ma, ms) in enumerate(beam)
        ]
        events.append(
            XRayEvent(
                **event_of(i, seed),
                event_type=XRayEventType.FLUOROSCOPY,
                acquisition_protocol="ABDOMEN",
                target_region=sct("818981001"),
                fluoro_mode=dcm("113631"),
                kap_gy_cm2=0.215,
                ka_r_mgy=3.4,
                n_pulses=6,
                pulse_rate_hz=8.0,
                irradiation_duration_s=0.75,
                pulses=tuple(pulses),
                kvp_kv=72.0,
                tube_current_ma=42.0,
                pulse_width_ms=8.0,
                filters=(
                    Filter(
                        ordinal=0,
                        filter_type=dcm("113650"),
                        material=sct("12503006"),
                        thickness_min_mm=2.5,
                        thickness_max_mm=2.5,
                    ),
                ),
            )
        )
    planes = [plane_totals(Plane.SINGLE, events)]
    return part_of(
        Modality.RF,
        vendor,
        seed,
        study_description="Theatre",
        acquisition_device_type=dcm("113957"),
        totals=part_totals(planes, len(events)),
        events=tuple(events),
    )
