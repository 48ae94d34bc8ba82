"""Where to collect: `site/pacs.toml`, one table an archive or worklist.

[[pacs]]
name = "main"
ae_title = "PACS"
host = "10.1.0.5"
port = 104

[[web]]
name = "cloud"
url = "https://pacs.example.org/dicom-web"
token_file = "/etc/doseloop/cloud.token"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from dose_lib import Settings
from dose_lib.errors import SettingsError, did_you_mean
from pipelines.collect.hours import QuietHours, next_opening, parse_hours
from pipelines.collect.peculiarity import Traits, traits_of

# Modalities whose studies irradiate (reference: dicom_dose §4.4).
IRRADIATING = ("CT", "XA", "RF", "DX", "CR", "MG", "PT", "NM", "PX", "IO")
_Peer = TypeVar("_Peer")
_ANY_MOMENT = datetime(2026, 1, 1)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_AE = r"^[^\\\s][^\\]{0,15}$"


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$", description="Our name for it.")


class Tls(BaseModel):
    """Encryption towards a DICOM peer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ca: Path | None = Field(None, description="Authorities (PEM) that signed its certificate.")
    certificate: Path | None = Field(None, description="Our certificate (PEM), if it asks.")
    key: Path | None = Field(None, description="Private key of our certificate (PEM).")
    hostname: str | None = Field(None, description="Name in its certificate, if not `host`.")


class Archive(_Table):
    """What all archives have in common: what is fetched, how fast and when."""

    modalities: tuple[str, ...] = Field(
        IRRADIATING, min_length=1, description="Modalities whose studies are looked at."
    )
    images: Literal["never", "without-report", "for-size"] = Field(
        "never",
        description="without-report: image headers of studies that have no dose report; for-size:"
        " these, and of every CT some axial images with pixels, on which the patient is measured"
        " before the pixels are dropped.",
    )
    general_reports: Literal["hinted", "all", "none"] = Field(
        "hinted",
        description="Structured reports of general classes: those that title, series or"
        " description mark as dose reports, all, or none.",
    )
    like: tuple[str, ...] = Field((), description="Peculiarities, by name.")
    studies_per_minute: int = Field(
        120, ge=0, le=100_000, description="Most studies asked for in a minute; 0: no limit."
    )
    quiet_hours: tuple[QuietHours, ...] = Field(
        (), description="When it is left alone, such as 'mon-fri 07:30-18:00'."
    )
    every_minutes: int = Field(
        60, ge=0, le=10_080, description="The service collects so often; 0: only on demand."
    )
    days_back: int = Field(
        3, ge=1, le=60, description="Days that the service looks at each time, today included."
    )
    attempts: int = Field(3, ge=1, le=20, description="Tries for a study in one run.")
    give_up_after: int = Field(
        12, ge=1, description="Tries over all runs, after which a study is only reported."
    )
    timeout_s: float = Field(30.0, gt=0, le=3600, description="Seconds to wait for an answer.")
    query_limit_s: float = Field(300.0, gt=0, description="Longest time of one query, seconds.")
    max_answers: int = Field(20_000, ge=1, description="Most answers read of one query.")

    @field_validator("quiet_hours", mode="before")
    @classmethod
    def _read_hours(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            raise ValueError("a list of times, such as ['mon-fri 07:30-18:00']")
        hours = tuple(parse_hours(str(text)) for text in value)
        next_opening(hours, _ANY_MOMENT)  # raises where no hour of the week is left
        return hours

    @field_validator("modalities")
    @classmethod
    def _upper(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(m.strip().upper() for m in value))

    @property
    def traits(self) -> Traits:
        """What it can do."""
        return traits_of(self.like, f"{self.name}, like")


class Pacs(Archive):
    """An archive that speaks DICOM query and retrieve."""

    ae_title: str = Field(pattern=_AE, description="Its application entity title.")
    host: str = Field(min_length=1, description="Its address.")
    port: int = Field(ge=1, le=65535, description="Its port.")
    calling_ae_title: str | None = Field(
        None, pattern=_AE, description="How we call ourselves; default our `ae_title`."
    )
    retrieve: Literal["c-move", "c-get"] = Field(
        "c-move",
        description="c-move: it sends to our listener; c-get: on the association we opened.",
    )
    move_destination: str | None = Field(
        None, pattern=_AE, description="AE title of our listener as it knows it."
    )
    move_limit_s: float = Field(
        300.0, gt=0, description="Seconds a retrieval may go on without any progress."
    )
    tls: Tls | None = Field(None, description="Encryption; without this table there is none.")


class WebArchive(Archive):
    """An archive that speaks DICOMweb: QIDO-RS and WADO-RS."""

    url: str = Field(description="Root of its services, such as https://pacs/dicom-web.")
    token_file: Path | None = Field(None, description="File with a bearer token, mode 0600.")
    user: str | None = Field(None, description="User of basic authentication.")
    password_file: Path | None = Field(None, description="File with the password, mode 0600.")
    ca: Path | None = Field(None, description="Authorities (PEM); default those of the system.")
    certificate: Path | None = Field(None, description="Our certificate (PEM), if it asks.")
    key: Path | None = Field(None, description="Private key of our certificate (PEM).")
    allow_plain: bool = Field(
        False, description="http:// beyond this machine; only on a network of its own."
    )
    reports_from: Literal["instance", "metadata"] = Field(
        "instance", description="Fetch reports as objects, or from /metadata where that fails."
    )
    page_size: int = Field(100, ge=1, le=5000, description="Answers asked for at a time.")

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an address such as https://pacs.example.org/dicom-web")
        if parts.username or parts.password:
            raise ValueError("no user and password in the address: `user`, `password_file`")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _check(self) -> WebArchive:
        parts = urlsplit(self.url)
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not self.allow_plain:
            raise ValueError("http:// beyond this machine is not encrypted; use https://")
        if self.token_file and self.user:
            raise ValueError("either token_file or user, not both")
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file belong together")
        return self


class Worklist(_Table):
    """A modality worklist, asked for the size of patients."""

    ae_title: str = Field(pattern=_AE)
    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)
    calling_ae_title: str | None = Field(None, pattern=_AE)
    modalities: tuple[str, ...] = Field(IRRADIATING, description="Modalities asked for.")
    timeout_s: float = Field(30.0, gt=0, le=3600)
    query_limit_s: float = Field(300.0, gt=0)
    max_answers: int = Field(20_000, ge=1)
    tls: Tls | None = None


