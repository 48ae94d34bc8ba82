"""Write, read, compare: the records come back as they were."""

from __future__ import annotations

import io
import string
from datetime import date, datetime, timedelta, timezone
from typing import Any

import msgspec
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dose_lib
from dose_lib.records import (
    CtAcquisitionType,
    CtEvent,
    CtSource,
    DoseCheck,
    Filter,
    Identity,
    Laterality,
    MgMode,
    Modality,
    Part,
    Phantom,
    Plane,
    Pulse,
    SsdeAlternative,
    SsdeAtZ,
    XRayEvent,
    XRayEventType,
)
from dose_lib.simulate import Hospital
from dose_lib.simulate.as_read import as_read
from dose_lib.simulate.uids import derive_uid
from dose_lib.simulate.writer import make_ct_part, make_part, make_rdsr, write_rdsr
from dose_lib.simulate.writer.codes import dcm, sct

SITE_KEY = b"k" * 32
LIMITS = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))

# Numbers as devices send them: decimals of at most nine digits, any magnitude of the clinic.
numbers = st.builds(
    lambda digits, power: float(f"{digits}e{power}"),
    st.integers(1, 999_999_999),
    st.integers(-8, -2),
)
counts = st.integers(0, 5000)
words = st.text(
    string.ascii_letters + string.digits + " .,-+()/%<>&'äöüé漢字", min_size=1, max_size=40
)
texts = words.map(str.strip).filter(bool)
uids = st.integers(0, 10**6).map(lambda n: derive_uid("hypothesis", n))
flags = st.booleans()
regions = st.sampled_from([sct(c) for c in ("816094009", "69536005", "416775004", "80891009")])
moments = st.datetimes(datetime(2001, 1, 1), datetime(2030, 1, 1)).map(
    lambda d: d.replace(microsecond=0)
)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


