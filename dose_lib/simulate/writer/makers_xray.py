"""Fluoroscopy, radiography, mammography, nuclear medicine: dialects of real dose reports."""

from __future__ import annotations

from dose_lib.records import Code
from dose_lib.simulate.writer.codes import dcm
from dose_lib.simulate.writer.dialect import Dialect

_UNKNOWN = dcm("114010")
_ANGLES = ("112011", "112012", "113739", "113740")

_SIEMENS_ARTIS = Dialect(
    name="siemens-artis",
    origin="RF-RDSR-Siemens-Zee: Gym2, uAs, 113735 for exposure time, XML in comments",
    concept_scheme="SRT",
    value_scheme="SRT",
    units={"Gy.m2": "Gym2", "uA.s": "uAs", "{pulse}/s": "{pulse}/s"},
    meanings={"113723": "Calibration Date", "113650": "Strip Filter"},
    wrong_codes={"113824": "113735"},
    omit=frozenset({"113943", "113944", "113945", "113706>113870", "113702>113876"}),
    private="siemens",
    series_number=990,
    series_description="Exam Protocol SR",
)

_SIEMENS_FLUOROSPOT = Dialect(
    name="siemens-fluorospot",
    origin="Dual-RDSR-DX, Dual-RDSR-RF: one unit for radiography and fluoroscopy, exposure"
    " indices within the event, 113854 dosimeter",
    concept_scheme="SRT",
    value_scheme="SRT",
    charset="ISO_IR 100",
    units={"Gy.m2": "Gym2", "uA.s": "uAs"},
    meanings={"113723": "Calibration Date"},
    wrong_codes={"113824": "113735"},
    omit=frozenset({"122142", "113943", "113944", "113945", "113706>113870", "113702>113876"}),
    series_number=10000,
)

_PHILIPS_ALLURA = Dialect(
    name="philips-allura",
    origin="RF-RDSR-Philips_Allura: private shutters, table and detector, reference point as"
    " text, no exposure time, series 65533",
    concept_scheme="SRT",
    value_scheme="SRT",
    charset="ISO_IR 100",
    omit=frozenset(
        {
            "121017",
            "113943",
            "113944",
            "113945",
            "113824",
            "113790",
            "113788",
            "113789",
            "113706>113870",
            "113706>113876",
            "113702>113876",
        }
    ),
    private="philips",
    series_number=65533,
    series_description="Radiation Dose Information",
)

_PHILIPS_AZURION = Dialect(
    name="philips-azurion",
    origin="RF-RDSR-Philips_Azurion: says integrated radiography system of an angiography room",
    concept_scheme="SRT",
    value_scheme="SRT",
    charset="ISO_IR 100",
    values={"113957": Code("113958", "DCM", "Integrated Projection Radiography System")},
    omit=frozenset(
        {"121017", "113943", "113944", "113945", "113706>113870", "113706>113876", "113702>113876"}
    ),
    private="philips",
    series_number=1,
    series_description="Radiation Dose Information",
)

_GE_OEC = Dialect(
    name="ge-oec",
    origin="RF-RDSR-GE: UIDs as TEXT, UCM for UCUM in events, angles unknown, own spellings",
    concept_scheme="SRT",
    value_scheme="SRT",
    charset="ISO_IR 100",
    units={"uA.s": "uAs"},
    event_unit_scheme="UCM",
    meanings={
        "121058": "Procedure Reported",
        "113705": "Scope Of Accumulation",
        "113728": "Fluoro Dose(RP) Total",
        "113731": "Total Number Of Radiographic Frames",
        "111526": "Date Time Started",
        "113734": "mA",
        "121017": "Device observer physical location during observation",
    },
    values={"111641": Code("111641", "DCM", "Fixed Grid")},
    missing=dict.fromkeys(_ANGLES, _UNKNOWN),
    texts=frozenset({"121012", "121126", "110180"}),
    omit=frozenset({"113706>113876", "113706>113870"}),
    decimals={"Gy.m2": 8, "Gy": 8, "s": 2, "kV": 8, "mA": 8, "uA.s": 8, "mm": 2, "ms": 2},
    series_number=2,
    series_description="Unknown Protocol",
)

_CANON_ULTIMAX = Dialect(
    name="canon-ultimax",
    origin="RF-RDSR-Canon-Ultimaxi-mGyDoseAtRP: dGy.cm2, kerma in mGy, reference point as text",
    concept_scheme="SRT",
    value_scheme="SRT",
    charset=None,
    scaled_units={"Gy.m2": ("dGy.cm2", 1e5), "Gy": ("mGy", 1e3)},
    omit=frozenset(
        {
            "121013",
            "121017",
            "113943",
            "113944",
            "113945",
            "113706>113870",
            "113706>113876",
            "113702>113876",
        }
    ),
    decimals={"s": 6, "kV": 6, "mA": 6, "ms": 6, "{pulse}/s": 6},
    continuity="CONTINUOUS",
    series_number=9001,
    series_description="",
    has_operators_header=False,
)

