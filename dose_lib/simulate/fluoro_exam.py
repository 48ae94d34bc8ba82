"""One procedure under fluoroscopy: pedal presses, runs, angles, table, in one or two planes."""

from __future__ import annotations

import math
from datetime import timedelta
from random import Random
from typing import Any

from dose_lib.records import Filter, Plane, XRayEvent, XRayEventType
from dose_lib.simulate.plan import Content, Plan
from dose_lib.simulate.population import REFERENCE_ADULT
from dose_lib.simulate.procedures import FluoroscopyProcedure
from dose_lib.simulate.uids import derive_uid
from dose_lib.simulate.writer.codes import dcm, sct
from dose_lib.simulate.writer.totals import part_totals, plane_totals
from dose_lib.simulate.xray_physics import size_factor

# Slope of the kerma with patient thickness: less than attenuation alone, because filters are
# withdrawn and the tube voltage rises first. An assumption.
_SLOPE_PER_CM = 0.12
_LONGEST_PEDAL_S = 45.0
_SOURCE_ISOCENTER_MM = 785.0


def fluoroscopy_content(plan: Plan, procedure: FluoroscopyProcedure, rng: Random) -> Content:
    """Events of a procedure in order of time; two planes expose together."""
    made = _Events(plan, procedure, rng)
    seconds = procedure.fluoro_time_median_s * rng.lognormvariate(
        0.0, math.log(procedure.fluoro_time_gsd)
    )
    presses = max(1, round(seconds / rng.uniform(6.0, 20.0)))
    runs = _count(rng, procedure.runs_mean)
    steps = ["fluoroscopy"] * min(presses, 60) + ["run"] * runs
    rng.shuffle(steps)
    share = seconds / min(presses, 60)
    for step in steps:
        if step == "run":
            made.run()
        else:
            made.fluoroscopy(min(share * rng.uniform(0.4, 1.6), 8 * _LONGEST_PEDAL_S))
    planes = sorted({e.plane or Plane.SINGLE for e in made.events})
    totals = part_totals([plane_totals(p, made.events) for p in planes], len(made.events))
    return Content(
        events=tuple(made.events),
        totals=totals,
        ended_at=made.clock,
        values={
            "intent": sct("261004008") if not procedure.runs_mean else sct("262202000"),
            "acquisition_device_type": dcm("113957"),
            "source_of_dose": (dcm("113856"),),
        },
    )


def _count(rng: Random, mean: float) -> int:
    return max(0, round(rng.gauss(mean, math.sqrt(mean)))) if mean else 0


