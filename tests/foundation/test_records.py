"""The records carry exactly the names of the contract, and survive JSON."""

from __future__ import annotations

from datetime import datetime

import msgspec
import pytest

from dose_lib import records
from dose_lib.records import (
    Code,
    CtEvent,
    Identity,
    Modality,
    Part,
    Staff,
    Totals,
    XRayEvent,
    contract,
)

CLASSES: dict[str, type[msgspec.Struct]] = {
    "part": records.Part,
    "device": records.Device,
    "patient": records.Patient,
    "totals": records.Totals,
    "totals_plane": records.TotalsPlane,
    "ct_event": records.CtEvent,
    "ct_source": records.CtSource,
    "dose_check": records.DoseCheck,
    "xray_event": records.XRayEvent,
    "pulse": records.Pulse,
    "filter": records.Filter,
    "administration": records.Administration,
    "organ_dose": records.OrganDose,
    "estimate": records.Estimate,
    "issue": records.Issue,
    "source_object": records.SourceObject,
    "identity": records.Identity,
}
OURS = {("part", "provenance")}  # not part of the JSON form


def names(record: str) -> set[str]:
    fields = set(CLASSES[record].__struct_fields__)
    if record == "identity":
        fields |= set(Staff.__struct_fields__)
    return fields - {name for owner, name in OURS if owner == record}


@pytest.mark.parametrize("record", CLASSES)
def test_names_are_those_of_the_contract(record: str) -> None:
    assert names(record) == {c.name for c in contract() if c.record == record}


def test_the_contract_has_no_record_of_its_own() -> None:
    assert {c.record for c in contract()} == set(CLASSES)


def test_units_stand_in_the_names() -> None:
    """A name with a unit ends in it, so that no column needs a comment to be read."""
    suffix = {"mGy": "_mgy", "Gy.cm2": "_gy_cm2", "mGy.cm": "_mgy_cm", "kV": "_kv", "MBq": "_mbq"}
    wrong = [c.name for c in contract() if c.unit in suffix and not c.name.endswith(suffix[c.unit])]
    assert not wrong


def part() -> Part:
    return Part(
        part_key="k",
        study_uid="1.2.3",
        modality=Modality.CT,
        started_at=datetime(2026, 11, 22, 10, 30, 1, 250000),
        procedure_code=Code("24627-2", "LN", "CT Chest"),
        totals=Totals(dlp_total_mgy_cm=77.27, derived=("n_spiral_events",)),
        events=(CtEvent(ctdi_vol_mgy=4.2), XRayEvent(kap_gy_cm2=0.5)),
    )


def test_json_round_trip() -> None:
    assert msgspec.json.decode(msgspec.json.encode(part()), type=Part) == part()


def test_records_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        part().study_uid = "other"  # type: ignore[misc]


def test_identity_never_shows_in_a_log() -> None:
    person = Identity(patient_name="DOE^JANE", staff=(Staff(staff_name="ROE^R"),))
    assert "DOE" not in f"{person!r} {person}"
    assert "ROE" not in f"{person.staff[0]!r}"
