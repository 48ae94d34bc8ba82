"""Performed procedure steps: kept, put together, and read as the exam; real N-CREATE and N-SET."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association

import dose_lib
from dose_lib.dicom.requestor import request
from dose_lib.errors import OutOfRoomError
from dose_lib.records import Modality, SourceKind, StepStatus
from dose_lib.settings import Settings
from dose_lib.simulate import Exam, Hospital, send
from pipelines.disk import Disk
from pipelines.envelope import Receipt
from pipelines.receive import Receiver
from pipelines.spool import Spool
from pipelines.steps import PERFORMED_STEP, StepMessage, Steps

UID = "1.2.826.0.1.3680043.8.498.77"


def begun(**more: object) -> Dataset:
    step = Dataset()
    step.PerformedProcedureStepStatus = "IN PROGRESS"
    step.Modality = "CT"
    step.PatientID = "P1"
    step.PerformedProcedureStepStartDate = "20261120"
    step.PerformedProcedureStepStartTime = "101500"
    for name, value in more.items():
        setattr(step, name, value)
    return step


def ended(status: str = "COMPLETED", **more: object) -> Dataset:
    change = Dataset()
    change.PerformedProcedureStepStatus = status
    for name, value in more.items():
        setattr(change, name, value)
    return change


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    with Receiver(settings) as running:
        yield running


@pytest.fixture
def line(receiver: Receiver) -> Iterator[Association]:
    entity = AE("CT1")
    entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = 10
    syntaxes = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
    entity.add_requested_context(PERFORMED_STEP, syntaxes)
    association = request(entity, "127.0.0.1", receiver.port, ae_title="DOSELOOP")
    connection = association.dul.socket.socket if association.dul.socket else None
    yield association
    if association.is_established:
        association.release()
    if connection is not None:
        connection.close()


def create(line: Association, step: Dataset, uid: str | None = UID) -> Dataset:
    status: Dataset = line.send_n_create(step, PERFORMED_STEP, uid)[0]
    return status


def change(line: Association, modification: Dataset, uid: str = UID) -> Dataset:
    status: Dataset = line.send_n_set(modification, PERFORMED_STEP, uid)[0]
    return status


def kept(receiver: Receiver) -> list[tuple[Receipt, Dataset]]:
    arrivals = [receiver.spool.load(p) for p in receiver.spool.waiting()]
    return [(a.receipt, pydicom.dcmread(BytesIO(a.data))) for a in arrivals]


def test_both_messages_arrive_the_second_as_the_whole_step(
    receiver: Receiver, line: Association
) -> None:
    assert create(line, begun()).Status == 0
    assert change(line, ended(TotalNumberOfExposures=4)).Status == 0
    (first, before), (second, after) = kept(receiver)
    assert (first.route, first.caller, first.called) == ("mpps", "CT1", "DOSELOOP")
    assert first.sop_instance_uid == second.sop_instance_uid == UID
    assert before.PerformedProcedureStepStatus == "IN PROGRESS"
    assert "TotalNumberOfExposures" not in before
    assert after.PerformedProcedureStepStatus == "COMPLETED"
    assert (after.Modality, after.PatientID, after.TotalNumberOfExposures) == ("CT", "P1", 4)
    assert after.SOPClassUID == PERFORMED_STEP


def test_what_ps3_4_forbids_is_refused_and_leaves_nothing(
    receiver: Receiver, line: Association
) -> None:
    missing = begun()
    del missing.PerformedProcedureStepStatus
    assert create(line, missing).Status == 0x0120
    assert create(line, begun(PerformedProcedureStepStatus="NO SUCH")).Status == 0x0106
    assert change(line, ended()).Status == 0x0112
    assert kept(receiver) == []
    assert create(line, begun()).Status == 0
    assert create(line, begun(PatientID="P2")).Status == 0x0111
    assert change(line, ended("ELSE")).Status == 0x0106
    assert change(line, ended("DISCONTINUED")).Status == 0
    assert change(line, ended("COMPLETED")).Status == 0x0110
    assert len(kept(receiver)) == 2


def test_a_message_said_again_is_a_success_and_kept_once(
    receiver: Receiver, line: Association
) -> None:
    for _ in range(2):
        assert create(line, begun()).Status == 0
    for _ in range(2):
        assert change(line, ended(TotalNumberOfExposures=4)).Status == 0
    assert len(kept(receiver)) == 2


def test_a_step_without_a_uid_gets_one(receiver: Receiver, line: Association) -> None:
    status, _ = line.send_n_create(begun(), PERFORMED_STEP, None)
    assert status.Status == 0
    ((receipt, step),) = kept(receiver)
    assert receipt.sop_instance_uid == step.SOPInstanceUID
    assert step.SOPInstanceUID.is_valid


def test_the_same_step_over_two_associations_and_a_restart(settings: Settings) -> None:
    """A step outlives the listener: modalities take hours."""
    spool = Spool(settings.spool_dir)
    message = StepMessage(
        caller="CT1",
        called="DOSELOOP",
        address="127.0.0.1",
        instance_uid=UID,
        transfer_syntax=str(ExplicitVRLittleEndian),
        dataset=_encoded(begun()),
    )
    assert Steps(settings.steps_dir, spool).create(message).status == 0
    end = StepMessage(
        caller="RIS",
        called="DOSELOOP",
        address="127.0.0.1",
        instance_uid=UID,
        transfer_syntax=str(ImplicitVRLittleEndian),
        dataset=_encoded(ended(), is_implicit=True),
    )
    assert Steps(settings.steps_dir, spool).set(end).status == 0
    assert [spool.load(p).receipt.caller for p in spool.waiting()] == ["CT1", "RIS"]


def _encoded(message: Dataset, *, is_implicit: bool = False) -> bytes:
    from pynetdicom.dsutils import encode

    return encode(message, is_implicit, True) or b""


def _message(dataset: bytes) -> StepMessage:
    return StepMessage(
        caller="CT1",
        called="DOSELOOP",
        address="127.0.0.1",
        instance_uid=UID,
        transfer_syntax=str(ExplicitVRLittleEndian),
        dataset=dataset,
    )


def test_two_character_sets_are_united_in_utf_8(settings: Settings) -> None:
    spool = Spool(settings.spool_dir)
    steps = Steps(settings.steps_dir, spool)
    latin = begun(SpecificCharacterSet="ISO_IR 100", PerformedStationName="Röntgen")
    greek = ended(SpecificCharacterSet="ISO_IR 126", PerformedProcedureStepDescription="κεφαλή")
    assert steps.create(_message(_encoded(latin))).status == 0
    assert steps.set(_message(_encoded(greek))).status == 0
    step = pydicom.dcmread(BytesIO(spool.load(spool.waiting()[1]).data))
    assert step.SpecificCharacterSet == "ISO_IR 192"
    assert step.PerformedStationName == "Röntgen"
    assert step.PerformedProcedureStepDescription == "κεφαλή"


@pytest.mark.parametrize("damage", [b"\xff" * 40, _encoded(begun())[:-3], b"\x40\x00"])
def test_what_cannot_be_read_is_refused(settings: Settings, damage: bytes) -> None:
    spool = Spool(settings.spool_dir)
    steps = Steps(settings.steps_dir, spool)
    assert steps.create(_message(damage)).status in (0x0110, 0x0120)
    assert steps.create(_message(_encoded(begun()))).status == 0
    assert steps.set(_message(b"\xff" * 40)).status == 0x0110
    assert steps.set(_message(_encoded(ended()))).status == 0


class RecordingDisk(Disk):
    def __init__(self) -> None:
        self.calls: list[str] = []

    def flush(self, handle: int) -> None:
        self.calls.append("flush")
        super().flush(handle)

    def rename(self, source: Path, target: Path) -> None:
        self.calls.append(f"rename in {target.parent.name}")
        super().rename(source, target)

    def flush_folder(self, folder: Path) -> None:
        self.calls.append(f"flush {folder.name}")
        super().flush_folder(folder)


def test_a_message_is_on_the_disk_before_it_is_acknowledged(settings: Settings) -> None:
    disk = RecordingDisk()
    steps = Steps(settings.steps_dir, Spool(settings.spool_dir, disk=disk), disk=disk)
    steps.create(_message(_encoded(begun())))
    once = ["flush", "rename in spool", "flush spool", "flush", "rename in steps", "flush steps"]
    assert disk.calls == once


def test_no_room_is_said_and_the_step_can_be_sent_again(settings: Settings) -> None:
    class Full(Spool):
        is_full = True

        def put(self, data: bytes, receipt: Receipt) -> Path:
            if self.is_full:
                raise OutOfRoomError("no room for a further object")
            return super().put(data, receipt)

    spool = Full(settings.spool_dir)
    steps = Steps(settings.steps_dir, spool)
    assert steps.create(_message(_encoded(begun()))).status == 0xA700
    spool.is_full = False
    assert steps.create(_message(_encoded(begun()))).status == 0
    assert len(spool.waiting()) == 1


def test_old_steps_are_forgotten(settings: Settings) -> None:
    now = [1e12]
    steps = Steps(settings.steps_dir, Spool(settings.spool_dir), clock=lambda: now[0])
    assert steps.create(_message(_encoded(begun()))).status == 0
    (file,) = settings.steps_dir.iterdir()
    now[0] = file.stat().st_mtime + 30 * 86_400
    assert steps.sweep() == 0, "it may still end"
    assert steps.set(_message(_encoded(ended()))).status == 0
    assert steps.sweep() == 1


@pytest.fixture(scope="module")
def exams() -> list[Exam]:
    return list(Hospital.load("district", end=date(2026, 11, 20), days=1).exams())


@pytest.mark.parametrize("alias", ["Scanner 2", "Fluoro A", "Cath Lab 1", "Portable 4"])
def test_a_real_sender_s_step_reads_as_the_exam(
    receiver: Receiver, exams: list[Exam], alias: str
) -> None:
    exam = next(e for e in exams if e.device.alias == alias and e.is_patient)
    result = send(exam.steps(), "127.0.0.1", receiver.port)
    assert result.n_sent == 2
    last = receiver.spool.load(receiver.spool.waiting()[-1])
    (part,), _ = dose_lib.read_bytes(last.data)
    assert part.sources[0].kind is SourceKind.MPPS
    assert part.performed_step_status is StepStatus.COMPLETED
    assert (part.study_uid, part.modality) == (exam.part.study_uid, exam.part.modality)
    if part.modality is Modality.CT:
        expected = [e.ctdi_vol_mgy for e in exam.part.events]
        assert [e.ctdi_vol_mgy for e in part.events] == expected
    else:
        assert part.totals.kap_gy_cm2 == pytest.approx(exam.part.totals.kap_gy_cm2, rel=1e-9)
