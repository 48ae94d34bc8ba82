"""Measures and dimensions of the question box as ibis expressions on the view `studies`.

Definitions are those of `dose_lib.metrics`; here is what a question makes of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import ibis

from dose_lib import metrics
from dose_lib.questions.query import Measure

# The names of `metrics` for the measures of a question.
_METRICS = {"dap": "kap", "ctdivol": "ctdi_vol"}
_ASKED = {v: k for k, v in _METRICS.items()}
# Main quantity of a modality where none is named.
MAIN_MEASURE: dict[str, Measure] = {
    m: _ASKED.get(name, name)  # type: ignore[misc]
    for m, name in metrics.DEFAULT_MEASURE.items()
}
FILTER_COLUMNS = {
    "weight_kg": "weight_kg",
    "age_y": "age_y",
    "bmi": "bmi_kg_per_m2",
    "height_cm": "height_cm",
    "fluoro_time_s": "fluoro_time_s",
}
VALUE_COLUMNS = {
    "modality": "modality",
    "body_region": "body_region",
    "procedure": "procedure_name",
    "device": "device",
    "operator": "operator",
    "site": "site",
    "manufacturer": "manufacturer",
}
UNKNOWN = "not recorded"
ORDERED = ("age_band", "weight_band", "weekday")


class Quantity(NamedTuple):
    """One column a measure is read from.

    `name` is the column in results, unit in the name; `level` the quantity of reference
    levels and `phantom` the CTDI phantom it stands on; `per` what such levels are per.
    """

    measure: str
    name: str
    label: str
    unit: str
    value: Callable[[Any], Any]
    level: str | None = None
    phantom: str | None = None
    per: tuple[str, ...] = ("exam",)


def clean(value: Any) -> Any:
    """A number without NaN and infinity, which DuckDB holds to be larger than any number."""
    number = value.cast("float64")
    return ibis.ifelse(number.isnan() | number.isinf(), ibis.null("float64"), number)


def _column(name: str) -> Callable[[Any], Any]:
    return lambda table: clean(table[name])


def _metric(name: str) -> Callable[[Any], Any]:
    return lambda table: clean(metrics.MEASURES[name].of(table))


def _air_kerma(table: Any) -> Any:
    """That of the larger plane: the sum of two planes is no dose of any skin."""
    return clean(table.ka_r_max_plane_mgy.coalesce(table.ka_r_mgy))


def _dlp_no_phantom(table: Any) -> Any:
    """DLP as stated by an exam that names no phantom."""
    named = table.dlp_16cm_mgy_cm.notnull() | table.dlp_32cm_mgy_cm.notnull()
    return ibis.ifelse(named, ibis.null("float64"), clean(table.dlp_total_mgy_cm))


def _by_phantom(
    measure: str,
    label: str,
    unit: str,
    *,
    columns: tuple[str, str],
    level: str,
    per: tuple[str, ...],
) -> tuple[Quantity, ...]:
    """One quantity a CTDI phantom; doses on two phantoms are never pooled."""
    return tuple(
        Quantity(
            measure,
            column,
            f"{label} ({phantom.replace('cm', ' cm')} phantom)",
            unit,
            clean_of(column, phantom),
            level,
            phantom,
            per,
        )
        for column, phantom in zip(columns, ("16cm", "32cm"), strict=True)
    )


def clean_of(column: str, phantom: str) -> Callable[[Any], Any]:
    """A column on one phantom; a DLP only where the exam used no other."""
    if column.startswith("dlp_"):
        return _metric(f"dlp_{phantom}")
    return _column(column)


QUANTITIES: dict[str, tuple[Quantity, ...]] = {
    "dlp": (
        *_by_phantom(
            "dlp",
            "DLP",
            "mGy·cm",
            columns=("dlp_16cm_mgy_cm", "dlp_32cm_mgy_cm"),
            level="dlp",
            per=("exam",),
        ),
        Quantity("dlp", "dlp_total_mgy_cm", "DLP, phantom not stated", "mGy·cm", _dlp_no_phantom),
    ),
    "ctdivol": _by_phantom(
        "ctdivol",
        "CTDIvol",
        "mGy",
        columns=("ctdi_vol_16cm_max_mgy", "ctdi_vol_32cm_max_mgy"),
        level="ctdi_vol",
        per=("scan", "exam"),
    ),
    "ssde": (Quantity("ssde", "ssde_max_mgy", "SSDE", "mGy", _metric("ssde")),),
    "dap": (Quantity("dap", "kap_gy_cm2", "KAP", "Gy·cm²", _metric("kap"), "kap"),),
    "air_kerma": (
        Quantity(
            "air_kerma",
            "ka_r_max_plane_mgy",
            "Air kerma at the reference point",
            "mGy",
            _air_kerma,
            "ka_r",
        ),
    ),
    "fluoro_time": (
        Quantity(
            "fluoro_time",
            "fluoro_time_s",
            "Fluoroscopy time",
            "s",
            _metric("fluoro_time"),
            "fluoro_time",
        ),
    ),
    "agd": (Quantity("agd", "agd_per_breast_mgy", "AGD per breast", "mGy", _metric("agd")),),
    "effective_dose": (
        Quantity(
            "effective_dose",
            "effective_dose_msv",
            "Effective dose as the scanner states it",
            "mSv",
            _metric("effective_dose"),
        ),
    ),
}
# Of single exams in a list: what the object states, whatever the phantom.
LISTED = {
    "dlp": Quantity(
        "dlp", "dlp_total_mgy_cm", "DLP as stated", "mGy·cm", _column("dlp_total_mgy_cm")
    )
}


def level_value(quantity: Quantity, phantom: str | None) -> Callable[[Any], Any]:
    """What of an exam is compared with a level on a phantom."""
    if quantity.measure == "dlp" and phantom:
        return _metric(f"dlp_{phantom}")
    if quantity.measure == "air_kerma":  # published levels are of the sum of planes
        return _metric("ka_r")
    return quantity.value


def filter_value(table: Any, field: str) -> Any:
    """The number a condition looks at; a CTDIvol is the larger of the phantoms."""
    if field in FILTER_COLUMNS:
        return clean(table[FILTER_COLUMNS[field]])
    if field in LISTED:
        return LISTED[field].value(table)
    values = [q.value(table) for q in QUANTITIES[field]]
    return values[0] if len(values) == 1 else ibis.greatest(*values)


def dimension(table: Any, name: str) -> Any:
    """The column a result is grouped by; what is not recorded is a group of its own."""
    column = metrics.DIMENSIONS[name].of(table)
    return column if name == "hour" else column.cast("string").fill_null(UNKNOWN)


def order_of(name: str) -> tuple[str, ...]:
    """Values of a dimension that have an order of their own; empty for the others."""
    order = metrics.DIMENSIONS[name].order
    return (*order, UNKNOWN) if order else ()


# dimension -> column name in results
RESULT_COLUMNS: dict[str, str] = {d: d for d in metrics.DIMENSIONS}
RESULT_COLUMNS |= VALUE_COLUMNS | {"hour": "hour_of_day"}
