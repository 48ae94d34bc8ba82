"""Images that are fetched to measure the patient: a real Orthanc, by every way it can give them.

A CT exam with a dose report and axial images of a water cylinder. The images carry a mark in
their pixels; whatever the way, the size is in the store and the mark is nowhere on the disk.
"""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import RLELossless

import dose_lib
from dose_lib.normalise import diagnostic_events
from dose_lib.records import Modality, Part
from dose_lib.settings import Settings
from pipelines.collect.pacs import find_archive
from pipelines.collect.run import collect_days, last_days
from tests.collect.conftest import END, hospital_objects, table
from tests.collect.peers import Orthanc
from tests.collect.test_archives import write_peers
from tests.collect.test_web_archives import web_table
from tests.pipelines.test_slices import as_file, check, ct_image, marked, no_pixel_in, sizes

pytestmark = [pytest.mark.peer, pytest.mark.slow]


def exam() -> tuple[bytes, Dataset, Part]:
    """The report of a CT exam of the trunk, as bytes, as a data set and as it is read."""
    for one in hospital_objects(1):
        ((part, *_), _) = dose_lib.read_bytes(one.data)
        some = list(diagnostic_events(part)) if part.modality is Modality.CT else []
        if len(some) == 1 and some[0].ctdi_vol_mgy:
            return one.data, dcmread(BytesIO(one.data)), part
    raise AssertionError("no CT exam with one diagnostic event")


def image_of(report: Dataset, part: Part, number: int) -> bytes:
    """An axial image of the report's only diagnostic event."""
    (event,) = diagnostic_events(part)
    kept = ("StudyDate", "StudyTime", "StudyDescription", "PatientID", "PatientName",
            "PatientBirthDate", "PatientSex", "PatientAge", "StudyInstanceUID", "Manufacturer",
            "ManufacturerModelName", "DeviceSerialNumber", "StationName", "AccessionNumber",
            "InstitutionName", "SoftwareVersions", "StudyID")  # fmt: skip
    given = {k: report[k].value for k in kept if k in report}
    uid = f"{report.StudyInstanceUID}.3"
    return as_file(
        ct_image(
            number,
            **given,
            SeriesInstanceUID=uid,
            SeriesNumber=2,
            SOPInstanceUID=f"{uid}.{number}",
            IrradiationEventUID=event.event_uid,
            CTDIvol=event.ctdi_vol_mgy,
            PixelData=marked(number),
        )
    )


@pytest.mark.parametrize("way", ["c-get", "c-move", "web"])
def test_the_patient_is_measured_and_no_pixel_stays(
    settings: Settings, archive_port: int, pacs: Orthanc, way: str
) -> None:
    ours = settings.model_copy(
        update={"dicom_port": archive_port, "dicom_image_peers": ("ORTHANC",)}
    )
    data, report, part = exam()
    pacs.load([data, *(image_of(report, part, n) for n in (1, 2, 5, 7, 10, 15))])
    if way == "web":
        write_peers(ours, web_table(ours, pacs, more='images = "for-size"'))
    else:
        write_peers(ours, table(pacs, retrieve=way, images="for-size"))
    summary = collect_days(find_archive(ours, None), ours, last_days(ours, 1, END))
    assert summary.is_complete, summary
    assert summary.outcomes == {"taken": 1}
    assert summary.n_objects == 4, "the report and images 5, 10, 15"
    check(sizes(ours))
    no_pixel_in(ours.home)
    again = collect_days(find_archive(ours, None), ours, last_days(ours, 1, END), is_again=True)
    assert again.outcomes == {"here": 1}


def test_an_archive_that_holds_them_compressed(settings: Settings, pacs: Orthanc) -> None:
    """What it cannot give plainly is decoded here, or leaves an issue with the reason."""
    data, report, part = exam()
    compressed = dcmread(BytesIO(image_of(report, part, 5)))
    compressed.compress(RLELossless, generate_instance_uid=False)
    out = BytesIO()
    compressed.save_as(out, enforce_file_format=True)
    pacs.load([data, out.getvalue(), *(image_of(report, part, n) for n in (1, 2, 3, 4))])
    write_peers(settings, table(pacs, retrieve="c-get", images="for-size"))
    summary = collect_days(find_archive(settings, None), settings, last_days(settings, 1, END))
    assert summary.n_objects == 2, summary
    check(sizes(settings))
    no_pixel_in(settings.home)
