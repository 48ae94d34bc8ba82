"""Reconciliation with a real archive: a day with gaps planted, each found with its reason."""

from __future__ import annotations

import json
import os
import re
from datetime import date, datetime
from typing import Any

import msgspec
import pytest
import typer
from typer.testing import CliRunner

import dose_lib
from dose_lib.records import FindingState
from dose_lib.settings import Settings
from dose_lib.simulate.exam import Exam
from pipelines.collect.answer import Answers, Item, Series, Study
from pipelines.collect.gaps import DETECTOR, findings_of, keep_findings
from pipelines.collect.known_devices import KnownDevices
from pipelines.collect.pacs import Pacs, find_archive
from pipelines.collect.performed import Performed, ask_performed
from pipelines.collect.reconcile import reconcile_days
from pipelines.collect.reconcile_page import TODO, page_of
from pipelines.collect.reconciliation import DeviceDay, Gap, Reconciliation, Why
from pipelines.collect.run import collect_days
from pipelines.collect.stored import StoredDevice, StoredPart
from pipelines.commands import reconciling
from pipelines.envelope import make_receipt
from pipelines.spool import Spool
from tests.collect.conftest import END, table
from tests.collect.day import exams_of_day, images, spoilt
from tests.collect.peers import Orthanc
from tests.collect.test_web_archives import web_table
from tests.pipelines.running import dose

# `quiet` has 108 exams of 15 devices; continuous integration has the time for `demo`.
SCENARIO = os.environ.get("DOSE_RECONCILE_SCENARIO", "demo")


class Planted:
    """A day in an archive, with three gaps."""

    def __init__(self, settings: Settings, pacs: Orthanc) -> None:
        self.settings, self.pacs = settings, pacs
        self.exams = [e for e in exams_of_day(SCENARIO) if e.is_patient]
        ct = [e for e in self.exams if e.part.modality == "CT"]
        self.without_report, self.spoilt, self.only_here = ct[0], ct[1], ct[2]

    def plant(self) -> None:
        """Fill the archive, receive what is to be received, collect the rest."""
        for exam in self.exams:
            if exam is self.only_here:
                continue
            self.pacs.load(images(exam))
            if exam not in (self.without_report, self.spoilt):
                self.pacs.load(o.data for o in exam.objects())
        folder = self.settings.home.parent / "files"
        folder.mkdir()
        for number, one in enumerate(self.only_here.objects()):
            (folder / f"{number}.dcm").write_bytes(one.data)
        for one in self.spoilt.objects():
            data = spoilt(one.data)
            receipt = make_receipt(data, "c-store", sop_instance_uid=one.sop_instance_uid)
            Spool(self.settings.spool_dir).put(data, receipt)
        dose(self.settings, "ingest", str(folder), check=False)

    def collect(self) -> None:
        collect_days(find_archive(self.settings, None), self.settings, [END])


@pytest.fixture(params=["dicom", "web"])
def planted(
    settings: Settings, pacs: Orthanc, archive_port: int, request: pytest.FixtureRequest
) -> Planted:
    chosen = settings.model_copy(update={"dicom_port": archive_port})
    chosen.site_dir.mkdir(parents=True, exist_ok=True)
    images = "never" if SCENARIO == "demo" else "without-report"
    if request.param == "dicom":
        text = table(pacs, retrieve="c-get", images=images)
    else:
        text = web_table(chosen, pacs, more=f'images = "{images}"')
    (chosen.site_dir / "pacs.toml").write_text(text)
    return Planted(chosen, pacs)


def reconciled(settings: Settings, **more: Any) -> Reconciliation:
    return reconcile_days(find_archive(settings, None), settings, [END], **more)


