"""`dose identify` and `dose vault` as a person at the terminal meets them."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from dose_lib.errors import DoseError
from dose_lib.settings import Settings
from dose_lib.vault import Inbox, add_person, seal_entries
from dose_lib.vault.people import Caller, Role
from pipelines.commands import identities, terminal
from tests.vault.people import PATIENT, STAFF, WHY, entry, key

ME = Caller(os.getuid(), os.getpid()).os_user
Run = Callable[..., Result]


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setitem(terminal._chosen, "home", settings.home)
    monkeypatch.setattr(terminal.out, "width", 250)
    Inbox(settings).put([seal_entries(settings, [entry(1), entry(2, patient=2)])])
    app = typer.Typer()
    identities.add_to(app)

    def invoke(*arguments: str, answer: str | None = None) -> Result:
        result = CliRunner().invoke(app, arguments, input=answer)
        if isinstance(result.exception, DoseError):
            result.exit_code = result.exception.exit_code
        elif result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def admin(settings: Settings, run: Run) -> Run:
    add_person(settings, "A. Admin", Role.ADMIN, user=ME)
    return run


def test_nobody_is_shown_before_somebody_is_allowed(run: Run) -> None:
    result = run("identify", PATIENT, "--reason", WHY)
    assert result.exit_code == 12
    assert "Quillfeather" not in result.output
    run("vault", "allow", "A. Admin", "--role", "admin", "--account", ME)
    assert "Quillfeather" in run("identify", PATIENT, "--reason", WHY).output


def test_a_key_is_shown_as_text_and_as_json(admin: Run) -> None:
    shown = admin("identify", PATIENT[:10], STAFF, "--reason", WHY).output
    for word in ("PZ-778-341", "1961-03-04", "ACC-90210-X", "Marchbanks^Thaddeus", "2026-05-04"):
        assert word in shown
    found = json.loads(admin("identify", PATIENT, "--reason", WHY, "--json").output)
    assert found[0]["patients"][0]["patient_name"] == "Quillfeather^Ottoline"
    assert "nothing is known" in admin("identify", key("patient", 9), "--reason", WHY).output


def test_text_of_an_object_is_not_taken_for_markup(settings: Settings, admin: Run) -> None:
    odd = entry(3, patient=3, patient_name="[bold red]Odd[/]^[link=x]Name")
    Inbox(settings).put([seal_entries(settings, [odd])])
    assert "[bold red]Odd[/]" in admin("identify", key("patient", 3), "--reason", WHY).output


def test_a_reason_has_to_be_given(admin: Run) -> None:
    assert admin("identify", PATIENT).exit_code == 2
    assert admin("identify", PATIENT, "--reason", "x").exit_code == 12


def test_search_merge_unmerge_erase(admin: Run) -> None:
    other = key("patient", 2)
    found = admin("vault", "search", "patient_name", "quillf", "--reason", WHY).output
    assert PATIENT in found.replace("\n", "")
    assert "Nobody" in admin("vault", "search", "patient_id", "no one", "--reason", WHY).output
    assert admin("vault", "merge", PATIENT, other, "--reason", WHY).exit_code == 0
    assert "Merged from 2" in admin("identify", other, "--reason", WHY).output
    assert admin("vault", "unmerge", PATIENT, other, "--reason", WHY).exit_code == 0
    refused = admin("vault", "erase", PATIENT, "--reason", WHY, answer="n\n")
    assert refused.exit_code == 1
    done = admin("vault", "erase", PATIENT, "--reason", WHY, "--scope", "everything", "--yes")
    assert "1 exam(s). 1 received object(s)" in done.output
    assert "Nobody" in admin("vault", "search", "patient_name", "quillf", "--reason", WHY).output


def test_the_audit_is_shown_and_exported(admin: Run, tmp_path: Path) -> None:
    admin("identify", PATIENT, "--reason", "=HYPERLINK(1)")
    shown = admin("vault", "audit").output
    assert "show patient" in shown
    assert "A. Admin" in shown
    file = tmp_path / "audit.csv"
    assert admin("vault", "audit", "--csv", str(file)).exit_code == 0
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))
    assert file.stat().st_mode & 0o077 == 0
    assert {r["action"] for r in rows} >= {"show patient", "read audit"}
    assert all(not r["reason"].startswith("=") for r in rows)
    assert admin("vault", "audit", "--csv", str(file)).exit_code == 2
    assert admin("vault", "audit", "--until", "2020-01-01", "--json").output.strip() == "[]"


def test_numbers_and_the_chain_are_checked(admin: Run) -> None:
    shown = admin("vault", "check").output
    assert "unbroken chain" in shown
    assert json.loads(admin("vault", "check", "--json").output)["n_patients"] == 2


def test_a_token_is_shown_once(
    settings: Settings, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = run(
        "vault", "allow", "Locum", "--role", "radiographer", "--until", "2099-12-31"
    ).output
    token = output.strip().splitlines()[-1]
    assert len(token) > 40
    assert token not in settings.people_file.read_text(encoding="utf-8")
    monkeypatch.setenv("DOSE_PERSON_TOKEN", token)
    assert run("identify", PATIENT, "--reason", WHY).exit_code == 12
    shown = run("identify", key("part", 1), "--reason", WHY).output
    assert "ACC-90210-X" in shown
    assert "Quillfeather" not in shown


def test_the_key_is_changed(settings: Settings, admin: Run) -> None:
    before = (settings.keys_dir / "vault.key").read_bytes()
    assert "Back up" in admin("vault", "rekey", "--reason", "yearly change").output
    assert (settings.keys_dir / "vault.key").read_bytes() != before
    assert "Quillfeather" in admin("identify", PATIENT, "--reason", WHY).output


def test_every_command_has_help_with_an_example() -> None:
    app = typer.Typer()
    identities.add_to(app)
    for name in ("search", "merge", "unmerge", "erase", "audit", "check", "allow", "rekey"):
        shown = CliRunner().invoke(app, ["vault", name, "--help"]).output
        assert f"dose vault {name}" in shown
        assert "Exit codes" in shown
