"""Objects nobody would send: random elements and content items, with values of every kind."""

from __future__ import annotations

import struct
from random import Random

from pydicom.datadict import dictionary_has_tag, dictionary_VR

from dose_lib import codes as c
from dose_lib.codes import Concept
from dose_lib.dicom import tags as t
from dose_lib.dicom.identify import _IMAGES, _MPPS, _STORAGE

FILE = b"\0" * 128 + b"DICM\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0"
CLASSES = [*(_STORAGE + k for k in _IMAGES), _STORAGE + "7", _STORAGE + "7.4", _MPPS]
SR_CLASSES = [f"{_STORAGE}88.{n}" for n in (22, 67, 68, 73, 76)]
TAGS = [
    tag
    for tag in vars(t).values()
    if isinstance(tag, int) and 0x00080000 < tag < 0x7FE00000 and dictionary_has_tag(tag)
]
CONCEPTS = [v for v in vars(c).values() if isinstance(v, Concept)]
CONTAINERS = [
    *(c.CT_ACQUISITION, c.CT_ACCUMULATED_DOSE_DATA, c.CT_DOSE, c.IRRADIATION_EVENT_XRAY_DATA),
    *(c.ACCUMULATED_XRAY_DOSE_DATA, c.RADIOPHARMACEUTICAL_ADMINISTRATION, c.ACCUMULATED_DOSE_DATA),
    *(c.IRRADIATION_EVENT_SUMMARY_DATA, c.PATIENT_CHARACTERISTICS, c.RADIATION_DOSE_ESTIMATE),
]
ROOTS = [
    *(c.XRAY_RADIATION_DOSE_REPORT, c.RADIOPHARMACEUTICAL_RADIATION_DOSE_REPORT),
    *(c.PATIENT_RADIATION_DOSE_REPORT, c.ARCADIS_REPORT),
]
NUMBERS = (
    *("", "0", "1", "-1", "1e29", "-1e-29", "80", "250", "1e400", "abc"),
    *("0.5\\0.3", "12,5", "-5\\", "10/20"),
)
WORDS = (
    *("", "YES", "NO", "MG", "CT", "M", "L", "SRT", "DCM", "113701", "T-D1100", "A^B", "é"),
    *("ORIGINAL\\PRIMARY\\AXIAL", "MOLYBDENUM\\RHODIUM", "DOSE_INFO", "DYNAMIC", "COMPLETED"),
    *("20240131", "093000.5", "20240131093000+0100", "056Y", "1.2.3.4", "1.2.7", "31 %"),
    *("Event=1 DLP=5", "TotalDLP=99", "<a SRData='5'/>", "<!DOCTYPE a>"),
)
UNITS = (
    *("mGy", "mGy.cm", "Gy.m2", "s", "ms", "mA", "kV", "1", "{pulses}", "deg", "mm", "xyz"),
    *("MBq", "a", "kg", "cm"),
)
BINARY = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d"}
VALUES = {
    "NUM": 0,
    "CODE": t.ConceptCodeSequence,
    "TEXT": t.TextValue,
    "UIDREF": t.UID,
    "DATETIME": t.DateTime,
    "PNAME": t.PersonName,
    "IMAGE": t.ReferencedSOPSequence,
    "DATE": t.Date,
    "CONTAINER": 0,
}


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """One element in explicit VR, with a wrong length if one is given."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    size = len(value) if length is None else length
    if vr in (b"SQ", b"UT", b"OB", b"UN"):
        return head + b"\0\0" + struct.pack("<L", size) + value
    return head + struct.pack("<H", size) + value


def item(content: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + struct.pack("<L", len(content)) + content


def data_set(values: dict[int, bytes]) -> bytes:
    """The elements in order, padded, with the VR of the dictionary."""
    found = b""
    for tag, value in sorted(values.items()):
        vr = dictionary_VR(tag).split(" ")[0].encode()
        found += element(tag, vr, value + b" " * (len(value) % 2))
    return found


def random_header(rng: Random) -> bytes:
    """An image, a dose screen or a performed step whose elements are anything."""
    fixed = {
        t.SOPClassUID: rng.choice(CLASSES).encode(),
        t.SOPInstanceUID: f"1.2.{rng.randrange(20)}".encode(),
        t.StudyInstanceUID: f"1.2.3.{rng.randrange(2)}".encode(),
    }
    return FILE + data_set(random_values(rng, 0, rng.choice([20, 60, 200])) | fixed)


def random_values(rng: Random, depth: int, count: int) -> dict[int, bytes]:
    found = {}
    for tag in rng.sample(TAGS, count):
        vr = dictionary_VR(tag).split(" ")[0]
        if vr == "SQ":
            sizes = [rng.choice([0, 2, 5, 25]) for _ in range(rng.choice([0, 1, 2]))]
            below = (random_values(rng, depth + 1, n) for n in sizes if depth < 3)
            found[tag] = b"".join(item(data_set(b)) for b in below)
        elif vr in BINARY:
            numbers = [0, 1, 80] if vr[0] in "US" else [0.0, 1.5, -3.0, 1e30, float("nan")]
            found[tag] = struct.pack(f"<{BINARY[vr]}", rng.choice(numbers))
        else:
            words = NUMBERS if vr in ("DS", "IS") else (*WORDS, *NUMBERS)
            found[tag] = rng.choice(words).encode()
    return found


def random_report(rng: Random) -> bytes:
    """A structured report whose content items are any, anywhere."""
    top = [random_item(rng, 1) for _ in range(rng.choice([3, 10, 20]))]
    header = {
        t.SOPClassUID: rng.choice(SR_CLASSES).encode(),
        t.SOPInstanceUID: f"1.2.{rng.randrange(20)}".encode(),
        t.StudyInstanceUID: f"1.2.3.{rng.randrange(2)}".encode(),
        t.StudyDate: b"20240131",
        t.ValueType: b"CONTAINER",
        t.ConceptNameCodeSequence: coded(rng.choice(ROOTS)),
        t.ContentSequence: b"".join(item(data_set(i)) for i in top),
    }
    return FILE + data_set(header)


def coded(concept: tuple[str, str, str]) -> bytes:
    tags = (t.CodeValue, t.CodingSchemeDesignator, t.CodeMeaning)
    return item(data_set({tag: word.encode() for tag, word in zip(tags, concept, strict=True)}))


def random_item(rng: Random, depth: int) -> dict[int, bytes]:
    is_container = depth < 4 and rng.random() < 0.4
    kind = "CONTAINER" if is_container else rng.choice([*VALUES])
    found = {
        t.RelationshipType: b"CONTAINS",
        t.ValueType: kind.encode(),
        t.ConceptNameCodeSequence: coded(rng.choice(CONTAINERS if is_container else CONCEPTS)),
    }
    if kind == "NUM" and rng.random() < 0.9:
        unit = coded((rng.choice(UNITS), "UCUM", ""))
        measured = {t.NumericValue: rng.choice(NUMBERS).encode()}
        measured[t.MeasurementUnitsCodeSequence] = unit
        found[t.MeasuredValueSequence] = item(data_set(measured))
    elif kind == "CODE":
        found[VALUES[kind]] = coded(rng.choice(CONCEPTS))
    elif kind == "IMAGE":
        uid = f"1.2.{rng.randrange(20)}".encode()
        found[VALUES[kind]] = item(data_set({t.ReferencedSOPInstanceUID: uid}))
    elif VALUES[kind]:
        found[VALUES[kind]] = rng.choice(WORDS).encode()
    count = rng.choice([0, 3, 12, 30]) if is_container else rng.choice([0, 0, 0, 1, 2])
    if depth < 6 and count:
        below = (random_item(rng, depth + 1) for _ in range(count))
        found[t.ContentSequence] = b"".join(item(data_set(i)) for i in below)
    return found
