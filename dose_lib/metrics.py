"""Every measure, statistic and dimension, once: for notebooks, dashboards, reports and questions.

A measure is a column expression over the view `studies` (one row an exam part); a statistic
folds a measure over many exams; a dimension groups exams. All are ibis expressions, so that
the same definition runs on DuckDB, on the served store and on Spark.

Every measure counts exams of imported history (known from the export of another dose system
alone) unless they are left out: by the dimension ``origin``, by `from_dicom`, or for everything
on a connection by ``dose_lib.connect(imported_history=False)``.

Examples
--------
>>> from dose_lib import metrics
>>> exams = metrics.patients(con.table("studies"))  # doctest: +SKIP
>>> dlp, room = metrics.MEASURES["dlp"], metrics.DIMENSIONS["room"]  # doctest: +SKIP
>>> exams.group_by(room=room.of(exams)).agg(median=metrics.STATISTICS["median"].of(dlp.of(exams)))
... # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from dose_lib.errors import UsageError, did_you_mean
from dose_lib.records import SizeMethod

# ibis builds attributes at run time; its types would only be noise to the checker.
Table: TypeAlias = Any
Column: TypeAlias = Any

MIXED_SHARE = 0.05
"""Share of the DLP that may lie on another phantom before an exam counts as mixed (ours).

