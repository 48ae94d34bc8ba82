"""The data model: one module a noun, names and units as in `contract.csv`.

Records are immutable values. A missing value is None; a list is always a list.
`contract()` gives the meaning, unit and DICOM source of every name.
"""

from __future__ import annotations

from dose_lib.records.ct import CtEvent, CtSource, DoseCheck, SsdeAlternative, SsdeAtZ
from dose_lib.records.device import Device
from dose_lib.records.dictionary import ContractName, contract
from dose_lib.records.enums import (
    AgeSource,
    Contrast,
    CtAcquisitionType,
    EstimateStatistic,
    Laterality,
    MgMode,
    Modality,
    Phantom,
    Plane,
    PregnancyStatus,
    SetRole,
    Severity,
    Sex,
    SizeMethod,
    SizeSource,
    SourceKind,
    StepStatus,
    TzSource,
    XRayEventType,
)
from dose_lib.records.finding import Decision, Finding, FindingState, finding_id
from dose_lib.records.identity import IdentifyingText, Identity, OtherPatientId, Staff
from dose_lib.records.nuclear import Administration, Estimate, EstimateParameter, OrganDose
from dose_lib.records.part import DerivedValue, Extra, Fiducial, Part, Patient, Totals, TotalsPlane
from dose_lib.records.rejection import Rejection, RejectionReason
from dose_lib.records.size import OUTSIDE_SOURCES, MeasuredSize
from dose_lib.records.source import Code, Issue, Provenance, SourceObject
from dose_lib.records.xray import Filter, Pulse, RelativeExposure, XRayEvent

__all__ = [
    "OUTSIDE_SOURCES",
    "Administration",
    "AgeSource",
    "Code",
    "ContractName",
    "Contrast",
    "CtAcquisitionType",
    "CtEvent",
    "CtSource",
    "Decision",
    "DerivedValue",
    "Device",
    "DoseCheck",
    "Estimate",
    "EstimateParameter",
    "EstimateStatistic",
    "Extra",
    "Fiducial",
    "Filter",
    "Finding",
    "FindingState",
    "IdentifyingText",
    "Identity",
    "Issue",
    "Laterality",
    "MeasuredSize",
    "MgMode",
    "Modality",
    "OrganDose",
    "OtherPatientId",
    "Part",
    "Patient",
    "Phantom",
    "Plane",
    "PregnancyStatus",
    "Provenance",
    "Pulse",
    "Rejection",
    "RejectionReason",
    "RelativeExposure",
    "SetRole",
    "Severity",
    "Sex",
    "SizeMethod",
    "SizeSource",
    "SourceKind",
    "SourceObject",
    "SsdeAlternative",
    "SsdeAtZ",
    "Staff",
    "StepStatus",
    "Totals",
    "TotalsPlane",
    "TzSource",
    "XRayEvent",
    "XRayEventType",
    "contract",
    "finding_id",
]
