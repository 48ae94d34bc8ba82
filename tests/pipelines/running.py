"""A real service in processes of its own, for tests."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from dose_lib.settings import Settings
from pipelines.heartbeat import read_beat
from pipelines.status import ServiceState, read_state

ROOT = Path(__file__).parents[2]


def dose(
    settings: Settings, *arguments: str, check: bool = True, timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """Run one `dose` command."""
    command = [sys.executable, "-m", "pipelines.cli", "--home", str(settings.home), *arguments]
    ended = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment(),
        cwd=ROOT,
    )
    assert not check or ended.returncode == 0, ended.stderr + ended.stdout
    return ended


def environment() -> dict[str, str]:
    """Free ports, and coverage of nothing else."""
    ports = {f"DOSE_{name}_PORT": "0" for name in ("DICOM", "HEALTH", "DASHBOARDS")}
    return {**os.environ, **ports}


class Running:
    """A running service."""

    def __init__(self, settings: Settings, process: subprocess.Popen[str]) -> None:
        self.settings, self.process = settings, process

    @property
    def port(self) -> int:
        """Port of the listener."""
        beat = read_beat(self.settings.run_dir, "receiver")
        assert beat is not None
        return int(beat.facts["port"] or 0)

    def state(self) -> ServiceState:
        """How it is."""
        return read_state(self.settings)

    def wait_until_ready(self, limit_s: float = 300) -> None:
        """Return when every part that was started does its work."""
        deadline = time.monotonic() + limit_s
        while not ((state := self.state()).parts and state.is_healthy):
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, state
            time.sleep(0.05)

    def pids(self) -> list[int]:
        """All processes, children first."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        return [*(p.pid for p in found), self.process.pid]

    def kill_all(self) -> None:
        """kill -9 of everything at once, as a power cut would end it."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for pid in reversed(self.pids()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self._close()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(timeout=90)
        self._close()
        return code

    def _close(self) -> None:
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()


@contextmanager
def service(
    settings: Settings, *arguments: str, without: tuple[str, ...] = ("scheduler", "dashboards")
) -> Iterator[Running]:
    """A service with listener and store; stopped at the end."""
    command = [sys.executable, "-m", "pipelines.cli", "--home", str(settings.home), "serve"]
    for part in without:
        command += ["--without", part]
    process = subprocess.Popen(
        [*command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd=ROOT,
    )
    running = Running(settings, process)
    try:
        running.wait_until_ready()
        yield running
    finally:
        if process.returncode is None:
            running.stop()
