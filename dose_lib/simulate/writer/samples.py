"""Default records of each kind of dose report, for the factories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from dose_lib.records import (
    Administration,
    Code,
    CtAcquisitionType,
    CtEvent,
    CtSource,
    Device,
    Filter,
    Identity,
    Laterality,
    Modality,
    OrganDose,
    Part,
    Patient,
    Phantom,
    Plane,
    Pulse,
    Sex,
    SourceObject,
    Staff,
    Totals,
    TotalsPlane,
    XRayEvent,
    XRayEventType,
)
from dose_lib.simulate.uids import derive_uid
from dose_lib.simulate.writer.codes import dcm, sct
from dose_lib.simulate.writer.people import ADMINISTERING, AUTHORIZING

START = datetime(2026, 3, 2, 9, 30)
# Which unit stands behind a dialect, when the test does not say.
_UNITS = {
    "clean": ("Example Imaging", "Model One"),
    "clean-de": ("Beispiel Medizintechnik", "Modell Eins"),
    "ge": ("GE MEDICAL SYSTEMS", "Optima CT660"),
    "siemens": ("SIEMENS", "SOMATOM Confidence"),
    "philips": ("Philips", "Big Bore"),
    "canon": ("TOSHIBA", "Aquilion Precision"),
    "siemens-artis": ("Siemens", "AXIOM-Artis"),
    "siemens-fluorospot": ("SIEMENS", "Fluorospot Compact FD"),
    "philips-allura": ("Philips Medical Systems", "Allura Xper"),
    "philips-azurion": ("Philips", "Azurion"),
    "ge-oec": ("GE Healthcare Surgery", "ESP 21 cm FPD Super-C"),
    "canon-ultimax": ("CANON_MEC", "Platinum43"),
    "canon-cxdi": ("Canon Inc.", "CXDI Control Software NE"),
    "carestream": ("CARESTREAM HEALTH", "DRX-Revolution"),
    "hologic": ("HOLOGIC, Inc.", "Selenia Dimensions"),
    "ge-mammo": ("GE HEALTHCARE", "Senographe Pristina"),
    "giotto": ("I.M.S. s.r.l.", "Giotto Class"),
    "eurocolumbus": ("EUROCOLUMBUS", "ALIEN"),
    "siemens-pet": ("SIEMENS", "Biograph64_Vision 600"),
}


def unit_of(vendor: str) -> Device:
    """The device a dialect stands for."""
    maker, model = _UNITS.get(vendor, _UNITS["clean"])
    return Device(
        device_observer_uid=derive_uid("device", vendor),
        manufacturer=maker,
        model=model,
        serial_number=f"SN{derive_uid('serial', vendor)[-5:]}",
        name="UNIT-1",
        station_name="UNIT-1",
        software_versions=("1.0",),
        institution_name="Example Hospital",
        location="Room 1",
    )


def someone(seed: object) -> Identity:
    """A patient and two members of staff, all invented."""
    return Identity(
        patient_id=f"QX{derive_uid('patient', seed)[-6:]}",
        patient_id_issuer="EXAMPLE",
        patient_name="Brindlewick^Osmunda",
        birth_date="1981-01-15",
        accession_number=f"A{derive_uid('accession', seed)[-7:]}",
        study_id="1",
        staff=(
            Staff(
                staff_name="Marrowgate^Ivo",
                staff_id="T042",
                staff_role_in_procedure=ADMINISTERING,
                staff_role_in_organization=dcm("121083"),
            ),
            Staff(
                staff_name="Thistledown^Runa",
                staff_role_in_procedure=AUTHORIZING,
                staff_role_in_organization=dcm("121081"),
            ),
        ),
    )


def _part(modality: Modality, vendor: str, seed: object, **values: Any) -> Part:
    study = derive_uid("study", seed)
    defaults: dict[str, Any] = {
        "part_key": "",
        "study_uid": study,
        "modality": modality,
        "started_at": START,
        "ended_at": START + timedelta(minutes=8),
        "intent": sct("261004008"),
        "scope_of_accumulation": dcm("113014"),
        "scope_uid": study,
        "source_of_dose": (dcm("113856"),),
        "device": unit_of(vendor),
        "patient": Patient(age_y=45.0, sex=Sex.F, weight_kg=72.0, height_cm=168.0),
        "sources": (
            SourceObject(
                sop_instance_uid=derive_uid("sop", seed),
                series_uid=derive_uid("series", seed),
                content_at=START + timedelta(minutes=10),
            ),
        ),
    }
    return Part(**(defaults | values))


# --- CT ------------------------------------------------------------------------------------


def ct_event(index: int, seed: object) -> CtEvent:
    """The first is a localiser, the others are spiral scans of the chest."""
    common: dict[str, Any] = {
        "event_uid": derive_uid("event", seed, index),
        "ordinal": 0,
        "started_at": START + timedelta(seconds=40 * index),
        "target_region": sct("816094009"),
        "procedure_context": sct("399331006"),
        "nominal_single_collimation_mm": 0.6,
        "n_sources": 1,
        "kvp_kv": 120.0,
        "phantom": Phantom.BODY_32CM,
    }
    if index == 0:
        return CtEvent(
            **common,
            acquisition_protocol="Topogram",
            acquisition_type=CtAcquisitionType.CONSTANT_ANGLE,
            exposure_time_s=4.2,
            scanning_length_mm=412.0,
            nominal_total_collimation_mm=3.6,
            tube_current_ma=35.0,
            max_tube_current_ma=35.0,
            ctdi_vol_mgy=0.13,
            dlp_mgy_cm=5.4,
            sources=(_tube(35.0, 35.0, None),),
        )
    return CtEvent(
        **common,
        acquisition_protocol="Thorax",
        acquisition_type=CtAcquisitionType.SPIRAL,
        exposure_time_s=8.25,
        scanning_length_mm=341.0,
        nominal_total_collimation_mm=38.4,
        pitch=1.2,
        tube_current_ma=156.0 + index,
        max_tube_current_ma=312.0,
        rotation_time_s=0.5,
        ctdi_vol_mgy=6.0 + index / 4,
        dlp_mgy_cm=204.6 + 8 * index,
        modulation_type="XYZ_EC",
        sources=(_tube(156.0 + index, 312.0, 0.5),),
    )


def _tube(ma: float, ma_max: float, rotation_time_s: float | None) -> CtSource:
    return CtSource(
        source_id="A",
        ordinal=0,
        kvp_kv=120.0,
        max_tube_current_ma=ma_max,
        tube_current_ma=ma,
        rotation_time_s=rotation_time_s,
    )


def ct_part(events: Sequence[CtEvent], vendor: str, seed: object) -> Part:
    """A CT report of given events."""
    starts = [e.started_at for e in events if e.started_at is not None] or [START]
    names = (e.acquisition_protocol for e in events if e.acquisition_protocol)
    return _part(
        Modality.CT,
        vendor,
        seed,
        started_at=min(starts),
        ended_at=max(starts) + timedelta(seconds=12),
        study_description="CT Thorax",
        protocol_names=tuple(dict.fromkeys(names)),
        procedure_reported=sct("77477000"),
        totals=Totals(
            n_events=len(events),
            dlp_total_mgy_cm=round(sum(e.dlp_mgy_cm or 0.0 for e in events), 6),
        ),
        events=tuple(events),
    )


# --- projection ----------------------------------------------------------------------------


def _common(index: int, seed: object, plane: Plane = Plane.SINGLE) -> dict[str, Any]:
    return {
        "event_uid": derive_uid("event", seed, index),
        "ordinal": 0,
        "plane": plane,
        "started_at": START + timedelta(seconds=55 * index),
    }


def _copper(thickness: float) -> Filter:
    return Filter(
        ordinal=0,
        filter_type=dcm("113650"),
        material=sct("66925006"),
        thickness_min_mm=thickness,
        thickness_max_mm=thickness,
    )


def _angio_event(index: int, seed: object, plane: Plane = Plane.SINGLE) -> XRayEvent:
    """Fluoroscopy at even numbers, acquisitions at odd ones."""
    shared: dict[str, Any] = {
        **_common(index, seed, plane),
        "target_region": sct("80891009"),
        "reference_point": dcm("113860"),
        "kvp_kv": 76.0 + index,
        "tube_current_ma": 95.5,
        "pulse_width_ms": 6.4,
        "focal_spot_mm": 0.6,
        "filters": (_copper(0.3),),
        "primary_angle_deg": 12.5 + index,
        "secondary_angle_deg": -8.1,
        "source_isocenter_mm": 785.0,
        "sid_mm": 1120.0,
        "table_longitudinal_mm": -25.9,
        "table_lateral_mm": 525.1,
        "table_height_mm": 151.8,
        "table_relationship": sct("102540008"),
        "orientation": sct("102538003"),
        "orientation_modifier": sct("40199007"),
    }
    if index % 2:
        return XRayEvent(
            **shared,
            event_type=XRayEventType.STATIONARY,
            acquisition_protocol="Coro 15 fps",
            kap_gy_cm2=2.35 + index,
            ka_r_mgy=24.5 + index,
            pulse_rate_hz=15.0,
            n_pulses=72,
            irradiation_duration_s=4.8,
            exposure_time_ms=460.8,
            exposure_mas=44.0,
            field_width_mm=160.0,
            field_height_mm=160.0,
            collimated_area_cm2=256.0,
        )
    return XRayEvent(
        **shared,
        event_type=XRayEventType.FLUOROSCOPY,
        acquisition_protocol="FL Coro",
        fluoro_mode=dcm("113631"),
        kap_gy_cm2=0.62 + index / 10,
        ka_r_mgy=7.1 + index,
        pulse_rate_hz=7.5,
        n_pulses=210,
        irradiation_duration_s=28.0,
        exposure_time_ms=1344.0,
        exposure_mas=128.4,
        ii_diameter_mm=220.0,
    )


def plane_totals(plane: Plane, events: Sequence[XRayEvent]) -> TotalsPlane:
    """Totals of one plane from its events."""
    own = [e for e in events if e.plane is plane]
    fluoro = [e for e in own if e.event_type is XRayEventType.FLUOROSCOPY]
    other = [e for e in own if e.event_type is not XRayEventType.FLUOROSCOPY]

    def total(name: str, of: Sequence[XRayEvent]) -> float | None:
        found = [getattr(e, name) for e in of if getattr(e, name) is not None]
        return round(sum(found), 6) if found else None

    return TotalsPlane(
        plane=plane,
        kap_gy_cm2=total("kap_gy_cm2", own),
        ka_r_mgy=total("ka_r_mgy", own),
        kap_fluoro_gy_cm2=total("kap_gy_cm2", fluoro),
        ka_r_fluoro_mgy=total("ka_r_mgy", fluoro),
        kap_acquisition_gy_cm2=total("kap_gy_cm2", other),
        ka_r_acquisition_mgy=total("ka_r_mgy", other),
        fluoro_time_s=total("irradiation_duration_s", fluoro),
        acquisition_time_s=total("irradiation_duration_s", other),
        n_frames=sum(e.n_pulses or 0 for e in other),
        reference_point=own[0].reference_point if own else None,
    )


def part_totals(planes: Sequence[TotalsPlane], n_events: int) -> Totals:
    """Totals of a part: sums of planes, and the larger plane's kerma."""

    def total(name: str) -> float | None:
        found = [getattr(p, name) for p in planes if getattr(p, name) is not None]
        return round(sum(found), 6) if found else None

    summed = (
        "kap_gy_cm2",
        "kap_fluoro_gy_cm2",
        "kap_acquisition_gy_cm2",
        "ka_r_mgy",
        "ka_r_fluoro_mgy",
        "ka_r_acquisition_mgy",
        "fluoro_time_s",
        "acquisition_time_s",
        "agd_left_mgy",
        "agd_right_mgy",
        "agd_both_mgy",
    )
    kerma = [p.ka_r_mgy for p in planes if p.ka_r_mgy is not None]
    frames = [p.n_frames for p in planes if p.n_frames is not None]
    return Totals(
        n_events=n_events,
        **{name: total(name) for name in summed},  # type: ignore[arg-type]
        ka_r_max_plane_mgy=max(kerma, default=None),
        n_frames=sum(frames) if frames else None,
        planes=tuple(planes),
        derived=("n_events", "ka_r_max_plane_mgy"),
    )


