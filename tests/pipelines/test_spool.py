"""The promise of the spool: nothing is acknowledged before it is on the disk, whole."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dose_lib.errors import OutOfRoomError, ReceiveError
from pipelines.disk import Disk, FolderFlush, make_folder
from pipelines.envelope import (
    DamagedFileError,
    make_receipt,
    part10,
    read_receipt,
    seal,
    transfer_syntax_of,
    unseal,
)
from pipelines.spool import Spool, read_receipt_of
from tests.pipelines.objects import dose_report, encode


class RecordingDisk(Disk):
    """Remembers the calls; can run out of room at one of them."""

    def __init__(self, fail_at: str | None = None, code: int = errno.ENOSPC) -> None:
        self.calls: list[str] = []
        self.fail_at, self.code = fail_at, code
        self.free = 10**9

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if call == self.fail_at:
            raise OSError(self.code, os.strerror(self.code))

    def create(self, path: Path) -> int:
        self._note("create")
        return super().create(path)

    def write(self, handle: int, data: bytes) -> None:
        self._note("write")
        super().write(handle, data)

    def flush(self, handle: int) -> None:
        self._note("flush file")
        super().flush(handle)

    def close(self, handle: int) -> None:
        self._note("close")
        super().close(handle)

    def rename(self, source: Path, target: Path) -> None:
        self._note("rename")
        super().rename(source, target)

    def flush_folder(self, folder: Path) -> None:
        self._note("flush folder")
        super().flush_folder(folder)

    def free_bytes(self, folder: Path) -> int:
        return self.free


def test_order_is_write_flush_rename_flush_folder(tmp_path: Path) -> None:
    disk = RecordingDisk()
    data = b"object"
    Spool(tmp_path / "spool", disk=disk).put(data, make_receipt(data, "folder"))
    assert disk.calls == [
        *("create", "write", "write", "flush file"),
        *("rename", "close", "flush folder"),
    ]


@pytest.mark.parametrize("call", ["create", "write", "flush file", "rename", "flush folder"])
def test_no_room_anywhere_is_refused_and_nothing_half_written_stays(
    tmp_path: Path, call: str
) -> None:
    spool = Spool(tmp_path / "spool", disk=RecordingDisk(fail_at=call))
    with pytest.raises(OutOfRoomError, match="no room"):
        spool.put(b"object", make_receipt(b"object", "folder"))
    left = list(spool.folder.iterdir())
    assert not [p for p in left if p.suffix == ".part"]
    for path in left:  # the folder's flush failed after the rename: whole, but not promised
        assert spool.load(path).data == b"object"


def test_other_disk_errors_say_so(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", disk=RecordingDisk(fail_at="flush file", code=errno.EIO))
    with pytest.raises(ReceiveError, match="cannot be written"):
        spool.put(b"object", make_receipt(b"object", "folder"))


def test_room_is_kept_free_and_receiving_resumes(tmp_path: Path) -> None:
    disk = RecordingDisk()
    spool = Spool(tmp_path / "spool", disk=disk, reserve_bytes=1000)
    disk.free = 1000
    with pytest.raises(OutOfRoomError):
        spool.put(b"object", make_receipt(b"object", "folder"))
    assert disk.calls == []
    disk.free = 10_000
    assert spool.put(b"object", make_receipt(b"object", "folder")).exists()


def test_folders_and_files_are_the_owners_only(tmp_path: Path) -> None:
    before = os.umask(0o000)
    try:
        spool = Spool(tmp_path / "a" / "spool")
        path = spool.put(b"object", make_receipt(b"object", "folder"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(spool.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(spool.folder.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_same_object_twice_is_two_arrivals_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    paths = [spool.put(b"object", make_receipt(b"object", "folder")) for _ in range(3)]
    assert spool.waiting() == paths
    assert len({read_receipt_of(p).received_at for p in paths}) == 3


def test_name_holds_nothing_a_sender_chose(tmp_path: Path) -> None:
    receipt = make_receipt(
        b"x", "c-store", caller="../../EVIL", sop_instance_uid="../../etc/passwd", address="::1"
    )
    path = Spool(tmp_path / "spool").put(b"x", receipt)
    assert path.parent == tmp_path / "spool"
    time, word, digest = path.stem.split("-")
    assert time.isdigit() and int(word, 16) >= 0 and digest == receipt.sha256[:16]


def test_a_damaged_file_is_noticed(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    path = spool.put(b"object" * 100, make_receipt(b"object" * 100, "folder"))
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match="not those that were received"):
        spool.load(path)
    path.write_bytes(content[:-5])
    with pytest.raises(DamagedFileError, match="no receipt"):
        spool.load(path)


def test_sweep_removes_old_temporary_files_only(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    kept = spool.put(b"object", make_receipt(b"object", "folder"))
    old, young = spool.folder / "1.part", spool.folder / "2.part"
    old.touch()
    young.touch()
    os.utime(old, (0, 0))
    assert spool.sweep() == 1
    assert sorted(spool.folder.iterdir()) == sorted([young, kept])


@given(st.binary(max_size=2000), st.sampled_from(["c-store", "folder"]))
def test_bytes_and_receipt_come_back(data: bytes, route: str) -> None:
    receipt = make_receipt(data, route, caller="CT1")
    content = data + seal(data, receipt)
    assert unseal(content, Path("x")) == (data, receipt)
    tail = content[-1000:]
    assert read_receipt(tail, Path("x"), offset=len(content) - len(tail)) == receipt


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    ],
)
def test_sealed_file_is_still_the_dicom_object(tmp_path: Path, syntax: str) -> None:
    data = encode(dose_report(), syntax)
    path = tmp_path / "sealed.dcm"
    path.write_bytes(data + seal(data, make_receipt(data, "folder")))
    sealed = pydicom.dcmread(path)
    assert sealed.SOPInstanceUID == dose_report().SOPInstanceUID
    assert sealed.ContentSequence[0].TextValue == "dose"


def test_network_data_set_becomes_the_same_part10_each_time() -> None:
    report = dose_report()
    data = encode(report, ExplicitVRLittleEndian)
    dataset = data[data.index(b"\x08\x00\x16\x00UI") :]
    facts = {
        "sop_class": report.SOPClassUID,
        "sop_instance_uid": report.SOPInstanceUID,
        "transfer_syntax": ExplicitVRLittleEndian,
    }
    one, two = part10(dataset, **facts), part10(dataset, **facts)
    assert one == two
    assert transfer_syntax_of(one) == ExplicitVRLittleEndian
    assert hashlib.sha256(one).digest() == hashlib.sha256(two).digest()


class SlowDisk(Disk):
    def __init__(self) -> None:
        self.begun: list[int] = []
        self.renamed = 0

    def flush_folder(self, folder: Path) -> None:
        self.begun.append(self.renamed)
        threading.Event().wait(0.01)


def test_shared_flush_covers_every_rename_before_the_call(tmp_path: Path) -> None:
    """Each waiter returns only after a flush that began after its rename."""
    disk = SlowDisk()
    flush = FolderFlush(tmp_path, disk)
    lock, early = threading.Lock(), []

    def work() -> None:
        for _ in range(10):
            with lock:
                disk.renamed += 1
                mine = disk.renamed
            flush.wait()
            if not any(covered >= mine for covered in disk.begun):
                early.append(mine)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert early == []
    assert len(disk.begun) < 60, "eighty waits shared their flushes"


def test_a_failed_shared_flush_promises_nothing(tmp_path: Path) -> None:
    disk = RecordingDisk(fail_at="flush folder", code=errno.EIO)
    flush = FolderFlush(tmp_path, disk)
    with pytest.raises(OSError, match="Input/output"):
        flush.wait()
    disk.fail_at = None
    flush.wait()
    assert disk.calls == ["flush folder", "flush folder"]


def test_make_folder_leaves_what_exists(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_folder(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("syntax", "has_element"),
    [
        ("1.2.840.10008.1.2.1.99", False),
        ("1.2.840.10008.1.2.4.95", False),
        ("1.2.840.10008.1.2.4.205", False),
        ("1.2.840.10008.1.2.8.1", True),  # deflates frames, not the data set
        ("1.2.840.10008.1.2.4.50", True),
    ],
)
def test_receipt_is_an_element_unless_the_data_set_is_deflated(
    syntax: str, has_element: bool
) -> None:
    receipt = make_receipt(b"object", "c-store", transfer_syntax=syntax)
    assert seal(b"object", receipt).startswith(b"\xfc\xff\xfc\xff") == has_element