sources = st.builds(
    CtSource,
    source_id=st.sampled_from(["A", "B", "1"]),
    kvp_kv=numbers,
    tube_current_ma=numbers,
    max_tube_current_ma=maybe(numbers),
    rotation_time_s=maybe(numbers),
    filter_al_equivalent_mm=maybe(numbers),
)
checks = st.builds(
    DoseCheck,
    alert_dlp_configured=flags,
    alert_ctdi_vol_configured=flags,
    alert_dlp_mgy_cm=maybe(numbers),
    alert_ctdi_vol_mgy=maybe(numbers),
    alert_dlp_forward_mgy_cm=maybe(numbers),
    alert_ctdi_vol_forward_mgy=maybe(numbers),
    alert_reason=maybe(texts),
    is_alternative_alert_behaviour=maybe(flags),
    notification_dlp_configured=flags,
    notification_ctdi_vol_configured=flags,
    notification_dlp_mgy_cm=maybe(numbers),
    notification_ctdi_vol_mgy=maybe(numbers),
    notification_dlp_forward_mgy_cm=maybe(numbers),
    notification_ctdi_vol_forward_mgy=maybe(numbers),
    notification_reason=maybe(texts),
)
ct_events = st.builds(
    CtEvent,
    event_uid=uids,
    started_at=maybe(moments),
    label=maybe(texts),
    acquisition_protocol=maybe(texts),
    acquisition_type=st.sampled_from(CtAcquisitionType),
    target_region=maybe(regions),
    procedure_context=maybe(st.just(sct("399331006"))),
    reconstruction_algorithm=st.sampled_from(
        [(), (dcm("113963"),), (dcm("113962"), dcm("113963"))]
    ),
    ctdi_vol_mgy=maybe(numbers),
    dlp_mgy_cm=maybe(numbers),
    phantom=st.sampled_from(Phantom),
    ctdi_free_air_mgy=maybe(numbers),
    ctdi_free_air_factor_mgy_per_mas=maybe(numbers),
    scanning_length_mm=maybe(numbers),
    reconstructable_length_mm=maybe(numbers),
    exposed_range_mm=maybe(numbers),
    reconstructable_top_z_mm=maybe(numbers),
    reconstructable_bottom_z_mm=maybe(numbers),
    scan_top_z_mm=maybe(numbers),
    scan_bottom_z_mm=maybe(numbers),
    frame_of_reference_uid=maybe(uids),
    exposure_time_s=maybe(numbers),
    nominal_single_collimation_mm=maybe(numbers),
    nominal_total_collimation_mm=maybe(numbers),
    pitch=maybe(numbers),
    n_sources=maybe(st.integers(1, 2)),
    sources=st.lists(sources, min_size=1, max_size=2, unique_by=lambda s: s.source_id).map(tuple),
    modulation_type=maybe(texts),
    is_repeated=maybe(flags),
    is_rejected=maybe(flags),
    dose_check=maybe(checks),
)
size_estimates: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    ssde_mgy=numbers,
    ssde_method=st.just(dcm("113988")),
    water_equivalent_diameter_mm=numbers,
    water_equivalent_diameter_method=st.just(dcm("113983")),
    water_equivalent_diameter_z_mm=maybe(numbers),
    dw_coefficients=st.lists(numbers, max_size=2).map(tuple),
    lateral_mm=maybe(numbers),
    ap_mm=maybe(numbers),
    effective_diameter_mm=maybe(numbers),
    ssde_source_uids=st.lists(uids, max_size=2, unique=True).map(tuple),
    ssde_at_z=st.lists(
        st.builds(SsdeAtZ, z_mm=numbers, ssde_mgy=numbers, water_equivalent_diameter_mm=numbers),
        max_size=3,
    ).map(tuple),
    ssde_alternatives=st.just(())
    | st.builds(SsdeAlternative, ssde_mgy=numbers, ssde_method=st.just(dcm("113936"))).map(
        lambda a: (a,)
    ),
)
filters = st.builds(
    Filter,
    filter_type=st.just(dcm("113650")),
    material=st.sampled_from([sct("66925006"), sct("12503006")]),
    thickness_min_mm=numbers,
    thickness_max_mm=numbers,
).map(
    lambda f: msgspec.structs.replace(
        f,
        thickness_min_mm=min(f.thickness_min_mm or 0, f.thickness_max_mm or 0),
        thickness_max_mm=max(f.thickness_min_mm or 0, f.thickness_max_mm or 0),
    )
)
_ANGLES = (
    "primary_angle_deg",
    "secondary_angle_deg",
    "primary_end_angle_deg",
    "secondary_end_angle_deg",
    "column_angulation_deg",
    "table_head_tilt_deg",
    "table_cradle_tilt_deg",
    "table_horizontal_rotation_deg",
    "isocenter_primary_angle_deg",
    "isocenter_secondary_angle_deg",
    "isocenter_detector_rotation_deg",
)
_LENGTHS = (
    "half_value_layer_mm",
    "patient_equivalent_thickness_mm",
    "focal_spot_mm",
    "field_width_mm",
    "field_height_mm",
    "sid_mm",
    "source_isocenter_mm",
    "source_table_mm",
    "table_longitudinal_mm",
    "table_lateral_mm",
    "table_height_mm",
    "table_longitudinal_end_mm",
    "table_lateral_end_mm",
    "table_height_end_mm",
    "table_x_isocenter_mm",
    "table_y_isocenter_mm",
    "table_z_isocenter_mm",
    "compressed_thickness_mm",
)
_OTHERS = (
    "kap_gy_cm2",
    "ka_r_mgy",
    "ka_i_mgy",
    "agd_mgy",
    "pulse_rate_hz",
    "irradiation_duration_s",
    "kvp_kv",
    "tube_current_ma",
    "average_tube_current_ma",
    "exposure_time_ms",
    "exposure_mas",
    "pulse_width_ms",
    "collimated_area_cm2",
    "exposure_index",
    "target_exposure_index",
    "deviation_index",
)
xray_events = st.builds(
    XRayEvent,
    event_uid=uids,
    plane=st.just(Plane.SINGLE),
    started_at=moments,
    label=maybe(texts),
    event_type=st.sampled_from(XRayEventType),
    acquisition_protocol=maybe(texts),
    target_region=regions,
    n_pulses=maybe(counts),
    filters=st.lists(filters, max_size=2).map(tuple),
    is_repeated=maybe(flags),
    **{name: maybe(numbers) for name in (*_ANGLES, *_LENGTHS, *_OTHERS)},
)


def same(ours: object, read: object, where: str = "", rel: float = 1e-12) -> list[str]:
    """Names whose value was written and came back otherwise; what the reader adds is its own."""
    if ours is None or ours == ():
        return []
    if isinstance(ours, msgspec.Struct) and isinstance(read, msgspec.Struct):
        names = (n for n in ours.__struct_fields__ if n not in ("field_sources", "ordinal"))
        return [
            d for n in names for d in same(getattr(ours, n), getattr(read, n), f"{where}.{n}", rel)
        ]
    if isinstance(ours, tuple) and isinstance(read, tuple):
        if len(ours) != len(read):
            return [f"{where}: {len(ours)} written, {len(read)} read"]
        both = enumerate(zip(ours, read, strict=True))
        return [d for n, (a, b) in both for d in same(a, b, f"{where}[{n}]", rel)]
    if isinstance(ours, float):
        equal = isinstance(read, float) and read == pytest.approx(ours, rel=rel)
        return [] if equal else [f"{where}: {ours!r} written, {read!r} read"]
    return [] if ours == read else [f"{where}: {ours!r} written, {read!r} read"]


