"""Bytes to elements: lengths, nesting, syntaxes, and every way to be broken."""

from __future__ import annotations

import random
import re
import struct
import time
import tracemalloc
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dose_lib import read_bytes
from dose_lib.dicom.elements import MAX_DEPTH, DataSet, Source
from dose_lib.dicom.identify import peek
from dose_lib.errors import DoseError, NoDoseError, NotDicomError, ReadError, TruncatedError
from dose_lib.records import XRayEvent
from dose_lib.simulate.writer import make_ct_rdsr, make_rdsr, transcode
from tests.dicom import build as b
from tests.dicom.hostile import element

META = b"\0" * 128 + b"DICM"
EXPLICIT = b"1.2.840.10008.1.2.1\0"
DEFLATED = b"1.2.840.10008.1.2.1.99"
REPORT = make_ct_rdsr(events=2)


def meta(syntax: bytes = EXPLICIT) -> bytes:
    return META + b"\x02\0\x10\0UI" + struct.pack("<H", len(syntax)) + syntax


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"", NotDicomError, "empty"),
        (b"GIF89a" + b"\0" * 300, NotDicomError, "begin with"),
        (b"hello, world", NotDicomError, "begin with"),
        (META, TruncatedError, "no data set"),
        (meta()[:-4], TruncatedError, "longer than the bytes"),
        (meta(), TruncatedError, "no data set"),
        (REPORT[:700], TruncatedError, "byte"),
        (REPORT[:-5], TruncatedError, "byte"),
    ],
)
def test_broken_files_say_what_is_wrong(data: bytes, error: type[DoseError], words: str) -> None:
    with pytest.raises(error, match=words):
        read_bytes(data)


def test_errors_name_the_file() -> None:
    with pytest.raises(TruncatedError, match=r"^scan\.dcm, byte \d+"):
        read_bytes(REPORT[:-5], file="scan.dcm")


def test_a_bare_data_set_is_read() -> None:
    tags = (b"\x08\0\x05\0", b"\x08\0\x12\0", b"\x08\0\x16\0")
    start = min(place for tag in tags if (place := REPORT.find(tag)) > 0)
    (part,), _ = read_bytes(REPORT[start:])
    (whole,), _ = read_bytes(REPORT)
    assert part.events == whole.events


def test_peek_reads_the_header_only() -> None:
    head = peek(REPORT)
    assert head.sop_class == b.RDSR and head.modality == "SR"
    assert head.study_uid and head.sop_instance_uid and head.manufacturer
    image = b.header(b.DX_IMAGE, Modality="DX", ImageType=["DERIVED", "PRIMARY"])
    image.BitsAllocated, image.Rows, image.Columns = 8, 1000, 5000
    image.PixelData = b"\0" * 5_000_000
    data = b.encode(image)
    tracemalloc.start()
    assert peek(data).image_type == ("DERIVED", "PRIMARY")
    assert tracemalloc.get_traced_memory()[1] < 1_000_000  # the pixels are not touched
    tracemalloc.stop()


def test_what_carries_no_dose_says_why() -> None:
    for sop_class, words in (
        ("1.2.840.10008.5.1.4.1.1.4", "MR Image Storage .* no ionising radiation"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "Encapsulated PDF Storage .* not read"),
        ("1.3.12.2.1107.5.9.1", "has no attributes"),
        ("1..0", "has no attributes"),
        ("../../etc", "is none"),
        (b.SECONDARY_CAPTURE, "secondary capture"),
        ("1.2.840.10008.5.1.4.1.1.88.59", "no dose report"),  # key object selection
    ):
        with pytest.raises(NoDoseError, match=words):
            read_bytes(b.encode(b.header(sop_class, Modality="OT")))
    for empty in (b.report(), b.ct_report(), b.xray_report(b.text(("121106", "DCM", ""), "none"))):
        with pytest.raises(NoDoseError, match="without any event"):
            read_bytes(empty)
    with pytest.raises(NoDoseError, match="nothing of an exposure"):
        read_bytes(b.encode(b.header(b.DX_IMAGE, Modality="DX")))


def test_nested_too_deep_is_refused() -> None:
    def nest(depth: int, length: int | None) -> bytes:
        inner = b""
        for _ in range(depth):
            size = len(inner) if length is None else length
            end = b"" if length is None else b"\xfe\xff\x0d\xe0\0\0\0\0"
            item = b"\xfe\xff\0\xe0" + struct.pack("<L", size) + inner + end
            end = b"" if length is None else b"\xfe\xff\xdd\xe0\0\0\0\0"
            inner = element(0x0040A730, b"SQ", item + end, None if length is None else length)
        return inner

    head = element(0x00080016, b"UI", b.RDSR.encode() + b"\0")
    for length in (None, 0xFFFFFFFF):
        for depth in (MAX_DEPTH + 3, 10_000):
            with pytest.raises(ReadError):
                read_bytes(meta() + head + nest(depth, length))


