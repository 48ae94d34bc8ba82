"""Projection X-ray dose (PS3.16 TID 10001 to 10007): records to content items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from dose_lib.records import (
    Code,
    Filter,
    Identity,
    Laterality,
    Modality,
    Part,
    Plane,
    Pulse,
    Totals,
    TotalsPlane,
    XRayEvent,
    XRayEventType,
)
from dose_lib.simulate.writer.codes import dcm, sct, yes_no
from dose_lib.simulate.writer.ct import procedure_reported, scope
from dose_lib.simulate.writer.dialect import Dialect
from dose_lib.simulate.writer.mechanical import mechanical
from dose_lib.simulate.writer.people import (
    ADMINISTERING,
    AUTHORIZING,
    irradiating_device,
    observer,
    persons,
)
from dose_lib.simulate.writer.private import philips_event, philips_totals, siemens_comment
from dose_lib.simulate.writer.tree import (
    MOD,
    PROP,
    Item,
    Items,
    coded,
    container,
    image,
    moment,
    number,
    text,
    uid,
    unmeasured,
)

PLANES = {
    Plane.SINGLE: dcm("113622"),
    Plane.A: dcm("113620"),
    Plane.B: dcm("113621"),
    Plane.ALL: dcm("113890"),
}
EVENT_TYPES = {
    XRayEventType.FLUOROSCOPY: sct("44491008"),
    XRayEventType.STATIONARY: dcm("113611"),
    XRayEventType.STEPPING: dcm("113612"),
    XRayEventType.ROTATIONAL: dcm("113613"),
}
LATERALITIES = {
    Laterality.LEFT: sct("7771000"),
    Laterality.RIGHT: sct("24028007"),
    Laterality.BOTH: sct("51440002"),
    Laterality.UNILATERAL: sct("66459002"),
}
_BREASTS = (
    ("agd_left_mgy", sct("80248007")),
    ("agd_right_mgy", sct("73056007")),
    ("agd_both_mgy", sct("63762007")),
)
_IMAGES = {
    Modality.DX: "1.2.840.10008.5.1.4.1.1.1.1",
    Modality.MG: "1.2.840.10008.5.1.4.1.1.1.2",
    Modality.RF: "1.2.840.10008.5.1.4.1.1.12.2",
    Modality.XA: "1.2.840.10008.5.1.4.1.1.12.1",
}
_REPORTED = {Modality.MG: sct("71651007"), Modality.CBCT: sct("717193008")}
_LATERALITY = sct("272741003")
_T = TypeVar("_T")
# Of 1 Gy.cm2 in Gy.m2, of 1 mGy in Gy, of 1 cm2 in m2.
_GY_M2, _GY, _M2 = 1e-4, 1e-3, 1e-4


def projection_items(part: Part, identity: Identity, dialect: Dialect) -> Items:
    """Content of the root container (TID 10001)."""
    available = (
        ("113945", part.has_detector_data),
        ("113943", part.has_source_data),
        ("113944", part.has_mechanical_data),
    )
    events = [e for e in part.events if isinstance(e, XRayEvent)]
    return (
        *coded("121049", part.language, relation=MOD),
        *procedure_reported(part, _REPORTED.get(part.modality, dcm("113704"))),
        *coded("122142", part.acquisition_device_type),
        *observer(part.device),
        *scope(part),
        *(i for concept, flag in available for i in coded(concept, _flag(flag))),
        *(_accumulated(p, part, dialect) for p in planes(part.totals)),
        *(_event(e, part, identity, dialect) for e in events),
        *text("121106", part.comment),
        *(persons(identity, AUTHORIZING) if dialect.participants else ()),
        *(i for code in part.source_of_dose for i in coded("113854", code)),
    )


def _flag(flag: bool | None) -> Code | None:
    return None if flag is None else yes_no(flag)


def planes(totals: Totals) -> tuple[TotalsPlane, ...]:
    """The planes as stated, or the part's totals as one plane."""
    if totals.planes:
        return totals.planes
    names = [n for n in TotalsPlane.__struct_fields__ if n in Totals.__struct_fields__]
    stated = {n: getattr(totals, n) for n in names if n not in totals.derived}
    return (TotalsPlane(plane=Plane.SINGLE, **stated),)


