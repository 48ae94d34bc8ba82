"""CT irradiation events and accumulated dose: TID 10012 to 10015."""

from __future__ import annotations

import re

from dose_lib import codes as c
from dose_lib.dicom.events import take_comment, take_repeat
from dose_lib.dicom.fields import (
    CT_TYPES,
    LABELS,
    PHANTOMS,
    REPEATS,
    YES_NO,
    Field,
    Kind,
    Table,
    choice,
    fields,
    numbers,
)
from dose_lib.dicom.nesting import leave
from dose_lib.dicom.observers import PEOPLE, read_person, take_device
from dose_lib.dicom.reading import Reading
from dose_lib.dicom.record import Fields, Handlers, factor_of
from dose_lib.dicom.sr import Node
from dose_lib.dicom.text import read_numbers
from dose_lib.records import (
    CtAcquisitionType,
    CtEvent,
    CtSource,
    DoseCheck,
    SsdeAlternative,
    SsdeAtZ,
)

EVENT: Table = {
    **LABELS,
    **REPEATS,
    **fields(Kind.WORD, event_uid=c.IRRADIATION_EVENT_UID),
    **fields(Kind.WORD, frame_of_reference_uid=c.FRAME_OF_REFERENCE_UID),
    **fields(Kind.TIME, started_at=c.DATETIME_STARTED, ended_at=c.DATETIME_ENDED),
    **fields(
        Kind.TEXT,
        acquisition_protocol=c.ACQUISITION_PROTOCOL,
        modulation_type=c.XRAY_MODULATION_TYPE,
    ),
    **fields(Kind.CODE, target_region=c.TARGET_REGION, procedure_context=c.PROCEDURE_CONTEXT),
    **fields(Kind.CODES, reconstruction_algorithm=c.RECONSTRUCTION_ALGORITHM),
    **choice("acquisition_type", c.CT_ACQUISITION_TYPE, CT_TYPES),
    **choice("phantom", c.CTDI_W_PHANTOM_TYPE, PHANTOMS),
    **numbers("mGy", ctdi_vol_mgy=c.MEAN_CTDI_VOL, ctdi_free_air_mgy=c.MEAN_CTDI_FREE_AIR),
    **numbers("mGy/mA.s", ctdi_free_air_factor_mgy_per_mas=c.CTDI_FREE_AIR_CALCULATION_FACTOR),
    **numbers("mGy.cm", dlp_mgy_cm=c.DLP),
    **numbers("s", exposure_time_s=c.EXPOSURE_TIME),
    c.EXPOSURE_TIME_113735.key: Field("exposure_time_s", Kind.NUMBER, "s"),
    **numbers("1", pitch=c.PITCH_FACTOR),
    **fields(Kind.COUNT, n_sources=c.NUMBER_OF_XRAY_SOURCES),
    **numbers(
        "mm",
        nominal_single_collimation_mm=c.NOMINAL_SINGLE_COLLIMATION_WIDTH,
        nominal_total_collimation_mm=c.NOMINAL_TOTAL_COLLIMATION_WIDTH,
        scanning_length_mm=c.SCANNING_LENGTH,
        reconstructable_length_mm=c.LENGTH_OF_RECONSTRUCTABLE_VOLUME,
        exposed_range_mm=c.EXPOSED_RANGE,
        reconstructable_top_z_mm=c.TOP_Z_LOCATION_OF_RECONSTRUCTABLE_VOLUME,
        reconstructable_bottom_z_mm=c.BOTTOM_Z_LOCATION_OF_RECONSTRUCTABLE_VOLUME,
        scan_top_z_mm=c.TOP_Z_LOCATION_OF_SCANNING_LENGTH,
        scan_bottom_z_mm=c.BOTTOM_Z_LOCATION_OF_SCANNING_LENGTH,
    ),
}
SOURCE: Table = {
    **fields(Kind.TEXT, source_id=c.IDENTIFICATION_OF_THE_XRAY_SOURCE),
    **numbers("kV", kvp_kv=c.KVP),
    **numbers(
        "mA", tube_current_ma=c.XRAY_TUBE_CURRENT, max_tube_current_ma=c.MAXIMUM_XRAY_TUBE_CURRENT
    ),
    **numbers("s", rotation_time_s=c.EXPOSURE_TIME_PER_ROTATION),
    **numbers(
        "mm",
        filter_al_equivalent_mm=c.XRAY_FILTER_ALUMINUM_EQUIVALENT,
        focal_spot_mm=c.FOCAL_SPOT_SIZE,
    ),
}
_ALERT: Table = {
    **choice("alert_dlp_configured", c.DLP_ALERT_VALUE_CONFIGURED, YES_NO),
    **choice("alert_ctdi_vol_configured", c.CTDI_VOL_ALERT_VALUE_CONFIGURED, YES_NO),
    **choice("is_alternative_alert_behaviour", c.ALTERNATIVE_DOSE_ALERT_BEHAVIOR_ACTIVE, YES_NO),
    **numbers(
        "mGy.cm",
        alert_dlp_mgy_cm=c.DLP_ALERT_VALUE,
        alert_dlp_forward_mgy_cm=c.ACCUMULATED_DLP_FORWARD_ESTIMATE,
    ),
    **numbers(
        "mGy",
        alert_ctdi_vol_mgy=c.CTDI_VOL_ALERT_VALUE,
        alert_ctdi_vol_forward_mgy=c.ACCUMULATED_CTDI_VOL_FORWARD_ESTIMATE,
    ),
    **fields(Kind.TEXT, alert_reason=c.REASON_FOR_PROCEEDING),
}
_NOTIFICATION: Table = {
    **choice("notification_dlp_configured", c.DLP_NOTIFICATION_VALUE_CONFIGURED, YES_NO),
    **choice("notification_ctdi_vol_configured", c.CTDI_VOL_NOTIFICATION_VALUE_CONFIGURED, YES_NO),
    **numbers(
        "mGy.cm",
        notification_dlp_mgy_cm=c.DLP_NOTIFICATION_VALUE,
        notification_dlp_forward_mgy_cm=c.DLP_FORWARD_ESTIMATE,
    ),
    **numbers(
        "mGy",
        notification_ctdi_vol_mgy=c.CTDI_VOL_NOTIFICATION_VALUE,
        notification_ctdi_vol_forward_mgy=c.CTDI_VOL_FORWARD_ESTIMATE,
    ),
    **fields(Kind.TEXT, notification_reason=c.REASON_FOR_PROCEEDING),
}
_EFFECTIVE_DOSE: Table = {
    **numbers("mSv", effective_dose_msv=c.EFFECTIVE_DOSE),
    **numbers(
        "mSv/mGy.cm",
        effective_dose_factor_msv_per_mgy_cm=c.EFFECTIVE_DOSE_CONVERSION_FACTOR,
    ),
    **fields(Kind.CODE, effective_dose_method=c.MEASUREMENT_METHOD),
}
_SSDE: Table = {
    **numbers("mGy", ssde_mgy=c.SSDE),
    **fields(Kind.CODE, ssde_method=c.MEASUREMENT_METHOD),
    **numbers(
        "mm",
        lateral_mm=c.MEASURED_LATERAL_DIMENSION,
        ap_mm=c.MEASURED_AP_DIMENSION,
        effective_diameter_mm=c.DERIVED_EFFECTIVE_DIAMETER,
    ),
    **fields(Kind.UIDS, ssde_source_uids=c.WED_SOURCE),
}
_WED: Table = {
    **numbers("mm", water_equivalent_diameter_mm=c.WATER_EQUIVALENT_DIAMETER),
    **numbers("mm", water_equivalent_diameter_z_mm=c.LONGITUDINAL_POSITION_Z),
    c.WED_LOCATION_Z.key: Field("water_equivalent_diameter_z_mm", Kind.NUMBER, "mm"),
    **fields(Kind.CODE, water_equivalent_diameter_method=c.MEASUREMENT_METHOD),
}
_AT_Z: Table = {
    **numbers("mGy", ssde_mgy=c.SSDE_AT_Z),
    **numbers("mm", z_mm=c.LONGITUDINAL_POSITION_Z, water_equivalent_diameter_mm=c.WED_AT_Z),
}

