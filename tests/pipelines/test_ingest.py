"""Spool to store: every object is accounted for, whatever it is and whatever happens."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

import dose_lib
from dose_lib.errors import StoreError, UsageError
from dose_lib.records import Part
from dose_lib.settings import Settings
from dose_lib.simulate import Hospital
from dose_lib.simulate.writer import make_ct_rdsr
from dose_lib.store import Store
from pipelines import pool
from pipelines.archive import Archive, Quarantine
from pipelines.disk import Disk
from pipelines.envelope import make_receipt
from pipelines.folder import ingest_paths
from pipelines.ingest import Ingest
from pipelines.owner import Site
from pipelines.spool import Spool
from pipelines.status import read_accounts
from tests.pipelines.objects import CT_IMAGE, dose_report, encode
from tests.pipelines.workers import POISON, serve_and_die

pytestmark = pytest.mark.service  # each test has worker processes

Rows = list[tuple[Any, ...]]


def put(settings: Settings, *objects: bytes) -> list[Path]:
    spool = Spool(settings.spool_dir)
    return [spool.put(data, make_receipt(data, "folder")) for data in objects]


@contextmanager
def ingesting(settings: Settings, **how: Any) -> Iterator[tuple[Store, Ingest]]:
    store_how = {"merge": how.pop("merge")} if "merge" in how else {}
    with Store.open(settings, **store_how) as store:
        store.serve()
        ingest = Ingest(settings, store, **how)
        try:
            yield store, ingest
        finally:
            ingest.close()


def finish(ingest: Ingest, limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while not ingest.is_done:
        assert time.monotonic() < deadline, "the spool does not empty"
        ingest.step()


def run(settings: Settings, *objects: bytes, **how: Any) -> Rows:
    """Ingest objects; rows (sha256, status, reason) of the ledger in order of arrival."""
    put(settings, *objects)
    with ingesting(settings, **how) as (store, ingest):
        finish(ingest)
        return ledger(store)


def ledger(store: Store) -> Rows:
    return store.sql("SELECT sha256, status, reason FROM object ORDER BY received_at")


def test_every_kind_of_bad_input_has_its_place(settings: Settings) -> None:
    """One bag of objects; the good ones are stored, each of the others says why not.

    | object                        | becomes                       |
    | ----------------------------- | ----------------------------- |
    | two dose reports              | stored                        |
    | the first again, byte by byte | duplicate                     |
    | a report cut in the middle    | quarantined                   |
    | bytes that are no DICOM       | quarantined (came by C-STORE) |
    | an SR that is no dose report  | no dose                       |
    | a CT image without dose       | no dose or quarantined, named |
    """
    good, other = make_ct_rdsr(seed=1), make_ct_rdsr(seed=2)
    image = encode(dose_report(7, sop_class=CT_IMAGE))
    no_dose = encode(dose_report(8, sop_class="1.2.840.10008.5.1.4.1.1.88.11"))
    rows = run(settings, good, other, good, good[:-700], b"no DICOM" * 40, no_dose, image)
    statuses = [status for _, status, _ in rows]
    assert statuses[:6] == [
        *("stored", "stored", "duplicate", "quarantined", "quarantined", "no_dose")
    ]
    assert statuses[6] in ("no_dose", "quarantined")
    assert all(reason for _, status, reason in rows if status != "stored")

    accounts = read_accounts(settings)
    assert accounts.received == 7
    assert accounts.waiting == 0
    assert accounts.stored == 2

    kept = Quarantine(settings.quarantine_dir).items()
    assert len(kept) == statuses.count("quarantined")
    assert all(item.failure.seen and not item.is_ours for item in kept)
    assert not list(settings.spool_dir.glob("*.dcm"))
    # The repetition leaves its receipt, not its bytes again.
    archive = Archive(settings.archive_dir)
    assert len(list(archive.objects())) == statuses.count("stored") + statuses.count("no_dose")
    assert len(list(settings.archive_dir.rglob("*.json"))) == 1
    assert stat.S_IMODE(settings.archive_dir.stat().st_mode) == 0o700


def test_what_is_stored_can_be_read_by_others(settings: Settings) -> None:
    put(settings, make_ct_rdsr(seed=1, age_y=61.0))
    with ingesting(settings) as (_, ingest):
        finish(ingest)
        con = dose_lib.connect(settings=settings)
        studies = con.table("studies").to_pandas()
        (trace,) = dose_lib.trace(studies.part_key[0], "dlp_total_mgy_cm", con=con)
    assert studies.age_y.tolist() == [61.0]
    assert float(trace.recorded) == studies.dlp_total_mgy_cm[0]


def test_arrival_is_committed_once_wherever_the_power_fails(settings: Settings) -> None:
    """The process dies at each call to the disk in turn; the next one carries on."""
    reports = [make_ct_rdsr(seed=n) for n in range(3)]
    put(settings, *reports, reports[0], b"no DICOM" * 40)
    for call in range(1, 12):
        with ingesting(settings, disk=FailingDisk(call)) as (store, ingest):
            try:
                finish(ingest)
            except PowerFailure:
                continue
            break
    else:
        pytest.fail("never came through")
    with ingesting(settings) as (store, ingest):
        finish(ingest)
        statuses = [status for _, status, _ in ledger(store)]
    assert statuses == [*["stored"] * 3, "duplicate", "quarantined"]
    assert call > 5, "the power failed several times"
    assert len(list(Archive(settings.archive_dir).objects())) == 3
    assert len(Quarantine(settings.quarantine_dir).items()) == 1


class PowerFailure(BaseException):
    """Nothing catches it, like the end of a process."""


class FailingDisk(Disk):
    """Ends the process at a call, before or after it was carried out."""

    def __init__(self, at: int) -> None:
        self.left = at

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise PowerFailure

    def rename(self, source: Path, target: Path) -> None:
        if self.left % 2:
            self._count()
        super().rename(source, target)
        if not self.left % 2:
            self._count()

    def flush_folder(self, folder: Path) -> None:
        self._count()
        super().flush_folder(folder)

    def remove(self, path: Path) -> None:
        self._count()
        super().remove(path)


def test_object_that_kills_its_reader_is_set_aside_and_the_others_pass(settings: Settings) -> None:
    poison = encode(dose_report(1, text=POISON.decode()))
    reports = [make_ct_rdsr(seed=n) for n in range(3)]
    rows = run(settings, reports[0], poison, *reports[1:], work=serve_and_die)
    assert [status for _, status, _ in rows] == ["stored", "quarantined", "stored", "stored"]
    (item,) = Quarantine(settings.quarantine_dir).items()
    assert item.is_ours
    assert "did not finish" in item.failure.seen


def test_reader_that_hangs_is_replaced(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_PATIENCE_S", 3.0)
    rows = run(
        settings, encode(dose_report(1, text="SLOW")), make_ct_rdsr(seed=1), work=serve_and_die
    )
    assert [status for _, status, _ in rows] == ["quarantined", "stored"]


def test_object_the_store_chokes_on_is_set_aside_and_the_others_pass(settings: Settings) -> None:
    good, bad = make_ct_rdsr(seed=1), make_ct_rdsr(seed=2, study_description="bad one")

    def merge(parts: Iterable[Part]) -> tuple[Part, ...]:
        several = tuple(parts)
        if any(p.study_description == "bad one" for p in several):
            raise LookupError("a defect of ours, with a NAME^OF^PATIENT in it")
        return several

    rows = run(settings, good, bad, make_ct_rdsr(seed=3), merge=merge)
    assert [status for _, status, _ in rows] == ["stored", "quarantined", "stored"]
    (item,) = Quarantine(settings.quarantine_dir).items()
    assert item.is_ours
    assert "LookupError" in (item.failure.defect or "")
    assert "NAME" not in str(item)

    # After the upgrade that mends it, it is read again and takes its place in the ledger.
    released = Quarantine(settings.quarantine_dir).release([], settings.spool_dir)
    assert len(released) == 1
    with ingesting(settings) as (store, ingest):
        finish(ingest)
        assert [status for _, status, _ in ledger(store)] == ["stored"] * 3
    assert Quarantine(settings.quarantine_dir).items() == []
    with pytest.raises(UsageError, match="nothing in quarantine is called 'x'"):
        Quarantine(settings.quarantine_dir).release(["x"], settings.spool_dir)


class FullStore:
    """A store whose disk is full for a while."""

    def __init__(self, store: Store) -> None:
        self._store, self.is_full = store, True

    def commit(self, batch: Any) -> Any:
        if self.is_full:
            raise duckdb.IOException("could not write: No space left on device")
        return self._store.commit(batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_full_disk_of_the_store_loses_nothing_and_resumes(settings: Settings) -> None:
    put(settings, make_ct_rdsr(seed=1), make_ct_rdsr(seed=2))
    with Store.open(settings) as store:
        store.serve()
        full = FullStore(store)
        ingest = Ingest(settings, full)  # type: ignore[arg-type]
        try:
            with pytest.raises(StoreError, match="cannot be written"):
                finish(ingest)
            ingest.forget()
            assert len(Spool(settings.spool_dir).waiting()) == 2
            full.is_full = False
            finish(ingest)
        finally:
            ingest.close()
        assert [status for _, status, _ in ledger(store)] == ["stored"] * 2


def test_file_damaged_in_the_spool_is_quarantined(settings: Settings) -> None:
    (path,) = put(settings, make_ct_rdsr(seed=1))
    content = bytearray(path.read_bytes())
    content[3000] ^= 0xFF
    path.write_bytes(content)
    with ingesting(settings) as (store, ingest):
        finish(ingest)
        assert [status for _, status, _ in ledger(store)] == ["quarantined"]
    (item,) = Quarantine(settings.quarantine_dir).items()
    assert "not those that were received" in item.failure.seen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "export"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "a.dcm").write_bytes(make_ct_rdsr(seed=1))
    (folder / "deep" / "b").write_bytes(make_ct_rdsr(seed=2))
    (folder / "deep" / "er" / "again.dcm").write_bytes(make_ct_rdsr(seed=1))
    (folder / "notes.txt").write_text("no DICOM")
    (folder / "empty.dcm").touch()
    return folder


def test_folder_goes_the_same_way_and_every_file_is_accounted_for(
    settings: Settings, folder: Path
) -> None:
    stages: list[tuple[str, int, int]] = []
    (folder / "gone.dcm").symlink_to(folder / "nowhere")
    taken = ingest_paths([folder], settings, progress=lambda *s: stages.append(s))
    assert taken.counts == {"stored": 2, "duplicate": 1}
    reasons = {s.path.name: s.reason for s in taken.skipped}
    assert set(reasons) == {"notes.txt", "empty.dcm", "gone.dcm"}
    assert reasons["empty.dcm"] == "empty file"
    assert reasons["gone.dcm"] == "a symbolic link to nothing, or to itself"
    assert [t.path.name for t in taken.troubles] == ["gone.dcm"]
    assert stages[-1] == ("storing", 3, 3)

    again = ingest_paths([folder / "a.dcm"], settings)
    assert again.counts == {"duplicate": 1}
    assert not again.troubles


def test_named_files_that_cannot_be_taken_are_troubles(settings: Settings, folder: Path) -> None:
    taken = ingest_paths([folder / "notes.txt", folder / "empty.dcm"], settings)
    assert [t.path.name for t in taken.troubles] == ["notes.txt", "empty.dcm"]
    with pytest.raises(UsageError, match="no file or folder"):
        ingest_paths([folder / "nothing"], settings)


def test_too_large_a_file_is_left_out(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "large.dcm"
    with file.open("wb") as handle:
        handle.truncate(60_000_000)
    (skipped,) = ingest_paths([file], settings).skipped
    assert skipped.reason == "larger than max_object_mb = 50"


def test_devices_named_while_the_service_runs_hold_for_what_arrives(settings: Settings) -> None:
    with ingesting(settings) as (store, ingest):
        site = Site(settings, store)
        put(settings, make_ct_rdsr(seed=1))
        finish(ingest)
        ((station,),) = store.sql("SELECT station_name FROM studies")
        settings.site_dir.mkdir(parents=True)
        devices = settings.site_dir / "devices.toml"
        entry = f'[[device]]\nstation_name = "{station}"\n'
        for text, problem in (
            (entry + 'display_name = "CT in room 3"\n', None),
            (entry + 'displayed = "x"\n', "devices.toml"),
        ):
            devices.write_text(text)
            site._look_at = 0.0
            site.look()
            assert (problem or "") in (site.problem or "")
        put(settings, make_ct_rdsr(seed=1, study_uid="1.2.3"))
        finish(ingest)
        rows = store.sql("SELECT DISTINCT device FROM studies WHERE study_uid = '1.2.3'")
        assert rows == [("CT in room 3",)]


@pytest.fixture
def adult_protocol_on_child() -> bytes:
    """Report of the injected error of the demo's hospital."""
    exams = Hospital.load("demo", days=3).exams()
    (exam,) = (e for e in exams if any("child" in t.kind for t in e.truths))
    return exam.objects()[0].data


def test_findings_come_after_a_crash_between_commit_and_look(
    settings: Settings, adult_protocol_on_child: bytes
) -> None:
    """The report is committed; the process ends before the detectors have looked."""
    (path,) = put(settings, adult_protocol_on_child)
    with ingesting(settings) as (store, ingest):
        while not store.sql("SELECT 1 FROM object"):
            ingest.step()
        assert path.exists()
        assert store.sql("SELECT count(*) FROM finding") == [(0,)]
    for _ in range(2):  # the same object once more opens no second finding
        with ingesting(settings) as (store, ingest):
            finish(ingest)
            assert store.sql("SELECT count(*) FROM finding") == [(1,)]
        put(settings, adult_protocol_on_child)
