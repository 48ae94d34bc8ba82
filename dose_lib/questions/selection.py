"""Which exams a query is about: its conditions on the view `studies`, each with its words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from dose_lib import metrics
from dose_lib.questions.catalogue import FILTER_COLUMNS, VALUE_COLUMNS, filter_value
from dose_lib.questions.period import Period
from dose_lib.questions.query import DoseQuery, Filter

_SIGN = {"=": "=", ">": "over", ">=": "at least", "<": "under", "<=": "at most"}
_UNIT = {
    "weight_kg": "kg",
    "age_y": "years",
    "bmi": "kg/m²",
    "height_cm": "cm",
    "dlp": "mGy·cm",
    "dap": "Gy·cm²",
    "fluoro_time_s": "s",
    "effective_dose": "mSv",
}
_NAME = {
    "weight_kg": "weight",
    "age_y": "age",
    "bmi": "BMI",
    "height_cm": "height",
    "dlp": "DLP",
    "ctdivol": "CTDIvol",
    "ssde": "SSDE",
    "dap": "KAP",
    "air_kerma": "air kerma",
    "fluoro_time_s": "fluoroscopy time",
    "agd": "AGD",
    "effective_dose": "effective dose",
}
_WORDS = {
    "F": "women",
    "M": "men",
    "O": "sex other",
    "DICOM": "exams known from DICOM",
    "imported": "imported history",
}
PATIENT_FIELDS = ("weight_kg", "age_y", "bmi", "height_cm", "sex", "origin")


class Condition(NamedTuple):
    """One condition: the slot it comes from, its words, the ibis predicate on the view."""

    slot: str
    words: str
    predicate: Any


def filter_words(condition: Filter) -> str:
    """A condition in words, as `weight over 80 kg`."""
    if isinstance(condition.value, str):
        return _WORDS[condition.value]
    name, unit = _NAME[condition.field], _UNIT.get(condition.field, "mGy")
    if isinstance(condition.value, tuple):
        low, high = condition.value
        return f"{name} {low:g} to {high:g} {unit}"
    if condition.field == "fluoro_time_s" and condition.value >= 60:
        return f"{name} {_SIGN[condition.op]} {condition.value / 60:g} min"
    return f"{name} {_SIGN[condition.op]} {condition.value:g} {unit}"


def predicate(table: Any, condition: Filter) -> Any:
    """A condition as ibis; what is not recorded never meets it."""
    if condition.field == "origin":
        return metrics.is_imported(table) == (condition.value == "imported")
    if isinstance(condition.value, str):
        return (table.sex.cast("string") == condition.value).fill_null(False)
    value = filter_value(table, condition.field)
    if isinstance(condition.value, tuple):
        found = (value >= condition.value[0]) & (value <= condition.value[1])
    elif condition.op == "=" and condition.field == "age_y":
        found = value.floor() == condition.value  # "5 years old" lasts a year
    else:
        found = {
            "=": value == condition.value,
            ">": value > condition.value,
            ">=": value >= condition.value,
            "<": value < condition.value,
            "<=": value <= condition.value,
        }[condition.op]
    return found.fill_null(False)


def in_period(table: Any, period: Period | None) -> list[Any]:
    """Local time of the exam from midnight of the first day to midnight after the last."""
    midnight = datetime.min.time()
    found = []
    if period and period.start:
        found.append(table.started_at >= datetime.combine(period.start, midnight))
    if period and period.end:
        found.append(table.started_at < datetime.combine(period.end, midnight))
    return found


def conditions(table: Any, query: DoseQuery, filters: Sequence[Filter]) -> list[Condition]:
    """Every condition of a query but its period."""
    found = [Condition("patients", "patients only", table.is_patient.fill_null(True))]
    for slot, column in VALUE_COLUMNS.items():
        values = getattr(query, slot)
        if values:
            words = " or ".join(values)
            found.append(Condition(slot, words, table[column].cast("string").isin(list(values))))
    found.extend(Condition("filters", filter_words(f), predicate(table, f)) for f in filters)
    return found


def select(studies: Any, query: DoseQuery, filters: Sequence[Filter], period: Period | None) -> Any:
    """Exams of patients that meet the conditions in a period."""
    met = [c.predicate for c in conditions(studies, query, filters)]
    return studies.filter(*met, *in_period(studies, period))


def why_empty(studies: Any, query: DoseQuery, period: Period | None) -> tuple[str, ...]:
    """For an empty result, which single condition stands in the way."""
    every = conditions(studies, query, query.filters)
    if within := in_period(studies, period):
        together = within[0]
        for more in within[1:]:
            together = together & more
        words = period.to_text() if period else ""
        every.append(Condition("period", words, together))
    counts = {"all": studies.count()}
    for number, left_out in enumerate(every):
        others = [c.predicate for c in every if c is not left_out]
        met = others[0] if others else None
        for other in others[1:]:
            met = met & other
        counts[f"without_{number}"] = (
            studies.count(where=met) if met is not None else studies.count()
        )
    found = studies.aggregate(**counts).to_pyarrow().to_pylist()[0]
    if not found["all"]:
        return ("The store holds no exam yet.",)
    reasons = [
        f"without “{c.words}” there would be {found[f'without_{n}']:,}"
        for n, c in enumerate(every)
        if found[f"without_{n}"] and c.slot != "patients"
    ]
    if reasons:
        return tuple(f"No exam meets all conditions; {r}." for r in reasons)
    return ("No exam meets these conditions, and no single one of them alone is the reason.",)


def dose_filters(query: DoseQuery) -> tuple[Filter, ...]:
    """Conditions on dose, apart from those on the patient."""
    return tuple(f for f in query.filters if f.field not in PATIENT_FIELDS)


__all__ = [
    "FILTER_COLUMNS",
    "PATIENT_FIELDS",
    "Condition",
    "conditions",
    "dose_filters",
    "filter_words",
    "in_period",
    "predicate",
    "select",
    "why_empty",
]
