"""The `dose` command: examples, exit codes, messages instead of tracebacks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

import dose_lib
from dose_lib.errors import DoseError, UsageError
from dose_lib.settings import Settings
from dose_lib.simulate.writer import make_ct_rdsr
from pipelines import cli
from pipelines.archive import Quarantine
from pipelines.collect.hl7 import read_header
from pipelines.collect.merges import keep_message
from pipelines.commands import terminal
from pipelines.defects import Failure
from pipelines.envelope import make_receipt
from pipelines.peers import Peers
from pipelines.spool import Spool
from tests.pipelines.objects import dose_report, encode

Run = Callable[..., Result]


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process, as `main` would; `exit_code` is that of the process."""
    monkeypatch.setitem(terminal._chosen, "home", None)

    def invoke(*arguments: str) -> Result:
        result = CliRunner().invoke(cli.app, ["--home", str(settings.home), *arguments])
        if isinstance(result.exception, DoseError):
            result.exit_code = result.exception.exit_code
        elif result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def report(tmp_path: Path) -> Path:
    file = tmp_path / "report.dcm"
    file.write_bytes(make_ct_rdsr(seed=1, patient_name="Doe^Jane", dlp_total_mgy_cm=321.5))
    return file


def commands(app: typer.Typer) -> list[tuple[str, ...]]:
    group = typer.main.get_command(app)
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found += [(name, n) for n in inner] if inner else [(name,)]
    return found


def test_commands_that_are_promised_exist() -> None:
    promised = {"serve", "ingest", "inspect", "status", "report", "dashboards", "ask", "demo"}
    assert promised <= {name for name, *_ in commands(cli.app)}


@pytest.mark.parametrize("command", commands(cli.app), ids=" ".join)
def test_help_has_an_example_and_the_exit_codes(run: Run, command: tuple[str, ...]) -> None:
    text = run(*command, "--help").output
    assert re.search(rf"^ *dose (--home \S+ )?{' '.join(command)}", text, re.MULTILINE)
    assert "Exit codes: 0" in text


def test_help_of_all_names_the_exit_codes(run: Run) -> None:
    text = run("--help").output
    known = {e.exit_code for e in _errors(DoseError)}
    for code in known:
        assert re.search(rf"\b{code} ", text), code


def _errors(root: type[DoseError]) -> list[type[DoseError]]:
    return [root, *(e for child in root.__subclasses__() for e in _errors(child))]


def test_inspect_as_a_table_has_units_and_no_name(run: Run, report: Path) -> None:
    result = run("inspect", str(report))
    assert result.exit_code == 0
    for word in ("321.5", "mGy.cm", "CTDIvol", "DLP as stated", "2 events"):
        assert word in result.output
    assert "Doe" not in result.output


def test_inspect_as_json_has_the_names_of_the_contract(run: Run, report: Path) -> None:
    parts = json.loads(run("inspect", str(report), "--json").output)
    assert len(parts) == 1
    assert parts[0]["totals"]["dlp_total_mgy_cm"] == 321.5
    assert parts[0]["sources"][0]["file"] == "report.dcm"
    assert {"part_key", "device", "patient", "events", "issues"} <= set(parts[0])
    assert not {"identity", "provenance"} & set(parts[0])
    assert "Doe" not in json.dumps(parts)


def test_identity_only_when_asked_for(run: Run, report: Path) -> None:
    parts = json.loads(run("inspect", str(report), "--json", "--identity").output)
    assert parts[0]["identity"][0]["patient_name"] == "Doe^Jane"
    assert "Doe^Jane" in run("inspect", str(report), "--identity").output


def test_trace_shows_where_a_value_came_from(run: Run, report: Path) -> None:
    (trace,) = json.loads(
        run("inspect", str(report), "--json", "--trace", "dlp_total_mgy_cm").output
    )
    assert trace["name"] == "totals.dlp_total_mgy_cm"
    assert trace["recorded"] == "321.5"
    assert "113813" in trace["path"]
    assert "113830" in run("inspect", str(report), "--trace", "events[*].ctdi_vol_mgy").output
    unknown = run("inspect", str(report), "--trace", "dlp_total")
    assert unknown.exit_code == 2
    assert "did you mean 'dlp_total_mgy_cm'" in str(unknown.exception)


