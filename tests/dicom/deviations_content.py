"""Deviations of content: codes, texts and private items."""

from __future__ import annotations

from typing import Any

import pytest

from dose_lib import codes as c
from dose_lib.records import (
    CtAcquisitionType,
    CtEvent,
    Laterality,
    Modality,
    Part,
    Phantom,
)
from tests.dicom import build as b
from tests.dicom.deviations import case, codes_of, ct, read, xray

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
    assert list(plane.calibration_factor) == [None, 1.02]
    assert list(plane.calibration_uncertainty_percent) == [5, None]
    assert [at is None for at in plane.calibrated_at] == [True, False]
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


@case("siemens_position")
def _() -> None:
    xml = (
        '<Root><PatientPosition><Position SRData="HFS "/></PatientPosition><AccumulatedMonoData>'
        '<PhysicianName SRData="House^Greg"/><Exposures SRData="0"/></AccumulatedMonoData></Root>'
    )
    part, identity = read(b.xray_report(b.xray_event(), b.text(c.COMMENT, xml)))
    assert part.patient.position is not None and part.patient.position.meaning == "HFS"
    assert part.comment == "Position=HFS; Exposures=0"
    assert [s.staff_name for s in identity.staff] == ["House^Greg"]
    assert "House" not in repr(part)


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


@case("value_by_meaning")
def _() -> None:
    phantom = b.coded(c.CTDI_W_PHANTOM_TYPE, ("113999", "DCM", "IEC Head Dosimetry Phantom"))
    event, part = ct(b.container(c.CT_DOSE, b.num(c.MEAN_CTDI_VOL, "60", "mGy"), phantom))
    assert event.phantom is Phantom.HEAD_16CM and "value_by_meaning" in codes_of(part)
    assert part.totals.ctdi_vol_16cm_max_mgy == 60
    other = b.coded(c.CTDI_W_PHANTOM_TYPE, ("113999", "DCM", "A phantom of our own"))
    event, part = ct(b.container(c.CT_DOSE, b.num(c.MEAN_CTDI_VOL, "60", "mGy"), other))
    assert event.phantom is None and "unknown_code" in codes_of(part)
    scout = b.coded(c.CT_ACQUISITION_TYPE, ("SCOUT", "99X", "Scout"))
    (scan,) = read(b.ct_report(b.container(c.CT_ACQUISITION, scout)))[0].events
    assert isinstance(scan, CtEvent)
    assert scan.acquisition_type is CtAcquisitionType.CONSTANT_ANGLE
    side = b.coded(c.LATERALITY, ("L", "99X", "Left breast"), rel="HAS CONCEPT MOD")
    agd = b.num(c.ACCUMULATED_AGD, "1.5", "mGy", side)
    part, _ = read(b.xray_report(b.plane(agd), kind=c.MAMMOGRAPHY))
    assert (part.totals.agd_left_mgy, part.totals.agd_both_mgy) == (1.5, None)


@case("value_type_by_content")
def _() -> None:
    modifier = b.coded(c.FLUORO_MODE, c.PULSED)
    modifier.ValueType = "HAS CONCEPT MOD"
    event, _ = xray(modifier)
    assert event.fluoro_mode is not None and event.fluoro_mode.value == c.PULSED.value


@case("thousands")
def _() -> None:
    event, part = ct(b.num(c.DLP, "1,234.5", "mGy.cm"))
    assert event.dlp_mgy_cm is None and "unreadable_number" in codes_of(part)
    for value in ("1,234", "1.234,5", "1,234,567", "<0.01", "NaN", "1_0", "--"):
        assert ct(b.num(c.DLP, value, "mGy.cm"))[0].dlp_mgy_cm is None, value
    for value, number in {"234,5": 234.5, "1,5E-05": 1.5e-5, "0,123": 0.123, ".5": 0.5}.items():
        assert ct(b.num(c.DLP, value, "mGy.cm"))[0].dlp_mgy_cm == number, value
    fluoro, _ = xray(b.num(c.KVP, "70,5\\71,5", "kV"))
    assert [p.kvp_kv for p in fluoro.pulses] == [70.5, 71.5]


@case("tube_current_from_events")
def _() -> None:
    event, _ = xray(b.num(c.XRAY_TUBE_CURRENT, "320", "mA"))
    assert (event.tube_current_ma, event.average_tube_current_ma) == (320, None)


@case("guided_without_fluoroscopy")
def _() -> None:
    stationary = b.coded(c.IRRADIATION_EVENT_TYPE, c.STATIONARY_ACQUISITION)
    event = b.xray_event(stationary)

    def modality(*items: Any, **header: Any) -> Modality:
        return read(b.xray_report(*items, event, **header))[0].modality

    guided = b.coded(c.ACQUISITION_DEVICE_TYPE, c.FLUOROSCOPY_GUIDED_SYSTEM, rel="HAS CONCEPT MOD")
    plain = b.coded(c.ACQUISITION_DEVICE_TYPE, c.INTEGRATED_SYSTEM, rel="HAS CONCEPT MOD")
    time = b.num(c.TOTAL_FLUORO_TIME, "12", "s")
    none = b.num(c.TOTAL_FLUORO_TIME, "0.0", "s")
    assert modality() is modality(plain) is modality(b.plane(none)) is Modality.DX
    assert modality(guided) is modality(plain, b.plane(time)) is Modality.RF
    assert modality(guided, ModalitiesInStudy=["XA", "SR"]) is Modality.XA


