"""A store with known CT exams: records made here, committed through the real store."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np

from dose_lib.errors import StoreInUseError
from dose_lib.keys import device_key, part_key
from dose_lib.records import Device, Finding, Part, Patient, Severity, SourceObject, Totals
from dose_lib.records.ct import CtEvent
from dose_lib.records.enums import CtAcquisitionType, Modality, Phantom, Sex
from dose_lib.reference import load_levels, sign_off
from dose_lib.settings import Settings
from dose_lib.store import Incoming, Store

LAST_DAY = datetime(2026, 11, 22, 18, 0)
MEDIANS = {"CT Head": 640.0, "CT Chest": 250.0, "CT Abdomen Pelvis": 430.0, "CTPA": 270.0}
REGIONS = {
    "CT Head": "head",
    "CT Chest": "chest",
    "CT Abdomen Pelvis": "abdomen-pelvis",
    "CTPA": "chest",
}
FACTORS = {"Scanner 1": 0.9, "Scanner 2": 1.35, "Scanner 3 (CT in the new east building)": 0.75}


def ct_part(
    number: int,
    *,
    procedure: str | None = "CT Chest",
    device: str = "Scanner 1",
    dlp: float = 300.0,
    started_at: datetime = LAST_DAY,
    weight_kg: float | None = 74.0,
    age_y: float = 60.0,
    is_patient: bool = True,
) -> Part:
    """One CT exam of one spiral."""
    study = f"1.2.826.0.1.3680043.10.1.{number}"
    unit = Device(
        manufacturer="Acme", model="CT 9000", serial_number=device, display_name=device, room=device
    )
    unit = msgspec.structs.replace(unit, device_key=device_key(unit))
    is_head = procedure == "CT Head"
    phantom = Phantom.HEAD_16CM if is_head else Phantom.BODY_32CM
    ctdi = dlp / (16.0 if is_head else 30.0)
    size = "16cm" if is_head else "32cm"
    event = CtEvent(
        event_uid=f"{study}.1",
        ordinal=1,
        started_at=started_at,
        acquisition_type=CtAcquisitionType.SPIRAL,
        acquisition_protocol=procedure,
        ctdi_vol_mgy=ctdi,
        dlp_mgy_cm=dlp,
        phantom=phantom,
        kvp_kv=120.0,
    )
    totals = Totals(
        n_events=1,
        n_spiral_events=1,
        dlp_total_mgy_cm=dlp,
        **{f"dlp_{size}_mgy_cm": dlp, f"ctdi_vol_{size}_max_mgy": ctdi},
    )
    return Part(
        part_key=part_key(study, unit.device_key, "CT"),
        study_uid=study,
        modality=Modality.CT,
        started_at=started_at,
        started_at_utc=started_at.replace(tzinfo=UTC),
        procedure_name=procedure,
        body_region=REGIONS.get(procedure or ""),
        protocol_names=(procedure or "Sonder",),
        is_patient=is_patient,
        not_patient_reason=None if is_patient else "phantom in the description",
        operator_keys=(hashlib.sha256(str(number % 3).encode()).hexdigest()[:16],),
        device=unit,
        patient=Patient(
            patient_key=hashlib.sha256(f"p{number}".encode()).hexdigest(),
            is_linked=True,
            age_y=age_y,
            sex=Sex.F if number % 2 else Sex.M,
            weight_kg=weight_kg,
        ),
        totals=totals,
        events=(event,),
        sources=(SourceObject(sop_instance_uid=f"{study}.9", event_uids=(event.event_uid,)),),
    )


def department(n: int = 420, days: int = 84, seed: int = 7, first: int = 1) -> list[Part]:
    """A department's CT exams over some weeks: Scanner 2 gives more, a few oddities."""
    rng = np.random.default_rng(seed)
    parts = []
    for i in range(n):
        procedure = str(rng.choice(list(MEDIANS), p=[0.35, 0.3, 0.2, 0.15]))
        device = str(rng.choice(list(FACTORS), p=[0.45, 0.4, 0.15]))
        age = float(np.clip(rng.normal(58, 18), 17, 95))
        parts.append(
            ct_part(
                first + i,
                procedure=None if rng.random() < 0.03 else procedure,
                device=device,
                dlp=float(MEDIANS[procedure] * FACTORS[device] * np.exp(rng.normal(0, 0.3))),
                started_at=LAST_DAY - timedelta(days=float(rng.uniform(0, days))),
                weight_kg=None
                if rng.random() < 0.12
                else float(np.clip(rng.normal(72, 9), 45, 120)),
                age_y=age,
                is_patient=bool(rng.random() > 0.015),
            )
        )
    return parts


