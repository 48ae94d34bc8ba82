"""Every report keeps its template; dialects deviate as they declare and nowhere else."""

from __future__ import annotations

import io
from datetime import date

import pydicom
import pytest

from dose_lib.simulate import Hospital
from dose_lib.simulate.writer import find_dialect, make_ct_part, make_ct_rdsr, make_rdsr, write_rdsr
from dose_lib.simulate.writer.codes import dcm
from tests.simulate.template_check import rows_below, violations
from tests.simulate.test_writer_ct import CT_DIALECTS
from tests.simulate.test_writer_xray import EVERY

# Templates are extensible: an effective dose has no row of its own below an administration.
EXTENSIONS = ("113500/113502: ('DCM', '113839') does not belong here",)


def check(data: bytes, dialect: str) -> list[str]:
    report = pydicom.dcmread(io.BytesIO(data))
    template = report.ContentTemplateSequence[0].TemplateIdentifier
    found = violations(report, find_dialect(dialect), str(template))
    return [v for v in found if v not in EXTENSIONS]


def test_the_checker_knows_the_templates() -> None:
    assert len(rows_below("10011")["113819"]) >= 15
    assert {r.code for r in rows_below("10001")["113706"]} >= {
        "122130",
        "113738",
        "112011",
        "113748",
    }
    mandatory = {r.code for r in rows_below("10021")["113502"] if r.requirement == "M"}
    assert {"113503", "113507", "349358000", "410675002"} <= mandatory


@pytest.mark.parametrize("vendor", CT_DIALECTS)
def test_ct_reports(vendor: str) -> None:
    assert check(make_ct_rdsr(4, vendor), vendor) == []


@pytest.mark.parametrize(("kind", "vendor"), EVERY)
def test_other_reports(kind: str, vendor: str) -> None:
    data = make_rdsr(kind, 1 if kind == "radiopharmaceutical" else 3, vendor)
    assert check(data, vendor) == []


def test_the_checker_finds_what_is_wrong() -> None:
    """Relation, unit, missing and misplaced items are each found."""
    wrong_code = make_ct_rdsr(2, event1_procedure_context=dcm("113014"))
    assert check(wrong_code, "clean") == []
    data = make_ct_rdsr(2)
    assert any("mGy.cm" in v for v in check(data.replace(b"mGy.cm", b"kGy.cm"), "clean"))
    part, identity = make_ct_part(2, event1_event_uid=None)
    found = check(write_rdsr(part, identity), "clean")
    assert found == ["113701/113819: 113769 is missing"]
    misplaced = data.replace(b"113830", b"113725")
    assert any("does not belong here" in v for v in check(misplaced, "clean"))
    assert any("113830 is missing" in v for v in check(misplaced, "clean"))


@pytest.mark.parametrize("scenario", ["demo", "district"])
def test_reports_of_the_hospital(scenario: str) -> None:
    """Each unit's first reports of three days."""
    done: dict[str, int] = {}
    for exam in Hospital.load(scenario, end=date(2026, 11, 20), days=3).exams():
        for report in exam.reports:
            if report.dialect is None or done.get(report.dialect, 0) >= 4:
                continue
            done[report.dialect] = done.get(report.dialect, 0) + 1
            data = write_rdsr(report.part, exam.identity, report.dialect)
            found = check(data, report.dialect)
            assert found == [], (exam.device.alias, found)
    assert len(done) >= (3 if scenario == "demo" else 13)
