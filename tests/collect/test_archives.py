"""Collecting from real archives: Orthanc by C-MOVE and C-GET, dcmtk's dcmqrscp."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

import dose_lib
from dose_lib.settings import Settings
from dose_lib.simulate import SimObject
from dose_lib.simulate.send import send
from pipelines.collect.check import check_archive
from pipelines.collect.collect import Summary
from pipelines.collect.journal import Fate, Journal
from pipelines.collect.pacs import find_archive
from pipelines.collect.run import backfill, collect_days, last_days
from pipelines.process import Stop
from pipelines.receive import Receiver
from pipelines.status import read_accounts
from tests.collect.conftest import END, hospital_objects, table
from tests.collect.peers import LOCAL, Orthanc, dcmqrscp
from tests.conftest import require
from tests.pipelines.running import ROOT, dose

pytestmark = [pytest.mark.peer, pytest.mark.slow]


@pytest.fixture
def ours(settings: Settings, archive_port: int) -> Settings:
    """An installation whose listener the shared Orthanc knows."""
    return settings.model_copy(update={"dicom_port": archive_port})


def write_peers(settings: Settings, text: str) -> None:
    settings.site_dir.mkdir(parents=True, exist_ok=True)
    (settings.site_dir / "pacs.toml").write_text(text)


def collect(settings: Settings, days: int = 1, **more: Any) -> Summary:
    return collect_days(
        find_archive(settings, None), settings, last_days(settings, days, END), **more
    )


def objects(settings: Settings) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (
        dose_lib.connect(settings=settings).table("objects").to_pyarrow().to_pylist()
    )
    return rows


@pytest.mark.parametrize("way", ["c-move", "c-get"])
def test_a_day_is_fetched_once(ours: Settings, pacs: Orthanc, way: str) -> None:
    made = hospital_objects(1)
    pacs.load(o.data for o in made)
    write_peers(ours, table(pacs, retrieve=way))
    first = collect(ours)
    assert first.is_complete, first
    assert first.n_objects == len(made)
    assert first.outcomes == {"taken": len({o.study_uid for o in made})}
    second = collect(ours)
    assert second.n_unchanged == first.n_studies
    assert second.n_objects == 0
    again = collect(ours, is_again=True)
    assert again.outcomes == {"here": first.n_studies}
    rows = objects(ours)
    assert {r["sop_instance_uid"] for r in rows} == {o.sop_instance_uid for o in made}
    assert Counter(r["status"] for r in rows) == {"stored": len(made)}
    assert {r["route"] for r in rows} == {"c-store" if way == "c-move" else "c-get"}
    assert {r["caller"] for r in rows} == {"ORTHANC"}


def test_what_came_otherwise_is_not_fetched_again(ours: Settings, pacs: Orthanc) -> None:
    made = hospital_objects(1)
    pacs.load(o.data for o in made)
    folder = ours.home.parent / "files"
    folder.mkdir()
    for number, one in enumerate(made[::2]):
        (folder / f"{number}.dcm").write_bytes(one.data)
    dose(ours, "ingest", str(folder))
    write_peers(ours, table(pacs, retrieve="c-get"))
    summary = collect(ours)
    assert summary.is_complete
    assert summary.outcomes["here"] == len(made[::2])
    assert summary.n_objects == len(made) - len(made[::2])


def test_a_study_that_grew_is_asked_for_again(ours: Settings, pacs: Orthanc) -> None:
    one = hospital_objects(1)[0]
    pacs.load([one.data])
    write_peers(ours, table(pacs, retrieve="c-get"))
    assert collect(ours, is_stored=False).n_objects == 1
    later = dcmread(DicomBytesIO(one.data))
    later.SOPInstanceUID = later.file_meta.MediaStorageSOPInstanceUID = "2.25.4711"
    file = DicomBytesIO()
    later.save_as(file, enforce_file_format=True)
    pacs.load([file.getvalue()])
    assert collect(ours, is_stored=False).n_objects == 1


def image(one: SimObject, modality: str, uid: str) -> bytes:
    """An image of a study of its own on the day of `one`."""
    found = dcmread(DicomBytesIO(one.data))
    del found.ContentSequence
    found.SOPClassUID = found.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    found.SOPInstanceUID = found.file_meta.MediaStorageSOPInstanceUID = f"{uid}.1.1"
    found.StudyInstanceUID, found.SeriesInstanceUID = uid, f"{uid}.1"
    found.Modality = modality
    file = DicomBytesIO()
    found.save_as(file, enforce_file_format=True)
    return file.getvalue()


def test_a_run_that_is_to_end_leaves_the_rest_in_the_spool(ours: Settings, pacs: Orthanc) -> None:
    """Ctrl-C is heard while the store fills, too; the next run stores what waits."""
    pacs.load(o.data for o in hospital_objects(1))
    write_peers(ours, table(pacs, retrieve="c-get"))
    stop = Stop()

    def progress(stage: str, done: int, of: int) -> None:
        if stage == "days" and done == of:
            stop.set()

    fetched = collect(ours, stop=stop, progress=progress).n_objects
    assert len(list(ours.spool_dir.glob("*.dcm"))) == fetched > 0
    assert collect(ours).n_objects == 0
    assert read_accounts(ours).stored == fetched


def test_the_reason_is_kept_where_nothing_is_taken(ours: Settings, pacs: Orthanc) -> None:
    one = hospital_objects(1)[0]
    pacs.load([one.data, image(one, "CT", "2.25.1001"), image(one, "US", "2.25.1002")])
    write_peers(ours, table(pacs, retrieve="c-get"))
    summary = collect(ours, is_stored=False)
    assert summary.outcomes == {"taken": 1, "nothing": 2}
    assert set(summary.reasons) == {
        "no structured report in the study (CT)",
        "no modality that is looked at (US)",
    }
    shown = dose(ours, "pacs", "studies", "--day", f"{END}").stdout
    assert "no structured report in the study (CT)" in shown
    assert "2.25.1002" in shown


def test_images_are_taken_where_there_is_no_report(ours: Settings, pacs: Orthanc) -> None:
    one = hospital_objects(1)[0]
    pacs.load([one.data, image(one, "CT", "2.25.1001")])
    write_peers(ours, table(pacs, retrieve="c-get", images="without-report"))
    summary = collect(ours)
    assert summary.outcomes == {"taken": 2}
    assert "2.25.1001.1.1" in {r["sop_instance_uid"] for r in objects(ours)}


def test_an_archive_is_checked_without_fetching(ours: Settings, pacs: Orthanc) -> None:
    pacs.load(o.data for o in hospital_objects(1))
    write_peers(ours, table(pacs))
    check = check_archive(find_archive(ours, None), ours, today=END)
    assert check.is_good, check
    assert check.like == []
    assert not ours.spool_dir.exists() or not list(ours.spool_dir.iterdir())


def test_an_unknown_destination_is_said(ours: Settings, pacs: Orthanc) -> None:
    pacs.load(o.data for o in hospital_objects(1)[:2])
    write_peers(ours, table(pacs, move_destination="NOBODY", attempts=1))
    summary = collect(ours, is_stored=False)
    assert not summary.is_complete
    assert summary.outcomes == {"failed": 2}
    assert "object" in summary.complaints[0].asked or "study" in summary.complaints[0].asked


def test_the_commands(ours: Settings, pacs: Orthanc) -> None:
    made = hospital_objects(1)
    pacs.load(o.data for o in made)
    write_peers(ours, table(pacs, retrieve="c-get"))
    shown = dose(ours, "collect", "--day", f"{END}").stdout
    assert f"{len(made)}  " in shown
    assert "fetched" in shown
    listed = dose(ours, "pacs", "list").stdout
    assert "ORTHANC at 127.0.0.1" in listed
    wrong = dose(ours, "collect", "mian", check=False)
    assert wrong.returncode == 2
    assert "did you mean 'main'" in wrong.stderr


def test_dcmqrscp_gives_what_it_has(collecting: Settings, tmp_path: Path) -> None:
    """A second, foreign archive: no ModalitiesInStudy, no counts."""
    made = hospital_objects(1)
    with dcmqrscp(tmp_path / "qr", collecting.dicom_port) as port:
        send(made, LOCAL, port, called="DCMQR")
        text = (
            '[[pacs]]\nname = "qr"\nae_title = "DCMQR"\nhost = "127.0.0.1"\n'
            f"port = {port}\nstudies_per_minute = 0\n"
        )
        write_peers(collecting, text)
        check = check_archive(find_archive(collecting, None), collecting, today=END)
        assert check.like == ["no-modalities-in-study"]
        write_peers(collecting, text + 'like = ["dcmqrscp"]\n')
        summary = collect(collecting)
    assert summary.is_complete, summary
    assert summary.n_objects == len(made)
    assert read_accounts(collecting).stored == len(made)


def test_what_a_foreign_tool_brought_is_here(collecting: Settings, tmp_path: Path) -> None:
    """dcmtk's findscu counts what its archive holds, movescu sends it: nothing is left to fetch."""
    made = hospital_objects(1)[:8]
    with dcmqrscp(tmp_path / "qr", collecting.dicom_port) as port:
        send(made, LOCAL, port, called="DCMQR")
        keys = ["-S", "-aec", "DCMQR", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID"]
        keys += ["-k", f"StudyDate={END:%Y%m%d}", LOCAL, str(port)]
        found = subprocess.run([require("findscu"), *keys], capture_output=True, check=True)
        listed = (found.stdout + found.stderr).decode(errors="replace").count("(0020,000d) UI")
        with Receiver(collecting):
            for study in {o.study_uid for o in made}:
                move = ["-S", "-aec", "DCMQR", "-aem", "DOSELOOP", "-k", "QueryRetrieveLevel=STUDY"]
                move += ["-k", f"StudyInstanceUID={study}", LOCAL, str(port)]
                subprocess.run([require("movescu"), *move], check=True, capture_output=True)
        text = (
            '[[pacs]]\nname = "qr"\nae_title = "DCMQR"\nhost = "127.0.0.1"\nretrieve = "c-get"\n'
            f'port = {port}\nstudies_per_minute = 0\nlike = ["dcmqrscp"]\n'
        )
        write_peers(collecting, text)
        summary = collect(collecting)
    assert summary.outcomes == {"here": len({o.study_uid for o in made})}
    assert listed >= summary.n_studies
    assert summary.n_objects == 0


def test_a_backfill_that_is_killed_goes_on(ours: Settings, pacs: Orthanc) -> None:
    """kill -9 in the middle; the second run brings the rest: nothing missing, nothing double."""
    made = hospital_objects(6)
    pacs.load(o.data for o in made)
    write_peers(ours, table(pacs, retrieve="c-move"))
    first, last = END - timedelta(days=5), END
    command = [sys.executable, "-m", "pipelines.cli", "--home", str(ours.home), "backfill"]
    command += ["--from", f"{first}", "--to", f"{last}"]
    environment = {**os.environ, "DOSE_DICOM_PORT": str(ours.dicom_port)}
    process = subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 60
    while len(list(ours.spool_dir.glob("*.dcm"))) < len(made) // 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    came = len(list(ours.spool_dir.glob("*.dcm")))
    assert came < len(made)
    archive = find_archive(ours, None)
    summary = backfill(archive, ours, first, last)
    assert summary.is_complete, summary
    assert summary.n_objects <= len(made) - came + 1
    rows = objects(ours)
    assert Counter(r["sop_instance_uid"] for r in rows) == {o.sop_instance_uid: 1 for o in made}
    with Journal(ours) as journal:
        counts = journal.counts("main")
    assert counts[Fate.FAILED] == 0
    assert counts[Fate.TAKEN] + counts[Fate.HERE] == len({o.study_uid for o in made})
    assert backfill(archive, ours, first, last - timedelta(days=3)).n_days == 0


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Commands find the same listener port as the fixture."""
    if "ours" in request.fixturenames:
        port: Callable[[], int] = lambda: request.getfixturevalue("archive_port")  # noqa: E731
        monkeypatch.setenv("DOSE_DICOM_PORT", str(port()))