def incoming(parts: Sequence[Part], received_at: datetime | None = None) -> list[Incoming]:
    """Parts as received objects, one each."""
    return [
        Incoming(
            sha256=hashlib.sha256(part.study_uid.encode()).hexdigest(),
            size_bytes=10_000,
            received_at=received_at or LAST_DAY.replace(tzinfo=UTC),
            route="c-store",
            caller="CT1",
            sop_instance_uid=f"{part.study_uid}.9",
            study_uid=part.study_uid,
            parts=(part,),
        )
        for part in parts
    ]


def open_store(settings: Settings) -> Store:
    """The store as its owner opens it; records here are normalised already.

    A dashboard that reads at this moment holds the file for some milliseconds.
    """
    for _ in range(300):
        with suppress(StoreInUseError):
            return _open(settings)
        time.sleep(0.1)
    return _open(settings)


def _open(settings: Settings) -> Store:
    return Store.open(settings, merge=_last_of_each, normalise=lambda part: part)


def _last_of_each(parts: object) -> tuple[Part, ...]:
    return tuple({p.part_key: p for p in parts}.values())  # type: ignore[attr-defined]


def fill(
    settings: Settings,
    parts: Sequence[Part],
    *,
    with_finding: bool = True,
    with_levels: bool = False,
) -> None:
    """Commit exams and close the store again; `with_levels`: the site has signed and own ones."""
    store = open_store(settings)
    try:
        store.commit(incoming(parts))
        if with_levels:
            write_local_levels(settings)
            signed = sign_off(load_levels(settings), "GB-UKHSA-NDRL", author="physicist")
            store.decide(signed)
        if with_finding and parts:
            store.add_findings([child_finding(parts[0])])
    finally:
        store.close()


def write_local_levels(settings: Settings) -> None:
    """Levels of the site's own, in the template that sites use."""
    rows = [
        ("CT Head", "DLP", "16cm", 720.0),
        ("CT Chest", "DLP", "32cm", 270.0),
        ("CT Abdomen Pelvis", "DLP", "32cm", 480.0),
    ]
    folder = settings.site_dir / "drl"
    folder.mkdir(parents=True, exist_ok=True)
    head = "drl_set,modality,procedure,population,phantom,quantity,statistic,value,unit,per,edition"
    lines = [f"LOCAL,CT,{p},adult,{ph},{q},p75,{v},mGy.cm,exam,2026" for p, q, ph, v in rows]
    (folder / "local.csv").write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")


def child_finding(part: Part) -> Finding:
    """An open finding on an exam."""
    return Finding(
        finding_id=hashlib.sha256(part.part_key.encode()).hexdigest()[:16],
        detector="adult_protocol_on_child",
        rule_version="1",
        severity=Severity.WARNING,
        subject=part.part_key,
        part_key=part.part_key,
        device_key=part.device.device_key if part.device else None,
        device=part.device.display_name if part.device else None,
        procedure_name=part.procedure_name,
        title="Adult protocol used on a child",
        summary="Age 4.2 years, protocol for adults; 2.8 times the usual dose at this age.",
        occurred_at=part.started_at,
    )
