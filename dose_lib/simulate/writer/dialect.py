"""How a maker's devices write the templates: the deviations of real files, as data.

Every field is a habit seen in a real report or documented in a public issue; `origin`
names it. `clean` has none of them: it is the standard's own wording, with SNOMED CT codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from dose_lib.errors import SimulationError, did_you_mean
from dose_lib.records import Code
from dose_lib.simulate.writer.codes import SNOMED

XRAY_RDSR = "1.2.840.10008.5.1.4.1.1.88.67"
RADIOPHARMACEUTICAL_RDSR = "1.2.840.10008.5.1.4.1.1.88.68"
ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"

Snomed = Literal["SCT", "SRT", "SNM3"]


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
    snomed
        Scheme of concepts that SNOMED defines; `SNM3` is written for values only.
    charset
        Specific Character Set of the object, None for plain ASCII.
    units
        UCUM code -> the code that is written instead.
    unit_scheme, unit_version
        Coding scheme of units.
    meanings
        Concept code -> the meaning that is written instead.
    wrong_codes
        Concept code -> the code that is written instead, in scheme DCM.
    omit
        Concepts that are left out, as `code`, or `parent>code` below one parent only.
    localisers
        Whether localisers have a dose, are events without dose, or no events at all.
    empty_target_region
        The target region is there, its code is not.
    decimals
        Unit -> number of decimals the device rounds to and pads with; None writes as exact
        as DS allows.
    continuity
        Continuity of content of containers below the root.
    series_number, series_description
        Of the report's series.
    has_protocol_header, has_operators_header
        Whether ProtocolName and OperatorsName stand in the header.
    participants
        Whether each event names its device and persons (TID 1020, 1021).
    text_observer_uid
        The device observer UID is sent as TEXT.
    """

    name: str
    origin: str
    sop_class: str = XRAY_RDSR
    snomed: Snomed = "SCT"
    charset: str | None = "ISO_IR 192"
    units: Mapping[str, str] = field(default_factory=dict)
    unit_scheme: str = "UCUM"
    unit_version: str | None = None
    meanings: Mapping[str, str] = field(default_factory=dict)
    wrong_codes: Mapping[str, str] = field(default_factory=dict)
    omit: frozenset[str] = frozenset()
    localisers: Literal["dose", "no dose", "none"] = "dose"
    empty_target_region: bool = False
    decimals: Mapping[str, int] | None = None
    continuity: Literal["SEPARATE", "CONTINUOUS"] = "SEPARATE"
    series_number: int = 999
    series_description: str = "Radiation Dose Report"
    has_protocol_header: bool = True
    has_operators_header: bool = True
    participants: bool = True
    text_observer_uid: bool = False

    def concept(self, code: Code) -> Code:
        """A concept name as this dialect writes it."""
        value = code.value or ""
        meaning = self.meanings.get(value, code.meaning)
        if value in self.wrong_codes:
            return Code(self.wrong_codes[value], code.scheme, meaning)
        if code.scheme == "SCT" and self.snomed != "SCT" and value in SNOMED:
            return _older(value, "SRT", None) or code
        return Code(code.value, code.scheme, meaning)

    def value(self, code: Code) -> Code:
        """A coded value as this dialect writes it."""
        value = code.value or ""
        if code.scheme == "SCT" and self.snomed != "SCT" and value in SNOMED:
            return _older(value, self.snomed, self.meanings.get(value)) or code
        if value in self.meanings and code.scheme == "DCM":
            return Code(value, "DCM", self.meanings[value])
        return code

    def unit(self, unit: str) -> Code:
        """A unit as this dialect writes it; the meaning repeats the code without braces."""
        code = self.units.get(unit, unit)
        meaning = "no units" if code == "1" else code.strip("{}")
        return Code(code, self.unit_scheme, meaning)


def _older(value: str, scheme: str, meaning: str | None) -> Code | None:
    now, srt, srt_meaning = SNOMED[value]
    return Code(srt, scheme, meaning or srt_meaning or now) if srt else None


