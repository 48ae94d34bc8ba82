"""The lake: the same rows, no identifiers, only what changed, each file whole."""

from __future__ import annotations

import csv
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from dose_lib import connect
from dose_lib.compare import compare_practice
from dose_lib.errors import OutOfRoomError, UsageError
from dose_lib.lake import export_lake, open_lake, read_sheet, site_id_of, write_csv, write_xlsx
from dose_lib.lake.columns import TABLES, unit_and_meaning
from dose_lib.records import contract
from dose_lib.reference import load_levels
from dose_lib.settings import Settings
from dose_lib.store import Store
from pipelines import cli
from pipelines.commands import terminal
from tests.compare.chests import N, fill
from tests.lake.conftest import Department
from tests.store.exams import START, ct_part, incoming, merge, unchanged

TABLE_NAMES = [t.name for t in TABLES]


def files(lake: Path) -> dict[str, int]:
    return {str(f.relative_to(lake)): f.stat().st_mtime_ns for f in lake.rglob("*.parquet")}


@pytest.mark.parametrize("table", TABLES, ids=TABLE_NAMES)
def test_the_rows_are_those_of_the_store(department: Department, table: Any) -> None:
    stored = department.con.table(table.name).select(*table.columns)
    there = open_lake(department.lake).table(table.name).select(*table.columns)
    one, other = (t.order_by(*table.order).to_pyarrow() for t in (stored, there))
    assert one.num_rows == other.num_rows > 0
    assert one.to_pylist() == other.to_pylist()


def test_the_lake_gives_the_verdicts_of_the_store(department: Department) -> None:
    asked: dict[str, Any] = {
        "kind": "drl", "levels": load_levels(department.settings), "settings": department.settings,
    }  # fmt: skip
    one = compare_practice(department.con, **asked)
    other = compare_practice(open_lake(department.lake), **asked)
    assert one.verdicts == other.verdicts
    assert len(one.verdicts) > 50


def test_there_are_no_identifiers(department: Department) -> None:
    """No column that the contract calls a key of a person or a UID, and none of their values."""
    forbidden = ("uid", "patient_key", "operator", "physician", "requester", "serial", "comment",
                 "description", "accession", "name_of")  # fmt: skip
    for table in TABLES:
        for name in table.columns:
            assert not any(word in name for word in forbidden), name
    studies = department.con.table("studies").select("study_uid", "patient_key", "operator_keys")
    values: set[str] = set()
    for row in studies.to_pyarrow().to_pylist():
        values |= {row["study_uid"], row["patient_key"] or "-" * 64, *(row["operator_keys"] or ())}
    texts: set[str] = set()
    for file in department.lake.rglob("*.parquet"):
        for column in pq.read_table(file).columns:
            if not pa.types.is_floating(column.type):
                texts |= {str(v) for v in column.to_pylist()}
    everything = "\n".join(texts)
    assert not [v for v in values if v in everything]


def test_every_column_is_told_in_the_readme_and_the_schema(department: Department) -> None:
    page = (department.lake / "README.md").read_text(encoding="utf-8")
    schema = json.loads((department.lake / "_doseloop" / "schema.json").read_text())
    of_contract = {c.name for c in contract()}
    for table in TABLES:
        assert [c["name"] for c in schema["tables"][table.name]] == list(table.columns)
        for name in table.columns:
            assert f"| `{name}` |" in page
            if name in of_contract:
                assert unit_and_meaning(name)[1], name
    assert "pseudonymous, not anonymous" in page


def test_only_what_changed_is_written(settings: Settings, tmp_path: Path) -> None:
    fill(settings)  # March, 30 days from the 2nd
    con, lake = connect(settings=settings), tmp_path / "lake"
    first = export_lake(con, lake, "main")
    assert first.n_rows == {"studies": 2 * N, "events": 2 * N, "administrations": 0}
    before = files(lake)
    assert sorted(before) == [
        "events/site_id=main/month=2026-03/data.parquet",
        "studies/site_id=main/month=2026-03/data.parquet",
    ]
    again = export_lake(con, lake, "main")
    assert (again.n_written, again.n_unchanged, files(lake)) == (0, 2, before)

    late = ct_part("1.2.99", (1,), sop_instance_uid="1.2.99.9")
    late = msgspec.structs.replace(late, started_at=START + timedelta(days=60))
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        store.commit([incoming(late)])
    more = export_lake(con, lake, "main")
    assert (more.n_written, more.n_unchanged) == (2, 2)
    assert {k: v for k, v in files(lake).items() if k in before} == before

    (lake / "studies/site_id=main/month=2026-03/data.parquet").unlink()
    assert export_lake(con, lake, "main").n_written == 1, "what is missing is written again"


