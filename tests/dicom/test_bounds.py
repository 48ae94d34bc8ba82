"""Time and memory grow with the bytes that arrive, whatever these claim to be."""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Callable

import pytest

from dose_lib import codes as c
from dose_lib import read_bytes
from dose_lib.errors import DoseError
from dose_lib.simulate.writer import make_rdsr, transcode
from tests.dicom import build as b
from tests.dicom.hostile import FILE, coded, data_set, element, item

SIZE = 300_000
# Python and the tables take a part of it before the first byte; the rest is for the load of others.
SECONDS, BYTES = 3.0, 3_000_000
CONTENT, EXPOSURES = 0x0040A730, 0x0040030E


def report(inner: bytes, sop_class: str = b.RDSR) -> bytes:
    """A report whose content is one item again and again."""
    many = item(inner) * (SIZE // (len(inner) + 8))
    head = element(0x00080016, b"UI", sop_class.encode() + b"\0" * (len(sop_class) % 2))
    return FILE + head + element(CONTENT, b"SQ", many)


def container(concept: tuple[str, str, str], inner: bytes = b"") -> bytes:
    below = element(CONTENT, b"SQ", item(inner)) if inner else b""
    return data_set({0x0040A040: b"CONTAINER", 0x0040A043: coded(concept)}) + below


def number() -> bytes:
    unit = element(0x004008EA, b"SQ", coded(("mGy", "UCUM", "")))
    value = element(0x0040A300, b"SQ", item(unit + element(0x0040A30A, b"DS", b"1 ")))
    return element(0x0040A040, b"CS", b"NUM ") + value


def screen(inner: bytes) -> bytes:
    head = element(0x00080016, b"UI", b.SECONDARY_CAPTURE.encode() + b"\0")
    many = item(inner) * (SIZE // (len(inner) + 8))
    return FILE + head + element(EXPOSURES, b"SQ", many)


def undefined() -> bytes:
    """Nested as deep as is read, side by side, all of undefined length."""
    inner = b""
    for _ in range(50):
        content = b"\xfe\xff\0\xe0\xff\xff\xff\xff" + inner + b"\xfe\xff\x0d\xe0\0\0\0\0"
        inner = element(CONTENT, b"SQ", content + b"\xfe\xff\xdd\xe0\0\0\0\0", 0xFFFFFFFF)
    return report(inner)


def attributes() -> bytes:
    """An XML comment of very many elements."""
    xml = b"<a>" + b'<b SRData="1"/>' * (SIZE // 15) + b"</a>"
    text = element(0x0040A040, b"CS", b"TEXT") + element(0x0040A043, b"SQ", coded(c.COMMENT))
    text += element(0x0040A160, b"UT", xml + b" " * (len(xml) % 2))
    return report(container(c.IRRADIATION_EVENT_XRAY_DATA, text))[: SIZE * 2]


SHAPES: dict[str, Callable[[], bytes]] = {
    "empty items": lambda: report(b""),
    "texts": lambda: report(
        element(0x0040A040, b"CS", b"TEXT") + element(0x0040A160, b"UT", b"abcd")
    ),
    "numbers": lambda: report(number()),
    "events": lambda: report(container(c.CT_ACQUISITION)),
    "projection events": lambda: report(container(c.IRRADIATION_EVENT_XRAY_DATA)),
    "administrations": lambda: report(container(c.RADIOPHARMACEUTICAL_ADMINISTRATION)),
    "totals": lambda: report(container(c.ACCUMULATED_XRAY_DOSE_DATA)),
    "filters": lambda: report(container(c.IRRADIATION_EVENT_XRAY_DATA, container(c.XRAY_FILTERS))),
    "exposures": lambda: screen(element(0x00180060, b"DS", b"80")),
    "undefined lengths": undefined,
    "XML": attributes,
    "an honest report": lambda: make_rdsr("fluoroscopy", 20),
    "an honest one in big endian": lambda: transcode(make_rdsr("fluoroscopy", 8), "big endian"),
    "one long word": lambda: report(element(0x0040A160, b"UT", b"ab" * (SIZE // 2))),
    "a long character set": lambda: (
        FILE + element(0x00080005, b"CS", b"\\ISO 2022 IR 87" * 4000) + report(b"")[len(FILE) :]
    ),
    "many names": lambda: (
        FILE
        + element(0x00080016, b"UI", b.RDSR.encode() + b"\0")
        + element(0x00100010, b"PN", b"A^B\\" * 15_000)
    ),
}


def read_or_refuse(data: bytes) -> None:
    try:
        read_bytes(data, site_key=b"site")
    except DoseError as error:
        assert str(error)


def seconds_of(data: bytes) -> float:
    started = time.process_time()
    read_or_refuse(data)
    return time.process_time() - started


@pytest.mark.parametrize("shape", SHAPES)
def test_time_and_memory_of_a_hostile_megabyte(shape: str) -> None:
    data = SHAPES[shape]()
    read_or_refuse(data)  # what is imported when first needed is no cost of the object
    used = min(seconds_of(data) for _ in range(3))  # the least: others' load only adds to it
    tracemalloc.start()
    read_or_refuse(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert used < SECONDS + len(data) / 1e6, f"{used:.2f} s for {len(data)} bytes"
    assert peak < BYTES + 10 * len(data), f"{peak} bytes for {len(data)}"


def test_a_length_beyond_the_file_costs_nothing() -> None:
    head = element(0x00080016, b"UI", b.RDSR.encode() + b"\0")
    claims = b"\x40\0\x30\xa7SQ\0\0" + struct.pack("<L", 0x7FFFFFFE)
    tracemalloc.start()
    with pytest.raises(DoseError, match=r"byte \d+"):
        read_bytes(FILE + head + claims + b"\0" * 100)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
