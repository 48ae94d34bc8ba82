"""The demo as a user runs it: in a process of its own, twice, and ended in the middle."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dose_lib.settings import Settings
from tests.pipelines.running import ROOT, dose, environment

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(600)]


def test_demo_shows_the_whole_loop_and_can_be_run_again(settings: Settings) -> None:
    for seed in ("1", "2"):
        ended = dose(settings, "demo", "--exit", "--days", "10", "--seed", seed, timeout=280)
        text = ended.stdout
        assert "all of them stored" in text
        assert re.search("child", text, re.IGNORECASE), "the finding"
        assert "http://127.0.0.1:" in text
        (report,) = settings.reports_dir.glob("*.html")
        assert str(report) in text.replace("\n", "")
        assert report.stat().st_size > 50_000
        assert not list(settings.spool_dir.glob("*.dcm"))


def test_ctrl_c_ends_the_demo_cleanly(settings: Settings, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    command = [sys.executable, "-m", "pipelines.cli", "--home", str(settings.home), "demo"]
    with out.open("w") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env=environment(), cwd=ROOT
        )
        deadline = time.monotonic() + 120
        while "sent over DICOM" not in out.read_text():
            assert process.poll() is None, out.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) == 0, out.read_text()
    assert out.read_text().endswith("`dose demo` runs it again.\n")
