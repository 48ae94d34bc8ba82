"""The store file is damaged, replaced or gone: said clearly, and nothing received is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from dose_lib.errors import ServiceError, StoreError
from dose_lib.settings import Settings
from dose_lib.simulate.writer import make_ct_rdsr
from dose_lib.store import Store
from pipelines.ingest import cannot_write
from pipelines.owner import StoreFile
from pipelines.spool import Spool
from pipelines.status import read_accounts
from tests.pipelines.running import dose, service
from tests.pipelines.test_full_disk import until
from tests.pipelines.test_ingest import put


def made(settings: Settings) -> Path:
    Store.open(settings).close()
    return settings.store_file


def test_a_file_that_is_no_store_stops_the_start_and_names_the_way_out(settings: Settings) -> None:
    file = made(settings)
    for content in (b"no database" * 999, file.read_bytes()[:5000]):
        file.write_bytes(content)
        with pytest.raises(StoreError, match="dose rebuild"):
            Store.open(settings)
    ended = dose(
        settings, "serve", "--without", "scheduler", "--without", "dashboards", check=False
    )
    assert ended.returncode == 4
    assert "dose rebuild" in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr


def test_damage_found_while_writing_is_not_taken_for_a_full_disk(settings: Settings) -> None:
    damage = duckdb.IOException("Corrupt database file: computed checksum 1 does not match 2")
    assert "dose rebuild" in str(cannot_write(damage, settings))
    assert "room" in str(cannot_write(duckdb.IOException("No space left on device"), settings))


def test_another_file_under_the_name_is_noticed(settings: Settings) -> None:
    file = made(settings)
    watched = StoreFile(settings)
    watched.look()
    copy = file.with_suffix(".copy")
    shutil.copy(file, copy)
    copy.replace(file)
    watched._look_at = 0.0
    with pytest.raises(ServiceError, match=r"replaced or removed.*dose rebuild"):
        watched.look()


@pytest.mark.service
@pytest.mark.slow
def test_service_goes_on_with_the_file_that_is_there_and_says_what_is_missing(
    settings: Settings,
) -> None:
    """Someone restores an old file below the running service."""
    with service(settings) as running:
        put(settings, make_ct_rdsr(seed=0))
        until(lambda: read_accounts(settings).stored == 1)
        old = settings.store_file.with_suffix(".old")
        shutil.copy(settings.store_file, old)
        put(settings, make_ct_rdsr(seed=1))
        until(lambda: read_accounts(settings).stored == 2)
        old.replace(settings.store_file)
        settings.store_file.with_suffix(".duckdb.wal").unlink(missing_ok=True)
        until(lambda: any(p.restarts for p in running.state().parts))
        until(lambda: running.state().is_healthy)
        put(settings, make_ct_rdsr(seed=2))
        until(lambda: not Spool(settings.spool_dir).waiting())
        accounts = read_accounts(settings)
        assert accounts.missing > 0
        assert dose(settings, "status", check=False).returncode == 6
    assert dose(settings, "rebuild").returncode == 0
    accounts = read_accounts(settings)
    assert (accounts.missing, accounts.stored, accounts.received) == (0, 3, 3)
