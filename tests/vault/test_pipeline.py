"""From an object to the vault, through the real pipeline: names end there and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dose_lib.records import Code, Staff
from dose_lib.settings import Settings
from dose_lib.simulate.writer import make_ct_rdsr
from dose_lib.vault import Client, add_person
from dose_lib.vault.people import Caller, Role
from dose_lib.vault.search import By
from pipelines.folder import ingest_paths
from tests.privacy import find_planted
from tests.vault.people import PLANTED, WHY

OPERATOR = Staff(
    staff_name="Marchbanks^Thaddeus",
    staff_role_in_procedure=Code(value="113851", scheme="DCM", meaning="Irradiation Administering"),
)


@pytest.mark.service
@pytest.mark.slow
def test_who_an_exam_was_of_is_in_the_vault_only(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "Quillfeather report.dcm"
    file.write_bytes(
        make_ct_rdsr(
            seed=5,
            patient_name="Quillfeather^Ottoline",
            patient_id="PZ-778-341",
            patient_id_issuer="HOSP",
            birth_date="1961-03-04",
            accession_number="ACC-90210-X",
            study_id="SID-55512",
            staff=(OPERATOR,),
            comment="repeat for Quillfeather, PZ-778-341",
            study_description="CT Chest Ottoline",
        )
    )
    taken = ingest_paths([file], settings)
    assert dict(taken.counts) == {"stored": 1}

    add_person(settings, "A. Admin", Role.ADMIN, user=Caller(os.getuid(), 0).os_user)
    client = Client(settings)
    found = client.search(By.PATIENT_ID, "PZ-778-341", WHY)
    assert len(found) == 1
    who = client.identify(found[0].key, WHY)[0]
    assert who.patients[0].patient_name == "Quillfeather^Ottoline"
    assert who.exams[0].accession_number == "ACC-90210-X"
    assert [m.found for m in client.search(By.STAFF_NAME, "marchbanks", WHY)] == [
        "Marchbanks^Thaddeus"
    ]

    objects = [settings.spool_dir, settings.archive_dir, settings.quarantine_dir]
    assert find_planted(PLANTED, [settings.home], skip=objects) == []
    in_archive = {h.planted for h in find_planted(PLANTED, [settings.archive_dir])}
    assert "Quillfeather^Ottoline" in in_archive  # the search would have found it