_X_RAY_SMALL = {
    "113809": "Start of X-ray Irradiation",
    "113810": "End of X-ray Irradiation",
    "113823": "Number of X-ray Sources",
    "113831": "CT X-ray Source Parameters",
    "113832": "Identification of the X-ray Source",
    "113833": "Maximum X-ray Tube Current",
}

_CLEAN = Dialect(name="clean", origin="PS3.16 TID 10001 to 10024 as the reference page has them")

_GE = Dialect(
    name="ge",
    origin="CT-ESR-GE_Optima: Enhanced SR, series 997, units without dots, no protocol names",
    sop_class=ENHANCED_SR,
    snomed="SRT",
    charset="ISO_IR 100",
    units={"mGy.cm": "mGycm", "{X-Ray sources}": "X-ray sources"},
    meanings=_X_RAY_SMALL,
    omit=frozenset(
        {
            "363703001",
            "113819>125203",
            "113819>408730004",
            "113819>113842",
            "113819>121106",
            "113899",
            "113893",
            "113854",
            "121016",
            "121017",
            "113900",
            "113908",
            "113930",
        }
    ),
    localisers="no dose",
    decimals={"s": 2, "mm": 2, "kV": 1, "mA": 1, "mGy": 2, "mGy.cm": 2, "{ratio}": 2},
    continuity="CONTINUOUS",
    series_number=997,
    series_description="Dose Record",
    has_protocol_header=False,
    participants=False,
)

_SIEMENS = Dialect(
    name="siemens",
    origin="CT-RDSR-Siemens-Multi-1..3, CT-RDSR-Siemens_Flash-TAP-SS: SRT, UCUM 1.4, dose on"
    " localisers, dose check, modulation type",
    snomed="SRT",
    charset="ISO_IR 100",
    unit_version="1.4",
    omit=frozenset({"113893", "113819>113870"}),
    localisers="dose",
    decimals={"s": 2, "mm": 1, "kV": 0, "mA": 0, "mGy": 2, "mGy.cm": 2, "{ratio}": 2},
    series_number=501,
    series_description="Dose Report",
)

_PHILIPS = Dialect(
    name="philips",
    origin="openrem issue 765 (Big Bore): target region without its code; clean otherwise",
    snomed="SRT",
    charset="ISO_IR 100",
    omit=frozenset({"113819>113842", "113900", "113908"}),
    localisers="dose",
    empty_target_region=True,
    decimals={"s": 3, "mm": 2, "kV": 0, "mA": 0, "mGy": 2, "mGy.cm": 2, "{ratio}": 3},
    series_number=65534,
    series_description="Radiation Dose Information",
)

_CANON = Dialect(
    name="canon",
    origin="CT-RDSR-Toshiba_DoseCheck: no localisers, reconstructable length, dose check,"
    " device and persons in each event, two decimals throughout",
    snomed="SRT",
    charset="ISO_IR 192",
    meanings={"113832": "Identification Number of the X-Ray Source"},
    omit=frozenset({"113819>113842", "121013", "121014", "121015", "121016", "121017"}),
    localisers="none",
    decimals={"s": 2, "mm": 2, "kV": 0, "mA": 0, "mGy": 2, "mGy.cm": 2, "{ratio}": 6},
    series_number=9001,
    series_description="",
    has_protocol_header=False,
)

_DIALECTS = {d.name: d for d in (_CLEAN, _GE, _SIEMENS, _PHILIPS, _CANON)}


def dialect_names() -> tuple[str, ...]:
    """Names of the dialects that can be written."""
    return tuple(sorted(_DIALECTS))


@cache
def find_dialect(name: str) -> Dialect:
    """The dialect of a name.

    Raises
    ------
    SimulationError
        For a name that is not known, with the nearest ones.
    """
    if name not in _DIALECTS:
        raise SimulationError(f"unknown dialect {name!r}", todo=did_you_mean(name, _DIALECTS))
    return _DIALECTS[name]
