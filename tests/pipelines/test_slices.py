"""Size of the patient on a CT image: a water cylinder of known diameter, by every route."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable
from io import BytesIO, StringIO
from itertools import permutations
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom import Dataset, FileMetaDataset, dcmread, dcmwrite
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)
from pynetdicom import AE
from rich.console import Console

import dose_lib
from dose_lib.derived import derive_part, dose_factors
from dose_lib.dicom.requestor import request
from dose_lib.records import SourceKind
from dose_lib.settings import Settings
from pipelines import inspection
from pipelines.collect.watch import Watcher
from pipelines.computed import compute, with_slice
from pipelines.headers import HeaderStream
from pipelines.measuring import Measurer
from pipelines.pixels import Pixels
from pipelines.slices import CT_IMAGE, MOST_PIXELS, can_decode, look_at, measure
from pipelines.spool import Spool
from tests.pipelines.decoders import die, sleep_on

STUDY = "1.2.826.0.1.3680043.10.1.77"
DIAMETER_MM = 298.0
MARK = b"PIXELS OF A MAN!"
SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


def water_cylinder(diameter_mm: float = DIAMETER_MM, n: int = 512) -> np.ndarray[Any, Any]:
    """Stored values of a cylinder of water in air; 500 mm across."""
    axis = (np.arange(n) - (n - 1) / 2) * 500.0 / n
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return np.where(np.hypot(x, y) <= diameter_mm / 2, 1024, 24).astype(np.int16)


def marked(number: int = 5) -> bytes:
    """Pixels of the cylinder with a mark, to be looked for wherever bytes may lie."""
    stored = water_cylinder()
    stored[3, 8:16] = np.frombuffer(MARK, np.int16)
    stored[3, 16] = number
    return stored.tobytes()


def no_pixel_in(home: Path) -> None:
    """Nothing of the marked pixels is in any file of an installation."""
    files = [p for p in home.rglob("*") if p.is_file()]
    assert [p for p in files if p.suffix == ".dcm"]
    for path in files:
        content = path.read_bytes()
        assert MARK not in content, path
        assert path.suffix != ".dcm" or bytes(2000) not in content, path


def ct_image(number: int = 5, **given: Any) -> Dataset:
    """An axial CT image with a dose in its header."""
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = CT_IMAGE, f"{STUDY}.3.{number}"
    image.StudyInstanceUID, image.SeriesInstanceUID = STUDY, f"{STUDY}.3"
    image.Modality, image.Manufacturer, image.ManufacturerModelName = "CT", "ACME", "Scan 64"
    image.DeviceSerialNumber, image.StationName = "S47110", "CT1"
    image.StudyDate = image.AcquisitionDate = "20260302"
    image.StudyTime = image.AcquisitionTime = "080000"
    image.StudyDescription, image.PatientID, image.PatientAge = "CT Thorax", "Q1", "060Y"
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.InstanceNumber, image.AcquisitionNumber = number, 2
    image.IrradiationEventUID = f"{STUDY}.9"
    image.KVP, image.CTDIvol, image.XRayTubeCurrent = "120", 7.5, "200"
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.ImagePositionPatient = [-250, -250, 10.0 * number]
    image.Rows = image.Columns = 512
    image.PixelSpacing = [500 / 512, 500 / 512]
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.PixelRepresentation, image.RescaleSlope, image.RescaleIntercept = 1, "1", "-1024"
    image.PixelData = water_cylinder().tobytes()
    image["PixelData"].VR = "OW"
    for name, value in given.items():
        setattr(image, name, value)
    return image


def as_file(image: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The image as a Part 10 file."""
    image.file_meta = FileMetaDataset()
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.file_meta.TransferSyntaxUID = syntax
    out = BytesIO()
    dcmwrite(out, image, enforce_file_format=True)
    return out.getvalue()


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("piece", [1, 1000, 10**7])
def test_water_while_it_streams_in(syntax: str, piece: int) -> None:
    """Header and pixels in pieces of any length: the diameter within half a per cent."""
    image = ct_image()
    if syntax == ExplicitVRBigEndian:
        image.PixelData = water_cylinder().byteswap().tobytes()
        image["PixelData"].VR = "OW"
    data = as_file(image, syntax)
    (length,) = np.frombuffer(data[140:144], "<u4")
    start = 144 + int(length)
    stream = HeaderStream(syntax, MOST_PIXELS)
    step = max(piece, (len(data) - start) // 5000)
    for at in range(start, len(data), step):
        stream.feed(data[at : at + step])
    header = data[:start] + stream.finish()
    assert "PixelData" not in dcmread(BytesIO(header))
    whole = header + bytes(stream.pixels)
    wanted = look_at(header, every=5)
    assert wanted is not None
    (found,) = measure(whole, wanted).values()
    assert found.value == pytest.approx(DIAMETER_MM, rel=5e-3)
    assert found.inputs["z_mm"] == 50.0
    assert found.formula.startswith("AAPM 220")
    kept = here().keep(data)
    assert list(kept.derived.values()) == [found]
    assert kept.data == header


@pytest.mark.parametrize(
    "given",
    [
        {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
        {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]},
        {"ImageOrientationPatient": None},
        {"ImageType": ["DERIVED", "SECONDARY", "AXIAL", "IODINE MAP"]},
        {"RescaleType": "Z_EFF"},
        {"InstanceNumber": 7},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"},
    ],
)
def test_what_is_no_axial_ct_image_is_not_measured(given: dict[str, Any]) -> None:
    assert look_at(as_file(ct_image(**given)), every=5) is None


def here(every: int = 5) -> Pixels:
    """Measures in this process, as the worker does."""
    return Pixels(every, measure)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"PixelData": b"\x00\x00"}, "do not fit"),
        ({"Rows": 60_000}, "60000 × 512 pixels"),
        ({"BitsAllocated": 8}, "of 8 bits"),
        ({"RescaleSlope": None}, "do not fit"),
        ({"PixelSpacing": [0, 0]}, "0 mm × 0 mm"),
        ({"SOPClassUID": f"{CT_IMAGE}.1"}, "many frames"),
        ({"PixelData": bytes(MOST_PIXELS + 2)}, "longer than"),
    ],
)
def test_what_cannot_be_measured_says_why(given: dict[str, Any], reason: str) -> None:
    kept = here().keep(as_file(ct_image(**given)))
    (found,) = kept.derived.values()
    assert found.value is None
    assert reason in str(found.inputs["reason"])
    assert "PixelData" not in dcmread(BytesIO(kept.data))


