"""The process that opens objects: bytes to records, and detectors over committed parts.

It holds no store and writes no file. Whatever an object does to it, the owner of the store
and the listener go on; a worker that dies or hangs is replaced (see `pool`).
"""

from __future__ import annotations

import logging
import resource
import signal
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

import dose_lib
from dose_lib import DoseError, Settings, load_settings
from dose_lib.dicom.identify import ObjectHead, peek
from dose_lib.dicom.rejection import KEY_OBJECT_SELECTION, read_rejection
from dose_lib.dicom.whose import patient_key_of
from dose_lib.errors import NoDoseError, SettingsError
from dose_lib.history import read_exam_bytes
from dose_lib.normalise import SiteFacts, judge_patient, read_site
from dose_lib.records import (
    DerivedValue,
    Finding,
    Identity,
    Modality,
    Part,
    Rejection,
    SourceKind,
    StepStatus,
)
from dose_lib.store import site_key
from dose_lib.vault import VaultEntry, seal_entries
from pipelines.defects import Failure, attempt
from pipelines.envelope import DamagedFileError, Receipt, make_receipt
from pipelines.logs import configure_logs
from pipelines.memory import give_back, go_without
from pipelines.spool import Arrival, Spool, read_receipt_of
from pipelines.watched import Watched

log = logging.getLogger(__name__)


# CT Image Storage and its enhanced kinds; what measures pixels is loaded for these alone.
_CT_IMAGES = "1.2.840.10008.5.1.4.1.1.2"
_IDLE_S = 3.0  # without work after its start a worker prepares for detecting


class Read(msgspec.Struct, frozen=True, tag=True):
    """Ask for objects of the spool to be read."""

    paths: tuple[str, ...]


class Detect(msgspec.Struct, frozen=True, tag=True):
    """Ask the detectors to look at committed parts."""

    batch: int
    parts: tuple[Part, ...]


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The worker has started and answers from now on, or says why it cannot."""

    problem: str | None = None


class ReadObject(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What one object gave: parts, what it rejects, or why there is neither.

    `sealed` holds who the exam was of; only the identity vault can open it. `patient_key` is
    that of an object without parts.
    """

    path: str
    receipt: Receipt | None = None
    head: ObjectHead | None = None
    parts: tuple[Part, ...] = ()
    sealed: bytes | None = None
    failure: Failure | None = None
    rejection: Rejection | None = None
    patient_key: str | None = None