A head exam whose localiser is stated on the body phantom carries under one per cent there.
"""

IMPORTED = "imported history"
"""Value of the dimension `origin` for exams known from an export alone."""

_ICRP_MINIMUM = 20  # patients a practice needs (ICRP 135, reference drl_method §4)


class Measure(NamedTuple):
    """A quantity of one exam part.

    Attributes
    ----------
    name, label, unit, description
        As reports and questions show it; `unit` is None for counts.
    of
        The expression over `studies`; NULL where the exam has no such value.
    minimum_n
        Exams a statistic needs before it is more than a number to look at.
    modalities
        Modality classes it is stated for; empty for all.
    keep_apart
        Dimensions over whose values it must not be pooled: doses on two phantoms.
    quantity
        Quantity of the reference levels it is compared with, if any.
    """

    name: str
    label: str
    unit: str | None
    description: str
    of: Callable[[Table], Column]
    minimum_n: int = _ICRP_MINIMUM
    modalities: tuple[str, ...] = ()
    keep_apart: tuple[str, ...] = ()
    quantity: str | None = None


class Statistic(NamedTuple):
    """A figure over the exams of a group; quantiles interpolate linearly (Hyndman-Fan 7)."""

    name: str
    label: str
    description: str
    of: Callable[[Column], Column]


class Dimension(NamedTuple):
    """A property of an exam part by which exams are grouped.

    `order` lists the values that have an order of their own; unknown values are a group
    called ``unknown`` in bands and NULL elsewhere, never part of another group.
    """

    name: str
    label: str
    description: str
    of: Callable[[Table], Column]
    order: tuple[str, ...] = ()
    is_time: bool = False


def patients(studies: Table) -> Table:
    """Exams of patients: quality control, phantoms and tests left out."""
    return studies.filter(studies.is_patient.fill_null(True))


def from_dicom(studies: Table) -> Table:
    """Exams known from DICOM: imported history left out."""
    return studies.filter(~is_imported(studies))


def is_imported(studies: Table) -> Column:
    """True for exams that only an export of another dose system tells of; never NULL."""
    if "is_history" not in studies.columns:  # a table in memory, a lake of an earlier version
        import ibis

        return ibis.literal(False)
    return studies.is_history.fill_null(False)


def _name(name: str) -> Callable[[Table], Column]:
    return lambda t: t[name]


def _dlp_sum(t: Table) -> Column:
    names = ("dlp_16cm_mgy_cm", "dlp_32cm_mgy_cm", "dlp_10cm_mgy_cm", "dlp_unknown_phantom_mgy_cm")
    total = t[names[0]].fill_null(0)
    for name in names[1:]:
        total = total + t[name].fill_null(0)
    return total


def dlp_on(phantom: str) -> Callable[[Table], Column]:
    """DLP of the exam on one phantom; NULL if more than `MIXED_SHARE` lies on others.

    A comparison with the sum on one phantom would leave out dose of the exam otherwise.
    """

    def of(t: Table) -> Column:
        value = t[f"dlp_{phantom}_mgy_cm"]
        return (value >= (1 - MIXED_SHARE) * _dlp_sum(t)).ifelse(value, None)

    return of


def _dlp(t: Table) -> Column:
    return dlp_on("16cm")(t).coalesce(dlp_on("32cm")(t))


def _ctdi_vol(t: Table) -> Column:
    """The larger one belongs to another phantom than the other: only if there is one."""
    head, body = t.ctdi_vol_16cm_max_mgy, t.ctdi_vol_32cm_max_mgy
    return (head.isnull() | body.isnull()).ifelse(head.coalesce(body), None)


def _agd(t: Table) -> Column:
    left, right = t.agd_left_mgy, t.agd_right_mgy
    return ((left + right) / 2).coalesce(left, right, t.agd_both_mgy)


def _m(
    name: str, label: str, unit: str | None, of: object, description: str, **more: Any
) -> Measure:
    expression = _name(of) if isinstance(of, str) else of
    return Measure(name, label, unit, description, expression, **more)  # type: ignore[arg-type]


_CT = {"modalities": ("CT",)}
_PHANTOM = _CT | {"keep_apart": ("phantom",)}
_PROJECTION = {"modalities": ("RF", "XA", "DX")}

_MEASURES = (
    _m("dlp", "DLP", "mGy.cm", _dlp,
       "Dose-length product of the exam on its one phantom; NULL where phantoms are mixed or "
       "not stated. Head (16 cm) and body (32 cm) values are never pooled.",
       quantity="dlp", **_PHANTOM),
    _m("dlp_16cm", "DLP, 16 cm phantom", "mGy.cm", dlp_on("16cm"),
       "Dose-length product on the 16 cm phantom, for exams that used no other.",
       quantity="dlp", **_CT),
    _m("dlp_32cm", "DLP, 32 cm phantom", "mGy.cm", dlp_on("32cm"),
       "Dose-length product on the 32 cm phantom, for exams that used no other.",
       quantity="dlp", **_CT),
    _m("dlp_total", "DLP as stated", "mGy.cm", "dlp_total_mgy_cm",
       "Dose-length product the scanner states for the exam; may add up two phantoms, so it "
       "is never compared with a level.", **_PHANTOM),
    _m("ctdi_vol", "CTDIvol, largest", "mGy", _ctdi_vol,
       "Largest CTDIvol of the exam's acquisitions without localisers, stationary and bolus "
       "tracking; NULL where both phantoms occur.", **_PHANTOM),
    _m("ssde", "SSDE, largest", "mGy", "ssde_max_mgy",
       "Largest size-specific dose estimate that the scanner states (AAPM 204, 220).", **_CT),
    _m("effective_dose", "Effective dose as stated", "mSv", "effective_dose_msv",
       "Effective dose the scanner states; a figure for populations, never a patient's risk.",
       **_CT),
    _m("ssde_computed", "SSDE, largest, computed", "mGy", "derived_ssde_max_mgy",
       "Largest size-specific dose estimate that we compute from CTDIvol and the size of the "
       "patient (AAPM 204, 220); its method is the dimension size_method.", **_CT),
    _m("ssde_mean", "SSDE, mean, computed", "mGy", "derived_ssde_mean_mgy",
       "Mean of the computed SSDE over the acquisitions, weighted by DLP.", **_CT),
    _m("effective_dose_computed", "Effective dose, computed", "mSv",
       "derived_effective_dose_msv",
       "Effective dose by published factors; a figure for populations, never a patient's risk.",
       modalities=("CT", "XA", "RF")),
    _m("diameter", "Water-equivalent diameter", "mm", "derived_water_equivalent_diameter_mm",
       "Size of the patient's trunk, measured or estimated as the dimension size_method says.",
       **_CT),
    _m("kap", "KAP", "Gy.cm2", "kap_gy_cm2",
       "Kerma-area product of the exam, fluoroscopy and acquisitions; biplane: sum of planes.",
       quantity="kap", **_PROJECTION),
    _m("ka_r", "Air kerma at the reference point", "mGy", "ka_r_mgy",
       "Cumulative air kerma at the reference point; biplane: sum of planes, no skin dose.",
       quantity="ka_r", modalities=("RF", "XA")),
    _m("ka_r_max_plane", "Air kerma at the reference point, larger plane", "mGy",
       "ka_r_max_plane_mgy", "Cumulative air kerma of the larger plane; triggers use this.",
       modalities=("RF", "XA")),
    _m("fluoro_time", "Fluoroscopy time", "s", "fluoro_time_s",
       "Total fluoroscopy time; biplane: sum of planes.", quantity="fluoro_time",
       modalities=("RF", "XA")),
    _m("agd", "Average glandular dose per breast", "mGy", _agd,
       "Accumulated average glandular dose of a breast: mean of left and right, the one where "
       "one was imaged, else the value stated for both.", minimum_n=50, modalities=("MG",)),
    _m("n_events", "Irradiation events", None, "n_events", "Irradiation events of the exam."),
    _m("age", "Age", "a", "age_y", "Age of the patient at the exam.", minimum_n=1),
    _m("weight", "Weight", "kg", "weight_kg", "Weight of the patient.", minimum_n=1),
    _m("count", "Exams", None, "part_key", "Number of exams (exam parts).", minimum_n=1),
)  # fmt: skip

MEASURES: Mapping[str, Measure] = MappingProxyType({m.name: m for m in _MEASURES})

# "dose" without a quantity means, by modality (the field's usual first quantity).
DEFAULT_MEASURE: Mapping[str, str] = MappingProxyType(
    {"CT": "dlp", "RF": "kap", "XA": "kap", "DX": "kap", "MG": "agd"}
)


def _quantile(share: float) -> Callable[[Column], Column]:
    return lambda c: c.quantile(share)


STATISTICS: Mapping[str, Statistic] = MappingProxyType(
    {
        s.name: s
        for s in (
            Statistic("count", "n", "Exams with a value.", lambda c: c.count()),
            Statistic("median", "Median", "Middle value; the typical dose.", _quantile(0.5)),
            Statistic("mean", "Mean", "Arithmetic mean.", lambda c: c.mean()),
            Statistic("p25", "25th percentile", "First quartile.", _quantile(0.25)),
            Statistic("p75", "75th percentile", "Third quartile.", _quantile(0.75)),
            Statistic("p90", "90th percentile", "90th percentile.", _quantile(0.9)),
            Statistic("p95", "95th percentile", "95th percentile.", _quantile(0.95)),
            Statistic("max", "Maximum", "Largest value.", lambda c: c.max()),
            Statistic("min", "Minimum", "Smallest value.", lambda c: c.min()),
            Statistic("sum", "Sum", "Sum of all values.", lambda c: c.sum()),
            Statistic(
                "std", "Standard deviation", "Of the sample (n - 1).", lambda c: c.std(how="sample")
            ),
        )
    }
)

# Paediatric ages of ICRP 135 where no weight is known, then decades of practice.
_AGES = (
    (1 / 12, "under 1 month"), (4, "1 month to 3 y"), (10, "4 to 9 y"), (14, "10 to 13 y"),
    (18, "14 to 17 y"), (40, "18 to 39 y"), (60, "40 to 59 y"), (75, "60 to 74 y"),
    (None, "75 y and more"),
)  # fmt: skip
# Paediatric weights of RP 185, then steps around the standard adult of 50 to 90 kg.
_WEIGHTS = (
    (5, "under 5 kg"), (15, "5 to 14 kg"), (30, "15 to 29 kg"), (50, "30 to 49 kg"),
    (70, "50 to 69 kg"), (90, "70 to 89 kg"), (110, "90 to 109 kg"), (None, "110 kg and more"),
)  # fmt: skip
_UNKNOWN = "unknown"


def _bands(
    column: str, edges: tuple[tuple[float | None, str], ...]
) -> tuple[Callable[[Table], Column], tuple[str, ...]]:
    """Bands that hold their lower end; unknown is a band of its own, NaN counts as unknown."""

    def of(t: Table) -> Column:
        import ibis

        value = t[column]
        known = value.notnull() & ~value.isnan()
        branches = [(~known, _UNKNOWN)]
        branches += [(value < edge, name) for edge, name in edges if edge is not None]
        return ibis.cases(*branches, else_=edges[-1][1])

    return of, (*(name for _, name in edges), _UNKNOWN)


def _weekday(t: Table) -> Column:
    return t.started_at.day_of_week.full_name()


def _trunc(unit: str) -> Callable[[Table], Column]:
    return lambda t: t.started_at.truncate(unit).date()


def _phantom(t: Table) -> Column:
    import ibis

    return ibis.cases(
        (dlp_on("16cm")(t).notnull(), "16 cm"),
        (dlp_on("32cm")(t).notnull(), "32 cm"),
        (t.dlp_unknown_phantom_mgy_cm >= (1 - MIXED_SHARE) * _dlp_sum(t), "not stated"),
        (_dlp_sum(t) > 0, "mixed"),
        else_=None,
    )


def _d(name: str, label: str, of: object, description: str, **more: Any) -> Dimension:
    expression = _name(of) if isinstance(of, str) else of
    return Dimension(name, label, description, expression, **more)  # type: ignore[arg-type]


_age_of, _age_order = _bands("age_y", _AGES)
_weight_of, _weight_order = _bands("weight_kg", _WEIGHTS)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_DIMENSIONS = (
    _d("device", "Device", "device", "Device by the site's name, else as it calls itself."),
    _d("room", "Room", "room", "Room; the unit of comparison with reference levels."),
    _d("site", "Site", "site", "Site or facility."),
    _d("operator", "Operator", "operator", "Who administered it, as the site shows staff."),
    _d("manufacturer", "Manufacturer", "manufacturer", "Maker of the device."),
    _d("model", "Model", "model", "Model of the device."),
    _d("procedure", "Procedure", "procedure_name", "Canonical procedure."),
    _d("protocol", "Protocol", lambda t: t.protocol_names.join(" + "),
       "Protocol names of the exam in order of first use, as recorded."),
    _d("body_region", "Body region", "body_region", "Body region."),
    _d("modality", "Modality", "modality", "Modality class of the exam part."),
    _d("phantom", "Phantom", _phantom, "CTDI phantom of the exam's dose.",
       order=("16 cm", "32 cm", "mixed", "not stated")),
    _d("contrast", "Contrast", "contrast", "Contrast of the diagnostic acquisitions.",
       order=("with", "without", "both")),
    _d("size_method", "Size by", "size_method",
       "How the size of the patient is known, best first; a measure of data quality.",
       order=tuple(m.value for m in SizeMethod)),
    _d("origin", "Origin", lambda t: is_imported(t).ifelse(IMPORTED, "DICOM"),
       "Where the exam is known from: DICOM, or the export of another dose system alone.",
       order=("DICOM", IMPORTED)),
    _d("sex", "Sex", "sex", "Sex as recorded.", order=("F", "M", "O")),
    _d("age_band", "Age", _age_of, "Bands of age (ICRP 135 for children).", order=_age_order),
    _d("weight_band", "Weight", _weight_of, "Bands of weight (RP 185 for children).",
       order=_weight_order),
    _d("weekday", "Weekday", _weekday, "Day of the week, local time.", order=_DAYS),
    _d("hour", "Hour", lambda t: t.started_at.hour(), "Hour of the day, local time."),
    _d("day", "Day", _trunc("D"), "Calendar day, local time.", is_time=True),
    _d("week", "Week", _trunc("W"), "Week from Monday (ISO 8601), local time.", is_time=True),
    _d("month", "Month", _trunc("M"), "Calendar month.", is_time=True),
    _d("quarter", "Quarter", _trunc("Q"), "Calendar quarter.", is_time=True),
    _d("year", "Year", _trunc("Y"), "Calendar year.", is_time=True),
)  # fmt: skip

DIMENSIONS: Mapping[str, Dimension] = MappingProxyType({d.name: d for d in _DIMENSIONS})


def measure(name: str) -> Measure:
    """A measure by name.

    Raises
    ------
    UsageError
        For an unknown name, with the nearest ones.
    """
    if name not in MEASURES:
        raise UsageError(f"unknown measure {name!r}", todo=did_you_mean(name, MEASURES))
    return MEASURES[name]


def dimension(name: str) -> Dimension:
    """A dimension by name.

    Raises
    ------
    UsageError
        For an unknown name, with the nearest ones.
    """
    if name not in DIMENSIONS:
        raise UsageError(f"unknown dimension {name!r}", todo=did_you_mean(name, DIMENSIONS))
    return DIMENSIONS[name]
