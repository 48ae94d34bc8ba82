"""Heartbeats, the state made from them, and what health and metrics say."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dose_lib.errors import PortInUseError, SettingsError
from dose_lib.settings import Settings
from pipelines.dashboards import check_exposure, choose_port
from pipelines.health import _COUNTERS, _GAUGES, HealthServer, metrics
from pipelines.heartbeat import Beat, Heartbeat, beat_file, read_beat, write_beat
from pipelines.logs import JsonLines, clean_traceback
from pipelines.status import PartState, ServiceState, readiness


def state(*parts: PartState) -> ServiceState:
    return ServiceState(
        at=datetime.now(UTC),
        is_running=True,
        service=None,
        parts=list(parts),
        in_quarantine=2,
        merges_waiting=0,
        pending_peers=[],
        disk_free_bytes=10,
    )


def test_heartbeat_is_written_until_the_part_ends(tmp_path: Path) -> None:
    assert read_beat(tmp_path, "store") is None
    with Heartbeat(tmp_path, "store", lambda: {"waiting": 3}, interval_s=0.01):
        beat = read_beat(tmp_path, "store")
        assert beat is not None and beat.is_ready
        assert (beat.pid, beat.facts) == (os.getpid(), {"waiting": 3})
    after = read_beat(tmp_path, "store")
    assert after is not None and not after.is_ready
    assert after.problem == "stopped"


def test_problem_of_a_part_is_in_its_beat(tmp_path: Path) -> None:
    with Heartbeat(tmp_path, "store", problem=lambda: "no room"):
        beat = read_beat(tmp_path, "store")
        assert beat is not None
        assert (beat.is_ready, beat.problem) == (False, "no room")


def test_damaged_beat_is_none(tmp_path: Path) -> None:
    beat_file(tmp_path, "store").write_text("{")
    assert read_beat(tmp_path, "store") is None


def test_age_of_a_beat(tmp_path: Path) -> None:
    past = datetime.now(UTC) - timedelta(seconds=90)
    write_beat(
        beat_file(tmp_path, "store"), Beat(part="store", pid=1, started_at=past, beat_at=past)
    )
    beat = read_beat(tmp_path, "store")
    assert beat is not None and beat.age_s > 89


def test_metrics_are_in_the_text_form_of_prometheus() -> None:
    receiver = PartState(
        part="receiver", is_ready=True, facts={"received": 7, "port": 11112, "associations": 1}
    )
    store = PartState(part="store", is_ready=False, problem="no room", restarts=2)
    text = metrics(state(receiver, store))
    assert 'doseloop_up{part="receiver"} 1\ndoseloop_up{part="store"} 0\n' in text
    assert 'doseloop_restarts_total{part="store"} 2\n' in text
    assert "# TYPE doseloop_received_objects_total counter\n" in text
    assert "doseloop_received_objects_total 7\n" in text
    assert "doseloop_quarantine_objects 2\n" in text
    assert "no room" not in text
    for line in text.splitlines():
        assert line.startswith("# ") or float(line.rsplit(" ", 1)[1]) >= 0


def test_a_reader_of_prometheus_takes_the_metrics_as_they_are() -> None:
    """Names, types and labels by its own parser; counters end in `_total`, families come once."""
    parts = [
        PartState(
            part=name,
            is_ready=True,
            facts={fact: n for n, fact in enumerate((*_COUNTERS, *_GAUGES))},
        )
        for name in ("receiver", "store")
    ]
    families = list(text_string_to_metric_families(metrics(state(*parts))))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    assert {"doseloop_up", "doseloop_received_objects", "doseloop_disk_free_bytes"} <= set(names)
    for family in families:
        assert family.documentation
        assert family.type in ("counter", "gauge")
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
            assert set(sample.labels) <= {"part"}
    (up,) = (f for f in families if f.name == "doseloop_up")
    assert {s.labels["part"]: s.value for s in up.samples} == {"receiver": 1, "store": 1}


def test_readiness_names_what_is_in_trouble() -> None:
    good, bad = PartState(part="a", is_ready=True), PartState(part="b", is_ready=False, problem="x")
    assert readiness(state(good)) == "all parts do their work"
    assert readiness(state(good, bad)) == "b: x"
    assert not state(good, bad).is_healthy


def test_health_server_and_a_port_that_is_taken() -> None:
    with HealthServer("127.0.0.1", 0, state) as server:
        port = int(server.url.rsplit(":", 1)[1])
        with pytest.raises(PortInUseError, match=rf"port {port} .*DOSE_HEALTH_PORT"):
            choose_port(port, "127.0.0.1", "health_port")
    assert choose_port(0, "127.0.0.1", "health_port") > 0


def test_pages_beyond_loopback_are_refused(settings: Settings) -> None:
    check_exposure(settings)
    for name in ("health_host", "dashboards_host"):
        with pytest.raises(SettingsError, match="open to the network"):
            check_exposure(settings.model_copy(update={name: "0.0.0.0"}))


def test_log_lines_leave_out_what_could_name_a_patient() -> None:
    formatter = JsonLines("store")

    def line(name: str, message: str, *args: object, **extra: object) -> str:
        record = logging.LogRecord(name, logging.ERROR, "f.py", 1, message, args, None)
        vars(record).update(extra)
        return formatter.format(record)

    ours = line("pipelines.ingest", "object refused", reason="no room", patient_name="Doe^Jane")
    assert '"reason": "no room"' in ours
    assert "Doe" not in ours
    assert "Doe" not in line("pynetdicom.x", "value %s", "Doe^Jane")
    try:
        raise ValueError("Doe^Jane")
    except ValueError as error:
        text = clean_traceback(error)
    assert "ValueError" in text and "test_health.py" in text
    assert "Doe" not in text
