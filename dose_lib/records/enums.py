"""Closed sets of the data model; values are what JSON, columns and notebooks show."""

from __future__ import annotations

from enum import StrEnum


class Modality(StrEnum):
    """Modality class of an exam part; never the header value SR."""

    CT = "CT"
    RF = "RF"
    XA = "XA"
    DX = "DX"
    MG = "MG"
    NM = "NM"
    PT = "PT"
    PX = "PX"
    IO = "IO"
    CBCT = "CBCT"


class TzSource(StrEnum):
    """Where the zone behind a UTC time came from."""

    OBJECT = "object"
    DEVICE = "device"
    SITE = "site"


class MgMode(StrEnum):
    """Mammography technique; combo is 2D and tomosynthesis in one compression."""

    TWO_D = "2D"
    DBT = "DBT"
    COMBO = "combo"
    CEM = "CEM"


class Contrast(StrEnum):
    """Contrast medium in the diagnostic acquisitions of a part; both: phases of either kind."""

    WITH = "with"
    WITHOUT = "without"
    BOTH = "both"


class SizeMethod(StrEnum):
    """How the water-equivalent diameter of a patient was found, best first."""

    IMAGE = "image"
    LOCALISER = "localiser"
    REPORT = "report"
    EFFECTIVE_DIAMETER = "effective_diameter"
    WEIGHT_AND_HEIGHT = "weight_and_height"
    WEIGHT = "weight"
    OTHER_STUDY = "other_study"
    AGE_BAND = "age_band"


class StepStatus(StrEnum):
    """Performed procedure step status (PS3.3 C.4.14)."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    DISCONTINUED = "discontinued"


class AgeSource(StrEnum):
    """Where the age came from."""

    RECORDED = "recorded"
    BIRTH_DATE = "birth_date"
    SR = "sr"


class Sex(StrEnum):
    """Patient sex as recorded (PS3.3 C.7.1.1); unknown is None."""

    F = "F"
    M = "M"
    O = "O"  # noqa: E741 - the DICOM term


class SizeSource(StrEnum):
    """Where weight and height came from."""

    SR = "sr"
    IMAGE = "image"
    MPPS = "mpps"
    WORKLIST = "worklist"
    HL7 = "hl7"
    MANUAL = "manual"
    HISTORY = "history"


class PregnancyStatus(StrEnum):
    """Pregnancy status (0010,21C0), 0001 to 0004."""

    NOT_PREGNANT = "not_pregnant"
    POSSIBLY = "possibly"
    DEFINITELY = "definitely"
    UNKNOWN = "unknown"


class Plane(StrEnum):
    """Acquisition plane (CID 10003)."""

    SINGLE = "single"
    A = "a"
    B = "b"
    ALL = "all"


class CtAcquisitionType(StrEnum):
    """CT acquisition type (CID 10013); constant_angle is a localiser."""

    SEQUENCED = "sequenced"
    SPIRAL = "spiral"
    CONSTANT_ANGLE = "constant_angle"
    STATIONARY = "stationary"
    FREE = "free"
    CONE_BEAM = "cone_beam"


class Phantom(StrEnum):
    """CTDI phantom (CID 4052). Doses on two phantoms are never added."""

    HEAD_16CM = "16cm"
    BODY_32CM = "32cm"
    SMALL_10CM = "10cm"
    NEMA_XR21 = "nema_xr21"


class XRayEventType(StrEnum):
    """Irradiation event type (CID 10002); anything but fluoroscopy is an acquisition."""

    FLUOROSCOPY = "fluoroscopy"
    STATIONARY = "stationary"
    STEPPING = "stepping"
    ROTATIONAL = "rotational"


class Laterality(StrEnum):
    """Side imaged or treated."""

    LEFT = "left"
    RIGHT = "right"
    BOTH = "both"
    UNILATERAL = "unilateral"


class EstimateStatistic(StrEnum):
    """Statistic of an estimated dose over an organ (CID 10061, 10062)."""

    MEAN = "mean"
    MAX = "max"
    MIN = "min"
    MODE = "mode"
    MEDIAN = "median"


class Severity(StrEnum):
    """info: tolerated; warning: a number needs care; error: a number is missing."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class SourceKind(StrEnum):
    """Kind of source object; its order of precedence is in the merge rules."""

    RDSR = "rdsr"
    ENHANCED_RDSR = "enhanced_rdsr"
    ESR = "esr"
    RRDSR = "rrdsr"
    P_RDSR = "p_rdsr"
    DOSE_SC = "dose_sc"
    MPPS = "mpps"
    IMAGE_HEADER = "image_header"
    OCR = "ocr"
    MANUAL = "manual"
    HISTORY = "history"


class SetRole(StrEnum):
    """What the report-set rules made of an object."""

    PRIMARY = "primary"
    CONTINUATION = "continuation"
    SUPERSEDED = "superseded"
    DUPLICATE = "duplicate"
    PARTIAL = "partial"
