"""Concepts of the report as a whole (TID 10001, 10011) and of who made it (TID 1002 to 1021).

Names and meanings as in PS3.16; the constant is the concept, not its meaning text.
"""

from __future__ import annotations

from dose_lib.codes.concept import Concept, dcm

# TID 10001 projection, TID 10011 CT: the report
XRAY_RADIATION_DOSE_REPORT = dcm("113701", "X-Ray Radiation Dose Report")
PROCEDURE_REPORTED = dcm("121058", "Procedure reported")
HAS_INTENT = Concept("363703001", "SCT", "Has Intent")
ACQUISITION_DEVICE_TYPE = dcm("122142", "Acquisition Device Type")
SCOPE_OF_ACCUMULATION = dcm("113705", "Scope of Accumulation")
XRAY_DETECTOR_DATA_AVAILABLE = dcm("113945", "X-Ray Detector Data Available")
XRAY_SOURCE_DATA_AVAILABLE = dcm("113943", "X-Ray Source Data Available")
XRAY_MECHANICAL_DATA_AVAILABLE = dcm("113944", "X-Ray Mechanical Data Available")
COMMENT = dcm("121106", "Comment")
DOSE_IMAGE = dcm("121342", "Dose Image")
SOURCE_OF_DOSE_INFORMATION = dcm("113854", "Source of Dose Information")
START_OF_XRAY_IRRADIATION = dcm("113809", "Start of X-Ray Irradiation")
END_OF_XRAY_IRRADIATION = dcm("113810", "End of X-Ray Irradiation")
LANGUAGE = dcm("121049", "Language of Content Item and Descendants")

# CID 10001: what the totals accumulate over, by UID
STUDY_INSTANCE_UID = dcm("110180", "Study Instance UID")
PERFORMED_STEP_UID = dcm("121126", "Performed Procedure Step SOP Instance UID")
SERIES_INSTANCE_UID = dcm("112002", "Series Instance UID")

# TID 1002 to 1004 observers
OBSERVER_TYPE = dcm("121005", "Observer Type")
PERSON_OBSERVER_NAME = dcm("121008", "Person Observer Name")
PERSON_OBSERVER_LOGIN_NAME = dcm("128774", "Person Observer's Login Name")
PERSON_OBSERVER_ORGANIZATION_NAME = dcm("121009", "Person Observer's Organization Name")
PERSON_OBSERVER_ROLE_IN_THE_ORGANIZATION = dcm(
    "121010", "Person Observer's Role in the Organization"
)
PERSON_OBSERVER_ROLE_IN_THIS_PROCEDURE = dcm("121011", "Person Observer's Role in this Procedure")
IDENTIFIER_WITHIN_PERSON_OBSERVER_ROLE = dcm("128775", "Identifier within Person Observer's Role")
DEVICE_OBSERVER_UID = dcm("121012", "Device Observer UID")
DEVICE_OBSERVER_NAME = dcm("121013", "Device Observer Name")
DEVICE_OBSERVER_MANUFACTURER = dcm("121014", "Device Observer Manufacturer")
DEVICE_OBSERVER_MODEL_NAME = dcm("121015", "Device Observer Model Name")
DEVICE_OBSERVER_SERIAL_NUMBER = dcm("121016", "Device Observer Serial Number")
DEVICE_OBSERVER_PHYSICAL_LOCATION_DURING_OBSERVATION = dcm(
    "121017", "Device Observer Physical Location During Observation"
)

# TID 1020, 1021 participants
PERSON_NAME = dcm("113870", "Person Name")
PERSON_ROLE_IN_PROCEDURE = dcm("113875", "Person Role in Procedure")
PERSON_ID = dcm("113871", "Person ID")
PERSON_ID_ISSUER = dcm("113872", "Person ID Issuer")
ORGANIZATION_NAME = dcm("113873", "Organization Name")
PERSON_ROLE_IN_ORGANIZATION = dcm("113874", "Person Role in Organization")
DEVICE_ROLE_IN_PROCEDURE = dcm("113876", "Device Role in Procedure")
DEVICE_NAME = dcm("113877", "Device Name")
DEVICE_MANUFACTURER = dcm("113878", "Device Manufacturer")
DEVICE_MODEL_NAME = dcm("113879", "Device Model Name")
DEVICE_SERIAL_NUMBER = dcm("113880", "Device Serial Number")
STATION_AE_TITLE = dcm("110119", "Station AE Title")
PERFORMING_PHYSICIAN = dcm("121114", "Performing Physician")
