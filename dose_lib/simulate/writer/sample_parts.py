"""What default records of every kind share: unit, patient, staff, times."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from dose_lib.records import (
    Device,
    Filter,
    Identity,
    Modality,
    Part,
    Patient,
    Plane,
    Sex,
    SourceObject,
    Staff,
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


def part_of(modality: Modality, vendor: str, seed: object, **values: Any) -> Part:
    """A part with what all kinds have; `values` replace and add."""
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


def event_of(index: int, seed: object, plane: Plane = Plane.SINGLE) -> dict[str, Any]:
    """What every projection event has."""
    return {
        "event_uid": derive_uid("event", seed, index),
        "ordinal": 0,
        "plane": plane,
        "started_at": START + timedelta(seconds=55 * index),
    }


def copper(thickness: float) -> Filter:
    """A copper strip filter of a thickness in mm."""
    return Filter(
        ordinal=0,
        filter_type=dcm("113650"),
        material=sct("66925006"),
        thickness_min_mm=thickness,
        thickness_max_mm=thickness,
    )
