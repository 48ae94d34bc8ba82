"""Receiving: DoseLoop's listener beside dcmtk's and Orthanc's; spool to store; time to a row.

Each measurement sends the same small CT dose reports. The listeners are measured in turn in
the same run, three times each, by dcmtk's `storescu` on one association; the median counts.
"""

from __future__ import annotations

import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

import dose_lib
from dose_lib import Settings, load_settings
from dose_lib.simulate import Hospital
from dose_lib.simulate.send import send
from dose_lib.store import Store
from pipelines.dashboards import choose_port
from pipelines.envelope import make_receipt
from pipelines.heartbeat import read_beat
from pipelines.ingest import Ingest
from pipelines.service import Service
from pipelines.spool import Spool

N_LISTENER, N_STORE, N_LATENCY, N_BACKLOG, ROUNDS = 400, 1000, 60, 900, 3
_LOCAL = "127.0.0.1"
_ORTHANC = """{"DicomPort": %d, "HttpServerEnabled": false, "StorageDirectory": "%s",
"IndexDirectory": "%s", "DicomAet": "ANY", "DicomCheckCalledAet": false,
"DicomAlwaysAllowStore": true, "OverwriteInstances": true}"""


def main() -> None:
    """Run the three measurements."""
    with tempfile.TemporaryDirectory(prefix="dose-bench-") as name:
        folder = Path(name)
        objects = _reports(N_STORE)
        _listeners(folder, objects[:N_LISTENER])
        _spool_to_store(folder, objects)
        _time_to_row(folder)


def _reports(n: int) -> list[bytes]:
    found: list[bytes] = []
    for exam in Hospital.load("demo", days=200).exams():
        found += [o.data for o in exam.objects()]
        if len(found) >= n:
            break
    return found[:n]


def _listeners(folder: Path, objects: list[bytes]) -> None:
    storescu = _dcmtk("storescu")
    if storescu is None:
        print("dcmtk is not installed: no comparison of listeners")
        return
    sent = folder / "sent"
    sent.mkdir()
    for number, data in enumerate(objects):
        (sent / f"{number:05d}.dcm").write_bytes(data)
    size = statistics.mean(map(len, objects)) / 1000
    print(f"{len(objects)} CT dose reports of {size:.1f} kB, one association, objects/s (median)")
    for no_delay in ("1", "0"):
        rates = {}
        for listener in (_ours, _storescp, _orthanc):
            with listener(folder, no_delay) as port:
                if port is None:
                    continue
                times = [_send_all(storescu, sent, port, no_delay) for _ in range(ROUNDS)]
                rates[listener.__name__.strip("_")] = len(objects) / statistics.median(times)
        shown = ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items())
        ratios = ", ".join(
            f"{rates['ours'] / rate:.2f} × {name}" for name, rate in rates.items() if name != "ours"
        )
        print(f"  TCP_NODELAY={no_delay}: {shown}   →  ours is {ratios}")
    print("  (ours flushes each object and its folder before the answer, the others flush nothing)")


def _dcmtk(program: str) -> str | None:
    ours = Path(sys.executable).parent  # pynetdicom brings namesakes
    folders = [f for f in os.environ.get("PATH", "").split(os.pathsep) if Path(f) != ours]
    return shutil.which(program, path=os.pathsep.join(folders))


def _send_all(storescu: str, sent: Path, port: int, no_delay: str) -> float:
    began = time.perf_counter()
    subprocess.run(
        [storescu, "+sd", "-aec", "DOSELOOP", _LOCAL, str(port), str(sent)],
        check=True,
        capture_output=True,
        env={**os.environ, "TCP_NODELAY": no_delay},
    )
    return time.perf_counter() - began


@contextmanager
def _process(command: list[str], port: int, no_delay: str = "1") -> Iterator[int]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TCP_NODELAY": no_delay, "DOSE_DICOM_PORT": str(port)},
    )
    try:
        _await_port(port)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextmanager
def _ours(folder: Path, no_delay: str) -> Iterator[int | None]:
    port = choose_port(0, _LOCAL, "dicom_port")
    home = folder / f"receiver{no_delay}"
    command = [sys.executable, "-m", "pipelines.receive", "--home", str(home)]
    with _process(command, port) as ready:
        yield ready


@contextmanager
def _storescp(folder: Path, no_delay: str) -> Iterator[int | None]:
    port = choose_port(0, _LOCAL, "dicom_port")
    program, out = _dcmtk("storescp"), folder / "storescp"
    if program is None:
        yield None
        return
    out.mkdir(exist_ok=True)
    with _process([program, "-od", str(out), str(port)], port, no_delay) as ready:
        yield ready


@contextmanager
def _orthanc(folder: Path, no_delay: str) -> Iterator[int | None]:
    program = shutil.which("Orthanc")
    if program is None:
        yield None
        return
    port = choose_port(0, _LOCAL, "dicom_port")
    out = folder / f"orthanc{no_delay}"
    out.mkdir()
    config = out / "orthanc.json"
    config.write_text(_ORTHANC % (port, out / "db", out / "db"))
    with _process([program, str(config)], port, no_delay) as ready:
        yield ready