def _scaled(value: float | None, factor: float) -> float | None:
    """A value in the template's unit; 15 digits, so that 0.1 stays 0.1."""
    return None if value is None else float(f"{value * factor:.15g}")


def _accumulated(plane: TotalsPlane, part: Part, dialect: Dialect) -> Item:
    missing = dialect.missing
    return container(
        "113702",
        (
            *coded("113764", PLANES[plane.plane or Plane.SINGLE], relation=MOD),
            *_calibrations(plane),
            *_or_missing("113722", _scaled(plane.kap_gy_cm2, _GY_M2), "Gy.m2", missing),
            *_or_missing("113725", _scaled(plane.ka_r_mgy, _GY), "Gy", missing),
            *number("113726", _scaled(plane.kap_fluoro_gy_cm2, _GY_M2), "Gy.m2"),
            *number("113728", _scaled(plane.ka_r_fluoro_mgy, _GY), "Gy"),
            *number("113730", plane.fluoro_time_s, "s"),
            *number("113727", _scaled(plane.kap_acquisition_gy_cm2, _GY_M2), "Gy.m2"),
            *_or_missing("113729", _scaled(plane.ka_r_acquisition_mgy, _GY), "Gy", missing),
            *number("113855", plane.acquisition_time_s, "s"),
            *number("113737", plane.source_reference_point_mm, "mm"),
            *number("113731", plane.n_frames, "1"),
            *coded("113780", plane.reference_point),
            *text("113780", plane.reference_point_text),
            *coded("113947", plane.detector_type),
            *_glandular(plane),
            *(philips_totals(plane, part) if dialect.private == "philips" else ()),
            *(irradiating_device(part.device) if dialect.participants else ()),
        ),
    )


def _or_missing(
    concept: str, value: float | None, unit: str, missing: Mapping[str, Code | None]
) -> Items:
    if value is None and concept in missing:
        return unmeasured(concept, missing[concept])
    return number(concept, value, unit)


def _glandular(plane: TotalsPlane) -> Iterable[Item]:
    for name, breast in _BREASTS:
        side = coded(_LATERALITY, breast, relation=MOD)
        yield from number("111637", getattr(plane, name), "mGy", *side)


def _calibrations(plane: TotalsPlane) -> Iterable[Item]:
    for n, device in enumerate(plane.calibration_device):
        yield container(
            "122505",
            (
                *coded("113794", device, relation=MOD),
                *moment("113723", _nth(plane.calibrated_at, n)),
                *number("122322", _nth(plane.calibration_factor, n), "1"),
                *number("113763", _nth(plane.calibration_uncertainty_percent, n), "%"),
                *text("113720", _nth(plane.calibration_protocol, n)),
            ),
        )


def _nth(values: tuple[_T, ...], n: int) -> _T | None:
    return values[n] if n < len(values) else None


def _event(event: XRayEvent, part: Part, identity: Identity, dialect: Dialect) -> Item:
    own_laterality = coded(
        _LATERALITY, LATERALITIES[event.laterality] if event.laterality else None, relation=MOD
    )
    anatomy = coded(sct("91723000"), event.anatomical_structure, *own_laterality)
    target = coded("123014", event.target_region, *(() if anatomy else own_laterality))
    modifier = coded("113744", event.orientation_modifier, relation=MOD)
    sop_class = _IMAGES.get(part.modality, _IMAGES[Modality.DX])
    own_device: Items = ()
    if dialect.participants:
        own_device = (*persons(identity, ADMINISTERING), *irradiating_device(part.device))
    return container(
        "113706",
        (
            *coded("113764", PLANES[event.plane or Plane.SINGLE], relation=MOD),
            *uid("113769", event.event_uid),
            *text("113605", event.label, *coded("113606", event.label_type, relation=MOD)),
            *_repeats(event),
            *moment("111526", event.started_at),
            *coded("113721", EVENT_TYPES[event.event_type] if event.event_type else None),
            *text("125203", event.acquisition_protocol),
            *anatomy,
            *coded("111031", event.view, *_modifiers(event)),
            *coded("113946", event.eponymous_view),
            *coded("113745", event.table_relationship),
            *coded("113743", event.orientation, *modifier),
            *target,
            *_or_missing("122130", _scaled(event.kap_gy_cm2, _GY_M2), "Gy.m2", dialect.missing),
            *number("111634", event.half_value_layer_mm, "mm"),
            *number("111638", event.patient_equivalent_thickness_mm, "mm"),
            *number("111636", event.ka_i_mgy, "mGy"),
            *coded("113780", event.reference_point),
            *text("113780", event.reference_point_text),
            *_detector(event, sop_class),
            *source_data(event, dialect),
            *mechanical(event, dialect),
            *(philips_event(event) if dialect.private == "philips" else ()),
            *text("121106", _comment(event, dialect)),
            *own_device,
        ),
    )


