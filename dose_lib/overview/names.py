"""Which names wait for a person, what a decision would do, and how sizes are known."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dose_lib.charts import Kpi
from dose_lib.charts.words import exams as exams_in_words
from dose_lib.derived import trunk_regions
from dose_lib.mapping import WaitingName, documentation_mismatches, effect_of, find_waiting
from dose_lib.overview.exams import patient_rows
from dose_lib.overview.period import Period
from dose_lib.records import SizeMethod
from dose_lib.settings import Settings, load_settings

if TYPE_CHECKING:
    import pandas as pd

_RULES = {
    "words": "the words of a field",
    "events": "the exposures themselves",
    "site mapping": "a decision of the site",
    "learned": "learned from the site's names",
    "waiting": "waits for a person",
}
# Of the last rung of the ladder nothing was measured: it is no success.
_NOT_KNOWN = ("none", SizeMethod.AGE_BAND.value)


class NameState(NamedTuple):
    """How far the exams of a period have their procedures, and what waits."""

    n_exams: int
    n_named: int
    n_disagreeing: int
    waiting: tuple[WaitingName, ...]

    @property
    def n_waiting(self) -> int:
        """Exams of every day whose name waits."""
        return sum(w.n_exams for w in self.waiting)


def name_state(
    con: Any, when: Period, *, modality: str | None = None, settings: Settings | None = None
) -> NameState:
    """Names of the exams of a period, and all that waits.

    Parameters
    ----------
    con
        From `dose_lib.connect`.
    when
        Period, by the local time the exam started.
    modality
        Only exams of it.
    """
    rows = _patients(con, when, modality)
    counts = rows.aggregate(n=rows.count(), named=rows.procedure_name.count()).to_pyarrow()
    found = counts.to_pylist()[0]
    doubtful = documentation_mismatches(con, start=when.first, end=when.last)
    waiting = find_waiting(con, settings=settings)
    return NameState(
        int(found["n"]),
        int(found["named"]),
        int(doubtful["part_key"].nunique()),
        tuple(w for w in waiting if modality in (None, w.modality)),
    )


def names_answer(state: NameState, when: Period) -> str:
    """The answer to "which names need a decision" in one sentence; `**` marks what is bold."""
    if not state.waiting:
        if not state.n_exams:
            return f"**There is no exam** in {when}, and no name waits."
        return f"**No name waits**: {_share(state.n_named, state.n_exams)} of the exams are named."
    n = len(state.waiting)
    names = "1 name waits" if n == 1 else f"{n} names wait"
    first = state.waiting[0]
    return (
        f"**{names} for a decision**; {exams_in_words(state.n_waiting)} cannot be compared until "
        f"then. Most of them are called '{first.text}' ({exams_in_words(first.n_exams)})."
    )


def _share(n: int, of: int) -> str:
    return f"{100.0 * n / of:.1f} %" if of else "none"


def name_figures(state: NameState) -> list[Kpi]:
    """The figures of the page on names."""
    return [
        Kpi("Exams", state.n_exams, None, "of patients in the period"),
        Kpi("With a procedure", _share(state.n_named, state.n_exams)),
        Kpi("Names that wait", len(state.waiting), None, exams_in_words(state.n_waiting)),
        Kpi("Words and scans disagree", state.n_disagreeing, None, "exams in the period"),
    ]


def waiting_table(state: NameState) -> pd.DataFrame:
    """Every name that waits: exams, what it may mean, how sure that is and why."""
    import pandas as pd

    columns = ["name", "modality", "n_exams", "perhaps", "confidence", "evidence", "irradiated",
               "devices"]  # fmt: skip
    rows = [
        (
            w.text, w.modality, w.n_exams, w.best and w.best.procedure_name,
            w.best and round(w.best.confidence, 2), w.best and w.best.evidence,
            ", ".join(w.regions) or None, ", ".join(w.devices),
        )
        for w in state.waiting
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def decisions_table(
    con: Any, state: NameState, *, top: int = 8, settings: Settings | None = None
) -> pd.DataFrame:
    """What accepting the likeliest procedure of each name would do, and how to do it.

    Returns
    -------
    pandas.DataFrame
        ``name, perhaps, effect, command`` for the names of most exams.
    """
    import pandas as pd

    settings = settings or load_settings()
    rows = [
        (w.text, w.best.procedure_name, _effect(con, w, settings), command(w))
        for w in state.waiting[:top]
        if w.best is not None
    ]
    return pd.DataFrame(rows, columns=["name", "perhaps", "effect", "command"])


def _effect(con: Any, name: WaitingName, settings: Settings) -> str:
    assert name.best is not None  # noqa: S101 - the caller asked
    procedure = name.best.procedure_name
    effect = effect_of(con, name.subject, procedure, modality=name.modality, settings=settings)
    return effect.in_words()


def command(name: WaitingName) -> str:
    """The command that accepts the likeliest procedure of a name."""
    best = "PROCEDURE" if name.best is None else name.best.procedure_name
    words: Sequence[str] = ("dose", "map", "accept", name.text, best, "--modality", name.modality,
                            "--because")  # fmt: skip
    return f"{shlex.join(words)} WHY"


def naming_rules(con: Any, when: Period, *, modality: str | None = None) -> pd.DataFrame:
    """By which rule the exams of a period got their procedure.

    Returns
    -------
    pandas.DataFrame
        ``named_by, n_exams, share_percent``.
    """
    import pandas as pd

    rows = _patients(con, when, modality)
    rule = rows.procedure_rule.fill_null("none")
    counted = rows.group_by(rule=rule, is_named=rows.procedure_name.notnull()).aggregate(
        n=lambda t: t.count()
    )
    found: dict[str, int] = {}
    for row in counted.to_pyarrow().to_pylist():
        told = _RULES.get(row["rule"], "nothing says it")
        if not row["is_named"] and row["rule"] in ("words", "events", "learned"):
            told = "words and scans disagree"
        elif not row["is_named"] and row["rule"] == "site mapping":
            told = "none, by decision of the site"
        found[told] = found.get(told, 0) + int(row["n"])
    total = sum(found.values())
    table = [(told, n, 100.0 * n / total) for told, n in sorted(found.items(), key=_most)]
    return pd.DataFrame(table, columns=["named_by", "n_exams", "share_percent"])


def _most(pair: tuple[str, int]) -> tuple[int, str]:
    return -pair[1], pair[0]


def size_methods(con: Any, when: Period, *, modality: str = "CT") -> pd.DataFrame:
    """By which method the size of the patients is known; a measure of the data's quality.

    Returns
    -------
    pandas.DataFrame
        ``method, n_exams, share_percent, is_known`` of the exams of the trunk, best method first;
        of the age band nothing was measured, so it counts as not known.
    """
    import pandas as pd

    rows = _patients(con, when, modality)
    rows = rows.filter(rows.body_region.isin(trunk_regions()))
    counted = rows.group_by(method=rows.size_method.fill_null("none")).aggregate(
        n=lambda t: t.count()
    )
    found = {r["method"]: int(r["n"]) for r in counted.to_pyarrow().to_pylist()}
    order = [*(m.value for m in SizeMethod), "none"]
    total = sum(found.values())
    table = [
        (method.replace("_", " "), found[method], 100.0 * found[method] / total,
         method not in _NOT_KNOWN)
        for method in sorted(found, key=lambda m: order.index(m) if m in order else 99)
    ]  # fmt: skip
    return pd.DataFrame(table, columns=["method", "n_exams", "share_percent", "is_known"])


def _patients(con: Any, when: Period, modality: str | None) -> Any:
    studies = con.table("studies")
    start, end = when.bounds
    rows = studies.filter(studies.started_at >= start, studies.started_at < end)
    rows = rows.filter(patient_rows(rows))
    return rows if modality is None else rows.filter(rows.modality == modality)
