"""The hospital at work: exams in order of time, each with its record, its objects, its truth."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random

import msgspec

from dose_lib.keys import device_key, part_key
from dose_lib.records import (
    Code,
    CtAcquisitionType,
    CtEvent,
    Device,
    Identity,
    Modality,
    Part,
    Patient,
    Sex,
    SourceObject,
    Staff,
    Totals,
)
from dose_lib.simulate.ct_exam import CtPlan, ct_events
from dose_lib.simulate.names import draw_person, name_parts
from dose_lib.simulate.physics import scan
from dose_lib.simulate.population import Person
from dose_lib.simulate.scenario import (
    AdultProtocolOnChild,
    CtTechnique,
    DeviceSpec,
    Scenario,
    load_scenario,
)
from dose_lib.simulate.truth import Truth
from dose_lib.simulate.uids import derive_uid, seed_number
from dose_lib.simulate.writer import find_dialect, write_rdsr
from dose_lib.simulate.writer.codes import dcm, sct
from dose_lib.simulate.writer.people import ADMINISTERING, AUTHORIZING

_ADULT_Y = 16.0
_EMERGENCY_SHARE = 0.08


class SimObject(msgspec.Struct, frozen=True, kw_only=True):
    """One DICOM object on its way: bytes of the file, who sends it, when."""

    data: bytes
    sop_class: str
    sop_instance_uid: str
    study_uid: str
    calling_ae_title: str
    sent_at: datetime


class Exam(msgspec.Struct, frozen=True, kw_only=True):
    """One examination: the record as the device reports it, who, and what was injected."""

    part: Part
    identity: Identity
    device: DeviceSpec
    truths: tuple[Truth, ...] = ()

    @property
    def started_at(self) -> datetime:
        """Start of irradiation, local time."""
        return self.part.started_at or datetime.min

    def objects(self) -> tuple[SimObject, ...]:
        """The objects the device sends for this examination, in order."""
        source = self.part.sources[0]
        data = write_rdsr(self.part, self.identity, self.device.dialect)
        return (
            SimObject(
                data=data,
                sop_class=source.sop_class or "",
                sop_instance_uid=source.sop_instance_uid or "",
                study_uid=self.part.study_uid,
                calling_ae_title=self.device.ae_title,
                sent_at=source.content_at or self.started_at,
            ),
        )


class Hospital:
    """A hospital of a scenario, from a seed, ending on a day.

    Every exam follows from (seed, scenario, device, date, number): the same day gives the
    same bytes in every run that includes it, whatever the length of the run.

    Examples
    --------
    >>> hospital = Hospital.load("demo", seed=1, end=date(2026, 11, 22), days=7)
    >>> objects = [o for exam in hospital.exams() for o in exam.objects()]
    """

    def __init__(
        self, scenario: Scenario, *, seed: int = 1, end: date | None = None, days: int | None = None
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.days = scenario.days if days is None else days
        self.end = end or date.today()
        self._pools = {True: self._pool(child=True), False: self._pool(child=False)}

    @classmethod
    def load(
        cls,
        scenario: str | Path,
        *,
        seed: int = 1,
        end: date | None = None,
        days: int | None = None,
    ) -> Hospital:
        """A hospital of a scenario's name or file.

        Parameters
        ----------
        scenario
            Name of a scenario that comes with the project, or a TOML file.
        seed
            Another seed is another hospital of the same kind.
        end
            Last day; today by default.
        days
            Number of days; the scenario's own by default.

        Raises
        ------
        SimulationError
            If the scenario cannot be used.
        """
        return cls(load_scenario(scenario), seed=seed, end=end, days=days)

    @property
    def start(self) -> date:
        """First day."""
        return self.end - timedelta(days=self.days - 1)

    def exams(self) -> Iterator[Exam]:
        """Every examination in order of time."""
        for n in range(self.days):
            yield from self.exams_on(self.start + timedelta(days=n))

    def exams_on(self, day: date) -> list[Exam]:
        """The examinations of one day in order of time."""
        made = [e for device in self.scenario.devices for e in self._device_day(device, day)]
        made += self._injected(day)
        return sorted(made, key=lambda e: (e.started_at, e.part.study_uid))

    def devices(self) -> tuple[Device, ...]:
        """The units as their reports name them, with alias, site and room filled."""
        return tuple(
            msgspec.structs.replace(self._device(d), display_name=d.alias, site=d.site, room=d.room)
            for d in self.scenario.devices
        )

    def identifiers(self) -> frozenset[str]:
        """Every identifying text that was planted: IDs, names, accession numbers, staff.

        A search of store, logs or reports for any of them finds leaks only.
        """
        found = set(name_parts()) | {p.id for p in self.scenario.people}
        found |= {p.name.replace("^", " ") for p in self.scenario.people}
        for exam in self.exams():
            who = exam.identity
            texts = (who.patient_id, who.patient_name, who.accession_number)
            found |= {t for t in texts if t}
        return frozenset(found)

    # --- who and when -------------------------------------------------------------------

    def _rng(self, *words: object) -> Random:
        return Random(seed_number(self.seed, self.scenario.name, *words))  # noqa: S311

    def _pool(self, *, child: bool) -> int:
        """Number of people the patients are drawn from, so that some come again."""
        weekly = sum(
            5 * d.studies_per_weekday + 2 * d.studies_per_weekend_day for d in self.scenario.devices
        )
        population = self.scenario.population
        share = population.child_share if child else 1.0 - population.child_share
        return max(1, round(52 * weekly * share / (2 * max(population.return_share, 0.01))))

    def _person(self, rng: Random, day: date, *, child: bool) -> Person:
        population = self.scenario.population
        while True:
            number = rng.randrange(self._pools[child])
            who = draw_person(self._rng("person", child, number), population, child=child)
            age = (day - who.birth_date).days / 365.25
            if (0.02 < age < _ADULT_Y) if child else age >= _ADULT_Y:
                return who

    def _device_day(self, device: DeviceSpec, day: date) -> Iterator[Exam]:
        rng = self._rng("day", device.alias, day.isoformat())
        weekend = day.weekday() >= 5
        rate = device.studies_per_weekend_day if weekend else device.studies_per_weekday
        opening = self.scenario.opening
        opens, closes = opening.weekend if weekend else opening.weekday
        shifts = (rng.choice(device.operators), rng.choice(device.operators))
        busy_until = 0.0
        for n, hour in enumerate(sorted(_arrivals(rng, rate, opens, closes))):
            start = max(hour, busy_until)
            if start >= 23.7:
                return
            at = datetime.combine(day, time()) + timedelta(seconds=round(start * 3600))
            operator = shifts[0 if start < 13.0 else 1]
            if rng.random() < 0.2:
                operator = rng.choice(device.operators)
            exam = self._exam(device, day, n, at, operator)
            busy_until = start + 0.13
            yield exam

    def _exam(self, device: DeviceSpec, day: date, n: int, at: datetime, operator: str) -> Exam:
        key = (self.seed, self.scenario.name, device.alias, day.isoformat(), n)
        rng = self._rng("exam", device.alias, day.isoformat(), n)
        child = rng.random() < self.scenario.population.child_share
        choices = [self.scenario.procedure(k) for k in device.procedures]
        weights = [
            (p.child_share if device.procedures[p.key].child_protocol else 0.0)
            if child
            else p.share
            for p in choices
        ]
        if not any(weights):
            child, weights = False, [p.share for p in choices]
        procedure = rng.choices(choices, weights)[0]
        person = self._person(rng, day, child=child)
        technique = (procedure.child if child else None) or procedure.adult
        plan = CtPlan(
            key=key,
            device=device,
            procedure=procedure,
            names=device.procedures[procedure.key],
            technique=technique,
            set_by=technique,
            is_child_protocol=child and procedure.child is not None,
            body=person.body_on(day, self.scenario.population),
            started_at=at,
        )
        return self._finish(plan, person, rng, operator)

    # --- injections ---------------------------------------------------------------------

    def _injected(self, day: date) -> list[Exam]:
        offset = (day - self.end).days
        return [
            self._adult_protocol_on_child(truth, day)
            for truth in self.scenario.truths
            if isinstance(truth, AdultProtocolOnChild) and truth.day == offset
        ]

    def _adult_protocol_on_child(self, truth: AdultProtocolOnChild, day: date) -> Exam:
        rng = self._rng("truth", truth.id, day.isoformat())
        device = next(d for d in self.scenario.devices if d.alias == truth.device)
        procedure = self.scenario.procedure(truth.procedure)
        drawn = draw_person(rng, self.scenario.population, child=True)
        born = day - timedelta(days=int(truth.age_y * 365.25) + rng.randrange(30, 300))
        person = msgspec.structs.replace(drawn, birth_date=born, z_weight=0.1, z_height=0.2)
        at = datetime.combine(day, time()) + timedelta(seconds=round(truth.hour * 3600))
        plan = CtPlan(
            key=(self.seed, self.scenario.name, truth.id, day.isoformat()),
            device=device,
            procedure=procedure,
            names=device.procedures[procedure.key],
            technique=procedure.adult,
            set_by=procedure.adult,
            is_child_protocol=False,
            body=person.body_on(day, self.scenario.population),
            started_at=at,
        )
        exam = self._finish(plan, person, rng, rng.choice(device.operators))
        row = Truth(
            truth_id=truth.id,
            kind=truth.kind,
            what=truth.what,
            is_problem=True,
            device=device.alias,
            procedure=procedure.key,
            starts_at=at,
            effect=round(_dose(plan, procedure.adult) / _dose(plan, procedure.child), 3),
            study_uid=exam.part.study_uid,
            at=at,
        )
        return msgspec.structs.replace(exam, truths=(row,))

    # --- the record ---------------------------------------------------------------------

    def _device(self, spec: DeviceSpec) -> Device:
        named = Device(
            device_observer_uid=derive_uid("device", self.scenario.name, spec.alias),
            manufacturer=spec.manufacturer,
            model=spec.model,
            serial_number=spec.serial,
            name=spec.station,
            station_name=spec.station,
            station_ae_title=spec.ae_title,
            software_versions=(spec.software,),
            institution_name=self.scenario.institution,
            department=spec.department,
            location=self.scenario.institution,
        )
        return msgspec.structs.replace(named, device_key=device_key(named))

    def _finish(self, plan: CtPlan, person: Person, rng: Random, operator: str) -> Exam:
        spec = plan.device
        events = _reported(ct_events(plan, rng), spec)
        device = self._device(spec)
        study = derive_uid("study", *plan.key)
        last = events[-1]
        ended = (last.started_at or plan.started_at) + timedelta(seconds=last.exposure_time_s or 1)
        content_at = ended.replace(microsecond=0) + timedelta(seconds=rng.randrange(40, 150))
        shows_size = rng.random() >= self.scenario.population.weight_missing_share
        body = plan.body
        dialect = find_dialect(spec.dialect)
        dose = round(sum(e.dlp_mgy_cm or 0.0 for e in events), 2)
        part = Part(
            part_key=part_key(study, device.device_key, Modality.CT.value),
            study_uid=study,
            modality=Modality.CT,
            started_at=events[0].started_at,
            ended_at=ended.replace(microsecond=0),
            study_description=plan.study_description,
            requested_procedure=Code(None, None, plan.study_description),
            protocol_names=_protocols(plan, events),
            procedure_reported=sct("77477000"),
            intent=sct("261004008"),
            scope_of_accumulation=dcm("113014"),
            scope_uid=study,
            source_of_dose=(dcm("113856"),),
            device=device,
            patient=Patient(
                age_y=body.age_y,
                sex=Sex(body.sex),
                weight_kg=body.weight_kg if shows_size else None,
                height_cm=float(body.height_cm) if shows_size else None,
            ),
            totals=Totals(n_events=len(events), dlp_total_mgy_cm=dose),
            events=events,
            sources=(
                SourceObject(
                    sop_instance_uid=derive_uid("sop", *plan.key),
                    sop_class=dialect.sop_class,
                    series_uid=derive_uid("series", *plan.key),
                    content_at=content_at,
                ),
            ),
        )
        return Exam(part=part, identity=self._identity(plan, person, rng, operator), device=spec)

    def _identity(self, plan: CtPlan, person: Person, rng: Random, operator: str) -> Identity:
        scenario, spec = self.scenario, plan.device
        who = scenario.person(operator)
        staff = []
        if rng.random() >= who.anonymous_share:
            staff.append(_staff(who.name, who.id, ADMINISTERING, "121083", "Technologist"))
        if spec.physicians:
            doctor = scenario.person(rng.choice(spec.physicians))
            staff.append(_staff(doctor.name, doctor.id, AUTHORIZING, "121081", "Physician"))
        return Identity(
            patient_id=person.patient_id,
            patient_id_issuer=scenario.patient_id_issuer,
            patient_name=person.name,
            birth_date=person.birth_date.strftime("%Y%m%d"),
            accession_number=f"ZA{seed_number('accession', *plan.key) % 10**9:09d}",
            study_id=str(seed_number("id", *plan.key) % 10**6),
            staff=tuple(staff),
        )


def _staff(name: str, staff_id: str, role: Code, organization: str, meaning: str) -> Staff:
    return Staff(
        staff_name=name,
        staff_id=staff_id,
        staff_role_in_procedure=role,
        staff_role_in_organization=Code(organization, "DCM", meaning),
    )


def _protocols(plan: CtPlan, events: tuple[CtEvent, ...]) -> tuple[str, ...]:
    """Protocol names in order of use; the exam's own stands last, for the header."""
    used = dict.fromkeys(e.acquisition_protocol for e in events if e.acquisition_protocol)
    return (*(name for name in used if name != plan.protocol), plan.protocol)


