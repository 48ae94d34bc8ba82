"""An answer reaches the call that waits for it, however the threads are scheduled."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification

from dose_lib.dicom.requestor import Checkpoint, request

_AWAY_S = 0.1


def takes_the_processor_away(checkpoint: type[threading.Event]) -> type[threading.Event]:
    """The checkpoint on a machine that stops a thread as it leaves `wait`."""

    class Slow(checkpoint):  # type: ignore[valid-type, misc]
        def wait(self, timeout: float | None = None) -> bool:
            passed: bool = super().wait(timeout)
            time.sleep(_AWAY_S)
            return passed

    return Slow


@pytest.fixture
def association() -> Iterator[Association]:
    peer = AE("PEER")
    peer.add_supported_context(Verification)
    server = peer.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_ECHO, ok)])
    entity = AE("US")
    entity.acse_timeout = 10
    entity.dimse_timeout = 1
    entity.add_requested_context(Verification)
    line = request(entity, "127.0.0.1", server.server_address[1])
    assert line.is_established
    yield line
    if line.is_established:
        line.release()
    server.shutdown()


def ok(_: Any) -> int:
    return 0


def echo(association: Association) -> Dataset:
    """Send while the other thread is away, and be away oneself when the answer comes."""
    take = association.dimse.get_msg

    def take_late(block: bool = False) -> Any:
        if block:
            time.sleep(2 * _AWAY_S)
        return take(block)

    time.sleep(_AWAY_S * 0.3)
    association.dimse.get_msg = take_late
    try:
        return association.send_c_echo()
    finally:
        association.dimse.get_msg = take


def test_the_checkpoint_of_pynetdicom_loses_an_answer(association: Association) -> None:
    """The reason for ours. When this fails, pynetdicom is mended and ours can go."""
    slow = takes_the_processor_away(threading.Event)()
    slow.set()
    association._reactor_checkpoint = slow
    assert any("Status" not in echo(association) for _ in range(10))


def test_ours_loses_none(association: Association) -> None:
    checkpoint: Any = takes_the_processor_away(Checkpoint)
    association._reactor_checkpoint = checkpoint(association)
    assert [echo(association).get("Status") for _ in range(10)] == [0] * 10
    association.release()
    assert association.is_released


def test_a_thread_that_has_ended_is_not_waited_for() -> None:
    ended = threading.Thread(target=lambda: None)
    ended.start()
    ended.join()
    checkpoint = Checkpoint(ended)
    checkpoint.clear()
    assert not checkpoint.is_set()


def test_the_watching_thread_does_not_wait_for_itself() -> None:
    checkpoint = Checkpoint(threading.current_thread())
    checkpoint.clear()
    assert not checkpoint.wait(0.01)
    checkpoint.set()
    assert checkpoint.wait(0.01)
