"""Health and metrics over HTTP: `/health` as JSON, `/metrics` in the text form of Prometheus."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import ClassVar

import msgspec

from pipelines.status import ServiceState

_COUNTERS = {
    "received": ("doseloop_received_objects_total", "Objects taken in over DICOM."),
    "bytes": ("doseloop_received_bytes_total", "Bytes taken in over DICOM."),
    "refused": ("doseloop_refused_objects_total", "Objects refused for want of room or disk."),
    "callers_refused": ("doseloop_refused_callers_total", "Associations of unknown callers."),
    "stored": ("doseloop_stored_objects_total", "Objects stored since the start."),
    "duplicate": ("doseloop_duplicate_objects_total", "Repeated objects since the start."),
    "superseded": ("doseloop_superseded_objects_total", "Superseded objects since the start."),
    "no_dose": ("doseloop_no_dose_objects_total", "Objects without dose since the start."),
    "quarantined": ("doseloop_quarantined_objects_total", "Unreadable objects since the start."),
    "findings": ("doseloop_findings_total", "Findings opened since the start."),
    "detector_failures": ("doseloop_detector_failures_total", "Failures of detectors."),
    "runs": ("doseloop_report_runs_total", "Scheduled reports run."),
    "failures": ("doseloop_report_failures_total", "Scheduled reports that failed."),
}
_GAUGES = {
    "waiting": ("doseloop_spool_objects", "Objects waiting in the spool."),
    "associations": ("doseloop_associations", "Open DICOM associations."),
}


def metrics(state: ServiceState) -> str:
    """The state in the text form of Prometheus; names and numbers only."""
    return "\n".join(_lines(state)) + "\n"


def _lines(state: ServiceState) -> Iterator[str]:
    yield from _family("doseloop_up", "gauge", "1 if the part does its work.")
    for part in state.parts:
        yield f'doseloop_up{{part="{part.part}"}} {int(part.is_ready)}'
    yield from _family("doseloop_restarts_total", "counter", "Times the part was started again.")
    for part in state.parts:
        yield f'doseloop_restarts_total{{part="{part.part}"}} {part.restarts}'
    facts = {name: value for part in state.parts for name, value in part.facts.items()}
    for kind, table in (("counter", _COUNTERS), ("gauge", _GAUGES)):
        for fact, (name, text) in table.items():
            if isinstance(facts.get(fact), int | float):
                yield from _family(name, kind, text)
                yield f"{name} {facts[fact]}"
    yield from _family("doseloop_quarantine_objects", "gauge", "Objects in quarantine.")
    yield f"doseloop_quarantine_objects {state.in_quarantine}"
    yield from _family("doseloop_pending_callers", "gauge", "Unknown callers that were refused.")
    yield f"doseloop_pending_callers {len(state.pending_peers)}"
    yield from _family("doseloop_disk_free_bytes", "gauge", "Room on the disk of the home folder.")
    yield f"doseloop_disk_free_bytes {state.disk_free_bytes}"


def _family(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


class HealthServer:
    """Serves health and metrics until it is left.

    Parameters
    ----------
    host, port
        Where; 0 chooses a free port.
    state
        Called for each request.
    """

    def __init__(self, host: str, port: int, state: Callable[[], ServiceState]) -> None:
        handler = type("Handler", (_Handler,), {"state": staticmethod(state)})
        self._server = ThreadingHTTPServer((host, port), handler)
        self._server.daemon_threads = True
        self.url = f"http://{host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True
        )

    def __enter__(self) -> HealthServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    state: ClassVar[Callable[[], ServiceState]]
    timeout = 10
    server_version = "DoseLoop"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer with health or metrics."""
        state = type(self).state()
        if self.path == "/health":
            body = msgspec.json.encode({"is_healthy": state.is_healthy, **_builtins(state)})
            self._reply(200 if state.is_healthy else 503, "application/json", body)
        elif self.path == "/metrics":
            self._reply(200, "text/plain; version=0.0.4; charset=utf-8", metrics(state).encode())
        else:
            self._reply(404, "text/plain; charset=utf-8", b"/health or /metrics\n")

    def _reply(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a monitor asks every few seconds."""


def _builtins(state: ServiceState) -> dict[str, object]:
    content: dict[str, object] = msgspec.to_builtins(state)
    return content
