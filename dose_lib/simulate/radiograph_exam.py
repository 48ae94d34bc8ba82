"""One radiographic examination: a view an event, perhaps a repeat."""

from __future__ import annotations

import math
from datetime import timedelta
from random import Random

from dose_lib.records import (
    Plane,
    Totals,
    TotalsPlane,
    XRayEvent,
    XRayEventType,
)
from dose_lib.simulate.plan import Content, Plan
from dose_lib.simulate.population import REFERENCE_ADULT
from dose_lib.simulate.procedures import Projection, RadiographyProcedure
from dose_lib.simulate.uids import derive_uid
from dose_lib.simulate.writer.codes import dcm, sct
from dose_lib.simulate.xray_physics import mas_for, size_factor, tube_output_ugy_per_mas

# Standard deviation of the deviation index of a well-set unit: an assumption.
_DEVIATION_SD = 1.2


def radiograph_content(plan: Plan, procedure: RadiographyProcedure, rng: Random) -> Content:
    """The views of an examination in order, each perhaps exposed twice."""
    events: list[XRayEvent] = []
    clock = plan.started_at
    for projection in procedure.projections:
        times = 2 if rng.random() < procedure.repeat_share else 1
        for again in range(times):
            events.append(
                _exposure(plan, procedure, projection, rng, n=len(events), is_repeated=again > 0)
            )
            clock += timedelta(seconds=rng.randrange(25, 80))
    return Content(
        events=tuple(events),
        totals=radiograph_totals(events),
        ended_at=clock,
        values={
            "intent": sct("261004008"),
            "acquisition_device_type": dcm("113958"),
            "source_of_dose": (dcm("113856"),),
            "has_detector_data": True,
            "has_source_data": True,
            "has_mechanical_data": True,
        },
    )


def _exposure(
    plan: Plan,
    procedure: RadiographyProcedure,
    projection: Projection,
    rng: Random,
    *,
    n: int,
    is_repeated: bool,
) -> XRayEvent:
    spread = rng.lognormvariate(0.0, math.log(procedure.spread_gsd))
    size = size_factor(plan.body, REFERENCE_ADULT) if projection.depends_on_size else 1.0
    growth = min(1.0, plan.body.height_cm / 165.0)
    collimation = min(1.25, max(0.6, rng.gauss(1.0, 0.1))) * growth
    width, height = (round(side * collimation, 0) for side in projection.field_mm)
    area = width * height / 100.0
    reference_area = projection.field_mm[0] * projection.field_mm[1] / 100.0
    # The median is that of the reference patient's kerma; the field scales with the patient.
    kerma = projection.reference.median / reference_area * size * spread * plan.changes.exposure
    kap = kerma * area
    output = tube_output_ugy_per_mas(
        projection.kv, projection.sid_mm, plan.device.output_ugy_per_mas
    )
    mas = mas_for(kap, area, output)
    ms = min(max(mas / 0.32, 2.0), 1500.0)
    deviation = rng.gauss(0.0, _DEVIATION_SD)
    return XRayEvent(
        event_uid=derive_uid("event", *plan.key, n),
        ordinal=0,
        plane=Plane.SINGLE,
        started_at=plan.started_at + timedelta(seconds=50 * n),
        event_type=XRayEventType.STATIONARY,
        acquisition_protocol=projection.protocol,
        target_region=sct(procedure.target),
        view=sct(projection.view),
        kap_gy_cm2=round(kap * plan.changes.calibration, 5),
        kvp_kv=projection.kv,
        tube_current_ma=round(mas / ms * 1000.0, 1),
        exposure_time_ms=round(ms, 1),
        exposure_mas=round(mas, 3),
        exposure_index=round(projection.target_exposure_index * 10 ** (deviation / 10), 1),
        target_exposure_index=projection.target_exposure_index,
        deviation_index=round(deviation, 1),
        sid_mm=projection.sid_mm,
        field_width_mm=width,
        field_height_mm=height,
        grid=(dcm("111642") if projection.grid else dcm("111646"),),
        is_repeated=True if is_repeated else None,
        acquired_image_uids=(derive_uid("image", *plan.key, n),),
    )


def radiograph_totals(events: list[XRayEvent]) -> Totals:
    """What a report of these exposures states."""
    kap = round(sum(e.kap_gy_cm2 or 0.0 for e in events), 6)
    plane = TotalsPlane(
        plane=Plane.SINGLE, kap_gy_cm2=kap, kap_acquisition_gy_cm2=kap, n_frames=len(events)
    )
    return Totals(
        n_events=len(events),
        kap_gy_cm2=kap,
        kap_acquisition_gy_cm2=kap,
        n_frames=len(events),
        planes=(plane,),
        derived=("n_events",),
    )
