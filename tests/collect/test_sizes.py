"""Sizes on their way into the store: files, inbox, and the exam that they fill in the end."""

from __future__ import annotations

import socket
import time
from datetime import datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import dose_lib
from dose_lib import keys
from dose_lib.errors import OutOfRoomError, UsageError
from dose_lib.records import Part, Patient, Sex, SizeSource
from dose_lib.settings import Settings
from dose_lib.store import Store, site_key
from pipelines.collect.body import SizeOf
from pipelines.collect.size_table import read_size_table
from pipelines.collect.sizes import Pseudonyms, SizeInbox, keep_now
from pipelines.commands import sizes as commands
from pipelines.disk import Disk
from pipelines.heartbeat import read_beat
from pipelines.service import Service
from pipelines.status import HL7
from tests.collect.test_hl7 import PID, message
from tests.store.exams import ct_part, incoming

AT = datetime(2026, 3, 1, 18, 0)  # the evening before the exam of `ct_part`


def of(patient_id: str = "4711", issuer: str | None = None, weight_kg: float = 83.0) -> SizeOf:
    return SizeOf(patient_id=patient_id, issuer=issuer, measured_at=AT, weight_kg=weight_kg)


def exam(settings: Settings, patient_id: str = "4711", issuer: str | None = None) -> Part:
    """A CT of a patient whose size no device recorded."""
    key, is_linked = keys.patient_key(site_key(settings), patient_id, issuer, "1.2.3")
    who = Patient(patient_key=key, is_linked=is_linked, age_y=54.0, sex=Sex.F)
    return ct_part(patient=who)


def weight(settings: Settings) -> tuple[float | None, str | None]:
    with Store.open(settings) as store:
        row = store.sql("SELECT weight_kg, size_source FROM studies")[0]
    return row[0], row[1]


def test_from_an_id_to_the_exam_of_its_patient(settings: Settings) -> None:
    with Store.open(settings) as store:
        store.commit([incoming(exam(settings, " 4711 "))])
    SizeInbox(settings).put(Pseudonyms(settings).pseudonymise([of()], SizeSource.HL7))
    assert keep_now(settings) == 1
    assert keep_now(settings) == 0
    assert weight(settings) == (83.0, "hl7")


@pytest.mark.parametrize(
    ("issuers", "said", "in_dicom", "is_found"),
    [
        ((), "HOSP", None, True),
        ((), "HOSP", "HOSP", True),
        ((), None, "HOSP", False),
        (("HOSP=",), "HOSP", None, True),
        (("HOSP=H1",), "HOSP", "H1", True),
        (("HOSP=H1",), "HOSP", None, False),
        (("HOSP",), "LAB", None, False),
    ],
)
def test_issuers(
    settings: Settings,
    issuers: tuple[str, ...],
    said: str | None,
    in_dicom: str | None,
    is_found: bool,
) -> None:
    chosen = settings.model_copy(update={"size_issuers": issuers})
    key = exam(settings, issuer=in_dicom).patient.patient_key
    assert (key in Pseudonyms(chosen).keys_of("4711", said)) is is_found


def test_placeholders_are_nobody(settings: Settings) -> None:
    assert Pseudonyms(settings).keys_of("000", "HOSP") == ()


def test_without_room_nothing_is_left(settings: Settings) -> None:
    class Full(Disk):
        def write(self, handle: int, data: bytes) -> None:
            raise OSError(28, "No space left on device")

    inbox = SizeInbox(settings, disk=Full())
    with pytest.raises(OutOfRoomError):
        inbox.put(Pseudonyms(settings).pseudonymise([of()], SizeSource.HL7))
    assert list(inbox.folder.iterdir()) == []


def test_a_crash_between_store_and_file_counts_once(settings: Settings) -> None:
    inbox = SizeInbox(settings)
    inbox.put(Pseudonyms(settings).pseudonymise([of()], SizeSource.HL7))
    (file,) = inbox.waiting()
    content = file.read_bytes()
    assert keep_now(settings) == 0
    file.write_bytes(content)
    assert keep_now(settings) == 0
    with Store.open(settings) as store:
        assert store.sql("SELECT count(*) FROM patient_size") == [(1,)]


def test_a_damaged_file_stops_nothing(settings: Settings) -> None:
    inbox = SizeInbox(settings)
    (inbox.folder / "0.json").write_bytes(b"[{")
    inbox.put(Pseudonyms(settings).pseudonymise([of()], SizeSource.HL7))
    keep_now(settings)
    assert [p.name for p in inbox.folder.iterdir()] == ["0.bad"]


