"""Deviations of reports: concepts, devices, templates, units and numbers."""

from __future__ import annotations

from typing import Any

from dose_lib import codes as c
from dose_lib import merge
from dose_lib.records import (
    Modality,
    Part,
    SetRole,
    SourceKind,
)
from tests.dicom import build as b
from tests.dicom.deviations import case, codes_of, ct, read, rules_of, xray

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