def back(part: Part, identity: Identity) -> Part:
    parts, _ = dose_lib.read_bytes(write_rdsr(part, identity))
    assert len(parts) == 1
    return parts[0]


@LIMITS
@given(st.lists(ct_events, min_size=1, max_size=3, unique_by=lambda e: e.event_uid))
def test_ct_events_come_back(events: list[CtEvent]) -> None:
    part, identity = make_ct_part(2)
    events = [msgspec.structs.replace(e, sources=_ordered(e.sources)) for e in events]
    read = back(msgspec.structs.replace(part, events=tuple(events)), identity)
    by_uid = {e.event_uid: e for e in read.events}
    for event in events:
        assert not same(event, by_uid[event.event_uid])


def _ordered(found: tuple[CtSource, ...]) -> tuple[CtSource, ...]:
    return tuple(msgspec.structs.replace(s, ordinal=n) for n, s in enumerate(found))


@LIMITS
@given(size_estimates)
def test_size_specific_dose_comes_back(values: dict[str, Any]) -> None:
    part, identity = make_ct_part(2)
    event = msgspec.structs.replace(part.events[1], **values)
    read = back(msgspec.structs.replace(part, events=(part.events[0], event)), identity)
    assert not same(event, read.events[1])


@LIMITS
@given(st.lists(xray_events, min_size=1, max_size=3, unique_by=lambda e: e.event_uid))
def test_projection_events_come_back(events: list[XRayEvent]) -> None:
    part, identity = make_part("fluoroscopy", 1)
    read = back(msgspec.structs.replace(part, events=tuple(events)), identity)
    by_uid = {e.event_uid: e for e in read.events}
    for event in events:
        assert not same(event, by_uid[event.event_uid])


@LIMITS
@given(
    st.lists(
        st.builds(Pulse, kvp_kv=numbers, tube_current_ma=numbers, pulse_width_ms=numbers),
        min_size=2,
        max_size=8,
    )
)
def test_pulses_come_back(pulses: list[Pulse]) -> None:
    part, identity = make_part("pulsed", 1)
    ordered = tuple(msgspec.structs.replace(p, ordinal=n) for n, p in enumerate(pulses))
    event = msgspec.structs.replace(
        part.events[0], pulses=ordered, kvp_kv=None, tube_current_ma=None, pulse_width_ms=None
    )
    read = back(msgspec.structs.replace(part, events=(event,)), identity)
    found = read.events[0]
    assert isinstance(found, XRayEvent)
    assert not same(ordered, found.pulses)


@pytest.mark.parametrize(
    "kind",
    ["fluoroscopy", "biplane", "radiography", "mammography", "cone-beam", "radiopharmaceutical"],
)
def test_whole_parts_come_back(kind: str) -> None:
    """All of part, device, patient, totals, events and administrations."""
    part, identity = make_part(kind, 1 if kind == "radiopharmaceutical" else 3)
    read = back(part, identity)
    left_out = {"part_key", "sources", "protocol_names", "issues", "provenance", "derived"}
    # A projection report states no end, an accumulated container no image intensifier; the
    # report of an administration has no observer, so its device is known by its header.
    ours = msgspec.structs.replace(part, ended_at=None, **dict.fromkeys(left_out, ()))
    totals = msgspec.structs.replace(ours.totals, derived=())
    events = [
        msgspec.structs.replace(e, ii_diameter_mm=None) if isinstance(e, XRayEvent) else e
        for e in ours.events
    ]
    device = ours.device
    if kind == "radiopharmaceutical":
        device = msgspec.structs.replace(device, device_observer_uid=None, name=None, location=None)
    ours = msgspec.structs.replace(ours, totals=totals, events=tuple(events), device=device)
    assert not [d for d in same(ours, read) if not d.startswith(".other_devices")]


def test_identity_comes_back() -> None:
    part, identity = make_ct_part(2)
    _, read = dose_lib.read_bytes(write_rdsr(part, identity))
    for name in (
        "patient_id",
        "patient_id_issuer",
        "patient_name",
        "birth_date",
        "accession_number",
    ):
        assert getattr(read, name) == getattr(identity, name)
    assert {s.staff_name for s in read.staff} >= {s.staff_name for s in identity.staff}


