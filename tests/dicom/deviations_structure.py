"""Deviations of structure and of writing: where numbers stand, and how they are written."""

from __future__ import annotations

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dose_lib import codes as c
from dose_lib import read_bytes
from dose_lib.records import CtAcquisitionType, CtEvent, Modality, Part, Plane, XRayEvent
from tests.dicom import build as b
from tests.dicom.deviations import case, codes_of, ct, read, xray

KAP, TOTAL = c.DOSE_AREA_PRODUCT, c.DOSE_AREA_PRODUCT_TOTAL


def kap(item: Dataset) -> float | None:
    return xray(item)[0].kap_gy_cm2


def scan(dlp: str, uid: str, *items: Dataset) -> Dataset:
    dose = b.container(c.CT_DOSE, b.num(c.DLP, dlp, "mGy.cm"))
    return b.ct_event(dose, *items, uid=uid)


def ct_totals(dlp: str, count: str | None = None) -> Dataset:
    items = [b.num(c.CT_DOSE_LENGTH_PRODUCT_TOTAL, dlp, "mGy.cm")]
    if count:
        items.append(b.num(c.TOTAL_NUMBER_OF_IRRADIATION_EVENTS, count, "{events}"))
    return b.container(c.CT_ACCUMULATED_DOSE_DATA, *items)


def dlps(part: Part) -> list[float | None]:
    return [e.dlp_mgy_cm for e in part.events if isinstance(e, CtEvent)]


# ---- written otherwise


@case("unit_spellings")
def _() -> None:
    for unit, expected in {
        **dict.fromkeys(("Gy.m2", "Gym2", "GY.M2", "Gy*m^2", "Gy m2", "Gy-m2", "Gy.m.m"), 2e4),
        **dict.fromkeys(("dGy.cm2", "dGycm2", "dGy*cm*cm", "dGy x cm2"), 0.2),
        **dict.fromkeys(("uGy.m2", "uGym2", "cGy.cm2", "microGy.m2", "mcGy.m2"), 0.02),
        **dict.fromkeys(("mGy.cm2", "milliGy.cm2", "mGray.cm2", "mGy.cm2{total}"), 2e-3),
        **dict.fromkeys(("Gy", "Gy.m", "Gy/m2", "Gy.m-2", "R.cm2", "mGy.cm", "{Gy}"), None),
    }.items():
        assert kap(b.num(KAP, "2", unit)) == expected, unit
    for unit, length in {
        "mGy x cm": 2,
        "mGy-cm": 2,
        "cGy.cm": 20,
        "uGy.m": 0.2,
        "mGy": None,
    }.items():
        assert ct(b.num(c.DLP, "2", unit))[0].dlp_mgy_cm == length, unit
    event, _ = xray(
        b.num(c.EXPOSURE_TIME, "2", "sec"),
        b.num(c.PULSE_RATE, "15", "pps"),
        b.num(c.NUMBER_OF_PULSES, "7", "{exposures}"),
        b.num(c.DOSE_RP, "3", "mcGy"),
    )
    assert (event.exposure_time_ms, event.pulse_rate_hz, event.n_pulses) == (2000, 15, 7)
    assert event.ka_r_mgy == 0.003


@case("unit_by_meaning")
def _() -> None:
    item = b.num(KAP, "2", "Gy.m2")
    unit = item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0]
    unit.CodeValue, unit.CodeMeaning = "258999", "dGy.cm2"
    assert kap(item) == 0.2
    unit.CodeValue = "Gy.m2"
    assert kap(item) == 2e4  # a code that is a unit decides
    unit.CodeValue, unit.CodeMeaning = "258999", "Dosis"
    assert kap(item) is None


@case("number_elsewhere")
def _() -> None:
    item = b.num(KAP, "", "Gy.cm2")
    item.MeasuredValueSequence[0].FloatingPointValue = 1.5
    assert kap(item) == 1.5
    item = b.num(KAP, "2.5", "Gy.cm2")
    item.MeasuredValueSequence[0][0x0040A30A] = DataElement(0x0040A30A, "FD", 2.5)
    assert kap(item) == 2.5
    item = b.num(KAP, "3.5", "dGy.cm2")
    measured = item.MeasuredValueSequence[0]
    del item.MeasuredValueSequence
    item.NumericValue = measured.NumericValue
    item.MeasurementUnitsCodeSequence = measured.MeasurementUnitsCodeSequence
    assert kap(item) == 0.35
    event, part = xray(b.text(KAP, "1.5"))  # a text in the place of a number
    assert event.kap_gy_cm2 == 1.5 and "unit_missing" in codes_of(part)


