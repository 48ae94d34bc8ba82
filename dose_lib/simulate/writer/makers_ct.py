"""CT scanners: dialects seen in real dose reports."""

from __future__ import annotations

from dose_lib.simulate.writer.dialect import ENHANCED_SR, Dialect

_GE = Dialect(
    name="ge",
    origin="CT-ESR-GE_Optima: Enhanced SR, series 997, units without dots, no protocol names",
    sop_class=ENHANCED_SR,
    concept_scheme="SRT",
    value_scheme="SRT",
    charset="ISO_IR 100",
    units={"mGy.cm": "mGycm", "{X-Ray sources}": "X-ray sources"},
    meanings={
        "113809": "Start of X-ray Irradiation",
        "113810": "End of X-ray Irradiation",
        "113823": "Number of X-ray Sources",
        "113831": "CT X-ray Source Parameters",
        "113832": "Identification of the X-ray Source",
        "113833": "Maximum X-ray Tube Current",
    },
    omit=frozenset(
        {
            "363703001",
            "113819>125203",
            "113819>408730004",
            "113819>111526",
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
    concept_scheme="SRT",
    value_scheme="SRT",
    charset="ISO_IR 100",
    unit_version="1.4",
    omit=frozenset({"113893", "113819>111526", "113819>113870"}),
    localisers="dose",
    decimals={"s": 2, "mm": 1, "kV": 0, "mA": 0, "mGy": 2, "mGy.cm": 2, "{ratio}": 2},
    series_number=501,
    series_description="Dose Report",
)

_PHILIPS = Dialect(
    name="philips",
    origin="openrem issue 765 (Big Bore): target region without its code; clean otherwise",
    concept_scheme="SRT",
    value_scheme="SRT",
    charset="ISO_IR 100",
    omit=frozenset({"113819>111526", "113819>113842", "113900", "113908"}),
    localisers="dose",
    empty_target_region=True,
    decimals={"s": 3, "mm": 2, "kV": 0, "mA": 0, "mGy": 2, "mGy.cm": 2, "{ratio}": 3},
    series_number=65534,
    series_description="Radiation Dose Information",
)

_CANON = Dialect(
    name="canon",
    origin="CT-RDSR-Toshiba_DoseCheck: no localisers, reconstructable length, dose check,"
    " device and persons in each event, two decimals throughout, a private container",
    concept_scheme="SRT",
    value_scheme="SRT",
    charset="ISO_IR 192",
    meanings={"113832": "Identification Number of the X-Ray Source"},
    omit=frozenset(
        {"113819>111526", "113819>113842", "121013", "121014", "121015", "121016", "121017"}
    ),
    localisers="none",
    private="toshiba",
    decimals={"s": 2, "mm": 2, "kV": 0, "mA": 0, "mGy": 2, "mGy.cm": 2, "{ratio}": 6},
    series_number=9001,
    series_description="",
    has_protocol_header=False,
)

CT_DIALECTS = (_GE, _SIEMENS, _PHILIPS, _CANON)
