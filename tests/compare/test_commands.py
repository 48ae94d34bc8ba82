"""`dose drl` and `dose compare`: from a file of levels to a verdict, and back again."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from dose_lib.errors import DoseError
from dose_lib.reference import template
from dose_lib.settings import Settings
from pipelines import cli
from pipelines.commands import terminal
from tests.compare.chests import N, dose, fill

Run = Callable[..., Result]
PERIOD = ("--from", "2026-03-01", "--to", "2026-04-30")
LOW = "drl_set,modality,procedure,population,phantom,quantity,value,unit,per\n"
LOW += "OURS,CT,CT Chest,adult,32cm,DLP,240,mGy.cm,exam\n"


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process; its error on purpose is the output."""
    monkeypatch.setitem(terminal._chosen, "home", None)

    def invoke(*arguments: str, answer: str | None = None) -> Result:
        result = CliRunner().invoke(
            cli.app, ["--home", str(settings.home), *arguments], input=answer
        )
        if isinstance(result.exception, DoseError):
            result.exit_code = result.exception.exit_code
        elif result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


def rows_of(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.output
    return list(json.loads(result.output))


@pytest.fixture
def low(tmp_path: Path) -> Path:
    file = tmp_path / "low.csv"
    file.write_text(LOW, encoding="utf-8")
    return file


def test_the_template_can_be_imported(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "levels.csv"
    assert run("drl", "template", str(file)).exit_code == 0
    assert file.read_text(encoding="utf-8") == template()
    assert run("drl", "template", str(file)).exit_code == 2, "nothing is overwritten"
    rows = rows_of(run("drl", "import", str(file), "--check", "--json"))
    assert [r["procedure_name"] for r in rows] == ["CT Chest", "CT Head", "Chest PA"]
    assert run("drl", "show", "MAIN-LOCAL").exit_code == 7, "a check keeps nothing"


def test_every_fault_of_a_file_is_told_with_line_and_column(
    run: Run, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.csv"
    file.write_text(
        LOW + "OURS,CT,CT Chset,adult,32cm,DLP,240,mGy.cm,exam\n"
        "OURS,CT,CT Head,adult,16cm,DLP,1.2e3,mGy.cm,exam\n",
        encoding="utf-8",
    )
    result = run("drl", "import", str(file))
    assert result.exit_code == 7
    assert result.exception is not None
    told = [str(result.exception), *result.exception.__notes__]
    assert "line 3, column procedure: 'CT Chset'" in told[0]
    assert "did you mean 'CT Chest'" in told[0]
    assert "line 4, column value: '1.2e3'" in told[1]
    assert not (settings.site_dir / "drl").exists(), "all or nothing"


def test_a_file_of_a_spreadsheet_with_semicolons_is_read(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "de.csv"
    file.write_text(LOW.replace(",", ";"), encoding="utf-8-sig")
    assert rows_of(run("drl", "import", str(file), "--json"))[0]["value"] == 240
    file.write_text(LOW.replace(",", ";").replace("240", "240,5"), encoding="utf-8")
    result = run("drl", "import", str(file), "--replace")
    assert "Write decimals with a point" in str(result.exception)


def test_a_name_is_taken_once(run: Run, settings: Settings, low: Path) -> None:
    assert run("drl", "import", str(low)).exit_code == 0
    assert run("drl", "import", str(low)).exit_code == 2
    again = run("drl", "import", str(low), "--as", "second")
    assert again.exit_code == 7, "each row once over all files"
    low.write_text(LOW.replace("240", "250"), encoding="utf-8")
    assert run("drl", "import", str(low), "--replace").exit_code == 0
    kept = settings.site_dir / "drl" / "low.csv"
    assert "250" in kept.read_text(encoding="utf-8")
    assert [p.name for p in kept.parent.iterdir()] == ["low.csv"]


def test_from_import_to_verdict(run: Run, settings: Settings, low: Path, tmp_path: Path) -> None:
    fill(settings)
    run("drl", "import", str(low))
    rows = rows_of(run("compare", "CT Chest", *PERIOD, "--quantity", "dlp", "--json"))
    by_room = {r["name"]: r for r in rows}
    assert [by_room[n]["status"] for n in ("CT 1", "CT 2")] == ["within", "consistently_exceeds"]
    doses = [dose(1, i) for i in range(N)]
    assert by_room["CT 2"]["median"] == pytest.approx(np.median(doses), rel=1e-12)
    assert by_room["CT 2"]["n"] == N
    assert by_room["CT 2"]["level_name"] == "OURS undated"
    assert by_room["CT 2"]["level_kind"] == "local"
    shown = run("compare", "CT Chest", *PERIOD, "--quantity", "dlp").output
    assert "consistently exceeds" in shown
    assert "median is 1.58 of the level" in shown
    file = tmp_path / "out.csv"
    run("compare", *PERIOD, "--csv", str(file))
    with file.open(encoding="utf-8") as opened:
        assert {r["procedure_name"] for r in csv.DictReader(opened)} == {"CT Chest"}


def test_a_level_counts_only_after_a_sign_off(run: Run, settings: Settings) -> None:
    fill(settings)
    asked = ("compare", "CT Chest", *PERIOD, "--kind", "national", "--quantity", "dlp", "--json")
    assert {r["reason"] for r in rows_of(run(*asked))} == {"not_signed_off"}
    said_no = run("drl", "sign", "GB-UKHSA-NDRL", "--by", "A. Physicist", answer="n\n")
    assert said_no.exit_code == 1
    assert {r["reason"] for r in rows_of(run(*asked))} == {"not_signed_off"}
    assert run("drl", "sign", "GB-UKHSA-NDRL", "--by", "A. Physicist", "--yes").exit_code == 0
    rows = rows_of(run(*asked))
    assert {r["name"]: r["status"] for r in rows} == {
        "CT 1": "within", "CT 2": "consistently_exceeds", "all rooms": "exceeds",
    }  # fmt: skip
    assert {r["signed_by"] for r in rows} == {"A. Physicist"}
    (row,) = (r for r in rows_of(run("drl", "list", "--json")) if r["set"] == "GB-UKHSA-NDRL")
    assert row["signed_by"] == "A. Physicist"
    back = run("drl", "sign", "GB-UKHSA-NDRL", "--by", "B. Physicist", "--revoke", "--yes")
    assert back.exit_code == 0
    assert {r["reason"] for r in rows_of(run(*asked))} == {"not_signed_off"}


def test_local_levels_are_proposed_adopted_and_withdrawn(run: Run, settings: Settings) -> None:
    fill(settings)
    proposed = rows_of(run("drl", "local", *PERIOD, "--json"))
    (dlp,) = (r for r in proposed if r["quantity"] == "dlp" and r["band"] == "adult")
    doses = [[dose(room, i) for i in range(N)] for room in (0, 1)]
    medians = [float(np.median(d)) for d in doses]
    assert dlp["value"] == pytest.approx(np.median(medians), rel=1e-12)
    assert (dlp["n"], dlp["n_rooms"], dlp["statistic"]) == (2 * N, 2, "p50")
    assert dlp["p75"] == pytest.approx(np.percentile(np.concatenate(doses), 75), rel=1e-12)
    typical = rows_of(run("drl", "local", *PERIOD, "--typical", "--by-device", "--json"))
    by_device = {r["name"]: r["median"] for r in typical if r["quantity"] == "dlp"}
    assert by_device == pytest.approx({"Scanner 1": medians[0], "Scanner 2": medians[1]})

    asked = ("compare", "CT Chest", *PERIOD, "--kind", "local", "--quantity", "dlp", "--json")
    assert {r["reason"] for r in rows_of(run(*asked))} == {"no_level"}
    adopt = ("drl", "adopt", "MAIN", "--by", "A. Physicist", *PERIOD, "--valid-from", "2026-03-01")
    assert run(*adopt, "--digits", "6", "--yes").exit_code == 0
    rows = {r["name"]: r for r in rows_of(run(*asked))}
    assert rows["CT 1"]["level"] == 305.0
    assert rows["CT 1"]["level_name"] == "MAIN 2026-03-01"
    assert rows["CT 2"]["status"] == "consistently_exceeds"
    wrong = run("drl", "withdraw", "MAIN", "2026-03-02", "--by", "A. Physicist", "--yes")
    assert wrong.exit_code == 7
    assert "MAIN 2026-03-01" in str(wrong.exception)
    assert run("drl", "withdraw", "MAIN", "2026-03-01", "--by", "A", "--yes").exit_code == 0
    assert {r["reason"] for r in rows_of(run(*asked))} == {"no_level"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("compare", "CT Chset"), "did you mean 'CT Chest'"),
        (("compare", "--kind", "nationl"), "did you mean 'national'"),
        (("compare", "--quantity", "dpl"), "did you mean 'dlp'"),
        (("compare", "--from", "2026-02-01", "--to", "2026-01-01"), "ends before it begins"),
        (("drl", "show", "GB-UKHSA"), "GB-UKHSA-NDRL"),
    ],
)
def test_wrong_words_get_a_hint(run: Run, arguments: tuple[str, ...], says: str) -> None:
    result = run(*arguments)
    assert result.exit_code in (2, 7)
    assert says in str(result.exception)