def _comment(event: XRayEvent, dialect: Dialect) -> str | None:
    if dialect.private == "siemens" and event.event_type is XRayEventType.FLUOROSCOPY:
        return event.comment or siemens_comment(event)
    return event.comment


def _modifiers(event: XRayEvent) -> Items:
    return tuple(i for code in event.view_modifiers for i in coded("111032", code, relation=MOD))


def _repeats(event: XRayEvent) -> Items:
    reason = coded("128552", event.repeat_reason, relation=MOD)
    of = uid("113769", event.repeat_of_event_uid, PROP)
    rejected = coded("130504", event.reject_reason, relation=MOD)
    return (
        *coded("128551", _flag(event.is_repeated), *reason, *of),
        *coded("130503", _flag(event.is_rejected), *rejected),
    )


def _detector(event: XRayEvent, sop_class: str) -> Items:
    """TID 10003A."""
    return (
        *number("113845", event.exposure_index, "1"),
        *number("113846", event.target_exposure_index, "1"),
        *number("113847", event.deviation_index, "1"),
        *(image("113795", sop_class, u) for u in event.acquired_image_uids),
    )


def source_data(event: XRayEvent, dialect: Dialect) -> Items:
    """TID 10003B; per-pulse values as repeated items, or several values in one."""
    derivation = coded("121401", event.n_pulses_derivation, relation=MOD)
    return (
        *_or_missing("113738", _scaled(event.ka_r_mgy, _GY), "Gy", dialect.missing),
        *number("111631", event.agd_mgy, "mGy"),
        *coded("113732", event.fluoro_mode),
        *number("113791", event.pulse_rate_hz, "{pulse}/s"),
        *number("113768", event.n_pulses, "1", *derivation),
        *_pulses("113793", event.pulse_width_ms, event.pulses, "pulse_width_ms", dialect),
        *number("113742", event.irradiation_duration_s, "s"),
        *_pulses("113733", event.kvp_kv, event.pulses, "kvp_kv", dialect),
        *_pulses("113734", event.tube_current_ma, event.pulses, "tube_current_ma", dialect),
        *number("113767", event.average_tube_current_ma, "mA"),
        *number("113824", event.exposure_time_ms, "ms"),
        *_pulses("113736", event.exposure_mas, event.pulses, "exposure_mas", dialect),
        *number("113766", event.focal_spot_mm, "mm"),
        *coded("111632", event.anode_target),
        *(_filter(f) for f in event.filters),
        *number("113790", _scaled(event.collimated_area_cm2, _M2), "m2"),
        *number("113788", event.field_height_mm, "mm"),
        *number("113789", event.field_width_mm, "mm"),
        *(i for code in event.grid for i in coded("111635", code)),
    )


_PULSE_UNITS = {
    "pulse_width_ms": ("ms", 1.0),
    "kvp_kv": ("kV", 1.0),
    "tube_current_ma": ("mA", 1.0),
    "exposure_mas": ("uA.s", 1e3),
}


def _pulses(
    concept: str, scalar: float | None, pulses: tuple[Pulse, ...], name: str, dialect: Dialect
) -> Items:
    unit, factor = _PULSE_UNITS[name]
    found = (_scaled(getattr(p, name), factor) for p in pulses)
    values = tuple(v for v in found if v is not None)
    if not values:
        return number(concept, _scaled(scalar, factor), unit)
    if dialect.pulses == "one item":
        return number(concept, values, unit)
    return tuple(i for v in values for i in number(concept, v, unit))


def _filter(filter_: Filter) -> Item:
    return container(
        "113771",
        (
            *coded("113772", filter_.filter_type),
            *coded("113757", filter_.material),
            *number("113758", filter_.thickness_min_mm, "mm"),
            *number("113773", filter_.thickness_max_mm, "mm"),
        ),
    )
