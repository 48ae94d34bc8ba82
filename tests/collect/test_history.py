"""`dose import-history`: from a file to the store, again, and on after an interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import pytest

import dose_lib
from dose_lib import Settings, overview
from dose_lib.errors import UsageError
from pipelines.collect.imports import look, open_export, read_notes, rejects_file, take
from pipelines.collect.tables import open_table, read_rows
from tests.conftest import ROOT
from tests.history import exports
from tests.pipelines.running import dose

BAD = {"Study date": "soon"}


def test_a_look_tells_what_would_be_taken_and_stores_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    rows = [exports.ct_row(n) for n in range(5)] + [exports.ct_row(7, **BAD), exports.ct_row(3)]
    file = exports.write_csv(tmp_path / "ct.csv", [r | {"Ward": "4"} for r in rows])
    opened = open_export(file)
    tally = look(opened, settings)
    assert (tally.n_rows, tally.n_exams, tally.n_left_out) == (7, 5, 2)
    assert dict(tally.by_year) == {("CT", 2019): 5}
    assert dict(tally.by_device) == {"CT One": 5}
    assert "Ward" in opened.plan.unmapped
    assert [(p.row, p.column, p.seen) for p in tally.problems] == [
        (7, "Study date", "soon"),
        (8, "(what tells exams apart)", "the exam of row 5 again"),
    ]
    assert not settings.store_file.exists()


@pytest.mark.parametrize("name", ["ct.csv", "ct.xlsx"])
def test_an_export_goes_in_once_and_its_bad_rows_are_kept(
    settings: Settings, tmp_path: Path, name: str
) -> None:
    """Workers read, the vault gets who it was, the store what it was, findings nothing."""
    rows = [exports.ct_row(n) for n in range(8)] + [exports.ct_row(9, **BAD)]
    if name.endswith("csv"):
        opened = open_export(exports.write_csv(tmp_path / name, rows, ";"))
    else:
        opened = open_export(exports.write_xlsx(tmp_path / name, map(exports.typed, rows)))
    first = take(opened, settings)
    assert (first.n_exams, first.n_known, first.n_left_out) == (8, 0, 1)
    again = take(opened, settings)
    assert (again.n_exams, again.n_known) == (8, 8)
    con = dose_lib.connect(settings=settings)
    studies = con.table("studies").to_pyarrow().to_pylist()
    assert len(studies) == 8
    assert {(s["is_history"], s["is_linked"], s["is_patient"]) for s in studies} == {
        (True, True, True)
    }
    assert {s["started_at"] for s in studies} == {datetime(2019, 3, 1, 10, n, 22) for n in range(8)}
    doses = sorted(s["dlp_total_mgy_cm"] for s in studies)
    assert doses == pytest.approx([403.75 + n / 100 for n in range(8)])
    assert {(s["weight_kg"], s["height_cm"], s["n_events"]) for s in studies} == {(82.0, 178.0, 2)}
    assert con.table("findings").to_pyarrow().num_rows == 0
    assert con.table("objects").to_pyarrow().num_rows == 8
    march = overview.period(31, date(2019, 3, 31))
    checks = overview.data_quality(con, march).set_index("check")["n"]
    assert checks["Imported history"] == 8
    without = dose_lib.connect(settings=settings, imported_history=False)
    views = ("studies", "events", "issues", "administrations", "estimates")
    assert [without.table(v).count().execute() for v in views] == [0] * 5
    kept = rejects_file(settings, opened.import_id)
    assert "soon" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0
    assert [n.n_exams for n in read_notes(settings)] == [8]
    assert len(list((settings.vault_dir / "inbox").glob("*.sealed"))) > 0


DIES = """
import os, signal, sys
from pathlib import Path
from dose_lib import load_settings
from pipelines.collect.imports import open_export, take

def die(stage, done, total):
    if stage == sys.argv[3] and (stage == "storing" or done == total):
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    take(open_export(Path(sys.argv[2])), load_settings(Path(sys.argv[1])), die)
"""


def test_a_killed_import_goes_on_and_doubles_nothing(settings: Settings, tmp_path: Path) -> None:
    """Killed when most rows are in the spool, then while they are stored, then left alone."""
    file = exports.write_csv(tmp_path / "ct.csv", [exports.ct_row(n) for n in range(40)])
    script = tmp_path / "dies.py"
    script.write_text(DIES)
    for stage in ("reading", "storing"):
        command = [sys.executable, str(script), str(settings.home), str(file), stage]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        ended = subprocess.run(command, env=environment, check=False, capture_output=True)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
    done = take(open_export(file), settings)
    assert (done.n_exams, done.n_left_out) == (40, 0)
    con = dose_lib.connect(settings=settings)
    studies, objects = con.table("studies"), con.table("objects")
    total = studies.dlp_total_mgy_cm.sum().execute()
    assert (studies.count().execute(), studies.study_uid.nunique().execute()) == (40, 40)
    assert total == pytest.approx(sum(403.75 + n / 100 for n in range(40)))
    statuses = objects.status.to_pyarrow().to_pylist()
    assert statuses.count("stored") == 40
    assert set(statuses) <= {"stored", "duplicate"}  # what was in the spool came twice
    assert not list(settings.spool_dir.glob("*.dcm"))


@pytest.mark.parametrize("name", ["ct.csv", "ct.xlsx"])
def test_the_command_shows_counts_and_refuses_nothing_silently(
    settings: Settings, tmp_path: Path, name: str
) -> None:
    rows = [exports.ct_row(n) for n in range(3)] + [exports.ct_row(5, **BAD)]
    write = exports.write_csv if name.endswith("csv") else exports.write_xlsx
    file = write(tmp_path / name, rows)
    shown = dose(settings, "import-history", str(file), "--dry-run", check=False)
    assert shown.returncode == 3
    assert "2019: 3" in shown.stdout
    assert "DLP 403.75 mGy.cm" in shown.stdout
    assert "soon" in shown.stderr


def test_a_file_that_no_mapping_fits_is_told_the_mappings(
    settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "other.csv"
    file.write_text("Datum;Dosis\n4.3.2019;12\n")
    with pytest.raises(UsageError, match=r"no shipped mapping fits the heads \(Datum, Dosis\)"):
        open_export(file)
    ended = dose(settings, "import-history", str(file), "--mapping", "openrem", check=False)
    assert ended.returncode == 2
    assert "did you mean 'openrem-" in ended.stderr


def test_windows_text_and_long_files_are_read_a_row_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "old.csv"
    file.write_bytes("Gerät;Dosis\nRöhre;1\n\nRöhre 2;2\n".encode("cp1252"))
    table = open_table(file)
    assert (table.encoding, table.delimiter, table.heads) == ("cp1252", ";", ("Gerät", "Dosis"))
    assert [(r.number, r.cells) for r in read_rows(table)] == [
        (2, ("Röhre", "1")),
        (4, ("Röhre 2", "2")),
    ]


def test_a_workbook_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    import zipfile

    file = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/worksheets/sheet1.xml", bytes(30_000_000))
    with pytest.raises(UsageError, match="unpacks from"):
        open_table(file)


def test_the_list_of_mappings_is_that_of_the_package(settings: Settings) -> None:
    shown = dose(settings, "import-history", "--mappings").stdout
    assert all(f"openrem-{m}" in shown for m in ("ct", "rf", "dx", "mg", "mg-xlsx", "nm"))
