"""The store's columns are the names of the contract, and stay so."""

from __future__ import annotations

import duckdb
import msgspec
import pytest

from dose_lib.records import CtEvent, Part, XRayEvent, contract
from dose_lib.store import Store
from dose_lib.store.columns import DERIVED_COLUMNS, EXAM_COLUMNS, child_columns, part_columns
from tests.store.exams import ct_part, incoming
from tests.store.test_decisions import decision

OURS = {
    "part": {"received_at", "n_issues", "size_method", *DERIVED_COLUMNS},
    "event": {"part_key", "event_index", "record", *EXAM_COLUMNS},
    "administration": {"part_key", "administration_index"},
    "estimate": {"part_key", "estimate_index"},
    "issue": {"part_key", "issue_index"},
}
EXPECTED = {"part": part_columns(), **child_columns()}
# What everyone queries is promised by name.
STUDIES = """
    part_key study_uid modality started_at started_at_utc study_description procedure_name
    body_region is_body_region_inferred procedure_code requested_procedure protocol_names
    is_patient not_patient_reason mg_mode operator_keys operator physician_keys device_key device
    manufacturer model serial_number station_name software_versions site room patient_key
    is_linked age_y sex weight_kg height_cm bmi_kg_per_m2 n_issues received_at
"""
FINDINGS = """
    finding_id detector rule_version severity part_key device_key device procedure_name subject
    title summary evidence opened_at occurred_at state state_by state_at state_note
"""
OBJECTS = """
    sha256 sop_instance_uid sop_class study_uid size_bytes received_at route caller status reason
    part_keys stored_at
"""


def columns(store: Store, table: str) -> dict[str, str]:
    rows = store.sql(f"DESCRIBE {table}")
    return {row[0]: row[1] for row in rows}


@pytest.mark.parametrize("table", sorted(EXPECTED))
def test_table_has_the_columns_of_the_records(store: Store, table: str) -> None:
    found = {n: t for n, t in columns(store, table).items() if n not in OURS[table]}
    # DuckDB writes types its own way: let it write the expected ones too.
    listed = ", ".join(f'"{name}" {kind}' for name, kind in EXPECTED[table].items())
    with duckdb.connect() as con:
        con.execute(f"CREATE TABLE expected ({listed})")
        expected = dict(r[:2] for r in con.execute("DESCRIBE expected").fetchall())
    assert found == expected


def test_every_name_of_the_contract_is_a_column(store: Store) -> None:
    apart = {"device", "patient", "totals", "events", "administrations", "estimates", "issues"}
    tables = {
        "part": "part",
        "device": "part",
        "patient": "part",
        "totals": "part",
        "ct_event": "event",
        "xray_event": "event",
        "administration": "administration",
        "estimate": "estimate",
        "issue": "issue",
    }
    missing = [
        f"{row.record}.{row.name}"
        for row in contract()
        if row.record in tables
        and not (row.record == "part" and row.name in apart)
        and row.name not in columns(store, tables[row.record])
    ]
    assert not missing


def test_views_keep_their_promise(store: Store) -> None:
    totals = [r.name for r in contract() if r.record == "totals"]
    kept_apart = {"planes", "derived", "field_sources"}
    studies = columns(store, "studies")
    assert set(STUDIES.split()) | set(totals) - kept_apart <= set(studies)
    assert set(FINDINGS.split()) == set(columns(store, "findings"))
    assert set(OBJECTS.split()) <= set(columns(store, "objects"))
    events = columns(store, "events")
    names = {f.name for r in (CtEvent, XRayEvent) for f in msgspec.structs.fields(r)}
    assert names | {"part_key", "modality", "device", "procedure_name", "age_y"} <= set(events)


def test_times_have_the_right_type(store: Store) -> None:
    studies = columns(store, "studies")
    assert studies["started_at"] == "TIMESTAMP"
    assert studies["started_at_utc"] == studies["received_at"] == "TIMESTAMP WITH TIME ZONE"
    assert columns(store, "events")["started_at"] == "TIMESTAMP"


def test_record_names_collide_only_where_it_is_known() -> None:
    part = {f.name for f in msgspec.structs.fields(Part)}
    assert {"derived", "totals_derived"} <= set(part_columns())
    assert "derived" in part


def test_events_say_of_their_exam_what_the_exam_says(store: Store) -> None:
    """Columns beside the event, instead of a join over millions of rows."""
    part = ct_part()
    nameless = ct_part("1.9", serial_number="S-9", procedure_name=None, is_patient=None)
    device = msgspec.structs.replace(nameless.device, station_name=None)
    nameless = msgspec.structs.replace(nameless, device=device)
    store.commit([incoming(part, number=1), incoming(nameless, number=2)])
    key = part.device.device_key
    name = decision(kind="device_name", subject=key, payload={"display_name": "Scanner 1"})
    store.decide(name)
    names = [n.removeprefix("exam_") for n in EXAM_COLUMNS if n != "exam_started_at"]
    listed = ", ".join(names)
    asked = f"SELECT DISTINCT study_started_at, {listed} FROM events ORDER BY study_uid"
    said = f"SELECT started_at, {listed} FROM studies ORDER BY study_uid"
    assert store.sql(asked) == store.sql(said)
    assert [row[0] for row in store.sql("SELECT device FROM studies ORDER BY study_uid")] == [
        *("Scanner 1", "ACME Scan 64"),
    ]
