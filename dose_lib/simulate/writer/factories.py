"""Dose objects for tests, in one call each: sensible defaults, anything overridden by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from dose_lib.errors import UsageError, did_you_mean
from dose_lib.records import (
    Code,
    CtAcquisitionType,
    CtEvent,
    CtSource,
    Device,
    Identity,
    Modality,
    Part,
    Patient,
    Phantom,
    Sex,
    SourceObject,
    Staff,
    Totals,
)
from dose_lib.simulate.uids import derive_uid
from dose_lib.simulate.writer.codes import dcm, sct
from dose_lib.simulate.writer.people import ADMINISTERING, AUTHORIZING
from dose_lib.simulate.writer.report import write_rdsr

# Which scanner stands behind a dialect, when the test does not say.
_SCANNERS = {
    "clean": ("Example Imaging", "Model One"),
    "ge": ("GE MEDICAL SYSTEMS", "Optima CT660"),
    "siemens": ("SIEMENS", "SOMATOM Confidence"),
    "philips": ("Philips", "Big Bore"),
    "canon": ("TOSHIBA", "Aquilion Precision"),
}
_START = datetime(2026, 3, 2, 9, 30)


def make_ct_rdsr(
    events: int | Sequence[CtEvent] = 2,
    vendor: str = "clean",
    *,
    seed: object = 0,
    **overrides: Any,
) -> bytes:
    """A CT dose report as a DICOM file.

    Parameters
    ----------
    events
        Number of events (the first is a localiser, the others spiral scans of the chest),
        or the events themselves.
    vendor
        Dialect, see `dialect_names()`.
    seed
        Other seeds give other UIDs, patients and accession numbers.
    **overrides
        Contract names of part, device, patient, totals, identity, source object or (for
        every event but localisers) CT event; the first record that has the name takes it.
        An event's name can be addressed alone as ``event2_ctdi_vol_mgy=...``.

    Examples
    --------
    >>> data = make_ct_rdsr(events=2, vendor="ge", age_y=5.0, dlp_total_mgy_cm=120.5)
    """
    part, identity = make_ct_part(events, vendor, seed=seed, **overrides)
    return write_rdsr(part, identity, vendor)


def make_ct_part(
    events: int | Sequence[CtEvent] = 2,
    vendor: str = "clean",
    *,
    seed: object = 0,
    **overrides: Any,
) -> tuple[Part, Identity]:
    """What `make_ct_rdsr` writes, as records."""
    made = (
        [_default_event(i, seed) for i in range(events)]
        if isinstance(events, int)
        else list(events)
    )
    free = dict(overrides)
    made = _override_events(made, free)
    part = _default_part(made, vendor, seed)
    identity = _default_identity(seed)
    part, identity = _override(part, identity, free)
    if free:
        name = next(iter(free))
        raise UsageError(
            f"no record of a CT report has the name {name!r}",
            todo=did_you_mean(name, _known_names()),
        )
    return part, identity


def _default_event(index: int, seed: object) -> CtEvent:
    start = _START + timedelta(seconds=40 * index)
    common: dict[str, Any] = {
        "event_uid": derive_uid("event", seed, index),
        "ordinal": index,
        "started_at": start,
        "target_region": sct("816094009"),
        "procedure_context": sct("399331006"),
        "nominal_single_collimation_mm": 0.6,
        "n_sources": 1,
        "kvp_kv": 120.0,
        "phantom": Phantom.BODY_32CM,
    }
    if index == 0:
        source = CtSource(
            source_id="A", ordinal=0, kvp_kv=120.0, max_tube_current_ma=35.0, tube_current_ma=35.0
        )
        return CtEvent(
            **common,
            acquisition_protocol="Topogram",
            acquisition_type=CtAcquisitionType.CONSTANT_ANGLE,
            exposure_time_s=4.2,
            scanning_length_mm=412.0,
            nominal_total_collimation_mm=3.6,
            tube_current_ma=35.0,
            max_tube_current_ma=35.0,
            ctdi_vol_mgy=0.13,
            dlp_mgy_cm=5.4,
            sources=(source,),
        )
    source = CtSource(
        source_id="A",
        ordinal=0,
        kvp_kv=120.0,
        max_tube_current_ma=312.0,
        tube_current_ma=156.0 + index,
        rotation_time_s=0.5,
    )
    return CtEvent(
        **common,
        acquisition_protocol="Thorax",
        acquisition_type=CtAcquisitionType.SPIRAL,
        exposure_time_s=8.25,
        scanning_length_mm=341.0,
        nominal_total_collimation_mm=38.4,
        pitch=1.2,
        tube_current_ma=156.0 + index,
        max_tube_current_ma=312.0,
        rotation_time_s=0.5,
        ctdi_vol_mgy=6.0 + index / 4,
        dlp_mgy_cm=204.6 + 8 * index,
        modulation_type="XYZ_EC",
        sources=(source,),
    )


def _default_part(events: Sequence[CtEvent], vendor: str, seed: object) -> Part:
    maker, model = _SCANNERS.get(vendor, _SCANNERS["clean"])
    study = derive_uid("study", seed)
    starts = [e.started_at for e in events if e.started_at is not None] or [_START]
    protocols = tuple(
        dict.fromkeys(e.acquisition_protocol for e in events if e.acquisition_protocol)
    )
    dlp = round(sum(e.dlp_mgy_cm or 0.0 for e in events), 6)
    return Part(
        part_key="",
        study_uid=study,
        modality=Modality.CT,
        started_at=min(starts),
        ended_at=max(starts) + timedelta(seconds=12),
        study_description="CT Thorax",
        protocol_names=protocols,
        procedure_reported=sct("77477000"),
        intent=sct("261004008"),
        scope_of_accumulation=dcm("113014"),
        scope_uid=study,
        source_of_dose=(dcm("113856"),),
        device=Device(
            device_observer_uid=derive_uid("device", vendor),
            manufacturer=maker,
            model=model,
            serial_number=f"SN{derive_uid('serial', vendor)[-5:]}",
            name="CT-1",
            station_name="CT-1",
            software_versions=("1.0",),
            institution_name="Example Hospital",
            location="Room 1",
        ),
        patient=Patient(age_y=45.0, sex=Sex.F, weight_kg=72.0, height_cm=168.0),
        totals=Totals(n_events=len(events), dlp_total_mgy_cm=dlp),
        events=tuple(events),
        sources=(
            SourceObject(
                sop_instance_uid=derive_uid("sop", seed),
                series_uid=derive_uid("series", seed),
                content_at=max(starts) + timedelta(minutes=2),
            ),
        ),
    )


def _default_identity(seed: object) -> Identity:
    return Identity(
        patient_id=f"QX{derive_uid('patient', seed)[-6:]}",
        patient_id_issuer="EXAMPLE",
        patient_name="Brindlewick^Osmunda",
        birth_date="19810115",
        accession_number=f"A{derive_uid('accession', seed)[-7:]}",
        study_id="1",
        staff=(
            Staff(
                staff_name="Marrowgate^Ivo",
                staff_id="T042",
                staff_role_in_procedure=ADMINISTERING,
                staff_role_in_organization=Code("121083", "DCM", "Technologist"),
            ),
            Staff(
                staff_name="Thistledown^Runa",
                staff_role_in_procedure=AUTHORIZING,
                staff_role_in_organization=Code("121081", "DCM", "Physician"),
            ),
        ),
    )


def _override_events(events: list[CtEvent], free: dict[str, Any]) -> list[CtEvent]:
    made = []
    for index, event in enumerate(events):
        prefix = f"event{index}_"
        names = [n for n in list(free) if n.startswith(prefix)]
        made.append(
            msgspec.structs.replace(event, **{n[len(prefix) :]: free.pop(n) for n in names})
        )
    above = set().union(*(_names(t) for t in (Part, Device, Patient, Totals, Identity)))
    shared = {n: free.pop(n) for n in list(free) if n in _names(CtEvent) and n not in above}
    is_localiser = [e.acquisition_type is CtAcquisitionType.CONSTANT_ANGLE for e in made]
    return [
        e if localiser else msgspec.structs.replace(e, **shared)
        for e, localiser in zip(made, is_localiser, strict=True)
    ]


def _override(part: Part, identity: Identity, free: dict[str, Any]) -> tuple[Part, Identity]:
    def take(record: Any) -> Any:
        names = {n: free.pop(n) for n in list(free) if n in _names(type(record))}
        return msgspec.structs.replace(record, **names) if names else record

    part = take(part)
    part = msgspec.structs.replace(
        part,
        device=take(part.device),
        patient=take(part.patient),
        totals=take(part.totals),
        sources=(take(part.sources[0]), *part.sources[1:]) if part.sources else (),
    )
    return part, take(identity)


def _names(record: type) -> frozenset[str]:
    return frozenset(record.__struct_fields__)  # type: ignore[attr-defined]


def _known_names() -> Mapping[str, None]:
    records = (Part, Device, Patient, Totals, Identity, SourceObject, CtEvent)
    return dict.fromkeys(n for r in records for n in _names(r))
