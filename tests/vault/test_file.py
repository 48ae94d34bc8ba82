"""The file: unreadable without its key, whole after a crash, refused when it is not ours."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest

from dose_lib.errors import VaultError
from dose_lib.settings import Settings
from dose_lib.vault import Inbox, Vault, engine, keyring, seal_entries
from tests.privacy import find_planted
from tests.vault.people import ADMIN, PATIENT, PLANTED, WHY, entry


def file_of(settings: Settings) -> Path:
    return settings.vault_dir / "identities.duckdb"


def filled(settings: Settings) -> None:
    with Vault.open(settings) as vault:
        vault.put([entry(n) for n in range(1, 20)])


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_search_would_find_it(settings: Settings) -> None:
    """What the next tests rest on: with the key, the same search finds every planted string."""
    filled(settings)
    key = keyring.load_keys(settings)[0].file_key
    hits = find_planted(PLANTED, [settings.vault_dir], keys={file_of(settings): key})
    assert {h.planted for h in hits} == {
        *("Quillfeather^Ottoline", "Marchbanks^Thaddeus", "PZ-778-341", "NHS-4444-1212"),
        *("ACC-90210-X", "SID-55512", "PLACER-8181", "WARD-QZ9", "1961-03-04"),
    }


def test_file_and_log_hold_nothing_readable(settings: Settings) -> None:
    with Vault.open(settings) as vault:
        vault.put([entry(1)])
        vault.search("patient_name", "Quillfeather", ADMIN, WHY)
        assert file_of(settings).with_suffix(".duckdb.wal").stat().st_size > 500
        assert find_planted(PLANTED, [settings.home]) == []
    assert find_planted(PLANTED, [settings.home]) == []


def test_what_waits_in_the_inbox_is_not_readable(settings: Settings) -> None:
    Inbox(settings).put([seal_entries(settings, [entry(n)]) for n in range(1, 9)])
    assert find_planted(PLANTED, [settings.home]) == []


@pytest.mark.slow
def test_after_a_kill_nothing_is_readable_and_nothing_lost(settings: Settings) -> None:
    code = """
import os, pathlib, signal, sys
from dose_lib.settings import load_settings
from dose_lib.vault import Vault
from tests.vault.people import entry
vault = Vault.open(load_settings(pathlib.Path(sys.argv[1])))
for n in range(1, 40):
    vault.put([entry(n)])
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = run(code, str(settings.home))
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert file_of(settings).with_suffix(".duckdb.wal").exists()
    assert find_planted(PLANTED, [settings.home]) == []
    with Vault.open(settings) as vault:
        assert vault.facts().n_exams == 39


@pytest.mark.slow
def test_what_is_spilled_to_disk_is_not_readable(settings: Settings) -> None:
    """DuckDB 1.5.5 spills readable text from an encrypted file unless told otherwise."""
    con = engine.connect(settings.vault_dir)
    engine.attach(con, file_of(settings), keyring.load_keys(settings, create=True)[0])
    con.execute(
        "CREATE TABLE much AS SELECT 'Quillfeather^Ottoline ' || i || repeat('x', 200) AS a"
        " FROM range(1500000) r(i)"
    )
    spilled, seen = [], threading.Event()

    def watch() -> None:
        while not seen.wait(0.01):
            for path in (settings.vault_dir / "tmp").glob("*"):
                try:
                    data = path.read_bytes()
                except FileNotFoundError:
                    continue
                spilled.append((len(data), b"Quillfeather" in data))

    watcher = threading.Thread(target=watch)
    watcher.start()
    con.execute("SELECT count(*) FROM (SELECT a, row_number() OVER (ORDER BY a DESC) FROM much)")
    seen.set()
    watcher.join()
    con.close()
    assert max(size for size, _ in spilled) > 1_000_000
    assert not any(is_readable for _, is_readable in spilled)


