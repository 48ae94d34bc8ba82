"""Objects laid out otherwise than their transfer syntax says: byte order, VRs, value types."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dose_lib import codes as c
from dose_lib import read_bytes
from dose_lib.dicom.encoding import open_bytes
from dose_lib.dicom.transcoding import to_explicit_little
from dose_lib.errors import DoseError, ReadError, TruncatedError
from dose_lib.records import CtEvent
from dose_lib.simulate.writer import make_ct_rdsr, make_rdsr, transcode
from tests.dicom import build as b
from tests.dicom.hostile import FILE, element, item

BIG_META = b"\0" * 128 + b"DICM\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.2\0"
HEAD = element(0x00080016, b"UI", b.RDSR.encode() + b"\0")


def big(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """One element in explicit VR, big endian."""
    head = struct.pack(">HH", tag >> 16, tag & 0xFFFF) + vr
    size = len(value) if length is None else length
    is_long = vr in (b"SQ", b"OB", b"UN")
    return (
        head + (b"\0\0" + struct.pack(">L", size) if is_long else struct.pack(">H", size)) + value
    )


@pytest.mark.parametrize("kind", ["ct", "fluoroscopy", "mammography", "radiopharmaceutical"])
def test_big_endian_reads_as_little(kind: str) -> None:
    plain = make_ct_rdsr(3, "siemens") if kind == "ct" else make_rdsr(kind, 3)
    (there,), _ = read_bytes(transcode(plain, "big endian"))
    (here,), _ = read_bytes(plain)
    assert (there.events, there.totals) == (here.events, here.totals)
    assert there.administrations == here.administrations and there.patient == here.patient


def test_big_endian_numbers_of_images() -> None:
    made = b.header(b.CT_IMAGE, KVP="120", CTDIvol=7.25, SpiralPitchFactor=0.9)
    (part,), _ = read_bytes(transcode(b.encode(made), "big endian"))
    event = part.events[0]
    assert isinstance(event, CtEvent) and (event.ctdi_vol_mgy, event.pitch) == (7.25, 0.9)


def test_big_endian_that_calls_itself_little() -> None:
    swapped = transcode(make_ct_rdsr(2), "big endian")
    lying = swapped.replace(b"1.2.840.10008.1.2.2\0", b"1.2.840.10008.1.2.1\0")
    (part,), _ = read_bytes(lying)
    (plain,), _ = read_bytes(make_ct_rdsr(2))
    assert part.events == plain.events


@pytest.mark.parametrize(
    "odd",
    [
        element(0x00080020, b"ZZ", b"2024"),  # a VR that nobody knows, short
        b"\x08\0\x20\0ZZ\0\0\x04\0\0\0" + b"2024",  # the same as new VRs are written
        b"\x08\0\x20\0\x04\0\0\0" + b"2024",  # an element without any VR
    ],
)
def test_an_odd_element_loses_nothing_else(odd: bytes) -> None:
    plain = make_ct_rdsr(2)
    (whole,), _ = read_bytes(plain)
    place = plain.index(b"\x08\0\x60\0CS")
    (part,), _ = read_bytes(plain[:place] + odd + plain[place:])
    assert part.events == whole.events and part.totals == whole.totals


def test_an_odd_element_within_the_content() -> None:
    data = b.ct_report(b.ct_event(b.num(c.PITCH_FACTOR, "0.9", "1")))
    place = data.index(b"\x40\0\x10\xa0CS\x08\0CONTAINS")
    (part,), _ = read_bytes(data[: place + 4] + b"C?" + data[place + 6 :])
    event = part.events[0]
    assert isinstance(event, CtEvent) and event.pitch == 0.9


def test_a_relationship_in_place_of_the_value_type() -> None:
    """`HAS CONCEPT MOD` as value type (vendor_deviations §3.3): the value shows what it is."""
    kind = b.coded(c.CT_ACQUISITION_TYPE, c.SPIRAL_ACQUISITION)
    pitch, dlp = b.num(c.PITCH_FACTOR, "0.9", "1"), b.num(c.DLP, "100", "mGy.cm")
    label = b.text(c.IRRADIATION_EVENT_LABEL, "3")
    for made in (kind, pitch, dlp, label):
        made.ValueType = "HAS CONCEPT MOD"
    (part,), _ = read_bytes(b.ct_report(b.container(c.CT_ACQUISITION, kind, pitch, dlp, label)))
    event = part.events[0]
    assert isinstance(event, CtEvent)
    assert (event.pitch, event.dlp_mgy_cm, event.label) == (0.9, 100, "3")
    assert event.acquisition_type == "spiral"


def test_a_name_of_an_unknown_type_is_no_extra() -> None:
    someone = b.text(("1", "99X", "Someone"), "Curie^Marie", vt="PERSON NAME")
    (part,), _ = read_bytes(b.ct_report(b.ct_event(someone)))
    assert "Curie" not in repr(part)


def test_meta_information_in_implicit_vr_or_none_behind_the_preamble() -> None:
    plain = make_ct_rdsr(2)
    (whole,), _ = read_bytes(plain)
    place = plain.index(b"\x08\0\x05\0") if b"\x08\0\x05\0" in plain else plain.index(b"\x08\0")
    syntax = b"1.2.840.10008.1.2.1\0"
    implicit = b"\x02\0\x10\0" + struct.pack("<L", len(syntax)) + syntax
    for data in (FILE[:132] + implicit + plain[place:], b"\0" * 128 + plain[place:]):
        (part,), _ = read_bytes(data)
        assert part.events == whole.events


@pytest.mark.parametrize("depth", [70, 10_000])
@pytest.mark.parametrize("length", [None, 0xFFFFFFFF])
def test_nesting_in_big_endian_is_refused(depth: int, length: int | None) -> None:
    inner = b""
    ends = length is not None
    for _ in range(depth):
        size = len(inner) if length is None else length
        content = b"\xff\xfe\xe0\x00" + struct.pack(">L", size) + inner
        content += b"\xff\xfe\xe0\x0d\0\0\0\0\xff\xfe\xe0\xdd\0\0\0\0" if ends else b""
        inner = big(0x0040A730, b"SQ", content, length)
    with pytest.raises(ReadError, match=r"byte \d+: nested deeper"):
        read_bytes(BIG_META + big(0x00080016, b"UI", b.RDSR.encode() + b"\0") + inner)


def test_truncated_big_endian_names_the_byte() -> None:
    data = transcode(make_ct_rdsr(1), "big endian")
    with pytest.raises(TruncatedError, match="byte"):
        read_bytes(data[:-7])


@pytest.mark.parametrize("is_big", [True, False])
def test_no_object_has_so_many_items(is_big: bool) -> None:
    empty = (b"\xff\xfe\xe0\0" if is_big else b"\xfe\xff\0\xe0") + b"\0" * 4
    make: Any = big if is_big else element
    head = make(0x00080016, b"UI", b.RDSR.encode() + b"\0")
    data = (BIG_META if is_big else FILE) + head + make(0x0040A730, b"SQ", empty * 60_000)
    with pytest.raises(ReadError, match="more items"):
        read_bytes(data)


def test_no_data_set_has_so_many_elements() -> None:
    many = b"".join(element(0x00090000 + n, b"CS", b"") for n in range(0x10, 0x4000))
    with pytest.raises(ReadError, match="elements"):
        read_bytes(FILE + HEAD + many)


def test_no_report_has_so_many_events_in_so_few_bytes() -> None:
    event = item(b.encode_item(b.container(c.CT_ACQUISITION)))
    with pytest.raises(ReadError, match="more content items"):
        read_bytes(FILE + HEAD + element(0x0040A730, b"SQ", event * 9_000))


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=300))
def test_any_bytes_are_laid_out_or_refused(tail: bytes) -> None:
    for data in (b"\0\x08\0\x16UI\0\x02ab" + tail, element(0x00080016, b"UI", b"ab") + tail):
        try:
            plain = to_explicit_little(data, 0)
        except DoseError as error:
            assert str(error)
        else:
            open_bytes(FILE + plain)
