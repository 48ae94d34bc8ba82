"""Collecting: a backfill from a real Orthanc, killed by kill -9 in the middle, then taken up.

Nine of ten studies hold a dose report, every tenth only an image. What the archive holds is
known, so what is in the store afterwards can be compared object by object and sum by sum.
`DOSE_BENCH_STUDIES` sets the number of studies, `DOSE_BENCH_WAY` the way: c-move, c-get or web.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import msgspec
from pydicom import dcmread
from pydicom.uid import generate_uid

import dose_lib
from dose_lib import Settings, load_settings
from dose_lib.simulate import Hospital, SimObject
from pipelines.collect.journal import Fate, Journal
from tests.collect.peers import LOCAL, PASSWORD, USER, Orthanc, free_port, orthanc

N_STUDIES = int(os.environ.get("DOSE_BENCH_STUDIES", "400"))
WAY = os.environ.get("DOSE_BENCH_WAY", "c-move")
_ROOT = Path(__file__).parents[1]
_END = date(2026, 11, 20)
_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
_ARCHIVE = "main"


class Truth(msgspec.Struct, kw_only=True):
    """What the archive holds: UIDs of reports, of studies with one and without, the first day."""

    reports: set[str] = msgspec.field(default_factory=set)
    studies: set[str] = msgspec.field(default_factory=set)
    without: set[str] = msgspec.field(default_factory=set)
    first: date = _END


class Ran(msgspec.Struct, frozen=True):
    """One run of `dose backfill`: how it ended, what it had settled, how long it took."""

    exit_code: int
    settled: int
    seconds: float


def main() -> None:
    """Fill an archive, backfill, kill, go on, compare."""
    if shutil.which("Orthanc") is None:
        print("Orthanc is not installed: nothing to collect from")
        return
    with tempfile.TemporaryDirectory(prefix="dose-bench-") as name:
        folder = Path(name)
        port = free_port()
        os.environ["DOSE_DICOM_PORT"] = str(port)
        settings = load_settings(folder / "home", dicom_port=port)
        with orthanc(folder / "orthanc", port) as archive:
            began = time.monotonic()
            truth = _fill(archive)
            n = len(truth.studies) + len(truth.without)
            print(
                f"Orthanc holds {n} studies from {truth.first} to {_END}, {len(truth.reports)} dose"
                f" reports ({time.monotonic() - began:.0f} s to fill it)",
                flush=True,
            )
            _describe(settings, archive)
            killed = _backfill(settings, truth, kill_at=n // 2)
            print(
                f"kill -9 after {killed.seconds:.0f} s: {killed.settled} studies settled, "
                f"{_waiting(settings)} reports in the spool",
                flush=True,
            )
            rest = _backfill(settings, truth, kill_at=None)
            print(f"second run: {rest.settled} studies settled, exit code {rest.exit_code}")
            _compare(settings, truth)
            again = _backfill(settings, truth, kill_at=None)
            print(f"third run, nothing to do: {again.seconds:.1f} s, exit code {again.exit_code}")


def _fill(archive: Orthanc) -> Truth:
    truth = Truth()
    with httpx.Client(base_url=archive.url, auth=(USER, PASSWORD), timeout=60) as client:
        for data in _objects(truth):
            client.post("/instances", content=data).raise_for_status()
    return truth


def _objects(truth: Truth) -> Iterator[bytes]:
    """Days backwards until there are enough studies; every tenth is one without a report."""
    hospital = Hospital.load("demo", seed=11, end=_END, days=1)
    n = 0
    while True:
        for exam in hospital.exams_on(truth.first):
            for one in exam.objects():
                if n == N_STUDIES and one.study_uid not in truth.studies:
                    return
                n += one.study_uid not in truth.studies
                truth.studies.add(one.study_uid)
                truth.reports.add(one.sop_instance_uid)
                yield one.data
                if n % 10 == 9 and n < N_STUDIES:
                    n += 1
                    yield _image(one, truth)
        truth.first -= timedelta(days=1)


def _image(one: SimObject, truth: Truth) -> bytes:
    """A study of the same day that holds one image header and no report."""
    found = dcmread(BytesIO(one.data))
    del found.ContentSequence
    found.SOPClassUID = found.file_meta.MediaStorageSOPClassUID = _CT_IMAGE
    found.SOPInstanceUID = found.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    found.StudyInstanceUID, found.SeriesInstanceUID = generate_uid(), generate_uid()
    found.Modality = "CT"
    truth.without.add(str(found.StudyInstanceUID))
    file = BytesIO()
    found.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _describe(settings: Settings, archive: Orthanc) -> None:
    settings.site_dir.mkdir(parents=True)
    if WAY == "web":
        password = settings.site_dir / "archive.password"
        password.touch(mode=0o600)
        password.write_text(PASSWORD)
        text = (
            f'[[web]]\nname = "{_ARCHIVE}"\nurl = "{archive.web}"\nuser = "{USER}"\n'
            f'password_file = "{password}"\n'
        )
    else:
        text = (
            f'[[pacs]]\nname = "{_ARCHIVE}"\nae_title = "ORTHANC"\nhost = "{LOCAL}"\n'
            f'port = {archive.port}\nretrieve = "{WAY}"\n'
        )
    (settings.site_dir / "pacs.toml").write_text(text + "studies_per_minute = 0\n")


def _backfill(settings: Settings, truth: Truth, *, kill_at: int | None) -> Ran:
    """Run `dose backfill`, to its end or until so many studies are settled."""
    command = [sys.executable, "-m", "pipelines.cli", "--home", str(settings.home), "backfill"]
    command += ["--from", f"{truth.first}", "--to", f"{_END}"]
    before, began = _settled(settings), time.monotonic()
    process = subprocess.Popen(
        command, cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None:
        if kill_at is not None and _settled(settings) >= kill_at:
            os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.05 if kill_at is not None else 0.5)
    return Ran(process.returncode, _settled(settings) - before, time.monotonic() - began)


def _settled(settings: Settings) -> int:
    if not (settings.collect_dir / "journal.sqlite").exists():
        return 0
    with Journal(settings) as journal:
        return sum(journal.counts(_ARCHIVE).values())


def _waiting(settings: Settings) -> int:
    return len(list(settings.spool_dir.glob("*.dcm")))


def _compare(settings: Settings, truth: Truth) -> None:
    """What the store holds against what the archive held."""
    con = dose_lib.connect(settings=settings)
    rows = con.table("objects").select("sop_instance_uid", "status").to_pyarrow().to_pylist()
    held = Counter(r["sop_instance_uid"] for r in rows)
    statuses = Counter(r["status"] for r in rows)
    with Journal(settings) as journal:
        counts = journal.counts(_ARCHIVE)
        days = journal.days(_ARCHIVE, truth.first, _END)
        reasons = Counter(
            e.reason for e in journal.entries(_ARCHIVE, truth.first, _END, (Fate.NOTHING,))
        )
    twice = [uid for uid, n in held.items() if n > 1]
    print(f"objects in the ledger: {dict(statuses)}; received twice and counted once: {len(twice)}")
    print(f"missing: {len(truth.reports - set(held))}; strange: {len(set(held) - truth.reports)}")
    print(f"studies by outcome: { {f.value: n for f, n in counts.items()} }")
    print(f"reasons where nothing was taken: {dict(reasons)}")
    print(f"days: {len(days)}, complete {sum(d.is_complete for d in days.values())}")
    _rates(con, truth)


def _rates(con: Any, truth: Truth) -> None:
    """How fast, from the receipts' own times."""
    objects = con.table("objects")
    times = sorted(objects.received_at.to_pyarrow().to_pylist())
    gap = max((b - a).total_seconds() for a, b in pairwise(times))
    seconds = (times[-1] - times[0]).total_seconds() - gap
    n = len(truth.studies) + len(truth.without)
    studies = con.table("studies").count().execute()
    print(f"exam parts in the store: {studies}, of {len(truth.studies)} studies with a report")
    print(
        f"{n} studies in {seconds:.0f} s: {n / seconds:.1f} studies/s, {len(times) / seconds:.1f}"
        f" reports/s (first to last arrival, without the longest pause of {gap:.1f} s)"
    )


if __name__ == "__main__":
    main()
