"""Watched folders: taken once and whole, kept until safe, put away as the site wants it."""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dose_lib.errors import SettingsError
from dose_lib.settings import Settings
from pipelines.collect.watch import TAKEN, Watcher, watched_folders
from pipelines.spool import Spool
from tests.pipelines.objects import dose_report, encode

OBJECT = encode(dose_report(1))
SETTLE_S = 0.05


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "in box"
    place.mkdir()
    yield place


def watching(settings: Settings, folder: Path, **given: object) -> Settings:
    values = {"watch_folders": (str(folder),), "watch_settle_s": SETTLE_S, **given}
    return settings.model_copy(update=values)


def look(watcher: Watcher, *changed: Path) -> int:
    """Look, wait until what was seen counts as whole, and look again."""
    first = watcher.look(changed)
    time.sleep(SETTLE_S * 1.5)
    return first + watcher.look()


def spooled(settings: Settings) -> list[bytes]:
    spool = Spool(settings.spool_dir)
    return [spool.load(p).data for p in spool.waiting()]


def test_a_file_is_taken_once(settings: Settings, folder: Path) -> None:
    chosen = watching(settings, folder)
    (folder / "deep").mkdir()
    file = folder / "deep" / "IM1"
    file.write_bytes(OBJECT)
    with Watcher(chosen) as watcher:
        assert look(watcher) == 1
        assert look(watcher, file) == 0
    with Watcher(chosen) as watcher:  # after a restart
        assert look(watcher) == 0
        file.write_bytes(encode(dose_report(2)))
        assert look(watcher, file) == 1
    assert len(spooled(chosen)) == 2
    assert file.exists()


def test_a_file_that_grows_is_waited_for(settings: Settings, folder: Path) -> None:
    chosen = watching(settings, folder, watch_settle_s=0.2)
    file = folder / "IM1"
    file.write_bytes(OBJECT[:200])
    with Watcher(chosen) as watcher:
        for size in range(300, len(OBJECT), 100):
            assert watcher.look([file]) == 0
            time.sleep(0.02)
            file.write_bytes(OBJECT[:size])
        file.write_bytes(OBJECT)
        watcher.look([file])
        time.sleep(0.25)
        assert watcher.look() == 1
    assert spooled(chosen) == [OBJECT]


@pytest.mark.parametrize("name", ["IM1.part", "IM1.TMP", ".IM1.swp", ".hidden", "IM1.filepart"])
def test_a_name_of_unfinished_work_is_left_until_renamed(
    settings: Settings, folder: Path, name: str
) -> None:
    chosen = watching(settings, folder)
    (folder / name).write_bytes(OBJECT)
    with Watcher(chosen) as watcher:
        assert look(watcher) == 0
        (folder / name).rename(folder / "IM1.dcm")
        assert look(watcher, folder / "IM1.dcm") == 1


def test_what_was_taken_is_moved_or_deleted(settings: Settings, folder: Path) -> None:
    (folder / "a").mkdir()
    chosen = watching(settings, folder, watch_afterwards="move")
    for number in (1, 2):  # the same name again
        (folder / "a" / "IM1").write_bytes(encode(dose_report(number)))
        with Watcher(chosen) as watcher:
            assert look(watcher) == 1
    kept = [str(p.relative_to(folder)) for p in sorted(folder.rglob("IM*"))]
    assert kept == [f"{TAKEN}/a/IM1", f"{TAKEN}/a/IM1-2"]
    chosen = watching(settings, folder, watch_afterwards="delete")
    (folder / "IM3").write_bytes(encode(dose_report(3)))
    with Watcher(chosen) as watcher:
        assert look(watcher) == 1
        assert look(watcher) == 0  # what was moved is not looked at
    assert not (folder / "IM3").exists()
    assert len(spooled(chosen)) == 3


def test_what_is_no_object_stays_and_is_told(settings: Settings, folder: Path) -> None:
    chosen = watching(settings, folder, watch_afterwards="delete")
    (folder / "letter.txt").write_text("Dear Sir")
    with zipfile.ZipFile(folder / "cd.zip", "w") as archive:
        archive.writestr("IM1", OBJECT)
        archive.writestr("readme.txt", "no object")
    with Watcher(chosen) as watcher:
        assert look(watcher) == 1
        assert (watcher.n_taken, watcher.n_left_out) == (1, 2)
        assert look(watcher) == 0
    assert {p.name for p in folder.iterdir()} == {"letter.txt", "cd.zip"}


def test_without_room_the_files_stay_where_they_are(settings: Settings, folder: Path) -> None:
    chosen = watching(settings, folder, watch_afterwards="delete", spool_reserve_mb=10**9)
    (folder / "IM1").write_bytes(OBJECT)
    with Watcher(chosen) as watcher:
        assert look(watcher) == 0
        assert watcher.problem == "no room for a further object"
        assert watcher.facts()["waiting"] == 1
    assert (folder / "IM1").exists()


def test_a_folder_that_goes_away_is_told_and_comes_back(settings: Settings, folder: Path) -> None:
    chosen = watching(settings, folder)
    folder.rmdir()
    with Watcher(chosen) as watcher:
        watcher.look()
        assert watcher.problem == "1 of 1 watched folders are not there"


@pytest.mark.parametrize("below", ["", "spool", "../home"])
def test_our_own_folders_cannot_be_watched(settings: Settings, below: str) -> None:
    chosen = watching(settings, Path(os.path.normpath(settings.home / below)))
    with pytest.raises(SettingsError, match="overlap"):
        watched_folders(chosen)


@pytest.mark.service
def test_the_service_watches(settings: Settings, folder: Path) -> None:
    import dose_lib
    from dose_lib.simulate.writer import make_ct_rdsr
    from tests.pipelines.running import service

    settings.home.mkdir(parents=True)
    settings.config_file.write_text(f'watch_folders = ["{folder}"]\nwatch_settle_s = 0.2\n')
    with service(settings) as running:
        running.wait_until_ready()
        (folder / "report.dcm").write_bytes(make_ct_rdsr())
        con = dose_lib.connect(settings=settings)
        deadline = time.monotonic() + 60
        while not con.table("studies").to_pyarrow().num_rows:
            assert time.monotonic() < deadline
            time.sleep(0.1)
