"""The notebooks as live pages: `panel serve`, on a socket that somebody else has opened.

`python -m pipelines.pages` is started by the part `dashboards` when a visitor comes, and lives
while there are visitors; `dose dashboards` serves without the rest of the service.
"""

from __future__ import annotations

import argparse
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
from pipelines.dashboards import PAGES
from pipelines.process import Stop, run_part

log = logging.getLogger(__name__)


def serve(settings: Settings, stop: Stop, door: socket.socket) -> None:
    """Serve every notebook until `stop` is set.

    Parameters
    ----------
    settings
        Of the installation.
    stop
        Ends it.
    door
        Listens; visitors are accepted on it.
    """
    port = int(door.getsockname()[1])
    command = dose_lib.dashboard_command(settings, port=port)
    os.environ.update(dose_lib.dashboard_environment(settings))
    # Panel's server ends itself at SIGTERM, and so leaves this process to us.
    threading.Thread(target=_end_with, args=(stop,), daemon=True).start()
    _accept_on(door, port)
    log.info("serving pages", extra={"port": port})
    _run(command)


def _accept_on(door: socket.socket, port: int) -> None:
    """Give Panel's server an open socket: its command line knows only how to bind one."""
    from bokeh.server import server

    def bind_sockets(address: str | None, wanted: int) -> tuple[list[socket.socket], int]:
        return [door], port

    vars(server)["bind_sockets"] = bind_sockets


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of the process."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--socket", type=int, required=True, help="number of the open socket")
    given, others = parser.parse_known_args(arguments)
    with socket.socket(fileno=given.socket) as door:
        return run_part(PAGES, lambda settings, stop: serve(settings, stop, door), others)


if __name__ == "__main__":
    raise SystemExit(main())