def test_months_without_rows_are_removed(settings: Settings, tmp_path: Path) -> None:
    fill(settings)
    con, lake = connect(settings=settings), tmp_path / "lake"
    export_lake(con, lake, "main")
    other = lake / "studies/site_id=other/month=2020-01/data.parquet"
    for path in (lake / "studies/site_id=main/month=2020-01/data.parquet", other):
        path.parent.mkdir(parents=True)
        path.write_bytes((lake / "studies/site_id=main/month=2026-03/data.parquet").read_bytes())
    assert export_lake(con, lake, "main").n_removed == 1
    assert other.exists(), "other sites are not ours"


def test_a_file_is_whole_or_as_it_was(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills up in the middle of a file: readers still see the file of before."""
    fill(settings)
    con, lake = connect(settings=settings), tmp_path / "lake"
    export_lake(con, lake, "main")
    before = files(lake)
    (lake / "_doseloop" / "main.json").unlink()

    def full(table: pa.Table, path: Path, **_: Any) -> None:
        Path(path).write_bytes(b"PAR1 half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(pq, "write_table", full)
        with pytest.raises(OutOfRoomError, match="No space left"):
            export_lake(con, lake, "main")
    assert files(lake) == before
    assert not [f for f in lake.rglob("_*") if f.is_file() and f.parent.name != "_doseloop"]
    assert open_lake(lake).table("studies").count().to_pyarrow().as_py() == 2 * N
    assert export_lake(con, lake, "main").n_written == 2


def test_a_folder_of_something_else_is_left_alone(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("years of work", encoding="utf-8")
    fill(settings)
    with pytest.raises(UsageError, match="no lake"):
        export_lake(connect(settings=settings), tmp_path, "main")
    with pytest.raises(UsageError, match="no lake"):
        open_lake(tmp_path)
    with pytest.raises(UsageError, match="is no site"):
        export_lake(connect(settings=settings), tmp_path / "new", "../x")
    assert site_id_of("../x") == "x"


def test_sheets_hold_the_period_and_no_formula(settings: Settings, tmp_path: Path) -> None:
    fill(settings)
    evil = ct_part("1.2.66", (1,), sop_instance_uid="1.2.66.9", protocol_names=("=1+1",))
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        store.commit([incoming(evil)])
    day = START.date()
    rows = read_sheet(connect(settings=settings), start=day, end=day, procedure_name="CT Chest")
    assert rows.num_rows == 3
    assert "kap_gy_cm2" not in rows.column_names, "columns without a value are left out"
    write_csv(rows, tmp_path / "a.csv")
    write_xlsx(rows, tmp_path / "a.xlsx")
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as opened:
        lines = list(csv.DictReader(opened))
    sheet = openpyxl.load_workbook(tmp_path / "a.xlsx").active
    header, *cells = list(sheet.iter_rows(values_only=True))
    assert list(header) == rows.column_names
    place = header.index("protocol_names")
    assert "'=1+1" in {line["protocol_names"] for line in lines}
    assert {row[place] for row in cells} == {line["protocol_names"] for line in lines}
    assert {float(line["dlp_total_mgy_cm"]) for line in lines} == set(
        rows["dlp_total_mgy_cm"].to_pylist()
    )
    assert read_sheet(connect(settings=settings), start=date(2030, 1, 1)).num_rows == 0


def test_the_command(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(terminal._chosen, "home", None)
    fill(settings)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(cli.app, ["--home", str(settings.home), "export", *arguments])

    done = run("--lake", str(tmp_path / "lake"))
    assert done.exit_code == 0, done.output
    assert "site my-hospital: 60 studies, 60 events" in done.output
    assert "0 months written, 2 as they were" in run("--lake", str(tmp_path / "lake")).output
    assert "60 exams" in run("--csv", str(tmp_path / "all.csv"), "--modality", "CT").output
    assert isinstance(run().exception, UsageError)
    missing = run("--xlsx", str(tmp_path / "nowhere" / "a.xlsx"))
    assert isinstance(missing.exception, OutOfRoomError)
    assert not list(tmp_path.glob(".*"))
