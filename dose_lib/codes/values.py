"""Coded values that the reader interprets, by the context group (CID) they come from.

Names and meanings as in PS3.16; the constant is the concept, not its meaning text.
"""

from __future__ import annotations

from dose_lib.codes.concept import Concept, dcm

# CID 10005 procedure reported
PROJECTION_XRAY = dcm("113704", "Projection X-Ray")
MAMMOGRAPHY = Concept("71651007", "SCT", "Mammography")
COMPUTED_TOMOGRAPHY = Concept("77477000", "SCT", "Computed tomography")
FLUOROSCOPY = Concept("44491008", "SCT", "Fluoroscopy")
PLAIN_RADIOGRAPHY = Concept("168537006", "SCT", "Plain radiography")
FLUOROSCOPY_AND_RADIOGRAPHY = Concept("169014003", "SCT", "Fluoroscopy and radiography")
CONE_BEAM_COMPUTED_TOMOGRAPHY = Concept("717193008", "SCT", "Cone beam computed tomography")
DENTAL_RADIOGRAPHY = Concept("1290849002", "SCT", "Dental radiography")
DUAL_ENERGY_XRAY_ABSORPTIOMETRY = Concept("241686001", "SCT", "Dual energy X-Ray absorptiometry")

# CID 10032 acquisition device type
FLUOROSCOPY_GUIDED_SYSTEM = dcm("113957", "Fluoroscopy-Guided Projection Radiography System")
INTEGRATED_SYSTEM = dcm("113958", "Integrated Projection Radiography System")
CASSETTE_BASED_SYSTEM = dcm("113959", "Cassette-based Projection Radiography System")

# CID 10000 scope of accumulation
SCOPE_STUDY = dcm("113014", "Study")
SCOPE_PROCEDURE_STEP = dcm("113016", "Performed Procedure Step")
SCOPE_SERIES = dcm("113015", "Series")
SCOPE_IRRADIATION_EVENT = dcm("113852", "Irradiation Event")
SCOPE_STEP_TO_THIS_POINT = dcm("113970", "Procedure Step To This Point")

# CID 3629 intent
QUALITY_CONTROL_INTENT = dcm("113680", "Quality Control Intent")
DIAGNOSTIC = Concept("261004008", "SCT", "Diagnostic")
THERAPEUTIC_INTENT = Concept("262202000", "SCT", "Therapeutic Intent")

# CID 10003 plane
SINGLE_PLANE = dcm("113622", "Single Plane")
PLANE_A = dcm("113620", "Plane A")
PLANE_B = dcm("113621", "Plane B")
ALL_PLANES = dcm("113890", "All Planes")

# CID 10002 irradiation event type (fluoroscopy: FLUOROSCOPY)
STATIONARY_ACQUISITION = dcm("113611", "Stationary Acquisition")
STEPPING_ACQUISITION = dcm("113612", "Stepping Acquisition")
ROTATIONAL_ACQUISITION = dcm("113613", "Rotational Acquisition")

# CID 10013 CT acquisition type
SEQUENCED_ACQUISITION = dcm("113804", "Sequenced Acquisition")
SPIRAL_ACQUISITION = Concept("116152004", "SCT", "Spiral Acquisition")
CONSTANT_ANGLE_ACQUISITION = dcm("113805", "Constant Angle Acquisition")
CT_STATIONARY_ACQUISITION = dcm("113806", "Stationary Acquisition")
FREE_ACQUISITION = dcm("113807", "Free Acquisition")
CONE_BEAM_ACQUISITION = Concept("702569007", "SCT", "Cone Beam Acquisition")

# CID 4052 phantom
HEAD_PHANTOM_16CM = dcm("113690", "IEC Head Dosimetry Phantom")
BODY_PHANTOM_32CM = dcm("113691", "IEC Body Dosimetry Phantom")
PHANTOM_10CM = dcm("130541", "10 cm Dosimetry Phantom")
PHANTOM_NEMA_XR21 = dcm("113692", "NEMA XR21-2000 Phantom")

