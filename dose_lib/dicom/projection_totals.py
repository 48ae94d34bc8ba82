"""Totals of a projection part: accumulated dose by plane (TID 10002 to 10007), sums, counts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from dose_lib import codes as c
from dose_lib.dicom.ct_totals import compare_total, exact_sum
from dose_lib.dicom.fields import PLANES, SIDES, Kind, Table, choice, fields, numbers
from dose_lib.dicom.nesting import leave
from dose_lib.dicom.observers import take_device
from dose_lib.dicom.reading import Reading
from dose_lib.dicom.record import Fields, Handlers, choose
from dose_lib.dicom.reference_point import take_reference_point
from dose_lib.dicom.sr import Node
from dose_lib.records import (
    Fiducial,
    Laterality,
    Plane,
    Totals,
    TotalsPlane,
    XRayEvent,
    XRayEventType,
)

PLANE: Table = {
    **choice("plane", c.ACQUISITION_PLANE, PLANES),
    **fields(Kind.TEXT, source_id=c.IDENTIFICATION_OF_THE_XRAY_SOURCE),
    **numbers(
        "Gy.cm2",
        kap_gy_cm2=c.DOSE_AREA_PRODUCT_TOTAL,
        kap_fluoro_gy_cm2=c.FLUORO_DOSE_AREA_PRODUCT_TOTAL,
        kap_acquisition_gy_cm2=c.ACQUISITION_DOSE_AREA_PRODUCT_TOTAL,
    ),
    **numbers(
        "mGy",
        ka_r_mgy=c.DOSE_RP_TOTAL,
        ka_r_fluoro_mgy=c.FLUORO_DOSE_RP_TOTAL,
        ka_r_acquisition_mgy=c.ACQUISITION_DOSE_RP_TOTAL,
    ),
    **numbers("s", fluoro_time_s=c.TOTAL_FLUORO_TIME, acquisition_time_s=c.TOTAL_ACQUISITION_TIME),
    **numbers("mGy.cm", dlp_total_mgy_cm=c.CT_DOSE_LENGTH_PRODUCT_TOTAL),
    **fields(Kind.COUNT, n_frames=c.TOTAL_NUMBER_OF_RADIOGRAPHIC_FRAMES),
    **fields(Kind.CODE, detector_type=c.DETECTOR_TYPE, landmark=c.EQUIPMENT_LANDMARK),
    **numbers(
        "mm",
        source_reference_point_mm=c.DISTANCE_SOURCE_TO_REFERENCE_POINT,
        landmark_x_mm=c.EQUIPMENT_LANDMARK_X_POSITION,
        landmark_z_mm=c.EQUIPMENT_LANDMARK_Z_POSITION,
        system_height_mm=c.PHILIPS_SYSTEM_HEIGHT,
    ),
}
_CALIBRATION: Table = {
    **fields(Kind.CODE, calibration_device=c.DOSE_MEASUREMENT_DEVICE),
    **fields(Kind.TIME, calibrated_at=c.CALIBRATION_DATETIME),
    **numbers("1", calibration_factor=c.CALIBRATION_FACTOR),
    **numbers("%", calibration_uncertainty_percent=c.CALIBRATION_UNCERTAINTY),
    **fields(Kind.TEXT, calibration_protocol=c.CALIBRATION_PROTOCOL),
    **fields(Kind.WORD, responsible=c.CALIBRATION_RESPONSIBLE_PARTY),
}
_CALIBRATION_LISTS = [f.name for f in _CALIBRATION.values() if f.name != "responsible"]
_AGD = {
    Laterality.LEFT: "agd_left_mgy",
    Laterality.RIGHT: "agd_right_mgy",
    Laterality.BOTH: "agd_both_mgy",
    None: "agd_both_mgy",
}
AGD = c.ACCUMULATED_AGD.key
# Totals that are the sum of the planes' (DESIGN §4); the air kerma's is no skin dose.
SUMMED = (
    "kap_gy_cm2",
    "kap_fluoro_gy_cm2",
    "kap_acquisition_gy_cm2",
    "ka_r_mgy",
    "ka_r_fluoro_mgy",
    "ka_r_acquisition_mgy",
    "fluoro_time_s",
    "acquisition_time_s",
    "n_frames",
)


def _take_calibration(record: Fields, node: Node) -> None:
    """One calibration: its values stand at one place of all calibration lists."""
    lists = record.values.setdefault("_calibrations", [])
    below = Fields(record.reading, f"{record.prefix}calibration[{len(lists)}].")
    below.read(node.children, _CALIBRATION, {})
    # The responsible party may be a person.
    below.reading.provenance[:] = [
        p for p in below.reading.provenance if p.name != f"{below.prefix}responsible"
    ]
    lists.append(below.values)


def _take_agd(record: Fields, node: Node) -> None:
    """Accumulated glandular dose of a breast; two containers may hold one breast each."""
    side = node.first(c.LATERALITY.key)
    laterality = None
    if side is not None:
        side.is_taken = True
        laterality = choose(record.reading, side, SIDES)
        if laterality is None and side.coded[0]:
            record.reading.note("unknown_code", side.path, side.coded[1].meaning)
    found = record.number(node, "mGy")
    name = _AGD.get(laterality)
    if found is not None and name is not None:
        record.put(name, found[0], node, found[1])


def _take_fiducial(record: Fields, node: Node) -> None:
    below = Fields(record.reading, f"{record.prefix}fiducials.")
    table = numbers("mm", landmark_z_mm=c.EQUIPMENT_LANDMARK_TO_PATIENT_FIDUCIAL_Z_DISTANCE)
    below.read(node.children, table, {})
    known = record.values.get("fiducials", ())
    meaning = node.coded[1].meaning or node.value or node.name.meaning
    record.values["fiducials"] = (*known, Fiducial(meaning=meaning, **below.values))


HANDLERS: Handlers = {
    c.ACCUMULATED_XRAY_DOSE_DATA.key: leave,
    c.ACCUMULATED_DOSE_DATA.key: leave,
    c.IRRADIATION_EVENT_XRAY_DATA.key: leave,
    c.IRRADIATION_EVENT_SUMMARY_DATA.key: leave,
    c.CALIBRATION.key: _take_calibration,
    c.ACCUMULATED_AGD.key: _take_agd,
    c.REFERENCE_POINT_DEFINITION.key: take_reference_point,
    c.PATIENT_LOCATION_FIDUCIAL.key: _take_fiducial,
    c.DEVICE_ROLE_IN_PROCEDURE.key: take_device,
}


def read_plane(reading: Reading, nodes: Sequence[Node], position: int) -> TotalsPlane:
    """Accumulated dose of one plane or source (113702, 130500), of one container or several."""
    record = Fields(reading, f"totals.planes[{position}].")
    for node in nodes:
        record.read(node.children, PLANE, HANDLERS)
    values = record.values
    calibrations = values.pop("_calibrations", [])
    for name in _CALIBRATION_LISTS:
        values[name] = tuple(one.get(name) for one in calibrations) if calibrations else ()
    parties = tuple(one.get("responsible") or "" for one in calibrations)
    if any(parties):
        known = reading.identity.get("calibration_responsible", ())
        reading.identity["calibration_responsible"] = (*known, *parties)
    return TotalsPlane(**values)


def complete_totals(
    reading: Reading, planes: Sequence[TotalsPlane], events: Sequence[XRayEvent]
) -> Totals:
    """Totals of a projection part; what we summed, counted or compared is in `derived`."""
    counted = [_with_count(plane, events) for plane in planes]
    stated, values = _stated(counted), _from_planes(counted)
    computed: dict[str, Any] = {name: v for name, v in values.items() if name not in stated}
    computed |= {n: v for n, v in _from_events(events).items() if n not in values}
    computed["n_events"] = len(events)
    is_fluoro = [e.event_type is XRayEventType.FLUOROSCOPY for e in events]
    computed["n_fluoro_events"] = sum(is_fluoro)
    computed["n_acquisition_events"] = len(events) - sum(is_fluoro)
    _compare(reading, values, events)
    return Totals(
        **{**computed, **stated},
        planes=tuple(counted),
        derived=tuple(name for name, value in computed.items() if value is not None),
    )


def _with_count(plane: TotalsPlane, events: Sequence[XRayEvent]) -> TotalsPlane:
    own = [e for e in events if plane.plane in (Plane.ALL, None) or e.plane is plane.plane]
    if plane.source_id is not None and not is_whole(plane):
        own = [e for e in own if e.source_id == plane.source_id]
    return replace(plane, n_events=len(own))


def is_whole(plane: TotalsPlane) -> bool:
    """True for a container that sums over planes, or over sources ("A and B", TID 10041)."""
    several = re.search(r"(?i)\band\b|[,;&+/]|\ball\b", plane.source_id or "")
    return plane.plane is Plane.ALL or several is not None


def _stated(planes: Sequence[TotalsPlane]) -> dict[str, Any]:
    """Totals that one container states for the whole part."""
    whole = [p for p in planes if is_whole(p)] or (list(planes) if len(planes) == 1 else [])
    if not whole:
        return {}
    names = (*SUMMED, *set(_AGD.values()), "dlp_total_mgy_cm")
    found = {n: v for n in names if (v := getattr(whole[0], n)) is not None}
    if len(planes) == 1 and whole[0].ka_r_mgy is not None:
        found["ka_r_max_plane_mgy"] = whole[0].ka_r_mgy
    return found


def _from_planes(planes: Sequence[TotalsPlane]) -> dict[str, Any]:
    """Stated totals, and sums over planes where each states its own."""
    stated = _stated(planes)
    single = [p for p in planes if not is_whole(p)]
    values = dict(stated)
    for name in SUMMED:
        found = [v for p in single if (v := getattr(p, name)) is not None]
        if found and name not in values:
            values[name] = exact_sum(found) if name != "n_frames" else sum(found)
    for name in ("agd_left_mgy", "agd_right_mgy", "agd_both_mgy"):
        for plane in planes:
            if (value := getattr(plane, name)) is not None:
                values.setdefault(name, value)
    kermas = [p.ka_r_mgy for p in single if p.ka_r_mgy is not None]
    if kermas:
        values["ka_r_max_plane_mgy"] = max(kermas)
    return values


def _sum_of(
    events: Iterable[XRayEvent], name: str, wanted: Callable[[XRayEvent], bool]
) -> float | None:
    found = [v for e in events if wanted(e) and (v := getattr(e, name)) is not None]
    return exact_sum(found) if found else None


def _from_events(events: Sequence[XRayEvent]) -> dict[str, float]:
    """Sums over events; a missing dose stays missing, since zero is not unknown."""
    found = {
        "kap_gy_cm2": _sum_of(events, "kap_gy_cm2", lambda _: True),
        "kap_fluoro_gy_cm2": _sum_of(events, "kap_gy_cm2", _is_fluoro),
        "kap_acquisition_gy_cm2": _sum_of(events, "kap_gy_cm2", _is_acquisition),
        "ka_r_mgy": _sum_of(events, "ka_r_mgy", lambda _: True),
        "ka_r_fluoro_mgy": _sum_of(events, "ka_r_mgy", _is_fluoro),
        "ka_r_acquisition_mgy": _sum_of(events, "ka_r_mgy", _is_acquisition),
        "agd_left_mgy": _sum_of(events, "agd_mgy", lambda e: e.laterality is Laterality.LEFT),
        "agd_right_mgy": _sum_of(events, "agd_mgy", lambda e: e.laterality is Laterality.RIGHT),
    }
    by_plane = [
        _sum_of(events, "ka_r_mgy", lambda e, plane=plane: e.plane is plane)  # type: ignore[misc]
        for plane in {e.plane for e in events}
    ]
    kermas = [k for k in by_plane if k is not None]
    found["ka_r_max_plane_mgy"] = max(kermas) if kermas else None
    return {name: value for name, value in found.items() if value is not None}


def _is_fluoro(event: XRayEvent) -> bool:
    return event.event_type is XRayEventType.FLUOROSCOPY


def _is_acquisition(event: XRayEvent) -> bool:
    return event.event_type not in (None, XRayEventType.FLUOROSCOPY)


def _compare(reading: Reading, values: dict[str, Any], events: Sequence[XRayEvent]) -> None:
    sums = _from_events(events)
    for name in ("kap_gy_cm2", "ka_r_mgy", "agd_left_mgy", "agd_right_mgy"):
        compare_total(reading, name, values.get(name), sums.get(name))
    for name in ("kap_gy_cm2", "ka_r_mgy"):
        if values.get(name) == 0 and events:
            reading.note("zero_dose", f"totals.{name}", f"0 with {len(events)} events")
