"""Cases of vendor deviations by rule, and what they share; `test_dialects` runs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydicom.dataset import Dataset

from dose_lib import read_bytes
from dose_lib.records import CtEvent, Identity, Part, XRayEvent
from tests.dicom import build as b

CASES: dict[str, Callable[[], None]] = {}


def case(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def add(test: Callable[[], None]) -> Callable[[], None]:
        CASES[name] = test
        return test

    return add


def read(data: bytes) -> tuple[Part, Identity]:
    (part,), identity = read_bytes(data, site_key=b"site")
    return part, identity


def codes_of(part: Part) -> set[str]:
    return {issue.code for issue in part.issues}


def rules_of(part: Part) -> tuple[str, ...]:
    return part.sources[0].dialect_rules


def ct(*items: Dataset, **header: Any) -> tuple[CtEvent, Part]:
    part, _ = read(b.ct_report(b.ct_event(*items), **header))
    event = part.events[0]
    assert isinstance(event, CtEvent)
    return event, part


def xray(*items: Dataset, **header: Any) -> tuple[XRayEvent, Part]:
    part, _ = read(b.xray_report(b.xray_event(*items), **header))
    event = part.events[0]
    assert isinstance(event, XRayEvent)
    return event, part


def image(sop_class: str = b.DX_IMAGE, **attributes: Any) -> tuple[XRayEvent, Part]:
    base = {"Modality": "DX", "KVP": "80", "AcquisitionDate": "20240131", "AcquisitionTime": "0930"}
    part, _ = read(b.encode(b.header(sop_class, **{**base, **attributes})))
    event = part.events[0]
    assert isinstance(event, XRayEvent)
    return event, part
