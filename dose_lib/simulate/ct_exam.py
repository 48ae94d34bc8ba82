"""One CT examination: localiser, bolus tracking, phases, repeats, as the scanner records them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from random import Random

import msgspec

from dose_lib.records import CtAcquisitionType, CtEvent, CtSource, Phantom, Totals
from dose_lib.simulate.ct_physics import CtOutput, scan
from dose_lib.simulate.plan import Content, Plan
from dose_lib.simulate.procedures import CtProcedure, CtTechnique
from dose_lib.simulate.uids import derive_uid
from dose_lib.simulate.writer import find_dialect
from dose_lib.simulate.writer.codes import dcm, sct

_NO_CONTRAST = sct("399331006")
_CONTRAST = sct("27483000")
# Technique of localisers and of bolus tracking: assumptions near what the real reports show.
_LOCALISER_MA, _LOCALISER_MGY = 35.0, 0.13
_TRACKING_MA, _TRACKING_MGY, _TRACKING_MM = 40.0, 1.2, 10.0


def ct_content(plan: Plan, procedure: CtProcedure, rng: Random) -> Content:
    """Events of an examination in order of time, as its device reports them."""
    with_contrast = rng.random() < procedure.contrast_share
    variation = rng.lognormvariate(0.0, math.log(procedure.spread_gsd)) * plan.changes.exposure
    length = procedure.length_mm * plan.body.height_cm / 170.0
    if procedure.region == "head":
        length = procedure.length_mm * (0.75 + 0.25 * min(plan.body.age_y, 16.0) / 16.0)
    length *= max(0.6, rng.gauss(1.0, procedure.length_sd))
    made = _Events(plan, procedure, with_contrast)
    made.localiser(length)
    if procedure.bolus_tracking and with_contrast:
        made.tracking(rng.randrange(2, 7))
    made.diagnostic(variation, length)
    if rng.random() < procedure.second_phase_share:
        made.diagnostic(variation, length)
    if rng.random() < procedure.repeat_share:
        made.diagnostic(variation, length * rng.uniform(0.3, 1.0))
    events = reported(made.events, plan.device.dialect)
    return Content(
        events=events,
        totals=ct_totals(events),
        ended_at=made.clock,
        values={
            "procedure_reported": sct("77477000"),
            "intent": sct("261004008"),
            "source_of_dose": (dcm("113856"),),
        },
    )


def ct_totals(events: Sequence[CtEvent]) -> Totals:
    """What a report of these events states."""
    return Totals(
        n_events=len(events),
        dlp_total_mgy_cm=round(sum(e.dlp_mgy_cm or 0.0 for e in events), 2),
    )


def reported(events: Sequence[CtEvent], dialect: str) -> tuple[CtEvent, ...]:
    """The events that a maker reports, with the dose it reports for them."""
    habit = find_dialect(dialect).localisers
    if habit == "dose":
        return tuple(events)
    if habit == "none":
        return tuple(e for e in events if not _is_localiser(e))
    return tuple(_without_dose(e) if _is_localiser(e) else e for e in events)


def _is_localiser(event: CtEvent) -> bool:
    return event.acquisition_type is CtAcquisitionType.CONSTANT_ANGLE


def _without_dose(event: CtEvent) -> CtEvent:
    return msgspec.structs.replace(event, ctdi_vol_mgy=None, dlp_mgy_cm=None, phantom=None)


def technique_of(plan: Plan, procedure: CtProcedure) -> CtTechnique:
    """The protocol as it is meant to be."""
    return (procedure.child if plan.is_child_protocol else None) or procedure.adult


def used_technique(plan: Plan, procedure: CtProcedure) -> CtTechnique:
    """The parameters that were used: the protocol's, or what somebody made of them."""
    return technique_of(plan, procedure).model_copy(update=dict(plan.changes.technique))


def ct_dose(plan: Plan, procedure: CtProcedure, technique: CtTechnique) -> float:
    """CTDIvol that a technique gives the patient of a plan, without any variation, mGy."""
    return scan(
        plan.device,
        procedure,
        technique,
        plan.body,
        set_by=technique_of(plan, procedure) if plan.changes.technique else None,
        length_mm=procedure.length_mm,
    ).ctdi_vol_mgy


