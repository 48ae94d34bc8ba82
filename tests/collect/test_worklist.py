"""A modality worklist as a source of sizes, against dcmtk's wlmscpfs."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from dose_lib import keys
from dose_lib.errors import PeerError, SettingsError
from dose_lib.settings import Settings
from dose_lib.store import Store, site_key
from pipelines.collect.pacs import find_worklist
from pipelines.collect.sizes import keep_now
from pipelines.collect.worklist import ask_worklist
from tests.collect.peers import LOCAL, free_port
from tests.conftest import require

DAY = date(2026, 11, 20)


def scheduled(patient_id: str, hour: str, modality: str = "CT", **values: object) -> Dataset:
    """An entry of the worklist."""
    entry = Dataset()
    entry.SpecificCharacterSet = "ISO_IR 100"
    entry.PatientName, entry.PatientID = "Muster^Eva", patient_id
    entry.PatientBirthDate, entry.PatientSex = "19660101", "F"
    entry.StudyInstanceUID = generate_uid()
    entry.RequestedProcedureID = entry.AccessionNumber = patient_id[:16]
    entry.RequestedProcedureDescription = "CT Chest"
    step = Dataset()
    step.Modality, step.ScheduledStationAETitle = modality, "CT1"
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = (
        f"{DAY:%Y%m%d}",
        hour,
    )
    step.ScheduledProcedureStepID = step.ScheduledProcedureStepDescription = "1"
    entry.ScheduledProcedureStepSequence = [step]
    for name, value in values.items():
        setattr(entry, name, value)
    return entry


ENTRIES = (
    scheduled("4711", "081500", PatientWeight="81.5", PatientSize="1.74"),
    scheduled("4712", "090000", PatientWeight="62", PatientSize="171", IssuerOfPatientID="HOSP"),
    scheduled("4713", "100000"),
    scheduled("4714", "110000", PatientWeight="8150"),
    scheduled("4715", "120000", modality="MR", PatientWeight="70"),
)


@pytest.fixture
def worklist_port(tmp_path: Path) -> Iterator[int]:
    """A wlmscpfs with some entries."""
    program = require("wlmscpfs")
    folder = tmp_path / "worklists" / "RIS"
    folder.mkdir(parents=True)
    (folder / "lockfile").touch()
    for number, entry in enumerate(ENTRIES):
        entry.file_meta = FileMetaDataset()
        entry.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        entry.file_meta.MediaStorageSOPClassUID = UID("1.2.276.0.7230010.3.1.0.1")
        entry.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        entry.save_as(folder / f"{number}.wl", enforce_file_format=True)
    port = free_port()
    command = [program, "-dfp", str(folder.parent), str(port)]
    with (tmp_path / "wlmscpfs.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _await(port, process)
            yield port
        finally:
            process.kill()
            process.wait(timeout=10)


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    from tests.collect.peers import await_port

    await_port(port, process)
    time.sleep(0.05)


def table(port: int, ae_title: str = "RIS") -> str:
    return (
        f'[[worklist]]\nname = "ris"\nae_title = "{ae_title}"\nhost = "{LOCAL}"\nport = {port}\n'
        'modalities = ["CT", "XA"]\ntimeout_s = 5\n'
    )


@pytest.mark.peer
def test_sizes_of_a_day_from_a_real_worklist(
    settings: Settings, describe_for: Callable[[Settings, str], None], worklist_port: int
) -> None:
    describe_for(settings, table(worklist_port))
    summary = ask_worklist(find_worklist(settings, None), settings, [DAY])
    assert (summary.n_steps, summary.n_sizes, summary.n_unused) == (4, 2, 1)
    keep_now(settings)
    with Store.open(settings) as store:
        rows = store.sql(
            "SELECT DISTINCT weight_kg, height_cm, strftime(measured_at, '%d %H:%M'), source"
            " FROM patient_size ORDER BY 1"
        )
        known = {row[0] for row in store.sql("SELECT patient_key FROM patient_size")}
    assert rows == [
        (62.0, 171.0, "20 09:00", "worklist"),
        (81.5, 174.0, "20 08:15", "worklist"),
    ]
    assert keys.patient_key(site_key(settings), "4711", None, "")[0] in known
    other_day = ask_worklist(find_worklist(settings, "ris"), settings, [date(2026, 11, 21)])
    assert other_day.n_steps == 0


@pytest.mark.peer
def test_a_worklist_that_refuses_is_an_error_with_its_words(
    settings: Settings, describe_for: Callable[[Settings, str], None], worklist_port: int
) -> None:
    describe_for(settings, table(worklist_port, "NOBODY"))
    with pytest.raises(PeerError):
        ask_worklist(find_worklist(settings, None), settings, [DAY])


def test_none_is_described(settings: Settings) -> None:
    with pytest.raises(SettingsError):
        find_worklist(settings, None)


@pytest.fixture
def describe_for() -> Callable[[Settings, str], None]:
    """Writes site/pacs.toml."""

    def write(settings: Settings, text: str) -> None:
        settings.site_dir.mkdir(parents=True, exist_ok=True)
        (settings.site_dir / "pacs.toml").write_text(text)

    return write
