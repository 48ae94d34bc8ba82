"""Headers of images, dose screens and performed procedure steps."""

from __future__ import annotations

import pytest

from dose_lib import codes as c
from dose_lib import read_bytes
from dose_lib.errors import NoDoseError
from dose_lib.records import (
    CtEvent,
    Identity,
    Modality,
    Part,
    Phantom,
    SourceKind,
    StepStatus,
    XRayEvent,
)
from tests.dicom import build as b

BODY = c.BODY_PHANTOM_32CM


def read(data: bytes) -> tuple[Part, Identity]:
    (part,), identity = read_bytes(data, site_key=b"site")
    return part, identity


def codes_of(part: Part) -> set[str]:
    return {issue.code for issue in part.issues}


def test_images_of_a_dose_area_product_in_dgy() -> None:
    made = b.header(
        b.DX_IMAGE,
        Modality="DX",
        KVP="69.64",
        ExposureInuAs="1040",
        Exposure="1",
        ImageAndFluoroscopyAreaDoseProduct="0.41",
        ExposureIndex="51.7",
        RelativeXRayExposure="1460",
        Manufacturer="Agfa",
        Grid=["RECIPROCATING", "FOCUSED"],
        AcquisitionDateTime="20240131093000.5",
        EntranceDoseInmGy="1.2",
        EntranceDoseDerivation="calculated without backscatter",
    )
    part, _ = read(b.encode(made))
    event = part.events[0]
    assert isinstance(event, XRayEvent)
    assert (event.kap_gy_cm2, event.exposure_mas) == (0.041, 1.04)
    assert event.exposure_index == 51.7
    assert event.relative_exposure is not None and event.relative_exposure.scale == "lgM"
    assert [g.value for g in event.grid] == [c.RECIPROCATING_GRID.value, c.FOCUSED_GRID.value]
    assert event.ka_i_mgy == 1.2 and event.entrance_dose_mgy is None
    assert event.event_uid == "1.2.3.1"  # the object's UID stands in
    assert part.sources[0].kind is SourceKind.IMAGE_HEADER
    traced = {p.name: (p.path, p.factor) for p in part.provenance}
    assert traced["events[0].kap_gy_cm2"] == ("(0018,115E)", 0.1)


def test_angiography_distance_means_the_isocentre() -> None:
    distance = {"KVP": "80", "DistanceSourceToPatient": "785"}
    xa, _ = read(b.encode(b.header(b.XA_IMAGE, Modality="XA", **distance)))
    dx, _ = read(b.encode(b.header(b.DX_IMAGE, Modality="DX", **distance)))
    assert xa.events[0].source_isocenter_mm == 785 and xa.modality is Modality.XA  # type: ignore[union-attr]
    assert dx.events[0].source_patient_mm == 785  # type: ignore[union-attr]


def test_ct_image() -> None:
    made = b.header(
        b.CT_IMAGE,
        Modality="CT",
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        KVP="120",
        CTDIvol=7.5,
        CTDIPhantomTypeCodeSequence=b.sequence(b.code_item(BODY)),
        XRayTubeCurrent="200",
        ExposureTime="500",
        RevolutionTime=0.5,
        AcquisitionType="SPIRAL",
        SpiralPitchFactor=0.9,
        IrradiationEventUID="1.9.1",
        ConvolutionKernel=["B30f", "3"],
        AcquisitionNumber="2",
        AcquisitionDate="20240131",
        AcquisitionTime="093010",
    )
    part, _ = read(b.encode(made))
    event = part.events[0]
    assert isinstance(event, CtEvent)
    assert (event.ctdi_vol_mgy, event.phantom, event.pitch) == (7.5, Phantom.BODY_32CM, 0.9)
    assert event.event_uid == "1.9.1" and event.label == "2"
    assert event.exposure_time_s is None  # that was the time of a rotation
    assert event.sources[0].kvp_kv == 120 and event.rotation_time_s == 0.5
    assert part.totals.ctdi_vol_32cm_max_mgy == 7.5 and part.totals.dlp_total_mgy_cm is None


def test_a_reconstruction_of_an_angiography_run_is_no_ct_exam() -> None:
    made = b.header(b.CT_IMAGE, Manufacturer="SIEMENS", ManufacturerModelName="AXIOM-Artis")
    made.KVP, made.XRayTubeCurrent = "90", "300"
    with pytest.raises(NoDoseError, match="angiography"):
        read_bytes(b.encode(made))
    made.ManufacturerModelName = "SOMATOM Force"
    assert read(b.encode(made))[0].modality is Modality.CT


@pytest.mark.parametrize("name", ["FilterMaterial", "FilterThicknessMinimum", "FilterType"])
def test_a_filter_of_which_one_thing_is_said(name: str) -> None:
    value = "0.5" if "Thickness" in name else "ALUMINUM"
    part, _ = read(b.encode(b.header(b.DX_IMAGE, KVP="70", ExposureInuAs="1000", **{name: value})))
    event = part.events[0]
    assert isinstance(event, XRayEvent) and len(event.filters) == 1
    (where,) = (p for p in part.provenance if p.name == "events[0].filters")
    assert where.recorded == value


