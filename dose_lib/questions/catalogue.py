"""Measures and dimensions of the question box as ibis expressions on the view `studies`.

The one place that names columns; `dose_lib.metrics` may take its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import ibis

# Main quantity of a modality where none is named.
MAIN_MEASURE = {
    "CT": "dlp",
    "XA": "dap",
    "RF": "dap",
    "DX": "dap",
    "PX": "dap",
    "IO": "dap",
    "CBCT": "dap",
    "MG": "agd",
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
_AGES = (0, 1, 5, 10, 16, 40, 65, 80)
_WEIGHTS = (0, 5, 15, 30, 50, 70, 90, 110)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


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


def _agd(table: Any) -> Any:
    return ibis.greatest(
        clean(table.agd_left_mgy), clean(table.agd_right_mgy), clean(table.agd_both_mgy)
    )


def _air_kerma(table: Any) -> Any:
    return clean(table.ka_r_max_plane_mgy.coalesce(table.ka_r_mgy))


def _dlp_one_phantom(table: Any, phantom: str) -> Any:
    """DLP where the whole exam stands on one phantom, else NULL (never compared if mixed)."""
    other = "32cm" if phantom == "16cm" else "16cm"
    on, off = clean(table[f"dlp_{phantom}_mgy_cm"]), clean(table[f"dlp_{other}_mgy_cm"])
    return ibis.ifelse(off.fill_null(0.0) > 0, ibis.null("float64"), on)


QUANTITIES: dict[str, tuple[Quantity, ...]] = {
    "dlp": (
        Quantity("dlp", "dlp_total_mgy_cm", "DLP", "mGy·cm", _column("dlp_total_mgy_cm"), "dlp"),
    ),
    "ctdivol": tuple(
        Quantity(
            "ctdivol",
            f"ctdi_vol_{phantom}_max_mgy",
            f"CTDIvol ({phantom.replace('cm', ' cm')} phantom)",
            "mGy",
            _column(f"ctdi_vol_{phantom}_max_mgy"),
            "ctdi_vol",
            phantom,
            ("scan", "exam"),
        )
        for phantom in ("16cm", "32cm")
    ),
    "ssde": (Quantity("ssde", "ssde_max_mgy", "SSDE", "mGy", _column("ssde_max_mgy")),),
    "dap": (Quantity("dap", "kap_gy_cm2", "KAP", "Gy·cm²", _column("kap_gy_cm2"), "kap"),),
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
            _column("fluoro_time_s"),
            "fluoro_time",
        ),
    ),
    "agd": (Quantity("agd", "agd_max_breast_mgy", "AGD, breast with more dose", "mGy", _agd),),
    "effective_dose": (
        Quantity(
            "effective_dose",
            "effective_dose_msv",
            "Effective dose as the scanner states it",
            "mSv",
            _column("effective_dose_msv"),
        ),
    ),
}


def level_value(quantity: Quantity, phantom: str | None) -> Callable[[Any], Any]:
    """What of an exam is compared with a level on a phantom."""
    if quantity.measure == "dlp" and phantom:
        return lambda table: _dlp_one_phantom(table, phantom)
    return quantity.value


def filter_value(table: Any, field: str) -> Any:
    """The number a condition looks at; a CTDIvol is the larger of the phantoms."""
    if field in FILTER_COLUMNS:
        return clean(table[FILTER_COLUMNS[field]])
    values = [q.value(table) for q in QUANTITIES[field]]
    return values[0] if len(values) == 1 else ibis.greatest(*values)


def dimension(table: Any, name: str) -> Any:
    """The column a result is grouped by; unknown is a group of its own."""
    if name in VALUE_COLUMNS:
        return table[VALUE_COLUMNS[name]].cast("string").fill_null(UNKNOWN)
    if name == "protocol":
        return table.protocol_names[0].cast("string").fill_null(UNKNOWN)
    if name == "age_band":
        return _band(table.age_y, _AGES, "years")
    if name == "weight_band":
        return _band(table.weight_kg, _WEIGHTS, "kg")
    if name == "weekday":
        return table.started_at.day_of_week.index() + 1
    if name == "hour":
        return table.started_at.hour()
    return table[name].cast("string").fill_null(UNKNOWN)


def _label(low: int, high: int | None, unit: str) -> str:
    if high is None:
        return f"{low} {unit} and more"
    return f"under {high} {unit}" if low == 0 else f"{low} to under {high} {unit}"


def band_labels(name: str) -> tuple[str, ...]:
    """Labels of a band dimension in order, the unknown last."""
    edges, unit = (_AGES, "years") if name == "age_band" else (_WEIGHTS, "kg")
    highs: tuple[int | None, ...] = (*edges[1:], None)
    return (*(_label(low, high, unit) for low, high in zip(edges, highs, strict=True)), UNKNOWN)


def _band(column: Any, edges: tuple[int, ...], unit: str) -> Any:
    value = clean(column)
    highs: tuple[int | None, ...] = (*edges[1:], None)
    branches = [
        (value < high if high is not None else value >= low, _label(low, high, unit))
        for low, high in zip(edges, highs, strict=True)
    ]
    return ibis.ifelse(value.isnull(), UNKNOWN, ibis.cases(*branches, else_=UNKNOWN))


def weekday_name(number: int) -> str:
    """Name of ISO weekday 1 to 7."""
    return _WEEKDAYS[number - 1]


# dimension -> column name in results
RESULT_COLUMNS = {**{d: d for d in ("model", "protocol", "sex", "age_band", "weight_band")}}
RESULT_COLUMNS |= {"weekday": "weekday", "hour": "hour_of_day"} | VALUE_COLUMNS
