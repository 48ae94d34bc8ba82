"""Sends simulated objects as their devices would: real C-STORE associations (PS3.7 §9.1.1)."""

from __future__ import annotations

import logging
import socket
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from dose_lib.errors import SimulationError
from dose_lib.simulate.exam import SimObject
from dose_lib.simulate.writer.encode import EXPLICIT_LE

if TYPE_CHECKING:
    from pynetdicom import AE
    from pynetdicom.association import Association

logger = logging.getLogger(__name__)

Progress = Callable[[int, SimObject], None]


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """An object the receiver did not take: its UID and the status it answered."""

    sop_instance_uid: str
    status: int | None


class SendResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a transfer.

    Attributes
    ----------
    n_sent
        Objects answered with success.
    rejected
        The others.
    seconds
        Duration of the whole transfer.
    answered_at
        SOP Instance UID -> `time.time()` of the success answer: the zero of every latency.
    """

    n_sent: int
    rejected: tuple[Rejected, ...]
    seconds: float
    answered_at: dict[str, float]


def send(
    objects: Iterable[SimObject],
    host: str,
    port: int,
    *,
    called: str = "DOSELOOP",
    speed: float | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> SendResult:
    """Send objects in order, one association a device.

    Parameters
    ----------
    objects
        What to send, in order of time.
    host, port, called
        The receiver and its application entity title.
    speed
        None sends as fast as it goes; 1 keeps the distances of `sent_at`, 60 makes a minute
        of them a second.
    progress
        Called after each answer with the number sent so far and the object.
    stop
        Asked before each object; True ends the transfer.

    Raises
    ------
    SimulationError
        If the receiver cannot be reached or refuses the association.
    """
    began, sent = time.monotonic(), 0
    rejected: list[Rejected] = []
    answered: dict[str, float] = {}
    clock = _Clock(speed)
    with (
        tempfile.TemporaryDirectory(prefix="doseloop-sim-") as folder,
        _Lines(host, port, called) as lines,
    ):
        file = Path(folder) / "object.dcm"
        for item in objects:
            if stop is not None and stop():
                break
            clock.wait_for(item.sent_at)
            file.write_bytes(item.data)
            status = lines.store(item, file)
            if status == 0x0000:
                sent += 1
                answered[item.sop_instance_uid] = time.time()
            else:
                rejected.append(Rejected(sop_instance_uid=item.sop_instance_uid, status=status))
            if progress is not None:
                progress(sent, item)
    return SendResult(
        n_sent=sent,
        rejected=tuple(rejected),
        seconds=time.monotonic() - began,
        answered_at=answered,
    )


class _Clock:
    """Keeps the distances of simulated time, `speed` times as fast."""

    def __init__(self, speed: float | None) -> None:
        self._speed = speed
        self._zero: tuple[datetime, float] | None = None

    def wait_for(self, moment: datetime) -> None:
        if self._speed is None:
            return
        if self._zero is None:
            self._zero = (moment, time.monotonic())
        simulated, real = self._zero
        due = real + (moment - simulated).total_seconds() / self._speed
        time.sleep(max(0.0, due - time.monotonic()))


class _Lines:
    """One association a calling AE title, opened when needed and opened again when lost."""

    def __init__(self, host: str, port: int, called: str) -> None:
        self._host, self._port, self._called = host, port, called
        self._open: dict[str, Association] = {}

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        for association in self._open.values():
            if association.is_established:
                association.release()

    def store(self, item: SimObject, file: Path) -> int | None:
        """Status of one C-STORE; None if no answer came."""
        association = self._association(item)
        answer: Any = association.send_c_store(str(file))
        return getattr(answer, "Status", None)

    def _association(self, item: SimObject) -> Association:
        title = item.calling_ae_title
        known = self._open.get(title)
        if known is None or not known.is_established:
            known = self._open[title] = self._connect(title)
        return known

    def _connect(self, title: str) -> Association:
        self._reach()
        entity = _entity(title)
        association = entity.associate(self._host, self._port, ae_title=self._called)
        if not association.is_established:
            raise SimulationError(
                "the receiver did not accept the association",
                expected="a DICOM storage listener",
                where=f"{self._called} at {self._host}:{self._port}",
                todo="Start it, or check AE title, address and the allow list",
            )
        # Small objects would wait 40 ms for the acknowledgement of the piece before.
        line = association.dul.socket
        if line is not None and line.socket is not None:
            line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return association

    def _reach(self) -> None:
        """Fail with the system's own reason; pynetdicom would only say that it failed."""
        try:
            socket.create_connection((self._host, self._port), timeout=10.0).close()
        except OSError as error:
            raise SimulationError(
                f"nothing can be sent there ({error.strerror or error})",
                expected="a DICOM storage listener",
                where=f"{self._called} at {self._host}:{self._port}",
                todo="Start it, or check address and port",
            ) from None


def _entity(title: str) -> AE:
    from pynetdicom import AE

    entity = AE(ae_title=title)
    for sop_class in STORAGE_CLASSES:
        entity.add_requested_context(sop_class, EXPLICIT_LE)
    entity.maximum_pdu_size = 131072
    return entity


# What simulated devices send: dose reports, and the images that carry dose in their header.
STORAGE_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.88.67",
    "1.2.840.10008.5.1.4.1.1.88.68",
    "1.2.840.10008.5.1.4.1.1.88.22",
    "1.2.840.10008.5.1.4.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.2",
    "1.2.840.10008.5.1.4.1.1.20",
    "1.2.840.10008.5.1.4.1.1.128",
)


def write_files(objects: Iterable[SimObject], folder: Path) -> int:
    """Write objects below a folder, one folder a study; returns how many.

    Parameters
    ----------
    objects
        What to write.
    folder
        Made if it is not there; files of the same name are replaced.
    """
    n = 0
    for item in objects:
        place = folder / item.study_uid
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{item.sop_instance_uid}.dcm").write_bytes(item.data)
        n += 1
    return n
