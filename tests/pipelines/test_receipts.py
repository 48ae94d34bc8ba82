"""The receivers' own count against spool and ledger: nothing is missing, and a loss is seen."""

from __future__ import annotations

import errno
import os
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

import dose_lib
from dose_lib.errors import OutOfRoomError
from dose_lib.settings import Settings
from dose_lib.simulate.writer import make_ct_rdsr
from pipelines.disk import Disk
from pipelines.envelope import make_receipt
from pipelines.receipts import receipts_of
from pipelines.spool import Spool
from pipelines.status import read_accounts
from tests.pipelines.test_ingest import finish, ingesting, put
from tests.pipelines.test_spool import RecordingDisk


class Killed(BaseException):
    """The end of the process, in the middle of a call."""


class KilledAtRename(Disk):
    def rename(self, source: Path, target: Path) -> None:
        raise Killed


def test_a_file_that_vanishes_is_missing(settings: Settings) -> None:
    paths = put(settings, *(f"object {n}".encode() for n in range(3)))
    accounts = read_accounts(settings)
    assert (accounts.received, accounts.waiting, accounts.missing) == (3, 3, 0)
    paths[1].unlink()
    accounts = read_accounts(settings)
    assert (accounts.received, accounts.missing) == (2, 1)


def test_what_was_refused_or_cut_off_is_not_counted(settings: Settings) -> None:
    """No room at the rename, and a process that ends between count and rename."""
    full = Spool(settings.spool_dir, disk=RecordingDisk(fail_at="rename", code=errno.ENOSPC))
    with pytest.raises(OutOfRoomError):
        full.put(b"one", make_receipt(b"one", "folder"))
    assert receipts_of(settings.spool_dir).recent() == []
    with pytest.raises(Killed):
        Spool(settings.spool_dir, disk=KilledAtRename()).put(b"two", make_receipt(b"two", "folder"))
    assert len(receipts_of(settings.spool_dir).recent()) == 1
    assert read_accounts(settings).missing == 0, "its temporary file says where it is"
    (left,) = settings.spool_dir.glob("*.part")
    os.utime(left, (0, 0))
    assert Spool(settings.spool_dir).sweep() == 1
    assert receipts_of(settings.spool_dir).recent() == []
    assert read_accounts(settings).missing == 0


def test_a_file_being_written_is_not_swept(settings: Settings) -> None:
    spool = Spool(settings.spool_dir)
    disk, path = Disk(), settings.spool_dir / "x.part"
    handle = disk.create(path)
    assert disk.hold(handle)
    os.utime(path, (0, 0))
    assert spool.sweep() == 0
    disk.close(handle)
    assert spool.sweep() == 1


def test_a_line_that_a_full_disk_cut_hurts_no_other(settings: Settings) -> None:
    put(settings, b"one")
    (file,) = (settings.spool_dir.parent / "receipts").iterdir()
    file.write_bytes(file.read_bytes() + b"+17956")
    put(settings, b"two", b"three")
    assert len(receipts_of(settings.spool_dir).recent()) == 3


@pytest.mark.parametrize("days", [-400, -40, 40, 400])
def test_a_clock_that_jumps_loses_nothing_from_sight(settings: Settings, days: int) -> None:
    """Objects before, during and after a jump; one that vanishes is missing."""
    spool = Spool(settings.spool_dir)
    jump = timedelta(days=days)
    for n, offset in enumerate((timedelta(0), jump, timedelta(0))):
        receipt = make_receipt(f"object {n}".encode(), "folder")
        moment = receipt.received_at + offset
        last = spool.put(
            f"object {n}".encode(), msgspec.structs.replace(receipt, received_at=moment)
        )
    accounts = read_accounts(settings)
    assert (accounts.received, accounts.waiting, accounts.missing) == (3, 3, 0)
    last.unlink()
    assert read_accounts(settings).missing == 1


@pytest.mark.service
def test_the_ledger_adds_up_at_every_moment_while_objects_flow(settings: Settings) -> None:
    """Three threads take in objects with repetitions while the store works and we look."""
    objects = [make_ct_rdsr(seed=n) for n in range(12)]
    spool = Spool(settings.spool_dir)
    given = [0, 0, 0]
    began = threading.Barrier(4)

    def give(number: int) -> None:
        began.wait()
        for n in range(20):
            data = objects[(n * (number + 1)) % len(objects)]
            spool.put(data, make_receipt(data, "c-store", caller=f"CT{number}"))
            given[number] += 1

    threads = [threading.Thread(target=give, args=(n,)) for n in range(3)]
    with ingesting(settings) as (_, ingest):
        for thread in threads:
            thread.start()
        began.wait()
        looks = 0
        while any(t.is_alive() for t in threads) or not ingest.is_done:
            for _ in range(4):
                ingest.step()
            before = sum(given)
            accounts = read_accounts(settings)
            assert accounts.missing == 0
            assert before <= accounts.received <= 60
            looks += 1
        finish(ingest)
        accounts = read_accounts(settings)
    assert looks > 3
    assert (accounts.received, accounts.waiting, accounts.missing) == (60, 0, 0)
    assert accounts.stored == 12


@pytest.mark.service
def test_what_is_committed_while_we_look_is_in_the_account(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store commits whenever the ledger has just been asked, and before it is asked again."""
    spool = Spool(settings.spool_dir)
    connect = dose_lib.connect
    asked = 0
    with ingesting(settings) as (_, ingest):
        for seed in range(5):
            data = make_ct_rdsr(seed=seed)
            spool.put(data, make_receipt(data, "c-store", caller="CT1"))

        def slow(*args: Any, **wishes: Any) -> Any:
            nonlocal asked
            asked += 1
            if asked > 1:
                finish(ingest)
            return connect(*args, **wishes)

        monkeypatch.setattr(dose_lib, "connect", slow)
        accounts = read_accounts(settings)
        assert (accounts.received, accounts.missing) == (5, 0)
        finish(ingest)
        accounts = read_accounts(settings)
        assert (accounts.stored, accounts.waiting) == (5, 0)
