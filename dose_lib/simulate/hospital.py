"""The hospital at work: exams in order of time, each with its record, its objects, its truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from heapq import heappop, heappush
from pathlib import Path
from random import Random

import msgspec

from dose_lib.records import Device, Modality
from dose_lib.simulate.ct_exam import ct_content, ct_dose, technique_of, used_technique
from dose_lib.simulate.exam import Exam, Report, SimObject
from dose_lib.simulate.fluoro_exam import fluoroscopy_content
from dose_lib.simulate.injections import (
    HARMLESS,
    AdultProtocolOnChild,
    Changes,
    changes_of,
    mix_factor,
)
from dose_lib.simulate.loading import load_scenario
from dose_lib.simulate.mammo_exam import mammography_content
from dose_lib.simulate.names import draw_person, name_parts
from dose_lib.simulate.nuclear_exam import nuclear_content
from dose_lib.simulate.plan import Content, Plan
from dose_lib.simulate.population import Body, Person
from dose_lib.simulate.procedures import (
    CtProcedure,
    FluoroscopyProcedure,
    MammographyProcedure,
    NuclearProcedure,
    Procedure,
    RadiographyProcedure,
)
from dose_lib.simulate.radiograph_exam import radiograph_content
from dose_lib.simulate.record import device_of, identity_of, phantom_of, report_of
from dose_lib.simulate.scenario import DeviceSpec, Scenario, Spelling
from dose_lib.simulate.truth import Truth
from dose_lib.simulate.uids import seed_number

_ADULT_Y = 16.0
_EMERGENCY_SHARE = 0.08
_QUALITY_CONTROL_HOUR = 7.2
_PHANTOM_BODY = Body(age_y=25.0, sex="O", weight_kg=55.0, height_cm=165.0)


class Hospital:
    """A hospital of a scenario, from a seed, ending on a day.

    Every exam follows from (seed, scenario, device, date, number): the same day gives the
    same bytes in every run that includes it, whatever the length of the run.

    Parameters
    ----------
    scenario
        What to simulate; `Hospital.load` takes a name or a file.
    seed
        Another seed is another hospital of the same kind.
    end
        Last day; today by default.
    days
        Number of days; the scenario's own by default.

    Examples
    --------
    >>> hospital = Hospital.load("demo", seed=1, end=date(2026, 11, 22), days=7)
    >>> objects = [o for exam in hospital.exams() for o in exam.objects()]
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        seed: int = 1,
        end: date | None = None,
        days: int | None = None,
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
        """Every examination in order of time; memory stays that of one day."""
        for n in range(self.days):
            yield from self.exams_on(self.start + timedelta(days=n))

    def objects(
        self, seen: Callable[[Exam], None] | None = None, *, mpps: bool = False
    ) -> Iterator[SimObject]:
        """Every object in the order in which it is sent; memory stays that of one day.

        Parameters
        ----------
        seen
            Called with each exam as its objects are made, to keep its truth, for instance.
        mpps
            Whether performed procedure steps are sent, by devices that have them.
        """
        waiting: list[tuple[datetime, int, SimObject]] = []
        n = 0
        for exam in self.exams():
            if seen is not None:
                seen(exam)
            # Nothing of a later exam is sent before it starts.
            while waiting and waiting[0][0] <= exam.started_at:
                yield heappop(waiting)[2]
            for item in (*(exam.steps() if mpps else ()), *exam.objects()):
                heappush(waiting, (item.sent_at, n, item))
                n += 1
        while waiting:
            yield heappop(waiting)[2]

    def exams_on(self, day: date) -> list[Exam]:
        """The examinations of one day in order of time."""
        made = [e for device in self.scenario.devices for e in self._device_day(device, day)]
        made += self._injected(day)
        return sorted(made, key=lambda e: (e.started_at, e.part.study_uid))

    def devices(self) -> tuple[Device, ...]:
        """The units as their reports name them, with alias, site and room filled."""
        return tuple(
            msgspec.structs.replace(
                device_of(self.scenario, d, is_observed=d.sends != "images"),
                display_name=d.alias,
                site=d.site,
                room=d.room,
            )
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

    def _person(self, rng: Random, day: date, *, child: bool, female: bool) -> Person:
        population = self.scenario.population
        while True:
            number = rng.randrange(self._pools[child])
            who = draw_person(self._rng("person", child, number), population, child=child)
            if female and who.sex != "F":
                continue
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
        if device.quality_control and not weekend:
            yield self._quality_control(device, day)
        busy_until = 0.0
        for n, hour in enumerate(sorted(_arrivals(rng, rate, opens, closes))):
            start = max(hour, busy_until)
            if start >= 23.7:
                return
            operator = shifts[0 if start < 13.0 else 1]
            if rng.random() < 0.2:
                operator = rng.choice(device.operators)
            yield self._exam(device, day, n, _at(day, start), operator)
            busy_until = start + device.minutes / 60.0

    def _exam(self, device: DeviceSpec, day: date, n: int, at: datetime, operator: str) -> Exam:
        rng = self._rng("exam", device.alias, day.isoformat(), n)
        offset = (day - self.end).days
        child = rng.random() < self.scenario.population.child_share
        procedure, child = self._choose(device, rng, offset, child=child)
        female = isinstance(procedure, MammographyProcedure)
        person = self._person(rng, day, child=child, female=female)
        changes = changes_of(
            self.scenario.truths,
            device=device.alias,
            procedure=procedure.key,
            operator=operator,
            day=offset,
            rng=rng,
        )
        recorded = changes.recorded_as or procedure.key
        plan = Plan(
            key=(self.seed, self.scenario.name, device.alias, day.isoformat(), n),
            device=device,
            spelling=self._spelling(device, recorded, offset),
            is_child_protocol=child and _has_child_protocol(device.procedures[procedure.key]),
            body=person.body_on(day, self.scenario.population),
            started_at=at,
            operator=operator,
            changes=changes,
        )
        return self._finish(plan, procedure, person, rng)

    def _choose(
        self, device: DeviceSpec, rng: Random, offset: int, *, child: bool
    ) -> tuple[Procedure, bool]:
        choices = [self.scenario.procedure(k) for k in device.procedures]
        if child:
            weights = [
                p.child_share if _fits_children(p, device.procedures[p.key]) else 0.0
                for p in choices
            ]
            if any(weights):
                return rng.choices(choices, weights)[0], True
        weights = [p.share * mix_factor(self.scenario.truths, p.key, offset) for p in choices]
        return rng.choices(choices, weights)[0], False

    def _spelling(self, device: DeviceSpec, key: str, offset: int) -> Spelling:
        known = device.procedures.get(key)
        if known is None:
            others = (d.procedures[key] for d in self.scenario.devices if key in d.procedures)
            known = next(others)
        return known.on(offset)

    # --- injections ---------------------------------------------------------------------

    def _injected(self, day: date) -> list[Exam]:
        offset = (day - self.end).days
        return [
            self._adult_protocol_on_child(truth, day)
            for truth in self.scenario.truths
            if isinstance(truth, AdultProtocolOnChild) and truth.from_day == offset
        ]

    def _adult_protocol_on_child(self, truth: AdultProtocolOnChild, day: date) -> Exam:
        rng = self._rng("truth", truth.id, day.isoformat())
        device = self.scenario.device(truth.device)
        drawn = draw_person(rng, self.scenario.population, child=True)
        born = day - timedelta(days=int(truth.age_y * 365.25) + rng.randrange(30, 300))
        person = msgspec.structs.replace(drawn, birth_date=born, z_weight=0.1, z_height=0.2)
        plan = Plan(
            key=(self.seed, self.scenario.name, truth.id, day.isoformat()),
            device=device,
            spelling=self._spelling(device, truth.procedure, truth.from_day),
            is_child_protocol=False,
            body=person.body_on(day, self.scenario.population),
            started_at=_at(day, truth.hour),
            operator=rng.choice(device.operators),
            changes=Changes(acting=((truth, None),)),
            is_size_known=True,
        )
        return self._finish(plan, self.scenario.procedure(truth.procedure), person, rng)

    def _quality_control(self, device: DeviceSpec, day: date) -> Exam:
        """The phantom of a weekday morning, recorded as the department records it."""
        rng = self._rng("quality control", device.alias, day.isoformat())
        key = next(iter(device.procedures))
        words = Spelling(study="QA Phantom", protocol="Daily QA", event="Daily QA")
        plan = Plan(
            key=(self.seed, self.scenario.name, device.alias, day.isoformat(), "qc"),
            device=device,
            spelling=words,
            is_child_protocol=False,
            body=_PHANTOM_BODY,
            started_at=_at(day, _QUALITY_CONTROL_HOUR + rng.uniform(0.0, 0.3)),
            operator=rng.choice(device.operators),
        )
        person = phantom_of(self.scenario, device)
        exam = self._finish(plan, self.scenario.procedure(key), person, rng, is_patient=False)
        row = Truth(
            truth_id="quality-control",
            kind="quality_control",
            what="A phantom was exposed",
            is_problem=False,
            device=device.alias,
            study_uid=exam.part.study_uid,
            at=exam.started_at,
        )
        return msgspec.structs.replace(exam, truths=(row,))

    def _truth(self, plan: Plan, procedure: Procedure, exam: Exam) -> tuple[Truth, ...]:
        rows = []
        for injection, effect in plan.changes.acting:
            start = self.end + timedelta(days=max(injection.from_day, -self.days))
            known = _effect(plan, procedure) if effect is None else effect
            rows.append(
                Truth(
                    truth_id=injection.id,
                    kind=injection.kind,
                    what=injection.what,
                    is_problem=injection.kind not in HARMLESS,
                    device=plan.device.alias,
                    procedure=procedure.key,
                    operator=plan.operator if injection.kind == "high_operator" else None,
                    starts_at=datetime.combine(start, time()),
                    effect=round(known, 4),
                    study_uid=exam.part.study_uid,
                    at=exam.started_at,
                )
            )
        return tuple(rows)

    # --- the record ---------------------------------------------------------------------

    def _finish(
        self,
        plan: Plan,
        procedure: Procedure,
        person: Person,
        rng: Random,
        *,
        is_patient: bool = True,
    ) -> Exam:
        reports = self._reports(plan, procedure, rng, is_patient=is_patient)
        exam = Exam(
            reports=reports,
            identity=identity_of(self.scenario, plan, person, rng),
            device=plan.device,
            is_patient=is_patient,
        )
        return msgspec.structs.replace(exam, truths=self._truth(plan, procedure, exam))

    def _reports(
        self, plan: Plan, procedure: Procedure, rng: Random, *, is_patient: bool
    ) -> tuple[Report, ...]:
        device = plan.device
        modality = Modality(procedure.modality)
        first = report_of(
            self.scenario,
            plan,
            content_of(plan, procedure, rng),
            rng,
            modality=modality,
            dialect=device.dialect,
            is_patient=is_patient,
        )
        if not isinstance(procedure, NuclearProcedure) or procedure.ct is None:
            return (first,)
        later = msgspec.structs.replace(plan, started_at=plan.started_at + timedelta(minutes=58))
        second = report_of(
            self.scenario,
            later,
            content_of(later, self.scenario.procedure(procedure.ct), rng),
            rng,
            modality=Modality.CT,
            dialect=device.ct_dialect,
        )
        return (first, second)


def content_of(plan: Plan, procedure: Procedure, rng: Random) -> Content:
    """What an examination of a procedure brings forth."""
    match procedure:
        case CtProcedure():
            return ct_content(plan, procedure, rng)
        case RadiographyProcedure():
            return radiograph_content(plan, procedure, rng)
        case FluoroscopyProcedure():
            return fluoroscopy_content(plan, procedure, rng)
        case MammographyProcedure():
            return mammography_content(plan, procedure, rng)
        case NuclearProcedure():
            return nuclear_content(plan, procedure, rng)


def _effect(plan: Plan, procedure: Procedure) -> float:
    """Dose with what was done, divided by the dose of the protocol that was meant."""
    if isinstance(procedure, FluoroscopyProcedure):
        rate = plan.changes.technique.get("pulse_rate_hz", procedure.pulse_rate_hz)
        return rate / procedure.pulse_rate_hz
    if not isinstance(procedure, CtProcedure):
        return 1.0
    done = ct_dose(plan, procedure, used_technique(plan, procedure))
    meant = technique_of(plan, procedure)
    if any(isinstance(i, AdultProtocolOnChild) for i, _ in plan.changes.acting):
        meant = procedure.child or meant
    plain = msgspec.structs.replace(plan, changes=Changes())
    return done / ct_dose(plain, procedure, meant)


def _has_child_protocol(spelling: Spelling) -> bool:
    return spelling.child_protocol is not None


def _fits_children(procedure: Procedure, spelling: Spelling) -> bool:
    """CT needs a paediatric protocol; the other modalities use one protocol for all sizes."""
    return not isinstance(procedure, CtProcedure) or _has_child_protocol(spelling)


def _at(day: date, hour: float) -> datetime:
    return datetime.combine(day, time()) + timedelta(seconds=round(hour * 3600))


def _arrivals(rng: Random, rate: float, opens: float, closes: float) -> list[float]:
    """Hours at which patients come: Poisson by number, most of them while it is open."""
    return [
        rng.uniform(0.2, 23.4) if rng.random() < _EMERGENCY_SHARE else rng.uniform(opens, closes)
        for _ in range(_poisson(rng, rate))
    ]


def _poisson(rng: Random, mean: float) -> int:
    if mean > 40.0:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, n, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        n += 1
        product *= rng.random()
    return n