def fluoroscopy(n: int, vendor: str, seed: object) -> Part:
    """A procedure in one plane."""
    events = tuple(_angio_event(i, seed) for i in range(n))
    return _angio(events, [plane_totals(Plane.SINGLE, events)], vendor, seed)


def biplane(n: int, vendor: str, seed: object) -> Part:
    """A procedure in two planes: each exposure is an event of plane A and one of plane B."""
    pairs = [(_angio_event(i, (seed, p), p)) for i in range(n) for p in (Plane.A, Plane.B)]
    planes = [plane_totals(p, pairs) for p in (Plane.A, Plane.B)]
    return _angio(tuple(pairs), planes, vendor, seed)


def _angio(
    events: tuple[XRayEvent, ...], planes: list[TotalsPlane], vendor: str, seed: object
) -> Part:
    return _part(
        Modality.XA,
        vendor,
        seed,
        study_description="Coronary angiography",
        protocol_names=tuple(dict.fromkeys(e.acquisition_protocol or "" for e in events)),
        acquisition_device_type=dcm("113957"),
        has_detector_data=False,
        has_source_data=True,
        has_mechanical_data=True,
        totals=part_totals(planes, len(events)),
        events=events,
    )


def pulsed(n: int, vendor: str, seed: object) -> Part:
    """Fluoroscopy that states kVp, mA and width of every pulse, the first without beam."""
    events = []
    for i in range(n):
        beam = [(70.0 + k, 40.0 + k, 8.0) for k in range(5)]
        pulses = [Pulse(ordinal=0, kvp_kv=0.0, tube_current_ma=0.0, pulse_width_ms=0.0)] + [
            Pulse(ordinal=k + 1, kvp_kv=kv, tube_current_ma=ma, pulse_width_ms=ms)
            for k, (kv, ma, ms) in enumerate(beam)
        ]
        events.append(
            XRayEvent(
                **_common(i, seed),
                event_type=XRayEventType.FLUOROSCOPY,
                acquisition_protocol="ABDOMEN",
                target_region=sct("818981001"),
                fluoro_mode=dcm("113631"),
                kap_gy_cm2=0.215,
                ka_r_mgy=3.4,
                n_pulses=6,
                pulse_rate_hz=8.0,
                irradiation_duration_s=0.75,
                pulses=tuple(pulses),
                kvp_kv=72.0,
                tube_current_ma=42.0,
                pulse_width_ms=8.0,
                filters=(
                    Filter(
                        ordinal=0,
                        filter_type=dcm("113650"),
                        material=sct("12503006"),
                        thickness_min_mm=2.5,
                        thickness_max_mm=2.5,
                    ),
                ),
            )
        )
    planes = [plane_totals(Plane.SINGLE, events)]
    return _part(
        Modality.RF,
        vendor,
        seed,
        study_description="Theatre",
        acquisition_device_type=dcm("113957"),
        totals=part_totals(planes, len(events)),
        events=tuple(events),
    )