@pytest.mark.parametrize(
    ("study", "acquisition", "content", "start"),
    [
        ("20240131 093000", "20240131 094500", "20240131 101500", "2024-01-31T09:30:00"),
        ("20240131 000000", None, "20240131 101500", "2024-01-31T10:15:00"),
        ("20240131", "20240131 094500", "20240131 101500", "2024-01-31T09:45:00"),
        ("20240131 000000", None, None, "2024-01-31T00:00:00"),
        ("20240131 000000", None, "20240201 101500", "2024-01-31T00:00:00"),
    ],
)
def test_midnight_stands_for_no_time(
    study: str, acquisition: str | None, content: str | None, start: str
) -> None:
    times: dict[str, str] = {}
    for name, given in {"Study": study, "Acquisition": acquisition, "Content": content}.items():
        day, _, at = (given or "").partition(" ")
        times |= {f"{name}Date": day, f"{name}Time": at}
    screen = b.header(
        b.SECONDARY_CAPTURE,
        Modality="CT",
        ImageType=["DERIVED", "SECONDARY", "DOSE_INFO"],
        ExposureDoseSequence=b.sequence(b.item(KVP="120", CTDIvol=5.0)),
        **times,
    )
    part, _ = read(b.encode(screen))
    assert part.started_at is not None
    assert part.started_at.isoformat() == start


def test_performed_procedure_step() -> None:
    step = b.header(
        b.MPPS,
        Modality="RF",
        StudyInstanceUID=None,
        PerformedProcedureStepStatus="COMPLETED",
        PerformedProcedureStepStartDate="20240131",
        PerformedProcedureStepStartTime="101500",
        PerformedProcedureStepEndDate="20240131",
        PerformedProcedureStepEndTime="102500",
        PerformedStationAETitle="RF1",
        TotalTimeOfFluoroscopy=73,
        TotalNumberOfExposures=4,
        ImageAndFluoroscopyAreaDoseProduct="126.5",
        EntranceDose=0,
        ScheduledStepAttributesSequence=b.sequence(
            b.item(StudyInstanceUID="1.2.3", AccessionNumber="ACC4712")
        ),
        ExposureDoseSequence=b.sequence(b.item(KVP="70", RadiationMode="PULSED")),
    )
    part, identity = read(b.encode(step))
    assert part.study_uid == "1.2.3" and identity.accession_number == "ACC4712"
    assert (part.totals.fluoro_time_s, part.totals.n_exposures) == (73, 4)
    assert part.totals.kap_gy_cm2 == 12.65 and "kap_gy_cm2" not in part.totals.derived
    assert part.totals.entrance_dose_mgy is None
    assert part.performed_step_status is StepStatus.COMPLETED
    assert part.started_at is not None and part.started_at.isoformat() == "2024-01-31T10:15:00"
    assert part.ended_at is not None and part.device.station_ae_title == "RF1"
    assert part.events[0].kvp_kv == 70  # type: ignore[union-attr]
    assert part.sources[0].kind is SourceKind.MPPS


def test_pet_header() -> None:
    item = b.item(
        RadionuclideTotalDose="394000000",
        RadiopharmaceuticalStartDateTime="20240131084830",
        RadionuclideHalfLife="6586.2",
        RadionuclideCodeSequence=b.sequence(b.code_item(("C-111A1", "SRT", "^18^Fluorine"))),
        RadiopharmaceuticalSpecificActivity="2.5",
    )
    made = b.header(
        b.PET_IMAGE,
        Modality="PT",
        RadiopharmaceuticalInformationSequence=b.sequence(item),
        Units="BQML",
        CorrectedImage=["NORM", "DECY"],
        ActualFrameDuration="119449",
    )
    part, _ = read(b.encode(made))
    (given,) = part.administrations
    assert given.administered_activity_mbq == 394 and given.half_life_s == 6586.2
    assert given.specific_activity == 2500  # Bq/mmol from Bq/µmol
    assert part.modality is Modality.PT and part.totals.n_administrations == 1
    source = part.sources[0]
    assert (source.pet_units, source.pet_corrections) == ("BQML", ("NORM", "DECY"))
    assert source.pet_frame_duration_s == pytest.approx(119.449)
    wrong = b.item(RadionuclideTotalDose="394000000", RadionuclideHalfLife="21624")
    wrong.RadionuclideCodeSequence = item.RadionuclideCodeSequence
    made.RadiopharmaceuticalInformationSequence = b.sequence(wrong)
    part, _ = read(b.encode(made))
    assert "F-18: 21624 s" in " ".join(i.seen or "" for i in part.issues)
