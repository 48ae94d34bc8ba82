"""Memory of the running service: at rest, after 900 reports, with a visitor and without.

A whole service with every part of a usual installation is started as an administrator starts
it. Counted is the proportional set size (PSS) of every process, as the kernel gives it in
`smaps_rollup`: pages of one process whole, pages shared by several divided among them, so
that the column adds up to what the service takes of the machine.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from bokeh.client.session import ClientSession
from bokeh.client.util import websocket_url_for_server_url

from dose_lib import Settings, load_settings
from dose_lib.simulate import Hospital
from dose_lib.simulate.send import send
from pipelines.dashboards import choose_port
from pipelines.heartbeat import Value, read_beat
from pipelines.status import ServiceState, read_accounts, read_state

GOAL_MB, N_REPORTS = 500, 900
_LOCAL, _PAGE = "127.0.0.1", "how_do_our_ct_doses_compare"
_REST_S = 15.0  # what a part prepares while nothing is to do is loaded by then
_PATIENCE_S = 600.0
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


def main() -> None:
    """Start a service, measure it four times."""
    with tempfile.TemporaryDirectory(prefix="dose-bench-") as name:
        settings = _with_ports(Path(name))
        with _service(settings) as supervisor:
            moments = {"at rest": _after_a_rest(supervisor)}
            n = _send(settings)
            _await(lambda: read_accounts(settings).stored >= n and not _waiting(settings))
            moments[f"{n} reports later"] = _after_a_rest(supervisor)
            with _visitor(settings):
                moments["with a visitor"] = _after_a_rest(supervisor)
            _await(lambda: not _facts(settings, "dashboards")["loaded"])
            moments["visitor gone"] = _after_a_rest(supervisor)
    _print_table(moments)


@contextmanager
def _service(settings: Settings) -> Iterator[int]:
    """The process that supervises; every part is ready."""
    command = [sys.executable, "-m", "pipelines.cli", "--home", str(settings.home), "serve"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _await(lambda: _is_ready(read_state(settings), process))
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=120)


def _is_ready(state: ServiceState, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise RuntimeError("the service has ended")
    return bool(state.parts) and state.is_healthy


def _send(settings: Settings) -> int:
    port = int(_facts(settings, "receiver")["port"] or 0)
    exams = Hospital.load("demo", days=200).exams()
    objects = [o for exam in exams for o in exam.objects()][:N_REPORTS]
    return send(objects, _LOCAL, port).n_sent


@contextmanager
def _visitor(settings: Settings) -> Iterator[None]:
    """A page is open, as in a browser."""
    address = f"{_facts(settings, 'dashboards')['url']}{_PAGE}"
    began = time.monotonic()
    with urllib.request.urlopen(address, timeout=_PATIENCE_S) as answer:
        answer.read()
    print(f"the first visitor waited {time.monotonic() - began:.1f} s")
    session = ClientSession(websocket_url=websocket_url_for_server_url(address))
    session.connect()
    try:
        yield
    finally:
        session.close()


def _facts(settings: Settings, part: str) -> dict[str, Value]:
    beat = read_beat(settings.run_dir, part)
    return beat.facts if beat else {}


def _after_a_rest(supervisor: int) -> dict[str, float]:
    time.sleep(_REST_S)
    process = psutil.Process(supervisor)
    found: dict[str, float] = {}
    for one in (process, *process.children(recursive=True)):
        text = Path(f"/proc/{one.pid}/smaps_rollup").read_text(encoding="ascii")
        match = _PSS.search(text)
        name = _name_of(one.cmdline())
        if match and name:
            found[name] = found.get(name, 0.0) + int(match[1]) / 1024
    return found


def _name_of(command: list[str]) -> str | None:
    """What a process is called in the table; None for one that does no work of its own."""
    words = " ".join(command)
    if "resource_tracker" in words:
        return None
    if "spawn_main" in words:
        return "reader (of the store's owner)"
    return {
        "pipelines.commands.service": "supervisor",
        "pipelines.owner": "store's owner",
        "pipelines.receive": "receiver",
        "pipelines.schedule": "scheduler",
    }.get(module := command[command.index("-m") + 1], module.removeprefix("pipelines."))


def _print_table(moments: dict[str, dict[str, float]]) -> None:
    names = list(dict.fromkeys(name for found in moments.values() for name in found))
    print(f"{'PSS, MB':32}" + "".join(f"{moment:>20}" for moment in moments))
    for name in names:
        values = [f"{found[name]:.0f}" if name in found else "" for found in moments.values()]
        print(f"{name:32}" + "".join(f"{value:>20}" for value in values))
    sums = [sum(found.values()) for found in moments.values()]
    print(f"{'together':32}" + "".join(f"{total:>20.0f}" for total in sums))
    print(f"{'goal':32}" + "".join(f"{'< ' + str(GOAL_MB):>20}" for _ in sums[:2]))


def _waiting(settings: Settings) -> bool:
    return any(settings.spool_dir.glob("*.dcm"))


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the service does not come to rest")
        time.sleep(0.2)


def _with_ports(home: Path) -> Settings:
    for name in ("dicom_port", "health_port", "dashboards_port"):
        os.environ[f"DOSE_{name.upper()}"] = str(choose_port(0, _LOCAL, name))
    os.environ["DOSE_DASHBOARDS_IDLE_MINUTES"] = "0.5"
    return load_settings(home)


if __name__ == "__main__":
    main()