def test_nothing_is_measured_where_the_site_does_not_want_it() -> None:
    kept = here(0).keep(as_file(ct_image()))
    assert kept.derived == {}
    assert kept.has_dropped


def sizes(settings: Settings) -> dict[str, Any]:
    """Size and method of the only exam."""
    studies = dose_lib.connect(settings=settings).table("studies")
    names = ("size_method", "derived_water_equivalent_diameter_mm", "derived_ssde_max_mgy")
    (row,) = studies.select(*names).to_pyarrow().to_pylist()
    return dict(row)


def check(found: dict[str, Any]) -> None:
    assert found["size_method"] == "image"
    assert found["derived_water_equivalent_diameter_mm"] == pytest.approx(DIAMETER_MM, rel=5e-3)


@pytest.mark.slow
def test_images_of_a_folder_and_of_a_zip(settings: Settings, tmp_path: Path) -> None:
    from pipelines.folder import ingest_paths

    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "1.dcm").write_bytes(as_file(ct_image(1, PixelData=marked(1))))
    with zipfile.ZipFile(folder / "more.zip", "w") as zipped:
        for number in (2, 5):
            zipped.writestr(f"{number}.dcm", as_file(ct_image(number, PixelData=marked(number))))
    taken = ingest_paths([folder], settings)
    assert taken.counts == {"stored": 3}
    check(sizes(settings))
    no_pixel_in(settings.home)


