"""A store of known exams for the tests of questions: the view `studies`, no files, no service."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from dose_lib.store.connect import connect

TODAY = date(2026, 11, 22)
DEVICES = (
    ("Scanner 1", "CT", "Siemens", "Force", "Main"),
    ("Scanner 2", "CT", "GE", "Revolution", "Main"),
    ("Scanner 3", "CT", "Canon", "Aquilion", "East Wing"),
    ("ER CT", "CT", "Siemens", "Definition", "ER"),
    ("Cath Lab 1", "XA", "Philips", "Azurion", "Main"),
    ("Cath Lab 2", "XA", "Siemens", "Artis", "Main"),
    ("Neuro Suite", "XA", "Philips", "Allura", "Main"),
    ("Fluoro A", "RF", "Canon", "Ultimax", "Main"),
    ("Mammo 1", "MG", "Hologic", "Dimensions", "Women's Center"),
    ("Mammo 2", "MG", "GE", "Pristina", "Women's Center"),
    ("X-ray Room 2", "DX", "Carestream", "DRX", "East Wing"),
    ("Portable 4", "DX", "Carestream", "Revolution", "ICU"),
)
OPERATORS = ("A. Novak", "B. Okafor", "C. Silva", "D. Meyer", "E. Tanaka", "F. Rossi")
PROCEDURES = {
    "CT": (
        ("CT Chest", "chest", 350),
        ("CT Head", "head", 800),
        ("CT Abdomen Pelvis", "abdomen-pelvis", 560),
        ("CTPA", "chest", 260),
        ("CT Chest Abdomen Pelvis", "chest-abdomen-pelvis", 900),
        ("CT Lumbar Spine", "spine", 600),
        ("CT Lung Screening", "chest", 60),
    ),
    "XA": (
        ("Coronary Angiography", "heart", 30),
        ("PCI", "heart", 60),
        ("Cerebral Angiography", "head", 90),
        ("TACE", "abdomen", 150),
    ),
    "RF": (("Barium Swallow", "neck", 6), ("Barium Enema", "abdomen", 15)),
    "MG": (("Screening Mammogram", "breast", 1.5), ("Diagnostic Mammogram", "breast", 1.9)),
    "DX": (
        ("Chest PA", "chest", 0.1),
        ("Pelvis AP", "pelvis", 1.5),
        ("Knee", "extremity", 0.1),
    ),
}
_FLOATS = (
    *("age_y", "weight_kg", "height_cm", "bmi_kg_per_m2", "dlp_total_mgy_cm", "dlp_16cm_mgy_cm"),
    *("dlp_10cm_mgy_cm", "dlp_unknown_phantom_mgy_cm"),
    *("dlp_32cm_mgy_cm", "ctdi_vol_16cm_max_mgy", "ctdi_vol_32cm_max_mgy", "ssde_max_mgy"),
    *("effective_dose_msv", "kap_gy_cm2", "ka_r_mgy", "ka_r_max_plane_mgy", "fluoro_time_s"),
    *("agd_left_mgy", "agd_right_mgy", "agd_both_mgy"),
)


def exam(number: int, at: datetime, row: dict[str, Any]) -> dict[str, Any]:
    """One exam with every column; what is not given is NULL."""
    empty: dict[str, Any] = dict.fromkeys(_FLOATS)
    empty |= {
        "part_key": f"part{number:06d}",
        "study_uid": f"1.2.{number}",
        "modality": "CT",
        "started_at": at,
        "procedure_name": None,
        "body_region": None,
        "is_patient": True,
        "operator": None,
        "device": None,
        "manufacturer": None,
        "model": None,
        "site": None,
        "sex": None,
        "protocol_names": ["Routine"],
    }
    return empty | row


def frame(n: int = 12000, seed: int = 7, days: int = 420) -> pd.DataFrame:
    """Exams of a department in the `days` before `TODAY`; the same for the same seed."""
    rng = random.Random(seed)
    rows = []
    for number in range(n):
        device, modality, maker, model, site = rng.choice(DEVICES)
        procedure, region, dose = rng.choice(PROCEDURES[modality])
        at = datetime.combine(TODAY, datetime.min.time()) + timedelta(
            days=-rng.randrange(days), hours=rng.randrange(7, 20), minutes=rng.randrange(60)
        )
        weight = round(rng.gauss(76, 16), 1) if rng.random() > 0.15 else None
        age = (
            round(rng.uniform(0.1, 15.9), 2)
            if rng.random() < 0.08
            else round(rng.uniform(16, 95), 1)
        )
        value = dose * rng.lognormvariate(0, 0.35) * (weight or 76) / 76
        row: dict[str, Any] = {
            "modality": modality,
            "device": device,
            "manufacturer": maker,
            "model": model,
            "site": site,
            "procedure_name": procedure,
            "body_region": region,
            "operator": rng.choice(OPERATORS),
            "sex": rng.choice(("F", "M", None)),
            "age_y": age,
            "weight_kg": weight,
            "height_cm": round(rng.gauss(170, 9), 1),
            "bmi_kg_per_m2": round((weight or 76) / 2.9, 1),
            "is_patient": rng.random() > 0.02,
            "protocol_names": [f"{procedure} {rng.choice('AB')}"],
        }
        rows.append(exam(number, at, row | _dose(modality, region, value, rng)))
    return pd.DataFrame(rows)


def _dose(modality: str, region: str, value: float, rng: random.Random) -> dict[str, Any]:
    if modality == "CT":
        phantom = "16cm" if region == "head" else "32cm"
        return {
            "dlp_total_mgy_cm": round(value, 2) if rng.random() > 0.02 else None,
            f"dlp_{phantom}_mgy_cm": round(value, 2),
            "dlp_unknown_phantom_mgy_cm": 0.0 if rng.random() < 0.3 else None,
            f"ctdi_vol_{phantom}_max_mgy": round(value / 40, 3),
            "ssde_max_mgy": round(value / 34, 3),
            "effective_dose_msv": round(value * 0.014, 3),
        }
    if modality == "MG":
        return {"agd_left_mgy": round(value, 3), "agd_right_mgy": round(value * 1.1, 3)}
    return {
        "kap_gy_cm2": round(value, 4),
        "ka_r_mgy": round(value * 25, 2),
        "ka_r_max_plane_mgy": round(value * 20, 2),
        "fluoro_time_s": round(value * 12, 1),
    }


def write(file: Path, rows: pd.DataFrame) -> None:
    """Put the rows into a store file as its view `studies`."""
    table = rows.copy()
    for name in _FLOATS:
        table[name] = table[name].astype("float64")
    with duckdb.connect(str(file)) as con:
        con.register("given", table)
        con.execute("CREATE TABLE kept AS SELECT * FROM given")
        con.unregister("given")
        # What a careless writer stores: DuckDB holds NaN > 80 to be true.
        con.execute("UPDATE kept SET weight_kg = 'nan' WHERE hash(part_key) % 97 = 0")
        con.execute("CREATE VIEW studies AS SELECT * FROM kept")


def backend(file: Path, rows: pd.DataFrame | None = None) -> Any:
    """The store of these rows, opened as everything else opens it."""
    write(file, frame() if rows is None else rows)
    return connect(f"duckdb://{file}")
