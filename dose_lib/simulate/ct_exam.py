"""One CT examination: localiser, bolus tracking, phases, repeats, as the scanner records them."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from random import Random

import msgspec

from dose_lib.records import CtAcquisitionType, CtEvent, CtSource, Phantom
from dose_lib.simulate.physics import CtOutput, scan
from dose_lib.simulate.population import Body
from dose_lib.simulate.scenario import CtProcedure, CtTechnique, DeviceSpec, ProtocolName
from dose_lib.simulate.uids import derive_uid
from dose_lib.simulate.writer.codes import sct

_NO_CONTRAST = sct("399331006")
_CONTRAST = sct("27483000")
# Technique of localisers and of bolus tracking: assumptions near what the real reports show.
_LOCALISER_MA, _LOCALISER_MGY = 35.0, 0.13
_TRACKING_MA, _TRACKING_MGY, _TRACKING_MM = 40.0, 1.2, 10.0


class CtPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides one examination before chance does.

    `technique` is what the scanner used, `set_by` the protocol as it was meant to be.
    """

    key: tuple[object, ...]
    device: DeviceSpec
    procedure: CtProcedure
    names: ProtocolName
    technique: CtTechnique
    set_by: CtTechnique
    is_child_protocol: bool
    body: Body
    started_at: datetime
    calibration: float = 1.0
    length_factor: float = 1.0

    @property
    def study_description(self) -> str:
        """The study as this device spells it."""
        names = self.names
        return (names.child_study if self.is_child_protocol else None) or names.study

    @property
    def protocol(self) -> str:
        """The exam protocol as this device spells it."""
        names = self.names
        return (names.child_protocol if self.is_child_protocol else None) or names.protocol

    @property
    def event_protocol(self) -> str:
        """The acquisition protocol of the diagnostic scan."""
        names = self.names
        return (names.child_event if self.is_child_protocol else None) or names.event


def ct_events(plan: CtPlan, rng: Random) -> tuple[CtEvent, ...]:
    """Events of an examination in order of time."""
    procedure = plan.procedure
    with_contrast = rng.random() < procedure.contrast_share
    variation = rng.lognormvariate(0.0, math.log(procedure.spread_gsd))
    length = procedure.length_mm * plan.length_factor * plan.body.height_cm / 170.0
    if procedure.region == "head":
        length = procedure.length_mm * (0.75 + 0.25 * min(plan.body.age_y, 16.0) / 16.0)
    length *= max(0.6, rng.gauss(1.0, procedure.length_sd))
    made = _Events(plan, with_contrast)
    made.localiser(length)
    if procedure.bolus_tracking and with_contrast:
        made.tracking(rng.randrange(2, 7))
    made.diagnostic(variation, length)
    if rng.random() < procedure.second_phase_share:
        made.diagnostic(variation, length)
    if rng.random() < procedure.repeat_share:
        made.diagnostic(variation, length * rng.uniform(0.3, 1.0))
    return tuple(made.events)


class _Events:
    """Events under construction, with the clock of the examination."""

    def __init__(self, plan: CtPlan, with_contrast: bool) -> None:
        self.events: list[CtEvent] = []
        self._plan = plan
        self._clock = plan.started_at
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
                nominal_total_collimation_mm=round(
                    6 * self._plan.technique.single_collimation_mm, 2
                ),
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
        technique = self._plan.technique
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
            plan.procedure,
            plan.technique,
            plan.body,
            set_by=plan.set_by,
            variation=variation,
            length_mm=length_mm,
            calibration=plan.calibration,
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
                max(out.length_mm - plan.technique.total_collimation_mm, 1.0), 1
            ),
            exposure_time_s=out.exposure_time_s,
            pitch=out.pitch,
            kvp_kv=out.kv,
            tube_current_ma=out.ma,
            max_tube_current_ma=out.ma_max,
            rotation_time_s=out.rotation_time_s,
            nominal_total_collimation_mm=plan.technique.total_collimation_mm,
            modulation_type=plan.technique.modulation,
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
                started_at=self._clock,
                target_region=sct(plan.procedure.target),
                phantom=Phantom(plan.procedure.phantom),
                nominal_single_collimation_mm=plan.technique.single_collimation_mm,
                n_sources=1,
            )
        )
        self._clock += timedelta(seconds=round(seconds) + 35)
