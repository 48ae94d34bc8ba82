"""The door of the live pages: holds their port, and starts what serves them when somebody looks.

The libraries behind a page take 230 MB, and nobody looks at night. This part holds the
listening socket and little else. When a first visitor knocks, it starts `pages`, which accepts
on that very socket, so that the knock is answered; when no visitor has been there for a while,
it ends `pages` again.

A page beyond loopback would show the department's doses to anyone in the network. Until
there is a login and TLS in front of it, the service refuses that address.
"""

from __future__ import annotations

import logging
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from dose_lib import Settings
from dose_lib.errors import PortInUseError, SettingsError
from pipelines.heartbeat import Heartbeat, Value, beat_file, read_beat
from pipelines.process import Stop, run_part

log = logging.getLogger(__name__)

PART, PAGES = "dashboards", "pages"

_LOOK_S = 0.5  # between looks; a visitor who knocks is heard at once
_END_S = 8.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_GOOD_RUN_S = 60.0
_ESTABLISHED = "01"  # in /proc/net/tcp


def check_exposure(settings: Settings) -> None:
    """Refuse pages beyond loopback.

    Raises
    ------
    SettingsError
        If dashboards or health page would listen beyond loopback.
    """
    if settings.is_exposed:
        raise SettingsError(
            f"dashboards_host = {settings.dashboards_host!r},"
            f" health_host = {settings.health_host!r} would be open to the network",
            expected="loopback (127.0.0.1): the pages have neither login nor TLS of their own",
            where="dashboards_host, health_host",
            todo="Put a proxy with login and TLS in front of the loopback address",
        )


def choose_port(wanted: int, host: str, setting: str) -> int:
    """The wanted port if it is free, any free one for 0.

    Raises
    ------
    PortInUseError
        If another process listens there.
    """
    with _bound(wanted, host, setting) as probe:
        return int(probe.getsockname()[1])


def open_door(settings: Settings) -> socket.socket:
    """The socket on which visitors knock.

    Raises
    ------
    PortInUseError
        If another process listens there.
    SettingsError
        If it would be open to the network.
    """
    check_exposure(settings)
    door = _bound(settings.dashboards_port, settings.dashboards_host, "dashboards_port")
    door.setblocking(False)
    door.listen(128)
    return door


def _bound(wanted: int, host: str, setting: str) -> socket.socket:
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, wanted))
    except OSError as error:
        found.close()
        raise PortInUseError(
            f"port {wanted} of {host} cannot be used ({error.strerror})",
            expected="a free port",
            where=setting,
            todo=f"Stop what listens there, or set {setting} in doseloop.toml or by"
            f" DOSE_{setting.upper()}",
        ) from None
    return found


def page_url(settings: Settings, port: int) -> str:
    """Address of the overview of all pages."""
    return f"http://{settings.dashboards_host}:{port}/"


def count_visitors(port: int) -> int:
    """Connections to a port of this machine; a page that is open holds one."""
    return sum(
        words[1].endswith(f":{port:04X}") and words[3] == _ESTABLISHED
        for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6")
        if Path(table).exists()
        for words in map(str.split, Path(table).read_text(encoding="ascii").splitlines()[1:])
    )


class Pages:
    """The process that serves pages: there while somebody looks.

    Parameters
    ----------
    settings
        Of the installation.
    door
        The listening socket, which the process accepts on.
    command
        What is started, with `--socket` and the number of the socket behind; default `pages`.
    """

    def __init__(
        self, settings: Settings, door: socket.socket, command: Sequence[str] | None = None
    ) -> None:
        self._settings, self._door = settings, door
        ours = [sys.executable, "-m", "pipelines.pages", "--home", str(settings.home)]
        self._command = list(command or [*ours, "--lifeline"])
        self._port = int(door.getsockname()[1])
        self._idle_s = 60.0 * settings.dashboards_idle_minutes
        self._process: subprocess.Popen[bytes] | None = None
        self._started = self._seen = self._due = 0.0
        self._wait = _FIRST_WAIT_S
        self.problem: str | None = None

    @property
    def is_loaded(self) -> bool:
        """True while the process is there."""
        return self._process is not None

    def facts(self) -> dict[str, Value]:
        """Where, and whether pages are loaded, for the heartbeat."""
        url = page_url(self._settings, self._port)
        return {"port": self._port, "url": url, "loaded": self.is_loaded}

    def look(self, timeout: float = _LOOK_S) -> None:
        """Start the process if somebody knocks, end it if nobody is there any more."""
        if self._process is None:
            self._wait_for_knock(timeout)
            return
        time.sleep(timeout)
        now = time.monotonic()
        if self._process.poll() is not None:
            self._note_end(self._process, now)
        elif self._idle_s and count_visitors(self._port):
            self._seen = now
        elif self._idle_s and now - self._seen > self._idle_s:
            log.info("nobody looks at pages", extra={"pid": self._process.pid})
            self.end()

    def end(self) -> None:
        """End the process; the door stays open."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._forget(self._process)

    def _wait_for_knock(self, timeout: float) -> None:
        now = time.monotonic()
        if now < self._due:
            time.sleep(min(timeout, self._due - now))
            return
        knocks, _, _ = select.select([self._door], [], [], timeout)
        if not knocks:
            return
        handle = self._door.fileno()
        beat_file(self._settings.run_dir, PAGES).unlink(missing_ok=True)
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [*self._command, "--socket", str(handle)],
            stdin=subprocess.PIPE,  # its lifeline
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(handle,),
        )
        self._started = self._seen = time.monotonic()
        self.problem = None
        log.info("pages are loaded", extra={"pid": self._process.pid})

    def _note_end(self, process: subprocess.Popen[bytes], now: float) -> None:
        """It ended by itself: the next visitor waits until its time has come."""
        beat = read_beat(self._settings.run_dir, PAGES)
        self.problem = beat.problem if beat and beat.problem else "the pages have ended"
        log.error("pages ended", extra={"exit_code": process.returncode, "reason": self.problem})
        is_good = now - self._started > _GOOD_RUN_S
        self._wait = _FIRST_WAIT_S if is_good else min(2 * self._wait, _LONGEST_WAIT_S)
        self._due = now + self._wait
        self._forget(process)

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin:
            process.stdin.close()
        self._process = None


def serve(settings: Settings, stop: Stop) -> None:
    """Hold the door open until `stop` is set."""
    with open_door(settings) as door:
        pages = Pages(settings, door)
        log.info("listening", extra={"port": pages.facts()["port"]})
        try:
            with Heartbeat(settings.run_dir, PART, pages.facts, lambda: pages.problem):
                while not stop.is_set():
                    pages.look()
        finally:
            pages.end()


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of the process."""
    return run_part(PART, serve, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