def radiography(n: int, vendor: str, seed: object) -> Part:
    """Chest radiographs with exposure indices."""
    events = tuple(
        XRayEvent(
            **_common(i, seed),
            event_type=XRayEventType.STATIONARY,
            acquisition_protocol="CHEST PA" if i % 2 == 0 else "CHEST LAT",
            target_region=sct("816094009"),
            view=sct("272479007") if i % 2 == 0 else sct("399067008"),
            kap_gy_cm2=0.083 + i / 20,
            ka_r_mgy=0.12 + i / 10,
            kvp_kv=125.0,
            tube_current_ma=320.0,
            exposure_time_ms=5.0,
            exposure_mas=1.6,
            exposure_index=412.0,
            target_exposure_index=400.0,
            deviation_index=0.1,
            sid_mm=1800.0,
            grid=(dcm("111642"),),
            acquired_image_uids=(derive_uid("image", seed, i),),
        )
        for i in range(n)
    )
    plane = plane_totals(Plane.SINGLE, events)
    return _part(
        Modality.DX,
        vendor,
        seed,
        study_description="Chest two views",
        acquisition_device_type=dcm("113958"),
        has_detector_data=True,
        has_source_data=True,
        has_mechanical_data=True,
        totals=part_totals([plane], len(events)),
        events=events,
    )


