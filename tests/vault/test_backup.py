"""`dose backup` and `dose restore` of identities: encrypted, whole, useless without the key."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
import typer
from typer.testing import CliRunner, Result

from dose_lib.errors import VaultError
from dose_lib.settings import Settings
from dose_lib.store import Store
from dose_lib.vault import Inbox, Vault, add_person, seal_entries
from dose_lib.vault.people import Caller, Role
from pipelines.commands import identities, keeping, terminal
from tests.privacy import find_planted
from tests.vault.people import ADMIN, PATIENT, PLANTED, STAFF, WHY, entry

Run = Callable[..., Result]


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on an installation; by default the one with two exams in its vault."""
    Store.open(settings).close()
    Inbox(settings).put([seal_entries(settings, [entry(1), entry(2, patient=2)])])
    add_person(settings, "A. Admin", Role.ADMIN, user=Caller(os.getuid(), os.getpid()).os_user)
    app = typer.Typer()
    keeping.add_to(app)
    identities.add_to(app)

    def invoke(*arguments: str, home: Path = settings.home) -> Result:
        monkeypatch.setitem(terminal._chosen, "home", home)
        return CliRunner().invoke(app, arguments, catch_exceptions=False)

    return invoke


def known(run: Run, home: Path) -> dict[str, object]:
    """What a look-up shows, but for when it was made."""
    shown = run("identify", PATIENT, STAFF, "--reason", WHY, "--json", home=home)
    assert shown.exit_code == 0
    return dict(enumerate(json.loads(shown.stdout)))


def test_identities_come_back_with_their_key_and_their_audit(
    settings: Settings, run: Run, tmp_path: Path
) -> None:
    before = known(run, settings.home)
    folder, elsewhere = tmp_path / "backup", Settings(home=tmp_path / "elsewhere")
    said = run("backup", str(folder))
    assert "Identities, encrypted" in said.stdout
    copy = folder / "vault" / "identities.duckdb"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700
    with Vault.open(settings) as vault:
        at_backup = vault.audit(ADMIN)
        n_rows, _ = vault.verify()

    # Who finds the backup finds nobody: no key in it, and nothing in the clear.
    assert not list(folder.rglob("*.key"))
    assert find_planted(PLANTED, [folder]) == []
    with pytest.raises(duckdb.Error):
        duckdb.connect(str(copy), read_only=True)

    assert "open with the key" in run("restore", str(folder), home=elsewhere.home).stdout
    with pytest.raises(VaultError, match="key of the identity vault is missing"):
        Vault.open(elsewhere)
    shutil.copytree(settings.keys_dir, elsewhere.keys_dir)
    with Vault.open(elsewhere) as vault:
        restored = {row.n: row for row in vault.audit(ADMIN)}
        told = {row.n: row for row in at_backup}
        both = restored.keys() & told.keys()
        assert len(both) >= 3, "two look-ups, and the copy itself"
        assert all(restored[n] == told[n] for n in both)
        assert vault.verify()[0] >= n_rows - 1, "the chain of the audit is whole"
    assert known(run, elsewhere.home) == before


def test_another_key_opens_nothing(settings: Settings, run: Run, tmp_path: Path) -> None:
    run("backup", str(tmp_path / "backup"))
    other = Settings(home=tmp_path / "other")
    Vault.open(other).close()  # has a key of its own
    (other.vault_dir / "identities.duckdb").unlink()
    assert "Identities are back" in run("restore", str(tmp_path / "backup"), home=other.home).stdout
    with pytest.raises(VaultError, match="key"):
        Vault.open(other)


def test_restoring_leaves_a_vault_that_is_there(
    settings: Settings, run: Run, tmp_path: Path
) -> None:
    run("backup", str(tmp_path / "backup"))
    Inbox(settings).put([seal_entries(settings, [entry(3, patient=3)])])
    with Vault.open(settings) as vault:
        vault.drain()
    assert "Identities are back" not in run("restore", str(tmp_path / "backup")).stdout
    with Vault.open(settings) as vault:
        assert vault.facts().n_patients == 3
