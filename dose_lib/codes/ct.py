"""Concepts of CT dose: TID 10012 to 10015.

Names and meanings as in PS3.16; the constant is the concept, not its meaning text.
"""

from __future__ import annotations

from dose_lib.codes.concept import Concept, dcm

# TID 10012 CT accumulated dose
CT_ACCUMULATED_DOSE_DATA = dcm("113811", "CT Accumulated Dose Data")
TOTAL_NUMBER_OF_IRRADIATION_EVENTS = dcm("113812", "Total Number of Irradiation Events")
CT_DOSE_LENGTH_PRODUCT_TOTAL = dcm("113813", "CT Dose Length Product Total")
CT_DOSE_LENGTH_PRODUCT_SUB_TOTAL = dcm("130745", "CT Dose Length Product Sub-Total")
CT_EFFECTIVE_DOSE_TOTAL = dcm("113814", "CT Effective Dose Total")
REFERENCE_AUTHORITY = dcm("121406", "Reference Authority")
MEASUREMENT_METHOD = Concept("370129005", "SCT", "Measurement Method")
PATIENT_MODEL = dcm("113815", "Patient Model")
CONDITION_EFFECTIVE_DOSE_MEASURED = dcm("113816", "Condition Effective Dose measured")
EFFECTIVE_DOSE_PHANTOM_TYPE = dcm("113817", "Effective Dose Phantom Type")
DOSIMETER_TYPE = dcm("113818", "Dosimeter Type")

# TID 10013 CT acquisition
CT_ACQUISITION = dcm("113819", "CT Acquisition")
CT_ACQUISITION_TYPE = dcm("113820", "CT Acquisition Type")
RECONSTRUCTION_ALGORITHM = dcm("113961", "Reconstruction Algorithm")
PROCEDURE_CONTEXT = Concept("408730004", "SCT", "Procedure Context")
CT_ACQUISITION_PARAMETERS = dcm("113822", "CT Acquisition Parameters")
NOMINAL_SINGLE_COLLIMATION_WIDTH = dcm("113826", "Nominal Single Collimation Width")
NOMINAL_TOTAL_COLLIMATION_WIDTH = dcm("113827", "Nominal Total Collimation Width")
PITCH_FACTOR = dcm("113828", "Pitch Factor")
NUMBER_OF_XRAY_SOURCES = dcm("113823", "Number of X-Ray Sources")
CT_XRAY_SOURCE_PARAMETERS = dcm("113831", "CT X-Ray Source Parameters")
IDENTIFICATION_OF_THE_XRAY_SOURCE = dcm("113832", "Identification of the X-Ray Source")
MAXIMUM_XRAY_TUBE_CURRENT = dcm("113833", "Maximum X-Ray Tube Current")
EXPOSURE_TIME_PER_ROTATION = dcm("113834", "Exposure Time per Rotation")
XRAY_FILTER_ALUMINUM_EQUIVALENT = dcm("113821", "X-Ray Filter Aluminum Equivalent")
CT_DOSE = dcm("113829", "CT Dose")
MEAN_CTDI_VOL = dcm("113830", "Mean CTDIvol")
CTDI_W_PHANTOM_TYPE = dcm("113835", "CTDIw Phantom Type")
CTDI_FREE_AIR_CALCULATION_FACTOR = dcm("113836", "CTDIfreeair Calculation Factor")
MEAN_CTDI_FREE_AIR = dcm("113837", "Mean CTDIfreeair")
DLP = dcm("113838", "DLP")
EFFECTIVE_DOSE = dcm("113839", "Effective Dose")
EFFECTIVE_DOSE_CONVERSION_FACTOR = dcm("113840", "Effective Dose Conversion Factor")
SSDE = dcm("113930", "Size Specific Dose Estimate")
MEASURED_LATERAL_DIMENSION = dcm("113931", "Measured Lateral Dimension")
MEASURED_AP_DIMENSION = dcm("113932", "Measured AP Dimension")
DERIVED_EFFECTIVE_DIAMETER = dcm("113933", "Derived Effective Diameter")
DW_CONVERSION_FACTOR_COEFFICIENTS = dcm("113991", "Dw Conversion Factor Coefficients")
WED_SOURCE = dcm("113985", "Series or Instance used for Water Equivalent Diameter estimation")
WATER_EQUIVALENT_DIAMETER = dcm("113980", "Water Equivalent Diameter")
LONGITUDINAL_POSITION_Z = dcm("113994", "Longitudinal Position Z")
WED_LOCATION_Z = dcm("113986", "Z value of location of Water Equivalent Diameter estimation")
SSDE_AT_Z = dcm("113993", "Size Specific Dose Estimate At Longitudinal Position Z")
WED_AT_Z = dcm("113995", "Water Equivalent Diameter At Longitudinal Position Z")
XRAY_MODULATION_TYPE = dcm("113842", "X-Ray Modulation Type")

