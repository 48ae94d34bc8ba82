"""Deviations of headers of images and dose screens, and of encodings."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dose_lib import codes as c
from dose_lib import merge
from dose_lib.errors import NoDoseError
from dose_lib.records import (
    CtEvent,
    Laterality,
    MgMode,
    Modality,
    Part,
    Phantom,
    SourceKind,
    XRayEvent,
)
from dose_lib.simulate.writer import make_ct_rdsr, transcode
from tests.dicom import build as b
from tests.dicom.deviations import case, codes_of, image, read, rules_of

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
    event, _ = image(FilterType="CU_0.2_MM")  # Siemens Multix: all in the type
    (one,) = event.filters
    assert one.material is not None and one.material.value == c.COPPER.value
    assert (one.thickness_min_mm, one.thickness_max_mm, one.filter_type) == (0.2, 0.2, None)
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


@case("zero_beside_value")
def _() -> None:
    event, part = image(ExposureInuAs="0", Exposure="3", ExposureTimeInuS="0", ExposureTime="10")
    assert (event.exposure_mas, event.exposure_time_ms) == (3, 10)
    (where,) = (p.path for p in part.provenance if p.name == "events[0].exposure_mas")
    assert where == "(0018,1152)"
    assert image(ExposureInuAs="2500", Exposure="3")[0].exposure_mas == 2.5
    assert image(ExposureInuAs="0")[0].exposure_mas == 0


@case("unit_behind_header_number")
def _() -> None:
    event, part = image(KVP="80 kV", Exposure="2500 uAs", DistanceSourceToDetector="1.8 m")
    assert (event.kvp_kv, event.exposure_mas, event.sid_mm) == (80, 2.5, 1800)
    assert "illegal_number" in codes_of(part) and "unreadable_number" not in codes_of(part)
    assert image(KVP="80 mm", Exposure="3")[0].kvp_kv is None


@case("distance_in_metres")
def _() -> None:
    event, part = image(DistanceSourceToDetector="1.8")
    assert event.sid_mm == 1.8  # as sent: which unit was meant is not said
    assert "implausible_value" in codes_of(part)
    assert "implausible_value" not in codes_of(image(DistanceSourceToDetector="1800")[1])


@case("side_in_words")
def _() -> None:
    for word, side in (("l", Laterality.LEFT), ("RIGHT", Laterality.RIGHT), ("Both", "both")):
        assert image(ImageLaterality=word)[0].laterality == side


@case("original_capture")
def _() -> None:
    dose = {"Modality": "PX", "ImageAndFluoroscopyAreaDoseProduct": "1.2"}
    event, part = image(b.SECONDARY_CAPTURE, ImageType=["ORIGINAL", "PRIMARY"], **dose)
    assert event.kap_gy_cm2 == 0.12 and part.modality is Modality.PX
    with pytest.raises(NoDoseError, match="derived"):
        image(b.SECONDARY_CAPTURE, ImageType=["DERIVED", "SECONDARY"], **dose)


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
    for words, total, dose in (
        ("TotalDLP=1748,68\nEvent=2 DLP=769,67", 1748.68, 769.67),  # where commas are points
        ("Total DLP = 277.1 mGy*cm\nevent = 2 DLP : 5.5.", 277.1, 5.5),
        ("TotalDLP=1,748.68\nEvent=2 DLP=1,748", None, None),  # thousands, or not
    ):
        made.CommentsOnRadiationDose = words
        part, _ = read(b.encode(made))
        assert [e.dlp_mgy_cm for e in part.events] == [None, dose], words  # type: ignore[union-attr]
        assert part.totals.dlp_total_mgy_cm == (total or dose)


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


@case("odd_elements")
def _() -> None:
    plain = make_ct_rdsr(events=2)
    place = plain.index(b"\x08\0\x60\0CS")
    odd = b"\x08\0\x58\0ZZ\x04\0abcd"
    assert read(plain[:place] + odd + plain[place:])[0].events == read(plain)[0].events


@case("philips_screen_order")
def _() -> None:
    second = exposure(AcquisitionDateTime="20240131101500", SeriesDescription="Arterial")
    first = exposure(AcquisitionDateTime="20240131101000", SeriesDescription="Native")
    made = b.header(
        b.SECONDARY_CAPTURE,
        Modality="CT",
        ImageType=["DERIVED", "SECONDARY", "DOSE_INFO"],
        ExposureDoseSequence=b.sequence(second, first),
    )
    part, _ = read(b.encode(made))
    assert [e.acquisition_protocol for e in part.events] == ["Native", "Arterial"]
    (where,) = (p.path for p in part.provenance if p.name == "events[0].kvp_kv")
    assert where.startswith("(0040,030E)[1]/")  # its place in the object stays known


@case("philips_screen_totals")
def _() -> None:
    made = b.header(
        b.SECONDARY_CAPTURE,
        Modality="CT",
        ImageType=["DERIVED", "SECONDARY", "DOSE_INFO"],
        CommentsOnRadiationDose="Series #1 Average CTDIvol=14\r\nTotal DLP=277.1",
    )
    part, _ = read(b.encode(made))
    assert part.totals.dlp_total_mgy_cm == 277.1 and part.events == ()
    made.CommentsOnRadiationDose = "Results"
    with pytest.raises(NoDoseError, match="pixels"):
        read(b.encode(made))


@case("toshiba_protocol_comment")
def _() -> None:
    comment = {"ImageComments": "CHEST PA", "SeriesDescription": "Series"}
    event, part = image(**comment, Manufacturer="TOSHIBA", ManufacturerModelName="TM_TFD_1.0")
    assert event.acquisition_protocol == "CHEST PA"
    assert "toshiba_protocol_comment" in rules_of(part)
    assert image(**comment)[0].acquisition_protocol == "Series"


@case("frames_of_their_own")
def _() -> None:
    def frame(dose: str) -> Dataset:
        return b.item(XRayAcquisitionDoseSequence=b.sequence(b.item(OrganDose=dose)))

    def tomosynthesis(*frames: Dataset, **header: Any) -> tuple[XRayEvent, Part]:
        per_frame = {"PerFrameFunctionalGroupsSequence": b.sequence(*frames)}
        return image("1.2.840.10008.5.1.4.1.1.13.1.4", Modality="MG", **per_frame, **header)

    event, part = tomosynthesis(frame("0.001"), frame("0.002"), frame("0.001"))
    assert event.agd_mgy == 0.4 and "frames_summed" in codes_of(part)
    event, part = tomosynthesis(frame("0.001"), frame("0.002"), OrganDose="0.015")
    assert event.agd_mgy == 1.5 and "frames_summed" not in codes_of(part)


@case("enhanced_ct_sources")
def _() -> None:
    def exposure_of(ctdi: float) -> Dataset:
        return b.item(CTDIvol=ctdi, ExposureTimeInms=500.0, XRayTubeCurrentInmA=200.0)

    def frame(uid: str, ctdi: float) -> Dataset:
        return b.item(
            IrradiationEventIdentificationSequence=b.sequence(b.item(IrradiationEventUID=uid)),
            CTExposureSequence=b.sequence(exposure_of(ctdi)),
        )

    shared = b.item(
        CTXRayDetailsSequence=b.sequence(b.item(KVP="100")),
        CTAdditionalXRaySourceSequence=b.sequence(b.item(KVP="140", XRayTubeCurrentInmA=90.0)),
    )
    made = b.header(
        "1.2.840.10008.5.1.4.1.1.2.1",
        Modality="CT",
        SharedFunctionalGroupsSequence=b.sequence(shared),
        PerFrameFunctionalGroupsSequence=b.sequence(
            frame("1.2.7.1", 7.0), frame("1.2.7.1", 7.0), frame("1.2.7.2", 9.0)
        ),
    )
    part, _ = read(b.encode(made))
    first, second = part.events
    assert isinstance(first, CtEvent) and isinstance(second, CtEvent)
    assert (first.event_uid, first.ctdi_vol_mgy) == ("1.2.7.1", 7)
    assert (second.event_uid, second.ctdi_vol_mgy) == ("1.2.7.2", 9)
    assert [s.kvp_kv for s in first.sources] == [100, 140]
    assert [s.tube_current_ma for s in first.sources] == [200, 90]
    assert first.kvp_kv is None  # of two tubes no single number is the event's


@case("wrong_length")
def _() -> None:
    data = b.encode(b.header(b.CT_IMAGE, Modality="CT", KVP="120", CTDIvol=7.5))
    own = b"\x18\0\x45\x93FD\x08\0" + struct.pack("<d", 7.5)
    assert own in data

    def ctdi(vr: bytes, value: bytes) -> tuple[float | None, set[str]]:
        element = b"\x18\0\x45\x93" + vr + struct.pack("<H", len(value)) + value
        part, _ = read(data.replace(own, element))
        (event,) = part.events
        assert isinstance(event, CtEvent)
        return event.ctdi_vol_mgy, codes_of(part)

    assert ctdi(b"FD", struct.pack("<f", 7.5))[0] == 7.5
    assert ctdi(b"FL", struct.pack("<d", 7.5))[0] == 7.5
    assert ctdi(b"FL", struct.pack("<f", 7.5))[0] == 7.5
    value, issues = ctdi(b"FD", b"\0\0\0")
    assert value is None and "unreadable_number" in issues
