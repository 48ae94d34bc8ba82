"""What we compute beside recorded values: named `derived`, each with formula and inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from dose_lib.records import CtEvent, DerivedValue, Patient, XRayEvent

VERSION = "1"


def _exact(value: float) -> float:
    return float(f"{value:.12g}")


def compute_derived(
    events: Sequence[CtEvent | XRayEvent], patient: Patient
) -> dict[str, DerivedValue]:
    """Derived values of a part, by the place they would stand at, such as ``events[0].sid_mm``."""
    found: dict[str, DerivedValue] = {}
    for place, event in enumerate(events):
        if isinstance(event, XRayEvent):
            for name, value in (*exposure_time(event), *field_size(event)):
                found[f"events[{place}].{name}"] = value
    weight, height = patient.weight_kg, patient.height_cm
    if weight and height:
        found["patient.bmi_kg_per_m2"] = _value(
            weight / (height / 100) ** 2,
            "weight_kg / (height_cm / 100)^2",
            {"weight_kg": weight, "height_cm": height},
        )
    return found


def _value(value: float, formula: str, inputs: Mapping[str, float | str | None]) -> DerivedValue:
    return DerivedValue(value=_exact(value), formula=formula, version=VERSION, inputs=inputs)


def exposure_time(event: XRayEvent) -> Iterator[tuple[str, DerivedValue]]:
    """Exposure time from pulses × width, where none was recorded."""
    if event.exposure_time_ms is not None:
        return
    widths = [p.pulse_width_ms for p in event.pulses if p.pulse_width_ms is not None]
    if widths:
        total = math.fsum(widths)
        inputs = {"n_widths": float(len(widths))}
        yield "exposure_time_ms", _value(total, "sum of pulse_width_ms over pulses", inputs)
    elif event.n_pulses and event.pulse_width_ms:
        inputs = {"n_pulses": float(event.n_pulses), "pulse_width_ms": event.pulse_width_ms}
        total = event.n_pulses * event.pulse_width_ms
        yield "exposure_time_ms", _value(total, "n_pulses × pulse_width_ms", inputs)


def field_size(event: XRayEvent) -> Iterator[tuple[str, DerivedValue]]:
    """Field at the detector from Philips' shutters, which stand at 1 m from the focus."""
    shutters = (
        event.shutter_left_mm,
        event.shutter_right_mm,
        event.shutter_top_mm,
        event.shutter_bottom_mm,
    )
    left, right, top, bottom = shutters
    if left is None or right is None or top is None or bottom is None or not event.sid_mm:
        return
    scale = event.sid_mm / 1000
    width, height = (left + right) * scale, (top + bottom) * scale
    across: dict[str, float | str | None] = {
        "shutter_left_mm": left,
        "shutter_right_mm": right,
        "sid_mm": event.sid_mm,
    }
    along: dict[str, float | str | None] = {
        "shutter_top_mm": top,
        "shutter_bottom_mm": bottom,
        "sid_mm": event.sid_mm,
    }
    yield "field_width_mm", _value(width, "(left + right shutter) × sid_mm / 1000", across)
    yield "field_height_mm", _value(height, "(top + bottom shutter) × sid_mm / 1000", along)
    area = width * height / 100
    yield "collimated_area_cm2", _value(area, "field width × height / 100", across | along)
