"""Senders that misbehave: they lose nothing of the others, and keep no place for long."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator

import psutil
import pytest
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification

from dose_lib.settings import Settings
from pipelines.receive import Receiver
from tests.pipelines.callers import associate, connect, send, waiting
from tests.pipelines.objects import dose_report

LARGE_MB = int(os.environ.get("DOSE_LARGE_MB", "200"))


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    with Receiver(settings) as running:
        yield running


def test_more_associations_than_allowed_are_told_to_come_back(settings: Settings) -> None:
    with Receiver(settings.model_copy(update={"dicom_max_associations": 2})) as receiver:
        with (
            associate(receiver.port) as one,
            associate(receiver.port) as two,
            associate(receiver.port) as three,
        ):
            assert one.is_established and two.is_established
            assert three.is_rejected
            assert send(one, dose_report()).Status == 0
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            with associate(receiver.port) as later:
                if later.is_established:
                    return
        pytest.fail("no association after the others were released")


def test_connections_that_only_knock_leave_no_thread_behind(receiver: Receiver) -> None:
    """What a port monitor does; without care each would keep a place for the whole timeout."""
    for _ in range(30):
        connect(receiver).close()
    deadline = time.monotonic() + 5
    while receiver.facts()["associations"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert receiver.facts()["associations"] == 0


def test_garbage_and_silence_keep_nobody_waiting(receiver: Receiver) -> None:
    silent = [connect(receiver) for _ in range(5)]
    loud = connect(receiver)
    loud.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    huge = connect(receiver)
    huge.sendall(struct.pack(">BBL", 1, 0, 0xFFFFFFF0))
    with associate(receiver.port) as association:
        assert send(association, dose_report()).Status == 0
    assert loud.recv(100)[:1] in (b"", b"\x07"), "closed or aborted"
    assert huge.recv(100)[:1] in (b"", b"\x07")
    for connection in (*silent, loud, huge):
        connection.close()


def half_a_message(association: Association) -> None:
    """Announce a PDU of 1000 bytes and send 10."""
    association.dul.socket.send(struct.pack(">BBL", 4, 0, 1000) + b"\x00" * 10)


def test_peer_that_stops_inside_a_pdu_is_dropped(settings: Settings) -> None:
    with Receiver(settings.model_copy(update={"dicom_timeout_s": 0.3})) as receiver:
        with associate(receiver.port) as hanging:
            half_a_message(hanging)
            deadline = time.monotonic() + 10
            while hanging.is_established and time.monotonic() < deadline:
                time.sleep(0.01)
            assert not hanging.is_established
        with associate(receiver.port) as association:
            assert send(association, dose_report()).Status == 0
        assert len(waiting(receiver)) == 1


def test_idle_association_is_closed(settings: Settings) -> None:
    with (
        Receiver(settings.model_copy(update={"dicom_timeout_s": 0.2})) as receiver,
        associate(receiver.port) as idle,
    ):
        deadline = time.monotonic() + 10
        while idle.is_established and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not idle.is_established


def test_sender_that_vanishes_in_the_middle_leaves_nothing(receiver: Receiver) -> None:
    with associate(receiver.port) as association:
        half_a_message(association)
        association.dul.socket.socket.close()
        association.kill()
    with associate(receiver.port) as association:
        assert send(association, dose_report()).Status == 0
    assert len(list(receiver.spool.folder.iterdir())) == 1


def test_sender_that_aborts_in_the_middle_leaves_nothing(receiver: Receiver) -> None:
    with associate(receiver.port) as association:
        begin_store(association)
        send_fragment(association, b"x" * 4000, is_last=False)
        association.abort()
    with associate(receiver.port) as association:
        assert send(association, dose_report()).Status == 0
    assert len(list(receiver.spool.folder.iterdir())) == 1


def begin_store(association: Association) -> None:
    """The command set of a C-STORE whose data set follows (PS3.7 9.3.1.1)."""
    cx = next(c for c in association.accepted_contexts if "Dose" in c.abstract_syntax.name)
    items = [
        (0x0002, cx.abstract_syntax.encode() + b"\0" * (len(cx.abstract_syntax) % 2)),
        *((0x0100, b"\x01\x00"), (0x0110, b"\x07\x00"), (0x0700, b"\x02\x00")),
        *((0x0800, b"\x00\x00"), (0x1000, b"1.2.30")),
    ]
    body = b"".join(struct.pack("<HHI", 0, e, len(v)) + v for e, v in items)
    head = struct.pack(">BBIIBB", 4, 0, len(body) + 6, len(body) + 2, cx.context_id, 3)
    association.dul.socket.send(head + body)


def send_fragment(association: Association, content: bytes, *, is_last: bool) -> None:
    cx = next(c for c in association.accepted_contexts if "Dose" in c.abstract_syntax.name)
    n = len(content)
    head = struct.pack(">BBIIBB", 4, 0, n + 6, n + 2, cx.context_id, 2 * is_last)
    association.dul.socket.socket.sendall(head + content)


def test_object_without_end_is_counted_not_kept(settings: Settings) -> None:
    """`DOSE_LARGE_MB` sets its size; it needs no more memory than the limit of an object."""
    fragment = bytes(120_000)
    process = psutil.Process()
    with (
        Receiver(settings.model_copy(update={"max_object_mb": 10})) as receiver,
        associate(receiver.port) as association,
    ):
        association._reactor_checkpoint.clear()  # its own thread must not take the answer
        begin_store(association)
        before = most = process.memory_info().rss
        for n in range(LARGE_MB * 1_000_000 // len(fragment)):
            send_fragment(association, fragment, is_last=False)
            if n % 100 == 0:
                most = max(most, process.memory_info().rss)
        send_fragment(association, b"end ", is_last=True)
        deadline = time.monotonic() + 30
        while (message := association.dimse.get_msg(block=False)[1]) is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        association._reactor_checkpoint.set()
        assert message.Status == 0xA700
        assert (most - before) / 1e6 < 60
        assert send(association, dose_report()).Status == 0
    print(f"{LARGE_MB} MB sent, {(most - before) / 1e6:.0f} MB more memory")


def association_request(called: str = "DOSELOOP") -> bytes:
    """The bytes of a real A-ASSOCIATE-RQ."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        entity = AE("FLOOD")
        entity.acse_timeout = entity.connection_timeout = 1
        entity.add_requested_context(Verification)
        address = listener.getsockname()
        caller = threading.Thread(target=lambda: entity.associate(*address, ae_title=called))
        caller.start()
        with listener.accept()[0] as connection:
            request = connection.recv(65536)
        caller.join()
    return request


def test_two_hundred_associations_take_no_more_than_their_places(receiver: Receiver) -> None:
    """Those over the limit are rejected or cut; who is there goes on; the places come back."""
    request = association_request()
    with associate(receiver.port) as association:
        threads = threading.active_count()
        flood = [connect(receiver) for _ in range(200)]
        for connection in flood:
            try:
                connection.sendall(request)
            except OSError:
                continue  # cut already
        assert send(association, dose_report()).Status == 0
        answers = [first_byte(connection) for connection in flood]
        assert answers.count(2) <= 20, "accepted"
        assert answers.count(3) + answers.count(None) >= 180, "rejected, or cut"
        assert threading.active_count() - threads < 150
        for connection in flood:
            connection.close()
        assert send(association, dose_report(2)).Status == 0
    deadline = time.monotonic() + 20
    while receiver.facts()["associations"] and time.monotonic() < deadline:
        time.sleep(0.02)
    with associate(receiver.port) as later:
        assert send(later, dose_report(3)).Status == 0


def first_byte(connection: socket.socket) -> int | None:
    """Type of the PDU that is answered; None for a connection that was cut."""
    try:
        answer = connection.recv(1)
    except OSError:
        return None
    return answer[0] if answer else None
