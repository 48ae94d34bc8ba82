"""Performed procedure steps (MPPS): N-CREATE and N-SET kept, and put together as one object.

An N-SET alone says neither what was examined nor on which modality; the N-CREATE before it
does. So what is known of a step is kept here, and each message goes to the spool as the
whole step stands after it: first in progress, then with its doses. The spool's order holds
for both: on the disk before the modality is told so.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid
from pynetdicom import evt
from pynetdicom.dsutils import decode

from dose_lib import Settings
from dose_lib.dicom.identify import peek
from dose_lib.errors import OutOfRoomError, ReceiveError
from pipelines.defects import Failure, attempt
from pipelines.disk import Disk, make_folder
from pipelines.envelope import make_receipt, part10
from pipelines.message import CANNOT_PROCESS, OUT_OF_RESOURCES, SUCCESS, Answer
from pipelines.spool import Spool

log = logging.getLogger(__name__)

PERFORMED_STEP = "1.2.840.10008.3.1.2.3.3"
IN_PROGRESS = "IN PROGRESS"
ENDED = ("COMPLETED", "DISCONTINUED")

# PS3.7 annex C
INVALID_VALUE, DUPLICATE_INSTANCE, NO_SUCH_INSTANCE = 0x0106, 0x0111, 0x0112
MISSING_ATTRIBUTE = 0x0120
# A step waits so long for its end; an ended one stays so long to answer repetitions.
_OPEN_S, _ENDED_S = 60 * 86_400.0, 7 * 86_400.0


class StepMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One N-CREATE or N-SET, as it came over the wire.

    Attributes
    ----------
    caller, called, address
        Who sent it, and to whom.
    instance_uid
        Of the step; empty where an N-CREATE leaves it to us.
    transfer_syntax, dataset
        The attribute or modification list, encoded.
    """

    caller: str
    called: str
    address: str
    instance_uid: str
    transfer_syntax: str
    dataset: bytes


