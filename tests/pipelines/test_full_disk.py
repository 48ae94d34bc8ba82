"""A disk that is really full: a small tmpfs below the spool, and below the store."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import duckdb
import pytest
from pydicom import dcmread

from dose_lib.settings import Settings
from dose_lib.simulate.writer import make_ct_rdsr
from dose_lib.store.transaction import transaction
from pipelines.archive import Quarantine
from pipelines.disk import make_folder
from pipelines.receive import Receiver
from pipelines.spool import Spool
from pipelines.status import read_accounts
from tests.pipelines.callers import associate, send
from tests.pipelines.objects import dose_report
from tests.pipelines.running import service
from tests.pipelines.test_ingest import put


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of that size; skips where mounting is not allowed."""
    make_folder(folder)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting is not allowed here; the seam of `Disk` shows a full disk too")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, *, but: int = 0) -> Path:
    """A file that leaves `but` bytes of room."""
    filler = folder / "filler"
    facts = os.statvfs(folder)
    with filler.open("wb") as file:
        file.write(bytes(max(0, facts.f_bavail * facts.f_frsize - but)))
    return filler


def test_spool_on_a_full_disk_refuses_and_resumes(settings: Settings) -> None:
    """Without any reserve: the write itself fails in the middle of the object."""
    with small_disk(settings.spool_dir, 2) as disk:
        spool = Spool(settings.spool_dir)
        with Receiver(settings, spool) as receiver, associate(receiver.port) as association:
            report = dose_report(1, text="x" * 200_000)
            filler = fill(disk, but=100_000)
            answer = send(association, report)
            assert answer.Status == 0xA700
            assert "try again" in answer.ErrorComment
            assert [p.name for p in disk.iterdir()] == ["filler"], "nothing half written"
            assert send(association, dose_report(2)).Status == 0, "a small one has room"
            filler.unlink()
            assert send(association, report).Status == 0
            assert receiver.counts["refused"] == 1
            assert len(spool.waiting()) == 2
        assert read_accounts(settings).missing == 0


def test_a_commit_without_room_is_told_as_trouble_of_the_disk(tmp_path: Path) -> None:
    """At the very end, too, where DuckDB calls it a failed transaction."""
    with small_disk(tmp_path / "disk", 12) as disk, duckdb.connect(str(disk / "a.duckdb")) as con:
        con.execute("CREATE TABLE line (text VARCHAR)")
        fill(disk, but=100_000)
        for _ in range(2):
            with pytest.raises(duckdb.IOException, match="Could not write"), transaction(con):
                con.execute("INSERT INTO line SELECT repeat('x', 300) FROM range(2000)")
        with transaction(con):
            con.execute("INSERT INTO line VALUES ('a small one has room')")
        assert con.execute("SELECT count(*) FROM line").fetchall() == [(1,)]


@pytest.mark.service
@pytest.mark.slow
def test_store_on_a_full_disk_waits_and_resumes(settings: Settings) -> None:
    """The listener goes on; the service says what is wrong, and stores all when there is room."""
    store = settings.store_file.parent
    with small_disk(store, 40), service(settings) as running:
        put(settings, make_ct_rdsr(seed=0))
        until(lambda: read_accounts(settings).stored == 1)
        filler = fill(store)
        with associate(running.port) as association:
            for number in range(5):
                sent = dcmread(BytesIO(make_ct_rdsr(seed=100 + number)))
                assert send(association, sent).Status == 0
        put(settings, *(make_ct_rdsr(seed=n) for n in range(1, 30)))
        until(lambda: not running.state().is_healthy)
        problem = next(p.problem for p in running.state().parts if p.part == "store")
        assert problem
        filler.unlink()
        until(lambda: running.state().is_healthy and not Spool(settings.spool_dir).waiting(), 120)
        accounts = read_accounts(settings)
        why = [item.failure for item in Quarantine(settings.quarantine_dir).items()]
        assert why == []
        assert (accounts.stored, accounts.waiting, accounts.missing) == (35, 0, 0)


def until(condition: object, limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.1)
