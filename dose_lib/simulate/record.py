"""Puts an examination together: device, patient, staff and content become parts."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from random import Random
from typing import Any

import msgspec

from dose_lib.keys import device_key, part_key
from dose_lib.records import (
    Code,
    Device,
    Identity,
    Modality,
    Part,
    Patient,
    Sex,
    Staff,
)
from dose_lib.simulate.exam import Report, first_source
from dose_lib.simulate.plan import Content, Plan
from dose_lib.simulate.population import Person
from dose_lib.simulate.scenario import DeviceSpec, Scenario
from dose_lib.simulate.uids import derive_uid, seed_number
from dose_lib.simulate.writer import find_dialect
from dose_lib.simulate.writer.codes import dcm
from dose_lib.simulate.writer.dialect import RADIOPHARMACEUTICAL_RDSR
from dose_lib.simulate.writer.people import ADMINISTERING, AUTHORIZING

_QUALITY_CONTROL = dcm("113680")


def device_of(
    scenario: Scenario,
    spec: DeviceSpec,
    software: str | None = None,
    *,
    is_observed: bool = True,
) -> Device:
    """A unit as its reports name it.

    Parameters
    ----------
    software
        Version that runs instead of the scenario's.
    is_observed
        False for objects without an observer context (images, radiopharmaceutical reports).
    """
    unit = derive_uid("device", scenario.name, spec.alias)
    named = Device(
        device_observer_uid=unit if is_observed else None,
        # Reports and images of one unit are joined by it.
        device_uid=unit if spec.sends == "report and images" else None,
        manufacturer=spec.manufacturer,
        model=spec.model,
        serial_number=spec.serial,
        name=spec.station,
        station_name=spec.station,
        station_ae_title=spec.ae_title,
        software_versions=(software or spec.software,),
        institution_name=scenario.institution,
        department=spec.department,
        location=scenario.institution,
    )
    return msgspec.structs.replace(named, device_key=device_key(named))


def report_of(
    scenario: Scenario,
    plan: Plan,
    content: Content,
    rng: Random,
    *,
    modality: Modality,
    dialect: str,
    is_patient: bool = True,
) -> Report:
    """One part of an examination, with the dialect its report is written in."""
    spec = plan.device
    is_observed = spec.sends != "images" and not content.administrations
    device = device_of(scenario, spec, plan.changes.software, is_observed=is_observed)
    study = derive_uid("study", *plan.key)
    ended = content.ended_at.replace(microsecond=0)
    content_at = ended + timedelta(seconds=rng.randrange(40, 150))
    part = Part(
        part_key=part_key(study, device.device_key, modality.value),
        study_uid=study,
        modality=modality,
        started_at=_first(content) or plan.started_at,
        ended_at=ended,
        study_description=plan.study_description,
        requested_procedure=Code(None, None, plan.study_description),
        protocol_names=_protocols(plan, content),
        scope_of_accumulation=None if content.administrations else dcm("113014"),
        scope_uid=None if content.administrations else study,
        performed_step_uids=(derive_uid("step", study),) if spec.mpps else (),
        device=device,
        patient=_patient(scenario, plan, rng, is_patient=is_patient),
        totals=content.totals,
        events=content.events,
        administrations=content.administrations,
        sources=(
            first_source(_sop_class(dialect, content), (*plan.key, modality.value), content_at),
        ),
        **_values(content, is_patient=is_patient),
    )
    return Report(part=part, dialect=None if spec.sends == "images" else dialect)


def _sop_class(dialect: str, content: Content) -> str:
    if content.administrations:
        return RADIOPHARMACEUTICAL_RDSR
    return find_dialect(dialect).sop_class


def _first(content: Content) -> datetime | None:
    return content.events[0].started_at if content.events else None


def _values(content: Content, *, is_patient: bool) -> dict[str, Any]:
    values = dict(content.values)
    if not is_patient:
        values["intent"] = _QUALITY_CONTROL
    return values


def _protocols(plan: Plan, content: Content) -> tuple[str, ...]:
    """Protocol names in order of use; the exam's own stands last, for the header."""
    names = (e.acquisition_protocol for e in content.events)
    used = dict.fromkeys(n for n in names if n and n != plan.protocol)
    return (*used, plan.protocol)


def _patient(scenario: Scenario, plan: Plan, rng: Random, *, is_patient: bool) -> Patient:
    if not is_patient:
        return Patient(sex=Sex.O)
    body = plan.body
    is_missing = rng.random() < scenario.population.weight_missing_share
    shows_size = plan.is_size_known or not is_missing
    return Patient(
        age_y=body.age_y,
        sex=Sex(body.sex),
        weight_kg=body.weight_kg if shows_size else None,
        height_cm=float(body.height_cm) if shows_size else None,
    )


def identity_of(scenario: Scenario, plan: Plan, person: Person, rng: Random) -> Identity:
    """Who was examined, and by whom."""
    who = scenario.person(plan.operator)
    staff = []
    if rng.random() >= who.anonymous_share:
        in_house = "Physician" if who.role == "physician" else "Technologist"
        staff.append(_staff(who.name, ADMINISTERING, in_house))
    if plan.device.physicians:
        doctor = scenario.person(rng.choice(plan.device.physicians))
        staff.append(_staff(doctor.name, AUTHORIZING, "Physician"))
    return Identity(
        patient_id=person.patient_id,
        patient_id_issuer=scenario.patient_id_issuer,
        patient_name=person.name,
        birth_date=person.birth_date.isoformat(),
        accession_number=f"ZA{seed_number('accession', *plan.key) % 10**9:09d}",
        study_id=str(seed_number("id", *plan.key) % 10**6),
        staff=tuple(staff),
    )


def phantom_of(scenario: Scenario, spec: DeviceSpec) -> Person:
    """The phantom a device is checked with, under the name departments give it."""
    return Person(
        patient_id=f"QA-{spec.station.upper()}",
        name="Servicecheck^Physics",
        sex="O",
        birth_date=date(2000, 1, 1),
        z_weight=0.0,
        z_height=0.0,
    )


def _staff(name: str, role: Code, organization: str) -> Staff:
    """By name only, as most units send it: an ID in reports would not be in headers."""
    value = "121081" if organization == "Physician" else "121083"
    return Staff(
        staff_name=name,
        staff_role_in_procedure=role,
        staff_role_in_organization=Code(value, "DCM", organization),
    )
