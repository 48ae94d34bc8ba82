"""A query and its result in words: how it was understood, from what, and what came out."""

from __future__ import annotations

from typing import Any, NamedTuple

from dose_lib.questions.catalogue import QUANTITIES
from dose_lib.questions.parser import Interpretation
from dose_lib.questions.query import DoseQuery
from dose_lib.questions.reading import Origin
from dose_lib.questions.reference_lines import LABELS
from dose_lib.questions.result import Block, Result
from dose_lib.questions.selection import filter_words

_MEASURES = {
    "dlp": "DLP",
    "ctdivol": "CTDIvol",
    "ssde": "SSDE",
    "dap": "KAP",
    "air_kerma": "air kerma at the reference point",
    "fluoro_time": "fluoroscopy time",
    "agd": "average glandular dose",
    "effective_dose": "effective dose",
}
_STATISTICS = {
    "median": "median",
    "mean": "mean",
    "p75": "75th percentile",
    "p90": "90th percentile",
    "p95": "95th percentile",
    "max": "maximum",
    "min": "minimum",
    "sum": "sum",
    "std": "standard deviation",
    "count": "number of exams",
    "share": "share of exams",
}
_DIMENSIONS = {
    "operator": "operator",
    "device": "scanner or device",
    "procedure": "procedure",
    "body_region": "region",
    "age_band": "age band",
    "weight_band": "weight band",
    "hour": "hour of the day",
    "origin": "origin (DICOM or imported history)",
}
_COMPARED = LABELS | {
    "previous_period": "the period before",
    "same_period_last_year": "the same period last year",
}
_CHARTS = {"line": "trend", "box": "box plot", "bar": "bar chart", "control": "control chart"}
_NAMED: dict[str, dict[str, str]] = {
    "measure": _MEASURES,
    "statistic": _STATISTICS,
    "group_by": _DIMENSIONS,
    "compare_to": _COMPARED,
    "exceeds": _COMPARED,
    "chart": _CHARTS,
}
_TITLES = {
    "measure": "Quantity",
    "statistic": "Statistic",
    "modality": "Modality",
    "body_region": "Region",
    "procedure": "Procedure",
    "device": "Device",
    "operator": "Operator",
    "site": "Site",
    "manufacturer": "Manufacturer",
    "filters": "Only",
    "period": "Period",
    "group_by": "By",
    "grain": "Each",
    "compare_to": "Compared with",
    "exceeds": "Over",
    "chart": "Picture",
    "order": "Order",
    "limit": "At most",
}
_SOURCES = {
    "words": "from your words",
    "typo": "typing error mended",
    "default": "default",
    "previous": "from the question before",
    "model": "read by the model",
    "assumed": "assumed",
    "edited": "set by you",
}


class Chip(NamedTuple):
    """One slot of the reading: name, value and where the value came from."""

    slot: str
    title: str
    value: str
    source: str
    words: str

    @property
    def origin(self) -> str:
        """Where it came from, in words."""
        said = _SOURCES.get(self.source, self.source)
        return f"{said}: “{self.words}”" if self.words else said


def value_words(query: DoseQuery, slot: str) -> str:
    """The value of a slot in words."""
    value = getattr(query, slot)
    if slot == "filters":
        return ", ".join(filter_words(f) for f in value)
    if slot == "period":
        return str(value.to_text())
    if slot == "order":
        return "largest first" if value == "desc" else "smallest first"
    named = _NAMED.get(slot, {})
    values = value if isinstance(value, tuple) else (value,)
    return ", ".join(named.get(v, str(v)) for v in values)


def chips(reading: Interpretation, result: Result | None) -> tuple[Chip, ...]:
    """Every slot with its origin, the defaults that were taken included."""
    query = reading.query
    if query is None:
        return ()
    found = []
    for slot in query.slots:
        origin = reading.origins.get(slot, Origin("words"))
        found.append(
            Chip(slot, _TITLES[slot], value_words(query, slot), origin.source, origin.words)
        )
    found.extend(_defaults(query, result))
    return tuple(found)


def _defaults(query: DoseQuery, result: Result | None) -> list[Chip]:
    def default(slot: str, value: str) -> Chip:
        return Chip(slot, _TITLES[slot], value, "default", "")

    found = []
    is_list = bool(result and result.is_list)
    if query.statistic is None and not is_list:
        found.append(default("statistic", "median and 75th percentile"))
    if not query.measure and query.statistic != "count" and result and result.blocks:
        named = [b.quantity.label for b in result.blocks if b.quantity]
        if named:
            found.append(default("measure", ", ".join(dict.fromkeys(named))))
    if query.period is None:
        taken = result.period.to_text() if result and result.period else "all dates"
        found.append(default("period", taken))
    if result and result.grain and query.grain is None:
        found.append(default("grain", result.grain))
    found.append(Chip("patients", "Exams", "patients only", "default", ""))
    return found