@case("unit_in_number")
def _() -> None:
    event, part = xray(b.text(KAP, "1.5 dGy.cm2"))
    assert event.kap_gy_cm2 == 0.15 and "illegal_number" in codes_of(part)
    assert kap(b.num(KAP, "1.5 Gy.cm2", "Gy.cm2")) == 1.5
    event, part = xray(b.num(KAP, "1.5 Gy.cm2", "Gy.m2"))  # two units: which one?
    assert event.kap_gy_cm2 is None and "unreadable_number" in codes_of(part)
    assert kap(b.text(KAP, "1.5 mm")) is None


@case("measured_values")
def _() -> None:
    item, other = b.num(c.KVP, "70", "kV"), b.num(c.KVP, "72", "kV")
    item.MeasuredValueSequence.append(other.MeasuredValueSequence[0])
    event, _ = xray(item)
    assert [p.kvp_kv for p in event.pulses] == [70, 72] and event.kvp_kv == 71


@case("times_written_otherwise")
def _() -> None:
    def start(value: str) -> str | None:
        item = b.datetime(c.DATETIME_STARTED, "20240131")
        item[0x0040A120] = DataElement(0x0040A120, "LO", value)
        at = xray(item)[0].started_at
        return at.isoformat() if at else None

    plain = "2024-01-31T09:30:00"
    for value in (plain, "2024.01.31 09:30", "2024/01/31 09:30:00", "31.01.2024 09:30:00"):
        assert start(value) == plain, value
    assert start("20240131T093000") == start("20240131 09:30:00") == plain
    assert start("2024-01-31T09:30:00Z") == f"{plain}+00:00"
    assert start("2024-01-31T09:30:00.5+01:00") == f"{plain}.500000+01:00"
    for value in ("01/02/2024 09:30", "00000000000000", "202413", "31.02.2024", "yesterday"):
        assert start(value) is None, value


@case("schemes_written_otherwise")
def _() -> None:
    def kind(value: str, scheme: str) -> CtAcquisitionType | None:
        item = b.coded(c.CT_ACQUISITION_TYPE, (value, scheme, "Art"))
        (event,) = read(b.ct_report(b.container(c.CT_ACQUISITION, item)))[0].events
        assert isinstance(event, CtEvent)
        return event.acquisition_type

    spiral = CtAcquisitionType.SPIRAL
    for scheme in ("SRT", "SNM", "SNM3", "99SDM", "SNOMED-RT", "1.2.840.10008.6.1.1", "SCT", "DCM"):
        assert kind("P5-08001", scheme) is spiral, scheme
    for scheme in ("SCT", "SNOMED", "SNOMED-CT", "2.16.840.1.113883.6.96", "SRT"):
        assert kind("116152004", scheme) is spiral, scheme
    for scheme in ("DCM", "DICOM", "DCMR", "1.2.840.10008.2.16.4", "SRT"):
        assert kind("113804", scheme) is CtAcquisitionType.SEQUENCED, scheme
    assert kind("113804", "99OWN") is None  # a maker's own code is its own


# ---- nested and repeated otherwise


@case("nested_containers")
def _() -> None:
    inner = scan("100", "1.9.1"), scan("50", "1.9.2")
    own = b.container(c.CT_DOSE, b.num(c.DLP, "150", "mGy.cm"))
    part, _ = read(b.ct_report(b.container(c.CT_ACQUISITION, own, *inner)))
    assert dlps(part) == [100, 50] and part.totals.dlp_total_mgy_cm == 150
    assert part.extras[0].value == "150" and "nested_containers" in codes_of(part)
    part, _ = read(b.ct_report(scan("10", "1.9.0", *inner)))  # an event of its own as well
    assert dlps(part) == [10, 100, 50]
    run = b.xray_event(
        b.num(KAP, "1", "Gy.cm2"), b.xray_event(b.num(KAP, "2", "Gy.cm2"), uid="1.2")
    )
    part, _ = read(b.xray_report(run))
    assert [e.kap_gy_cm2 for e in part.events if isinstance(e, XRayEvent)] == [1, 2]
    second = b.plane(b.num(TOTAL, "2", "Gy.cm2"), value=c.PLANE_B)
    first = b.plane(b.num(TOTAL, "3", "Gy.cm2"), second, value=c.PLANE_A)
    part, _ = read(b.xray_report(first))
    assert [(p.plane, p.kap_gy_cm2) for p in part.totals.planes] == [(Plane.A, 3), (Plane.B, 2)]
    tubes = [b.container(c.CT_XRAY_SOURCE_PARAMETERS, b.num(c.KVP, v, "kV")) for v in ("80", "140")]
    event, _ = ct(b.container(c.CT_XRAY_SOURCE_PARAMETERS, *tubes))
    assert [s.kvp_kv for s in event.sources] == [80, 140]


