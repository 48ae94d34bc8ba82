"""A small department in a store with the site's own steps: names it knows, and one it does not."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from dose_lib.records import Code, Part, Patient, Phantom, Sex, Totals
from dose_lib.settings import Settings
from dose_lib.store import Incoming, Store
from tests.store.exams import START, ct_event, ct_part

ODD = "Spezial Zwickel"
KNOWN_DLP = [float(300 + 5 * i) for i in range(30)]
ODD_DLP = [float(500 + 10 * i) for i in range(25)]
CHEST = Code("51185008", "SCT", "Chest")
HEAD = Code("69536005", "SCT", "Head")


def exam(
    number: int,
    description: str,
    dlp: float,
    *,
    region: Code | None = CHEST,
    protocol: str = "P 7",
    **given: Any,
) -> Part:
    """A chest CT of one spiral of 32 cm, 74 kg."""
    study = f"1.2.3.{number}"
    at = START + timedelta(hours=number)
    event = ct_event(
        study, 1, acquisition_protocol=protocol, target_region=region, ctdi_vol_mgy=dlp / 32,
        dlp_mgy_cm=dlp, phantom=Phantom.BODY_32CM, scanning_length_mm=320.0, started_at=at,
    )  # fmt: skip
    patient = Patient(
        patient_key=f"{number:064d}", is_linked=True, age_y=60.0, sex=Sex.F, weight_kg=74.0,
        height_cm=170.0,
    )  # fmt: skip
    values: dict[str, Any] = {
        "study_description": description,
        "requested_procedure": None,
        "procedure_code": None,
        "procedure_name": None,
        "body_region": None,
        "protocol_names": ("Topogram", protocol),
        "events": (event,),
        "patient": patient,
        "started_at": at,
        "issues": (),
        "totals": Totals(n_events=1, dlp_total_mgy_cm=dlp, dlp_32cm_mgy_cm=dlp,
                         ctdi_vol_32cm_max_mgy=dlp / 32),
    }  # fmt: skip
    return msgspec.structs.replace(ct_part(study, (1,)), **(values | given))


def received(part: Part) -> Incoming:
    """An object that held the part."""
    return Incoming(
        sha256=hashlib.sha256(part.study_uid.encode()).hexdigest(),
        size_bytes=1000,
        received_at=datetime(2026, 3, 2, 9, tzinfo=UTC),
        route="c-store",
        caller="CT1",
        sop_instance_uid=f"{part.study_uid}.9",
        study_uid=part.study_uid,
        parts=(part,),
    )


def department() -> list[Part]:
    """30 chests of 300 to 445 mGy·cm under a known name, 25 of 500 to 740 under an odd one."""
    known = [exam(i, "CT Thorax", dlp) for i, dlp in enumerate(KNOWN_DLP)]
    odd = [exam(100 + i, ODD, dlp) for i, dlp in enumerate(ODD_DLP)]
    return [*known, *odd, exam(200, "QA Phantom", 10.0)]


def fill(settings: Settings, parts: list[Part], *, level: float = 610.0) -> None:
    """Commit parts, beside a level of the site's own for the chest."""
    folder = settings.site_dir / "drl"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "local.csv").write_text(
        "drl_set,modality,procedure,population,phantom,quantity,statistic,value,unit,per,edition\n"
        f"LOCAL,CT,CT Chest,adult,32cm,DLP,p75,{level},mGy.cm,exam,2026\n",
        encoding="utf-8",
    )
    with Store.open(settings) as store:
        store.commit([received(p) for p in parts])
