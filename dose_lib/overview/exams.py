"""Exams of patients in a period, and how much was done."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from dose_lib import metrics
from dose_lib.overview.period import Period
from dose_lib.settings import load_settings

if TYPE_CHECKING:
    import pandas as pd

# Columns of the exams a page draws, of the view `studies`.
EXAM_COLUMNS = (
    "part_key",
    "started_at",
    "modality",
    "procedure_name",
    "body_region",
    "device",
    "room",
    "site",
    "operator",
    "age_y",
    "sex",
    "weight_kg",
    "dlp_total_mgy_cm",
    "ssde_max_mgy",
    "kap_gy_cm2",
    "ka_r_max_plane_mgy",
    "fluoro_time_s",
    "agd_left_mgy",
    "agd_right_mgy",
)

_ON_ONE_PHANTOM = {"dlp_mgy_cm": "dlp", "ctdi_vol_mgy": "ctdi_vol"}


def read_exams(
    con: Any,
    when: Period,
    *,
    modality: str = "CT",
    procedure_name: str | None = None,
    device: str | None = None,
    population: Literal["adult", "child"] | None = None,
    with_not_patient: bool = False,
) -> pd.DataFrame:
    """Exams of patients in a period, one row an exam part.

    Parameters
    ----------
    con
        From `dose_lib.connect`.
    when
        Period, by the local time the exam started.
    modality, procedure_name, device
        Only these; None for all.
    population
        Only adults or only children, by the site's age limit; an exam without a recorded age
        is neither. None for all.
    with_not_patient
        True to include phantom, test and quality-control exposures.

    Returns
    -------
    pandas.DataFrame
        `EXAM_COLUMNS`, and `dlp_mgy_cm` and `ctdi_vol_mgy`: the dose on the one phantom the
        exam was stated on, empty where two were mixed. In order of start.
    """
    rows = selected(con, when, modality, procedure_name, device)
    if not with_not_patient:
        rows = rows.filter(patient_rows(rows))
    limit = load_settings().child_age_y
    if population is not None:
        rows = rows.filter(rows.age_y >= limit if population == "adult" else rows.age_y < limit)
    doses = {name: metrics.measure(m).of(rows) for name, m in _ON_ONE_PHANTOM.items()}
    rows = rows.mutate(**doses)[[*EXAM_COLUMNS, *doses]]
    return rows.order_by(["started_at", "part_key"]).to_pandas()


def selected(
    con: Any, when: Period, modality: str, procedure_name: str | None, device: str | None
) -> Any:
    """Exams of a modality in a period as an ibis table."""
    studies = con.table("studies")
    start, end = when.bounds
    wanted = [
        studies.modality == modality,
        studies.started_at >= start,
        studies.started_at < end,
    ]
    for column, value in (("procedure_name", procedure_name), ("device", device)):
        if value is not None:
            wanted.append(studies[column] == value)
    return studies.filter(*wanted)


def patient_rows(rows: Any) -> Any:
    """Which rows are exams of patients.

    Not known counts as a patient: only what is known to be none leaves the statistics.
    """
    return rows.is_patient.fill_null(True)


class Activity(NamedTuple):
    """Key figures of a period."""

    n_exams: int
    n_patients: int
    n_devices: int
    n_not_patient: int
    n_objects: int
    last_received_at: datetime | None


def activity(
    con: Any, when: Period, *, modality: str = "CT", device: str | None = None
) -> Activity:
    """How much was done in a period, and how fresh the data are."""
    rows = selected(con, when, modality, None, device)
    patient = patient_rows(rows)
    found = (
        rows.aggregate(
            n_exams=rows.count(where=patient),
            n_patients=rows.patient_key.nunique(where=patient),
            n_devices=rows.device_key.nunique(where=patient),
            n_not_patient=rows.count(where=~patient),
        )
        .to_pyarrow()
        .to_pylist()[0]
    )
    objects = con.table("objects")
    ledger = objects.aggregate(n=objects.count(), last=objects.received_at.max()).to_pyarrow()
    newest = ledger.to_pylist()[0]
    return Activity(
        **{name: int(value) for name, value in found.items()},
        n_objects=int(newest["n"]),
        last_received_at=newest["last"],
    )