class Peers(BaseModel):
    """All of `site/pacs.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pacs: tuple[Pacs, ...] = ()
    web: tuple[WebArchive, ...] = ()
    worklist: tuple[Worklist, ...] = ()

    @property
    def archives(self) -> tuple[Pacs | WebArchive, ...]:
        """Those that studies are collected from."""
        return (*self.pacs, *self.web)

    @model_validator(mode="after")
    def _names_differ(self) -> Peers:
        names = [p.name for p in (*self.pacs, *self.web, *self.worklist)]
        if twice := {n for n in names if names.count(n) > 1}:
            raise ValueError(f"two tables have the name {sorted(twice)[0]!r}")
        for archive in self.archives:
            _ = archive.traits
        return self


def pacs_file(settings: Settings) -> Path:
    """`site/pacs.toml`."""
    return settings.site_dir / "pacs.toml"


def read_peers(settings: Settings) -> Peers:
    """Everything the site collects from; nothing without the file.

    Raises
    ------
    SettingsError
        With file, table and key, for what cannot be used.
    """
    file = pacs_file(settings)
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Peers()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"the list of archives cannot be read ({error})", expected="TOML", where=str(file)
        ) from None
    try:
        return Peers.model_validate(content)
    except ValidationError as error:
        raise _unusable(error, content, file) from None


def find_archive(settings: Settings, name: str | None) -> Pacs | WebArchive:
    """An archive by its name; without one, the only one there is.

    Raises
    ------
    SettingsError
        If there is none of that name, or several to choose from.
    """
    return _named(settings, "archive", {a.name: a for a in read_peers(settings).archives}, name)


def find_worklist(settings: Settings, name: str | None) -> Worklist:
    """A worklist by its name; without one, the only one there is.

    Raises
    ------
    SettingsError
        If there is none of that name, or several to choose from.
    """
    return _named(settings, "worklist", {w.name: w for w in read_peers(settings).worklist}, name)


def _named(settings: Settings, what: str, known: Mapping[str, _Peer], name: str | None) -> _Peer:
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name is None or name not in known:
        raise SettingsError(
            f"no {what} is named" if name is None else f"no {what} is named {name!r}",
            where=str(pacs_file(settings)),
            todo=did_you_mean(name or "", known) if known else "Describe one: docs/collecting.md",
        )
    return known[name]


def _unusable(error: ValidationError, content: dict[str, Any], file: Path) -> SettingsError:
    errors = error.errors(include_url=False, include_context=False)
    # A misspelt key is also a missing one; the misspelling says more.
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    *_, key = first["loc"] or ("",)
    where = " ".join(_step(s) for s in first["loc"])
    todo = None
    if first["type"] == "extra_forbidden":
        kinds: dict[str, type[BaseModel]] = {"pacs": Pacs, "web": WebArchive, "worklist": Worklist}
        kind = kinds.get(str(first["loc"][0]))
        fields = kind.model_fields if kind and len(first["loc"]) > 1 else Peers.model_fields
        todo = did_you_mean(str(key), fields)
        return SettingsError(f"unknown key {key!r}", where=f"{file}, {where}", todo=todo)
    message = first["msg"].removeprefix("Value error, ")
    return SettingsError(message, where=f"{file}, {where}".rstrip(", "), todo=todo)


def _step(step: int | str) -> str:
    return f"number {step + 1}," if isinstance(step, int) else str(step)
