"""Who may look: nobody by default, each role what it needs, and a list that can be trusted."""

from __future__ import annotations

import os
from datetime import date, timedelta
from pathlib import Path

import pytest

from dose_lib.errors import LookUpRefusedError, SettingsError, UsageError
from dose_lib.settings import Settings
from dose_lib.vault import Vault, add_person
from dose_lib.vault.people import Action, Caller, Person, Role, may, recognise
from tests.vault.people import (
    ADMIN,
    NOBODY,
    PART,
    PATIENT,
    PHYSICIST,
    RADIOGRAPHER,
    STAFF,
    WHY,
    entry,
)

ME = Caller(os.getuid(), os.getpid()).os_user


def caller(token: str | None = None, uid: int | None = None) -> Caller:
    return Caller(os.getuid() if uid is None else uid, 4711, token)


def test_nobody_may_look_before_somebody_is_listed(settings: Settings) -> None:
    person = recognise(caller(), settings)
    assert person.role is Role.NONE
    assert not any(may(person.role, action, settings) for action in Action)


def test_an_account_has_the_role_of_its_entry(settings: Settings) -> None:
    assert add_person(settings, "P. Physicist", Role.PHYSICIST, user=ME) is None
    person = recognise(caller(), settings)
    assert (person.name, person.role, person.os_user) == ("P. Physicist", Role.PHYSICIST, ME)
    assert recognise(caller(uid=65534), settings).role is Role.NONE


def test_a_token_shows_who_asks_whatever_the_account(settings: Settings) -> None:
    add_person(settings, "Shared account", Role.RADIOGRAPHER, user=ME)
    token = add_person(settings, "A. Admin", Role.ADMIN)
    assert token is not None
    assert token not in settings.people_file.read_text(encoding="utf-8")
    assert recognise(caller(token), settings).name == "A. Admin"
    assert recognise(caller(token, uid=65534), settings).role is Role.ADMIN
    assert recognise(caller("wrong"), settings).role is Role.NONE  # not that of the account


def test_a_right_ends_on_its_day(settings: Settings) -> None:
    today = date(2026, 5, 4)
    add_person(settings, "Locum", Role.PHYSICIST, user=ME, until=today)
    assert recognise(caller(), settings, today=today).role is Role.PHYSICIST
    assert recognise(caller(), settings, today=today + timedelta(days=1)).role is Role.NONE


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_list_that_others_can_write_lets_nobody_in(settings: Settings, mode: int) -> None:
    add_person(settings, "P", Role.PHYSICIST, user=ME)
    settings.people_file.chmod(mode)
    with pytest.raises(SettingsError, match="can be changed by others"):
        recognise(caller(), settings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[person]\n", "cannot be used"),
        ('[[person]]\nname="x"\nrole="boss"\nuser="x"\n', "role"),
        ('[[person]]\nname="x"\nrole="admin"\n', "either"),
        ('[[person]]\nname="x"\nrole="service"\nuser="x"\n', "itself"),
        ('[[person]]\nname="x"\nrole="admin"\nuser="x"\ncolour="red"\n', "colour"),
        ('[[person]]\nname="x"\nrole="admin"\nuser="x"\n' * 2, "two entries"),
        ("[[people]]\n", "people"),
    ],
)
def test_a_list_with_a_mistake_lets_nobody_in(settings: Settings, text: str, said: str) -> None:
    settings.site_dir.mkdir(parents=True)
    settings.people_file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=said):
        recognise(caller(), settings)


def test_a_person_stands_in_the_list_once(settings: Settings) -> None:
    add_person(settings, "P", Role.PHYSICIST, user=ME)
    with pytest.raises(UsageError, match="two entries"):
        add_person(settings, "P again", Role.ADMIN, user=ME)
    assert recognise(caller(), settings).role is Role.PHYSICIST


def test_a_name_cannot_break_out_of_the_list(settings: Settings) -> None:
    name = 'x"\nrole = "admin"\n[[person]]'
    add_person(settings, name, Role.NONE, user=ME)
    person = recognise(caller(), settings)
    assert (person.name, person.role) == (name, Role.NONE)


ASKS = {
    "patient": lambda v, who: v.identify([PATIENT], who, WHY),
    "exam": lambda v, who: v.identify([PART], who, WHY),
    "staff": lambda v, who: v.identify([STAFF], who, WHY),
    "search": lambda v, who: v.search("patient_id", "PZ-778-341", who, WHY),
    "search staff": lambda v, who: v.search("staff_name", "Marchbanks", who, WHY),
    "names": lambda v, who: v.staff_names(who),
    "merge": lambda v, who: v.merge(PATIENT, "0" * 64, who, WHY),
    "erase": lambda v, who: v.erase(PATIENT, who, WHY),
    "audit": lambda v, who: v.audit(who),
    "rekey": lambda v, who: v.rekey(who, WHY),
}
ALLOWED = {
    Role.ADMIN: set(ASKS),
    Role.PHYSICIST: {"patient", "exam", "search"},
    Role.RADIOGRAPHER: {"exam"},
    Role.NONE: set(),
}
ALLOWED_TO_ADMIN_BY_SETTING = {"names"}


@pytest.mark.parametrize("who", [ADMIN, PHYSICIST, RADIOGRAPHER, NOBODY], ids=lambda p: p.role)
def test_each_role_reaches_what_it_may_and_nothing_else(
    settings: Settings, vault: Vault, who: Person
) -> None:
    vault.put([entry(1)])
    reached = set()
    for name, ask in ASKS.items():
        try:
            ask(vault, who)
            reached.add(name)
        except LookUpRefusedError:
            continue
    assert reached == ALLOWED[who.role]


@pytest.mark.parametrize("reason", ["", "   ", "abc", "x" * 501])
def test_a_look_up_needs_a_reason(vault: Vault, reason: str) -> None:
    with pytest.raises(LookUpRefusedError, match="reason"):
        vault.identify([PATIENT], ADMIN, reason)
    assert vault.audit(ADMIN)[0].outcome == "refused: no reason"


def test_one_key_out_of_reach_refuses_all(vault: Vault) -> None:
    vault.put([entry(1)])
    with pytest.raises(LookUpRefusedError):
        vault.identify([PART, PATIENT], RADIOGRAPHER, WHY)


def test_the_key_and_the_list_are_for_their_owner_only(settings: Settings, vault: Vault) -> None:
    add_person(settings, "P", Role.PHYSICIST, user=ME)
    vault.put([entry(1)])
    private: list[Path] = [
        settings.people_file,
        *settings.keys_dir.iterdir(),
        *settings.vault_dir.glob("identities*"),
    ]
    assert all(p.parent.stat().st_mode & 0o077 == 0 for p in private)
    assert all(p.stat().st_mode & 0o077 == 0 for p in private if p.suffix != ".wal")