@pytest.mark.slow
def test_images_of_a_peer_keep_the_size_and_lose_the_pixels(
    settings: Settings,
) -> None:
    """Over the network, into the store, out of the archive: the number stays, no pixel does."""
    from pipelines.receive import Receiver
    from tests.pipelines.test_ingest import finish, ingesting

    named = settings.model_copy(update={"dicom_port": 0, "dicom_image_peers": ("SENDER",)})
    with Receiver(named) as receiver:
        sender = AE("SENDER")
        sender.add_requested_context(CT_IMAGE, ExplicitVRLittleEndian)
        association = request(sender, "127.0.0.1", receiver.port, ae_title=named.ae_title)
        assert association.is_established
        for number in (5, 10):
            image = dcmread(BytesIO(as_file(ct_image(number, PixelData=marked(number)))))
            assert association.send_c_store(image).Status in (0x0000, 0xB006)
        association.release()
    with ingesting(named) as (_, ingest):
        finish(ingest)
    check(sizes(named))
    no_pixel_in(named.home)


def test_images_by_stow_where_the_site_takes_them(settings: Settings) -> None:
    from pipelines.stow import StowServer, token_file
    from tests.pipelines.test_stow import MULTIPART, body

    taking = settings.model_copy(update={"stow_port": 0, "stow_images": True})
    with StowServer(taking) as server:
        headers = {"Authorization": f"Bearer {token_file(taking).read_text().strip()}"}
        answer = httpx.post(
            f"http://127.0.0.1:{server.port}/studies",
            content=body(as_file(ct_image(PixelData=marked()))),
            headers=headers | {"Content-Type": MULTIPART},
            timeout=120,
        )
    assert answer.status_code == 202
    (kept,) = answer.json()["00081199"]["Value"]
    assert kept["00081196"]["Value"] == [0xB006]
    spool = Spool(taking.spool_dir)
    (path,) = spool.waiting()
    (size,) = spool.load(path).receipt.derived.values()
    assert size.value == pytest.approx(DIAMETER_MM, rel=5e-3)
    no_pixel_in(taking.home)


def test_images_of_a_watched_folder_are_measured_and_not_deleted(
    settings: Settings, tmp_path: Path
) -> None:
    """What is kept of an image is its header: the file may be the only whole one."""
    folder = tmp_path / "watched"
    folder.mkdir()
    watching = settings.model_copy(
        update={
            "watch_folders": (str(folder),),
            "watch_afterwards": "delete",
            "watch_settle_s": 1e-3,
        }
    )
    image = folder / "5.dcm"
    image.write_bytes(as_file(ct_image(PixelData=marked())))
    with Watcher(watching) as watcher:
        watcher.look()
        time.sleep(0.01)
        assert watcher.look([image]) == 1
    assert image.exists()
    (path,) = Spool(watching.spool_dir).waiting()
    assert Spool(watching.spool_dir).load(path).receipt.derived
    no_pixel_in(watching.home)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, DeflatedExplicitVRLittleEndian])
def test_compressed_pixels_that_can_be_decoded(syntax: UID) -> None:
    found = here().keep(compressed(syntax))
    (size,) = found.derived.values()
    assert size.value == pytest.approx(DIAMETER_MM, rel=5e-3)
    assert b"PIXELS OF" not in found.data
    assert "PixelData" not in dcmread(BytesIO(found.data))
    assert len(found.data) < 2000


def compressed(syntax: UID) -> bytes:
    """The image in an encoding of its own."""
    image = dcmread(BytesIO(as_file(ct_image())))
    if syntax == JPEG2000Lossless:
        plane = BytesIO()
        values = water_cylinder().astype(np.uint16)
        Image.fromarray(values).save(plane, "JPEG2000", irreversible=False, no_jp2=True)
        image.PixelData = encapsulate([plane.getvalue()])
        image["PixelData"].VR, image["PixelData"].is_undefined_length = "OB", True
        image.PixelRepresentation = 0
        return as_file(image, syntax)
    if syntax == RLELossless:
        image.compress(syntax, generate_instance_uid=False)
    return as_file(image, syntax)