_CANON_CXDI = Dialect(
    name="canon-cxdi",
    origin="DX-RDSR-Canon_CXDI: dose items without a measured value, reference point Unknown",
    concept_scheme="SRT",
    value_scheme="SRT",
    charset="ISO_IR 100",
    missing={"113738": None, "113725": None, "113729": None, "122130": None, "113722": None},
    has_modalities=True,
    omit=frozenset(
        {"121017", "113943", "113944", "113945", "113706>113870", "113706>113876", "113702>113876"}
    ),
    series_number=1,
    series_description="",
)

_CARESTREAM = Dialect(
    name="carestream",
    origin="vendor_deviations §3.3 and dicom_dose §3 rows 5 and 40: SNM3 for SRT, manual entry",
    concept_scheme="SNM3",
    value_scheme="SNM3",
    charset="ISO_IR 100",
    values={"113856": Code("113857", "DCM", "Manual Entry")},
    missing={"113738": None, "113725": None},
    omit=frozenset({"121017", "113943", "113944", "113706>113870", "113702>113876"}),
    series_number=1,
    series_description="Radiation Dose Structured Report",
)

_HOLOGIC = Dialect(
    name="hologic",
    origin="MG-RDSR-Hologic_2D: 113745 for detector data available, 111650 for strip filter,"
    " SNM3 views, private grid",
    concept_scheme="SRT",
    value_scheme="SRT",
    charset="ISO_IR 100",
    units={"uA.s": "uAs"},
    meanings={"113865": "Entrance exposure to a 4.2 cm breast thickness"},
    wrong_codes={"113945": "113745"},
    values={
        "113650": Code("111650", "DCM", "Strip filter"),
        "111642": Code("gridin", "99HOLX", "Grid in"),
        "399162004": Code("R-10242", "SNM3", "cranio-caudal"),
        "399368009": Code("R-10226", "SNM3", "medio-lateral oblique"),
        "113856": Code("113867", "DCM", "Computed From Image Attributes"),
    },
    omit=frozenset(
        {"121013", "121014", "121015", "121016", "121017", "113702>113876", "113706>113876"}
    ),
    decimals={"kV": 2, "mA": 2, "ms": 2, "uA.s": 2, "mGy": 2},
    series_number=1,
    series_description="Radiation Dose Information",
)

_GE_MAMMO = Dialect(
    name="ge-mammo",
    origin="MG-RDSR-GEPristina-2D: two pulses an event, entrance dose at the patient's surface",
    concept_scheme="SRT",
    value_scheme="SRT",
    charset="ISO_IR 100",
    omit=frozenset({"121017", "113702>113876", "113706>113876", "113706>113870"}),
    series_number=910,
    has_modalities=True,
    series_description="Radiation Dose Structured Report",
)

_GIOTTO = Dialect(
    name="giotto",
    origin="vendor_deviations §3.3: 113632 for anode target material (IMS Giotto)",
    concept_scheme="SRT",
    value_scheme="SRT",
    charset=None,
    wrong_codes={"111632": "113632"},
    omit=frozenset({"121017", "113702>113876", "113706>113876"}),
    series_number=1,
    series_description="Dose Report",
)

_EUROCOLUMBUS = Dialect(
    name="eurocolumbus",
    origin="openrem issue 584: kVp, mA and pulse width of all pulses in one item, aluminium under"
    " scheme DCM, Calibration Date",
    concept_scheme="SRT",
    value_scheme="SRT",
    charset=None,
    meanings={"113723": "Calibration Date"},
    values={"12503006": Code("C-120F9", "DCM", "Aluminum or Aluminum compound")},
    pulses="one item",
    omit=frozenset({"121017", "113943", "113944", "113945", "113702>113876", "113706>113870"}),
    series_number=1,
    series_description="Dose Report",
)

_SIEMENS_NM = Dialect(
    name="siemens-pet",
    origin="NM-RRDSR-Siemens: SRT, effective dose in a private container, person unknown",
    concept_scheme="SRT",
    value_scheme="SRT",
    charset="ISO_IR 100",
    private="siemens",
    series_number=10,
    series_description="PET Dose Report SR",
)

XRAY_DIALECTS = (
    _SIEMENS_ARTIS,
    _SIEMENS_FLUOROSPOT,
    _PHILIPS_ALLURA,
    _PHILIPS_AZURION,
    _GE_OEC,
    _CANON_ULTIMAX,
    _CANON_CXDI,
    _CARESTREAM,
    _HOLOGIC,
    _GE_MAMMO,
    _GIOTTO,
    _EUROCOLUMBUS,
)
NUCLEAR_DIALECTS = (_SIEMENS_NM,)
