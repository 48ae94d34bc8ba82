"""Performed procedure steps: sent, referred to, and read with the values of the exam."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from dose_lib.dicom.read import read_bytes
from dose_lib.records import Modality, SourceKind, StepStatus
from dose_lib.simulate import Exam, Hospital, SimObject, send, write_files
from dose_lib.simulate.send import STORAGE_CLASSES
from dose_lib.simulate.writer.document import PERFORMED_STEP

DAY = date(2026, 11, 20)
ALIASES = ("Scanner 2", "Portable 4", "Fluoro A", "Cath Lab 1")


@pytest.fixture(scope="module")
def exams() -> list[Exam]:
    return list(Hospital.load("district", end=DAY, days=1).exams())


class Ris:
    """Takes objects and steps, as a department's information system would."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.steps: dict[str, Dataset] = {}
        self.order: list[tuple[str, str]] = []
        entity = AE(ae_title="DOSELOOP")
        for sop_class in classes:
            entity.add_supported_context(sop_class)
        handlers = [
            (evt.EVT_C_STORE, self.store),
            (evt.EVT_N_CREATE, self.create),
            (evt.EVT_N_SET, self.set),
        ]
        self.server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert self.server is not None
        self.port = int(self.server.socket.getsockname()[1])

    def store(self, event: Any) -> int:
        self.order.append(("C-STORE", str(event.request.AffectedSOPInstanceUID)))
        return 0x0000

    def create(self, event: Any) -> tuple[int, Dataset]:
        uid = str(event.request.AffectedSOPInstanceUID)
        self.order.append(("N-CREATE", uid))
        self.steps[uid] = event.attribute_list
        return 0x0000, event.attribute_list

    def set(self, event: Any) -> tuple[int, Dataset]:
        uid = str(event.request.RequestedSOPInstanceUID)
        self.order.append(("N-SET", uid))
        assert uid in self.steps
        self.steps[uid].update(event.modification_list)
        return 0x0000, event.modification_list


@pytest.fixture
def ris() -> Iterator[Ris]:
    made = Ris((*STORAGE_CLASSES, PERFORMED_STEP))
    yield made
    made.server.shutdown()


def together(steps: tuple[SimObject, ...]) -> bytes:
    """Both messages of a step as one object, as an archive of them keeps it."""
    first, second = (pydicom.dcmread(BytesIO(s.data)) for s in steps)
    first.update(second)
    first.SOPClassUID, first.SOPInstanceUID = PERFORMED_STEP, steps[0].sop_instance_uid
    out = BytesIO()
    first.save_as(out)
    return out.getvalue()


def test_only_some_units_send_steps(exams: list[Exam]) -> None:
    assert {e.device.alias for e in exams if e.steps()} == set(ALIASES)
    for exam in exams:
        expected = tuple(s.sop_instance_uid for s in exam.steps()[:1])
        assert all(p.performed_step_uids == expected for p in exam.parts)


@pytest.mark.parametrize("alias", ALIASES)
def test_a_step_reads_as_the_exam(exams: list[Exam], alias: str) -> None:
    exam = next(e for e in exams if e.device.alias == alias and e.is_patient)
    part = exam.part
    first, second = exam.steps()
    assert (first.command, second.command) == ("N-CREATE", "N-SET")
    assert first.sent_at == part.started_at
    assert second.sent_at > first.sent_at
    (read,), _ = read_bytes(together(exam.steps()))
    assert read.sources[0].kind is SourceKind.MPPS
    assert read.performed_step_status is StepStatus.COMPLETED
    assert read.performed_step_uids == part.performed_step_uids
    assert (read.study_uid, read.modality) == (part.study_uid, part.modality)
    assert read.study_description == part.study_description or read.requested_procedure
    assert len(read.events) == len(part.events)
    if part.modality is not Modality.CT:
        assert read.totals.kap_gy_cm2 == pytest.approx(part.totals.kap_gy_cm2, rel=1e-9)
        kerma = [e.kap_gy_cm2 for e in part.events]
        assert [e.kap_gy_cm2 for e in read.events] == pytest.approx(kerma, rel=1e-9)
    else:
        assert [e.ctdi_vol_mgy for e in read.events] == [e.ctdi_vol_mgy for e in part.events]
        assert [e.phantom for e in read.events] == [e.phantom for e in part.events]


def test_steps_are_sent_around_their_objects(ris: Ris, exams: list[Exam]) -> None:
    hospital = Hospital.load("district", end=DAY, days=1)
    objects = list(hospital.objects(mpps=True))[:120]
    assert [o.sent_at for o in objects] == sorted(o.sent_at for o in objects)
    result = send(objects, "127.0.0.1", ris.port)
    assert result.n_sent == len(objects)
    assert ris.order == [(o.command, o.sop_instance_uid) for o in objects]
    ended = {s.get("PerformedProcedureStepStatus") for s in ris.steps.values()}
    assert ended <= {"IN PROGRESS", "COMPLETED", "DISCONTINUED"}
    assert "COMPLETED" in ended


def test_a_step_may_be_discontinued_and_keeps_what_was_exposed(exams: list[Exam]) -> None:
    exam = next(e for e in exams if e.device.alias == "Cath Lab 1" and e.is_patient)
    spec = exam.device.model_copy(update={"discontinued_share": 1.0})
    broken_off = msgspec.structs.replace(exam, device=spec)
    (read,), _ = read_bytes(together(broken_off.steps()))
    assert read.performed_step_status is StepStatus.DISCONTINUED
    assert len(read.events) == len(exam.part.events)
    reason = pydicom.dcmread(BytesIO(broken_off.steps()[1].data))
    (code,) = reason.PerformedProcedureStepDiscontinuationReasonCodeSequence
    assert code.CodeValue == "110513"
    month = Hospital.load("district", end=DAY, days=20)
    ends = [e.steps()[1].data for e in month.exams() if e.steps()]
    share = sum(b"DISCONTINUED" in data for data in ends) / len(ends)
    assert 0 < share < 0.06  # two in a hundred, the same ones in each run


def test_a_receiver_without_steps_still_gets_the_objects(exams: list[Exam]) -> None:
    exam = next(e for e in exams if e.device.alias == "Cath Lab 1")
    ris = Ris(STORAGE_CLASSES)
    result = send((*exam.steps(), *exam.objects()), "127.0.0.1", ris.port)
    ris.server.shutdown()
    assert result.n_sent == len(exam.objects())
    assert [r.status for r in result.rejected] == [None, None]


def test_steps_as_files_do_not_replace_each_other(tmp_path: Path, exams: list[Exam]) -> None:
    exam = next(e for e in exams if e.device.alias == "Scanner 2")
    objects = (*exam.steps(), *exam.objects())
    assert write_files(objects, tmp_path) == len(list(tmp_path.glob("*/*.dcm")))
