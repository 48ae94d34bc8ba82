"""Exams whose words and whose acquisitions disagree: what was coded is not what was done."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from dose_lib.normalise import DISAGREEMENTS

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "started_at", "device", "name", "procedure_name", "about", "seen", "is_habit", "code",
    "part_key",
)  # fmt: skip
_HABIT_SHARE = 0.5  # of the exams of a name on a device: then the name means something else there
_HABIT_N = 5


def documentation_mismatches(
    con: Any,
    *,
    start: date | None = None,
    end: date | None = None,
    device: str | None = None,
    with_habits: bool = True,
) -> pd.DataFrame:
    """Exams of patients in which more, less or something else was done than was coded.

    Parameters
    ----------
    con
        From `dose_lib.connect`.
    start, end
        First and last day, inclusive.
    device
        Only this one.
    with_habits
        False to leave out names that nearly always disagree in the same way on a device: there
        the name means something else, and mapping it is the answer (`dose map review`).

    Returns
    -------
    pandas.DataFrame
        ``started_at, device, name, procedure_name, about, seen, is_habit, code, part_key``, one
        row a disagreement, the latest exam first; `about` is region, length or phases.
    """
    exams = _exams(con, start, end, device)
    exams = exams.mutate(n_exams=exams.count().over(group_by=["device", "name"]))
    issues = con.table("issue")
    issues = issues.filter(issues.code.isin(list(DISAGREEMENTS)))
    joined = exams.inner_join(issues.select("part_key", "code", "seen"), "part_key")
    joined = joined.mutate(n=joined.count().over(group_by=["device", "name", "code"]))
    is_habit = (joined.n >= _HABIT_N) & (joined.n >= _HABIT_SHARE * joined.n_exams)
    rows = joined.mutate(is_habit=is_habit, about=joined.code.substitute(DISAGREEMENTS))
    if not with_habits:
        rows = rows.filter(~rows.is_habit)
    ordered = rows.order_by(rows.started_at.desc(), rows.part_key, rows.code)
    table: pd.DataFrame = ordered.select(*COLUMNS).to_pyarrow().to_pandas()
    return table


def _exams(con: Any, start: date | None, end: date | None, device: str | None) -> Any:
    studies = con.table("studies")
    rows = studies.filter(studies.is_patient.fill_null(True))
    if start is not None:
        rows = rows.filter(rows.started_at >= datetime.combine(start, time()))
    if end is not None:
        rows = rows.filter(rows.started_at < datetime.combine(end + timedelta(days=1), time()))
    if device is not None:
        rows = rows.filter(rows.device == device)
    name = rows.study_description.fill_null(rows.requested_procedure["meaning"])
    return rows.select(
        "part_key", "started_at", "device", "procedure_name", name=name.fill_null("")
    )


def mismatch_counts(con: Any, **scope: Any) -> pd.DataFrame:
    """Disagreements by device and name: how many exams, of how many, and about what.

    Parameters
    ----------
    con
        From `dose_lib.connect`.
    **scope
        As in `documentation_mismatches`.

    Returns
    -------
    pandas.DataFrame
        ``device, name, about, n_exams, is_habit, example``; most exams first.
    """
    rows = documentation_mismatches(con, **scope)
    grouped = rows.groupby(["device", "name", "about", "is_habit"], dropna=False, as_index=False)
    counts = grouped.agg(n_exams=("part_key", "nunique"), example=("seen", "first"))
    columns = ["device", "name", "about", "n_exams", "is_habit", "example"]
    return counts.sort_values("n_exams", ascending=False, kind="stable")[columns].reset_index(
        drop=True
    )