@pytest.mark.peer
@pytest.mark.slow
def test_three_planted_gaps_are_found_with_their_reasons(planted: Planted) -> None:
    planted.plant()
    before = reconciled(planted.settings)
    n = len([p for e in planted.exams if e is not planted.only_here for p in e.parts])
    assert before.n_missing == n
    assert {g.why for g in before.gaps} == {Why.NOT_ASKED, Why.NO_REPORT, Why.ONLY_HERE}
    planted.collect()
    # The archive gets the report late; our own copy of it was cut off on its way.
    planted.pacs.load(o.data for o in planted.spoilt.objects())
    result = reconciled(planted.settings, with_identity=True)
    plain = [msgspec.structs.replace(g, study_uid=None) for g in result.gaps]
    reconciling.show(msgspec.structs.replace(result, gaps=plain))
    found = {g.study_uid: (g.why, g.device) for g in result.gaps}
    assert found == {
        planted.without_report.part.study_uid: (Why.NO_REPORT, _name(planted.without_report)),
        planted.spoilt.part.study_uid: (Why.QUARANTINED, _name(planted.spoilt)),
        planted.only_here.part.study_uid: (Why.ONLY_HERE, _name(planted.only_here)),
    }
    assert sum(r.n_pacs for r in result.rows) == n
    assert sum(r.n_stored for r in result.rows) == n - 2
    assert not result.complaints
    _check_findings(planted, result)


def _check_findings(planted: Planted, result: Reconciliation) -> None:
    """One a device and day, once; closed when the gaps are filled."""
    settings = planted.settings
    new = keep_findings(result, settings)
    devices = {g.device for g in result.gaps}
    assert {f.device for f in new} <= devices
    assert {f.device for f in new} >= {g.device for g in result.gaps if g.is_missing}
    assert keep_findings(result, settings) == ()
    text = json.dumps([f.evidence for f in new]) + "".join(f.title + f.summary for f in new)
    assert not any(e.part.study_uid in text for e in planted.exams)
    planted.pacs.load(o.data for o in planted.without_report.objects())
    planted.pacs.load(images(planted.only_here))
    planted.pacs.load(o.data for o in planted.only_here.objects())
    planted.collect()
    after = reconciled(settings)
    assert after.gaps == []
    assert keep_findings(after, settings) == ()
    rows = dose_lib.connect(settings=settings).table("findings").to_pyarrow().to_pylist()
    states = {r["state"] for r in rows if r["detector"] == DETECTOR}
    assert states == {FindingState.CLOSED}


def _name(exam: Exam) -> str:
    return exam.device.station


class Fake:
    """An archive of studies and series given by hand."""

    def __init__(self, series: dict[str, list[Series]]) -> None:
        self._series = series

    def studies(self, day: date) -> Answers[Study]:
        return Answers(rows=[Study(uid=u, day=day, time="081500") for u in self._series])

    def series(self, study_uid: str) -> Answers[Series]:
        return Answers(rows=self._series.get(study_uid, []))

    def items(self, study_uid: str, series_uid: str) -> Answers[Item]:
        return Answers()

    def reset(self) -> None: ...

    def close(self) -> None: ...


ARCHIVE = Pacs.model_validate({"name": "main", "ae_title": "A", "host": "h", "port": 1})


def performed(**series: list[Series]) -> list[Performed]:
    return ask_performed(Fake(series), ARCHIVE, [END]).performed  # type: ignore[arg-type]


def test_a_study_is_one_exam_for_each_modality_that_irradiates() -> None:
    some = performed(
        pet=[Series(uid="1", modality="CT"), Series(uid="2", modality="PT")],
        mr=[Series(uid="3", modality="MR"), Series(uid="4", modality="SR")],
        ct=[Series(uid="5", modality="CT", station="CT1"), Series(uid="6", modality="PR")],
        notes=[Series(uid="7", modality="DOC")],
    )
    assert [(p.study_uid, p.modality, p.report_series) for p in some] == [
        ("pet", "CT", ()),
        ("pet", "PT", ()),
        ("mr", None, ("4",)),
        ("ct", "CT", ()),
    ]


def test_the_first_series_says_the_device() -> None:
    (one,) = performed(
        ct=[
            Series(uid="2", number=9, modality="CT", station="WORKSTATION"),
            Series(uid="1", number=2, modality="CT", station="CT1"),
        ]
    )
    assert one.station == "CT1"


