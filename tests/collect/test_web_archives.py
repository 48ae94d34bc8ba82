"""Collecting over DICOMweb from a real Orthanc: QIDO-RS, WADO-RS, metadata."""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

import dose_lib
from dose_lib.errors import SettingsError
from dose_lib.settings import Settings
from dose_lib.simulate import SimObject
from pipelines.collect.check import check_archive
from pipelines.collect.choose import Wanted
from pipelines.collect.collect import Summary
from pipelines.collect.dicomweb import open_web
from pipelines.collect.pacs import WebArchive, find_archive
from pipelines.collect.run import collect_days, last_days
from pipelines.spool import Spool
from tests.collect.conftest import END, hospital_objects
from tests.collect.peers import PASSWORD, USER, Orthanc
from tests.collect.test_archives import image, write_peers

pytestmark = [pytest.mark.peer, pytest.mark.slow]


def web_table(
    settings: Settings, orthanc_: Orthanc, password: str = PASSWORD, more: str = ""
) -> str:
    """Description of an Orthanc's DICOMweb for site/pacs.toml."""
    file = settings.home.parent / "password"
    file.write_text(password + "\n")
    file.chmod(0o600)
    return (
        f'[[web]]\nname = "web"\nurl = "{orthanc_.web}"\nuser = "{USER}"\n'
        f'password_file = "{file}"\nstudies_per_minute = 0\n{more}\n'
    )


def collect(settings: Settings, **more: Any) -> Summary:
    archive = find_archive(settings, "web")
    return collect_days(archive, settings, last_days(settings, 1, END), **more)


def ledger(settings: Settings) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (
        dose_lib.connect(settings=settings).table("objects").to_pyarrow().to_pylist()
    )
    return rows


def test_a_day_is_fetched_once(settings: Settings, pacs: Orthanc) -> None:
    made = hospital_objects(1)
    pacs.load(o.data for o in made)
    write_peers(settings, web_table(settings, pacs, more="page_size = 5"))
    first = collect(settings)
    assert first.is_complete, first
    assert first.n_objects == len(made)
    second = collect(settings)
    assert (second.n_unchanged, second.n_objects) == (first.n_studies, 0)
    assert collect(settings, is_again=True).outcomes == {"here": first.n_studies}
    rows = ledger(settings)
    assert {r["sop_instance_uid"] for r in rows} == {o.sop_instance_uid for o in made}
    assert Counter(r["status"] for r in rows) == {"stored": len(made)}
    assert {(r["route"], r["caller"]) for r in rows} == {("dicomweb", "web")}
    # As objects, not as their metadata: what was put in, byte for byte.
    assert {r["sha256"] for r in rows} == {hashlib.sha256(o.data).hexdigest() for o in made}


def test_metadata_say_the_same_as_the_report(settings: Settings, pacs: Orthanc) -> None:
    """Every number of every part is that of the report itself."""
    made = hospital_objects(1)
    pacs.load(o.data for o in made)
    write_peers(settings, web_table(settings, pacs, more='reports_from = "metadata"'))
    archive = find_archive(settings, "web")
    assert isinstance(archive, WebArchive)
    spool = Spool(settings.spool_dir)
    with closing(open_web(archive, settings, spool)) as source:
        for one in made[:6]:
            (series,) = source.series(one.study_uid).rows
            (item,) = source.items(one.study_uid, series.uid).rows
            assert item.sop_class == one.sop_class
            wanted = Wanted(series_uid=series.uid, object_uid=item.uid)
            fetched = source.fetch(one.study_uid, [wanted])
            assert fetched.arrived == {one.sop_instance_uid}
            assert not fetched.complaints
    for path, one in zip(spool.waiting(), made[:6], strict=True):
        assert numbers(spool.load(path).data) == numbers(one.data)


def numbers(data: bytes) -> object:
    """What a reader makes of an object, without where it stood."""
    (part,), _ = dose_lib.read_bytes(data)
    return part.totals, list(part.events), part.patient, part.device, part.started_at


def test_images_come_as_headers(settings: Settings, pacs: Orthanc) -> None:
    one = hospital_objects(1)[0]
    pacs.load([one.data, with_pixels(one)])
    write_peers(settings, web_table(settings, pacs, more='images = "without-report"'))
    summary = collect(settings)
    assert summary.outcomes == {"taken": 2}, summary
    archived = {
        dcmread(p, force=True).SOPClassUID: dcmread(p, force=True)
        for p in settings.archive_dir.rglob("*.dcm")
    }
    assert "PixelData" not in archived["1.2.840.10008.5.1.4.1.1.2"]
    assert archived["1.2.840.10008.5.1.4.1.1.2"].Modality == "CT"


def with_pixels(one: SimObject) -> bytes:
    found = dcmread(DicomBytesIO(image(one, "CT", "2.25.1001")))
    found.Rows = found.Columns = 64
    found.BitsAllocated = found.BitsStored = 16
    found.HighBit, found.PixelRepresentation, found.SamplesPerPixel = 15, 0, 1
    found.PhotometricInterpretation = "MONOCHROME2"
    found.add_new("PixelData", "OW", bytes(2 * 64 * 64))
    file = DicomBytesIO()
    found.save_as(file, enforce_file_format=True)
    return file.getvalue()


def test_a_wrong_password_ends_the_run_at_once(settings: Settings, pacs: Orthanc) -> None:
    pacs.load(o.data for o in hospital_objects(1)[:2])
    write_peers(settings, web_table(settings, pacs, password="wrong"))
    summary = collect(settings)
    assert "status 401 (not logged in)" in (summary.problem or "")
    assert "user and password_file" in (summary.problem or "")
    assert "wrong" not in str(summary)


def test_an_archive_is_checked(settings: Settings, pacs: Orthanc) -> None:
    pacs.load(o.data for o in hospital_objects(1))
    write_peers(settings, web_table(settings, pacs))
    check = check_archive(find_archive(settings, "web"), settings, today=END)
    assert check.is_good, check
    assert [s.name for s in check.steps] == ["studies", "series", "objects"]


def test_a_password_that_others_may_read_is_not_used(settings: Settings, pacs: Orthanc) -> None:
    write_peers(settings, web_table(settings, pacs))
    Path(settings.home.parent / "password").chmod(0o644)
    with pytest.raises(SettingsError, match="others may read the secret"):
        collect(settings)