# Names of bolus tracking and timing scans (Siemens, GE, Canon, Philips); only scans that
# stand still are looked at, so that "CT thorax tracking" remains a CT thorax.
_TIMING = re.compile(
    r"bolus|monitor|sure\s?start|smart\s?prep|\bprep\b|track|timing|test\s?inj|locator",
    re.IGNORECASE,
)
_STANDING = (CtAcquisitionType.STATIONARY, CtAcquisitionType.SEQUENCED, CtAcquisitionType.FREE)
# Siemens names the modulation in the comment where 113842 is not sent (syngo CT 2011).
_MODULATION = re.compile(r"X-ray Modulation Type = ([^,]+)")
# Which of several size-specific estimates is the event's own (reference: TID 10013 row 31).
_SSDE_RANK = {c.SSDE_BY_WATER_EQUIVALENT_DIAMETER.key: 0, c.SSDE_BY_MEAN_OVER_Z.key: 1}


class EventFields(Fields):
    """A CT event being read, with what is put together at its end."""

    __slots__ = ("check", "loose", "sources", "ssde")

    def __init__(self, reading: Reading, prefix: str) -> None:
        super().__init__(reading, prefix)
        self.check = Fields(reading, f"{prefix}dose_check.")
        self.sources: list[CtSource] = []
        self.loose: list[Node] = []
        self.ssde: list[Node] = []


