"""The audit: every look-up, the refused ones too, before the answer, and no row can vanish."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from dose_lib.errors import LookUpRefusedError, VaultError
from dose_lib.settings import Settings
from dose_lib.vault import Vault, add_person, audit, read
from dose_lib.vault.people import Caller, Role
from tests.vault.people import ADMIN, NOBODY, PART, PATIENT, PHYSICIST, START, WHY, Clock, entry


def test_a_look_up_leaves_who_what_when_why(vault: Vault, clock: Clock) -> None:
    vault.put([entry(1)])
    clock.day = 12
    vault.identify([PATIENT, PART], PHYSICIST, "dose above trigger")
    exam, patient = vault.audit(ADMIN)[:2]
    assert (patient.person, patient.role, patient.os_user) == ("P. Physicist", "physicist", "phys")
    assert (patient.key, patient.action, patient.outcome) == (PATIENT, "show patient", "shown")
    assert (exam.key, exam.action, exam.outcome) == (PART, "show exam", "shown")
    assert patient.reason == "dose above trigger"
    assert START + timedelta(days=12) <= patient.asked_at < START + timedelta(days=13)


def test_a_refused_look_up_leaves_a_row_too(vault: Vault) -> None:
    vault.put([entry(1)])
    with pytest.raises(LookUpRefusedError):
        vault.identify([PATIENT], NOBODY, "curious about someone")
    row = vault.audit(ADMIN)[0]
    assert (row.os_user, row.outcome) == ("nobody", "refused: role")
    assert row.reason == "curious about someone"


def test_a_search_leaves_what_it_found_and_not_what_was_typed(vault: Vault) -> None:
    vault.put([entry(1)])
    vault.search("patient_name", "Quillfeather", PHYSICIST, WHY)
    rows = vault.audit(ADMIN)[:2]
    assert [(r.key, r.outcome) for r in rows] == [(PATIENT, "found"), ("patient_name", "1 found")]
    assert "Quillfeather" not in repr(rows)


def test_reading_the_audit_is_in_the_audit(vault: Vault) -> None:
    vault.audit(ADMIN)
    assert vault.audit(ADMIN)[0].action == "read audit"


def test_the_audit_can_be_asked_for_a_key_and_a_time(vault: Vault, clock: Clock) -> None:
    vault.put([entry(1)])
    for day in (11, 12, 13):
        clock.day = day
        vault.identify([PATIENT if day != 12 else PART], PHYSICIST, WHY)
    assert len(vault.audit(ADMIN, key=PATIENT)) == 2
    since = START + timedelta(days=12)
    assert [r.key for r in vault.audit(ADMIN, since=since, until=since + timedelta(days=1))] == [
        PART
    ]


def test_nothing_is_shown_if_it_cannot_be_written_down(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The audit is part of the look-up: without room for its row there is no answer."""
    vault.put([entry(1)])

    def full(*_: object, **__: object) -> None:
        raise VaultError("no room")

    monkeypatch.setattr(audit, "append", full)
    with pytest.raises(VaultError, match="no room"):
        vault.identify([PATIENT], PHYSICIST, WHY)


@pytest.mark.parametrize(
    "attack",
    [
        "DELETE FROM audit WHERE n = 2",
        "DELETE FROM audit WHERE n = 1",
        "UPDATE audit SET reason = 'something nicer' WHERE n = 2",
        "UPDATE audit SET outcome = 'refused: role' WHERE n = 3",
        "INSERT INTO audit SELECT n + 100, * EXCLUDE n FROM audit WHERE n = 1",
        "UPDATE audit SET n = CASE n WHEN 1 THEN 2 WHEN 2 THEN 1 ELSE n END",
    ],
)
def test_a_row_that_was_changed_shows(vault: Vault, attack: str) -> None:
    vault.put([entry(1)])
    for _ in range(4):
        vault.identify([PATIENT], PHYSICIST, WHY)
    assert vault.verify()[0] == 4
    with vault._file.transaction() as con:
        con.execute(attack)
    with pytest.raises(VaultError, match="does not follow"):
        vault.verify()


def test_the_head_shows_that_the_end_was_cut_off(vault: Vault) -> None:
    """The chain of what is left still holds; the head that was logged elsewhere does not fit."""
    vault.put([entry(1)])
    for _ in range(3):
        vault.identify([PATIENT], PHYSICIST, WHY)
    logged = vault.audit_head()
    with vault._file.transaction() as con:
        con.execute("DELETE FROM audit WHERE n = 3")
    assert vault.verify() != logged
    assert logged[0] > vault.verify()[0]


def test_the_audit_outlives_erasure_and_a_new_key(settings: Settings, clock: Clock) -> None:
    with Vault.open(settings, clock=clock) as vault:
        vault.put([entry(1)])
        vault.identify([PATIENT], PHYSICIST, WHY)
        vault.erase(PATIENT, ADMIN, "their own request")
        vault.rekey(ADMIN, "yearly change")
    with Vault.open(settings, clock=clock) as vault:
        assert vault.verify()[0] == 3
        actions = [r.action for r in vault.audit(ADMIN)]
    assert actions == ["change the key", "erase", "show patient"]


def test_a_changed_list_of_people_leaves_a_row(settings: Settings, vault: Vault) -> None:
    me = Caller(os.getuid(), 1)
    vault.recognise(me)
    add_person(settings, "P", Role.PHYSICIST, user=me.os_user)
    vault.recognise(me)
    vault.recognise(me)
    rows = [r for r in vault.audit(ADMIN) if r.action == "roles"]
    assert len(rows) == 2  # the first look, the change, and no more


def test_no_reading_function_writes(vault: Vault) -> None:
    """Rows are appended by `audit.append` only: no code of ours changes or deletes them."""
    from pathlib import Path

    folder = Path(read.__file__).parent
    for path in folder.glob("*.py"):
        text = path.read_text(encoding="utf-8").lower()
        assert "update audit" not in text
        assert "from audit where" not in text.replace("select", "") or "delete" not in text