@pytest.mark.parametrize("hours", [-5, 0, 5.5])
def test_time_zones_come_back(hours: float) -> None:
    zone = timezone(timedelta(hours=hours))
    part, identity = make_ct_part(1, event0_started_at=datetime(2026, 7, 1, 8, 30, tzinfo=zone))
    header = pydicom.dcmread(io.BytesIO(write_rdsr(part, identity)))
    assert header.TimezoneOffsetFromUTC == datetime(2026, 1, 1, tzinfo=zone).strftime("%z")
    read = back(part, identity)
    assert read.started_at is not None
    assert read.started_at.utcoffset() == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("age", "written"), [(3 * 7 / 365.25, "003W"), (0.25, "003M"), (81.0, "081Y")]
)
def test_ages_come_back(age: float, written: str) -> None:
    part, identity = make_ct_part(1, age_y=age)
    data = write_rdsr(part, identity)
    assert pydicom.dcmread(io.BytesIO(data)).PatientAge == written
    assert dose_lib.read_bytes(data)[0][0].patient.age_y == pytest.approx(age, abs=0.003)


def test_a_missing_study_uid_is_derived_and_noted() -> None:
    part, identity = make_ct_part(2, study_uid="", scope_uid=None)
    (read,), _ = dose_lib.read_bytes(write_rdsr(part, identity))
    assert read.study_uid
    assert read.issues


def test_words_of_another_language_change_no_number() -> None:
    english, german = (
        dose_lib.read_bytes(make_rdsr("mammography", 4, v))[0][0] for v in ("clean", "clean-de")
    )
    left_out = ("sources", "issues", "provenance", "device", "extras", "part_key")
    for name in (n for n in Part.__struct_fields__ if n not in left_out):
        assert same(getattr(english, name), getattr(german, name), name) == [], name


@pytest.mark.parametrize("scenario", ["demo", "district"])
def test_what_goes_straight_into_a_store_is_what_would_be_read(scenario: str) -> None:
    """`as_read` against reading the report, for every device of the scenario."""
    seen: set[tuple[str, Modality, MgMode | None]] = set()
    hospital = Hospital.load(scenario, end=date(2026, 11, 20), days=5)
    for exam in hospital.exams():
        for report in exam.reports:
            sign = (exam.device.alias, report.part.modality, report.part.mg_mode)
            # GE's C-arms round the kerma-area product to 0.0001 Gy.cm2.
            rel = 0.05 if report.dialect == "ge-oec" else 1e-9
            if report.dialect is None or sign in seen:
                continue
            seen.add(sign)
            ours = as_read(report.part, exam.identity, SITE_KEY, dialect=report.dialect)
            data = write_rdsr(report.part, exam.identity, report.dialect)
            read = dose_lib.read_bytes(data, site_key=SITE_KEY)[0][0]
            for name in ("study_uid", "study_description", "operator_keys", "started_at"):
                assert getattr(ours, name) == getattr(read, name), (sign, name)
            stated = {n: v for n, v in msgspec.structs.asdict(ours.totals).items() if v is not None}
            for name in set(stated) - {"planes", "derived", "field_sources"}:
                assert same(stated[name], getattr(read.totals, name), name, rel) == [], sign
            assert not same(ours.patient, read.patient), sign
            assert len(ours.events) == len(read.events), sign
            for mine, theirs in zip(ours.events, read.events, strict=True):
                for name in (
                    "ctdi_vol_mgy",
                    "dlp_mgy_cm",
                    "kvp_kv",
                    "tube_current_ma",
                    "pitch",
                    "kap_gy_cm2",
                    "ka_r_mgy",
                    "agd_mgy",
                    "event_type",
                    "phantom",
                    "acquisition_type",
                    "event_uid",
                    "is_bolus_tracking",
                    "mg_mode",
                ):
                    if hasattr(mine, name):
                        assert same(getattr(mine, name), getattr(theirs, name), name, rel) == [], (
                            sign
                        )
    assert len(seen) >= (3 if scenario == "demo" else 13)


def test_laterality_of_breasts_comes_back() -> None:
    part, identity = make_part("mammography", 4)
    read = back(part, identity)
    assert [e.laterality for e in read.events] == [
        Laterality.LEFT,
        Laterality.RIGHT,
        Laterality.LEFT,
        Laterality.RIGHT,
    ]
