"""Secrets in files: made once, private, never replaced in silence."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dose_lib.errors import StoreError
from dose_lib.settings import Settings
from dose_lib.store import site_key
from dose_lib.store.keyfile import private_folder, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_site_key_is_made_once(settings: Settings) -> None:
    key = site_key(settings)
    assert len(key) == 32
    assert site_key(settings) == key
    assert mode(settings.keys_dir) == 0o700
    assert mode(settings.keys_dir / "site.key") == 0o600
    assert [p.name for p in settings.keys_dir.iterdir()] == ["site.key"]


def test_processes_that_start_at_once_get_the_same_key(settings: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: site_key(settings), range(16)))
    assert len(keys) == 1


def test_two_installations_have_two_keys(settings: Settings, tmp_path: Path) -> None:
    assert site_key(settings) != site_key(Settings(home=tmp_path / "other"))


def test_a_key_that_others_may_read_is_refused(settings: Settings) -> None:
    site_key(settings)
    (settings.keys_dir / "site.key").chmod(0o644)
    with pytest.raises(StoreError, match="readable by other users"):
        site_key(settings)


@pytest.mark.parametrize("content", ["", "abc", "zz" * 32, "00" * 31])
def test_a_damaged_key_is_not_replaced(settings: Settings, content: str) -> None:
    write_private(settings.keys_dir / "site.key", content.encode())
    with pytest.raises(StoreError, match="holds no key"):
        site_key(settings)
    assert (settings.keys_dir / "site.key").read_text() == content


def test_a_folder_that_was_open_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o755)
    assert mode(private_folder(folder)) == 0o700


def test_a_private_file_appears_whole(tmp_path: Path) -> None:
    write_private(tmp_path / "a" / "f", b"one")
    write_private(tmp_path / "a" / "f", b"two")
    assert (tmp_path / "a" / "f").read_bytes() == b"two"
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["f"]
