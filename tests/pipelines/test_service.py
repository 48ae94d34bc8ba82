"""The whole service in real processes: it starts, survives, accounts for all, and stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import XRayRadiationDoseSRStorage

import dose_lib
from dose_lib.dicom.requestor import request
from dose_lib.settings import Settings
from dose_lib.simulate.writer import make_ct_rdsr
from pipelines.status import read_accounts
from tests.conftest import require
from tests.pipelines.running import dose, service

pytestmark = pytest.mark.service

RESTARTED = ("store", "receiver", "vault", "scheduler", "dashboards")


def send(port: int, objects: Iterable[bytes], *, caller: str = "CT1") -> list[int]:
    """C-STORE each object; indices of those answered with success."""
    entity = AE(caller)
    entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = 20
    entity.add_requested_context(XRayRadiationDoseSRStorage, ExplicitVRLittleEndian)
    association = request(entity, "127.0.0.1", port)
    connection = association.dul.socket.socket if association.dul.socket else None
    taken: list[int] = []
    for number, data in enumerate(objects):
        if not association.is_established:
            break
        answer = association.send_c_store(pydicom.dcmread(DicomBytesIO(data)))
        if getattr(answer, "Status", None) == 0:
            taken.append(number)
    if association.is_established:
        association.release()
    if connection is not None:
        connection.close()
    return taken


def query(settings: Settings, sql: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (
        dose_lib.connect(settings=settings).sql(sql).to_pyarrow().to_pylist()
    )
    return rows


def wait_for(condition: Any, limit_s: float = 120) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_object_sent_can_be_queried_and_every_number_is_accounted_for(
    settings: Settings, tmp_path: Path
) -> None:
    with service(settings) as running:
        reports = [make_ct_rdsr(seed=n) for n in range(3)]
        assert send(running.port, [*reports, reports[0]]) == [0, 1, 2, 3]
        wait_for(lambda: read_accounts(settings).waiting == 0)
        accounts = read_accounts(settings)
        assert (accounts.received, accounts.stored, accounts.duplicate) == (4, 3, 1)
        assert query(settings, "SELECT count(*) AS n FROM studies") == [{"n": 3}]

        # The folder route goes through the running service.
        file = tmp_path / "more.dcm"
        file.write_bytes(make_ct_rdsr(seed=9))
        assert "1 stored" in " ".join(dose(settings, "ingest", str(file)).stdout.split())
        assert read_accounts(settings).stored == 4

        status = json.loads(dose(settings, "status", "--json").stdout)
        assert status["is_healthy"] is True
        assert status["objects"]["received"] == 5

        health = running.state().service
        assert health is not None and health.health is not None
        code, body = get(health.health + "/health")
        assert code == 200
        assert json.loads(body)["is_healthy"] is True
        code, body = get(health.health + "/metrics")
        assert 'doseloop_up{part="receiver"} 1' in body
        assert "doseloop_received_objects_total 4" in body
        assert get(health.health + "/else")[0] == 404

        second = dose(settings, "serve", check=False)
        assert second.returncode == 6
        assert "runs on this home folder already" in second.stderr
    assert running.process.returncode == 0
    assert not running.state().is_running


def test_part_that_dies_is_started_again_and_nothing_is_lost(settings: Settings) -> None:
    with service(settings, without=()) as running:
        for part in RESTARTED:
            before = {p.part: p.pid for p in running.state().parts}
            os.kill(before[part] or 0, signal.SIGKILL)
            if part == "store":  # the listener goes on while there is no store
                assert send(running.port, [make_ct_rdsr(seed=1)]) == [0]

            def is_back(part: str = part, before: dict[str, int | None] = before) -> bool:
                state = running.state()
                now = {p.part: p.pid for p in state.parts}
                return now.get(part) not in (None, before[part]) and state.is_healthy

            wait_for(is_back)
        assert send(running.port, [make_ct_rdsr(seed=2)]) == [0]
        wait_for(lambda: read_accounts(settings).stored == 2)
        state = running.state()
        assert {p.part: p.restarts for p in state.parts} == dict.fromkeys(RESTARTED, 1)


def test_parts_end_with_their_supervisor(settings: Settings) -> None:
    with service(settings) as running:
        pids = running.pids()
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
        wait_for(lambda: not any(_lives(pid) for pid in pids), 60)
        running._close()
    with service(settings) as again:
        assert again.state().is_healthy


def _lives(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def test_stop_empties_the_spool_first(settings: Settings) -> None:
    with service(settings) as running:
        n = len(send(running.port, [make_ct_rdsr(seed=n) for n in range(30)]))
        assert running.stop() == 0
    assert n == 30
    assert list(settings.spool_dir.glob("*.dcm")) == []
    assert read_accounts(settings).stored == 30


def test_port_in_use_stops_the_start_with_a_clear_message(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        arguments = ("--without", "scheduler", "--without", "dashboards")
        for option in ("--dicom-port", "--health-port"):
            ended = dose(settings, "serve", option, port, *arguments, check=False)
            assert ended.returncode == 6
            assert port in ended.stderr
            assert "DOSE_" in ended.stderr
            assert "Traceback" not in ended.stderr


def test_store_opened_by_someone_else_is_said(settings: Settings) -> None:
    settings.store_file.parent.mkdir(parents=True)
    code = (
        "import duckdb, sys; con = duckdb.connect(sys.argv[1]);"
        " con.execute('CREATE TABLE t(i int)'); print('open', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(settings.store_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None and other.stdin is not None
    assert other.stdout.readline() == "open\n"
    try:
        arguments = ("--without", "scheduler", "--without", "dashboards")
        ended = dose(settings, "serve", *arguments, check=False)
        assert ended.returncode == 4
        assert str(other.pid) in ended.stderr or "another process" in ended.stderr
    finally:
        other.stdin.close()
        other.wait(timeout=10)
        other.stdout.close()


def test_no_identifier_in_logs_and_metrics(settings: Settings) -> None:
    """A name planted where senders put names, and the object cut so that reading fails."""
    with service(settings) as running:
        report = make_ct_rdsr(seed=1, patient_name="PLANTED^NAME", patient_id="PLANTEDID")
        send(running.port, [report], caller="CT1")
        spool = settings.spool_dir
        wait_for(lambda: not list(spool.glob("*.dcm")))
        file = settings.home.parent / "PLANTED_NAME.dcm"
        file.write_bytes(report[:-500])
        dose(settings, "ingest", str(file), check=False)
        health = running.state().service
        assert health is not None
        texts = [get(f"{health.health}/{page}")[1] for page in ("health", "metrics")]
    texts += [p.read_text() for p in settings.logs_dir.glob("*.log")]
    texts += [p.read_text() for p in settings.run_dir.glob("*.json")]
    assert len(texts) > 5
    assert not [t for t in texts if "PLANTED" in t]
    lines = [x for p in settings.logs_dir.glob("*.log") for x in p.read_text().splitlines()]
    assert all(json.loads(line)["part"] for line in lines)


@pytest.mark.peer
def test_dcmtk_delivers_a_folder(settings: Settings, tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.dcm").write_bytes(make_ct_rdsr(seed=number))
    with service(settings) as running:
        command = [require("storescu"), "+sd", "-aet", "SCANNER3", "127.0.0.1", str(running.port)]
        subprocess.run([*command, str(tmp_path)], check=False, capture_output=True, timeout=60)
        wait_for(lambda: read_accounts(settings).stored == 5)
        callers = query(settings, "SELECT DISTINCT caller, route FROM objects")
    assert callers == [{"caller": "SCANNER3", "route": "c-store"}]
