"""Default records of each kind of dose report, for the factories."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from dose_lib.records import (
    Administration,
    Code,
    Filter,
    Laterality,
    Modality,
    OrganDose,
    Part,
    Plane,
    TotalsPlane,
    XRayEvent,
    XRayEventType,
)
from dose_lib.simulate.uids import derive_uid
from dose_lib.simulate.writer.codes import dcm, sct
from dose_lib.simulate.writer.sample_fluoro import biplane, fluoroscopy, pulsed
from dose_lib.simulate.writer.sample_parts import START, event_of, part_of
from dose_lib.simulate.writer.totals import part_totals, plane_totals


def radiography(n: int, vendor: str, seed: object) -> Part:
    """Chest radiographs with exposure indices."""
    events = tuple(
        XRayEvent(
            **event_of(i, seed),
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
    return part_of(
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
            **event_of(i, seed),
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
    return part_of(
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
            **event_of(i, seed),
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
    return part_of(
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
    return part_of(
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
