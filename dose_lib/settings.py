"""Every setting: its name, default and help. The settings page of the docs is made from this.

Read in this order, later wins: defaults, `doseloop.toml` in the home folder, environment
(`DOSE_` + name in capitals). Paths below the home folder are properties, so that one
folder is the whole installation and can be backed up, moved and deleted as one.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from dose_lib.errors import SettingsError, did_you_mean

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def default_home() -> Path:
    """Folder of this installation: `DOSE_HOME`, else the user's data folder."""
    if home := os.environ.get("DOSE_HOME"):
        return Path(home).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "doseloop"


class Settings(BaseModel):
    """Settings of one installation; immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = Field(default_factory=default_home, description="Folder of the installation.")

    site_name: str = Field("My hospital", description="Name shown on reports and dashboards.")
    country: str = Field(
        "GB", min_length=2, max_length=2, description="ISO country code; chooses national levels."
    )
    timezone: str = Field(
        "Europe/London", description="IANA zone of the site; days and weeks are cut in it."
    )
    show_operators: Literal["name", "code", "none"] = Field(
        "code", description="How members of staff appear: by name, by code, or not at all."
    )
    identity_retention_days: int | None = Field(
        None,
        ge=1,
        description="Days after an exam for which names and IDs are kept; unset: until erased.",
    )
    raw_retention_days: int | None = Field(
        None,
        ge=1,
        description="Days for which received objects are kept as sent; their doses stay. Never"
        " longer than identities are kept; unset: as long as those.",
    )
    quarantine_retention_days: int | None = Field(
        None,
        ge=30,
        description="Days after its arrival for which an object that cannot be read is kept; its"
        " receipt stays. Unset: for good.",
    )
    dose_retention_days: int | None = Field(
        None,
        ge=30,
        description="Days after an exam for which its doses are kept, rounded up to the end of a"
        " month; unset: for good.",
    )
    vault_socket: Path | None = Field(
        None,
        description="Socket of the identity vault; unset: `run/vault.sock`, for the service's own"
        " account only.",
    )
    vault_group: str | None = Field(
        None,
        description="Group whose members may connect to the identity vault; each still needs a"
        " role in `site/people.toml`.",
    )

    ae_title: str = Field(
        "DOSELOOP", min_length=1, max_length=16, description="Our DICOM application entity title."
    )
    dicom_host: str = Field("127.0.0.1", description="Address the DICOM listener binds to.")
    dicom_port: int = Field(11112, ge=0, le=65535, description="Port of the DICOM listener.")
    dicom_max_associations: int = Field(
        20, ge=1, le=500, description="DICOM associations accepted at the same time."
    )
    dicom_max_pdu: int = Field(
        131072, ge=4096, le=1048576, description="Largest DICOM PDU accepted, bytes."
    )
    dicom_timeout_s: float = Field(
        60.0, gt=0, description="Seconds without traffic after which an association is closed."
    )
    size_issuers: tuple[str, ...] = Field(
        (),
        description="Issuers whose patient IDs count in sizes from worklist, HL7 and files, each as"
        " `AUTHORITY=issuer in DICOM objects` (empty after `=`: objects name none); unset: every"
        " ID, with its issuer and without one.",
    )
    hl7_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port of the HL7 listener (MLLP) that takes patient sizes; unset: it is off.",
    )
    hl7_host: str = Field("127.0.0.1", description="Address the HL7 listener binds to.")
    hl7_peers: tuple[str, ...] = Field(
        (), description="Addresses or networks that may send HL7; empty: any, on loopback only."
    )
    hl7_max_message_kb: int = Field(
        1024, ge=1, le=65536, description="Longest HL7 message taken in, kilobytes."
    )
    hl7_tls_certificate: Path | None = Field(
        None, description="Certificate chain (PEM) of the HL7 listener; unset: no TLS."
    )
    hl7_tls_key: Path | None = Field(None, description="Private key of that certificate (PEM).")
    hl7_allow_plain: bool = Field(
        False, description="Listen for HL7 beyond loopback without TLS; on a network of its own."
    )
    stow_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port of the STOW-RS listener (DICOMweb) that takes dose reports; unset: it is"
        " off. Senders show the token of `keys/stow.token`.",
    )
    stow_images: bool = Field(
        False,
        description="Take images by STOW-RS too: headers, and the patient's size on axial CTs;"
        " the pixels are dropped on arrival.",
    )
    stow_host: str = Field("127.0.0.1", description="Address the STOW-RS listener binds to.")
    stow_tls_certificate: Path | None = Field(
        None, description="Certificate chain (PEM) of the STOW-RS listener; unset: no TLS."
    )
    stow_tls_key: Path | None = Field(None, description="Private key of that certificate (PEM).")
    max_object_mb: int = Field(50, ge=1, description="Largest object taken in, megabytes.")
    max_archive_gb: int = Field(
        50, ge=1, description="Most that one zip or tar archive may unpack to, gigabytes."
    )
    watch_folders: tuple[str, ...] = Field(
        (), description="Folders whose files the service takes in as they come; none: no watching."
    )
    watch_afterwards: Literal["leave", "move", "delete"] = Field(
        "leave",
        description="What happens to a file of a watched folder once it is safely received: it"
        " stays, goes into the subfolder `.taken`, or is deleted. Images are never deleted: only"
        " their headers are kept.",
    )
    watch_settle_s: float = Field(
        5.0,
        gt=0,
        description="Seconds for which a file in a watched folder must not have changed before it"
        " is taken: until then it may be half written.",
    )
    dicom_peers: tuple[str, ...] = Field(
        (),
        description="Callers that may send, each as `AE@address` or `AE@10.1.2.0/24` (`*` is any"
        " AE title); empty: any caller, on loopback only.",
    )
    dicom_image_peers: tuple[str, ...] = Field(
        (),
        description="Callers whose images are taken beside their reports, as in `dicom_peers`;"
        " headers only, the pixels are dropped on arrival.",
    )
    dicom_image_answer: Literal["warning", "success"] = Field(
        "warning",
        description="Answer to such an image: warning 0xB006 (elements discarded), or success for"
        " senders that take a warning for a failure.",
    )
    dicom_tls_certificate: Path | None = Field(
        None, description="Certificate chain (PEM) of the DICOM listener; unset: no TLS."
    )
    dicom_tls_key: Path | None = Field(None, description="Private key of that certificate (PEM).")
    dicom_tls_client_ca: Path | None = Field(
        None, description="Authorities (PEM) whose client certificates callers must show."
    )
    dicom_allow_plain: bool = Field(
        False,
        description="Listen beyond loopback without TLS, as most modalities need it; only on a"
        " network segment of their own.",
    )
    spool_reserve_mb: int = Field(
        200,
        ge=0,
        description="Room kept free on the spool's disk, megabytes; below it senders wait.",
    )

    read_workers: int = Field(1, ge=1, le=32, description="Processes that read objects.")
    store_query_timeout_s: float = Field(
        60.0, gt=0, description="Seconds after which a query to the served store is stopped."
    )
    store_memory: str = Field("2GB", description="Memory the store may use for queries.")
    store_port: int = Field(
        0, ge=0, le=65535, description="Loopback port of the served store; 0 chooses a free one."
    )
    health_host: str = Field("127.0.0.1", description="Address of the health page.")
    health_port: int = Field(
        8104, ge=0, le=65535, description="Port of health, metrics and the decisions door."
    )
    dashboards_host: str = Field("127.0.0.1", description="Address of the dashboards.")
    dashboards_port: int = Field(5006, ge=0, le=65535, description="Port of the dashboards.")
    dashboards_refresh_s: float = Field(
        5.0, gt=0, description="Seconds between looks for new data on a dashboard."
    )
    dashboards_idle_minutes: float = Field(
        30.0,
        ge=0,
        description="Minutes without a visitor after which the process that serves dashboards ends;"
        " the next visitor waits some seconds for it. 0: once loaded, it stays.",
    )

    report_cell_timeout_s: float = Field(
        600.0, gt=0, description="Seconds after which a cell of a report is given up."
    )

    silence_minutes: int = Field(
        15,
        ge=0,
        le=1440,
        description="Minutes between looks whether a device has fallen silent; 0: never.",
    )
    minimum_n: int = Field(
        20, ge=1, description="Patients a practice needs before it gets a verdict (ICRP 135)."
    )
    child_age_y: float = Field(
        16.0, gt=0, le=21, description="Patients younger than this are children, years."
    )
    measure_every_image: int = Field(
        5,
        ge=0,
        description="Every n-th axial CT image is measured for the patient's size (AAPM 220) before"
        " its pixels are dropped; 0: none.",
    )
    accept_names_from: float = Field(
        0.95,
        gt=0,
        le=1,
        description="Confidence from which a procedure name counts without a person; names below"
        " it wait in `dose map review`.",
    )
    learn_names_cron: str = Field(
        "20 2 * * *",
        description="When names are learned from the site's own (`dose map learn`): five fields of"
        " cron in the site's zone; empty: never by itself.",
    )
    trigger_sets: tuple[str, ...] = Field(
        ("AAPM-MPPG12a-2022", "SIR-NCRP168", "AAPM-DOSECHECK-2011", "DOSELOOP-MULTIPLES"),
        description="Published sets of triggers for single exams; the site's own rows of kind"
        " `trigger` always count.",
    )
    effective_dose_factors: Literal[
        "AAPM-96", "LEE-2012-ICRP103", "LEE-2012-ICRP60", "DEAK-2010"
    ] = Field(
        "AAPM-96",
        description="Published factors from DLP to effective dose; only AAPM-96 has children."
        " DEAK-2010 was transcribed from memory: check it before use.",
    )
    small_cell_n: int = Field(
        5, ge=0, description="Statistics of fewer studies than this are hidden in shared output."
    )

    llm: str | None = Field(
        None, description="LangChain chat model, such as `ollama:qwen3:4b`; unset: none is used."
    )
    llm_base_url: str | None = Field(None, description="Address of the chat model's server.")
    llm_api_key: SecretStr | None = Field(
        None, description="Key of the chat model; give it by environment, never in a file."
    )
    llm_is_local: bool = Field(
        False, description="True if the model runs in the hospital: the outbound gate may relax."
    )
    llm_timeout_s: float = Field(20.0, gt=0, description="Seconds to wait for the chat model.")

    @field_validator(
        "dicom_peers",
        "dicom_image_peers",
        "size_issuers",
        "hl7_peers",
        "trigger_sets",
        "watch_folders",
        mode="before",
    )
    @classmethod
    def _split_list(cls, value: object) -> object:
        """A list from the environment is one text with commas."""
        if isinstance(value, str):
            return tuple(word for word in (w.strip() for w in value.split(",")) if word)
        return value

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError("no IANA time zone; write it as in Europe/Berlin") from None
        return name

    @property
    def config_file(self) -> Path:
        """`doseloop.toml`."""
        return self.home / "doseloop.toml"

    @property
    def site_dir(self) -> Path:
        """What the site owns: devices, local levels, schedule."""
        return self.home / "site"

    @property
    def keys_dir(self) -> Path:
        """Key files, mode 0700; back them up apart from the data."""
        return self.home / "keys"

    @property
    def spool_dir(self) -> Path:
        """Received bytes that wait to be read."""
        return self.home / "spool"

    @property
    def steps_dir(self) -> Path:
        """Performed procedure steps under way, as their messages left them; mode 0700."""
        return self.home / "steps"

    @property
    def sizes_dir(self) -> Path:
        """Sizes of patients, under their keys, that wait to go into the store; mode 0700."""
        return self.home / "sizes"

    @property
    def archive_dir(self) -> Path:
        """Every object that was read, with its sidecar."""
        return self.home / "archive"

    @property
    def journal_dir(self) -> Path:
        """Journals of what no received object tells, such as decisions; mode 0700."""
        return self.home / "journal"

    @property
    def base_dir(self) -> Path:
        """What was read of objects whose bytes are no longer kept; a rebuild starts from it."""
        return self.home / "base"

    @property
    def quarantine_dir(self) -> Path:
        """Objects that could not be read, with the reason."""
        return self.home / "quarantine"

    @property
    def store_file(self) -> Path:
        """The DuckDB store; one process owns it."""
        return self.home / "store" / "doseloop.duckdb"

    @property
    def vault_dir(self) -> Path:
        """The identity vault, encrypted, and what waits to go into it; one process opens it."""
        return self.home / "vault"

    @property
    def collect_dir(self) -> Path:
        """What was asked of each PACS, day by day, and what became of every study."""
        return self.home / "collect"

    @property
    def people_file(self) -> Path:
        """`site/people.toml`: who may look up identities."""
        return self.site_dir / "people.toml"

    @property
    def run_dir(self) -> Path:
        """Endpoints and tokens of the running service, mode 0700."""
        return self.home / "run"

    @property
    def reports_dir(self) -> Path:
        """Reports and their run records."""
        return self.home / "reports"

    @property
    def logs_dir(self) -> Path:
        """Structured logs; no identifiers of patients."""
        return self.home / "logs"

    @property
    def is_exposed(self) -> bool:
        """True if a web page or the health door would listen beyond loopback."""
        return any(h not in _LOOPBACK for h in (self.health_host, self.dashboards_host))


def load_settings(home: Path | None = None, **overrides: Any) -> Settings:
    """Settings of an installation from its file, the environment and `overrides`.

    Parameters
    ----------
    home
        Folder of the installation; default `default_home()`.
    **overrides
        Settings by name; they win over file and environment.

    Raises
    ------
    SettingsError
        For an unknown name or a value that does not fit, with file, name and value.
    """
    folder = (home or default_home()).expanduser()
    file = folder / "doseloop.toml"
    values: dict[str, Any] = _from_file(file) | _from_environment() | overrides
    values["home"] = folder
    for name in values:
        if name not in Settings.model_fields:
            raise SettingsError(
                f"unknown setting {name!r}",
                where=str(file),
                todo=did_you_mean(name, Settings.model_fields),
            )
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "?"
        seen = "a secret" if "key" in name else repr(first.get("input"))
        raise SettingsError(
            f"{name} = {seen} is not usable: {first['msg']}",
            where=str(file),
            todo=f"{name}: {Settings.model_fields[name].description}" if name != "?" else None,
        ) from None


def _from_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"the settings file cannot be read ({error})", expected="TOML", where=str(file)
        ) from None


def _from_environment() -> dict[str, Any]:
    found = {name: os.environ.get(f"DOSE_{name.upper()}") for name in Settings.model_fields}
    return {name: value for name, value in found.items() if value is not None and name != "home"}
