"""Associations that we ask for: each answer reaches the call that waits for it."""

from __future__ import annotations

import threading
from typing import Any

from pynetdicom import AE
from pynetdicom.association import Association

# How long `clear` waits before it looks again whether the other thread still lives.
_LOOK_S = 0.05


class Checkpoint(threading.Event):
    """Where the thread that watches an association stands still while a message is awaited.

    pynetdicom (seen in 3.0.4) pauses that thread in two steps: it says that it pauses, then
    looks whether it shall. When the machine takes the processor away between the two, a
    sender trusts the word, sends, and the thread, running on, takes the answer out of the
    queue; the sender waits until its time-out. Here `clear` returns only after the thread
    stands still in `wait`.

    Parameters
    ----------
    watcher
        The thread that calls `wait`.
    """

    def __init__(self, watcher: threading.Thread) -> None:
        super().__init__()
        self._watcher = watcher
        self._change = threading.Condition()
        self._stands = False
        self.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Stand still while the checkpoint is closed."""
        with self._change:
            self._stands = True
            self._change.notify_all()
            passed = self._change.wait_for(self.is_set, timeout)
            self._stands = False
        return passed

    def set(self) -> None:
        """Open the checkpoint."""
        with self._change:
            super().set()
            self._change.notify_all()

    def clear(self) -> None:
        """Close the checkpoint, and return when the watching thread stands still in it."""
        with self._change:
            super().clear()
            if threading.current_thread() is self._watcher:
                return
            while not (self._stands or self.is_set()) and self._watcher.is_alive():
                self._change.wait(_LOOK_S)


def request(entity: AE, host: str, port: int, **wishes: Any) -> Association:
    """Ask a peer for an association.

    Parameters
    ----------
    entity
        Who asks.
    host, port
        Of the peer.
    **wishes
        As `pynetdicom.AE.associate` takes them.

    Returns
    -------
    Association
        Established or not: `is_established` says.
    """
    association = entity.associate(host, port, **wishes)
    association._reactor_checkpoint = Checkpoint(association)
    return association