class _Events:
    """Events under construction, with the clock of the examination."""

    def __init__(self, plan: Plan, procedure: CtProcedure, with_contrast: bool) -> None:
        self.events: list[CtEvent] = []
        self.clock = plan.started_at
        self._plan = plan
        self._procedure = procedure
        self._technique = used_technique(plan, procedure)
        self._context = _CONTRAST if with_contrast else _NO_CONTRAST

    def localiser(self, length_mm: float) -> None:
        """The projection from which the scan is planned."""
        length = round(length_mm + 60.0, 1)
        feed = length / 100.0
        ctdi = _LOCALISER_MGY
        self._add(
            seconds=feed,
            event=CtEvent(
                acquisition_protocol=self._plan.device.localiser,
                acquisition_type=CtAcquisitionType.CONSTANT_ANGLE,
                procedure_context=_NO_CONTRAST,
                ctdi_vol_mgy=ctdi,
                dlp_mgy_cm=round(ctdi * length / 10.0, 2),
                scanning_length_mm=length,
                exposure_time_s=round(feed, 2),
                tube_current_ma=_LOCALISER_MA,
                max_tube_current_ma=_LOCALISER_MA,
                kvp_kv=120.0,
                nominal_total_collimation_mm=round(6 * self._technique.single_collimation_mm, 2),
                sources=(
                    CtSource(
                        source_id=self._plan.device.source_id,
                        ordinal=0,
                        kvp_kv=120.0,
                        max_tube_current_ma=_LOCALISER_MA,
                        tube_current_ma=_LOCALISER_MA,
                    ),
                ),
            ),
        )

    def tracking(self, rotations: int) -> None:
        """Low-dose images of one place until the contrast agent has come."""
        technique = self._technique
        ctdi = round(_TRACKING_MGY * rotations, 2)
        time = round(rotations * technique.rotation_time_s, 2)
        self._add(
            seconds=2.0 * rotations,
            event=CtEvent(
                acquisition_protocol="Monitoring",
                acquisition_type=CtAcquisitionType.STATIONARY,
                procedure_context=_CONTRAST,
                ctdi_vol_mgy=ctdi,
                dlp_mgy_cm=round(ctdi * _TRACKING_MM / 10.0, 2),
                scanning_length_mm=_TRACKING_MM,
                exposure_time_s=time,
                tube_current_ma=_TRACKING_MA,
                max_tube_current_ma=_TRACKING_MA,
                rotation_time_s=technique.rotation_time_s,
                kvp_kv=120.0,
                nominal_total_collimation_mm=_TRACKING_MM,
                sources=(
                    CtSource(
                        source_id=self._plan.device.source_id,
                        ordinal=0,
                        kvp_kv=120.0,
                        max_tube_current_ma=_TRACKING_MA,
                        tube_current_ma=_TRACKING_MA,
                        rotation_time_s=technique.rotation_time_s,
                    ),
                ),
            ),
        )

    def diagnostic(self, variation: float, length_mm: float) -> None:
        """The scan that is read."""
        plan = self._plan
        out = scan(
            plan.device,
            self._procedure,
            self._technique,
            plan.body,
            set_by=technique_of(plan, self._procedure),
            variation=variation,
            length_mm=length_mm,
            calibration=plan.changes.calibration,
        )
        self._add(seconds=out.exposure_time_s, event=self._spiral(out))

    def _spiral(self, out: CtOutput) -> CtEvent:
        plan = self._plan
        is_sequence = out.pitch is None
        return CtEvent(
            acquisition_protocol=plan.event_protocol,
            acquisition_type=(
                CtAcquisitionType.SEQUENCED if is_sequence else CtAcquisitionType.SPIRAL
            ),
            procedure_context=self._context,
            ctdi_vol_mgy=out.ctdi_vol_mgy,
            dlp_mgy_cm=out.dlp_mgy_cm,
            scanning_length_mm=out.length_mm,
            reconstructable_length_mm=round(
                max(out.length_mm - self._technique.total_collimation_mm, 1.0), 1
            ),
            exposure_time_s=out.exposure_time_s,
            pitch=out.pitch,
            kvp_kv=out.kv,
            tube_current_ma=out.ma,
            max_tube_current_ma=out.ma_max,
            rotation_time_s=out.rotation_time_s,
            nominal_total_collimation_mm=self._technique.total_collimation_mm,
            modulation_type=self._technique.modulation,
            sources=(
                CtSource(
                    source_id=plan.device.source_id,
                    ordinal=0,
                    kvp_kv=out.kv,
                    max_tube_current_ma=out.ma_max,
                    tube_current_ma=out.ma,
                    rotation_time_s=out.rotation_time_s,
                ),
            ),
        )

    def _add(self, *, seconds: float, event: CtEvent) -> None:
        plan, n = self._plan, len(self.events)
        self.events.append(
            msgspec.structs.replace(
                event,
                ordinal=0,
                event_uid=derive_uid("event", *plan.key, n),
                started_at=self.clock,
                target_region=sct(self._procedure.target),
                phantom=Phantom(self._procedure.phantom),
                nominal_single_collimation_mm=self._technique.single_collimation_mm,
                n_sources=1,
            )
        )
        self.clock += timedelta(seconds=round(seconds) + 35)
