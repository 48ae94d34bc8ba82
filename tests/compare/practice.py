"""Practices to compare: tables `studies` and `events` with the columns that matter, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from dose_lib.store.connect import StoreBackend

_CODE = pa.struct([("value", pa.string()), ("scheme", pa.string()), ("meaning", pa.string())])
STUDIES = pa.schema(
    [
        ("part_key", pa.string()), ("modality", pa.string()), ("started_at", pa.timestamp("us")),
        ("procedure_name", pa.string()), ("body_region", pa.string()),
        ("contrast", pa.string()), ("received_at", pa.timestamp("us", tz="UTC")),
        ("patient_key", pa.string()), ("study_description", pa.string()),
        ("protocol_names", pa.list_(pa.string())), ("is_patient", pa.bool_()),
        ("operator", pa.string()), ("device_key", pa.string()), ("device", pa.string()),
        ("manufacturer", pa.string()), ("model", pa.string()), ("site", pa.string()),
        ("room", pa.string()), ("age_y", pa.float64()), ("sex", pa.string()),
        ("weight_kg", pa.float64()), ("n_events", pa.int64()),
        ("dlp_total_mgy_cm", pa.float64()), ("dlp_16cm_mgy_cm", pa.float64()),
        ("dlp_32cm_mgy_cm", pa.float64()), ("dlp_10cm_mgy_cm", pa.float64()),
        ("dlp_unknown_phantom_mgy_cm", pa.float64()), ("ctdi_vol_16cm_max_mgy", pa.float64()),
        ("ctdi_vol_32cm_max_mgy", pa.float64()), ("ssde_max_mgy", pa.float64()),
        ("effective_dose_msv", pa.float64()), ("kap_gy_cm2", pa.float64()),
        ("ka_r_mgy", pa.float64()), ("ka_r_max_plane_mgy", pa.float64()),
        ("fluoro_time_s", pa.float64()), ("agd_left_mgy", pa.float64()),
        ("agd_right_mgy", pa.float64()), ("agd_both_mgy", pa.float64()),
        ("size_method", pa.string()), ("derived_water_equivalent_diameter_mm", pa.float64()),
        ("derived_ssde_max_mgy", pa.float64()), ("derived_ssde_mean_mgy", pa.float64()),
        ("derived_effective_dose_msv", pa.float64()),
    ]
)  # fmt: skip
EVENTS = pa.schema(
    [
        ("part_key", pa.string()), ("record", pa.string()), ("acquisition_type", pa.string()),
        ("is_bolus_tracking", pa.bool_()), ("target_region", _CODE), ("phantom", pa.string()),
        ("ctdi_vol_mgy", pa.float64()), ("dlp_mgy_cm", pa.float64()),
        ("acquisition_protocol", pa.string()), ("modality", pa.string()),
        ("device_key", pa.string()), ("procedure_name", pa.string()),
        ("body_region", pa.string()), ("age_y", pa.float64()), ("weight_kg", pa.float64()),
        ("is_patient", pa.bool_()), ("study_started_at", pa.timestamp("us")),
        ("projection", pa.string()), ("laterality", pa.string()), ("kap_gy_cm2", pa.float64()),
        ("ka_e_mgy", pa.float64()), ("ka_i_mgy", pa.float64()), ("agd_mgy", pa.float64()),
        ("compressed_thickness_mm", pa.float64()),
    ]
)  # fmt: skip

FORMER_NAMES = pa.schema(
    [
        ("part_key", pa.string()), ("procedure_name", pa.string()), ("body_region", pa.string()),
        ("contrast", pa.string()), ("until", pa.timestamp("us", tz="UTC")),
    ]
)  # fmt: skip
DECISIONS = pa.schema(
    [
        ("kind", pa.string()), ("subject", pa.string()), ("payload", pa.string()),
        ("author", pa.string()), ("decided_at", pa.timestamp("us", tz="UTC")),
    ]
)  # fmt: skip

Row = dict[str, Any]


def exam(key: str, **values: Any) -> Row:
    """A row of `studies`: an adult's chest CT on the 32 cm phantom, unless said otherwise."""
    row = {
        "part_key": key, "modality": "CT", "started_at": datetime(2026, 6, 1, 9),
        "procedure_name": "CT Chest", "body_region": "chest", "is_patient": True,
        "device_key": "d1", "device": "Scanner 1", "room": "CT 1", "age_y": 60.0,
        "weight_kg": 70.0, "dlp_32cm_mgy_cm": 300.0,
    }  # fmt: skip
    return {**dict.fromkeys(STUDIES.names), **row, **values}


def scan(key: str, **values: Any) -> Row:
    """A row of `events`: one spiral acquisition on the 32 cm phantom, unless said otherwise."""
    row = {
        "part_key": key, "record": "ct_event", "acquisition_type": "spiral", "phantom": "32cm",
        "ctdi_vol_mgy": 8.0, "dlp_mgy_cm": 280.0, "modality": "CT",
        "target_region": {"value": "T-D3000", "scheme": "SRT", "meaning": "Chest"},
    }  # fmt: skip
    return {**dict.fromkeys(EVENTS.names), **row, **values}


def exposure(key: str, **values: Any) -> Row:
    """A row of `events`: one chest radiograph from behind, unless said otherwise."""
    row = {"part_key": key, "record": "xray_event", "modality": "DX", "projection": "Chest PA"}
    return {**dict.fromkeys(EVENTS.names), **row, **values}


class _Memory:
    """A link to tables in memory; what `connect()` uses is compiled and run the same way."""

    place = "memory"

    def __init__(self, **tables: pa.Table) -> None:
        self._con = duckdb.connect()
        for name, table in tables.items():
            self._con.register(f"rows_of_{name}", table)
            self._con.execute(f"CREATE VIEW {name} AS SELECT * FROM rows_of_{name}")

    def query(self, sql: str) -> pa.Table:
        return self._con.sql(sql).to_arrow_table()


def _of_exam(event: Mapping[str, Any], row: Mapping[str, Any]) -> Row:
    """As the view `events` shows it, with columns of its exam; as given where that is not there."""
    if not row:
        return dict(event)
    shared = ("modality", "device_key", "procedure_name", "body_region", "age_y", "weight_kg",
              "is_patient")  # fmt: skip
    own = {name: row.get(name) for name in shared}
    return {**event, **own, "study_started_at": row.get("started_at")}


def practice(
    studies: Iterable[Mapping[str, Any]],
    events: Iterable[Mapping[str, Any]] = (),
    *,
    former_names: Iterable[Mapping[str, Any]] = (),
    decisions: Iterable[Mapping[str, Any]] = (),
) -> StoreBackend:
    """A connection whose tables hold the given rows; events know the exam they are of."""
    done = list(studies)
    exams = {row["part_key"]: row for row in done}
    rows = {
        "studies": (done, STUDIES),
        "events": ([_of_exam(e, exams.get(e["part_key"], {})) for e in events], EVENTS),
        "former_name": (former_names, FORMER_NAMES),
        "decisions": (decisions, DECISIONS),
    }
    tables = {
        name: pa.Table.from_pylist([dict(r) for r in some], schema=schema)
        for name, (some, schema) in rows.items()
    }
    return StoreBackend.over(_Memory(**tables))
