"""What a page says of a department in a period: exams, key figures, quality of the data.

The notebooks take their numbers from here. Each function asks the store once and gives a
table or a record; how it looks is decided in `charts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from dose_lib.errors import UsageError
from dose_lib.settings import Settings, load_settings

if TYPE_CHECKING:
    import pandas as pd

# Columns of the exams a page draws, all of the view `studies`.
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
    "ctdi_vol_16cm_max_mgy",
    "ctdi_vol_32cm_max_mgy",
    "ssde_max_mgy",
    "kap_gy_cm2",
    "ka_r_max_plane_mgy",
    "fluoro_time_s",
    "agd_left_mgy",
    "agd_right_mgy",
)


class Period(NamedTuple):
    """Days from `first` to `last`, both included, in the site's zone."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """Number of days."""
        return (self.last - self.first).days + 1

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """Start of the first day and end of the last, local, to be used as start <= t < end."""
        midnight = datetime.min.time()
        return (
            datetime.combine(self.first, midnight),
            datetime.combine(self.last + timedelta(days=1), midnight),
        )

    def __str__(self) -> str:
        first = f"{self.first.day} {self.first:%b}"
        year = "" if self.first.year == self.last.year else f" {self.first.year}"
        last = f"{self.last.day} {self.last:%b %Y}"
        return f"{first}{year} to {last} ({self.days:,} days)"

    def __repr__(self) -> str:
        return str(self)


def period(
    days: int = 84,
    until: date | str | None = None,
    *,
    settings: Settings | None = None,
    now: datetime | None = None,
) -> Period:
    """The last `days` days up to `until`.

    Parameters
    ----------
    days
        Number of days, at least 1.
    until
        Last day, as date or ISO text; default today in the site's zone.
    settings
        Of the installation, for its zone.
    now
        The present, for tests.

    Raises
    ------
    UsageError
        If `days` is below 1 or `until` is no date.
    """
    if days < 1:
        raise UsageError(f"days = {days}", expected="1 or more")
    zone = ZoneInfo((settings or load_settings()).timezone)
    last = _day(until) or (now or datetime.now(zone)).astimezone(zone).date()
    return Period(last - timedelta(days=days - 1), last)


def _day(until: date | str | None) -> date | None:
    if until is None or isinstance(until, date):
        return until.date() if isinstance(until, datetime) else until
    try:
        return date.fromisoformat(until)
    except ValueError:
        raise UsageError(f"until = {until!r} is no date", expected="as in 2026-11-22") from None


def read_exams(
    con: Any,
    when: Period,
    *,
    modality: str = "CT",
    procedure_name: str | None = None,
    device: str | None = None,
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
    with_not_patient
        True to include phantom, test and quality-control exposures.

    Returns
    -------
    pandas.DataFrame
        `EXAM_COLUMNS` in order of start.
    """
    rows = _selected(con, when, modality, procedure_name, device)
    if not with_not_patient:
        rows = rows.filter(_is_patient(rows))
    return rows[list(EXAM_COLUMNS)].order_by(["started_at", "part_key"]).to_pandas()


def _selected(
    con: Any, when: Period, modality: str, procedure_name: str | None, device: str | None
) -> Any:
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


def _is_patient(rows: Any) -> Any:
    """Not known counts as a patient: only what is known to be none leaves the statistics."""
    return rows.is_patient.fill_null(True)


class Quality(NamedTuple):
    """One check of the data: how many of how many exams, and why it matters."""

    check: str
    n: int
    of: int
    meaning: str

    @property
    def share_percent(self) -> float | None:
        """Share in percent; None where there is nothing to check."""
        return 100.0 * self.n / self.of if self.of else None


def data_quality(
    con: Any, when: Period, *, modality: str = "CT", device: str | None = None
) -> pd.DataFrame:
    """How complete the data behind the numbers are.

    Returns
    -------
    pandas.DataFrame
        `check, n, of, share_percent, meaning`; empty where there is no exam.
    """
    import pandas as pd

    rows = _selected(con, when, modality, None, device)
    patient = _is_patient(rows)
    facts = rows.aggregate(
        total=rows.count(),
        patients=rows.count(where=patient),
        not_patient=rows.count(where=~patient),
        no_weight=rows.count(where=patient & rows.weight_kg.isnull()),
        no_age=rows.count(where=patient & rows.age_y.isnull()),
        no_procedure=rows.count(where=patient & rows.procedure_name.isnull()),
        inferred=rows.count(where=patient & rows.is_body_region_inferred.fill_null(False)),
        not_linked=rows.count(where=patient & ~rows.is_linked.fill_null(False)),
        with_issues=rows.count(where=rows.n_issues.fill_null(0) > 0),
    ).to_pyarrow()
    found = facts.to_pylist()[0]
    checks = _checks({name: int(value) for name, value in found.items()})
    columns = ["check", "n", "of", "share_percent", "meaning"]
    table = [(c.check, c.n, c.of, c.share_percent, c.meaning) for c in checks if found["total"]]
    return pd.DataFrame(table, columns=columns)


def _checks(n: dict[str, int]) -> Sequence[Quality]:
    total, patients = n["total"], n["patients"]
    return (
        Quality(
            "Procedure not mapped",
            n["no_procedure"],
            patients,
            "left out of every comparison until the site maps the name",
        ),
        Quality(
            "Weight not recorded",
            n["no_weight"],
            patients,
            "cannot be put into a size band",
        ),
        Quality("Age not recorded", n["no_age"], patients, "cannot be told child from adult"),
        Quality(
            "Region taken from a name",
            n["inferred"],
            patients,
            "from protocol or description, not from a code",
        ),
        Quality(
            "Patient not linked",
            n["not_linked"],
            patients,
            "empty or placeholder ID; earlier exams are not found",
        ),
        Quality(
            "Not a patient",
            n["not_patient"],
            total,
            "phantom, test or quality control; in no statistic",
        ),
        Quality(
            "With a remark of the reader",
            n["with_issues"],
            total,
            "something in the object was tolerated or could not be read",
        ),
    )


def open_findings(con: Any, *, modality: str = "CT", device: str | None = None) -> pd.DataFrame:
    """Findings that nobody has closed or dismissed, newest first.

    Parameters
    ----------
    con
        From `dose_lib.connect`.
    modality
        Findings on exams of it, and those that are about no single exam.
    device
        Only this one.
    """
    findings = con.table("findings")
    studies = con.table("studies")
    other = studies.filter(studies.modality != modality)[["part_key"]]
    rows = findings.filter(findings.state.isin(["open", "acknowledged"]))
    rows = rows.filter(rows.part_key.isnull() | ~rows.part_key.isin(other.part_key))
    if device is not None:
        rows = rows.filter(rows.device == device)
    columns = ["severity", "title", "summary", "device", "procedure_name", "opened_at", "state"]
    return rows[columns].order_by(rows.opened_at.desc()).to_pandas()


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
    rows = _selected(con, when, modality, None, device)
    patient = _is_patient(rows)
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
