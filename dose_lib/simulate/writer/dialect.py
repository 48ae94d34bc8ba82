"""How a maker's devices write the templates: what there is to deviate in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dose_lib.records import Code
from dose_lib.simulate.writer.codes import snomed_concepts

XRAY_RDSR = "1.2.840.10008.5.1.4.1.1.88.67"
RADIOPHARMACEUTICAL_RDSR = "1.2.840.10008.5.1.4.1.1.88.68"
ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"

Scheme = Literal["SCT", "SRT", "SNM3"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """The habits of one maker's dose reports.

    Attributes
    ----------
    name
        Name in scenarios and factories.
    origin
        The real file or public issue behind the habits.
    sop_class
        SOP class of X-ray dose reports.
    concept_scheme, value_scheme
        Scheme of SNOMED concepts, as concept names and as values.
    charset
        Specific Character Set of the object, None for plain ASCII.
    units
        UCUM code -> the code that is written instead.
    scaled_units
        UCUM code -> another unit that is used, and what to multiply with.
    unit_scheme, unit_version, event_unit_scheme
        Coding scheme of units, its version, and the scheme within events where it differs.
    meanings
        Concept code -> the meaning that is written instead.
    wrong_codes
        Concept code -> the code that is written instead.
    values
        Code value -> the coded value that is written instead.
    omit
        Concepts that are left out, as `code`, or `parent>code` below one parent only.
    missing
        Concepts that are written without a number where there is none -> the qualifier that
        says why, or None.
    texts
        Concepts of UIDs that are sent as TEXT.
    localisers
        Whether CT localisers have a dose, are events without dose, or no events at all.
    empty_target_region
        The target region is there, its code is not.
    pulses
        Values per pulse as repeated items, or several values in one item.
    private
        Private additions of a maker.
    decimals
        Unit -> number of decimals the device rounds to and pads with; None writes as exact
        as DS allows.
    continuity
        Continuity of content of containers below the root.
    series_number, series_description
        Of the report's series.
    has_template, has_protocol_header, has_operators_header, has_modalities
        Whether content template sequence, ProtocolName, OperatorsName and ModalitiesInStudy
        are there.
    participants
        Whether each event names its device and persons (TID 1020, 1021).
    """

    name: str
    origin: str
    sop_class: str = XRAY_RDSR
    concept_scheme: Scheme = "SCT"
    value_scheme: Scheme = "SCT"
    charset: str | None = "ISO_IR 192"
    units: Mapping[str, str] = field(default_factory=dict)
    scaled_units: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    unit_scheme: str = "UCUM"
    unit_version: str | None = None
    event_unit_scheme: str | None = None
    meanings: Mapping[str, str] = field(default_factory=dict)
    wrong_codes: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Code] = field(default_factory=dict)
    omit: frozenset[str] = frozenset()
    missing: Mapping[str, Code | None] = field(default_factory=dict)
    texts: frozenset[str] = frozenset()
    localisers: Literal["dose", "no dose", "none"] = "dose"
    empty_target_region: bool = False
    pulses: Literal["items", "one item"] = "items"
    private: Literal["philips", "siemens", "toshiba"] | None = None
    decimals: Mapping[str, int] | None = None
    continuity: Literal["SEPARATE", "CONTINUOUS"] = "SEPARATE"
    series_number: int = 999
    series_description: str = "Radiation Dose Report"
    has_template: bool = True
    has_protocol_header: bool = True
    has_operators_header: bool = True
    has_modalities: bool = False
    participants: bool = True

    def concept(self, code: Code) -> Code:
        """A concept name as this dialect writes it."""
        value = code.value or ""
        meaning = self.meanings.get(value, code.meaning)
        if value in self.wrong_codes:
            return Code(self.wrong_codes[value], code.scheme, meaning)
        if code.scheme == "SCT" and self.concept_scheme != "SCT":
            return _older(code, self.concept_scheme, self.meanings.get(value))
        return Code(code.value, code.scheme, meaning)

    def value(self, code: Code) -> Code:
        """A coded value as this dialect writes it."""
        value = code.value or ""
        if value in self.values:
            return self.values[value]
        if code.scheme == "SCT" and self.value_scheme != "SCT":
            return _older(code, self.value_scheme, self.meanings.get(value))
        if value in self.meanings:
            return Code(value, code.scheme, self.meanings[value])
        return code

    def unit(self, unit: str, parent: str = "") -> Code:
        """A unit as this dialect writes it; the meaning repeats the code without braces."""
        code = self.scaled_units[unit][0] if unit in self.scaled_units else unit
        code = self.units.get(code, code)
        meaning = "no units" if code == "1" else code.strip("{}")
        scheme = self.unit_scheme
        if self.event_unit_scheme and parent == "113706":
            scheme = self.event_unit_scheme
        return Code(code, scheme, meaning)

    def scale(self, unit: str) -> float:
        """What numbers in a template's unit are multiplied with."""
        return self.scaled_units[unit][1] if unit in self.scaled_units else 1.0


def _older(code: Code, scheme: str, meaning: str | None) -> Code:
    """The SRT code of a concept, under SRT or another name of that scheme."""
    known = snomed_concepts().get(code.value or "")
    if known is None or known.srt is None:
        return code
    return Code(known.srt, scheme, meaning or known.srt_meaning or known.meaning)