# CID 244, 6022 side
LEFT = Concept("7771000", "SCT", "Left")
RIGHT = Concept("24028007", "SCT", "Right")
BILATERAL = Concept("51440002", "SCT", "Bilateral")
UNILATERAL = Concept("66459002", "SCT", "Unilateral")
LEFT_BREAST = Concept("80248007", "SCT", "Left breast")
RIGHT_BREAST = Concept("73056007", "SCT", "Right breast")
BOTH_BREASTS = Concept("63762007", "SCT", "Both breasts")

# CID 230, 231 yes and no
YES = Concept("373066001", "SCT", "Yes")
NO = Concept("373067005", "SCT", "No")
YES_NO_UNKNOWN = Concept("261665006", "SCT", "Unknown")

# CID 10004 fluoro mode
CONTINUOUS = dcm("113630", "Continuous")
PULSED = dcm("113631", "Pulsed")

# CID 10006 filter material
COPPER = Concept("66925006", "SCT", "Copper")
ALUMINUM = Concept("12503006", "SCT", "Aluminum")
MOLYBDENUM = Concept("71128006", "SCT", "Molybdenum")
RHODIUM = Concept("59801003", "SCT", "Rhodium")
SILVER = Concept("41967008", "SCT", "Silver")
TIN = Concept("12597001", "SCT", "Tin")
TANTALUM = Concept("45215009", "SCT", "Tantalum")
NIOBIUM = Concept("767776000", "SCT", "Niobium")
EUROPIUM = Concept("767775001", "SCT", "Europium")
LEAD = Concept("88488004", "SCT", "Lead")
TUNGSTEN = Concept("26194003", "SCT", "Tungsten")

# CID 10007 filter type
NO_FILTER = dcm("111609", "No filter")
STRIP_FILTER = dcm("113650", "Strip filter")
WEDGE_FILTER = dcm("113651", "Wedge filter")
BUTTERFLY_FILTER = dcm("113652", "Butterfly filter")
FLAT_FILTER = dcm("113653", "Flat filter")

# CID 10016 anode target (molybdenum, rhodium as filters)

# CID 10017 grid
VIRTUAL_GRID = dcm("111640", "Virtual grid")
FIXED_GRID = dcm("111641", "Fixed grid")
FOCUSED_GRID = dcm("111642", "Focused grid")
RECIPROCATING_GRID = dcm("111643", "Reciprocating grid")
PARALLEL_GRID = dcm("111644", "Parallel grid")
CROSSED_GRID = dcm("111645", "Crossed grid")
NO_GRID = dcm("111646", "No grid")

# CID 10025 reference point
RP_15CM_FROM_ISOCENTER = dcm("113860", "15cm from Isocenter toward Source")
RP_30CM_IN_FRONT_OF_IMAGE_SURFACE = dcm("113861", "30cm in Front of Image Input Surface")
RP_1CM_ABOVE_TABLETOP = dcm("113862", "1cm above Tabletop")
RP_30CM_ABOVE_TABLETOP = dcm("113863", "30cm above Tabletop")
RP_15CM_FROM_TABLE_CENTERLINE = dcm("113864", "15cm from Table Centerline")
RP_4CM_ABOVE_BREAST_SUPPORT = dcm("113865", "4.2cm above Breast Support Surface")
RP_IN_DETECTOR_PLANE = dcm("113941", "In Detector Plane")
RP_AT_SURFACE_OF_PATIENT = dcm("113964", "At Surface of Patient")
RP_100CM_FROM_SOURCE = dcm("113965", "100cm from X-Ray Source")

# CID 10020, 10021 source of dose
AUTOMATED_DATA_COLLECTION = dcm("113856", "Automated Data Collection")
DOSIMETER = Concept("15869005", "SCT", "Dosimeter")
SYSTEM_CALCULATED = dcm("113940", "System Calculated")
MANUAL_ENTRY = dcm("113857", "Manual Entry")
MPPS_CONTENT = dcm("113858", "MPPS Content")
COPIED_FROM_IMAGE_ATTRIBUTES = dcm("113866", "Copied From Image Attributes")
COMPUTED_FROM_IMAGE_ATTRIBUTES = dcm("113867", "Computed From Image Attributes")
DERIVED_FROM_HUMAN_READABLE_REPORTS = dcm("113868", "Derived From Human-Readable Reports")