def device(key: str, station: str | None = None, model: str = "Scan") -> StoredDevice:
    return StoredDevice(device_key=key, device=key, station=station, manufacturer="M", model=model)


def at(station: str | None, model: str = "Scan") -> Performed:
    return Performed(study_uid="1", day=END, station=station, manufacturer="M", model=model)


def test_devices_are_known_by_station_by_model_and_by_what_was_seen() -> None:
    known = KnownDevices([device("a", "CT1"), device("b", "CT2"), device("c", None, "Other")])
    assert known.of(at("ct1"))[0] == "a"
    assert known.of(at("NEW"))[0] is None  # two devices of this model
    assert known.of(at("NEW")) == (None, "NEW")
    assert known.of(at(None, "Other"))[0] == "c"
    part = StoredPart(study_uid="1", modality="CT", started_at=None, device_key="b")
    known.learn(at("NEW"), part)
    assert known.of(at("NEW"))[0] == "b"


def result(*gaps: Gap, n_stored: int = 5) -> Reconciliation:
    rows = [
        DeviceDay(
            day=END,
            device=g.device,
            device_key=g.device_key,
            modality="CT",
            n_pacs=n_stored + 1,
            n_stored=n_stored,
            n_missing=1,
            n_only_here=0,
            why={},
        )
        for g in gaps
    ]
    moment = datetime(2026, 11, 21, 7)
    return Reconciliation(
        pacs="main", first=END, last=END, made_at=moment, rows=rows, gaps=list(gaps)
    )


def gap(key: str | None = "k", why: Why = Why.NO_REPORT, day: date = END) -> Gap:
    return Gap(study_key="s", day=day, device_key=key, device="CT 1", why=why)


def test_a_finding_says_how_many_why_and_what_to_do() -> None:
    (found,) = findings_of(result(gap()))
    assert found.title == "1 of 6 exams of 20 Nov 2026 are not stored: CT 1"
    assert "1 no dose report in the archive" in found.summary
    assert found.subject == "k:2026-11-20"


def test_a_device_without_any_dose_is_one_finding_not_one_a_day() -> None:
    (found,) = findings_of(result(gap(None), n_stored=0))
    assert found.subject == "unmonitored:CT 1"


def test_erasures_are_no_finding() -> None:
    assert findings_of(result(gap(why=Why.ERASED))) == []


def test_the_page_names_each_gap_and_fetches_nothing(settings: Settings) -> None:
    hostile = msgspec.structs.replace(gap("x", Why.FAILED), device="CT <script>2", study_key="t")
    page = page_of(result(gap(), hostile), settings)
    for words in (
        "<b>10 of 12 exams</b> of the archive are stored (83.3 %)",
        "<b>2 exams are missing</b>, of 2 devices",
        *("CT 1", "CT &lt;script&gt;2", "no dose report in the archive", "not fetched"),
        *(TODO[Why.NO_REPORT], TODO[Why.FAILED], "2026-11-20, against the archive main"),
        "named by a pseudonym",
    ):
        assert words in page, words
    assert not re.search(r"<script|<link|src=.?http|url\(", page)
    with_uid = msgspec.structs.replace(gap(), study_uid="1.2.3")
    assert "for those only who may know them" in page_of(result(with_uid), settings)
    empty = msgspec.structs.replace(result(), complaints=[])
    assert "knows of no exam" in page_of(empty, settings)
    assert set(TODO) == set(Why)


def test_the_command_refuses_days_that_contradict(settings: Settings) -> None:
    app = typer.Typer()
    reconciling.add_to(app)
    settings.site_dir.mkdir(parents=True)
    (settings.site_dir / "pacs.toml").write_text(
        '[[pacs]]\nname = "m"\nae_title = "A"\nhost = "127.0.0.1"\nport = 1\n'
    )
    answer = CliRunner().invoke(app, ["--day", "2026-11-20", "--from", "2026-11-01"])
    assert "one of them" in str(answer.exception)
