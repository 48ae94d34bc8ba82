"""The structured query: the only thing a parser or a model may produce.

The same object is the chips of an answer, the state a follow-up edits, the saved panel, the
notebook parameter and the rule of an alert. Closed sets everywhere; an unknown name is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from dose_lib.questions.period import Period

Measure = Literal[
    "dlp", "ctdivol", "ssde", "dap", "air_kerma", "fluoro_time", "agd", "effective_dose"
]
Statistic = Literal[
    "median", "mean", "p75", "p90", "p95", "max", "min", "sum", "std", "count", "share"
]
Dimension = Literal[
    "operator",
    "device",
    "site",
    "manufacturer",
    "model",
    "procedure",
    "protocol",
    "body_region",
    "modality",
    "sex",
    "age_band",
    "weight_band",
    "weekday",
    "hour",
    "origin",
]
Grain = Literal["hour", "day", "week", "month", "quarter", "year"]
Reference = Literal[
    "local_drl",
    "national_drl",
    "drl",
    "achievable_dose",
    "previous_period",
    "same_period_last_year",
]
Level = Literal["local_drl", "national_drl", "drl", "achievable_dose"]
Chart = Literal["line", "bar", "box", "histogram", "scatter", "control", "table", "heatmap"]
ModalityName = Literal["CT", "XA", "RF", "DX", "MG", "NM", "PT", "PX", "IO", "CBCT"]
FilterField = Literal[
    "weight_kg",
    "age_y",
    "bmi",
    "height_cm",
    "sex",
    "dlp",
    "ctdivol",
    "ssde",
    "dap",
    "air_kerma",
    "fluoro_time_s",
    "agd",
    "effective_dose",
    "origin",
]
Operation = Literal["=", ">", ">=", "<", "<=", "between"]
Words = Field(default=(), max_length=24)

# Slots that say which exams, and that a new subject replaces together.
SUBJECT = ("procedure", "body_region", "modality")
LISTS = (
    *SUBJECT,
    "device",
    "operator",
    "site",
    "manufacturer",
    "group_by",
    "compare_to",
    "filters",
)


# Conditions whose value is a word; `origin` is where an exam is known from.
_WORDS = {"sex": ("F", "M", "O"), "origin": ("DICOM", "imported")}


class Filter(BaseModel):
    """One condition on patient or dose; numbers in the unit of the field's name.

    dlp mGy.cm; ctdivol, ssde, agd, air_kerma mGy; dap Gy.cm2; effective_dose mSv.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: FilterField
    op: Operation
    value: float | tuple[float, float] | Literal["F", "M", "O", "DICOM", "imported"]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        words = _WORDS.get(self.field)
        if words and (self.op != "=" or self.value not in words):
            raise ValueError(f"{self.field} takes = {' or '.join(words)}")
        if not words and isinstance(self.value, str):
            raise ValueError(f"{self.field} takes numbers")
        if (self.op == "between") != isinstance(self.value, tuple):
            raise ValueError("between takes two numbers, every other operation one")
        if isinstance(self.value, tuple) and self.value[0] > self.value[1]:
            raise ValueError("between needs the smaller number first")
        return self


class DoseQuery(BaseModel):
    """A question about dose as closed slots; None or empty means "not said".

    Attributes
    ----------
    measure
        Quantities asked for; empty: the main quantity of each modality (CT DLP; XA, RF and DX
        KAP; MG AGD).
    statistic
        None is the house default: median with third quartile.
    filters
        Conditions every exam must meet.
    period
        Time range, symbolic ("last six weeks") and resolved.
    group_by, grain
        Dimensions and time step of the table.
    compare_to
        Reference levels or earlier periods shown beside the practice.
    exceeds
        Level every exam must exceed; with statistic `share`, the percentage that does.
    chart, order, limit
        Presentation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    measure: tuple[Measure, ...] = Field(default=(), max_length=3)
    statistic: Statistic | None = None
    modality: tuple[ModalityName, ...] = Words
    body_region: tuple[str, ...] = Words
    procedure: tuple[str, ...] = Words
    device: tuple[str, ...] = Words
    operator: tuple[str, ...] = Words
    site: tuple[str, ...] = Words
    manufacturer: tuple[str, ...] = Words
    filters: tuple[Filter, ...] = Field(default=(), max_length=8)
    period: Period | None = None
    group_by: tuple[Dimension, ...] = Field(default=(), max_length=3)
    grain: Grain | None = None
    compare_to: tuple[Reference, ...] = Field(default=(), max_length=4)
    exceeds: Level | None = None
    chart: Chart | None = None
    order: Literal["asc", "desc"] | None = None
    limit: int | None = Field(default=None, ge=1, le=5000)

    @field_validator("body_region", "procedure", "device", "operator", "site", "manufacturer")
    @classmethod
    def _short(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if any(len(v) > 200 or not v for v in values):
            raise ValueError("a name has 1 to 200 characters")
        return values

    @field_validator(*LISTS, "measure")
    @classmethod
    def _once(cls, values: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(dict.fromkeys(values))

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the slots that are set, in the order of the model."""
        return tuple(n for n in type(self).model_fields if getattr(self, n) not in (None, ()))

    def edited(self, **slots: object) -> DoseQuery:
        """A checked copy with some slots changed; None or () clears a slot."""
        values = {n: getattr(self, n) for n in type(self).model_fields} | slots
        cleared = {n for n, v in values.items() if v is None or v == ()}
        return DoseQuery(**{n: v for n, v in values.items() if n not in cleared})

    def to_json(self) -> str:
        """JSON of the slots that are set."""
        return self.model_dump_json(exclude_defaults=True)

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that stand for this query."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]


def merge_filters(old: Iterable[Filter], new: Iterable[Filter]) -> tuple[Filter, ...]:
    """Conditions of `old`, with those of `new` in place of the ones on the same field."""
    fresh = tuple(new)
    fields = {f.field for f in fresh}
    return (*(f for f in old if f.field not in fields), *fresh)
