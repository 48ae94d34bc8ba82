"""Who may look: the site's list of people and the rights of each role. Nobody by default."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import pwd
import secrets
import tomllib
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from pathlib import Path

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dose_lib.errors import SettingsError, UsageError
from dose_lib.settings import Settings
from dose_lib.store.keyfile import write_private


class Role(StrEnum):
    """What a person is to the vault; `service` is DoseLoop itself."""

    ADMIN = "admin"
    PHYSICIST = "physicist"
    RADIOGRAPHER = "radiographer"
    NONE = "none"
    SERVICE = "service"


class Action(StrEnum):
    """What can be asked of the vault; each is a word in the audit."""

    SHOW_EXAM = "show exam"
    SHOW_PATIENT = "show patient"
    SHOW_STAFF = "show staff"
    STAFF_NAMES = "staff names"
    SEARCH = "search"
    MERGE = "merge"
    ERASE = "erase"
    EXPIRE = "expire"
    APPLY = "apply"
    COPY = "copy"
    READ_AUDIT = "read audit"
    REKEY = "change the key"
    ROLES = "roles"


_LOOK = frozenset({Action.SHOW_EXAM, Action.SHOW_PATIENT, Action.SEARCH})
_NAMES = frozenset({Action.SHOW_STAFF, Action.STAFF_NAMES})
# The service moves and forgets on behalf of others; it is shown nobody.
_RIGHTS: Mapping[Role, frozenset[Action]] = {
    Role.ADMIN: frozenset(Action),
    Role.PHYSICIST: _LOOK,
    Role.RADIOGRAPHER: frozenset({Action.SHOW_EXAM}),
    Role.NONE: frozenset(),
    Role.SERVICE: frozenset({Action.EXPIRE, Action.APPLY, Action.COPY}),
}
# What the site adds by showing its operators by name (`show_operators`).
_RIGHTS_TO_NAMES: Mapping[Role, frozenset[Action]] = {
    Role.PHYSICIST: _NAMES,
    Role.SERVICE: frozenset({Action.STAFF_NAMES}),
}


class Caller(msgspec.Struct, frozen=True):
    """The process at the other end, as the kernel names it, and the token it showed."""

    uid: int
    pid: int
    token: str | None = None

    @property
    def os_user(self) -> str:
        """Name of its account."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    def __repr__(self) -> str:
        return f"<Caller: {self.os_user}>"


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: as the audit names them."""

    name: str
    role: Role
    os_user: str
    pid: int


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=80)
    role: Role
    user: str | None = Field(None, min_length=1, max_length=80)
    token_sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    until: date | None = None

    @model_validator(mode="after")
    def _is_recognisable(self) -> _Entry:
        if (self.user is None) == (self.token_sha256 is None):
            raise ValueError("give either `user` (an account) or `token_sha256`")
        if self.role is Role.SERVICE:
            raise ValueError("the role `service` belongs to DoseLoop itself")
        return self


class _People(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    person: tuple[_Entry, ...] = ()

    @model_validator(mode="after")
    def _are_distinct(self) -> _People:
        known = [e.user or e.token_sha256 for e in self.person]
        if len(known) != len(set(known)):
            raise ValueError("an account or token stands in two entries")
        return self


def may(role: Role, action: Action, settings: Settings) -> bool:
    """True if a role reaches an action, with the site's setting on names of staff."""
    rights = _RIGHTS[role]
    if settings.show_operators == "name":
        rights |= _RIGHTS_TO_NAMES.get(role, frozenset())
    return action in rights


def recognise(caller: Caller, settings: Settings, *, today: date | None = None) -> Person:
    """The person behind a caller, by token if one was shown, else by account.

    Who is not in `site/people.toml`, no longer is, or shows a wrong token, has the role
    `none`.

    Raises
    ------
    SettingsError
        If the file cannot be trusted or read: then nobody may look.
    """
    people = _read(settings.people_file)
    known = [e for e in people.person if _is_meant(e, caller)]
    day = today or date.today()
    valid = [e for e in known if e.until is None or e.until >= day]
    if valid:
        name, role = valid[0].name, valid[0].role
    else:
        name, role = known[0].name if known else caller.os_user, Role.NONE
    return Person(name=name, role=role, os_user=caller.os_user, pid=caller.pid)


def service() -> Person:
    """DoseLoop itself, in this process."""
    caller = Caller(os.getuid(), os.getpid())
    return Person(name="DoseLoop", role=Role.SERVICE, os_user=caller.os_user, pid=caller.pid)


def people_digest(settings: Settings) -> str:
    """Hash of the list of people, so that the audit shows when it changed."""
    try:
        return hashlib.sha256(settings.people_file.read_bytes()).hexdigest()[:16]
    except OSError:
        return "none"


def add_person(
    settings: Settings, name: str, role: Role, *, user: str | None = None, until: date | None = None
) -> str | None:
    """Add a person to `site/people.toml`; returns the token, where no account is given.

    Parameters
    ----------
    settings
        Of the installation.
    name
        As the audit shall name the person.
    role
        What they may do.
    user
        Their account on this machine; None makes a token, of which only a hash is kept.
    until
        Last day it holds.

    Raises
    ------
    UsageError
        If the account is in the list already, or the role cannot be given.
    """
    token = None if user else secrets.token_urlsafe(32)
    fields = {"name": name, "user": user, "role": role.value}
    if token is not None:
        fields["token_sha256"] = hashlib.sha256(token.encode()).hexdigest()
    lines = ["[[person]]", *(f"{k} = {json.dumps(v)}" for k, v in fields.items() if v)]
    lines += [f"until = {until.isoformat()}"] if until else []
    path = settings.people_file
    before = path.read_text(encoding="utf-8").rstrip() + "\n\n" if path.exists() else ""
    text = before + "\n".join(lines) + "\n"
    try:
        _parse(text)
    except (ValidationError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"the person cannot be added: {_reason(error)}", where=str(path)) from None
    write_private(path, text.encode())
    return token


def _is_meant(entry: _Entry, caller: Caller) -> bool:
    if caller.token is None:
        return entry.user == caller.os_user
    shown = hashlib.sha256(caller.token.encode()).hexdigest()
    return entry.token_sha256 is not None and hmac.compare_digest(entry.token_sha256, shown)


def _read(path: Path) -> _People:
    try:
        facts = path.stat()
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return _People()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"the list of people cannot be read ({error})", where=str(path)
        ) from None
    if facts.st_mode & 0o022 or facts.st_uid not in (0, os.getuid()):
        raise SettingsError(
            "the list of people can be changed by others",
            expected="a file of DoseLoop's account, writable by nobody else",
            where=str(path),
            todo=f"chmod go-w {path}; until then nobody may look up anyone",
        )
    try:
        return _parse(text)
    except (ValidationError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"the list of people cannot be used: {_reason(error)}",
            expected="[[person]] with name, role (admin, physicist, radiographer, none) and user"
            " or token_sha256",
            where=str(path),
        ) from None


def _parse(text: str) -> _People:
    return _People.model_validate(tomllib.loads(text))


def _reason(error: ValidationError | tomllib.TOMLDecodeError) -> str:
    if isinstance(error, tomllib.TOMLDecodeError):
        return str(error)
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return ".".join([*map(str, first["loc"]), first["msg"]])
