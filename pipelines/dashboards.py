"""The notebooks as live pages: `panel serve` in a process of its own, on loopback.

A page beyond loopback would show the department's doses to anyone in the network. Until
there is a login and TLS in front of it, the service refuses that address.
"""

from __future__ import annotations

import logging
import os
import runpy
import signal
import socket
import sys
import threading
from collections.abc import Sequence

import dose_lib
from dose_lib import Settings
from dose_lib.errors import PortInUseError, SettingsError
from pipelines.heartbeat import Heartbeat, Value
from pipelines.process import Stop, run_part

log = logging.getLogger(__name__)

PART = "dashboards"


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
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, wanted))
        except OSError as error:
            raise PortInUseError(
                f"port {wanted} of {host} cannot be used ({error.strerror})",
                expected="a free port",
                where=setting,
                todo=f"Stop what listens there, or set {setting} in doseloop.toml or by"
                f" DOSE_{setting.upper()}",
            ) from None
        return int(probe.getsockname()[1])


def page_url(settings: Settings, port: int) -> str:
    """Address of the overview of all pages."""
    return f"http://{settings.dashboards_host}:{port}/"


def serve(settings: Settings, stop: Stop) -> None:
    """Serve every notebook until `stop` is set."""
    check_exposure(settings)
    host = settings.dashboards_host
    port = choose_port(settings.dashboards_port, host, "dashboards_port")
    command = dose_lib.dashboard_command(settings, port=port)
    os.environ.update(dose_lib.dashboard_environment(settings))
    facts: dict[str, Value] = {"port": port, "url": page_url(settings, port)}
    # Panel's server ends itself at SIGTERM, and so leaves this process to us.
    threading.Thread(target=_end_with, args=(stop,), daemon=True).start()
    with Heartbeat(settings.run_dir, PART, lambda: facts, lambda: _problem(host, port)):
        log.info("serving pages", extra={"port": port})
        _run(command)


def _run(command: Sequence[str]) -> None:
    """Run `python -m panel serve ...` in this process, so that nothing outlives it."""
    module = command.index("-m") + 1
    sys.argv = list(command[module:])
    try:
        runpy.run_module(command[module], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise


def _end_with(stop: Stop) -> None:
    stop.wait()
    os.kill(os.getpid(), signal.SIGTERM)


def _problem(host: str, port: int) -> str | None:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return None if probe.connect_ex((host, port)) == 0 else "starting"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of the process."""
    return run_part(PART, serve, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