class Steps:
    """The steps that were begun, each as it stands.

    Parameters
    ----------
    folder
        Where they are kept; made with mode 0700, since names are in them.
    spool
        Where each message goes.
    disk
        The file system.
    clock
        Seconds since the epoch.
    """

    def __init__(
        self,
        folder: Path,
        spool: Spool,
        *,
        disk: Disk | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = make_folder(folder)
        self._spool, self._disk, self._clock = spool, disk or Disk(), clock
        self._lock = threading.Lock()

    def create(self, message: StepMessage) -> Answer:
        """Begin a step. The same message again is a success: our answer did not get there."""
        return self._answer(self._create, message)

    def set(self, message: StepMessage) -> Answer:
        """Change or end a step that was begun."""
        return self._answer(self._set, message)

    def sweep(self) -> int:
        """Forget steps that nobody will ask for again; returns how many.

        What they said is in the archive.
        """
        with self._lock:
            old = [p for p in self._folder.iterdir() if self._is_over(p)]
            for path in old:
                self._disk.remove(path)
        return len(old)

    def _answer(self, work: Callable[[StepMessage], Answer], message: StepMessage) -> Answer:
        with self._lock:
            try:
                return work(message)
            except OutOfRoomError:
                log.error("procedure step refused", extra={"reason": "no room"})
                return Answer(OUT_OF_RESOURCES, "no room, try again later")
            except (OSError, ReceiveError) as error:
                log.exception("procedure step refused", exc_info=error)
                return Answer(CANNOT_PROCESS, "the message could not be kept, try again later")
            except UnreadableError:
                log.warning("procedure step refused", extra={"reason": "cannot be read"})
                return Answer(CANNOT_PROCESS, "the message cannot be read")

    def _create(self, message: StepMessage) -> Answer:
        step = _readable(message.dataset, message.transfer_syntax)
        if not (status := _status_of(step)):
            return Answer(MISSING_ATTRIBUTE, "PerformedProcedureStepStatus is missing")
        # A forwarded copy may begin with the end of the step.
        if status not in (IN_PROGRESS, *ENDED):
            return Answer(INVALID_VALUE, "PerformedProcedureStepStatus is not IN PROGRESS")
        data = _whole(step, message.instance_uid)
        known = self._known(message.instance_uid)
        if known is not None and known != data:
            return Answer(DUPLICATE_INSTANCE, "the step was begun before")
        if known is None:
            self._keep(data, message)
        return Answer(SUCCESS)

    def _set(self, message: StepMessage) -> Answer:
        known = self._known(message.instance_uid)
        if known is None:
            return Answer(NO_SUCH_INSTANCE, "the step was not begun here")
        change = _readable(message.dataset, message.transfer_syntax)
        if _status_of(change) not in ("", IN_PROGRESS, *ENDED):
            return Answer(INVALID_VALUE, "PerformedProcedureStepStatus is not known")
        before = dcmread(BytesIO(known))
        has_ended = _status_of(before) in ENDED
        data = _whole(_united(before, change), message.instance_uid)
        if data == known:
            return Answer(SUCCESS)  # said before
        if has_ended:
            # PS3.4 F.7.2.2.2: status 0110, error 0xA710
            return Answer(CANNOT_PROCESS, "the step has ended and may no longer be updated")
        self._keep(data, message)
        return Answer(SUCCESS)

    def _keep(self, data: bytes, message: StepMessage) -> None:
        """Spool first: a crash in between lets the modality say it again, and no dose is lost."""
        receipt = make_receipt(
            data,
            "mpps",
            caller=message.caller,
            called=message.called,
            address=message.address,
            sop_class=PERFORMED_STEP,
            sop_instance_uid=message.instance_uid,
            transfer_syntax=str(ExplicitVRLittleEndian),
        )
        self._spool.put(data, receipt)
        place = self._place(message.instance_uid)
        temporary = place.with_suffix(".part")
        self._disk.remove(temporary)
        handle = self._disk.create(temporary)
        try:
            self._disk.write(handle, data)
            self._disk.flush(handle)
        finally:
            self._disk.close(handle)
        self._disk.rename(temporary, place)
        self._disk.flush_folder(self._folder)

    def _known(self, uid: str) -> bytes | None:
        try:
            return self._place(uid).read_bytes()
        except FileNotFoundError:
            return None

    def _place(self, uid: str) -> Path:
        # A UID is what a sender chose, and no name of a file.
        return self._folder / (hashlib.sha256(uid.encode()).hexdigest()[:40] + ".dcm")

    def _is_over(self, path: Path) -> bool:
        age = self._clock() - path.stat().st_mtime
        if age < _ENDED_S or path.suffix != ".dcm":
            return age > _OPEN_S
        return age > _OPEN_S or _status_of(dcmread(path)) in ENDED


class UnreadableError(Exception):
    """A message cannot be decoded."""


def _readable(data: bytes, syntax: str) -> Dataset:
    """The message with all of its text decoded, whatever its character set."""
    uid = UID(syntax)

    def read() -> Dataset:
        # pydicom takes what is cut off for the end.
        peek(part10(data, sop_class=PERFORMED_STEP, sop_instance_uid="", transfer_syntax=syntax))
        message = decode(BytesIO(data), uid.is_implicit_VR, uid.is_little_endian, uid.is_deflated)
        message.decode()
        return message

    return _sound(attempt(read, "a procedure step"))


T = TypeVar("T")


def _sound(result: T | Failure) -> T:
    if isinstance(result, Failure):
        raise UnreadableError(result.seen)
    return result


def _united(before: Dataset, change: Dataset) -> Dataset:
    """The step after a change; in UTF-8 where the two messages speak different sets."""
    before.decode()
    if "SpecificCharacterSet" in change and not _same_set(before, change):
        before.SpecificCharacterSet = change.SpecificCharacterSet = "ISO_IR 192"
    before.update(change)
    return before


def _same_set(one: Dataset, other: Dataset) -> bool:
    return bool(one.get("SpecificCharacterSet") == other.get("SpecificCharacterSet"))


def _whole(step: Dataset, uid: str) -> bytes:
    """The step as a Part 10 file; the same content gives the same bytes."""
    step.SOPClassUID, step.SOPInstanceUID = PERFORMED_STEP, uid
    content = DicomBytesIO()
    content.is_little_endian, content.is_implicit_VR = True, False
    _sound(attempt(lambda: write_dataset(content, step), "a procedure step"))
    return part10(
        content.getvalue(),
        sop_class=PERFORMED_STEP,
        sop_instance_uid=uid,
        transfer_syntax=str(ExplicitVRLittleEndian),
    )


def _status_of(step: Dataset) -> str:
    return str(step.get("PerformedProcedureStepStatus") or "").strip().upper()


def handlers(steps: Steps) -> list[tuple[Any, Callable[[Any], tuple[Dataset, Dataset | None]]]]:
    """What pynetdicom is to call for N-CREATE and N-SET."""

    def create(event: Any) -> tuple[Dataset, Dataset | None]:
        request = event.request
        uid = str(request.AffectedSOPInstanceUID or "") or str(generate_uid(prefix=None))
        answer = steps.create(_message(event, uid, request.AttributeList))
        given = Dataset()
        if not request.AffectedSOPInstanceUID:
            given.AffectedSOPInstanceUID = uid
        return _status(answer), given

    def change(event: Any) -> tuple[Dataset, Dataset | None]:
        request = event.request
        uid = str(request.RequestedSOPInstanceUID or "")
        answer = steps.set(_message(event, uid, request.ModificationList))
        return _status(answer), None

    return [(evt.EVT_N_CREATE, create), (evt.EVT_N_SET, change)]


def _message(event: Any, uid: str, content: BytesIO | None) -> StepMessage:
    peer = event.assoc.requestor
    return StepMessage(
        caller=peer.ae_title.strip(),
        called=peer.primitive.called_ae_title.strip() if peer.primitive else "",
        address=peer.address or "",
        instance_uid=uid,
        transfer_syntax=str(event.context.transfer_syntax),
        dataset=content.getvalue() if content is not None else b"",
    )


def _status(answer: Answer) -> Dataset:
    status = Dataset()
    status.Status = answer.status
    if answer.comment:
        status.ErrorComment = answer.comment
    return status


def without_report(settings: Settings, *, after_h: float = 4.0, days: float = 30.0) -> list[str]:
    """Studies whose step ended some time ago and of which nothing else came: to be asked for.

    Parameters
    ----------
    settings
        Of the installation.
    after_h
        Hours to wait for the report after the step's end was received.
    days
        How far back to look.

    Returns
    -------
    list of str
        Study Instance UIDs, the longest waiting first.
    """
    import dose_lib

    objects = dose_lib.connect(settings=settings).table("objects")
    now = datetime.now(UTC)
    steps = objects.filter(
        objects.route == "mpps",
        objects.status.isin(["stored", "duplicate"]),
        objects.received_at <= now - timedelta(hours=after_h),
        objects.received_at >= now - timedelta(days=days),
    )
    others = objects.filter(objects.route != "mpps", objects.study_uid.notnull())
    waiting = steps.anti_join(others, "study_uid")
    rows = waiting.group_by("study_uid").agg(since=waiting.received_at.min()).order_by("since")
    return [row["study_uid"] for row in rows.to_pyarrow().to_pylist()]
