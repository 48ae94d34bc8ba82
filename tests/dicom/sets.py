"""Objects of one exam and their merge, in any order of arrival."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from dose_lib import codes as c
from dose_lib import merge, read_bytes
from dose_lib.records import Part, SetRole
from tests.dicom import build as b


def read(data: bytes) -> Part:
    (part,), _ = read_bytes(data, site_key=b"site")
    return part


def in_any_order(*parts: Part) -> tuple[Part, ...]:
    """Merged, after checking that the order of arrival plays no part."""
    found = merge(parts)
    wanted = msgspec.json.encode(found)
    shuffled = list(parts)
    for seed in range(6):
        random.Random(seed).shuffle(shuffled)
        assert msgspec.json.encode(merge(shuffled)) == wanted
    assert msgspec.json.encode(merge([*parts, *parts])) == wanted  # received twice
    return found


def codes_of(part: Part) -> set[str]:
    return {issue.code for issue in part.issues}


def roles(part: Part) -> dict[str | None, SetRole | None]:
    return {s.sop_instance_uid: s.role_in_set for s in part.sources}


def ct_report(n: int, events: dict[str, float], **header: Any) -> Part:
    """Report number n with these events (UID → DLP) on the 32 cm phantom and their total."""
    items = [
        b.ct_event(
            b.container(
                c.CT_DOSE,
                b.num(c.MEAN_CTDI_VOL, "10", "mGy"),
                b.coded(c.CTDI_W_PHANTOM_TYPE, c.BODY_PHANTOM_32CM),
                b.num(c.DLP, str(dlp), "mGy.cm"),
            ),
            uid=uid,
        )
        for uid, dlp in events.items()
    ]
    total = b.container(
        c.CT_ACCUMULATED_DOSE_DATA,
        b.num(c.CT_DOSE_LENGTH_PRODUCT_TOTAL, str(sum(events.values())), "mGy.cm"),
        b.num(c.TOTAL_NUMBER_OF_IRRADIATION_EVENTS, str(len(events)), "1"),
    )
    base = {
        "SOPInstanceUID": f"1.2.3.{n}",
        "SeriesInstanceUID": f"1.2.3.{n}.0",
        "ContentTime": f"10{n:02}00",
    }
    return read(b.ct_report(total, *items, **{**base, **header}))
