"""The hand-over: sealed, durable before the spool lets go, taken in once."""

from __future__ import annotations

import errno
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dose_lib.errors import OutOfRoomError, VaultError
from dose_lib.settings import Settings
from dose_lib.vault import Inbox, Vault, keyring, seal_entries
from tests.vault.people import entry


def test_what_is_handed_over_is_in_the_vault(settings: Settings, vault: Vault) -> None:
    inbox = Inbox(settings)
    inbox.put([seal_entries(settings, [entry(n)]) for n in range(1, 6)])
    inbox.put([seal_entries(settings, [entry(n) for n in range(6, 9)])])
    assert inbox.put([]) is None
    assert vault.n_waiting() == (2, 0)
    assert vault.drain() == 2
    assert vault.n_waiting() == (0, 0)
    assert vault.facts().n_exams == 8


def test_objects_can_be_received_before_the_vault_ever_ran(settings: Settings) -> None:
    Inbox(settings).put([seal_entries(settings, [entry(1)])])
    with Vault.open(settings) as vault:
        assert vault.drain() == 1
        assert vault.facts().n_exams == 1


def test_many_that_start_at_once_agree_on_one_key(settings: Settings) -> None:
    start = threading.Barrier(8)

    def first() -> bytes:
        start.wait()
        return keyring.load_keys(settings, create=True)[0].public

    with ThreadPoolExecutor(8) as pool:
        found = {one.result() for one in [pool.submit(first) for _ in range(8)]}
    assert len(found) == 1
    assert [p.name for p in settings.keys_dir.iterdir()] == ["vault.key"]


def test_many_files_are_taken_in_steps(settings: Settings, vault: Vault) -> None:
    inbox = Inbox(settings)
    for n in range(1, 8):
        inbox.put([seal_entries(settings, [entry(n)])])
    assert [vault.drain(most=3) for _ in range(4)] == [3, 3, 1, 0]


def test_the_order_of_the_hand_over_is_durable(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 cannot test a flush; the order of the calls can: write, flush, name, flush folder."""
    inbox, sealed, calls = Inbox(settings), seal_entries(settings, [entry(1)]), []
    fsync, rename = os.fsync, Path.replace

    def flush(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").resolve()
        calls.append("flush folder" if path.is_dir() else "flush file")
        fsync(handle)

    def name(source: Path, target: Path) -> Path:
        calls.append("rename")
        return rename(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(Path, "replace", name)
    inbox.put([sealed])
    calls.append("returned")
    assert calls == ["flush file", "rename", "flush folder", "returned"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_without_room_nothing_is_let_go(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    inbox, sealed = Inbox(settings), seal_entries(settings, [entry(1)])

    def full(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutOfRoomError, match="nothing is lost"):
        inbox.put([sealed])
    assert list(inbox.folder.iterdir()) == []


def test_a_file_is_removed_only_after_its_content_is_kept(
    settings: Settings, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    Inbox(settings).put([seal_entries(settings, [entry(1)])])

    def crash(_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(vault, "put", crash)
        with pytest.raises(KeyboardInterrupt):
            vault.drain()
    assert vault.n_waiting() == (1, 0)
    assert vault.drain() == 1


def test_what_was_taken_in_and_not_removed_changes_nothing(
    settings: Settings, vault: Vault
) -> None:
    inbox = Inbox(settings)
    path = inbox.put([seal_entries(settings, [entry(1)])])
    assert path is not None
    again = path.read_bytes()
    vault.drain()
    before = vault.facts()
    path.write_bytes(again)
    assert vault.drain() == 1
    assert vault.facts() == before


@pytest.mark.parametrize("damage", ["cut", "changed", "nothing", "noise"])
def test_a_damaged_file_is_set_aside_and_the_rest_goes_on(
    settings: Settings, vault: Vault, damage: str
) -> None:
    inbox = Inbox(settings)
    bad = inbox.put([seal_entries(settings, [entry(1)])])
    assert bad is not None
    data = bad.read_bytes()
    changed = bytearray(data)
    changed[len(data) // 2] ^= 1
    bad.write_bytes(
        {"cut": data[:-40], "changed": bytes(changed), "nothing": b"", "noise": b"x" * 99}[damage]
    )
    inbox.put([seal_entries(settings, [entry(2)])])
    assert vault.drain() == 1
    assert vault.facts().n_exams == 1
    assert vault.n_waiting() == (0, 1)  # shown in health and status
    assert vault.drain() == 0


def test_what_could_not_be_opened_is_tried_again_with_the_right_key(settings: Settings) -> None:
    Vault.open(settings).close()
    right = keyring.load_keys(settings)
    keyring.write_keys(settings, (keyring.new_key(),))
    sealed = seal_entries(settings, [entry(1)])
    wrong = keyring.load_keys(settings)
    keyring.write_keys(settings, right)
    Inbox(settings).put([sealed])
    with Vault.open(settings) as vault:
        vault.drain()
        assert vault.n_waiting() == (0, 1)
    keyring.write_keys(settings, (*right, *wrong))
    with Vault.open(settings) as vault:
        assert vault.drain() == 1
        assert vault.facts().n_exams == 1


def test_leftovers_of_a_crash_are_swept_when_they_are_old(settings: Settings) -> None:
    inbox = Inbox(settings)
    young, old = (inbox.folder / f".{n}.sealed.abcd" for n in "yo")
    for path in (young, old):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    Vault.open(settings).close()
    assert young.exists()
    assert not old.exists()


def test_only_the_key_opens_what_was_sealed(settings: Settings) -> None:
    sealed = seal_entries(settings, [entry(1)])
    assert sealed != seal_entries(settings, [entry(1)])  # fresh key each time
    with pytest.raises(VaultError, match="cannot be opened"):
        keyring.new_key().open(sealed)
