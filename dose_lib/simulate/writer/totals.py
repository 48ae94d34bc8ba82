"""Totals of projection exams from their events."""

from __future__ import annotations

from collections.abc import Sequence

from dose_lib.records import (
    Plane,
    Totals,
    TotalsPlane,
    XRayEvent,
    XRayEventType,
)


def plane_totals(plane: Plane, events: Sequence[XRayEvent]) -> TotalsPlane:
    """Totals of one plane from its events."""
    own = [e for e in events if e.plane is plane]
    fluoro = [e for e in own if e.event_type is XRayEventType.FLUOROSCOPY]
    other = [e for e in own if e.event_type is not XRayEventType.FLUOROSCOPY]

    def total(name: str, of: Sequence[XRayEvent]) -> float | None:
        found = [getattr(e, name) for e in of if getattr(e, name) is not None]
        return round(sum(found), 6) if found else None

    return TotalsPlane(
        plane=plane,
        kap_gy_cm2=total("kap_gy_cm2", own),
        ka_r_mgy=total("ka_r_mgy", own),
        kap_fluoro_gy_cm2=total("kap_gy_cm2", fluoro),
        ka_r_fluoro_mgy=total("ka_r_mgy", fluoro),
        kap_acquisition_gy_cm2=total("kap_gy_cm2", other),
        ka_r_acquisition_mgy=total("ka_r_mgy", other),
        fluoro_time_s=total("irradiation_duration_s", fluoro),
        acquisition_time_s=total("irradiation_duration_s", other),
        n_frames=sum(e.n_pulses or 0 for e in other),
        reference_point=own[0].reference_point if own else None,
    )


def part_totals(planes: Sequence[TotalsPlane], n_events: int) -> Totals:
    """Totals of a part: sums of planes, and the larger plane's kerma."""

    def total(name: str) -> float | None:
        found = [getattr(p, name) for p in planes if getattr(p, name) is not None]
        return round(sum(found), 6) if found else None

    summed = (
        "kap_gy_cm2",
        "kap_fluoro_gy_cm2",
        "kap_acquisition_gy_cm2",
        "ka_r_mgy",
        "ka_r_fluoro_mgy",
        "ka_r_acquisition_mgy",
        "fluoro_time_s",
        "acquisition_time_s",
        "agd_left_mgy",
        "agd_right_mgy",
        "agd_both_mgy",
    )
    kerma = [p.ka_r_mgy for p in planes if p.ka_r_mgy is not None]
    frames = [p.n_frames for p in planes if p.n_frames is not None]
    return Totals(
        n_events=n_events,
        **{name: total(name) for name in summed},  # type: ignore[arg-type]
        ka_r_max_plane_mgy=max(kerma, default=None),
        n_frames=sum(frames) if frames else None,
        planes=tuple(planes),
        derived=("n_events", "ka_r_max_plane_mgy"),
    )