def sentence(query: DoseQuery, result: Result | None) -> str:
    """How the question was understood, as one sentence."""
    parts = [_what(query, result)]
    if subject := _subject(query):
        parts.append(f"of {subject}")
    for slot, word in (
        ("device", "on"),
        ("operator", "by"),
        ("site", "at"),
        ("manufacturer", "of"),
    ):
        if values := getattr(query, slot):
            parts.append(f"{word} {' and '.join(values)}")
    if query.filters:
        parts.append("only " + ", ".join(filter_words(f) for f in query.filters))
    if query.exceeds:
        parts.append(f"over the {_COMPARED[query.exceeds]}")
    parts.append(query.period.to_text() if query.period else "over all dates")
    steps = [_DIMENSIONS.get(d, d) for d in query.group_by]
    if result and result.grain:
        steps.append(result.grain)
    if steps:
        parts.append("by " + " and ".join(steps))
    if query.compare_to:
        parts.append("compared with " + " and ".join(_COMPARED[c] for c in query.compare_to))
    if query.limit:
        where = "first" if query.order != "asc" else "smallest"
        parts.append(f"the {where} {query.limit}" if query.limit > 1 else "the first one")
    text = ", ".join(parts)
    return text[:1].upper() + text[1:] + "."


def _what(query: DoseQuery, result: Result | None) -> str:
    if query.statistic == "count":
        return "number of exams"
    if query.statistic == "share":
        return "share of exams"
    measures = [_MEASURES[m] for m in query.measure]
    if not measures and result:
        measures = list(dict.fromkeys(b.quantity.label for b in result.blocks if b.quantity))
    what = " and ".join(measures) or "main dose quantity"
    if result and result.is_list:
        return f"list of exams with {what}"
    statistic = _STATISTICS[query.statistic] if query.statistic else "median and 75th percentile"
    return f"{statistic} of {what}"


def _subject(query: DoseQuery) -> str:
    if query.procedure:
        return " and ".join(query.procedure)
    region = " and ".join(query.body_region)
    modality = " and ".join(query.modality)
    return f"{modality} {region}".strip()


def figure(value: float | None, unit: str) -> str:
    """A number with three significant digits and its unit."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return "not shown"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".strip()


def headline(query: DoseQuery, result: Result) -> str:
    """What came out, as one sentence."""
    block = result.main
    if result.empty and query.statistic == "count":
        return "0 exams. " + " ".join(result.empty)
    if result.empty or block is None:
        return " ".join(result.empty) or "No exam states the quantity asked for."
    if query.statistic == "count":
        return f"{block.n:,} exams."
    if query.statistic == "share":
        total = block.n if block.quantity else result.n_exams
        share = block.overall.get("statistic")
        return f"{figure(share, '%')} of {total:,} exams." if share is not None else "not shown."
    unit = block.quantity.unit if block.quantity else ""
    label = block.quantity.label if block.quantity else "value"
    if query.statistic and query.statistic != "median":
        first = f"{_STATISTICS[query.statistic]} {figure(block.overall.get('statistic'), unit)}"
    else:
        first = f"median {figure(block.overall.get('median'), unit)}"
        if query.statistic is None:
            first += f", 75th percentile {figure(block.overall.get('p75'), unit)}"
    text = f"{label}: {first}, n = {block.n:,} exams."
    return text + "".join(f" {_level_words(level, block)}" for level in block.levels)


def _level_words(level: Any, block: Block) -> str:
    label = LABELS[level.reference]
    unit = block.quantity.unit if block.quantity else ""
    if level.value is None and level.percent is None:
        return ""
    said = f"{label} {figure(level.value, unit)}" if level.value is not None else f"{label} by exam"
    if level.percent is None:
        return f"{said} (too few exams to compare)."
    of_it = "of it" if level.value is not None else "of theirs"
    return f"{said}: the exams' median is {level.percent:.0f} % {of_it} (n = {level.n:,})."


def plain(reading: Interpretation, result: Result | None, chips_: tuple[Chip, ...]) -> str:
    """The answer for a log or a terminal."""
    lines = [f"Question: {reading.text}"]
    if reading.refusal:
        lines.append(f"Not answered ({reading.refusal.kind}): {reading.refusal.message}")
        lines.extend(f"  try: {s}" for s in reading.refusal.suggestions)
        return "\n".join(lines)
    assert reading.query is not None  # noqa: S101 - a reading is one or the other
    lines.append(f"Understood as: {sentence(reading.query, result)}")
    if reading.unused_words:
        lines.append("I did not use: " + ", ".join(reading.unused_words))
    lines.extend(f"Read “{f.typed}” as “{f.read}”" for f in reading.fixes)
    if result is not None:
        lines.append(headline(reading.query, result))
    notes = [*reading.notes, *(result.notes if result else ())]
    lines.extend(f"Note: {n}" for n in dict.fromkeys(notes))
    del chips_
    return "\n".join(lines)


def known_measures() -> tuple[str, ...]:
    """Names of the measures, for messages."""
    return tuple(QUANTITIES)
