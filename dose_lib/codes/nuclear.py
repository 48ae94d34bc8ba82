"""Concepts of radiopharmaceutical dose and of the patient: TID 10021 to 10024.

Names and meanings as in PS3.16; the constant is the concept, not its meaning text.
"""

from __future__ import annotations

from dose_lib.codes.concept import Concept, dcm

# TID 10021, 10022 radiopharmaceutical administration
RADIOPHARMACEUTICAL_RADIATION_DOSE_REPORT = dcm(
    "113500", "Radiopharmaceutical Radiation Dose Report"
)
ASSOCIATED_PROCEDURE = Concept("363589002", "SCT", "Associated Procedure")
RADIOPHARMACEUTICAL_ADMINISTRATION = dcm("113502", "Radiopharmaceutical Administration")
RADIOPHARMACEUTICAL_AGENT = Concept("349358000", "SCT", "Radiopharmaceutical agent")
RADIONUCLIDE = Concept("89457008", "SCT", "Radionuclide")
RADIONUCLIDE_HALF_LIFE = Concept("304283002", "SCT", "Radionuclide Half Life")
RADIOPHARMACEUTICAL_SPECIFIC_ACTIVITY = dcm("123007", "Radiopharmaceutical Specific Activity")
ADMINISTRATION_EVENT_UID = dcm("113503", "Radiopharmaceutical Administration Event UID")
INTRAVENOUS_EXTRAVASATION_SYMPTOMS = dcm("113505", "Intravenous Extravasation Symptoms")
ESTIMATED_EXTRAVASATION_ACTIVITY = dcm("113506", "Estimated Extravasation Activity")
RADIOPHARMACEUTICAL_START_DATETIME = dcm("123003", "Radiopharmaceutical Start DateTime")
RADIOPHARMACEUTICAL_STOP_DATETIME = dcm("123004", "Radiopharmaceutical Stop DateTime")
ADMINISTERED_ACTIVITY = dcm("113507", "Administered activity")
RADIOPHARMACEUTICAL_VOLUME = dcm("123005", "Radiopharmaceutical Volume")
PRE_ADMINISTRATION_MEASURED_ACTIVITY = dcm("113508", "Pre-Administration Measured Activity")
ACTIVITY_MEASUREMENT_DEVICE = dcm("113540", "Activity Measurement Device")
POST_ADMINISTRATION_MEASURED_ACTIVITY = dcm("113509", "Post-Administration Measured Activity")
ROUTE_OF_ADMINISTRATION = Concept("410675002", "SCT", "Route of administration")
SITE_OF = Concept("272737002", "SCT", "Site of")
BILLING_CODE = dcm("121147", "Billing Code(s)")
DRUG_PRODUCT_IDENTIFIER = dcm("113510", "Drug Product Identifier")
BRAND_NAME = dcm("111529", "Brand Name")
RADIOPHARMACEUTICAL_DISPENSE_UNIT_IDENTIFIER = dcm(
    "113511", "Radiopharmaceutical Dispense Unit Identifier"
)
RADIOPHARMACEUTICAL_LOT_IDENTIFIER = dcm("113512", "Radiopharmaceutical Lot Identifier")
REAGENT_VIAL_IDENTIFIER = dcm("113513", "Reagent Vial Identifier")
RADIONUCLIDE_VIAL_IDENTIFIER = dcm("113514", "Radionuclide Vial Identifier")
PRESCRIPTION_IDENTIFIER = dcm("113516", "Prescription Identifier")

# TID 10023 organ dose
ORGAN_DOSE_INFORMATION = dcm("113517", "Organ Dose Information")
FINDING_SITE = Concept("363698007", "SCT", "Finding Site")
MASS = Concept("118538004", "SCT", "Mass")
ORGAN_DOSE = dcm("113518", "Organ Dose")

# TID 10024 patient characteristics
PATIENT_CHARACTERISTICS = dcm("121118", "Patient Characteristics")
PATIENT_STATE = dcm("109054", "Patient State")
SUBJECT_AGE = dcm("121033", "Subject Age")
SUBJECT_SEX = dcm("121032", "Subject Sex")
PATIENT_HEIGHT = Concept("8302-2", "LN", "Patient Height")
PATIENT_WEIGHT = Concept("29463-7", "LN", "Patient Weight")
BODY_SURFACE_AREA = Concept("8277-6", "LN", "Body Surface Area")
BODY_SURFACE_AREA_FORMULA = Concept("8278-4", "LN", "Body Surface Area Formula")
BODY_MASS_INDEX = Concept("60621009", "SCT", "Body Mass Index")
EQUATION = dcm("121420", "Equation")
GLUCOSE = Concept("14749-6", "LN", "Glucose")
FASTING_DURATION = dcm("113550", "Fasting Duration")
HYDRATION_VOLUME = dcm("113551", "Hydration Volume")
RECENT_PHYSICAL_ACTIVITY = dcm("113552", "Recent Physical Activity")
SERUM_CREATININE = Concept("2160-0", "LN", "Serum Creatinine")
GLOMERULAR_FILTRATION_RATE = Concept("80274001", "SCT", "Glomerular Filtration Rate")
EQUIVALENT_MEANING = dcm("121050", "Equivalent Meaning of Concept Name")
