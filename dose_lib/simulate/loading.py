"""Reads scenario files: one may extend another and multiply its devices over several sites."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from dose_lib.errors import SimulationError, did_you_mean
from dose_lib.simulate.procedures import Spec
from dose_lib.simulate.scenario import Scenario


class SiteSpec(Spec):
    """A site that has the base scenario's devices, or some of them, under names of its own."""

    name: str
    code: str = Field(min_length=1, max_length=3)
    busy: float = Field(1.0, gt=0, le=5)
    devices: tuple[str, ...] = ()


def scenario_names() -> tuple[str, ...]:
    """Names of the scenarios that come with the project."""
    folder = files("dose_lib.simulate").joinpath("scenarios")
    found = (Path(f.name) for f in folder.iterdir())
    return tuple(sorted(f.stem for f in found if f.suffix == ".toml"))


def load_scenario(name_or_file: str | Path) -> Scenario:
    """A scenario by its name, or from a file.

    A file may say ``extends = "district"``: its own top-level keys then replace those of the
    scenario it extends. ``[[sites]]`` gives each site the devices of the base.

    Raises
    ------
    SimulationError
        For an unknown name, unreadable TOML or a value that does not fit, with file, key
        and value.
    """
    where, values = _values(name_or_file)
    try:
        sites = [SiteSpec(**s) for s in values.pop("sites", ())]
        if sites:
            values["devices"] = [d for s in sites for d in _devices_of(s, values["devices"], where)]
        return Scenario(**values)
    except ValidationError as error:
        raise _explained(error, where) from None


def _values(name_or_file: str | Path) -> tuple[str, dict[str, Any]]:
    where, text = _text(name_or_file)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SimulationError(f"no TOML: {error}", where=where) from None
    if base := values.pop("extends", None):
        values = _values(base)[1] | values
    return where, values


def _text(name_or_file: str | Path) -> tuple[str, str]:
    file = Path(name_or_file)
    if file.suffix == ".toml":
        try:
            return str(file), file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SimulationError(f"cannot be read ({error})", where=str(file)) from None
    name = str(name_or_file)
    if name not in scenario_names():
        raise SimulationError(
            f"unknown scenario {name!r}", todo=did_you_mean(name, scenario_names())
        )
    resource = files("dose_lib.simulate").joinpath("scenarios", f"{name}.toml")
    return f"{name}.toml", resource.read_text(encoding="utf-8")


def _devices_of(site: SiteSpec, devices: list[dict[str, Any]], where: str) -> list[dict[str, Any]]:
    known = {d["alias"]: d for d in devices}
    made = []
    for alias in site.devices or known:
        if alias not in known:
            raise SimulationError(
                f"sites.{site.name}.devices: {alias!r} is not defined",
                where=where,
                todo=did_you_mean(alias, known),
            )
        device = known[alias]
        made.append(
            device
            | {
                "alias": f"{site.name} {alias}",
                "ae_title": f"{site.code}{device['ae_title']}"[:16],
                "serial": f"{device['serial']}{site.code}",
                "station": f"{site.code}{device['station']}"[:16],
                "site": site.name,
                "studies_per_weekday": device["studies_per_weekday"] * site.busy,
                "studies_per_weekend_day": device.get("studies_per_weekend_day", 0.0) * site.busy,
            }
        )
    return made


def _explained(error: ValidationError, where: str) -> SimulationError:
    first = error.errors()[0]
    key = ".".join(str(p) for p in first["loc"]) or "scenario"
    message = first["msg"].removeprefix("Value error, ")
    seen = first.get("input")
    shown = "" if isinstance(seen, dict | BaseModel) else f" = {seen!r}"
    return SimulationError(f"{key}{shown}: {message}", where=where)
