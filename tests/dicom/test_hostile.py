"""Whatever the values, an object is read or refused; what is read can be stored and merged."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from random import Random

import msgspec
import pydicom
import pytest

from dose_lib import merge, read_bytes
from dose_lib.errors import DoseError
from dose_lib.records import Part
from dose_lib.simulate.writer import make_ct_rdsr, make_rdsr
from tests.dicom import build as b
from tests.dicom.hostile import random_header, random_report

EXTREMES = ("0", "-1", "1e-29", "-1e29", "1e29", "1e29\\1e-29", "1e308", "1e-308", "9" * 400, "1E")
KINDS = ("biplane", "pulsed", "mammography", "cone-beam", "radiopharmaceutical")


def read_or_refuse(data: bytes) -> tuple[Part, ...]:
    """What is read, after checking that its JSON form, which the store keeps, says the same."""
    try:
        parts, _ = read_bytes(data, site_key=b"site")
    except DoseError as error:
        assert str(error)
        return ()
    for part in parts:
        assert msgspec.json.decode(msgspec.json.encode(part), type=Part) == part
    return parts


@b.unchecked
def with_numbers(data: bytes, text: str) -> bytes:
    """The object with one text in the place of every number."""
    data_set = pydicom.dcmread(BytesIO(data))
    for found in list(data_set.iterall()):
        if found.VR in ("DS", "IS"):
            found.VR = "LO"
            found.value = text
    return b.encode(data_set)


@pytest.mark.parametrize("text", EXTREMES)
def test_extreme_numbers_everywhere(text: str) -> None:
    made = [make_ct_rdsr(events=2, vendor="siemens"), *(make_rdsr(k, 2) for k in KINDS)]
    for data in made:
        parts = read_or_refuse(with_numbers(data, text))
        assert parts
        merge(parts)


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (random_header, 60),
        (random_report, 8),
        pytest.param(random_header, 3000, marks=pytest.mark.slow),
        pytest.param(random_report, 200, marks=pytest.mark.slow),
    ],
)
def test_any_values_anywhere(make: Callable[[Random], bytes], count: int) -> None:
    rng = Random(count)
    parts: tuple[Part, ...] = ()
    for _ in range(count):
        parts = (*parts, *read_or_refuse(make(rng)))[-8:]
        merged = merge(parts)
        assert sum(len(p.sources) for p in merged) == len({_source(p) for p in parts})


def _source(part: Part) -> tuple[str | None, str | None, str]:
    source = part.sources[0]
    return source.sop_instance_uid, source.sha256, part.part_key
