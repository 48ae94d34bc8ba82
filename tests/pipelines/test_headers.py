"""Headers of images: whole up to the pixels, however they are encoded and cut into pieces."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pipelines.headers import HeaderStream, without_pixels
from tests.pipelines.objects import CT_IMAGE, dose_report

SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
PIXELS = b"PIXELS" * 50


def image() -> Dataset:
    """An image with everything that can hold up a walk over its elements."""
    item = Dataset()
    item.CodeValue = "x"
    nested = Dataset()
    nested.ConceptNameCodeSequence = [item]
    found = dose_report(1, sop_class=CT_IMAGE)
    found.ContentSequence[0].ContentSequence = [nested, Dataset()]
    found.CTDIvol = 7.5
    found.add_new(0x00091010, "UN", b"\x01\x02\x03\x04")
    icon = Dataset()
    icon.PixelData = PIXELS
    icon["PixelData"].VR = "OW"
    found.IconImageSequence = [icon]
    found.add_new(0x60003000, "OW", PIXELS)
    found.add_new(0x60000010, "US", 3)
    found.PixelData = PIXELS
    found["PixelData"].VR = "OW"
    found.add_new(0x7FE11001, "OB", PIXELS)
    return found


def encoded(found: Dataset, syntax: str, *, undefined: bool) -> bytes:
    for element in found.iterall():
        if element.VR == "SQ":
            element.is_undefined_length = undefined
            for item in element.value:
                item.is_undefined_length_sequence_item = undefined
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = (
        UID(syntax).is_little_endian,
        UID(syntax).is_implicit_VR,
    )
    write_dataset(out, found)
    return out.getvalue()


def decoded(data: bytes, syntax: str) -> Dataset:
    uid = UID(syntax)
    return read_dataset(BytesIO(data), uid.is_implicit_VR, uid.is_little_endian)


@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_all_but_the_pictures_is_kept(syntax: str, undefined: bool) -> None:
    data = encoded(image(), syntax, undefined=undefined)
    kept = without_pixels(data, syntax)
    assert PIXELS[:6] not in kept
    expected = image()
    for tag in (0x7FE00010, 0x7FE11001, 0x00880200, 0x60003000):
        del expected[tag]
    found = decoded(kept, syntax)
    assert [e.tag for e in found] == [e.tag for e in expected]
    assert found.CTDIvol == 7.5
    assert len(found.ContentSequence[0].ContentSequence) == 2
    assert without_pixels(kept, syntax) == kept


@given(st.lists(st.integers(min_value=1, max_value=60), min_size=1), st.sampled_from(SYNTAXES))
def test_pieces_of_any_size_give_the_same(sizes: list[int], syntax: str) -> None:
    data = encoded(image(), syntax, undefined=True)
    stream, at, turn = HeaderStream(syntax), 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        stream.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    assert stream.finish() == without_pixels(data, syntax)
    assert stream.has_dropped


def test_encapsulated_pixels_are_dropped() -> None:
    found = dose_report(1, sop_class=CT_IMAGE)
    data = encoded(found, ExplicitVRLittleEndian, undefined=True)
    start = b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\x00\x00\x00\x00"
    pixels = start + b"\xfe\xff\x00\xe0\x04\x00\x00\x00JPEG\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    assert without_pixels(data + pixels, ExplicitVRLittleEndian) == data


def test_an_image_of_any_length_needs_the_memory_of_its_header() -> None:
    data = encoded(image(), ExplicitVRLittleEndian, undefined=False)
    stream = HeaderStream(ExplicitVRLittleEndian)
    stream.feed(data)
    for _ in range(1000):
        stream.feed(bytes(100_000))
    assert len(stream.content) < len(data)


def test_without_pixels_nothing_is_dropped() -> None:
    data = encoded(dose_report(), ExplicitVRLittleEndian, undefined=True)
    stream = HeaderStream(ExplicitVRLittleEndian)
    stream.feed(data)
    assert stream.finish() == data
    assert not stream.has_dropped


@given(st.binary(max_size=400), st.sampled_from(SYNTAXES))
def test_any_bytes_end(data: bytes, syntax: str) -> None:
    stream = HeaderStream(syntax)
    stream.feed(data)
    assert len(stream.finish()) <= len(data)


def test_nesting_without_end_is_kept_for_the_reader_to_refuse() -> None:
    deep = b"\x08\x00\x15\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 500
    assert without_pixels(deep, ExplicitVRLittleEndian) == deep


@pytest.mark.corpus
def test_headers_of_real_images_read_as_before(corpus: Path) -> None:
    from dose_lib.dicom.identify import peek

    for path in sorted(corpus.rglob("*.dcm"))[:200]:
        whole = pydicom.dcmread(path, force=True)
        if "PixelData" not in whole or "TransferSyntaxUID" not in whole.file_meta:
            continue
        raw = path.read_bytes()
        start = raw.index(b"DICM") + 4 + 12 + whole.file_meta.FileMetaInformationGroupLength
        syntax = whole.file_meta.TransferSyntaxUID
        kept = raw[:start] + without_pixels(raw[start:], syntax)
        assert len(kept) < len(raw)
        assert peek(kept) == peek(raw)
