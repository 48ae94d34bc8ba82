"""What cannot be: sanity gates on recorded values. They flag; nothing is dropped.

Gates from the reference (dicom_dose §1.6): far beyond any real exposure, so that what
they catch is a wrong unit or a broken sender.
"""

from __future__ import annotations

from collections.abc import Sequence

from dose_lib.dicom.reading import Reading
from dose_lib.records import CtEvent, Totals, XRayEvent

# name -> largest value of one event that is believed
LIMITS = {
    "kap_gy_cm2": 500.0,
    "ka_r_mgy": 10_000.0,
    "agd_mgy": 50.0,
    "ctdi_vol_mgy": 300.0,
    "dlp_mgy_cm": 15_000.0,
}
# A detector nearer or farther than any: metres or decimetres were sent for millimetres.
DISTANCES = (100.0, 6_000.0)
# The same of an exam: ten times its largest event, ten hours of fluoroscopy.
TOTAL_LIMITS = {
    "kap_gy_cm2": 5_000.0,
    "ka_r_mgy": 100_000.0,
    "agd_left_mgy": 500.0,
    "agd_right_mgy": 500.0,
    "dlp_total_mgy_cm": 150_000.0,
    "fluoro_time_s": 36_000.0,
}
# KAP against air kerma × field area at the reference point: beyond this a unit is wrong.
RATIOS = (0.2, 5.0)


def check_events(reading: Reading, events: Sequence[CtEvent | XRayEvent]) -> None:
    """Issues for events whose dose is negative, beyond belief, or contradicts itself."""
    for place, event in enumerate(events):
        for name, limit in LIMITS.items():
            value = getattr(event, name, None)
            if value is not None and not 0 <= value <= limit:
                reading.note("implausible_value", f"events[{place}].{name}", f"{value:g}")
        if isinstance(event, XRayEvent):
            sid = event.sid_mm
            if sid is not None and sid != 0 and not DISTANCES[0] <= sid <= DISTANCES[1]:
                reading.note("implausible_value", f"events[{place}].sid_mm", f"{sid:g}")
            ratio = kap_ratio(event)
            if ratio is not None and not RATIOS[0] <= ratio <= RATIOS[1]:
                seen = f"{ratio:.2g} times air kerma times field area"
                reading.note("implausible_value", f"events[{place}].kap_gy_cm2", seen)
    _check_fields(reading, events)


def check_totals(reading: Reading, totals: Totals) -> None:
    """Issues for stated totals that are negative or beyond belief."""
    for name, limit in TOTAL_LIMITS.items():
        value = getattr(totals, name)
        if value is not None and name not in totals.derived and not 0 <= value <= limit:
            reading.note("implausible_value", f"totals.{name}", f"{value:g}")


def _check_fields(reading: Reading, events: Sequence[CtEvent | XRayEvent]) -> None:
    """One issue for all events whose recorded field is nothing or less (Philips Azurion)."""
    empty = [
        e
        for e in events
        if isinstance(e, XRayEvent)
        and any(v is not None and v <= 0 for v in (e.field_width_mm, e.field_height_mm))
    ]
    if empty:
        seen = f"field size 0 or negative in {len(empty)} events"
        reading.note("implausible_value", "events", seen)


def kap_ratio(event: XRayEvent) -> float | None:
    """KAP over air kerma × field area, both at the reference point; None if one is unknown."""
    area, sid, distance = event.collimated_area_cm2, event.sid_mm, event.source_reference_point_mm
    if not (event.kap_gy_cm2 and event.ka_r_mgy and area and sid and distance):
        return None
    at_point = area * (distance / sid) ** 2
    return event.kap_gy_cm2 / (event.ka_r_mgy / 1000 * at_point)
