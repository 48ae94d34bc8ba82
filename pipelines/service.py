"""`dose serve`: starts the parts, watches them, starts again what dies, stops in order.

Each part is a process of its own, so that a defect in one leaves the others working: the
receiver takes objects while the store is down, pages are served while a report runs. All
of them hold the lock of the home folder and end with the supervisor, even after kill -9.
"""

from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

import dose_lib
from dose_lib import DoseError, Settings
from dose_lib.errors import PortInUseError, ServiceError
from pipelines.dashboards import check_exposure, choose_port
from pipelines.disk import make_folder
from pipelines.health import HealthServer
from pipelines.heartbeat import beat_file, read_beat
from pipelines.logs import configure_logs
from pipelines.memory import ALLOCATORS
from pipelines.process import Stop
from pipelines.status import (
    COLLECTOR,
    HL7,
    STOW,
    WATCHER,
    ServiceFile,
    ServiceState,
    lock_file,
    parts_of,
    read_service_file,
    read_state,
    service_file,
)

log = logging.getLogger(__name__)

_MODULES = {
    "receiver": "pipelines.receive",
    "store": "pipelines.owner",
    "scheduler": "pipelines.schedule",
    "dashboards": "pipelines.dashboards",
    "vault": "pipelines.vault",
    HL7: "pipelines.collect.mllp",
    STOW: "pipelines.stow",
    COLLECTOR: "pipelines.collect.collector",
    WATCHER: "pipelines.collect.watch",
}
# Without these there is nothing to serve: their first start has to succeed.
_NEEDED = ("receiver", "store")
_START_S = 180.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_GOOD_RUN_S = 60.0  # after so long the next restart waits no longer than the first
_LOOK_S = 0.1
# Stopping: senders first, then what reads, then the store, which empties the spool, and last
# the vault, which takes in what the store has handed it.
_SENDERS = (COLLECTOR, WATCHER, "receiver", HL7, STOW)
_STOP_ORDER = (*_SENDERS, "dashboards", "scheduler", "store", "vault")
_STOP_S = dict.fromkeys(_STOP_ORDER, 10.0) | {"store": 45.0, "vault": 15.0}


