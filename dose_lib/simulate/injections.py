"""What goes wrong, and what only looks like it: the truths a scenario injects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random
from typing import Annotated, Literal

import msgspec
from pydantic import Field

from dose_lib.simulate.procedures import Spec

_DAYS_PER_MONTH = 30.4375


class _Injection(Spec):
    """One injection: `from_day` to `until_day` are days before the last day (0 or less)."""

    id: str
    what: str
    device: str | None = None
    procedure: str | None = None
    from_day: int = Field(-36500, le=0)
    until_day: int = Field(0, le=0)

    def is_active(self, day: int) -> bool:
        """True on the days the injection acts."""
        return self.from_day <= day <= self.until_day


class AdultProtocolOnChild(_Injection):
    """An adult protocol used on a child: one more exam on `from_day`."""

    kind: Literal["adult_protocol_on_child"]
    device: str
    procedure: str
    age_y: float = Field(gt=0, lt=16)
    hour: float = Field(11.0, ge=0, lt=24)


class Drift(_Injection):
    """A device whose output creeps: exposure grows by a rate each month."""

    kind: Literal["drift"]
    device: str
    percent_per_month: float = Field(gt=-50, lt=50)


class TubeReplacement(_Injection):
    """A step in what the device reports at the same technique."""

    kind: Literal["tube_replacement"]
    device: str
    percent: float = Field(gt=-60, lt=100)


class WrongParameter(_Injection):
    """A protocol copied with one wrong parameter."""

    kind: Literal["wrong_parameter"]
    device: str
    procedure: str
    parameter: Literal["kv", "noise_index", "pitch", "rotation_time_s", "pulse_rate_hz"]
    value: float = Field(gt=0)


class HighOperator(_Injection):
    """An operator with systematically higher dose."""

    kind: Literal["high_operator"]
    operator: str
    percent: float = Field(gt=0, lt=300)


class WrongDocumentation(_Injection):
    """Exams recorded as something else than was done."""

    kind: Literal["wrong_documentation"]
    device: str
    procedure: str
    recorded_as: str
    share: float = Field(gt=0, le=1)


class SoftwareUpgrade(_Injection):
    """A new software version that changes nothing else: no problem."""

    kind: Literal["software_upgrade"]
    device: str
    version: str


class Improvement(_Injection):
    """A protocol change that lowers the dose: no problem, but an effect to be proven."""

    kind: Literal["improvement"]
    device: str
    procedure: str
    percent: float = Field(lt=0, gt=-80)


class SeasonalMix(_Injection):
    """More or fewer exams of a kind for a while: no problem."""

    kind: Literal["seasonal_mix"]
    procedure: str
    factor: float = Field(gt=0, lt=10)


Injection = Annotated[
    AdultProtocolOnChild
    | Drift
    | TubeReplacement
    | WrongParameter
    | HighOperator
    | WrongDocumentation
    | SoftwareUpgrade
    | Improvement
    | SeasonalMix,
    Field(discriminator="kind"),
]
HARMLESS = frozenset({"software_upgrade", "improvement", "seasonal_mix", "quality_control"})


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What the injections change in one exam.

    Attributes
    ----------
    technique
        Parameters that were used instead of the protocol's.
    exposure
        Factor of the exposure, visible in tube current or time.
    calibration
        Factor of the reported output at the same technique.
    recorded_as
        Procedure the exam is recorded as.
    software
        Software version from an upgrade on.
    acting
        The injections behind these, with the factor each has on the dose; None where the
        factor depends on the technique and is computed with it.
    """

    technique: Mapping[str, float] = {}
    exposure: float = 1.0
    calibration: float = 1.0
    recorded_as: str | None = None
    software: str | None = None
    acting: tuple[tuple[Injection, float | None], ...] = ()


def changes_of(
    injections: Iterable[Injection],
    *,
    device: str,
    procedure: str,
    operator: str,
    day: int,
    rng: Random,
) -> Changes:
    """What acts on an exam of a device, procedure and operator on a day.

    Parameters
    ----------
    day
        Days before the last day of the scenario, 0 or less.
    """
    found = Changes()
    for injection in injections:
        if not injection.is_active(day):
            continue
        if injection.device not in (None, device) or injection.procedure not in (None, procedure):
            continue
        found = _add(found, injection, operator, day, rng)
    return found


def _add(found: Changes, injection: Injection, operator: str, day: int, rng: Random) -> Changes:
    change: dict[str, object] = {}
    effect: float | None = 1.0
    match injection:
        case Drift(percent_per_month=percent, from_day=start):
            effect = (1.0 + percent / 100.0) ** ((day - start) / _DAYS_PER_MONTH)
            change = {"exposure": found.exposure * effect}
        case Improvement(percent=percent):
            effect = 1.0 + percent / 100.0
            change = {"exposure": found.exposure * effect}
        case TubeReplacement(percent=percent):
            effect = 1.0 + percent / 100.0
            change = {"calibration": found.calibration * effect}
        case HighOperator(operator=name, percent=percent):
            if name != operator:
                return found
            effect = 1.0 + percent / 100.0
            change = {"exposure": found.exposure * effect}
        case WrongParameter(parameter=parameter, value=value):
            effect = None
            change = {"technique": {**found.technique, parameter: value}}
        case WrongDocumentation(recorded_as=other, share=share):
            if rng.random() >= share:
                return found
            change = {"recorded_as": other}
        case SoftwareUpgrade(version=version):
            change = {"software": version}
        case _:
            return found
    return msgspec.structs.replace(found, **change, acting=(*found.acting, (injection, effect)))


def mix_factor(injections: Iterable[Injection], procedure: str, day: int) -> float:
    """Factor of a procedure's share on a day."""
    factor = 1.0
    for injection in injections:
        if isinstance(injection, SeasonalMix) and injection.is_active(day):
            factor *= injection.factor if injection.procedure == procedure else 1.0
    return factor