def _take_source(record: EventFields, node: Node) -> None:
    if inner := node.containers(node.key):  # only the innermost are sources
        for one in inner:
            _take_source(record, one)
        return
    below = Fields(record.reading, f"{record.prefix}sources[{len(record.sources)}].")
    below.read(node.children, SOURCE, {})
    record.sources.append(CtSource(ordinal=len(record.sources), **below.values))


def _take_loose(record: EventFields, node: Node) -> None:
    """What is said of a source outside of any container for one."""
    record.loose.append(node)


def _finish_sources(record: EventFields) -> None:
    """The event's only source, where it has no container of its own."""
    if record.loose and not record.sources:
        below = Fields(record.reading, f"{record.prefix}sources[0].")
        below.read(record.loose, SOURCE, {})
        record.sources.append(CtSource(ordinal=0, **below.values))
        return
    for node in record.loose:
        record.reading.keep_extra(node)


def _take_effective_dose(record: EventFields, node: Node) -> None:
    record.take(node, _EFFECTIVE_DOSE[node.key])
    record.read(node.children, _EFFECTIVE_DOSE, {})


def _take_alert(record: EventFields, node: Node) -> None:
    record.check.read(node.children, _ALERT, {c.PERSON_NAME.key: _take_alert_person})


def _take_notification(record: EventFields, node: Node) -> None:
    handlers: Handlers = {c.PERSON_NAME.key: _take_notification_person}
    record.check.read(node.children, _NOTIFICATION, handlers)


def _take_alert_person(check: Fields, node: Node) -> None:
    # Role 113850 here is the technologist who went on, not the physician (TID 10015 row 9).
    if key := read_person(check.reading, node):
        check.values.setdefault("alert_operator_key", key)


def _take_notification_person(check: Fields, node: Node) -> None:
    if key := read_person(check.reading, node):
        check.values.setdefault("notification_operator_key", key)


def _take_ssde(record: EventFields, node: Node) -> None:
    node.is_taken = True
    record.ssde.append(node)


def _take_wed(record: Fields, node: Node) -> None:
    record.take(node, _WED[node.key])
    record.read(node.children, _WED, _SSDE_HANDLERS)


def _take_at_z(record: Fields, node: Node) -> None:
    found = record.values.get("ssde_at_z", ())
    below = Fields(record.reading, f"{record.prefix}ssde_at_z[{len(found)}].")
    below.take(node, _AT_Z[node.key])
    below.read(node.children, _AT_Z, {})
    record.values["ssde_at_z"] = (*found, SsdeAtZ(**below.values))


