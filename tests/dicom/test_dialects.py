"""Each vendor deviation of dialects.toml on a synthetic object; no row without a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dose_lib import codes as c
from dose_lib import merge, read_bytes
from dose_lib.dicom.dialects import load_rules
from dose_lib.records import (
    CtAcquisitionType,
    CtEvent,
    Identity,
    Laterality,
    MgMode,
    Modality,
    Part,
    Phantom,
    SetRole,
    SourceKind,
    XRayEvent,
)
from dose_lib.simulate.writer import make_ct_rdsr, transcode
from tests.dicom import build as b

CASES: dict[str, Callable[[], None]] = {}


def case(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def add(test: Callable[[], None]) -> Callable[[], None]:
        CASES[name] = test
        return test

    return add


def test_every_deviation_has_a_test_and_every_test_a_deviation() -> None:
    assert set(CASES) == {rule.id for rule in load_rules()}


@pytest.mark.parametrize("name", sorted(r.id for r in load_rules()))
def test_deviation(name: str) -> None:
    CASES[name]()


def read(data: bytes) -> tuple[Part, Identity]:
    (part,), identity = read_bytes(data, site_key=b"site")
    return part, identity


def codes_of(part: Part) -> set[str]:
    return {issue.code for issue in part.issues}


def rules_of(part: Part) -> tuple[str, ...]:
    return part.sources[0].dialect_rules


def ct(*items: Dataset, **header: Any) -> tuple[CtEvent, Part]:
    part, _ = read(b.ct_report(b.ct_event(*items), **header))
    event = part.events[0]
    assert isinstance(event, CtEvent)
    return event, part


def xray(*items: Dataset, **header: Any) -> tuple[XRayEvent, Part]:
    part, _ = read(b.xray_report(b.xray_event(*items), **header))
    event = part.events[0]
    assert isinstance(event, XRayEvent)
    return event, part


def image(sop_class: str = b.DX_IMAGE, **attributes: Any) -> tuple[XRayEvent, Part]:
    base = {"Modality": "DX", "KVP": "80", "AcquisitionDate": "20240131", "AcquisitionTime": "0930"}
    part, _ = read(b.encode(b.header(sop_class, **{**base, **attributes})))
    event = part.events[0]
    assert isinstance(event, XRayEvent)
    return event, part


# ---- concepts and values that mean another code


@case("hologic_detector_available")
def _() -> None:
    yes = b.coded(("113745", "DCM", "X-Ray Detector Data Available"), c.YES)
    part, _ = read(b.xray_report(yes, b.xray_event(), kind=c.MAMMOGRAPHY))
    assert part.has_detector_data is True
    assert rules_of(part) == ("hologic_detector_available",)
    assert "dialect" in codes_of(part)
    event, _ = xray(b.coded(c.PATIENT_TABLE_RELATIONSHIP, ("F-10470", "SRT", "headfirst")))
    assert event.table_relationship is not None  # the concept itself still works


@case("hologic_strip_filter")
def _() -> None:
    wrong = b.coded(c.XRAY_FILTER_TYPE, ("111650", "DCM", "Strip filter"))
    event, part = xray(b.container(c.XRAY_FILTERS, wrong))
    assert event.filters[0].filter_type is not None
    assert event.filters[0].filter_type.value == c.STRIP_FILTER.value
    traced = [p for p in part.provenance if p.name.endswith("filter_type")]
    assert traced[0].rule == "hologic_strip_filter"


@case("giotto_anode_target")
def _() -> None:
    wrong = b.coded(("113632", "DCM", "Anode Target Material"), c.to_srt(c.TUNGSTEN))
    event, _ = xray(wrong)
    assert event.anode_target is not None
    assert c.fold(event.anode_target.value, event.anode_target.scheme) == c.TUNGSTEN.key


@case("eurocolumbus_aluminium")
def _() -> None:
    wrong = b.coded(c.XRAY_FILTER_MATERIAL, ("C-120F9", "DCM", "Aluminum"))
    event, _ = xray(b.container(c.XRAY_FILTERS, wrong))
    material = event.filters[0].material
    assert material is not None and c.fold(material.value, material.scheme) == c.ALUMINUM.key


@case("name_by_meaning")
def _() -> None:
    event, part = ct(b.container(c.CT_DOSE, b.num(("999999", "DCM", "Mean CTDIvol"), "7.5", "mGy")))
    assert event.ctdi_vol_mgy == 7.5
    assert "name_by_meaning" in codes_of(part)
    private = ("021", "99PHI-IXR-XPER", "Dose Area Product")
    _, part = xray(b.num(private, "905", "mm"))
    assert part.extras == () or all(e.code != "122130" for e in part.extras)
    private = ("77", "99OTHER", "Dose Area Product")
    fluoro, part = xray(b.num(private, "1", "Gy.m2"))
    assert fluoro.kap_gy_cm2 is None and part.extras[0].scheme == "99OTHER"


# ---- devices


def _room(**header: Any) -> Modality:
    fluoro = b.coded(c.IRRADIATION_EVENT_TYPE, c.FLUOROSCOPY)
    part, _ = read(b.xray_report(b.xray_event(fluoro), **header))
    return part.modality


@case("philips_azurion_angiography")
def _() -> None:
    wrong = b.coded(c.ACQUISITION_DEVICE_TYPE, c.INTEGRATED_SYSTEM, rel="HAS CONCEPT MOD")
    data = b.xray_report(
        wrong, b.xray_event(), Manufacturer="Philips", ManufacturerModelName="Azurion"
    )
    part, _ = read(data)
    assert part.modality is Modality.XA
    assert _room(ManufacturerModelName="Other") is Modality.RF


@case("philips_allura_angiography")
def _() -> None:
    seen = b.text(c.DEVICE_OBSERVER_MODEL_NAME, "Allura Xper", rel="HAS OBS CONTEXT")
    part, _ = read(b.xray_report(seen, b.xray_event(), ManufacturerModelName=None))
    assert part.modality is Modality.XA
    assert part.device.model == "Allura Xper"


@case("siemens_artis_angiography")
def _() -> None:
    assert _room(ManufacturerModelName="AXIOM-Artis") is Modality.XA


@case("ge_fluorostar_observer_uid")
def _() -> None:
    def key(model: str, uid: str) -> str | None:
        seen = b.uidref(c.DEVICE_OBSERVER_UID, uid, rel="HAS OBS CONTEXT")
        part, _ = read(b.xray_report(seen, b.xray_event(), ManufacturerModelName=model))
        return part.device.device_key

    assert key("OEC Fluorostar", "1.9.1") == key("OEC Fluorostar", "1.9.2")
    assert key("Other", "1.9.1") != key("Other", "1.9.2")


@case("observer_uid_of_exam")
def _() -> None:
    seen = b.uidref(c.DEVICE_OBSERVER_UID, "1.2.3", rel="HAS OBS CONTEXT")
    part, _ = read(b.xray_report(seen, b.xray_event()))
    plain, _ = read(b.xray_report(b.xray_event()))
    assert part.device.device_key == plain.device.device_key
    assert "observer_uid_ignored" in codes_of(part)


@case("canon_no_observer_uid")
def _() -> None:
    part, _ = read(b.xray_report(b.xray_event()))
    other, _ = read(b.xray_report(b.xray_event(), DeviceSerialNumber="SN2"))
    assert part.device.device_key and part.device.device_key != other.device.device_key


@case("canon_no_scope_uid")
def _() -> None:
    scope = b.coded(c.SCOPE_OF_ACCUMULATION, c.SCOPE_STUDY, rel="HAS OBS CONTEXT")
    part, _ = read(b.xray_report(scope, b.xray_event()))
    assert part.scope_of_accumulation is not None and part.scope_uid is None
    assert "scope_uid_missing" in codes_of(part)


# ---- report and template


@case("ge_enhanced_sr")
def _() -> None:
    part, _ = read(b.ct_report(b.ct_event(), sop_class=b.ENHANCED_SR, template=None))
    assert part.modality is Modality.CT and part.sources[0].kind is SourceKind.ESR


@case("ge_no_template")
def _() -> None:
    part, _ = read(b.xray_report(b.xray_event(), template=None))
    assert part.sources[0].template == "10001"


@case("no_title")
def _() -> None:
    data = b.report(b.ct_event(), root=None, template=None, sop_class=b.ENHANCED_SR)
    part, _ = read(data)
    assert part.sources[0].is_recognised_by_content is True
    assert "recognised_by_content" in codes_of(part)


@case("siemens_arcadis")
def _() -> None:
    not_attempted = ("114007", "DCM", "Measurement not attempted")
    part, _ = read(
        b.report(
            b.num(c.ARCADIS_EXPOSURES, "4", "1"),
            b.num(c.ARCADIS_FLUORO_TIME, "34.427", "s"),
            b.num(c.ARCADIS_KAP, "0.2359", "Gy.cm^2"),
            b.datetime(c.ARCADIS_START, "20210210145428"),
            b.num(c.ARCADIS_AIR_KERMA, b.EMPTY, None, qualifier=not_attempted),
            root=c.ARCADIS_REPORT,
            template=None,
            sop_class=b.ENHANCED_SR,
        )
    )
    assert (part.totals.n_exposures, part.totals.fluoro_time_s) == (4, 34.427)
    assert part.totals.kap_gy_cm2 == 0.2359
    assert part.totals.ka_r_mgy is None  # not attempted is not zero
    assert part.modality is Modality.RF and part.events == ()


@case("siemens_cumulative")
def _() -> None:
    def sent(n: int) -> Part:
        events = [b.ct_event(uid=f"1.2.3.9.{i}") for i in range(n)]
        part, _ = read(b.ct_report(*events, SOPInstanceUID=f"1.2.3.{n}", ContentTime=f"10000{n}"))
        return part

    (merged,) = merge([sent(2), sent(1), sent(3)])
    assert len(merged.events) == 3
    roles = {s.sop_instance_uid: (s.role_in_set, s.superseded_by) for s in merged.sources}
    assert roles["1.2.3.3"] == (SetRole.PRIMARY, None)
    assert roles["1.2.3.1"] == roles["1.2.3.2"] == (SetRole.SUPERSEDED, "1.2.3.3")


@case("study_uid_missing")
def _() -> None:
    scope = b.coded(
        c.SCOPE_OF_ACCUMULATION,
        c.SCOPE_STUDY,
        b.uidref(c.STUDY_INSTANCE_UID, "1.7.7", rel="HAS PROPERTIES"),
        rel="HAS OBS CONTEXT",
    )
    part, _ = read(b.ct_report(scope, b.ct_event(), StudyInstanceUID=None))
    assert part.study_uid == "1.7.7"
    data = b.ct_report(b.ct_event(), StudyInstanceUID=None)
    part, _ = read(data)
    assert part.study_uid.startswith("2.25.") and part.study_uid == read(data)[0].study_uid
    assert "study_uid_missing" in codes_of(part)


# ---- units and numbers


@case("units_without_dots")
def _() -> None:
    event, _ = xray(
        b.num(c.DOSE_AREA_PRODUCT, "1.6e-005", "Gym2"), b.num(c.EXPOSURE, "9586", "uAs")
    )
    assert (event.kap_gy_cm2, event.exposure_mas) == (0.16, 9.586)
    scan, _ = ct(b.container(c.CT_DOSE, b.num(c.DLP, "155.97", "mGycm")))
    assert scan.dlp_mgy_cm == 155.97


@case("canon_other_units")
def _() -> None:
    event, _ = xray(
        b.num(c.DOSE_AREA_PRODUCT, " 1.323", "dGy.cm2"), b.num(c.DOSE_RP, "0.384", "mGy")
    )
    assert (event.kap_gy_cm2, event.ka_r_mgy) == (0.1323, 0.384)


@case("ge_unit_scheme")
def _() -> None:
    event, _ = xray(b.num(c.DOSE_RP, "0.00107252", "Gy", scheme="UCM"))
    assert event.ka_r_mgy == 1.07252
    scan, _ = ct(b.num(c.NUMBER_OF_XRAY_SOURCES, "1", "X-ray sources"))
    assert scan.n_sources == 1


@case("varian_caret_unit")
def _() -> None:
    assert xray(b.num(c.DOSE_AREA_PRODUCT, "0.2359", "Gy.cm^2"))[0].kap_gy_cm2 == 0.2359


@case("unit_missing")
def _() -> None:
    event, part = xray(b.num(c.KVP, "80", None))
    assert event.kvp_kv == 80 and "unit_missing" in codes_of(part)


@case("unit_unknown")
def _() -> None:
    event, part = xray(b.num(c.DOSE_AREA_PRODUCT, "12", "furlong"))
    assert event.kap_gy_cm2 is None
    (issue,) = [i for i in part.issues if i.code == "unknown_unit"]
    assert issue.seen == "12 furlong" and issue.severity == "error"


@case("exposure_time_codes")
def _() -> None:
    assert xray(b.num(c.EXPOSURE_TIME_113735, "100.8", "ms"))[0].exposure_time_ms == 100.8
    assert xray(b.num(c.EXPOSURE_TIME, "0.1008", "s"))[0].exposure_time_ms == 100.8
    assert ct(b.num(c.EXPOSURE_TIME, "5.6", "s"))[0].exposure_time_s == 5.6
    assert ct(b.num(c.EXPOSURE_TIME, "5600", "ms"))[0].exposure_time_s == 5.6


@case("toshiba_two_numbers")
def _() -> None:
    noise = ("121414", "DCM", "Standard deviation of population")
    event, part = ct(
        b.num(noise, "10.50/ 15.00", "mGy"),
        b.container(c.CT_DOSE, b.num(c.MEAN_CTDI_VOL, "7.1/ 8.2", "mGy")),
    )
    assert event.ctdi_vol_mgy == 7.1
    assert {"illegal_number", "several_values"} <= codes_of(part)
    assert part.extras[0].value == "10.50/ 15.00"


@case("eurocolumbus_pulses")
def _() -> None:
    event, _ = xray(
        b.num(c.KVP, "0\\70\\72", "kV"),
        b.num(c.XRAY_TUBE_CURRENT, "0\\10\\12", "mA"),
        b.num(c.PULSE_WIDTH, "5\\5\\5", "ms"),
    )
    assert [p.kvp_kv for p in event.pulses] == [0, 70, 72]
    assert (event.kvp_kv, event.tube_current_ma, event.pulse_width_ms) == (71, 11, 5)
    items = [b.num(c.KVP, v, "kV") for v in ("34.1", "33.99")]  # GE: repeated items
    event, _ = xray(*items, b.num(c.EXPOSURE, "10\\20", "mA.s"))
    assert [p.kvp_kv for p in event.pulses] == [34.1, 33.99]
    assert event.exposure_mas == 30  # the sum, not the mean


@case("no_measured_value")
def _() -> None:
    unknown = ("114010", "DCM", "Value unknown")
    event, part = xray(
        b.num(c.DOSE_AREA_PRODUCT, b.EMPTY, None),
        b.num(c.POSITIONER_PRIMARY_ANGLE, b.EMPTY, None, qualifier=unknown),
        b.num(c.DOSE_RP, "", "Gy"),
    )
    assert (event.kap_gy_cm2, event.primary_angle_deg, event.ka_r_mgy) == (None, None, None)
    assert "Value unknown" in {i.seen for i in part.issues if i.code == "no_value"}
    assert part.totals.kap_gy_cm2 is None


@case("value_twice")
def _() -> None:
    twice = [b.num(c.DOSE_AREA_PRODUCT_TOTAL, "0.0001", "Gy.m2") for _ in range(2)]
    part, _ = read(b.xray_report(b.plane(*twice), b.xray_event()))
    assert part.totals.kap_gy_cm2 == 1 and "value_contradicted" not in codes_of(part)
    other = b.num(c.DOSE_AREA_PRODUCT_TOTAL, "0.0002", "Gy.m2")
    part, _ = read(b.xray_report(b.plane(twice[0], other), b.xray_event()))
    assert part.totals.kap_gy_cm2 == 1 and "value_contradicted" in codes_of(part)


@case("zero_dose")
def _() -> None:
    zero = b.num(c.DOSE_AREA_PRODUCT_TOTAL, "0", "Gy.m2")
    part, _ = read(b.xray_report(b.plane(zero), b.xray_event()))
    assert part.totals.kap_gy_cm2 == 0 and "zero_dose" in codes_of(part)
    part, _ = read(b.xray_report(b.plane(), b.xray_event(), kind=c.MAMMOGRAPHY))
    assert (part.totals.kap_gy_cm2, part.totals.agd_left_mgy) == (None, None)


# ---- codes and texts


@case("older_schemes")
def _() -> None:
    for spiral in (("P5-08001", "SRT"), ("P5-08001", "SNM3"), ("116152004", "SCT")):
        kind = b.coded(c.CT_ACQUISITION_TYPE, (*spiral, "Spiral"))
        data = b.ct_report(b.container(c.CT_ACQUISITION, kind))
        event = read(data)[0].events[0]
        assert isinstance(event, CtEvent)
        assert event.acquisition_type is CtAcquisitionType.SPIRAL


@case("other_meanings")
def _() -> None:
    event, _ = xray(
        b.num(("113734", "DCM", "mA"), "12", "mA"),
        b.num(("122130", "DCM", "Dosisflächenprodukt"), "0.0001", "Gy.m2"),
    )
    assert (event.tube_current_ma, event.kap_gy_cm2) == (12, 1)


@case("empty_code")
def _() -> None:
    event, _ = ct(b.coded(c.TARGET_REGION, None), b.num(c.PITCH_FACTOR, "0.9", "{ratio}"))
    assert event.target_region is None and event.pitch == 0.9


@case("uid_as_text")
def _() -> None:
    seen = b.text(c.DEVICE_OBSERVER_UID, "1.3.6.1", rel="HAS OBS CONTEXT")
    part, _ = read(b.xray_report(seen, b.xray_event()))
    assert part.device.device_observer_uid == "1.3.6.1"


@case("person_as_text")
def _() -> None:
    someone = b.person(
        c.PERSON_NAME,
        "Curie^Marie",
        b.coded(c.PERSON_ROLE_IN_PROCEDURE, c.IRRADIATION_ADMINISTERING, rel="HAS PROPERTIES"),
        b.text(c.PERSON_ID, "", rel="HAS PROPERTIES"),
        vt="PERSON NAME",
    )
    part, identity = read(b.ct_report(b.ct_event(someone)))
    assert [s.staff_name for s in identity.staff] == ["Curie^Marie"]
    assert identity.staff[0].staff_id is None
    assert part.operator_keys == (identity.staff[0].staff_key,)
    assert part.events[0].operator_key == identity.staff[0].staff_key
    assert "Curie" not in repr(part)


@case("reference_point_words")
def _() -> None:
    event, _ = xray(b.text(c.REFERENCE_POINT_DEFINITION, "15cm below BeamIsocenter"))
    assert event.reference_point_text == "15cm below BeamIsocenter"
    assert event.reference_point is not None
    assert event.reference_point.value == c.RP_15CM_FROM_ISOCENTER.value
    event, _ = xray(b.text(c.REFERENCE_POINT_DEFINITION, "26.0 cm Chamber Patient Distance"))
    assert event.reference_point is None and event.reference_point_text


@case("laterality_places")
def _() -> None:
    breast = ("T-04000", "SRT", "Breast")
    for name in (c.ANATOMICAL_STRUCTURE, c.TARGET_REGION):
        side = b.coded(c.LATERALITY, c.to_srt(c.LEFT), rel="HAS CONCEPT MOD")
        event, _ = xray(b.coded(name, breast, side))
        assert event.laterality is Laterality.LEFT


@case("toshiba_orientation_sibling")
def _() -> None:
    recumbent, supine = ("F-10450", "SRT", "recumbent"), ("F-10340", "SRT", "supine")
    modifier = b.coded(c.PATIENT_ORIENTATION_MODIFIER, supine)
    beside, _ = xray(b.coded(c.PATIENT_ORIENTATION, recumbent), modifier)
    below, _ = xray(b.coded(c.PATIENT_ORIENTATION, recumbent, modifier))
    assert beside.orientation_modifier == below.orientation_modifier is not None


@case("calibration_incomplete")
def _() -> None:
    first = b.container(
        c.CALIBRATION,
        b.num(c.CALIBRATION_FACTOR, "", "1"),
        b.num(c.CALIBRATION_UNCERTAINTY, "5", "%"),
        b.text(c.CALIBRATION_RESPONSIBLE_PARTY, "Ada Example"),
    )
    second = b.container(
        c.CALIBRATION,
        b.num(c.CALIBRATION_FACTOR, "1.02", "1"),
        b.datetime(("113723", "DCM", "Calibration Date"), "20240101"),
    )
    part, identity = read(b.xray_report(b.plane(first, second), b.xray_event()))
    (plane,) = part.totals.planes
    assert plane.calibration_factor == (None, 1.02)
    assert plane.calibration_uncertainty_percent == (5, None)
    assert plane.calibrated_at[0] is None and plane.calibrated_at[1] is not None
    assert identity.calibration_responsible == ("Ada Example", "")


@case("character_sets")
def _() -> None:
    def protocol(raw: bytes, declared: str | None) -> tuple[str | None, Part]:
        padded = b"XXXXXXXXXXXX"  # and the term is misspelt
        data = b.ct_report(
            b.ct_event(b.text(c.ACQUISITION_PROTOCOL, padded.decode())),
            SpecificCharacterSet=declared,
        )
        data = data.replace(padded, raw.ljust(12)).replace(b"ISO_IR 100", b"ISO-IR 100")
        part, _ = read(data)
        return part.events[0].acquisition_protocol, part

    assert protocol("Schädel".encode("latin_1"), "ISO_IR 100")[0] == "Schädel"
    assert protocol("Schädel".encode("latin_1"), None)[0] == "Schädel"
    text, part = protocol("Schädel".encode(), "ISO_IR 100")
    assert text == "Schädel" and "character_set" in codes_of(part)


@case("time_zone_in_words")
def _() -> None:
    start = b.datetime(c.DATETIME_STARTED, "20190316132623")
    event, part = xray(start, TimezoneOffsetFromUTC="UTC-04:00")
    assert event.started_at is not None
    assert event.started_at.isoformat() == "2019-03-16T13:26:23-04:00"
    assert part.started_at == event.started_at
    assert xray(start)[0].started_at.isoformat() == "2019-03-16T13:26:23"  # type: ignore[union-attr]


# ---- private items


@case("philips_private_items")
def _() -> None:
    wedges = b.container(
        ("005", "99PHI-IXR-XPER", "Wedges and Shutters"),
        b.num(c.PHILIPS_LEFT_SHUTTER, "164.5", "mm"),
        b.num(c.PHILIPS_RIGHT_SHUTTER, "164.5", "mm"),
        b.num(c.PHILIPS_TOP_SHUTTER, "131", "mm"),
        b.num(c.PHILIPS_BOTTOM_SHUTTER, "131", "mm"),
        b.num(c.PHILIPS_WEDGE_1_DISTANCE, "174", "mm"),
        b.num(c.PHILIPS_WEDGE_1_ANGLE, "-180", "deg"),
    )
    event, part = xray(
        wedges,
        b.num(c.DISTANCE_SOURCE_TO_DETECTOR, "1194", "mm"),
        b.num(c.PHILIPS_TABLE_HEIGHT, "905", "mm"),
        b.num(c.PHILIPS_NUMBER_OF_FRAMES, "98", "1"),
        b.text(c.PHILIPS_APPLICATION_GROUP, "Vascular"),
        b.text(c.PHILIPS_APPLICATION, "Abdomen"),
        b.text(c.PHILIPS_FLUORO_FLAVOUR, "Low"),
    )
    assert (event.table_height_mm, event.n_frames) == (905, 98)
    assert (event.application, event.fluoro_flavour) == ("Abdomen", "Low")
    assert (event.filters[0].wedge_distance_mm, event.filters[0].wedge_angle_deg) == (174, -180)
    assert event.field_width_mm is None  # what we compute stays apart
    assert part.derived["events[0].field_width_mm"].value == pytest.approx(392.826)
    assert part.derived["events[0].collimated_area_cm2"].value == pytest.approx(1228.87, rel=1e-4)
    standard = b.num(c.TABLE_HEIGHT_POSITION, "900", "mm")
    assert xray(standard, b.num(c.PHILIPS_TABLE_HEIGHT, "905", "mm"))[0].table_height_mm == 900


@case("philips_physician")
def _() -> None:
    for item in (
        b.text(c.PHILIPS_PERFORMING_PHYSICIAN, "House^Greg"),
        b.text(c.PERFORMING_PHYSICIAN, "House^Greg"),
    ):
        part, identity = read(b.xray_report(b.xray_event(item)))
        assert identity.staff[0].staff_name == "House^Greg"
        assert part.events[0].operator_key == identity.staff[0].staff_key
        assert part.physician_keys == (identity.staff[0].staff_key,)
        assert "House" not in repr(part)


@case("siemens_xml_comment")
def _() -> None:
    xml = (
        '<FluoroData><Dose SRData=" "/><TubeFocalSpot SRData="small"/>'
        '<iiDiameter SRData="220"/><FrameRate SRData="7.500000"/>'
        '<NumOfFrames SRData="24"/></FluoroData>'
    )
    event, _ = xray(b.text(c.COMMENT, xml))
    assert (event.ii_diameter_mm, event.frame_rate_hz, event.n_frames) == (220, 7.5, 24)
    assert event.comment is not None and "<" not in event.comment
    bomb = '<!DOCTYPE a [<!ENTITY x "y">]><FluoroData><iiDiameter SRData="&x;"/></FluoroData>'
    event, part = xray(b.text(c.COMMENT, bomb))
    assert event.ii_diameter_mm is None and "unsafe_xml" in codes_of(part)
    event, part = xray(b.text(c.COMMENT, "<broken>"))
    assert event.comment == "<broken>" and "unreadable_comment" in codes_of(part)


@case("siemens_modulation_in_comment")
def _() -> None:
    comment = b.text(c.COMMENT, "Body Size = Adult, X-ray Modulation Type = XYZ_EC, Sn = no")
    assert ct(comment)[0].modulation_type == "XYZ_EC"
    own = b.text(c.XRAY_MODULATION_TYPE, "Z_EC")
    assert ct(comment, own)[0].modulation_type == "Z_EC"


@case("siemens_effective_dose")
def _() -> None:
    authority = b.text(c.REFERENCE_AUTHORITY, "ICRP Publication 128", rel="HAS PROPERTIES")
    dose = b.num(c.EFFECTIVE_DOSE, "7.486", "mSv", authority)
    given = b.container(
        c.RADIOPHARMACEUTICAL_ADMINISTRATION, b.container(c.SIEMENS_EFFECTIVE_DOSE, dose)
    )
    part, _ = read(
        b.report(
            given,
            root=c.RADIOPHARMACEUTICAL_RADIATION_DOSE_REPORT,
            template="10021",
            sop_class=b.RRDSR,
        )
    )
    (administration,) = part.administrations
    assert administration.effective_dose_msv == 7.486
    assert administration.effective_dose_reference_authority is not None
    assert administration.effective_dose_reference_authority.meaning == "ICRP Publication 128"


# ---- headers of images and dose screens


@case("kodak_dr7500_sid")
def _() -> None:
    kodak = {"Manufacturer": "KODAK", "ManufacturerModelName": "DR 7500"}
    event, part = image(DistanceSourceToDetector="11.5", **kodak)
    assert event.sid_mm == 1150 and "kodak_dr7500_sid" in rules_of(part)
    assert image(DistanceSourceToDetector="1150")[0].sid_mm == 1150


@case("thickness_text")
def _() -> None:
    event, part = image(
        FilterMaterial="ALUMINUM", FilterThicknessMinimum="1.06", FilterThicknessMaximum="0.94"
    )
    (one,) = event.filters
    assert (one.thickness_min_mm, one.thickness_max_mm) == (0.94, 1.06)
    assert "thickness_swapped" in codes_of(part)
    event, part = image(FilterMaterial=["ALUMINUM", "COPPER"], FilterThicknessMaximum="0.94,0.194")
    assert [f.thickness_max_mm for f in event.filters] == [0.94, 0.194]
    assert "illegal_number" in codes_of(part)
    event, part = image(FilterMaterial="COPPER", FilterThicknessMaximum="THICK")
    assert event.filters[0].thickness_max_mm is None and "unreadable_number" in codes_of(part)


@case("filter_spelling")
def _() -> None:
    def material(word: Any) -> list[str | None]:
        event, _ = image(FilterMaterial=word, FilterType="STRIP")
        return [f.material.value if f.material else None for f in event.filters]

    assert material("CU_0.2_MM") == [c.COPPER.value]
    assert material("ALUMINIUM") == [c.ALUMINUM.value]
    assert material(["COPPER", "ALUMINUM"]) == [c.COPPER.value, c.ALUMINUM.value]
    event, _ = image(FilterMaterial="TEFLON")
    assert event.filters[0].material is not None and event.filters[0].material.value is None


@case("decimals_in_is")
def _() -> None:
    made = b.header(b.DX_IMAGE, Modality="DX", KVP="85", Exposure="40", ExposureTime="161")
    data = b.encode(made).replace(b"IS\x02\0" + b"40", b"IS\x06\0" + b"40.196")
    part, _ = read(data.replace(b"IS\x04\0" + b"161 ", b"IS\x06\0" + b"161.3 "))
    event = part.events[0]
    assert isinstance(event, XRayEvent)
    assert (event.exposure_mas, event.exposure_time_ms) == (40.196, 161.3)


@case("patient_size")
def _() -> None:
    def patient(**header: Any) -> tuple[float | None, ...]:
        part, _ = read(b.ct_report(b.ct_event(), **header))
        found = part.patient
        return (found.age_y, found.weight_kg, found.height_cm)

    assert patient(PatientAge="003W")[0] == pytest.approx(21 / 365.25)
    assert patient(PatientAge="162Y", PatientBirthDate=None)[0] is None
    assert patient(PatientWeight="0.0")[1] is None
    assert patient(PatientWeight="82.5", PatientSize="1.7")[1:] == (82.5, 170)
    assert patient(PatientSize="173")[2] == 173
    assert patient(PatientSize="MEDIUM")[2] is None
    part, _ = read(b.ct_report(b.ct_event(), PatientWeight="0.0"))
    assert "implausible_value" in codes_of(part)
    assert all(p.name != "patient.weight_kg" for p in part.provenance)


@case("ge_fibroglandular_comment")
def _() -> None:
    made = b.header(
        b.MG_IMAGE, Modality="MG", KVP="29", CommentsOnRadiationDose="31 %", OrganDose="0.01373"
    )
    made.private_block(0x0045, "GEMS_SENO_02", create=True).add_new(0x49, "DS", "45")
    part, _ = read(b.encode(made))
    event = part.events[0]
    assert isinstance(event, XRayEvent)
    assert (event.fibroglandular_percent, event.radiological_thickness_mm) == (31, 45)
    assert event.agd_mgy == 1.373  # dGy in the header


@case("hologic_projection")
def _() -> None:
    event, part = image(
        b.SECONDARY_CAPTURE,
        Modality="MG",
        ImageType=["ORIGINAL", "PRIMARY"],
        OrganDose="0.0026",
        Laterality="R",
    )
    assert event.mg_mode is MgMode.DBT and event.laterality is Laterality.RIGHT
    assert part.totals.agd_right_mgy == 0.26 and part.totals.agd_left_mgy is None


@case("image_twins")
def _() -> None:
    def sent(n: int, **header: Any) -> Part:
        base = {"Exposure": "20", "ImageLaterality": "L", "SOPInstanceUID": f"1.2.3.{n}"}
        return image(**{**base, **header})[1]

    (merged,) = merge([sent(1), sent(2)])
    assert len(merged.events) == 1 and len(merged.sources) == 2
    for other in ({"Exposure": "40"}, {"KVP": "90"}, {"ImageLaterality": "R"}):
        (merged,) = merge([sent(1), sent(2, **other)])  # same second, another exposure
        assert len(merged.events) == 2


def screen(item: Dataset, **header: Any) -> tuple[CtEvent, Part]:
    made = b.header(
        b.SECONDARY_CAPTURE,
        Modality="CT",
        ImageType=["DERIVED", "SECONDARY", "DOSE_INFO"],
        ExposureDoseSequence=b.sequence(item),
        **header,
    )
    part, _ = read(b.encode(made))
    event = part.events[0]
    assert isinstance(event, CtEvent)
    return event, part


def exposure(**values: Any) -> Dataset:
    base = {"KVP": "120", "AcquisitionType": "SPIRAL", "CTDIvol": 7.2, "ExposureTime": "6986"}
    return b.item(**{**base, **values})


@case("philips_private_dlp")
def _() -> None:
    item = exposure()
    item.private_block(0x00E1, "ELSCINT1", create=True).add_new(0x21, "DS", "196.01")
    event, part = screen(item)
    assert (event.ctdi_vol_mgy, event.dlp_mgy_cm, event.exposure_time_s) == (7.2, 196.01, 6.986)
    assert "philips_private_dlp" in rules_of(part)
    assert part.sources[0].kind is SourceKind.DOSE_SC


@case("philips_private_phantom")
def _() -> None:
    for words, phantom in (("HEAD 16 CM", Phantom.HEAD_16CM), ("BODY 32 CM", Phantom.BODY_32CM)):
        item = exposure()
        item.private_block(0x01E1, "ELSCINT1", create=True).add_new(0x26, "CS", words)
        assert screen(item)[0].phantom is phantom
    event, part = screen(exposure())
    assert event.phantom is None and "phantom_missing" in codes_of(part)


@case("sequence_as_un")
def _() -> None:
    made = b.header(b.SECONDARY_CAPTURE, Modality="CT", ImageType=["DERIVED", "PRIMARY"])
    made.ExposureDoseSequence = b.sequence(exposure())
    plain = b.encode(made)
    implicit = transcode(plain, "implicit")
    start = implicit.index(b"\x40\0\x0e\x03")
    length = int.from_bytes(implicit[start + 4 : start + 8], "little")
    value = implicit[start + 8 : start + 8 + length]
    place = plain.index(b"\x40\0\x0e\x03")
    old = int.from_bytes(plain[place + 8 : place + 12], "little")
    unknown = plain[place : place + 4] + b"UN\0\0" + len(value).to_bytes(4, "little") + value
    part, _ = read(plain[:place] + unknown + plain[place + 12 + old :])
    event = part.events[0]
    assert isinstance(event, CtEvent) and event.ctdi_vol_mgy == 7.2


@case("ge_dose_report_comment")
def _() -> None:
    made = b.header(
        b.SECONDARY_CAPTURE,
        Modality="CT",
        ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"],
        CommentsOnRadiationDose="TotalDLP=1748.68\r\nEvent=1\r\nEvent=2 DLP=769.67",
        ExposureDoseSequence=b.sequence(
            exposure(AcquisitionType="CONSTANT_ANGLE"), exposure(AcquisitionType="SPIRAL")
        ),
    )
    part, _ = read(b.encode(made))
    assert [e.dlp_mgy_cm for e in part.events] == [None, 769.67]  # type: ignore[union-attr]
    assert part.totals.dlp_total_mgy_cm == 1748.68


@case("toshiba_private_dose")
def _() -> None:
    made = b.header(b.CT_IMAGE, Modality="CT", KVP="120", ImageType=["ORIGINAL", "PRIMARY"])
    block = made.private_block(0x7005, "TOSHIBA_MEC_CT3", create=True)
    block.add_new(0x63, "FD", 12.5)
    block.add_new(0x40, "FD", 340.0)
    part, _ = read(b.encode(made))
    event = part.events[0]
    assert isinstance(event, CtEvent)
    assert (event.ctdi_vol_mgy, event.dlp_mgy_cm) == (12.5, 340.0)


@case("activity_units")
def _() -> None:
    def activity(sop_class: str, modality: str, dose: str) -> tuple[float | None, set[str]]:
        item = b.item(RadionuclideTotalDose=dose, Radiopharmaceutical="FDG")
        made = b.header(
            sop_class, Modality=modality, RadiopharmaceuticalInformationSequence=b.sequence(item)
        )
        part, _ = read(b.encode(made))
        return part.administrations[0].administered_activity_mbq, codes_of(part)

    assert activity(b.PET_IMAGE, "PT", "394000000")[0] == 394
    assert activity(b.NM_IMAGE, "NM", "764")[0] == 764
    value, issues = activity(b.PET_IMAGE, "PT", "394")
    assert value == 394 and "implausible_value" in issues
    value, issues = activity(b.NM_IMAGE, "NM", "764000000")
    assert value == 764 and "implausible_value" in issues


# ---- encodings


@case("giotto_big_endian")
def _() -> None:
    plain = make_ct_rdsr(events=2)
    there, here = read(transcode(plain, "big endian"))[0], read(plain)[0]
    assert there.events == here.events and there.totals == here.totals


@case("deflated")
def _() -> None:
    plain = make_ct_rdsr(events=2)
    assert read(transcode(plain, "deflated"))[0].events == read(plain)[0].events


@case("wrong_syntax")
def _() -> None:
    implicit, explicit = b"1.2.840.10008.1.2\0", b"1.2.840.10008.1.2.1\0"
    plain = make_ct_rdsr(events=2)
    lying = plain.replace(b"UI\x14\0" + explicit, b"UI\x12\0" + implicit, 1)
    assert lying != plain
    assert read(lying)[0].events == read(plain)[0].events