class Detected(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the detectors found in a batch, which of them looked and which failed."""

    batch: int
    detectors: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    failures: tuple[Failure, ...] = ()


Request = Read | Detect
Response = Ready | ReadObject | Detected

# JSON keeps the offset of a time; MessagePack has instants only, and a start recorded as
# 13:26 -04:00 would arrive as 17:26.
encode = msgspec.json.Encoder().encode
decode_request = msgspec.json.Decoder(Request).decode
decode_response = msgspec.json.Decoder(Response).decode


class Worker:
    """Reads and detects for one installation."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._spool = Spool(settings.spool_dir)
        self._key = site_key(settings)
        self._site_files = Watched(*site_files(settings))
        self._site: SiteFacts = read_site(settings)
        self._history: Any = None

    def renew_site(self) -> None:
        """Read what the site says again if it was changed; a bad file leaves the last good one."""
        if self._site_files.has_changed():
            try:
                self._site = read_site(self._settings)
            except SettingsError as error:  # the owner of the store shows it in the status
                log.warning("site files cannot be used", extra={"reason": str(error)})

    def read(self, path: Path) -> ReadObject:
        """Read one object of the spool."""
        try:
            arrival = self._spool.load(path)
        except FileNotFoundError:
            return ReadObject(path=str(path))
        except DamagedFileError as error:
            failure = Failure(seen=error.seen, expected=error.expected, todo=error.todo)
            receipt = _receipt_of(path)
            return ReadObject(path=str(path), receipt=receipt, failure=failure)
        head = attempt(lambda: peek(arrival.data), "the reader")
        if not isinstance(head, Failure) and head.sop_class == KEY_OBJECT_SELECTION:
            return self._read_note(arrival, head)
        read = attempt(lambda: self._parts(arrival), "the reader")
        parts, sealed = ((), None) if isinstance(read, Failure) else read
        return ReadObject(
            path=str(path),
            receipt=arrival.receipt,
            head=None if isinstance(head, Failure) else head,
            parts=parts,
            sealed=sealed,
            failure=read if isinstance(read, Failure) else None,
            patient_key=None if parts else self._whose(arrival),
        )

    def _read_note(self, arrival: Arrival, head: ObjectHead) -> ReadObject:
        """What a rejection note says; another selection of key objects carries no dose."""
        note = attempt(lambda: read_rejection(arrival.data), "the reader")
        return ReadObject(
            path=str(arrival.path),
            receipt=arrival.receipt,
            head=head,
            failure=note if isinstance(note, Failure) else None,
            rejection=None if isinstance(note, Failure) else note,
            patient_key=self._whose(arrival),
        )

    def _whose(self, arrival: Arrival) -> str | None:
        key = attempt(lambda: patient_key_of(arrival.data, self._key), "the reader")
        return None if isinstance(key, Failure) else key

    def _parts(self, arrival: Arrival) -> tuple[tuple[Part, ...], bytes]:
        receipt = arrival.receipt
        # Only what we put there ourselves is such an exam, whatever the bytes of others say.
        read = read_exam_bytes if receipt.route == "history" else dose_lib.read_bytes
        parts, identity = read(arrival.data, site_key=self._key)
        if all(_is_under_way(p) for p in parts):
            raise NoDoseError("a performed procedure step in progress; its end will tell the dose")
        entry = VaultEntry.of(
            parts, identity, sha256=receipt.sha256, received_at=receipt.received_at
        )
        # Phantoms are recognised by their names, which the store never sees.
        judged = tuple(_judge(part, self._site, identity) for part in parts)
        if receipt.route != "history":
            judged = self._with_slices(judged, arrival)
        return judged, seal_entries(self._settings, [entry])

    def warm_up(self) -> None:
        """Load what detecting needs; the first finding waits seconds for it otherwise."""
        from dose_lib.detect import detectors

        if self._history is None:
            self._history = dose_lib.connect(settings=self._settings)
            list(detectors(self._settings, con=self._history))

    def _with_slices(self, parts: tuple[Part, ...], arrival: Arrival) -> tuple[Part, ...]:
        """With the size that was measured on arrival."""
        is_image = any((s.sop_class or "").startswith(_CT_IMAGES) for p in parts for s in p.sources)
        sizes = arrival.receipt.derived or (self._of_old(arrival) if is_image else {})
        if not sizes:
            return parts
        return tuple(
            msgspec.structs.replace(p, derived={**p.derived, **sizes})
            if p.modality is Modality.CT
            else p
            for p in parts
        )

    def _of_old(self, arrival: Arrival) -> Mapping[str, DerivedValue]:
        """Size on an image of a file that older versions archived with its pixels."""
        from pipelines.pixels import Pixels
        from pipelines.slices import look_at, measure

        every = self._settings.measure_every_image
        if look_at(arrival.data, every=every) is None:
            return {}
        return Pixels(every, measure).keep(arrival.data).derived  # here: we are apart already

    def detect(self, request: Detect) -> Detected:
        """Let every detector look at the parts of a batch."""
        from dose_lib.detect import detectors

        self.warm_up()
        findings: list[Finding] = []
        failures: list[Failure] = []
        looked: list[str] = []
        for detector in detectors(self._settings, con=self._history):
            found = attempt(
                lambda d=detector: tuple(d.look(request.parts, self._history)),  # type: ignore[misc]
                f"detector {detector.name}",
            )
            if isinstance(found, Failure):
                failures.append(found)
            else:
                findings.extend(found)
                looked.append(detector.name)
        return Detected(
            batch=request.batch,
            detectors=tuple(looked),
            findings=tuple(findings),
            failures=tuple(failures),
        )


def _receipt_of(path: Path) -> Receipt:
    """The receipt of a file that no longer holds what was received, or a new one."""
    try:
        return read_receipt_of(path)
    except DamagedFileError:
        return make_receipt(path.read_bytes(), "folder")


def site_files(settings: Settings) -> tuple[Path, ...]:
    """Files in which the site names its devices and procedures."""
    return tuple(settings.site_dir / name for name in ("devices.toml", "procedures.toml"))


def _judge(part: Part, site: SiteFacts, identity: Identity) -> Part:
    """Patient or not; what an export of another system says of it holds."""
    judged = judge_patient(part, site, identity)
    is_said = part.is_history and part.is_patient is False and judged.is_patient
    return part if is_said else judged


def _is_under_way(part: Part) -> bool:
    is_step = part.sources[0].kind is SourceKind.MPPS
    return is_step and part.performed_step_status is StepStatus.IN_PROGRESS


def _take_room() -> None:
    """Lift the limit of address space that the owner of the store has set for itself."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def serve(connection: Connection, home: str) -> None:
    """Answer requests until the owner closes its end; entry of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner says when to end
    settings = load_settings(Path(home))
    configure_logs(settings.logs_dir, "worker")
    _take_room()
    go_without("pandas")
    try:
        try:
            worker = Worker(settings)
        except DoseError as error:
            connection.send_bytes(encode(Ready(problem=str(error))))
            return
        connection.send_bytes(encode(Ready()))
        if not connection.poll(_IDLE_S):
            worker.warm_up()
        while True:
            if not connection.poll(_IDLE_S):
                give_back()
            request = decode_request(connection.recv_bytes())
            if isinstance(request, Detect):
                connection.send_bytes(encode(worker.detect(request)))
                continue
            worker.renew_site()
            for path in request.paths:
                connection.send_bytes(encode(worker.read(Path(path))))
    except (EOFError, BrokenPipeError):
        return
