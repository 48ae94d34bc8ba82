"""What the kernel sees of one C-STORE: kill -9 cannot test a flush, its order can be watched."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dose_lib.settings import Settings
from pipelines.heartbeat import read_beat
from tests.conftest import require
from tests.pipelines.objects import dose_report, encode
from tests.pipelines.running import ROOT, environment

pytestmark = [pytest.mark.peer, pytest.mark.service]


@pytest.fixture
def strace() -> str:
    """strace, where it may be used: containers often forbid one process to watch another."""
    found = require("strace")
    if subprocess.run([found, "true"], check=False, capture_output=True).returncode:
        pytest.skip("strace is not allowed here; the seam of `Disk` shows the order too")
    return found


def test_the_answer_follows_write_flush_rename_and_flush_of_the_folder(
    settings: Settings, tmp_path: Path, strace: str
) -> None:
    calls = tmp_path / "calls"
    watch = [strace, "-f", "-yy", "-s", "16", "-o", str(calls)]
    watch += ["-e", "trace=write,fsync,rename,sendto"]
    command = [sys.executable, "-m", "pipelines.receive", "--home", str(settings.home)]
    listener = subprocess.Popen([*watch, *command], env=environment(), cwd=ROOT)
    try:
        deadline = time.monotonic() + 60
        while (beat := read_beat(settings.run_dir, "receiver")) is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        file = tmp_path / "report.dcm"
        file.write_bytes(encode(dose_report()))
        storescu = [require("storescu"), "127.0.0.1", str(beat.facts["port"]), str(file)]
        subprocess.run(storescu, check=True, capture_output=True, timeout=60)
    finally:
        subprocess.run(["pkill", "-TERM", "-P", str(listener.pid)], check=False)
        listener.wait(timeout=30)

    spool = re.escape(str(settings.spool_dir))
    seen = calls.read_text()
    pdu = r'sendto\(\d+<TCP.*"\\4\\0'  # P-DATA-TF: the response to C-STORE is the only one
    wanted = [
        rf"write\(\d+<{spool}/[\w-]+\.part>",
        rf"fsync\(\d+<{spool}/[\w-]+\.part>\)",
        rf'rename\("{spool}/[^"]*\.part", "{spool}/[^"]*\.dcm"',
        rf"fsync\(\d+<{spool}>\)",
        pdu,
    ]
    found = [re.search(pattern, seen) for pattern in wanted]
    assert all(found), [p for p, f in zip(wanted, found, strict=True) if not f]
    places = [f.start() for f in found if f]
    assert places == sorted(places)
    assert len(re.findall(pdu, seen)) == 1
