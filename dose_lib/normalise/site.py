"""What the site says of its devices and names: `devices.toml`, `procedures.toml`, decisions."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from dose_lib.errors import SettingsError, did_you_mean
from dose_lib.normalise.catalogue import catalogue
from dose_lib.normalise.regions import body_regions
from dose_lib.normalise.texts import text_key
from dose_lib.records import Decision, Device, Modality
from dose_lib.settings import Settings

_MATCH = (
    "device_key",
    "serial_number",
    "station_name",
    "station_ae_title",
    "manufacturer",
    "model",
)
_SET = ("display_name", "site", "room", "timezone")


class DeviceRule(NamedTuple):
    """One entry of `devices.toml`: what must be equal, and what it then is called."""

    match: Mapping[str, str]
    display_name: str | None = None
    site: str | None = None
    room: str | None = None
    timezone: str | None = None

    def fits(self, device: Device) -> bool:
        """True if every field of the rule is equal in the device, letter case apart."""
        return all(
            (getattr(device, name) or "").strip().casefold() == value.strip().casefold()
            for name, value in self.match.items()
        )


class LearnedName(NamedTuple):
    """A procedure that a text was found to mean at this site, with how sure and why."""

    procedure_name: str
    confidence: float
    evidence: str


class SiteFacts(NamedTuple):
    """What normalising needs to know of the site; a value, so that rules stay pure.

    `procedures` maps a text's key or ``SCHEME:code``, with ``CT|`` before it where it holds
    for one modality, to a procedure name, or to an empty one where the site wants none;
    `learned` the same keys to what was learned; `regions` the site's own procedure names to
    their body region; `units` the key of a device to that of the unit a person says it is.
    Names below `accept_from` wait for a person instead of being given.
    """

    timezone: str = "UTC"
    devices: tuple[DeviceRule, ...] = ()
    procedures: Mapping[str, str] = {}
    regions: Mapping[str, str] = {}
    not_patient_patterns: tuple[re.Pattern[str], ...] = ()
    learned: Mapping[str, LearnedName] = {}
    units: Mapping[str, str] = {}
    accept_from: float = 0.95

    def mapped(self, key: str, modality: Modality) -> str | None:
        """Name the site gave a text or code in this modality; "" for none, None for no word."""
        for known in (f"{modality}|{key}", key):
            name = self.procedures.get(known)
            if name is not None and self._is_of(name, modality):
                return name
        return None

    def learned_name(self, key: str, modality: Modality) -> LearnedName | None:
        """What was learned of a text in this modality."""
        found = self.learned.get(f"{modality}|{key}")
        return found if found and self._is_of(found.procedure_name, modality) else None

    def region_of(self, name: str) -> str | None:
        """Body region of a procedure of the catalogue, or of the site's own."""
        entry = catalogue().get(name)
        return entry.region if entry else self.regions.get(name)

    def _is_of(self, name: str, modality: Modality) -> bool:
        entry = catalogue().get(name)
        return entry is None or str(modality) in entry.modalities


LEARNED_BY = "learned"  # payload `origin` of a mapping that no person made


def read_site(settings: Settings, decisions: Iterable[Decision] = ()) -> SiteFacts:
    """The site's facts from its files and its recorded decisions.

    Parameters
    ----------
    settings
        Names the home folder; missing files are no error.
    decisions
        Decisions of kind ``device_name`` (subject: device key; payload: display_name, site,
        room, timezone), ``device_link`` (subject: device key; payload: same_as, a device key
        or null) and ``procedure_mapping`` (subject: text or SCHEME:code; payload:
        procedure_name, body_region, modality, is_revoked), oldest first; later ones and
        decisions win over the files, a person's over what was learned. A subset of the
        decisions gives the facts of an earlier day.

    Raises
    ------
    SettingsError
        For an unknown key, zone, region, or a pattern that does not compile, with the file.
    """
    made = tuple(decisions)
    devices = _read_devices(settings.site_dir / "devices.toml")
    mapped, regions, patterns = _read_procedures(settings.site_dir / "procedures.toml")
    named = {
        d.subject: DeviceRule(
            {"device_key": d.subject}, **{k: _text(d.payload.get(k)) for k in _SET}
        )
        for d in made
        if d.kind == "device_name"
    }
    learned: dict[str, LearnedName] = {}
    for decision in made:
        if decision.kind == "procedure_mapping":
            _take_mapping(decision, mapped, regions, learned)
    units = {d.subject: d.payload.get("same_as") for d in made if d.kind == "device_link"}
    return SiteFacts(
        settings.timezone,
        (*named.values(), *devices),
        mapped,
        regions,
        patterns,
        learned,
        {key: str(unit) for key, unit in units.items() if unit},
        settings.accept_names_from,
    )