# TID 10014 scanning length
SCANNING_LENGTH = dcm("113825", "Scanning Length")
LENGTH_OF_RECONSTRUCTABLE_VOLUME = dcm("113893", "Length of Reconstructable Volume")
EXPOSED_RANGE = dcm("113899", "Exposed Range")
TOP_Z_LOCATION_OF_RECONSTRUCTABLE_VOLUME = dcm("113895", "Top Z Location of Reconstructable Volume")
BOTTOM_Z_LOCATION_OF_RECONSTRUCTABLE_VOLUME = dcm(
    "113896", "Bottom Z Location of Reconstructable Volume"
)
TOP_Z_LOCATION_OF_SCANNING_LENGTH = dcm("113897", "Top Z Location of Scanning Length")
BOTTOM_Z_LOCATION_OF_SCANNING_LENGTH = dcm("113898", "Bottom Z Location of Scanning Length")
FRAME_OF_REFERENCE_UID = dcm("112227", "Frame of Reference UID")

# TID 10015 dose check (NEMA XR 25)
DOSE_CHECK_ALERT_DETAILS = dcm("113900", "Dose Check Alert Details")
DLP_ALERT_VALUE_CONFIGURED = dcm("113901", "DLP Alert Value Configured")
CTDI_VOL_ALERT_VALUE_CONFIGURED = dcm("113902", "CTDIvol Alert Value Configured")
DLP_ALERT_VALUE = dcm("113903", "DLP Alert Value")
CTDI_VOL_ALERT_VALUE = dcm("113904", "CTDIvol Alert Value")
ACCUMULATED_DLP_FORWARD_ESTIMATE = dcm("113905", "Accumulated DLP Forward Estimate")
ACCUMULATED_CTDI_VOL_FORWARD_ESTIMATE = dcm("113906", "Accumulated CTDIvol Forward Estimate")
REASON_FOR_PROCEEDING = dcm("113907", "Reason for Proceeding")
ALTERNATIVE_DOSE_ALERT_BEHAVIOR_ACTIVE = dcm("113915", "Alternative dose alert behavior active")
DOSE_CHECK_NOTIFICATION_DETAILS = dcm("113908", "Dose Check Notification Details")
DLP_NOTIFICATION_VALUE_CONFIGURED = dcm("113909", "DLP Notification Value Configured")
CTDI_VOL_NOTIFICATION_VALUE_CONFIGURED = dcm("113910", "CTDIvol Notification Value Configured")
DLP_NOTIFICATION_VALUE = dcm("113911", "DLP Notification Value")
CTDI_VOL_NOTIFICATION_VALUE = dcm("113912", "CTDIvol Notification Value")
DLP_FORWARD_ESTIMATE = dcm("113913", "DLP Forward Estimate")
CTDI_VOL_FORWARD_ESTIMATE = dcm("113914", "CTDIvol Forward Estimate")
