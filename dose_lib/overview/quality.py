"""How complete the data behind the numbers are, and what nobody has closed yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dose_lib import metrics
from dose_lib.derived import trunk_regions
from dose_lib.overview.exams import patient_rows, selected
from dose_lib.overview.period import Period
from dose_lib.records import SizeMethod

if TYPE_CHECKING:
    import pandas as pd


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

    rows = selected(con, when, modality, None, device)
    patient = patient_rows(rows)
    facts = rows.aggregate(
        total=rows.count(),
        patients=rows.count(where=patient),
        not_patient=rows.count(where=~patient),
        no_weight=rows.count(where=patient & rows.weight_kg.isnull()),
        no_size=rows.count(where=patient & _is_trunk(rows) & ~_is_size_known(rows)),
        trunk=rows.count(where=patient & _is_trunk(rows)),
        no_age=rows.count(where=patient & rows.age_y.isnull()),
        no_procedure=rows.count(where=patient & rows.procedure_name.isnull()),
        inferred=rows.count(where=patient & rows.is_body_region_inferred.fill_null(False)),
        not_linked=rows.count(where=patient & ~rows.is_linked.fill_null(False)),
        with_issues=rows.count(where=rows.n_issues.fill_null(0) > 0),
        imported=rows.count(where=patient & metrics.is_imported(rows)),
    ).to_pyarrow()
    found = facts.to_pylist()[0]
    checks = _checks({name: int(value) for name, value in found.items()})
    columns = ["check", "n", "of", "share_percent", "meaning"]
    table = [(c.check, c.n, c.of, c.share_percent, c.meaning) for c in checks if found["total"]]
    return pd.DataFrame(table, columns=columns)


def _is_trunk(rows: Any) -> Any:
    """CT exams of the trunk, whose size has methods."""
    return (rows.modality == "CT") & rows.body_region.isin(trunk_regions())


def _is_size_known(rows: Any) -> Any:
    """True where the size was measured, stated, or follows from a weight of the patient."""
    return rows.size_method.notnull() & (rows.size_method != SizeMethod.AGE_BAND.value)


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
        *(
            (
                Quality(
                    "Size not known, or by age and sex alone",
                    n["no_size"],
                    n["trunk"],
                    "CT of the trunk: no SSDE for adults; methods: which_names_need_a_decision",
                ),
            )
            if n["trunk"]
            else ()
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
        Quality(
            "Imported history",
            n["imported"],
            patients,
            "known from another dose system alone; counts unless imported_history is False",
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