def mammography(n: int, vendor: str, seed: object) -> Part:
    """Screening: CC and MLO of both breasts."""
    sides = tuple(
        (side, view)
        for view in ("399162004", "399368009")
        for side in (Laterality.LEFT, Laterality.RIGHT)
    )
    events = tuple(
        XRayEvent(
            **_common(i, seed),
            event_type=XRayEventType.STATIONARY,
            acquisition_protocol="ROUTINE",
            anatomical_structure=sct("76752008"),
            laterality=sides[i % 4][0],
            view=sct(sides[i % 4][1]),
            target_region=sct("76752008"),
            half_value_layer_mm=0.535,
            ka_i_mgy=3.65 + i / 10,
            reference_point=dcm("113865"),
            agd_mgy=1.3 + i / 100,
            kvp_kv=28.0,
            tube_current_ma=100.0,
            exposure_time_ms=854.0,
            exposure_mas=90.2,
            focal_spot_mm=0.3,
            anode_target=sct("26194003"),
            filters=(
                Filter(
                    ordinal=0,
                    filter_type=dcm("113650"),
                    material=sct("59801003"),
                    thickness_min_mm=0.05,
                    thickness_max_mm=0.05,
                ),
            ),
            grid=(dcm("111642"),),
            mechanical_configuration=dcm("113954"),
            primary_angle_deg=0.0,
            compressed_thickness_mm=43.0,
            sid_mm=700.0,
            acquired_image_uids=(derive_uid("image", seed, i),),
        )
        for i in range(n)
    )

    def total(side: Laterality) -> float | None:
        found = [e.agd_mgy or 0.0 for e in events if e.laterality is side]
        return round(sum(found), 6) if found else None

    plane = TotalsPlane(
        plane=Plane.SINGLE,
        agd_left_mgy=total(Laterality.LEFT),
        agd_right_mgy=total(Laterality.RIGHT),
    )
    return _part(
        Modality.MG,
        vendor,
        seed,
        study_description="Bilateral Mammography",
        has_detector_data=True,
        has_source_data=True,
        has_mechanical_data=True,
        totals=part_totals([plane], len(events)),
        events=events,
    )


