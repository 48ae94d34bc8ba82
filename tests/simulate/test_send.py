"""Objects arrive over a real association, byte for byte, from the right sender."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt

from dose_lib.errors import SimulationError
from dose_lib.simulate import Hospital, SimObject, send, write_files
from dose_lib.simulate.send import STORAGE_CLASSES
from dose_lib.simulate.writer.encode import body_of


@pytest.fixture(scope="module")
def objects() -> list[SimObject]:
    hospital = Hospital.load("demo", end=date(2026, 11, 20), days=2)
    return [o for exam in hospital.exams() for o in exam.objects()]


class Receiver:
    """A storage listener that remembers what came."""

    def __init__(self, refuse: str | None = None) -> None:
        self.received: list[tuple[str, bytes]] = []
        self.refuse = refuse
        entity = AE(ae_title="DOSELOOP")
        for sop_class in STORAGE_CLASSES:
            entity.add_supported_context(sop_class)
        self.server = entity.start_server(
            ("127.0.0.1", 0),
            block=False,
            evt_handlers=[(evt.EVT_C_STORE, self.store), (evt.EVT_CONN_OPEN, self.opened)],
        )
        assert self.server is not None
        self.port = int(self.server.socket.getsockname()[1])

    def opened(self, event: Any) -> None:
        event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def store(self, event: Any) -> int:
        if event.request.AffectedSOPInstanceUID == self.refuse:
            return 0xA700
        caller = event.assoc.requestor.ae_title.strip()
        self.received.append((caller, event.encoded_dataset(include_meta=False)))
        return 0x0000


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()


def test_everything_arrives_unchanged(receiver: Receiver, objects: list[SimObject]) -> None:
    seen: list[int] = []
    result = send(objects, "127.0.0.1", receiver.port, progress=lambda n, _: seen.append(n))
    assert result.n_sent == len(objects) == seen[-1]
    assert not result.rejected
    assert [body for _, body in receiver.received] == [body_of(o.data) for o in objects]
    assert [who for who, _ in receiver.received] == [o.calling_ae_title for o in objects]
    assert set(result.answered_at) == {o.sop_instance_uid for o in objects}


def test_what_was_not_taken_is_named(receiver: Receiver, objects: list[SimObject]) -> None:
    receiver.refuse = objects[1].sop_instance_uid
    result = send(objects[:3], "127.0.0.1", receiver.port)
    assert result.n_sent == 2
    assert [(r.sop_instance_uid, r.status) for r in result.rejected] == [
        (objects[1].sop_instance_uid, 0xA700)
    ]


def test_it_can_be_stopped_and_paced(receiver: Receiver, objects: list[SimObject]) -> None:
    result = send(objects, "127.0.0.1", receiver.port, stop=lambda: len(receiver.received) >= 2)
    assert result.n_sent == 2
    span = (objects[2].sent_at - objects[0].sent_at).total_seconds()
    paced = send(objects[:3], "127.0.0.1", receiver.port, speed=span / 0.2)
    assert paced.seconds >= 0.2


def test_nobody_there_is_said_clearly(objects: list[SimObject]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(SimulationError, match="Connection refused"):
        send(objects[:1], "127.0.0.1", port)


def test_files_are_written_by_study(tmp_path: Path, objects: list[SimObject]) -> None:
    assert write_files(objects, tmp_path) == len(objects)
    files = sorted(tmp_path.glob("*/*.dcm"))
    assert {f.read_bytes() for f in files} == {o.data for o in objects}
