"""Sends simulated objects as their devices would: C-STORE, and N-CREATE and N-SET of steps."""

from __future__ import annotations

import logging
import socket
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from pydicom import dcmread

from dose_lib.dicom.requestor import request
from dose_lib.errors import SimulationError
from dose_lib.simulate.exam import SimObject
from dose_lib.simulate.writer.document import PERFORMED_STEP
from dose_lib.simulate.writer.encode import EXPLICIT_LE, body_of

if TYPE_CHECKING:
    from pynetdicom import AE
    from pynetdicom.association import Association

logger = logging.getLogger(__name__)

# Receivers allow few associations at a time, and drop those that are silent.
_MAX_LINES = 8
_IDLE_S = 10.0
_PAUSES_S = (0.2, 1.0, 5.0)

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
    """Send objects in order, each device over its own association.

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
            if clock.until(item.sent_at) > _IDLE_S:
                lines.hang_up()
            clock.wait_for(item.sent_at)
            file.write_bytes(item.data)
            status = lines.send(item, file)
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

    def until(self, moment: datetime) -> float:
        """Seconds until a moment of simulated time."""
        if self._speed is None:
            return 0.0
        if self._zero is None:
            self._zero = (moment, time.monotonic())
        simulated, real = self._zero
        due = real + (moment - simulated).total_seconds() / self._speed
        return max(0.0, due - time.monotonic())

    def wait_for(self, moment: datetime) -> None:
        time.sleep(self.until(moment))


class _Lines:
    """One association a calling AE title, opened when needed and opened again when lost."""

    def __init__(self, host: str, port: int, called: str) -> None:
        self._host, self._port, self._called = host, port, called
        self._open: dict[str, Association] = {}

    def __enter__(self) -> _Lines:
        self._reach()
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()

    def send(self, item: SimObject, file: Path) -> int | None:
        """Status of one command; None if no answer came or the class is not accepted."""
        association = self._association(item)
        try:
            answer = self._command(association, item, file)
        except ValueError:  # no presentation context of the class was accepted
            logger.warning("The receiver takes no %s of class %s", item.command, item.sop_class)
            return None
        return getattr(answer, "Status", None)

    def _command(self, association: Association, item: SimObject, file: Path) -> Any:
        if item.command == "C-STORE":
            return association.send_c_store(str(file))
        message = dcmread(BytesIO(body_of(item.data)), force=True)
        ask = association.send_n_create if item.command == "N-CREATE" else association.send_n_set
        return ask(message, item.sop_class, item.sop_instance_uid)[0]

    def hang_up(self, keep: int = 0) -> None:
        """Release the associations that were used longest ago."""
        for title in list(self._open)[: max(0, len(self._open) - keep)]:
            association = self._open.pop(title)
            if association.is_established:
                association.release()

    def _association(self, item: SimObject) -> Association:
        title = item.calling_ae_title
        known = self._open.pop(title, None)
        if known is None or not known.is_established:
            self.hang_up(keep=_MAX_LINES - 1)
            known = self._connect(title)
        self._open[title] = known
        return known

    def _connect(self, title: str) -> Association:
        association = self._associate(title)
        for pause in _PAUSES_S:
            if not _is_busy(association):
                break
            self.hang_up()
            time.sleep(pause)
            association = self._associate(title)
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

    def _associate(self, title: str) -> Association:
        return request(_entity(title), self._host, self._port, ae_title=self._called)

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


def _is_busy(association: Association) -> bool:
    """Whether the receiver refused for now only (PS3.8 table 9-21: result 2, transient)."""
    answer = association.acceptor.primitive
    return association.is_rejected and answer is not None and answer.result == 2


def _entity(title: str) -> AE:
    from pynetdicom import AE

    entity = AE(ae_title=title)
    for sop_class in (*STORAGE_CLASSES, PERFORMED_STEP):
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
        kind = "" if item.command == "C-STORE" else f".{item.command.lower()}"
        (place / f"{item.sop_instance_uid}{kind}.dcm").write_bytes(item.data)
        n += 1
    return n
