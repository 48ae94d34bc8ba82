"""Scenario files: sites, devices, staff, protocols, mix and truths, checked as they are read."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dose_lib.errors import SimulationError, did_you_mean
from dose_lib.simulate.writer.makers import dialect_names


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sexed(_Model):
    """Size of adults of one sex."""

    height_mean_cm: float = Field(gt=120, lt=200)
    height_sd_cm: float = Field(gt=0, lt=20)
    bmi_median: float = Field(gt=15, lt=40)
    bmi_gsd: float = Field(gt=1, lt=1.6)


class Population(_Model):
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


class Person(_Model):
    """A member of staff; `anonymous_share` of the exams carry no name."""

    name: str
    id: str
    role: Literal["technologist", "physician"] = "technologist"
    anonymous_share: float = Field(0.0, ge=0, le=1)


class Reference(_Model):
    """A published level, and the share of it that the median of this protocol is here.

    `set`, `procedure`, `size_min` and `value` are those of a row of the published CTDIvol
    levels in `drl/`; a test holds them to it.
    """

    set: str
    procedure: str
    size_min: float | None = None
    value: float = Field(gt=0)
    fraction: float = Field(gt=0, lt=3)
    exception: str | None = None

    @property
    def median(self) -> float:
        """The median this scenario aims at."""
        return self.value * self.fraction

    @model_validator(mode="after")
    def _usual(self) -> Self:
        if not 0.6 <= self.fraction <= 0.9 and not self.exception:
            raise ValueError("a fraction outside 0.6 to 0.9 needs an `exception` that says why")
        return self


class CtTechnique(_Model):
    """Scan parameters of a CT protocol and the dose they give a patient of the stated size."""

    kv: float = Field(ge=70, le=150)
    pitch: float | None = Field(None, gt=0.05, lt=4)
    rotation_time_s: float = Field(gt=0.2, le=2)
    single_collimation_mm: float = Field(gt=0, le=5)
    total_collimation_mm: float = Field(gt=0, le=160)
    modulation: str = "NONE"
    aec_strength: float = Field(0.0, ge=0, le=1)
    noise_index: float | None = Field(None, gt=0)
    ma_min: float = Field(20.0, gt=0)
    ma_max: float = Field(600.0, gt=0)
    reference: Reference
    reference_weight_kg: float = Field(gt=1, lt=150)
    reference_height_cm: float = Field(gt=40, lt=200)
    reference_age_y: float = Field(ge=0, lt=110)


class CtProcedure(_Model):
    """One CT examination: region, mix, lengths, phases, technique for adults and children."""

    key: str
    region: str
    target: str
    phantom: Literal["16cm", "32cm"]
    share: float = Field(gt=0)
    child_share: float = Field(0.0, ge=0)
    length_mm: float = Field(gt=10)
    length_sd: float = Field(0.09, gt=0, lt=0.5)
    contrast_share: float = Field(0.0, ge=0, le=1)
    bolus_tracking: bool = False
    second_phase_share: float = Field(0.0, ge=0, le=1)
    repeat_share: float = Field(0.01, ge=0, le=1)
    spread_gsd: float = Field(1.15, gt=1, lt=2)
    adult: CtTechnique
    child: CtTechnique | None = None


class ProtocolName(_Model):
    """How a device spells an examination: study, protocol and event, for adults and children."""

    study: str
    protocol: str
    event: str
    child_study: str | None = None
    child_protocol: str | None = None
    child_event: str | None = None


class DeviceSpec(_Model):
    """One unit: who made it, how it writes, what it does and how busy it is."""

    alias: str
    ae_title: str = Field(max_length=16)
    dialect: str
    manufacturer: str
    model: str
    serial: str
    software: str
    station: str = Field(max_length=16)
    room: str
    site: str
    department: str = "Radiology"
    modality: Literal["CT"] = "CT"
    studies_per_weekday: float = Field(ge=0)
    studies_per_weekend_day: float = Field(0.0, ge=0)
    operators: tuple[str, ...] = Field(min_length=1)
    physicians: tuple[str, ...] = ()
    ctdi_body_mgy_per_100mas: float = Field(6.0, gt=1, lt=20)
    ctdi_head_mgy_per_100mas: float = Field(12.5, gt=2, lt=40)
    localiser: str = "Topogram"
    source_id: str = "1"
    procedures: dict[str, ProtocolName]

    @model_validator(mode="after")
    def _known_dialect(self) -> Self:
        if self.dialect not in dialect_names():
            raise ValueError(f"unknown dialect; {did_you_mean(self.dialect, dialect_names())}")
        return self


class _Truth(_Model):
    id: str
    what: str


class AdultProtocolOnChild(_Truth):
    """An adult protocol used on a child, on one day."""

    kind: Literal["adult_protocol_on_child"]
    device: str
    procedure: str
    day: int = Field(le=0)
    age_y: float = Field(gt=0, lt=16)
    hour: float = Field(11.0, ge=0, lt=24)


TruthSpec = Annotated[AdultProtocolOnChild, Field()]


class Opening(_Model):
    """When elective exams are made, hours of the day."""

    weekday: tuple[float, float] = (8.0, 18.0)
    weekend: tuple[float, float] = (9.0, 15.0)


class Scenario(_Model):
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
    procedures: tuple[CtProcedure, ...]
    devices: tuple[DeviceSpec, ...]
    truths: tuple[TruthSpec, ...] = ()

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
            _known(f"truth {truth.id!r}", "device", (truth.device,), aliases)
            _known(f"truth {truth.id!r}", "procedure", (truth.procedure,), keys)
        return self

    def procedure(self, key: str) -> CtProcedure:
        """The procedure of a key."""
        return next(p for p in self.procedures if p.key == key)

    def person(self, name: str) -> Person:
        """The member of staff of a name."""
        return next(p for p in self.people if p.name == name)


def _known(where: str, name: str, used: Any, known: set[str]) -> None:
    for value in used:
        if value not in known:
            raise ValueError(
                f"{where}, {name}: {value!r} is not defined; {did_you_mean(value, known)}"
            )


def scenario_names() -> tuple[str, ...]:
    """Names of the scenarios that come with the project."""
    folder = files("dose_lib.simulate").joinpath("scenarios")
    found = (Path(f.name) for f in folder.iterdir())
    return tuple(sorted(f.stem for f in found if f.suffix == ".toml"))


def load_scenario(name_or_file: str | Path) -> Scenario:
    """A scenario by its name, or from a file.

    Raises
    ------
    SimulationError
        For an unknown name, unreadable TOML or a value that does not fit, with file, key
        and value.
    """
    file = Path(name_or_file)
    if file.suffix == ".toml":
        where, text = str(file), _read(file)
    else:
        name = str(name_or_file)
        if name not in scenario_names():
            raise SimulationError(
                f"unknown scenario {name!r}", todo=did_you_mean(name, scenario_names())
            )
        where = f"{name}.toml"
        resource = files("dose_lib.simulate").joinpath("scenarios", where)
        text = resource.read_text(encoding="utf-8")
    return _parse(where, text)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SimulationError(f"cannot be read ({error})", where=str(file)) from None


def _parse(where: str, text: str) -> Scenario:
    try:
        return Scenario(**tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SimulationError(f"no TOML: {error}", where=where) from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(p) for p in first["loc"]) or "scenario"
        message = first["msg"].removeprefix("Value error, ")
        seen = first.get("input")
        shown = "" if isinstance(seen, dict | BaseModel) else f" = {seen!r}"
        raise SimulationError(f"{key}{shown}: {message}", where=where) from None
