"""Every name of the contract is filled by some object, or the documentation says who fills it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from docs.reading_pages import NOT_READ
from dose_lib import codes as c
from dose_lib import contract, merge, read_bytes
from dose_lib.records import Code, Identity, Part
from dose_lib.simulate.writer import make_ct_rdsr, make_rdsr
from dose_lib.simulate.writer.samples import KINDS
from tests.dicom import build as b
from tests.dicom.rows import attribute_layers, elements_of, items_of, layers
from tests.dicom.test_rows import HEADERS, PLACES

RECORDS = {
    **{"CtEvent": "ct_event", "XRayEvent": "xray_event", "CtSource": "ct_source"},
    **{"DoseCheck": "dose_check", "OrganDose": "organ_dose", "SourceObject": "source_object"},
    **{"TotalsPlane": "totals_plane", "Staff": "identity", "SsdeAtZ": "", "Code": ""},
}


def filled_names(record: Any) -> Iterator[tuple[str, str]]:
    """(record, name) of every value that is there, at any depth."""
    if isinstance(record, msgspec.Struct) and not isinstance(record, Code):
        own = RECORDS.get(type(record).__name__, type(record).__name__.lower())
        for name in record.__struct_fields__:
            value = getattr(record, name)
            if value not in (None, (), {}):
                yield own, name
                yield from filled_names(value)
    elif isinstance(record, tuple):
        for one in record:
            yield from filled_names(one)


def objects() -> Iterator[bytes]:
    """Every row of every table, what handlers put together, and every kind of report."""
    for place in PLACES.values():
        for layer in layers(place.table, without=place.without):
            yield place.make(items_of(layer)[0])
    for header in HEADERS.values():
        for elements in attribute_layers(header.table):
            yield header.make(**{"KVP": "80", **elements_of(elements)[0]})
    for kind in KINDS:
        yield make_rdsr(kind, 2, "philips")
        yield make_rdsr(kind, 2, "siemens")
    yield make_ct_rdsr(3, "siemens")
    yield make_ct_rdsr(3, "ge")
    yield from put_together()
    yield from headers()


def put_together() -> Iterator[bytes]:
    """What several items or elements make one value of."""
    uid = b.uidref(c.IRRADIATION_EVENT_UID, "1.2.9")
    again = b.coded(c.IS_REPEATED_ACQUISITION, c.YES, uid)
    someone = b.person(
        c.PERSON_NAME,
        "Curie^Marie",
        b.coded(c.PERSON_ROLE_IN_PROCEDURE, c.IRRADIATION_ADMINISTERING),
        b.coded(c.PERSON_ROLE_IN_ORGANIZATION, ("159016003", "SCT", "Radiologic Technologist")),
        b.text(c.PERSON_ID, "S1"),
        b.text(c.PERSON_ID_ISSUER, "Hospital"),
        b.text(c.ORGANIZATION_NAME, "Hospital"),
    )
    dw = b.num(c.DW_CONVERSION_FACTOR_COEFFICIENTS, "3.7", "mm")
    z = b.num(c.LONGITUDINAL_POSITION_Z, "4", "mm")
    ssde = b.num(c.SSDE, "9", "mGy", dw, b.num(c.SSDE_AT_Z, "8", "mGy", z))
    other = b.num(c.SSDE, "8", "mGy")
    check = (c.DOSE_CHECK_ALERT_DETAILS, c.DOSE_CHECK_NOTIFICATION_DETAILS)
    dose = b.num(c.EFFECTIVE_DOSE, "3", "mSv", b.coded(c.MEASUREMENT_METHOD, c.YES))
    source = b.container(c.CT_XRAY_SOURCE_PARAMETERS, b.num(c.KVP, "120", "kV"))
    maker = b.text(c.DEVICE_MANUFACTURER, "Maker")
    device = b.coded(c.DEVICE_ROLE_IN_PROCEDURE, c.XRAY_READING_DEVICE, maker)
    event = b.ct_event(
        *(again, someone, ssde, other, dose, source, device, b.text(c.COMMENT, "for Ada Example")),
        *(b.container(name, someone) for name in check),
    )
    small = b.coded(c.CTDI_W_PHANTOM_TYPE, c.PHANTOM_10CM)
    subtotal = b.num(c.CT_DOSE_LENGTH_PRODUCT_SUB_TOTAL, "5", "mGy.cm", small)
    login = b.text(c.PERSON_OBSERVER_LOGIN_NAME, "mcurie", rel="HAS OBS CONTEXT")
    issuer = b.sequence(b.item(UniversalEntityID="1.2.8", UniversalEntityIDType="ISO"))
    yield b.ct_report(
        *(login, event, b.container(c.CT_ACCUMULATED_DOSE_DATA, subtotal)),
        *(b.coded(("X", "99OTHER", "unknown"), c.YES), b.image(c.DOSE_IMAGE, "1.2.5")),
        IssuerOfAccessionNumberSequence=issuer,
        PatientComments="none",
        AdmissionID="A1",
        CurrentPatientLocation="Ward",
        OtherPatientIDs="O1",
        PregnancyStatus=1,
        PatientPosition="HFS",
        CompletionFlag="PARTIAL",
    )
    both = b.coded(c.LATERALITY, c.BOTH_BREASTS, rel="HAS CONCEPT MOD")
    fiducial = b.coded(
        c.PATIENT_LOCATION_FIDUCIAL,
        c.YES,
        b.num(c.EQUIPMENT_LANDMARK_TO_PATIENT_FIDUCIAL_Z_DISTANCE, "4", "mm"),
    )
    calibration = b.container(
        c.CALIBRATION,
        b.num(c.CALIBRATION_FACTOR, "1.1", "1"),
        b.num(c.CALIBRATION_UNCERTAINTY, "5", "%"),
        b.datetime(c.CALIBRATION_DATETIME, "20240101"),
        b.coded(c.DOSE_MEASUREMENT_DEVICE, c.YES),
        b.text(c.CALIBRATION_PROTOCOL, "Protocol"),
        b.text(c.CALIBRATION_RESPONSIBLE_PARTY, "Ada"),
    )
    agd = b.num(c.ACCUMULATED_AGD, "1.5", "mGy", both)
    point = b.text(c.REFERENCE_POINT_DEFINITION, "15cm below BeamIsocenter")
    wedge = b.num(c.PHILIPS_WEDGE_1_ANGLE, "5", "deg")
    distance = b.num(c.PHILIPS_WEDGE_1_DISTANCE, "5", "mm")
    pulses = [b.num(name, "0\\5\\7", unit) for name, unit in PULSED]
    material = b.coded(c.XRAY_FILTER_MATERIAL, c.COPPER)
    xml = '<FluoroData><iiDiameter SRData="220"/><FrameRate SRData="7.5"/></FluoroData>'
    yield b.xray_report(
        b.plane(agd, fiducial, calibration, point),
        b.xray_event(
            *(again, someone, point, wedge, distance, *pulses, b.text(c.COMMENT, xml)),
            b.container(c.XRAY_FILTERS, material),
            b.text(c.PHILIPS_APPLICATION, "Vascular"),
            device,
        ),
        kind=c.MAMMOGRAPHY,
    )
    yield from _estimates_and_steps()


def headers() -> Iterator[bytes]:
    """What headers say of the exam, beside the tables of the readers."""
    request = b.item(
        AccessionNumber="A2",
        RequestedProcedureID="R1",
        ScheduledProcedureStepID="S1",
        PlacerOrderNumberImagingServiceRequest="P1",
        FillerOrderNumberImagingServiceRequest="F1",
        ReasonForTheRequestedProcedure="cough",
        RequestedProcedureDescription="CT Thorax",
    )
    image = b.item(ReferencedSOPInstanceUID="1.2.3.0.9")
    earlier = b.item(ReferencedSeriesSequence=b.sequence(b.item(ReferencedSOPSequence=[image])))
    dose = b.num(c.EFFECTIVE_DOSE, "3", "mSv")
    factor = b.num(c.EFFECTIVE_DOSE_CONVERSION_FACTOR, "0.014", "mSv/mGy.cm")
    dose.ContentSequence = b.sequence(factor)
    unknown = b.num(c.DLP, "5", "mGy.cm")
    yield b.ct_report(
        b.ct_event(dose, unknown),
        b.text(c.COMMENT, "of the exam"),
        RequestAttributesSequence=b.sequence(request, b.item(AccessionNumber="A3")),
        PredecessorDocumentsSequence=b.sequence(earlier),
        ProcedureCodeSequence=b.sequence(b.code_item(("1", "99X", "CT"))),
        PerformedProcedureStepID="PS1",
        PerformedProcedureStepDescription="CT",
        AdmittingDiagnosesDescription="cough",
        ContrastBolusAgent="Iodine",
        ContrastBolusVolume="80",
        ReferringPhysicianName="House^Greg",
        DateOfLastCalibration="20240101",
        DateOfLastDetectorCalibration="20240101",
        ImageType=["ORIGINAL", "PRIMARY"],
    )
    yield b.encode(b.header(b.CT_IMAGE, Modality="CT", KVP="120", FilterType="WEDGE"))
    window = b.item(EnergyWindowLowerLimit="435", EnergyWindowUpperLimit="650")
    given = b.item(RadionuclideTotalDose="394000000", Radiopharmaceutical="FDG")
    yield b.encode(
        b.header(
            b.PET_IMAGE,
            Modality="PT",
            EnergyWindowRangeSequence=b.sequence(window),
            RadiopharmaceuticalInformationSequence=b.sequence(given),
        )
    )
    seno = b.header(b.MG_IMAGE, Modality="MG", KVP="29", EntranceDoseInmGy="5")
    seno.private_block(0x0045, "GEMS_SENO_02", create=True).add_new(0x49, "DS", "45")
    yield b.encode(seno)
    uid = b.uidref(c.IRRADIATION_EVENT_UID, "1.2.9")
    anode = b.coded(("113632", "DCM", "Anode Target Material"), c.TUNGSTEN)
    yield b.report(
        b.container(c.IRRADIATION_EVENT_SUMMARY_DATA, uid),
        b.container(c.IRRADIATION_DETAILS, b.container(c.RADIATION_OUTPUT)),
        sop_class=b.ENHANCED_RDSR,
        template="10040",
    )
    yield b.xray_report(b.xray_event(anode))


PULSED = (
    *((c.KVP, "kV"), (c.XRAY_TUBE_CURRENT, "mA")),
    *((c.PULSE_WIDTH, "ms"), (c.EXPOSURE, "mA.s")),
)


def _estimates_and_steps() -> Iterator[bytes]:
    yield b.report(
        b.text(c.DEVICE_OBSERVER_MANUFACTURER, "Maker", rel="HAS OBS CONTEXT"),
        b.container(
            c.RADIATION_DOSE_ESTIMATE,
            b.num(c.MEAN_ABSORBED_RADIATION_DOSE, "5", "mGy", b.coded(c.FINDING_SITE, c.YES)),
            b.num(c.MEAN_EQUIVALENT_RADIATION_DOSE, "5", "mSv"),
            b.coded(("1", "99X", "type"), c.ABSORBED_DOSE),
            b.container(c.RADIATION_DOSE_ESTIMATE_PARAMETERS, b.num(c.KVP, "80", "kV")),
        ),
        root=c.PATIENT_RADIATION_DOSE_REPORT,
        template="10030",
        sop_class=b.P_RDSR,
    )
    meter = b.coded(c.ACTIVITY_MEASUREMENT_DEVICE, c.YES)
    serial = b.text(c.DEVICE_OBSERVER_SERIAL_NUMBER, "M1")
    activity = b.num(c.PRE_ADMINISTRATION_MEASURED_ACTIVITY, "400", "MBq", meter, serial)
    after = b.num(c.POST_ADMINISTRATION_MEASURED_ACTIVITY, "4", "MBq", meter)
    authority = b.text(c.REFERENCE_AUTHORITY, "ICRP 128")
    yield b.report(
        b.container(
            c.RADIOPHARMACEUTICAL_ADMINISTRATION,
            *(activity, after, b.text(c.PRESCRIPTION_IDENTIFIER, "P1"), b.text(c.COMMENT, "none")),
            b.text(c.RADIOPHARMACEUTICAL_DISPENSE_UNIT_IDENTIFIER, "U1"),
            b.container(c.SIEMENS_EFFECTIVE_DOSE, b.num(c.EFFECTIVE_DOSE, "7", "mSv", authority)),
            b.person(c.PERSON_NAME, "Curie^Marie"),
        ),
        b.container(
            c.PATIENT_CHARACTERISTICS,
            b.num(c.PATIENT_HEIGHT, "170", "cm"),
            b.num(c.PATIENT_WEIGHT, "70", "kg"),
        ),
        root=c.RADIOPHARMACEUTICAL_RADIATION_DOSE_REPORT,
        template="10021",
        sop_class=b.RRDSR,
    )
    yield b.encode(
        b.header(
            b.MPPS,
            Modality="RF",
            PerformedProcedureStepStatus="COMPLETED",
            ImageAndFluoroscopyAreaDoseProduct="12",
            EntranceDoseInmGy="5",
            EntranceDoseDerivation="measured",
            TotalNumberOfExposures=2,
            TotalTimeOfFluoroscopy=20,
        )
    )
    dose = {"EntranceDoseInmGy": "5", "RelativeXRayExposure": "5", "Grid": "FIXED"}
    more = {"EntranceDoseDerivation": "with backscatter", "ImageLaterality": "L"}
    yield b.encode(b.header(b.DX_IMAGE, Modality="DX", ExposedArea=[100, 200], **dose, **more))
    yield b.encode(
        b.header(
            b.MG_IMAGE,
            Modality="MG",
            CommentsOnRadiationDose="31 %",
            OrganDose="0.01",
            GridAspectRatio=["1", "5"],
            AnodeTargetMaterial="MOLYBDENUM",
        )
    )


def test_every_name_is_filled_or_explained() -> None:
    filled: set[tuple[str, str]] = set()
    parts: list[Part] = []
    for data in objects():
        found, identity = read_bytes(data, file="object.dcm", site_key=b"site")
        parts += found
        filled |= {pair for one in (*found, identity) for pair in filled_names(one)}
    filled |= {pair for part in merge(parts) for pair in filled_names(part)}
    names = {(one.record, one.name) for one in contract()} - {("record", "field_sources")}
    explained = {(record, name) for record, name in names if name in NOT_READ.get(record, {})}
    missing = sorted(names - filled - explained)
    assert not missing, missing
    assert sorted(explained & filled) == []  # no excuse that is not needed
    assert isinstance(identity, Identity)