def test_the_engine_reaches_nothing_but_its_folder(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("x", encoding="ascii")
    con = engine.connect(settings.vault_dir)
    for attack in (
        f"SELECT * FROM read_text('{tmp_path}/secret.txt')",
        f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
        f"ATTACH '{tmp_path}/other.duckdb' AS other",
        "SELECT * FROM read_text('https://127.0.0.1:1/')",
        "INSTALL spatial",
        "SET temp_file_encryption = false",
        "SET enable_external_access = true",
    ):
        with pytest.raises(duckdb.Error):
            con.execute(attack)
    con.close()


def test_without_the_key_nobody_opens_it(settings: Settings) -> None:
    filled(settings)
    code = "import duckdb, sys; duckdb.connect(sys.argv[1], read_only=True)"
    done = run(code, str(file_of(settings)))
    assert done.returncode != 0
    assert "without a key" in done.stderr


@pytest.mark.slow
def test_two_processes_never_have_it_open(settings: Settings) -> None:
    code = """
import sys, pathlib
from dose_lib.settings import load_settings
from dose_lib.vault import Vault
Vault.open(load_settings(pathlib.Path(sys.argv[1])))
"""
    with Vault.open(settings):
        done = run(code, str(settings.home))
    assert "VaultInUseError" in done.stderr
    assert f"process {os.getpid()} has the identity vault open" in done.stderr


def test_another_key_is_a_clear_error(settings: Settings) -> None:
    filled(settings)
    keyring.write_keys(settings, (keyring.new_key(),))
    with pytest.raises(VaultError, match="made with another key"):
        Vault.open(settings)


def test_a_missing_key_is_never_made_anew(settings: Settings) -> None:
    filled(settings)
    keyring.key_file(settings).unlink()
    keyring.public_file(settings).unlink()
    with pytest.raises(VaultError, match="key of the identity vault is missing"):
        Vault.open(settings)
    with pytest.raises(VaultError, match="key of the identity vault is missing"):
        seal_entries(settings, [entry(1)])
    assert not keyring.key_file(settings).exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty"), (b"not hex\n", "cannot be used"), (b"ab\n", "cannot be used")],
)
def test_a_key_file_without_a_key_is_a_clear_error(
    settings: Settings, content: bytes, said: str
) -> None:
    filled(settings)
    keyring.key_file(settings).write_bytes(content)
    with pytest.raises(VaultError, match=said) as caught:
        Vault.open(settings)
    assert "not hex" not in str(caught.value)


def test_a_key_that_others_may_read_is_refused(settings: Settings) -> None:
    filled(settings)
    keyring.key_file(settings).chmod(0o640)
    with pytest.raises(VaultError, match="readable by other users"):
        Vault.open(settings)


def test_a_key_shows_nothing_of_itself() -> None:
    key = keyring.new_key()
    assert repr(key) == "<Key: hidden>"
    assert key.as_line().decode().strip() not in f"{key!r} {key}"


@pytest.mark.parametrize("place", [0.0001, 0.01, 0.1, 0.3, 0.5, 0.7])
def test_a_byte_that_was_changed_is_noticed(settings: Settings, place: float) -> None:
    filled(settings)
    data = bytearray(file_of(settings).read_bytes())
    data[int(place * len(data))] ^= 1
    file_of(settings).write_bytes(data)
    with (
        pytest.raises(VaultError, match="damaged or was changed") as caught,
        Vault.open(settings) as vault,
    ):
        vault.copy_to(settings.home / "copy")  # reads all of it
    assert "dose rebuild" in str(caught.value)