class _Events:
    """Events under construction: clock, gantry and table move on from one to the next."""

    def __init__(self, plan: Plan, procedure: FluoroscopyProcedure, rng: Random) -> None:
        self.events: list[XRayEvent] = []
        self.clock = plan.started_at
        self._plan, self._procedure, self._rng = plan, procedure, rng
        spread = rng.lognormvariate(0.0, math.log(procedure.spread_gsd))
        size = size_factor(plan.body, REFERENCE_ADULT, slope=_SLOPE_PER_CM)
        factor = size * spread * plan.changes.exposure
        median = procedure.reference.median
        # Fluoroscopy and runs share the dose as the procedure says, at its median time.
        self._kap_per_s = (
            median * procedure.fluoro_dose_share / procedure.fluoro_time_median_s * factor
        )
        frames = max(procedure.runs_mean * procedure.frames_per_run, 1.0)
        self._kap_per_frame = median * (1.0 - procedure.fluoro_dose_share) / frames * factor
        self._pulse_rate = plan.changes.technique.get("pulse_rate_hz", procedure.pulse_rate_hz)
        self._kap_per_s *= self._pulse_rate / procedure.pulse_rate_hz
        self._table = (rng.uniform(-120.0, 120.0), rng.uniform(-40.0, 40.0), rng.uniform(90, 210))
        self._angles = rng.choice(procedure.angles)

    def fluoroscopy(self, seconds: float) -> None:
        """One press of the pedal."""
        lasting = max(0.4, round(seconds, 1))
        pulses = max(1, round(lasting * self._pulse_rate))
        self._expose(
            lasting,
            self._kap_per_s * lasting,
            event_type=XRayEventType.FLUOROSCOPY,
            acquisition_protocol=self._protocol("FL"),
            fluoro_mode=dcm("113631"),
            pulse_rate_hz=self._pulse_rate,
            n_pulses=pulses,
            pulse_width_ms=6.0,
            exposure_time_ms=round(pulses * 6.0, 1),
            filters=(_copper(0.3),),
        )

    def run(self) -> None:
        """One run of images."""
        if self._rng.random() < 0.6:
            self._angles = self._rng.choice(self._procedure.angles)
        frames = max(2, round(self._rng.gauss(1.0, 0.25) * self._procedure.frames_per_run))
        seconds = round(frames / self._procedure.frame_rate_hz, 2)
        self._expose(
            seconds,
            self._kap_per_frame * frames,
            event_type=XRayEventType.STATIONARY,
            acquisition_protocol=self._protocol("ACQ"),
            pulse_rate_hz=self._procedure.frame_rate_hz,
            n_pulses=frames,
            pulse_width_ms=7.5,
            exposure_time_ms=round(frames * 7.5, 1),
            filters=(_copper(0.1),),
        )

    def _protocol(self, kind: str) -> str:
        return f"{kind} {self._plan.event_protocol}"

    def _expose(self, seconds: float, kap: float, **values: Any) -> None:
        planes = (Plane.A, Plane.B) if self._plan.device.biplane else (Plane.SINGLE,)
        for plane in planes:
            # The lateral plane of a biplane system gives somewhat less.
            share = {Plane.A: 0.6, Plane.B: 0.4}.get(plane, 1.0)
            self.events.append(self._event(seconds, kap * share, plane, values))
        pause = self._rng.uniform(4.0, 60.0)
        self.clock += timedelta(seconds=round(seconds + pause))
        along, across, height = self._table
        self._table = (
            along + self._rng.gauss(0.0, 12.0),
            across + self._rng.gauss(0.0, 5.0),
            height,
        )

    def _event(self, seconds: float, kap: float, plane: Plane, values: dict[str, Any]) -> XRayEvent:
        procedure, plan = self._procedure, self._plan
        primary, secondary = self._angles
        if plane is Plane.B:
            primary -= 90.0
        kap = round(kap * plan.changes.calibration, 6)
        kv = round(procedure.kv + self._rng.gauss(0.0, 2.5), 1)
        ma = round(80.0 + self._rng.gauss(0.0, 10.0), 1)
        along, across, height = self._table
        return XRayEvent(
            event_uid=derive_uid("event", *plan.key, len(self.events)),
            ordinal=0,
            plane=plane,
            started_at=self.clock,
            target_region=sct(procedure.target),
            reference_point=dcm("113860"),
            kap_gy_cm2=kap,
            ka_r_mgy=round(kap / procedure.field_cm2 * 1e3, 5),
            irradiation_duration_s=seconds,
            kvp_kv=kv,
            tube_current_ma=ma,
            exposure_mas=round(ma * values["exposure_time_ms"] / 1000.0, 4),
            focal_spot_mm=0.6,
            primary_angle_deg=round(primary + self._rng.gauss(0.0, 2.0), 1),
            secondary_angle_deg=round(secondary + self._rng.gauss(0.0, 2.0), 1),
            source_isocenter_mm=_SOURCE_ISOCENTER_MM,
            sid_mm=float(round(self._rng.uniform(1000.0, 1180.0))),
            table_longitudinal_mm=round(along, 1),
            table_lateral_mm=round(across, 1),
            table_height_mm=round(height, 1),
            table_relationship=sct("102540008"),
            orientation=sct("102538003"),
            orientation_modifier=sct("40199007"),
            **values,
        )


def _copper(thickness: float) -> Filter:
    return Filter(
        ordinal=0,
        filter_type=dcm("113650"),
        material=sct("66925006"),
        thickness_min_mm=thickness,
        thickness_max_mm=thickness,
    )
