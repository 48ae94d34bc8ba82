"""The process that decodes pixels and measures the patient on them.

Decoders are old code in C, and pixels come from anyone who may send images: whatever they do to
a decoder happens here. The process writes no file, leaves no core, has a limit of memory, is
ended when an image takes too long, and ends by itself when it is not needed any more. Who takes
in images waits for it, so that header and size are on disk together before the sender hears of
success; the thread that waits decodes nothing itself.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from dose_lib.records import DerivedValue
from pipelines.slices import Derived, Wanted, look_at, measure

log = logging.getLogger(__name__)

_START_S = 120.0  # longest time the process may take to start
_LONGEST_S = 30.0  # longest time one image may take; a usual one takes a twentieth of a second
_PATIENCE_S = 60.0  # longest time an image waits for others to be measured
_IDLE_S = 300.0  # without an image the process ends
_ROOM = 1_000_000_000  # bytes of address space beyond what the process has at its start

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, DerivedValue]).decode
_READY = b"{}"
_TRIES = 2  # a process that had ended for want of work costs one


class _LateError(Exception):
    """No answer in time."""


class Measurer:
    """One measuring process, started when it is first needed.

    Parameters
    ----------
    longest_s
        Seconds that one image may take.
    work
        What the process runs.
    """

    def __init__(
        self, longest_s: float = _LONGEST_S, work: Callable[[Connection], None] | None = None
    ) -> None:
        self._longest_s, self._work = longest_s, work or serve
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._process: multiprocessing.process.BaseProcess | None = None

    def measure(self, data: bytes, wanted: Wanted) -> Derived:
        """What `slices.measure` says; without a value where the process does not answer."""
        if not self._lock.acquire(timeout=_PATIENCE_S):
            return _given_up(wanted, "images of others took the decoder too long")
        try:
            for _ in range(_TRIES):
                try:
                    return self._ask(data)
                except (EOFError, OSError):  # it ended: idle since long, or by this image
                    self._end()
        except _LateError:
            self._end()
        finally:
            self._lock.release()
        return _given_up(wanted, "the decoder did not finish with these pixels")

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _ask(self, data: bytes) -> Derived:
        if self._connection is None:
            self._start()
        return _decode(self._within(self._longest_s, data))

    def _within(self, limit_s: float, data: bytes | None = None) -> bytes:
        """Send, and receive the answer; a process that does not read is late, too."""
        assert self._connection is not None and self._process is not None  # noqa: S101
        late = threading.Event()
        process = self._process

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(limit_s, give_up)
        timer.start()
        try:
            if data is not None:
                self._connection.send_bytes(data)
            return self._connection.recv_bytes()
        except (EOFError, OSError):
            if late.is_set():
                raise _LateError from None
            raise
        finally:
            timer.cancel()

    def _start(self) -> None:
        # Spawned, not forked: whoever receives has threads and open sockets.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=self._work, args=(theirs,), name="measuring", daemon=True
        )
        self._process.start()
        theirs.close()
        self._within(_START_S)

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def _given_up(wanted: Wanted, reason: str) -> Derived:
    log.error("image not measured", extra={"reason": reason})
    return wanted.given_up(reason)


def serve(connection: Connection) -> None:
    """Measure images until the other end closes, or nothing comes; entry of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it says when to end
    _limit()
    connection.send_bytes(_READY)
    while connection.poll(_IDLE_S):
        try:
            data = connection.recv_bytes()
        except EOFError:
            return
        wanted = look_at(data, every=1)
        connection.send_bytes(_encode({} if wanted is None else measure(data, wanted)))


def _limit() -> None:
    """No core that would hold pixels, and no more memory than images need."""
    from scipy import ndimage

    assert ndimage  # noqa: S101 - loaded before the limit, which its size would eat into
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):  # only where /proc tells the size
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + _ROOM
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