def _take_coefficient(record: Fields, node: Node) -> None:
    # Of the two only the first is a length; both are sent with the unit of the row.
    factor = factor_of(node.unit, "mm") if node.unit else None
    for value in read_numbers(node.value or "")[0]:
        record.append("dw_coefficients", value * (factor or 1.0), node)


_SSDE_HANDLERS: Handlers = {
    c.WATER_EQUIVALENT_DIAMETER.key: _take_wed,
    c.SSDE_AT_Z.key: _take_at_z,
    c.DW_CONVERSION_FACTOR_COEFFICIENTS.key: _take_coefficient,
}
_HANDLERS: Handlers = {
    **PEOPLE,
    **_SSDE_HANDLERS,
    **dict.fromkeys(SOURCE, _take_loose),
    c.CT_ACQUISITION.key: leave,
    c.CT_XRAY_SOURCE_PARAMETERS.key: _take_source,
    c.EFFECTIVE_DOSE.key: _take_effective_dose,
    c.DOSE_CHECK_ALERT_DETAILS.key: _take_alert,
    c.DOSE_CHECK_NOTIFICATION_DETAILS.key: _take_notification,
    c.SSDE.key: _take_ssde,
    c.DEVICE_ROLE_IN_PROCEDURE.key: take_device,
    c.COMMENT.key: take_comment,
    c.IS_REPEATED_ACQUISITION.key: take_repeat,
}


def read_ct_event(reading: Reading, node: Node, position: int) -> CtEvent:
    """One CT acquisition (113819); `position` is its place among the part's events."""
    record = EventFields(reading, f"events[{position}].")
    record.read(node.children, EVENT, _HANDLERS)
    _choose_ssde(record)
    _finish_sources(record)
    values = record.values
    if record.check.values:
        values["dose_check"] = DoseCheck(**record.check.values)
    values["sources"] = tuple(record.sources)
    if len(record.sources) == 1:
        for name in ("kvp_kv", "tube_current_ma", "max_tube_current_ma", "rotation_time_s"):
            values[name] = getattr(record.sources[0], name)
    _read_comment(record)
    values["is_bolus_tracking"] = is_timing_scan(
        values.get("acquisition_type"), values.get("acquisition_protocol")
    )
    if values.get("phantom") is None and ("ctdi_vol_mgy" in values or "dlp_mgy_cm" in values):
        reading.note("phantom_missing", node.path)
    return CtEvent(**values)


def is_timing_scan(kind: CtAcquisitionType | None, protocol: str | None) -> bool | None:
    """True for bolus tracking and timing scans, by type and protocol name; None if unknown."""
    if kind is None:
        return None
    return kind in _STANDING and protocol is not None and _TIMING.search(protocol) is not None


def _choose_ssde(record: EventFields) -> None:
    def rank(node: Node) -> int:
        method = node.first(c.MEASUREMENT_METHOD.key)
        return _SSDE_RANK.get(method.coded[0], 2) if method else 3

    alternatives: list[SsdeAlternative] = []
    for place, node in enumerate(sorted(record.ssde, key=rank)):
        if place == 0:
            record.take(node, _SSDE[node.key])
            record.read(node.children, _SSDE, _SSDE_HANDLERS)
            continue
        other = Fields(record.reading, f"{record.prefix}ssde_alternatives[{place - 1}].")
        other.take(node, _SSDE[node.key])
        for child in node.children:
            target = other if child.key == c.MEASUREMENT_METHOD.key else record
            target.read((child,), _SSDE, _SSDE_HANDLERS)
        alternatives.append(SsdeAlternative(**other.values))
    record.values["ssde_alternatives"] = tuple(alternatives)


def _read_comment(record: EventFields) -> None:
    comment = record.values.get("comment")
    if comment and "modulation_type" not in record.values:
        found = _MODULATION.search(comment)
        if found:
            record.values["modulation_type"] = found[1].strip()
            record.reading.rules["siemens_modulation_in_comment"] = None