def test_a_shortened_file_is_a_clear_error(settings: Settings) -> None:
    filled(settings)
    data = file_of(settings).read_bytes()
    file_of(settings).write_bytes(data[: len(data) // 2])
    with pytest.raises(VaultError, match="identity vault"):
        Vault.open(settings)


def test_a_file_that_took_its_place_is_a_clear_error(settings: Settings) -> None:
    filled(settings)
    for content in (b"", b"x" * 20_000):
        file_of(settings).write_bytes(content)
        with pytest.raises(VaultError, match="identity vault"):
            Vault.open(settings)
    file_of(settings).unlink()
    duckdb.connect(str(file_of(settings))).execute("CREATE TABLE t (a INT)").close()
    with pytest.raises(VaultError, match="not encrypted"):
        Vault.open(settings)


def test_a_vault_of_another_installation_is_a_clear_error(
    settings: Settings, tmp_path: Path
) -> None:
    filled(settings)
    other = settings.model_copy(update={"home": tmp_path / "other"})
    filled(other)
    shutil.copyfile(file_of(other), file_of(settings))
    with pytest.raises(VaultError, match="another key"):
        Vault.open(settings)


def test_a_newer_vault_is_a_clear_error(settings: Settings) -> None:
    with Vault.open(settings) as vault, vault._file.transaction() as con:
        con.execute("INSERT INTO schema_migration VALUES (99, '0099_later.sql', 'x', now())")
    with pytest.raises(VaultError, match="this version knows"):
        Vault.open(settings)


def test_the_key_can_be_changed(settings: Settings) -> None:
    filled(settings)
    before = keyring.load_keys(settings)[0]
    waiting = seal_entries(settings, [entry(30)])  # sealed for the key before
    with Vault.open(settings) as vault:
        vault.rekey(ADMIN, "key may have been seen")
        Inbox(settings).put([waiting])
        assert vault.drain() == 1
    assert keyring.load_keys(settings)[0].public != before.public
    assert keyring.public_file(settings).read_bytes() == keyring.load_keys(settings)[0].public
    with Vault.open(settings) as vault:
        assert vault.facts().n_exams == 20
        assert vault.facts().n_unopened == 0
    keyring.write_keys(settings, (before,))
    with pytest.raises(VaultError, match="another key"):
        Vault.open(settings)


def test_a_change_of_keys_that_was_cut_short_is_finished(settings: Settings) -> None:
    """The crash came after the key file was written and before the vault was."""
    filled(settings)
    before, fresh = keyring.load_keys(settings)[0], keyring.new_key()
    keyring.write_keys(settings, (fresh, before))
    with Vault.open(settings) as vault:
        assert vault.facts().n_exams == 19
    keyring.write_keys(settings, (fresh,))
    with Vault.open(settings) as vault:
        assert vault.facts().n_exams == 19


def test_a_compaction_that_was_cut_short_is_done_at_the_next_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(settings)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, Vault.open(settings) as vault:
        patch.setattr(engine, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            vault.erase(PATIENT, ADMIN, WHY)
        assert not vault.identify([PATIENT], ADMIN, WHY)[0].is_known
    before = file_of(settings).stat().st_ino
    with Vault.open(settings) as vault:
        assert file_of(settings).stat().st_ino != before
        assert vault.facts().n_exams == 0
    before = file_of(settings).stat().st_ino
    Vault.open(settings).close()
    assert file_of(settings).stat().st_ino == before


def test_why_a_file_is_written_anew(tmp_path: Path) -> None:
    """A plain file shows what DuckDB does: deleted rows stay in it, and not in a copy."""
    con = duckdb.connect(str(tmp_path / "plain.duckdb"))
    con.execute("SET force_compression = 'uncompressed'")
    con.execute("CREATE TABLE t AS SELECT 'Quillfeather ' || i AS a FROM range(20000) r(i)")
    con.execute("CHECKPOINT")
    con.execute("CREATE TABLE u AS FROM range(10)")
    con.execute("DELETE FROM t")
    con.execute("CHECKPOINT")
    con.execute(f"ATTACH '{tmp_path}/fresh.duckdb' AS fresh")
    con.execute("COPY FROM DATABASE plain TO fresh")
    con.execute("DETACH fresh")
    con.close()
    assert b"Quillfeather" in (tmp_path / "plain.duckdb").read_bytes()
    assert b"Quillfeather" not in (tmp_path / "fresh.duckdb").read_bytes()


def test_a_copy_for_a_backup_opens_with_the_key(settings: Settings, tmp_path: Path) -> None:
    filled(settings)
    with Vault.open(settings) as vault:
        target = tmp_path / "identities.duckdb"
        vault.copy_to(target)
        vault.put([entry(50)])
        with pytest.raises(VaultError, match="would replace"):
            vault.copy_to(target)
    assert target.stat().st_mode & 0o777 == 0o600
    assert find_planted(PLANTED, [target]) == []
    restored = settings.model_copy(update={"home": tmp_path / "restored"})
    shutil.copytree(settings.keys_dir, restored.keys_dir)
    restored.keys_dir.chmod(0o700)
    restored.vault_dir.mkdir(mode=0o700)
    shutil.copy2(target, file_of(restored))
    with Vault.open(restored) as vault:
        assert vault.facts().n_exams == 19