CSV = """patient_id;issuer;measured_at;weight_lb;height_cm
4711;HOSP;2026-03-01 18:00;182,98;176
4712;;01.03.2026 07:00;;171
;;2026-03-01;80;170
4713;;yesterday;80;170
4714;;2026-03-01;8000;170
4715;;2026-03-01;heavy;170
4716;;2026-03-01;;
"""


def test_a_table_and_what_is_wrong_with_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "sizes.csv"
    file.write_text(CSV, encoding="utf-8-sig")
    table = read_size_table(file, "Europe/Zurich")
    assert [(s.weight_kg, s.height_cm) for s in table.sizes] == [
        (pytest.approx(83.0, abs=0.01), 176.0),
        (None, 171.0),
    ]
    assert table.sizes[0].measured_at == AT
    assert table.problems == [
        "line 4: no patient ID",
        "line 5: measured_at is no time",
        "line 6: no human being has this size",
        "line 7: weight_lb is no number",
        "line 8: neither weight nor height",
    ]


@pytest.mark.parametrize(
    ("head", "line", "expected"),
    [
        ("mrn,date,weight,weight_unit,height,height_unit", "1,2026-03-01,80,kg,1.7,m", (80, 170)),
        ("patient_id\tmeasured_at\tweight\theight_m", "1\t20260301\t80 kg\t1.7", (80, 170)),
        ("patient_id,measured_at,weight_g,size_cm", "1,2026-03-01T10:00:00Z,3400,50", (3.4, 50)),
    ],
)
def test_other_shapes(tmp_path: Path, head: str, line: str, expected: tuple[float, float]) -> None:
    file = tmp_path / "sizes.csv"
    file.write_text(f"{head}\n{line}\n")
    (size,) = read_size_table(file, "Europe/Zurich").sizes
    assert (size.weight_kg, size.height_cm) == pytest.approx(expected)


def test_a_weight_without_a_unit_is_none(tmp_path: Path) -> None:
    file = tmp_path / "sizes.csv"
    file.write_text("patient_id,measured_at,weight\n1,2026-03-01,80\n")
    assert read_size_table(file, "Europe/Zurich").problems == ["line 2: weight: no unit"]


def test_no_such_table(tmp_path: Path) -> None:
    file = tmp_path / "sizes.csv"
    file.write_text("name,dose\nx,1\n")
    with pytest.raises(UsageError, match="patient_id"):
        read_size_table(file, "Europe/Zurich")


def test_the_command(settings: Settings, tmp_path: Path) -> None:
    with Store.open(settings) as store:
        store.commit([incoming(exam(settings, issuer="HOSP"))])
    file = tmp_path / "sizes.csv"
    file.write_text(CSV)
    runner = CliRunner()
    app = typer.Typer()
    commands.add_to(app)
    tried = runner.invoke(app, ["sizes", "import", str(file), "--dry-run"])
    assert "nothing is kept" in tried.output
    done = runner.invoke(app, ["sizes", "import", str(file)])
    assert (done.exit_code, "1 exams have another size" in done.output) == (13, True)
    assert weight(settings)[1] == "manual"
    assert "manual" in runner.invoke(app, ["sizes", "show"]).output


@pytest.mark.service
def test_a_message_to_the_running_service_sizes_an_exam(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOSE_HL7_PORT", "0")
    monkeypatch.setenv("DOSE_HEALTH_PORT", "0")
    with Store.open(settings) as store:
        store.commit([incoming(exam(settings, issuer="HOSP"))])
    chosen = settings.model_copy(update={"hl7_port": 0})
    service = Service(chosen, ("store", HL7))
    try:
        service.start()
        port = _port_of(chosen)
        observed = "OBX|1|NM|29463-7^^LN||83|kg|||||F|||20260301180000"
        with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
            line.sendall(b"\x0b" + message(PID, observed) + b"\x1c\r")
            assert b"MSA|AA|C1" in line.recv(4096)
        studies = dose_lib.connect(settings=chosen).table("studies").select("weight_kg")
        until = time.monotonic() + 20
        while studies.to_pyarrow().to_pylist() != [{"weight_kg": 83.0}]:
            assert time.monotonic() < until, "the size did not reach the exam"
            time.sleep(0.1)
    finally:
        service.stop()


def _port_of(settings: Settings) -> int:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        beat = read_beat(settings.run_dir, HL7)
        if beat is not None and beat.is_ready:
            return int(str(beat.facts["port"]))
        time.sleep(0.05)
    raise TimeoutError("the HL7 listener is not ready")