def _reported(events: tuple[CtEvent, ...], device: DeviceSpec) -> tuple[CtEvent, ...]:
    """The events that the device's maker reports, with the dose it reports for them."""
    habit = find_dialect(device.dialect).localisers
    made = []
    for event in events:
        if event.acquisition_type is CtAcquisitionType.CONSTANT_ANGLE:
            if habit == "none":
                continue
            if habit == "no dose":
                made.append(
                    msgspec.structs.replace(event, ctdi_vol_mgy=None, dlp_mgy_cm=None, phantom=None)
                )
                continue
        made.append(event)
    return tuple(made)


def _dose(plan: CtPlan, technique: CtTechnique | None) -> float:
    used = technique or plan.procedure.adult
    return scan(
        plan.device, plan.procedure, used, plan.body, length_mm=plan.procedure.length_mm
    ).ctdi_vol_mgy


def _arrivals(rng: Random, rate: float, opens: float, closes: float) -> list[float]:
    """Hours at which patients come: Poisson by number, most of them while it is open."""
    hours = []
    for _ in range(_poisson(rng, rate)):
        if rng.random() < _EMERGENCY_SHARE:
            hours.append(rng.uniform(0.2, 23.4))
        else:
            hours.append(rng.uniform(opens, closes))
    return hours


def _poisson(rng: Random, mean: float) -> int:
    if mean > 40.0:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, n, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        n += 1
        product *= rng.random()
    return n