@case("plane_without_events")
def _() -> None:
    kap = c.DOSE_AREA_PRODUCT_TOTAL
    part, _ = read(
        b.xray_report(
            b.plane(b.num(kap, "0.00002", "Gy.m2"), value=c.PLANE_A),
            b.plane(b.num(kap, "0", "Gy.m2"), value=c.PLANE_B),
            b.xray_event(b.coded(c.IRRADIATION_EVENT_TYPE, c.STATIONARY_ACQUISITION)),
        )
    )
    assert part.modality is Modality.DX and part.totals.kap_gy_cm2 == 0.2
    assert [p.kap_gy_cm2 for p in part.totals.planes] == [0.2, 0]


@case("study_time_missing")
def _() -> None:
    none = dict.fromkeys(("StudyDate", "StudyTime", "ContentDate", "ContentTime"))
    part, _ = read(b.xray_report(b.xray_event(), **none, SeriesDate="20240131", SeriesTime="1015"))
    assert part.started_at is not None and part.started_at.isoformat() == "2024-01-31T10:15:00"
    assert "time_from_header" in codes_of(part)
    assert read(b.xray_report(b.xray_event(), **none))[0].started_at is None


@case("zero_length_request")
def _() -> None:
    long = ("1" * 40, "99LOCAL-HOSPITAL", "CT Thorax")
    part, identity = read(
        b.ct_report(
            b.ct_event(),
            RequestAttributesSequence=b.sequence(),
            ProcedureCodeSequence=b.sequence(b.code_item(long)),
            PerformingPhysicianName="House^Greg\\Wilson^James",
        )
    )
    assert part.procedure_code is not None and part.procedure_code.value == "1" * 40
    assert {s.staff_name for s in identity.staff} == {"House^Greg", "Wilson^James"}
    assert "House" not in repr(part)


@case("study_description_as_request")
def _() -> None:
    part, _ = read(b.xray_report(b.xray_event(), StudyDescription="Thorax pa"))
    assert part.study_description == "Thorax pa" and part.requested_procedure is None


@case("canon_angiography")
def _() -> None:
    fluoro = b.xray_event(b.coded(c.IRRADIATION_EVENT_TYPE, c.FLUOROSCOPY))
    for model, modality in (("INFX-8000C", Modality.XA), ("Ultimax-i", Modality.RF)):
        part, _ = read(b.xray_report(fluoro, ManufacturerModelName=model))
        assert part.modality is modality


@case("scheme_missing")
def _() -> None:
    kind = b.coded(("113820", "", "Art"), ("P5-08001", "", "Spirale"))
    phantom = b.coded(("113835", "", "Phantom"), ("113691", "", "Körper"))
    dose = b.container(("113829", "", "Dosis"), b.num(("113838", "", ""), "300", "mGy.cm"), phantom)
    part, _ = read(b.ct_report(b.container(c.CT_ACQUISITION, kind, dose)))
    (event,) = part.events
    assert isinstance(event, CtEvent)
    assert event.acquisition_type is CtAcquisitionType.SPIRAL
    assert (event.dlp_mgy_cm, event.phantom) == (300, Phantom.BODY_32CM)
    assert [i.code for i in part.issues].count("scheme_missing") == 1


@case("signs_in_units")
def _() -> None:
    event, _ = xray(b.num(c.DOSE_AREA_PRODUCT, "1200", "µGy·m²"))
    assert event.kap_gy_cm2 == 12


@case("side_of_region")
def _() -> None:
    breast = b.coded(c.TARGET_REGION, ("T-04030", "SRT", "Left breast"))
    agd = b.num(c.AVERAGE_GLANDULAR_DOSE, "1.2", "mGy")
    part, _ = read(b.xray_report(b.xray_event(breast, agd), kind=c.MAMMOGRAPHY))
    assert part.totals.agd_left_mgy == 1.2
    (where,) = (p for p in part.provenance if p.name == "events[0].laterality")
    assert where.path.endswith("/123014")


@case("wrapped_events")
def _() -> None:
    scan = b.ct_event(b.num(c.DLP, "100", "mGy.cm"), b.text(c.COMMENT, "of the scan"))
    inner = b.container(("2", "99GE", "Scans"), scan)
    part, _ = read(b.ct_report(b.container(("1", "99GE", "Exam"), inner)))
    (event,) = part.events
    assert isinstance(event, CtEvent)
    assert (event.dlp_mgy_cm, event.comment) == (100, "of the scan")
    assert part.comment is None and part.extras == ()
