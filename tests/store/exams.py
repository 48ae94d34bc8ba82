"""Exam parts and received objects for the tests of the store, and a stand-in for the merge.

The merge here knows three rules (repeated, contained, disjoint); the real one has its own
tests with the reader.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from dose_lib import keys
from dose_lib.errors import DoseError
from dose_lib.records import (
    Code,
    CtAcquisitionType,
    CtEvent,
    CtSource,
    Device,
    Issue,
    Modality,
    Part,
    Patient,
    Phantom,
    Provenance,
    SetRole,
    Severity,
    Sex,
    SourceKind,
    SourceObject,
    Totals,
)
from dose_lib.store import Incoming

START = datetime(2026, 3, 2, 8, 0)
ARRIVED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CHEST = Code("51185008", "SCT", "Chest")


def ct_event(study: str, number: int, **given: Any) -> CtEvent:
    """A spiral with one source."""
    values: dict[str, Any] = {
        "event_uid": f"{study}.{number}",
        "ordinal": 0,
        "started_at": START + timedelta(minutes=number),
        "acquisition_protocol": "Chest routine",
        "acquisition_type": CtAcquisitionType.SPIRAL,
        "target_region": CHEST,
        "ctdi_vol_mgy": 7.25 + number,
        "dlp_mgy_cm": 230.5 + number,
        "phantom": Phantom.BODY_32CM,
        "kvp_kv": 120.0,
        "n_sources": 1,
        "sources": (CtSource(source_id="A", ordinal=0, kvp_kv=120.0, tube_current_ma=180.0),),
        "field_sources": {"ctdi_vol_mgy": 0, "dlp_mgy_cm": 0},
    }
    return CtEvent(**(values | given))


def ct_part(study: str = "1.2.3", numbers: Iterable[int] = (1, 2), **given: Any) -> Part:
    """A CT exam as one dose report says it."""
    events = tuple(ct_event(study, n) for n in numbers)
    device = Device(
        manufacturer="ACME",
        model="Scan 64",
        serial_number=given.pop("serial_number", "S-1"),
        station_name="CT1",
    )
    device = msgspec.structs.replace(device, device_key=keys.device_key(device))
    uid = given.pop("sop_instance_uid", f"{study}.9.{max(numbers, default=0)}")
    source = SourceObject(
        sop_instance_uid=uid,
        sop_class="1.2.840.10008.5.1.4.1.1.88.67",
        file="somewhere/report.dcm",
        kind=SourceKind.RDSR,
        template="10011",
        event_uids=tuple(e.event_uid or "" for e in events),
        content_at=START,
        role_in_set=SetRole.PRIMARY,
    )
    values: dict[str, Any] = {
        "part_key": keys.part_key(study, device.device_key, "CT"),
        "study_uid": study,
        "modality": Modality.CT,
        "started_at": START,
        "study_description": "CT Thorax",
        "procedure_name": "CT Chest",
        "body_region": "chest",
        "protocol_names": ("Chest routine",),
        "is_patient": True,
        "operator_keys": ("0123456789abcdef",),
        "device": device,
        "patient": Patient(
            patient_key="p" * 64, is_linked=True, age_y=54.0, sex=Sex.F, weight_kg=82.5
        ),
        "totals": Totals(
            n_events=len(events),
            dlp_total_mgy_cm=sum(e.dlp_mgy_cm or 0 for e in events),
            ctdi_vol_32cm_max_mgy=max((e.ctdi_vol_mgy or 0 for e in events), default=None),
            derived=("ctdi_vol_32cm_max_mgy",),
        ),
        "events": events,
        "issues": (
            Issue(code="scope_missing", severity=Severity.INFO, where="/113705", message="None."),
        ),
        "sources": (source,),
        "provenance": (
            Provenance(
                name="totals.dlp_total_mgy_cm",
                source=0,
                path="/113811/113813",
                recorded="463.0",
                unit="mGy.cm",
                factor=1.0,
            ),
            Provenance(
                name="events[0].ctdi_vol_mgy", source=0, path="/113819[1]/113830", recorded="8.25"
            ),
        ),
    }
    return Part(**(values | given))


def incoming(part: Part | None = None, *, number: int = 0, **given: Any) -> Incoming:
    """A received object; its bytes are as unlike others as its content."""
    content = msgspec.json.encode(part) if part else f"object {number}".encode()
    values: dict[str, Any] = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
        "received_at": ARRIVED + timedelta(seconds=number),
        "route": "c-store",
        "caller": "CT1",
        "parts": (part,) if part else (),
    }
    return Incoming(**(values | given))


def failed(error: DoseError, number: int = 0, **given: Any) -> Incoming:
    """A received object that could not be read, or has no dose."""
    return incoming(None, number=number, error=error, **given)


def merge(parts: Iterable[Part]) -> tuple[Part, ...]:
    """One part a key: repeated and contained reports are left out, disjoint ones united."""
    groups: dict[str, list[Part]] = {}
    for part in parts:
        groups.setdefault(part.part_key, []).append(part)
    return tuple(_merge_one(group) for group in groups.values())


def _merge_one(group: list[Part]) -> Part:
    ranked = sorted(group, key=lambda p: (-len(p.events), p.sources[0].sha256 or ""))
    kept: list[Part] = []
    sources: list[SourceObject] = []
    for part in ranked:
        (source,) = part.sources
        uids = set(source.event_uids)
        equal = [k for k in kept if set(k.sources[0].event_uids) == uids]
        larger = [k for k in kept if uids < set(k.sources[0].event_uids)]
        role = SetRole.PRIMARY if not kept else SetRole.CONTINUATION
        if equal or larger:
            role = SetRole.DUPLICATE if equal else SetRole.SUPERSEDED
        else:
            kept.append(part)
        sources.append(msgspec.structs.replace(source, role_in_set=role))
    events = tuple(e for p in kept for e in p.events)
    dlp = sum(p.totals.dlp_total_mgy_cm or 0 for p in kept)
    totals = msgspec.structs.replace(kept[0].totals, n_events=len(events), dlp_total_mgy_cm=dlp)
    return msgspec.structs.replace(kept[0], events=events, totals=totals, sources=tuple(sources))


def unchanged(part: Part) -> Part:
    """Stands in for normalising where names and times are not the matter."""
    return part