@pytest.mark.parametrize("name", ["JPEGLosslessSV1", "JPEGLSLossless", "HTJ2KLossless"])
def test_compressed_pixels_that_cannot_be_decoded_leave_an_issue(name: str) -> None:
    """With an optional decoder installed there is a value, or the pixels do not fit."""
    syntax = getattr(pydicom.uid, name)
    image = ct_image(PixelData=encapsulate([b"\xff\xd8\xff\xd9"]))
    image["PixelData"].VR, image["PixelData"].is_undefined_length = "OB", True
    kept = here().keep(as_file(image, syntax))
    (found,) = kept.derived.values()
    assert found.value is None
    reason = str(found.inputs["reason"])
    if not can_decode(syntax):
        assert syntax in reason
        assert "Explicit VR Little Endian" in reason
    ((part,), _) = dose_lib.read_bytes(kept.data)
    part = msgspec.structs.replace(part, derived={**part.derived, **kept.derived})
    done = derive_part(part, factors=dose_factors("AAPM-96"))
    assert [(i.code, i.seen) for i in done.issues if i.code == "size_not_measured"] == [
        ("size_not_measured", f"1 image: {reason}")
    ]


def test_a_picture_that_claims_to_be_vast() -> None:
    """A codestream of 400 bytes that promises 60,000 × 60,000 pixels."""
    data = bytearray(compressed(JPEG2000Lossless))
    at = data.index(b"\xff\x51")
    data[at + 6 : at + 14] = (60_000).to_bytes(4, "big") * 2
    (found,) = here().keep(bytes(data)).derived.values()
    assert found.value is None


@pytest.mark.parametrize("work", [sleep_on, die])
def test_a_decoder_that_hangs_or_dies_costs_a_size_and_no_object(
    work: Callable[[Connection], None],
) -> None:
    measurer = Measurer(longest_s=0.2 if work is sleep_on else 60, work=work)
    kept = Pixels(5, measurer.measure).keep(as_file(ct_image()))
    measurer.close()
    (found,) = kept.derived.values()
    assert found.inputs["reason"] == "the decoder did not finish with these pixels"
    assert len(kept.data) < 2000


def test_inspection_shows_the_size_with_its_method(settings: Settings, tmp_path: Path) -> None:
    image = tmp_path / "5.dcm"
    image.write_bytes(as_file(ct_image()))
    (parts, _) = dose_lib.read_file(image)
    (part,) = compute(with_slice(parts, image, every=1), settings)
    print_to = StringIO()
    Console(file=print_to, width=120).print(inspection.show_parts([part], 120))
    shown = " ".join(print_to.getvalue().split())
    assert "water-equivalent diameter 298 mm by image" in shown
    assert "in doubt: 1 images" in shown
    assert "effective dose mSv none:" in shown


def test_slices_add_up_beside_a_report_in_any_order() -> None:
    """The report brings the dose, the images the size; whichever comes first."""
    images = []
    for number, diameter in ((5, 290.0), (10, 310.0)):
        data = as_file(ct_image(number, PixelData=water_cylinder(diameter).tobytes()))
        ((part,), _) = dose_lib.read_bytes(data)
        sizes = here().keep(data).derived
        images.append(msgspec.structs.replace(part, derived={**part.derived, **sizes}))
    source = msgspec.structs.replace(
        images[0].sources[0], kind=SourceKind.RDSR, sop_instance_uid="1.2.3", sha256="ab"
    )
    report = msgspec.structs.replace(images[0], sources=(source,), derived={})
    parts = [report, *images]
    for order in permutations(parts):
        (one,) = dose_lib.merge(order)
        part = msgspec.structs.replace(one, body_region="chest", is_patient=True)
        done = derive_part(part, factors=dose_factors("AAPM-96"))
        size = done.derived["patient.water_equivalent_diameter_mm"]
        assert size.value == pytest.approx(300.0, rel=5e-3)
        assert (size.inputs["n_slices"], size.inputs["method"]) == (2.0, "image")
