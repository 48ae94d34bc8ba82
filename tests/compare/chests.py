"""A store on disk with thirty chest CTs in each of two rooms, for what goes through a store."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from dose_lib.records import Part, Phantom, Totals
from dose_lib.settings import Settings
from dose_lib.store import Store
from tests.store.exams import START, ct_event, ct_part, incoming, merge, unchanged

ROOMS = ("CT 1", "CT 2")
N = 30


def dose(room: int, number: int) -> float:
    """DLP of an exam, mGy.cm: 201 to 259 in the first room, 150 more in the second."""
    return 201.0 + 2 * number + 150 * room


def fill(settings: Settings) -> None:
    """Commit the exams."""
    with Store.open(settings, merge=merge, normalise=unchanged) as store:
        store.commit([incoming(part) for part in exams()])


def exams() -> list[Part]:
    """Exams of each room, one a day, of adults of 70 kg."""
    return [_exam(room, name, i) for room, name in enumerate(ROOMS) for i in range(N)]


def _exam(room: int, name: str, number: int) -> Part:
    study = f"1.2.{room + 1}.{number + 1}"
    value = dose(room, number)
    part = ct_part(study, (1,), serial_number=name, sop_instance_uid=f"{study}.9")
    device = msgspec.structs.replace(part.device, room=name, display_name=f"Scanner {room + 1}")
    event = ct_event(study, 1, dlp_mgy_cm=value, ctdi_vol_mgy=value / 30)
    totals = Totals(
        n_events=1,
        dlp_total_mgy_cm=value,
        dlp_32cm_mgy_cm=value,
        ctdi_vol_32cm_max_mgy=value / 30,
        derived=("dlp_32cm_mgy_cm",),
    )
    assert event.phantom is Phantom.BODY_32CM
    return msgspec.structs.replace(
        part,
        started_at=START + timedelta(days=number),
        device=device,
        events=(event,),
        totals=totals,
        patient=msgspec.structs.replace(part.patient, weight_kg=70.0),
    )
