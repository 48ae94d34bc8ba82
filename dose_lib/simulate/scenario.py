"""Scenario files: sites, devices, staff, protocols, mix and truths, checked as they are read."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from dose_lib.errors import did_you_mean
from dose_lib.simulate.injections import HighOperator, Injection
from dose_lib.simulate.procedures import Procedure, Spec
from dose_lib.simulate.writer.makers import dialect_names


class Sexed(Spec):
    """Size of adults of one sex."""

    height_mean_cm: float = Field(gt=120, lt=200)
    height_sd_cm: float = Field(gt=0, lt=20)
    bmi_median: float = Field(gt=15, lt=40)
    bmi_gsd: float = Field(gt=1, lt=1.6)


class Population(Spec):
    """Who comes: shares, ages, sizes; `source` says where the figures are from."""

    source: str
    child_share: float = Field(ge=0, le=1)
    female_share: float = Field(0.51, ge=0, le=1)
    weight_missing_share: float = Field(0.25, ge=0, le=1)
    return_share: float = Field(0.15, ge=0, lt=1)
    adult_age_mean_y: float = Field(61.0, gt=20, lt=90)
    adult_age_sd_y: float = Field(17.0, gt=0, lt=30)
    men: Sexed
    women: Sexed


class Person(Spec):
    """A member of staff; `anonymous_share` of the exams carry no name."""

    name: str
    id: str
    role: Literal["technologist", "physician"] = "technologist"
    anonymous_share: float = Field(0.0, ge=0, le=1)


class Spelling(Spec):
    """How a device spells an examination: study, protocol and event, for adults and children.

    `since` replaces words from a day on (days before the last day): names change with the
    years.
    """

    study: str
    protocol: str
    event: str = ""
    child_study: str | None = None
    child_protocol: str | None = None
    child_event: str | None = None
    since: tuple[tuple[int, str, str], ...] = ()

    def on(self, day: int) -> Spelling:
        """The spelling of a day."""
        words = self.model_dump(exclude={"since"}, exclude_none=True)
        for start, old, new in self.since:
            if day >= start:
                words = {name: text.replace(old, new) for name, text in words.items()}
        return Spelling(**words)


Sends = Literal["report", "report and images", "images"]


class DeviceSpec(Spec):
    """One unit: who made it, how it writes, what it does and how busy it is.

    Attributes
    ----------
    dialect
        How dose reports are written; PET-CT has another one for its CT reports.
    sends
        Dose reports, images with dose in their headers, or both.
    reports
        One report an exam, a longer one after each acquisition (cumulative), or, for
        `split_share` of the exams, two that divide the events.
    minutes
        Time an exam keeps the room busy.
    mpps
        Whether it sends performed procedure steps, which reports and images then refer to.
    discontinued_share
        Share of the steps that end as discontinued; what was exposed until then is reported.
    quality_control
        Whether a phantom is exposed on weekday mornings.
    """

    alias: str
    ae_title: str = Field(max_length=16)
    modality: Literal["CT", "DX", "RF", "XA", "MG", "NM", "PT"] = "CT"
    dialect: str = "clean"
    ct_dialect: str = "siemens"
    sends: Sends = "report"
    reports: Literal["single", "cumulative"] = "single"
    split_share: float = Field(0.0, ge=0, le=1)
    manufacturer: str
    model: str
    serial: str
    software: str
    station: str = Field(max_length=16)
    room: str
    site: str
    department: str = "Radiology"
    studies_per_weekday: float = Field(ge=0)
    studies_per_weekend_day: float = Field(0.0, ge=0)
    minutes: float = Field(8.0, gt=0)
    quality_control: bool = False
    mpps: bool = False
    discontinued_share: float = Field(0.0, ge=0, le=1)
    biplane: bool = False
    operators: tuple[str, ...] = Field(min_length=1)
    physicians: tuple[str, ...] = ()
    ctdi_body_mgy_per_100mas: float = Field(6.0, gt=1, lt=20)
    ctdi_head_mgy_per_100mas: float = Field(12.5, gt=2, lt=40)
    output_ugy_per_mas: float = Field(45.0, gt=5, lt=200)
    localiser: str = "Topogram"
    source_id: str = "1"
    procedures: dict[str, Spelling]

    @model_validator(mode="after")
    def _known_dialect(self) -> Self:
        for name in (self.dialect, self.ct_dialect):
            if name not in dialect_names():
                raise ValueError(f"unknown dialect {name!r}; {did_you_mean(name, dialect_names())}")
        return self


class Opening(Spec):
    """When elective exams are made, hours of the day."""

    weekday: tuple[float, float] = (8.0, 18.0)
    weekend: tuple[float, float] = (9.0, 15.0)


class Scenario(Spec):
    """A hospital to simulate."""

    name: str
    title: str
    days: int = Field(gt=0)
    institution: str
    timezone: str = "Europe/London"
    patient_id_issuer: str = "SIMULATED"
    opening: Opening = Opening()
    population: Population
    people: tuple[Person, ...]
    procedures: tuple[Procedure, ...]
    devices: tuple[DeviceSpec, ...]
    truths: tuple[Injection, ...] = ()

    @model_validator(mode="after")
    def _references_exist(self) -> Self:
        people = {p.name for p in self.people}
        keys = {p.key for p in self.procedures}
        aliases = {d.alias for d in self.devices}
        for device in self.devices:
            where = f"device {device.alias!r}"
            _known(where, "operators", device.operators, people)
            _known(where, "physicians", device.physicians, people)
            _known(where, "procedures", device.procedures, keys)
        for truth in self.truths:
            where = f"truth {truth.id!r}"
            _known(where, "device", [truth.device] if truth.device else [], aliases)
            _known(where, "procedure", [truth.procedure] if truth.procedure else [], keys)
            if isinstance(truth, HighOperator):
                _known(where, "operator", [truth.operator], people)
        return self

    def procedure(self, key: str) -> Procedure:
        """The procedure of a key."""
        return self._procedures[key]

    def device(self, alias: str) -> DeviceSpec:
        """The unit of an alias."""
        return self._devices[alias]

    def person(self, name: str) -> Person:
        """The member of staff of a name."""
        return self._people[name]

    @cached_property
    def _procedures(self) -> dict[str, Procedure]:
        return {p.key: p for p in self.procedures}

    @cached_property
    def _devices(self) -> dict[str, DeviceSpec]:
        return {d.alias: d for d in self.devices}

    @cached_property
    def _people(self) -> dict[str, Person]:
        return {p.name: p for p in self.people}


def _known(where: str, name: str, used: Any, known: set[str]) -> None:
    for value in used:
        if value not in known:
            raise ValueError(
                f"{where}, {name}: {value!r} is not defined; {did_you_mean(value, known)}"
            )