@case("event_repeated")
def _() -> None:
    twice = scan("100", "1.9.1"), scan("100", "1.9.1")
    for totals in (ct_totals("100"), ct_totals("100", "1")):
        part, _ = read(b.ct_report(totals, *twice))
        assert dlps(part) == [100] and "event_repeated" in codes_of(part)
        assert "total_differs_from_sum" not in codes_of(part)
    for totals in (ct_totals("200"), ct_totals("200", "2"), ct_totals("170")):
        assert dlps(read(b.ct_report(totals, *twice))[0]) == [100, 100]
    assert dlps(read(b.ct_report(*twice))[0]) == [100, 100]  # nothing says that it was one


@case("total_repeated")
def _() -> None:
    def total(*planes: Dataset, runs: int = 1) -> tuple[float | None, Part]:
        made = [b.xray_event(b.num(KAP, "3", "Gy.cm2"), uid=f"1.9.{n}") for n in range(runs)]
        part, _ = read(b.xray_report(*planes, *made))
        return part.totals.kap_gy_cm2, part

    own = b.num(TOTAL, "3", "Gy.cm2")
    fluoro, radiography = b.plane(own, b.num(c.TOTAL_FLUORO_TIME, "9", "s")), b.plane(own)
    value, part = total(fluoro, radiography)
    assert (value, part.totals.fluoro_time_s, len(part.totals.planes)) == (3, 9, 1)
    assert "total_repeated" in codes_of(part)
    assert total(fluoro, radiography, runs=2)[0] == 6  # the events are of both
    other = b.plane(b.num(TOTAL, "1", "Gy.cm2"))
    assert total(fluoro, other)[0] == 4
    sides = [b.plane(b.num(TOTAL, "2", "Gy.cm2"), value=p) for p in (c.PLANE_A, c.PLANE_B)]
    value, part = total(b.plane(b.num(TOTAL, "4", "Gy.cm2")), *sides, runs=0)
    assert value == 4 and part.totals.planes[0].plane is Plane.ALL


@case("several_ct_totals")
def _() -> None:
    scans = scan("100", "1.9.1"), scan("50", "1.9.2")

    def total(*values: str) -> tuple[float | None, set[str]]:
        part, _ = read(b.ct_report(*map(ct_totals, values), *scans))
        return part.totals.dlp_total_mgy_cm, codes_of(part)

    value, issues = total("100", "150")  # after each scan
    assert value == 150 and "totals_chosen" in issues
    assert total("100", "50")[0] == 150  # for each phantom
    value, issues = total("70", "60")  # neither fits: the first, and it is said
    assert value == 70 and {"totals_chosen", "total_differs_from_sum"} <= issues
    assert total("150", "150") == (150, total("150")[1])


@case("totals_outside")
def _() -> None:
    loose = b.num(c.CT_DOSE_LENGTH_PRODUCT_TOTAL, "150", "mGy.cm")
    part, _ = read(b.ct_report(loose, scan("149", "1.9.1")))
    assert part.totals.dlp_total_mgy_cm == 150 and "totals_outside" in codes_of(part)
    wrapped = b.container(("1", "99OWN", "Sums"), b.num(c.TOTAL_FLUORO_TIME, "2", "min"))
    part, _ = read(b.xray_report(b.num(TOTAL, "1", "dGy.cm2"), wrapped, b.xray_event()))
    assert (part.totals.kap_gy_cm2, part.totals.fluoro_time_s) == (0.1, 120)
    part, _ = read(b.ct_report(loose, ct_totals("150"), scan("150", "1.9.1")))
    assert part.extras[0].value == "150"  # the container has it


@case("source_outside")
def _() -> None:
    own = b.num(c.KVP, "120", "kV"), b.num(c.EXPOSURE_TIME_PER_ROTATION, "0.5", "s")
    event, part = ct(b.container(c.CT_ACQUISITION_PARAMETERS, *own))
    assert (event.kvp_kv, event.rotation_time_s, len(event.sources)) == (120, 0.5, 1)
    assert "events[0].sources[0].kvp_kv" in {p.name for p in part.provenance}
    source = b.container(c.CT_XRAY_SOURCE_PARAMETERS, b.num(c.KVP, "100", "kV"))
    event, part = ct(own[0], source)
    assert event.kvp_kv == 100 and part.extras[0].value == "120"


@case("several_templates")
def _() -> None:
    parts, _ = read_bytes(b.ct_report(scan("100", "1.9.1"), b.xray_event(uid="1.9.2")))
    assert [p.modality for p in parts] == [Modality.CT, Modality.DX]
    assert [len(p.events) for p in parts] == [1, 1]
    assert parts[0].totals.dlp_total_mgy_cm == 100 and parts[1].totals.dlp_total_mgy_cm is None