def _take_mapping(
    decision: Decision,
    mapped: dict[str, str],
    regions: dict[str, str],
    learned: dict[str, LearnedName],
) -> None:
    payload = decision.payload
    key = mapping_key(decision)
    name = str(payload.get("procedure_name") or "")
    is_learned = payload.get("origin") == LEARNED_BY
    if payload.get("is_revoked"):
        (learned if is_learned else mapped).pop(key, None)
        return
    if is_learned:
        sure = payload.get("confidence")
        confidence = float(sure) if isinstance(sure, int | float) else 0.0
        learned[key] = LearnedName(name, confidence, str(payload.get("evidence") or ""))
        return
    mapped[key] = name
    if name and payload.get("body_region"):
        regions[name] = str(payload["body_region"])


def mapping_key(decision: Decision) -> str:
    """Key of `SiteFacts.procedures` that a mapping decides about."""
    key = _key(decision.subject)
    modality = decision.payload.get("modality")
    return f"{modality}|{key}" if modality else key


def subject_key(subject: str) -> str:
    """What a decision about a name is kept under: codes as they are, texts folded."""
    return _key(subject.strip())


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _key(text: str) -> str:
    """Codes as they are, texts folded: what `name_part` looks up."""
    return text if re.fullmatch(r"[\w .-]{0,16}:[\w.-]+", text) else text_key(text)


def _load(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"the site file cannot be read ({error})", expected="TOML", where=str(file)
        ) from None


def _read_devices(file: Path) -> tuple[DeviceRule, ...]:
    rules = []
    for i, row in enumerate(_load(file).get("device", []), start=1):
        where = f"{file}, device {i}"
        _check_names(row, (*_MATCH, *_SET), where)
        match = {k: str(row[k]) for k in _MATCH if k in row}
        if not match:
            raise SettingsError(
                "no field says which device is meant", expected=" or ".join(_MATCH), where=where
            )
        _check_zone(row.get("timezone"), where)
        rules.append(DeviceRule(match, **{k: _text(row.get(k)) for k in _SET}))
    return tuple(rules)


def _check_names(row: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    for name in row:
        if name not in known:
            raise SettingsError(
                f"unknown field {name!r}", where=where, todo=did_you_mean(name, known)
            )


def _check_zone(zone: str | None, where: str) -> None:
    if zone is None:
        return
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise SettingsError(
            f"{zone!r} is no IANA time zone", expected="a name as Europe/Berlin", where=where
        ) from None


def _read_procedures(
    file: Path,
) -> tuple[dict[str, str], dict[str, str], tuple[re.Pattern[str], ...]]:
    rows = _load(file)
    _check_names(rows, ("procedure", "not_patient"), str(file))
    mapped: dict[str, str] = {}
    regions: dict[str, str] = {}
    for i, row in enumerate(rows.get("procedure", []), start=1):
        where = f"{file}, procedure {i}"
        _check_names(row, ("name", "texts", "codes", "region"), where)
        name = str(row.get("name") or "")
        region = row.get("region")
        if not name or (region is None and name not in catalogue()):
            raise SettingsError(
                f"{name!r} is not in the catalogue and has no region",
                where=where,
                todo=did_you_mean(name, catalogue()),
            )
        if region is not None and region not in body_regions():
            raise SettingsError(
                f"unknown region {region!r}", where=where, todo=did_you_mean(region, body_regions())
            )
        mapped |= {text_key(t): name for t in row.get("texts", ())}
        mapped |= {str(c): name for c in row.get("codes", ())}
        regions |= {} if region is None else {name: str(region)}
    return mapped, regions, _patterns(rows.get("not_patient", {}), file)


def _patterns(table: Mapping[str, Any], file: Path) -> tuple[re.Pattern[str], ...]:
    found = []
    for text in table.get("patterns", ()):
        try:
            found.append(re.compile(text, re.IGNORECASE))
        except re.error as error:
            raise SettingsError(
                f"pattern {text!r} does not compile: {error}", where=str(file)
            ) from None
    return tuple(found)