# CID 10011 effective dose method, CID 10015 authority
E_FROM_DLP_BY_MC = dcm("113800", "DLP to E conversion via MC computation")
E_FROM_CTDI_FREE_AIR_BY_MC = dcm("113801", "CTDIfreeair to E conversion via MC computation")
E_FROM_DLP_BY_MEASUREMENT = dcm("113802", "DLP to E conversion via measurement")
E_FROM_CTDI_FREE_AIR_BY_MEASUREMENT = dcm("113803", "CTDIfreeair to E conversion via measurement")
ICRP_PUB_60 = dcm("113808", "ICRP Pub 60")
ICRP_PUB_103 = dcm("113841", "ICRP Pub 103")

# CID 10023 SSDE method
SSDE_BY_LATERAL = dcm("113934", "AAPM 204 Lateral Dimension")
SSDE_BY_AP = dcm("113935", "AAPM 204 AP Dimension")
SSDE_BY_SUM = dcm("113936", "AAPM 204 Sum of Lateral and AP Dimension")
SSDE_BY_AGE = dcm("113937", "AAPM 204 Effective Diameter Estimated From Patient Age")
SSDE_BY_WATER_EQUIVALENT_DIAMETER = dcm("113988", "Estimated from Water Equivalent Diameter")
SSDE_BY_MEAN_OVER_Z = dcm("113989", "Arithmetic Average of SSDE(z)")

# CID 10024 water-equivalent diameter method
WATER_EQUIVALENT_DIAMETER_REPRESENTATIVE_VALUE = dcm(
    "113981", "Water Equivalent Diameter Representative Value"
)
WATER_EQUIVALENT_DIAMETER_FROM_RAW_DATA = dcm("113983", "Water Equivalent Diameter From Raw Data")
WATER_EQUIVALENT_DIAMETER_INTEGRATED_ACROSS_SCAN_RANGE = dcm(
    "113982", "Water Equivalent Diameter Integrated Across Scan Range"
)
WATER_EQUIVALENT_DIAMETER_FROM_LOCALIZER = dcm("113984", "Water Equivalent Diameter From Localizer")

# CID 10014 contrast
DIAGNOSTIC_RADIOGRAPHY_WITH_CONTRAST_MEDIA = Concept(
    "27483000", "SCT", "Diagnostic radiography with contrast media"
)
CT_WITHOUT_CONTRAST = Concept("399331006", "SCT", "CT without contrast")

# CID 10022 label type
SERIES_NUMBER = dcm("113607", "Series Number")
ACQUISITION_NUMBER = dcm("113608", "Acquisition Number")
INSTANCE_NUMBER = dcm("113609", "Instance Number")

# CID 10030, 10031 detector type, mechanical configuration
INDIRECT_DETECTOR = dcm("113949", "Indirect Detector")
DIRECT_DETECTOR = dcm("113948", "Direct Detector")
STORAGE_DETECTOR = dcm("113950", "Storage Detector")
FILM = dcm("113951", "Film")
TABLE_MOUNT = dcm("113952", "Table Mount")
UPRIGHT_STAND_MOUNT = dcm("113954", "Upright Stand Mount")
UNMOUNTED_DETECTOR = dcm("113953", "Unmounted Detector")
C_ARM_MOUNT = dcm("113955", "C-Arm Mount")

# CID 19 orientation
ERECT = Concept("C86043", "NCIt", "erect")
RECUMBENT = Concept("102538003", "SCT", "recumbent")
SEMI_ERECT = Concept("102539006", "SCT", "semi-erect")

