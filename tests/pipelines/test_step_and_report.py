"""A step and the report of the same exam are one exam, whichever comes first."""

from __future__ import annotations

from datetime import date

import pytest

from dose_lib.settings import Settings
from dose_lib.simulate import Exam, Hospital, send
from pipelines.receive import Receiver
from tests.pipelines.test_ingest import finish, ingesting

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def exams() -> list[Exam]:
    hospital = Hospital.load("district", end=date(2026, 11, 20), days=1)
    found = {}
    for exam in hospital.exams():
        if exam.steps() and exam.is_patient:
            found.setdefault(exam.device.alias, exam)
    return list(found.values())


@pytest.mark.parametrize("order", ["step first", "report first", "report in between"])
def test_a_step_and_its_report_count_once(
    settings: Settings, exams: list[Exam], order: str
) -> None:
    """
    | message            | in the ledger         | in the studies              |
    | ------------------ | --------------------- | --------------------------- |
    | N-CREATE           | no dose: in progress  | nothing                     |
    | N-SET              | stored                | the exam, until its report  |
    | report, or images  | stored                | the exam, once              |
    """
    with Receiver(settings.model_copy(update={"dicom_image_peers": ("*",)})) as receiver:
        for exam in exams:
            (first, last), objects = exam.steps(), exam.objects()
            orders = {
                "step first": (first, last, *objects),
                "report first": (*objects, first, last),
                "report in between": (first, *objects, last),
            }
            sent = send(orders[order], "127.0.0.1", receiver.port)
            assert {r.status for r in sent.rejected} <= {0xB006}
    with ingesting(settings) as (store, ingest):
        finish(ingest)
        ledger = dict(
            store.sql("SELECT status, count(*) FROM object WHERE route = 'mpps' GROUP BY ALL")
        )
        assert ledger == {"no_dose": len(exams), "stored": len(exams)}
        reason = store.sql("SELECT DISTINCT reason FROM object WHERE status = 'no_dose'")
        assert "in progress" in reason[0][0]
        rows = store.sql(
            "SELECT study_uid, modality, n_events, dlp_total_mgy_cm, kap_gy_cm2 FROM studies"
        )
    expected = {(e.part.study_uid, str(e.part.modality)): e.part for e in exams}
    assert sorted((study, modality) for study, modality, *_ in rows) == sorted(expected)
    for study, modality, n_events, dlp, kap in rows:
        part = expected[study, modality]
        assert n_events == len(part.events)
        assert dlp == pytest.approx(part.totals.dlp_total_mgy_cm)
        assert kap == (part.totals.kap_gy_cm2 and pytest.approx(part.totals.kap_gy_cm2))


def test_a_step_without_report_is_a_reason_to_ask(settings: Settings, exams: list[Exam]) -> None:
    """What collecting asks a PACS for: exams that ended and sent no report."""
    from pipelines.steps import without_report

    with Receiver(settings.model_copy(update={"dicom_image_peers": ("*",)})) as receiver:
        for exam in exams:
            send(exam.steps(), "127.0.0.1", receiver.port)
        send(exams[0].objects(), "127.0.0.1", receiver.port)
    with ingesting(settings) as (store, ingest):
        finish(ingest)
        assert set(without_report(settings, after_h=0)) == {e.part.study_uid for e in exams[1:]}
        assert without_report(settings, after_h=2) == []
        assert store.counts()