class _Part:
    """One part: its process, and when to start it again."""

    def __init__(self, name: str, home: Path, lock: int) -> None:
        self.name, self._home, self._lock = name, home, lock
        self.process: subprocess.Popen[bytes] | None = None
        self.restarts = 0
        self._wait = _FIRST_WAIT_S
        self._started = self._due = 0.0

    def start(self) -> None:
        """Start the process; its standard input is our lifeline."""
        beat_file(self._home / "run", self.name).unlink(missing_ok=True)
        command = [sys.executable, "-m", _MODULES[self.name], "--home", str(self._home)]
        self.process = subprocess.Popen(  # noqa: S603 - our own modules
            [*command, "--lifeline"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**ALLOCATORS, **os.environ},
            pass_fds=(self._lock,),
            start_new_session=True,  # Ctrl-C reaches us only; we stop the parts in order
        )
        self._started = time.monotonic()
        log.info("part started", extra={"part": self.name, "pid": self.process.pid})

    @property
    def pid(self) -> int | None:
        """Its process, None while there is none."""
        return self.process.pid if self.process else None

    def look(self) -> None:
        """Start it again if it died and its time has come."""
        if self.process is not None and self.process.poll() is not None:
            self._note_death(self.process.returncode)
            self.process = None
        if self.process is None and time.monotonic() >= self._due:
            self.restarts += 1
            self.start()

    def _note_death(self, exit_code: int) -> None:
        if time.monotonic() - self._started > _GOOD_RUN_S:
            self._wait = _FIRST_WAIT_S
        log.error(
            "part died", extra={"part": self.name, "exit_code": exit_code, "seconds": self._wait}
        )
        self._due = time.monotonic() + self._wait
        self._wait = min(2 * self._wait, _LONGEST_WAIT_S)

    def stop(self) -> None:
        """End the process: asked first, then by force."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(_STOP_S[self.name])
        except subprocess.TimeoutExpired:
            log.error("part does not end", extra={"part": self.name, "pid": self.process.pid})
            self.process.kill()
            self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()
        log.info("part ended", extra={"part": self.name, "exit_code": self.process.returncode})
        self.process = None


class Service:
    """The parts of one installation under supervision.

    Parameters
    ----------
    settings
        Settings of the installation.
    parts
        Which parts to start; all by default.
    """

    def __init__(self, settings: Settings, parts: Sequence[str] | None = None) -> None:
        check_exposure(settings)
        self._settings = settings
        self._lock = _take_lock(settings)
        service_file(settings).unlink(missing_ok=True)  # of one that was killed
        self._parts = [
            _Part(name, settings.home, self._lock) for name in parts or parts_of(settings)
        ]
        self._health: HealthServer | None = None
        self._started_at = datetime.now(UTC)

    def start(self) -> None:
        """Start every part and return when those that are needed do their work.

        Raises
        ------
        ServiceError, SettingsError
            What a needed part says of why it cannot start.
        """
        s = self._settings
        port = choose_port(s.health_port, s.health_host, "health_port")
        self._health = HealthServer(s.health_host, port, self.state)
        self._health.__enter__()
        for part in self._parts:
            part.start()
        self._write_file()
        for part in self._parts:
            if part.name in _NEEDED:
                self._await(part)

    def state(self) -> ServiceState:
        """How the service is now."""
        return read_state(self._settings)

    def run(self, stop: Stop, on_look: Callable[[], None] = lambda: None) -> None:
        """Watch the parts until `stop` is set."""
        while not stop.wait(_LOOK_S):
            before = [p.pid for p in self._parts]
            for part in self._parts:
                part.look()
            if before != [p.pid for p in self._parts]:
                self._write_file()
            on_look()

    def stop(self) -> None:
        """End the parts in order, the store last, and free the home folder."""
        by_name = {part.name: part for part in self._parts}
        for name in _STOP_ORDER:
            if name in by_name:
                by_name[name].stop()
        if self._health is not None:
            self._health.__exit__(None, None, None)
        service_file(self._settings).unlink(missing_ok=True)
        os.close(self._lock)

    def _await(self, part: _Part) -> None:
        """Wait for a part's first sign that it works; raise its own words if it ended."""
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            beat = read_beat(self._settings.run_dir, part.name)
            if beat is not None and beat.is_ready:
                return
            if part.process is not None and part.process.poll() is not None:
                words = beat.problem if beat and beat.problem else "it left no word"
                raise _cannot_start(part.name, words, part.process.returncode, self._settings)
            time.sleep(0.02)
        raise _cannot_start(part.name, f"not ready after {_START_S:.0f} s", 6, self._settings)

    def _write_file(self) -> None:
        content = ServiceFile(
            pid=os.getpid(),
            started_at=self._started_at,
            version=dose_lib.__version__,
            health=self._health.url if self._health else None,
            pids={p.name: p.pid for p in self._parts},
            restarts={p.name: p.restarts for p in self._parts},
        )
        file = service_file(self._settings)
        temporary = file.with_suffix(".part")
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(content)))
        temporary.replace(file)


def _cannot_start(part: str, words: str, exit_code: int, settings: Settings) -> DoseError:
    error = ServiceError(words, where=part, todo=f"The log is {settings.logs_dir / part}.log")
    error.exit_code = exit_code if exit_code > 0 else error.exit_code
    return error


def _take_lock(settings: Settings) -> int:
    """Lock the home folder for one service; parts of a dead one are waited for a moment."""
    make_folder(settings.home)
    make_folder(settings.run_dir)
    handle = os.open(lock_file(settings), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + 60.0
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = read_service_file(settings)
            if time.monotonic() < deadline and other is None:
                time.sleep(0.1)
                continue
            os.close(handle)
            raise ServiceError(
                "a service runs on this home folder already"
                + (f" (process {other.pid})" if other else ""),
                where=str(settings.home),
                todo="`dose status` shows it; another one needs another --home",
            ) from None
        else:
            return handle


def serve(
    settings: Settings,
    *,
    parts: Sequence[str] | None = None,
    on_ready: Callable[[ServiceState], None] = lambda _: None,
) -> None:
    """Run the service until SIGTERM or SIGINT.

    Parameters
    ----------
    settings
        Settings of the installation.
    parts
        Which parts to start.
    on_ready
        Called once the parts that are needed do their work.

    Raises
    ------
    ServiceError
        If a service runs on this home folder already, or a needed part cannot start.
    PortInUseError
        If the health port is taken.
    SettingsError
        If a page would be open to the network.
    """
    configure_logs(settings.logs_dir, "service")
    stop = Stop()
    stop.watch_signals()
    service = Service(settings, parts)
    try:
        service.start()
        on_ready(service.state())
        service.run(stop)
    finally:
        service.stop()


__all__ = ["PortInUseError", "Service", "serve"]