def _await_port(port: int) -> None:
    import socket

    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((_LOCAL, port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


def _spool_to_store(folder: Path, objects: list[bytes]) -> None:
    settings = load_settings(folder / "store", store_port=0)
    spool = Spool(settings.spool_dir)
    for data in objects:
        spool.put(data, make_receipt(data, "folder"))
    objects.clear()
    with Store.open(settings) as store:
        store.serve()
        ingest = Ingest(settings, store)
        while not ingest.step():  # the worker has to start first
            pass
        began, before = time.perf_counter(), ingest.counts.stored
        largest = 0.0
        while not ingest.is_done:
            ingest.step()
            largest = max(largest, _memory())
        seconds, n = time.perf_counter() - began, ingest.counts.stored - before
        ingest.close()
    print(
        f"spool to committed, looked at and archived: {n} CT dose reports in {seconds:.1f} s, "
        f"{n / seconds:.0f}/s (OpenREM 1.0.0b2 with PostgreSQL: 9/s); "
        f"owner and worker together {largest:.0f} MB at most"
    )


def _memory() -> float:
    me = psutil.Process()
    return sum(p.memory_info().rss for p in (me, *me.children(recursive=True))) / 1e6


def _time_to_row(folder: Path) -> None:
    """From the answer to C-STORE to the row another process can read, under load."""
    settings = _with_ports(folder / "latency")
    service = Service(settings, parts=("receiver", "store", "vault"))
    service.start()
    try:
        beat = read_beat(settings.run_dir, "receiver")
        port = int((beat.facts["port"] if beat else 0) or 0)
        exams = Hospital.load("demo", seed=5, days=60).exams()
        objects = [o for exam in exams for o in exam.objects()][: N_LATENCY + 40]
        con = dose_lib.connect(settings=settings)
        load, probes = objects[:40], objects[40:]
        send(load, _LOCAL, port)
        delays = []
        for probe in probes:
            sent = send([probe], _LOCAL, port)
            answered = sent.answered_at[probe.sop_instance_uid]
            studies = con.table("studies")
            row = studies.filter(studies.study_uid == probe.study_uid)
            while row.count().execute() == 0:
                time.sleep(0.005)
            delays.append(time.time() - answered)
        alone = _time_to_finding(con, port)
        time.sleep(2)
        behind = _time_behind_a_backlog(settings, con, port)
        memory = _memory_by_part(service)
    finally:
        service.stop()
    delays.sort()
    p95 = delays[int(0.95 * len(delays))]
    print(
        f"answer to C-STORE until another process reads the row: median "
        f"{statistics.median(delays) * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms of {len(delays)}"
    )
    print(
        f"answer to C-STORE until another process sees the finding: {alone * 1000:.0f} ms alone, "
        f"behind a backlog of {N_BACKLOG} objects {behind[1]:.1f} s (its row {behind[0]:.1f} s)"
    )
    print("memory of the parts, MB of their own: " + ", ".join(f"{n} {m:.0f}" for n, m in memory))


def _time_to_finding(con: Any, port: int) -> float:
    """The demo's injected error, sent alone."""
    return _wait_for(con, *_send_the_error(port, days=3))[1]


def _time_behind_a_backlog(settings: Settings, con: Any, port: int) -> tuple[float, float]:
    """The same, sent while a night's objects wait: seconds to its row, and to its finding."""
    spool = Spool(settings.spool_dir)
    exams = Hospital.load("demo", seed=11, days=400).exams()
    backlog = (o.data for exam in exams for o in exam.objects())
    for data in itertools.islice(backlog, N_BACKLOG):
        spool.put(data, make_receipt(data, "folder"))
    times = _wait_for(con, *_send_the_error(port, days=3, seed=7))
    while spool.waiting():
        time.sleep(0.1)
    return times


def _send_the_error(port: int, *, days: int, seed: int | None = None) -> tuple[str, float]:
    """Send the adult protocol on a child; its study, and when it was answered."""
    how = {} if seed is None else {"seed": seed}
    exams = Hospital.load("demo", days=days, **how).exams()
    exam = next(e for e in exams if any("child" in t.kind for t in e.truths))
    (report,) = exam.objects()
    answered = send([report], _LOCAL, port).answered_at[report.sop_instance_uid]
    return report.study_uid, answered


def _wait_for(con: Any, study_uid: str, answered: float) -> tuple[float, float]:
    """Seconds from the answer to the study's row, and to a finding about it."""
    studies, findings = con.table("studies"), con.table("findings")
    row = studies.filter(studies.study_uid == study_uid)
    found = findings.semi_join(row, "part_key")
    row_at = None
    while found.count().execute() == 0:
        if row_at is None and row.count().execute():
            row_at = time.time()
        time.sleep(0.005)
    now = time.time()
    return (row_at or now) - answered, now - answered


def _memory_by_part(service: Service) -> list[tuple[str, float]]:
    """Memory that ends with each part (USS), its workers counted with it."""
    found = []
    for part in service.state().parts:
        process = psutil.Process(part.pid)
        family = [process, *process.children(recursive=True)]
        found.append((part.part, sum(p.memory_full_info().uss for p in family) / 1e6))
    return found


def _with_ports(home: Path) -> Settings:
    for name in ("dicom_port", "health_port"):
        os.environ[f"DOSE_{name.upper()}"] = str(choose_port(0, _LOCAL, name))
    return load_settings(home)


if __name__ == "__main__":
    main()