def test_deep_nesting_of_undefined_lengths_takes_linear_time() -> None:
    item_end, end = b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"
    inner = b""
    for _ in range(MAX_DEPTH - 2):
        item = b"\xfe\xff\0\xe0\xff\xff\xff\xff" + inner + item_end
        inner = element(0x0040A730, b"SQ", item + end, 0xFFFFFFFF)
    source = Source(inner, explicit=True)
    started = time.process_time()
    data_set = DataSet(source, source.spans(0, len(inner)))
    for _ in range(MAX_DEPTH - 3):
        data_set = data_set.items(0x0040A730)[0]
    assert time.process_time() - started < 10


def test_deflate_bomb_is_refused() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = packer.compress(b"\0" * 200_000_000) + packer.flush()
    tracemalloc.start()
    with pytest.raises(ReadError, match="longer than"):
        read_bytes(meta(DEFLATED) + bomb)
    assert tracemalloc.get_traced_memory()[1] < 60_000_000
    tracemalloc.stop()


def test_a_large_private_element_is_passed_over() -> None:
    private = b"\x09\x00\x10\x00LO\x04\0ABCD" + element(0x00091001, b"OB", b"\0" * 100_000_000)
    place = REPORT.index(b"\x10\0\x10\0PN")
    data = REPORT[:place] + private + REPORT[place:]
    started = time.process_time()
    (part,), _ = read_bytes(data)
    (plain,), _ = read_bytes(REPORT)
    assert part.events == plain.events
    assert time.process_time() - started < 30  # hashing 100 MB is most of it


PLACE = re.compile(r"byte \d+|\([0-9A-F]{4},[0-9A-F]{4}\)")


def survives(data: bytes) -> None:
    """Read, or a DoseError that says where it broke; nothing else."""
    try:
        read_bytes(data, file="fuzzed.dcm")
    except (NoDoseError, NotDicomError) as error:
        assert str(error)
    except DoseError as error:
        assert PLACE.search(str(error)), str(error)


def test_broken_copies_are_refused_with_their_place() -> None:
    """A short run of what the slow tests do at length."""
    rng = random.Random(1)
    whole = [REPORT, transcode(REPORT, "big endian"), transcode(REPORT, "undefined lengths")]
    for _ in range(60):
        data = bytearray(rng.choice(whole))
        for _ in range(rng.choice([1, 3, 12])):
            data[rng.randrange(132, len(data))] = rng.randrange(256)
        survives(bytes(data[: rng.choice([len(data), rng.randrange(132, len(data))])]))


def test_numbers_beyond_belief_are_left_out() -> None:
    huge = b.num(("113768", "DCM", "Number of Pulses"), "1e300", "1")
    kap = b.num(("122130", "DCM", "Dose Area Product"), "1e308", "Gy.m2")
    (part,), _ = read_bytes(b.xray_report(b.xray_event(huge, kap)))
    event = part.events[0]
    assert isinstance(event, XRayEvent)
    assert (event.n_pulses, event.kap_gy_cm2) == (None, None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["ct", "fluoroscopy", "implicit", "undefined lengths", "big endian"]
)
def test_truncation_at_every_length(kind: str) -> None:
    data = make_ct_rdsr(events=1) if kind != "fluoroscopy" else make_rdsr("fluoroscopy", 1)
    if kind in ("implicit", "undefined lengths", "big endian"):
        data = transcode(data, kind)  # type: ignore[arg-type]
    for length in range(0, len(data), 3):
        survives(data[:length])


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_flipped_bytes(data: st.DataObject) -> None:
    whole = bytearray(REPORT)
    for _ in range(data.draw(st.integers(1, 12))):
        place = data.draw(st.integers(132, len(whole) - 1))
        whole[place] = data.draw(st.integers(0, 255))
    survives(bytes(whole))


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_behind_a_good_beginning(tail: bytes, in_content: bool) -> None:
    place = REPORT.index(b"\x40\0\x30\xa7") if in_content else REPORT.index(b"\x08\0\x16\0")
    survives(REPORT[:place] + tail)
    survives(META + tail)


@pytest.mark.slow
def test_memory_and_time_stay_within_bounds() -> None:
    """Below 10 times the file, and linear time, also for content of bare items."""
    event = b.xray_event(b.num(("122130", "DCM", "DAP"), "0.0001", "Gy.m2"))
    data = b.xray_report(*[event] * 3000)
    empty = b"\xfe\xff\0\xe0\0\0\0\0" * 100_000
    head = element(0x00080016, b"UI", b.RDSR.encode() + b"\0")
    for content in (data, meta() + head + element(0x0040A730, b"SQ", empty)):
        tracemalloc.start()
        started = time.process_time()
        survives(content)
        used = time.process_time() - started
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 10 * len(content) + 1_000_000
        assert used < 40 * max(1, len(content) / 1e6)  # tracing itself costs most of it