def cone_beam(n: int, vendor: str, seed: object) -> Part:
    """Cone-beam CT: rotational acquisitions with a kerma-area product."""
    events = tuple(
        XRayEvent(
            **_common(i, seed),
            event_type=XRayEventType.ROTATIONAL,
            acquisition_protocol="3D 5s",
            target_region=sct("69536005"),
            kap_gy_cm2=12.4,
            ka_r_mgy=78.0,
            reference_point=dcm("113860"),
            kvp_kv=90.0,
            tube_current_ma=210.0,
            pulse_width_ms=6.0,
            n_pulses=248,
            irradiation_duration_s=5.0,
            primary_angle_deg=-100.0,
            primary_end_angle_deg=100.0,
        )
        for i in range(n)
    )
    plane = plane_totals(Plane.SINGLE, events)
    return _part(
        Modality.CBCT,
        vendor,
        seed,
        study_description="Cone beam CT head",
        totals=part_totals([plane], len(events)),
        events=events,
    )


def radiopharmaceutical(n: int, vendor: str, seed: object) -> Part:
    """FDG for PET: one administration a report."""
    authority = Code(None, None, "ICRP Publication 128")
    organs = (("12738006", 14.97), ("80891009", 26.4), ("64033007", 6.7))
    administrations = tuple(
        Administration(
            administration_uid=derive_uid("administration", seed, i),
            ordinal=i,
            radiopharmaceutical=sct("35321007"),
            radionuclide=Code("77004003", "SCT", "^18^Fluorine"),
            half_life_s=6586.2,
            started_at=START,
            ended_at=START + timedelta(minutes=1),
            administered_activity_mbq=250.0,
            administered_volume_ml=1.8,
            pre_activity_mbq=261.5,
            pre_activity_device=dcm("113541"),
            post_activity_mbq=11.5,
            post_activity_device=dcm("113541"),
            route=sct("47625008"),
            effective_dose_msv=4.75,
            effective_dose_reference_authority=authority,
            organ_doses=tuple(
                OrganDose(finding_site=sct(o), organ_dose_mgy=d, reference_authority=authority)
                for o, d in organs
            ),
        )
        for i in range(n)
    )
    return _part(
        Modality.PT,
        vendor,
        seed,
        study_description="PET/CT whole body FDG",
        nm_procedure=Code("241443006", "SCT", "PET study for localization of tumor"),
        scope_of_accumulation=None,
        scope_uid=None,
        source_of_dose=(),
        administrations=administrations,
    )


KINDS: dict[str, Callable[[int, str, object], Part]] = {
    "biplane": biplane,
    "cone-beam": cone_beam,
    "fluoroscopy": fluoroscopy,
    "mammography": mammography,
    "pulsed": pulsed,
    "radiography": radiography,
    "radiopharmaceutical": radiopharmaceutical,
}
