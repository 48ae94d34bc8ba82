"""Rows of exports as exams: every number in its unit, with the place it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time

import pytest

from dose_lib.errors import UsageError
from dose_lib.history import (
    Cell,
    HistoryExam,
    Origin,
    Problem,
    Row,
    TableMapping,
    fits,
    is_exam,
    load_exam,
    make_plan,
    parse_mapping,
    read_exam,
    read_exam_bytes,
    shipped_mappings,
    write_exam,
)
from dose_lib.records import CtEvent, Laterality, Modality, Phantom, Plane, SizeSource, SourceKind
from tests.history import exports

KEY = b"k" * 32
ORIGIN = Origin("ab" * 32, "2.25.77", KEY)
SHIPPED = {m.name: m for m in shipped_mappings()}


def read(
    mapping: TableMapping, rows: Sequence[Mapping[str, Cell]]
) -> tuple[HistoryExam | None, list[Problem]]:
    plan = make_plan(mapping, list(rows[0]))
    return read_exam(plan, [Row(n, tuple(r.values())) for n, r in enumerate(rows, 2)], ORIGIN)


def taken(name: str, *rows: dict[str, str]) -> HistoryExam:
    exam, problems = read(SHIPPED[name], rows)
    assert not problems
    assert exam is not None
    return exam


ROWS = {
    "openrem-ct": [exports.ct_row(1)],
    "openrem-rf": [exports.rf_row(1)],
    "openrem-dx": [exports.dx_row(1)],
    "openrem-mg": exports.mg_rows(1),
    "openrem-nm": [exports.nm_row(1)],
}


@pytest.mark.parametrize("name", ROWS)
def test_each_export_is_known_by_its_heads_and_by_one_mapping_only(name: str) -> None:
    heads = list(ROWS[name][0])
    assert [m.name for m in SHIPPED.values() if fits(m, heads)] == [name]


def test_ct_has_totals_events_and_sources() -> None:
    part = taken("openrem-ct", exports.ct_row(1)).part
    assert part.modality is Modality.CT
    assert part.started_at == datetime(2019, 3, 1, 10, 1, 22)
    assert part.totals.dlp_total_mgy_cm == 403.76
    assert part.totals.dlp_32cm_mgy_cm == 403.75
    assert (part.totals.n_spiral_events, part.totals.n_localiser_events) == (1, 1)
    spiral = part.events[1]
    assert isinstance(spiral, CtEvent)
    assert (spiral.ctdi_vol_mgy, spiral.phantom) == (7.2, Phantom.BODY_32CM)
    assert (spiral.kvp_kv, spiral.tube_current_ma, len(spiral.sources)) == (120.0, 180.0, 1)
    assert part.protocol_names == ("Topogram", "Thorax")
    # The topogram's CTDIvol leaves the maximum, as in DICOM.
    assert part.totals.ctdi_vol_32cm_max_mgy == 7.2


def test_every_number_says_row_column_unit_and_file() -> None:
    part = taken("openrem-ct", exports.ct_row(1)).part
    places = {p.name: p for p in part.provenance}
    assert places["sources[0]"].path == f"sha256:{'ab' * 32}"
    total = places["totals.dlp_total_mgy_cm"]
    assert (total.path, total.recorded, total.unit) == (
        "row 2, DLP total (mGy.cm)",
        "403.76",
        "mGy.cm",
    )
    height = places["patient.height_cm"]
    assert (height.recorded, height.unit, height.factor) == ("1.78", "m", 100.0)


def test_history_is_marked() -> None:
    part = taken("openrem-ct", exports.ct_row(1)).part
    assert part.is_history
    assert part.sources[0].kind is SourceKind.HISTORY
    assert part.patient.size_source is SizeSource.HISTORY
    assert (part.patient.height_cm, part.patient.weight_kg) == (178.0, 82.0)


def test_planes_are_added_by_the_rules_of_reports() -> None:
    part = taken("openrem-rf", exports.rf_row(1)).part
    totals = part.totals
    assert totals.kap_gy_cm2 == pytest.approx(32.0)  # 0.0032 Gy.m²
    assert (totals.ka_r_mgy, totals.ka_r_max_plane_mgy) == (370.0, 250.0)
    assert totals.fluoro_time_s == 250.0
    assert totals.kap_fluoro_gy_cm2 == pytest.approx(12.0)
    assert [p.plane for p in totals.planes] == [Plane.A, Plane.B]
    # Nothing is known of single events: that is not the same as none.
    assert (totals.n_fluoro_events, totals.n_events) == (None, 2)
    assert len(taken("openrem-rf", exports.rf_row(1)).identity.staff) == 2


def test_a_single_plane_is_no_plane_a() -> None:
    empty = {h: "" for h in exports.rf_row(1) if h.startswith("B ")}
    part = taken("openrem-rf", exports.rf_row(1, **empty)).part
    assert [p.plane for p in part.totals.planes] == [Plane.SINGLE]
    assert part.totals.kap_gy_cm2 == 21.0


def test_a_superscript_in_a_head_makes_no_difference() -> None:
    part = taken("openrem-dx", exports.dx_row(1)).part
    assert part.totals.kap_gy_cm2 == 0.115
    assert [e.exposure_mas for e in part.events] == [1.6]


def test_rows_of_one_exam_become_its_events() -> None:
    part = taken("openrem-mg", *exports.mg_rows(1)).part
    assert [e.laterality for e in part.events] == [Laterality.RIGHT, Laterality.LEFT] * 2  # type: ignore[union-attr]
    assert part.totals.agd_right_mgy == pytest.approx(1.25 + 1.45)
    assert part.totals.agd_left_mgy == pytest.approx(1.35 + 1.55)
    assert part.events[0].exposure_mas == 75.0


def test_a_nuclide_tells_pet_from_scintigraphy() -> None:
    assert taken("openrem-nm", exports.nm_row(1)).part.modality is Modality.PT
    technetium = exports.nm_row(1, Radionuclide="^99m^Technetium")
    part = taken("openrem-nm", technetium).part
    assert part.modality is Modality.NM
    assert part.administrations[0].administered_activity_mbq == 251.3


def test_identifiers_stay_out_of_the_part() -> None:
    row = exports.ct_row(7, **{"Study description": "Chest ACC00007", "E2 Comments": "by Miller"})
    exam = taken("openrem-ct", row)
    text = repr(exam.part)
    assert not any(word in text for word in ("ACC00007", "Miller", "1965"))
    assert exam.identity.accession_number == "ACC00007"


def test_keys_of_people_are_those_of_dicom() -> None:
    from dose_lib import keys

    data = write_exam(taken("openrem-ct", exports.ct_row(7)))
    (part,), who = read_exam_bytes(data, site_key=KEY)
    assert (part.patient.patient_key, part.patient.is_linked) == keys.patient_key(
        KEY, "P7", None, part.study_uid
    )
    assert part.operator_keys == (keys.staff_key(KEY, "Miller^Rita"),)
    assert who.patient_key == part.patient.patient_key


def test_the_same_row_gives_the_same_bytes() -> None:
    data = write_exam(taken("openrem-ct", exports.ct_row(7)))
    assert data == write_exam(taken("openrem-ct", exports.ct_row(7)))
    assert is_exam(data)
    assert load_exam(data).rows == (2,)


def test_a_test_patient_of_the_export_stays_one() -> None:
    part = taken("openrem-ct", exports.ct_row(1, **{"Test patient?": "ID matches phantom"})).part
    assert (part.is_patient, part.not_patient_reason) == (False, "export")


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        ("Study date", "03/04/2019", "a date as YYYY-MM-DD"),
        ("Study date", "", "the date of the exam"),
        ("Study time", "noon", "a time as HH:MM:SS"),
        ("DLP total (mGy.cm)", "403,76", "a number with the decimal sign '.'"),
        ("DLP total (mGy.cm)", "1,403.76", "a number with the decimal sign '.'"),
        ("DLP total (mGy.cm)", "-1", "a number that is not below zero"),
        ("DLP total (mGy.cm)", "inf", "a number with the decimal sign '.'"),
        ("E2 CTDIvol", "seven", "a number with the decimal sign '.'"),
    ],
)
def test_a_row_whose_dose_or_date_cannot_be_read_is_not_taken(
    column: str, cell: str, expected: str
) -> None:
    exam, (problem,) = read(SHIPPED["openrem-ct"], [exports.ct_row(1, **{column: cell})])
    assert exam is None
    assert (problem.row, problem.column, problem.expected) == (2, column, expected)


@pytest.mark.parametrize(("column", "cell"), [("Age", "?"), ("Sex", "X"), ("E2 Pitch", "a")])
def test_another_cell_is_left_out_and_told(column: str, cell: str) -> None:
    exam, (problem,) = read(SHIPPED["openrem-ct"], [exports.ct_row(1, **{column: cell})])
    assert exam is not None
    assert (problem.column, problem.seen, problem.is_fatal) == (column, cell, False)
    assert [i.code for i in exam.part.issues].count("history_cell") == 1


OURS = """
title = "Our old system"
modality = "CT"
[table]
decimal = ","
thousands = "."
dates = ["%d.%m.%Y"]
[part]
started_at = { date = "Datum", time = "Zeit" }
study_uid = "Study UID"
[totals]
dlp_total_mgy_cm = { column = "DLP", unit = "mGy.cm" }
"""


def test_a_mapping_of_the_site_says_how_numbers_and_dates_are_written() -> None:
    mapping = parse_mapping(OURS, "ours", "ours.toml")
    row: dict[str, Cell] = {"Datum": "04.03.2019", "Zeit": "10:31", "DLP": "1.403,76"}
    exam, problems = read(mapping, [row | {"Study UID": "1.2.3"}])
    assert not problems
    assert exam is not None
    assert exam.part.totals.dlp_total_mgy_cm == 1403.76
    assert (exam.part.study_uid, exam.part.started_at) == ("1.2.3", datetime(2019, 3, 4, 10, 31))


def test_cells_of_a_workbook_are_taken_as_they_are() -> None:
    mapping = parse_mapping(OURS, "ours", "ours.toml")
    row: dict[str, Cell] = {"Datum": date(2019, 3, 4), "Zeit": time(10, 31), "DLP": 403.76}
    exam, _ = read(mapping, [row])
    assert exam is not None
    assert exam.part.totals.dlp_total_mgy_cm == 403.76
    serial: dict[str, Cell] = {"Datum": 43528.0, "Zeit": 0.4375, "DLP": 403.76}
    exam, _ = read(mapping, [serial])
    assert exam is not None
    assert exam.part.started_at == datetime(2019, 3, 4, 10, 30)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('dlp_total = "DLP"', "dlp_total_mgy_cm"),
        ('dlp_total_mgy_cm = "DLP"', "has no unit.*mGy.cm"),
        ('dlp_total_mgy_cm = { column = "DLP", unit = "mSv" }', "'mSv' is none of this quantity"),
    ],
)
def test_a_mapping_names_its_units_and_existing_names(line: str, message: str) -> None:
    text = OURS.partition("[totals]")[0] + "[totals]\n" + line
    with pytest.raises(UsageError, match=message):
        parse_mapping(text, "ours", "ours.toml")


def test_exams_without_uid_get_one_that_nobody_can_guess() -> None:
    row = exports.ct_row(1)
    first = taken("openrem-ct", row).part.study_uid
    plan = make_plan(SHIPPED["openrem-ct"], list(row))
    other, _ = read_exam(plan, [Row(9, tuple(row.values()))], Origin("cd" * 32, "2.25.8", KEY))
    assert other is not None
    assert other.part.study_uid == first  # of another file
    hospital = Origin("ab" * 32, "2.25.77", b"x" * 32)
    elsewhere, _ = read_exam(plan, [Row(2, tuple(row.values()))], hospital)
    assert elsewhere is not None
    assert elsewhere.part.study_uid != first
