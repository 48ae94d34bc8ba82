"""Real archives for tests, started on free loopback ports: Orthanc and dcmtk's dcmqrscp."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import require

LOCAL = "127.0.0.1"
USER, PASSWORD = "doseloop", "only-for-tests"
_PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((LOCAL, 0))
        return int(probe.getsockname()[1])


def await_port(port: int, process: subprocess.Popen[bytes], limit_s: float = 30) -> None:
    """Return when something listens there."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        assert process.poll() is None, f"ended with {process.returncode}"
        with socket.socket() as probe:
            if probe.connect_ex((LOCAL, port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


class Orthanc:
    """A running Orthanc."""

    def __init__(self, port: int, http_port: int) -> None:
        self.port, self.http_port = port, http_port
        self.url = f"http://{LOCAL}:{http_port}"
        self.web = f"{self.url}/dicom-web"

    def request(self, path: str, data: bytes | None = None, method: str | None = None) -> object:
        """JSON of its REST interface."""
        request = urllib.request.Request(f"{self.url}{path}", data=data, method=method)
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
        with urllib.request.urlopen(request, timeout=60) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def load(self, objects: Iterable[bytes]) -> None:
        """Put objects in."""
        for data in objects:
            self.request("/instances", data, "POST")

    def clear(self) -> None:
        """Remove everything."""
        for patient in self.request("/patients") or ():  # type: ignore[attr-defined]
            self.request(f"/patients/{patient}", method="DELETE")


@contextmanager
def orthanc(folder: Path, listener_port: int, ae_title: str = "DOSELOOP") -> Iterator[Orthanc]:
    """An Orthanc that knows our listener; stopped at the end."""
    program = require("Orthanc")
    port, http_port = free_port(), free_port()
    config = {
        "DicomPort": port,
        "DicomAet": "ORTHANC",
        "DicomCheckCalledAet": False,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomModalities": {"doseloop": [ae_title, LOCAL, listener_port]},
        "DicomAssociationCloseDelay": 2,
        "HttpServerEnabled": True,
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "OverwriteInstances": True,
        "Plugins": [_PLUGIN] if Path(_PLUGIN).exists() else [],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "UnknownSopClassAccepted": True,
        "SaveJobs": False,
        "JobsHistorySize": 100000,
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "orthanc.json"
    file.write_text(json.dumps(config))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([program, str(file)], stdout=log, stderr=log)
        try:
            await_port(port, process)
            await_port(http_port, process)
            yield Orthanc(port, http_port)
        finally:
            process.terminate()
            process.wait(timeout=30)


@contextmanager
def dcmqrscp(folder: Path, listener_port: int, ae_title: str = "DOSELOOP") -> Iterator[int]:
    """A dcmqrscp that knows our listener; yields its port. Objects go in by C-STORE."""
    program = require("dcmqrscp")
    port = free_port()
    store = folder / "store"
    store.mkdir(parents=True, exist_ok=True)
    config = folder / "dcmqrscp.cfg"
    config.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\ndoseloop = ({ae_title}, {LOCAL}, {listener_port})\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nDCMQR {store} RW (5000, 1024mb) ANY\nAETable END\n"
    )
    with (folder / "dcmqrscp.log").open("wb") as log:
        process = subprocess.Popen([program, "-c", str(config)], stdout=log, stderr=log)
        try:
            await_port(port, process)
            yield port
        finally:
            process.kill()  # it forks for nobody here, and ends only so
            process.wait(timeout=10)