# CID 20 orientation modifier
COILED_POSITION = Concept("34108001", "SCT", "Coiled position")
SEMI_PRONE = Concept("34026001", "SCT", "semi-prone")
ANATOMICAL = Concept("51845000", "SCT", "anatomical")
SUPINE = Concept("40199007", "SCT", "supine")
LATERAL_DECUBITUS = Concept("32185000", "SCT", "lateral decubitus")
KNEE_CHEST = Concept("23242002", "SCT", "knee-chest")
KNEELING = Concept("55864004", "SCT", "kneeling")
LITHOTOMY = Concept("14205002", "SCT", "lithotomy")
PRONE = Concept("1240000", "SCT", "prone")
ORTHOSTATIC_BODY_POSITION = Concept("10904000", "SCT", "Orthostatic body position")
LEFT_LATERAL_DECUBITUS = Concept("102536004", "SCT", "left lateral decubitus")
STOOPED_OVER = Concept("87068006", "SCT", "stooped-over")
RIGHT_LATERAL_DECUBITUS = Concept("102535000", "SCT", "right lateral decubitus")
INVERSE_TRENDELENBURG = Concept("26527006", "SCT", "inverse Trendelenburg")
SITTING = Concept("33586001", "SCT", "sitting")
FROG = Concept("34296003", "SCT", "frog")
TRENDELENBURG = Concept("34106002", "SCT", "Trendelenburg")
LORDOTIC = Concept("260450008", "SCT", "lordotic")

# CID 21 table relationship
LEFT_FIRST = dcm("126830", "left first")
RIGHT_FIRST = dcm("126831", "right first")
POSTERIOR_FIRST = dcm("126832", "posterior first")
ANTERIOR_FIRST = dcm("126833", "anterior first")
HEADFIRST = Concept("102540008", "SCT", "headfirst")
FEET_FIRST = Concept("102541007", "SCT", "feet-first")
TRANSVERSE = Concept("399220000", "SCT", "transverse")
OBLIQUE = Concept("399366008", "SCT", "oblique")

# CID 42 numeric value qualifier
NOT_A_NUMBER = dcm("114000", "Not a number")
NEGATIVE_INFINITY = dcm("114001", "Negative Infinity")
POSITIVE_INFINITY = dcm("114002", "Positive Infinity")
DIVIDE_BY_ZERO = dcm("114003", "Divide by zero")
UNDERFLOW = dcm("114004", "Underflow")
OVERFLOW = dcm("114005", "Overflow")
MEASUREMENT_FAILURE = dcm("114006", "Measurement failure")
MEASUREMENT_NOT_ATTEMPTED = dcm("114007", "Measurement not attempted")
CALCULATION_FAILURE = dcm("114008", "Calculation failure")
VALUE_OUT_OF_RANGE = dcm("114009", "Value out of range")
VALUE_UNKNOWN = dcm("114010", "Value unknown")
VALUE_INDETERMINATE = dcm("114011", "Value indeterminate")

# CID 270 observer type, 7445 device role
PERSON = dcm("121006", "Person")
DEVICE = dcm("121007", "Device")
IRRADIATING_DEVICE = dcm("113859", "Irradiating Device")
XRAY_READING_DEVICE = dcm("113942", "X-Ray Reading Device")
RECORDING = dcm("121097", "Recording")

# CID 7452, 7453, 7450 roles of people
IRRADIATION_ADMINISTERING = dcm("113851", "Irradiation Administering")
IRRADIATION_AUTHORIZING = dcm("113850", "Irradiation Authorizing")
PERFORMING = dcm("121094", "Performing")
ASSISTING = dcm("121099", "Assisting")
RADIOLOGIC_TECHNOLOGIST = Concept("159016003", "SCT", "Medical radiographer (occupation)")
PHYSICIAN = Concept("309343006", "SCT", "Physician")
MEDICAL_PHYSICIST = Concept("C1708969", "UMLS", "Medical Physicist")

# CID 10063, 10064 distribution, patient model
SKIN_DOSE_MAP = dcm("128485", "Skin Dose Map")
DOSE_MAP_3D = dcm("128487", "3D Dose Map")
ISODOSE = dcm("128484", "Isodose")
DOSE_POINT_CLOUD = dcm("128496", "Dose Point Cloud")