def test_inspect_takes_folders_and_tells_what_it_left_out(
    run: Run, report: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("no DICOM")
    result = run("inspect", str(tmp_path), "--json")
    assert result.exit_code == 0
    assert len(json.loads(result.stdout)) == 1
    assert "1 files left out" in result.stderr


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"no DICOM", "DICOM"),
        (make_ct_rdsr()[:-900], "longer than the bytes that are left"),
        (encode(dose_report(1, sop_class="1.2.840.10008.5.1.4.1.1.88.11")), "no dose report"),
    ],
    ids=["empty", "not DICOM", "truncated", "no dose report"],
)
def test_inspect_says_what_is_wrong_with_a_file(
    run: Run, tmp_path: Path, content: bytes, word: str
) -> None:
    file = tmp_path / "wrong.dcm"
    file.write_bytes(content)
    result = run("inspect", str(file), "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout) == []
    assert word in result.stderr
    assert "wrong.dcm" in result.stderr
    assert "Traceback" not in result.stderr


def test_file_that_does_not_exist(run: Run, tmp_path: Path) -> None:
    result = run("inspect", str(tmp_path / "nothing.dcm"))
    assert result.exit_code == 2
    assert "no file or folder" in str(result.exception)


def test_status_without_a_service(run: Run) -> None:
    result = run("status")
    assert result.exit_code == 6
    assert "not running" in result.output
    content = json.loads(run("status", "--json").output)
    assert content["is_running"] is False
    assert content["objects"]["received"] == 0


def test_status_shows_pending_devices_and_what_is_missing(run: Run, settings: Settings) -> None:
    """A caller nobody has allowed yet; and an object that vanished from the spool."""
    Peers((), settings.run_dir / "pending_peers.json").note_refusal("CT9", "10.1.2.3")
    spool = Spool(settings.spool_dir)
    for content in (b"one", b"two"):
        path = spool.put(content, make_receipt(content, "folder"))
    path.unlink()
    result = run("status")
    assert "pending device: CT9@10.1.2.3, 1 attempts" in result.output
    assert "1 objects were taken in and are neither in the spool nor in the ledger" in result.output
    content = json.loads(run("status", "--json").output)
    assert [p["ae_title"] for p in content["pending_peers"]] == ["CT9"]
    assert (content["objects"]["received"], content["objects"]["missing"]) == (1, 1)


def test_settings_show_values_and_refuse_wrong_ones(
    run: Run, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOSE_AE_TITLE", "HOSPITAL")
    result = run("settings", "show")
    assert "HOSPITAL" in result.output
    assert "changed" in result.output
    monkeypatch.setenv("DOSE_DICOM_PORT", "eleven")
    wrong = run("settings", "show")
    assert wrong.exit_code == 2
    assert "dicom_port" in str(wrong.exception)


def test_quarantine_lists_and_retries(run: Run, settings: Settings) -> None:
    assert "Nothing" in run("quarantine", "list").output
    spool = Spool(settings.spool_dir)
    receipt = make_receipt(b"odd", "c-store", caller="CT1")
    path = spool.put(b"odd", receipt)
    Quarantine(settings.quarantine_dir).keep(path, receipt, Failure(seen="it is odd"), "0.1.0")
    listed = run("quarantine", "list").output
    assert "it is odd" in listed and "CT1" in listed
    (item,) = json.loads(run("quarantine", "list", "--json").output)
    assert item["name"] == path.stem
    assert run("quarantine", "retry", "nothing").exit_code == 2
    assert "1 objects put back" in run("quarantine", "retry", path.stem[:10]).output
    assert spool.waiting() == [path]


def test_quarantine_lists_merges_that_wait_and_names_nobody(run: Run, settings: Settings) -> None:
    head = "MSH|^~\\&|HIS|HOSP|DOSE|RAD|20261122093000||ADT^A40|C77|P|2.3"
    content = f"{head}\rPID|1||PZ-778-341^^^HOSP\r".encode()
    header = read_header(content)
    assert header is not None
    keep_message(settings, content, header, "its segments are not PID and MRG", datetime.now(UTC))
    listed = run("quarantine", "list").output
    assert "A40" in listed and "HIS C77" in listed and "dose vault merge" in listed
    assert "PZ-778-341" not in listed
    assert "1 merges of patients wait" in run("status").output


def test_report_of_an_unknown_notebook_or_parameter(run: Run) -> None:
    assert run("report", "how_do_our_ct_doses_compar").exit_code == 2
    assert run("report", "x", "-p", "weeks").exit_code == 2


def test_error_is_a_message_and_debug_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["dose", "inspect", "/no/such/file"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "error: there is no file or folder /no/such/file" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["dose", "--debug", "inspect", "/no/such/file"])
    with pytest.raises(UsageError):
        cli.main()


def test_simulate_writes_files_with_truth(run: Run, tmp_path: Path) -> None:
    result = run("simulate", "demo", "--days", "2", "--folder", str(tmp_path / "objects"))
    assert result.exit_code == 0
    assert len(list((tmp_path / "objects").rglob("*.dcm"))) > 3
    assert (tmp_path / "objects" / "truth.csv").read_text().count("\n") >= 1
    assert run("simulate", "--to", "nowhere").exit_code == 2


def test_simulate_fills_a_store(run: Run, settings: Settings) -> None:
    assert run("simulate", "demo", "--days", "2", "--store", "--repeat", "3").exit_code == 0
    assert dose_lib.connect(settings=settings).table("studies").count().execute() % 3 == 0


def test_demo_does_not_empty_a_folder_that_is_not_its_own(run: Run, settings: Settings) -> None:
    settings.home.mkdir()
    (settings.home / "thesis.txt").write_text("precious")
    result = run("demo", "--exit")
    assert result.exit_code == 2
    assert (settings.home / "thesis.txt").exists()


def test_every_command_stands_in_a_panel_of_the_help(run: Run) -> None:
    text = run("--help").output
    listed = {name for names in cli.PANELS.values() for name in names}
    assert listed == {words[0] for words in commands(cli.app)}
    assert all(f"─ {panel} ─" in text for panel in cli.PANELS)
