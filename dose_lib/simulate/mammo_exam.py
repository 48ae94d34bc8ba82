"""One mammography: both breasts in two views, flat, as tomosynthesis, or both."""

from __future__ import annotations

import math
from datetime import timedelta
from random import Random
from typing import Any

from dose_lib.records import (
    Filter,
    Laterality,
    MgMode,
    Plane,
    Totals,
    TotalsPlane,
    XRayEvent,
    XRayEventType,
)
from dose_lib.simulate.plan import Content, Plan
from dose_lib.simulate.procedures import MammographyProcedure
from dose_lib.simulate.uids import derive_uid
from dose_lib.simulate.writer.codes import dcm, sct
from dose_lib.simulate.xray_physics import glandular_factor

_VIEWS = ("399162004", "399368009")
_SIDES = (Laterality.RIGHT, Laterality.LEFT)
# Incident kerma is about four times the glandular dose at these beams: an assumption.
_KERMA_PER_GLANDULAR = 4.0


def mammography_content(plan: Plan, procedure: MammographyProcedure, rng: Random) -> Content:
    """Four views, twice where tomosynthesis comes with a flat image."""
    thickness = max(18.0, rng.gauss(procedure.thickness_mean_mm, procedure.thickness_sd_mm))
    modes = {"2D": ("2D",), "DBT": ("DBT",), "combo": ("2D", "DBT")}[procedure.mode]
    events: list[XRayEvent] = []
    for view in _VIEWS:
        for side in _SIDES:
            own = max(15.0, thickness + rng.gauss(0.0, 2.5) + (3.0 if view == _VIEWS[1] else 0.0))
            at: dict[str, Any] = {"side": side, "view": view, "thickness": own}
            for mode in modes:
                events.append(_exposure(plan, procedure, rng, n=len(events), mode=mode, **at))
            if rng.random() < procedure.repeat_share:
                again = _exposure(plan, procedure, rng, n=len(events), mode=modes[0], **at)
                events.append(again)
    return Content(
        events=tuple(events),
        totals=mammography_totals(events),
        ended_at=plan.started_at + timedelta(seconds=45 * len(events)),
        values={
            "intent": sct("261004008"),
            "source_of_dose": (dcm("113856"),),
            "procedure_reported": sct("71651007"),
            "mg_mode": MgMode(procedure.mode),
            "has_detector_data": True,
            "has_source_data": True,
            "has_mechanical_data": True,
        },
    )


def _exposure(
    plan: Plan,
    procedure: MammographyProcedure,
    rng: Random,
    *,
    n: int,
    mode: str,
    side: Laterality,
    view: str,
    thickness: float,
) -> XRayEvent:
    spread = rng.lognormvariate(0.0, math.log(procedure.spread_gsd))
    tomo = procedure.tomosynthesis_factor if mode == "DBT" else 1.0
    exposed = procedure.reference.median * glandular_factor(thickness, procedure.thickness_mean_mm)
    agd = exposed * spread * tomo * plan.changes.exposure * plan.changes.calibration
    kv = float(round(26.0 + (thickness - 30.0) / 10.0))
    mas = agd * 62.0 * (28.0 / kv) ** 3
    return XRayEvent(
        event_uid=derive_uid("event", *plan.key, n),
        ordinal=0,
        plane=Plane.SINGLE,
        started_at=plan.started_at + timedelta(seconds=45 * n),
        event_type=XRayEventType.STATIONARY,
        acquisition_protocol=f"{plan.event_protocol} {mode}",
        anatomical_structure=sct("76752008"),
        laterality=side,
        view=sct(view),
        target_region=sct("76752008"),
        agd_mgy=round(agd, 2),
        ka_i_mgy=round(agd * _KERMA_PER_GLANDULAR, 2),
        reference_point=dcm("113865"),
        half_value_layer_mm=0.53,
        kvp_kv=kv,
        tube_current_ma=100.0,
        exposure_time_ms=round(mas * 10.0, 1),
        exposure_mas=round(mas, 2),
        focal_spot_mm=0.3,
        anode_target=sct("26194003"),
        filters=(
            Filter(
                ordinal=0,
                filter_type=dcm("113650"),
                material=sct("59801003") if mode == "2D" else sct("12503006"),
                thickness_min_mm=0.05 if mode == "2D" else 0.7,
                thickness_max_mm=0.05 if mode == "2D" else 0.7,
            ),
        ),
        grid=(dcm("111642"),),
        mechanical_configuration=dcm("113954"),
        primary_angle_deg=0.0 if view == _VIEWS[0] else 45.0,
        compressed_thickness_mm=round(thickness, 1),
        sid_mm=700.0,
        acquired_image_uids=(derive_uid("image", *plan.key, n),),
    )


def mammography_totals(events: list[XRayEvent]) -> Totals:
    """Accumulated glandular dose of each breast."""

    def total(side: Laterality) -> float | None:
        found = [e.agd_mgy or 0.0 for e in events if e.laterality is side]
        return round(sum(found), 4) if found else None

    left, right = total(Laterality.LEFT), total(Laterality.RIGHT)
    plane = TotalsPlane(plane=Plane.SINGLE, agd_left_mgy=left, agd_right_mgy=right)
    return Totals(
        n_events=len(events),
        agd_left_mgy=left,
        agd_right_mgy=right,
        planes=(plane,),
        derived=("n_events",),
    )
