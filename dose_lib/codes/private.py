"""Private concepts whose meaning is known from real files; all others are kept as extras."""

from __future__ import annotations

from dose_lib.codes.concept import Concept


def _philips(value: str, meaning: str) -> Concept:
    return Concept(value, "99PHI-IXR-XPER", meaning)


def _arcadis(value: str, meaning: str) -> Concept:
    return Concept(value, "99SMS_RADSUM", meaning)


# Philips Allura, Azurion, Veradius (reference: dicom_dose §3, whitelist)
PHILIPS_SYSTEM_HEIGHT = _philips("001", "Height of System")
PHILIPS_FOCAL_SPOT_TO_ISOCENTER = _philips("002", "Focal Spot to ISO Center")
PHILIPS_NUMBER_OF_FRAMES = _philips("003", "Number of Frames")
PHILIPS_SUBIMAGES_PER_FRAME = _philips("004", "SubImages per Frame")
PHILIPS_BOTTOM_SHUTTER = _philips("006", "Bottom Shutter")
PHILIPS_LEFT_SHUTTER = _philips("007", "Left Shutter")
PHILIPS_RIGHT_SHUTTER = _philips("008", "Right Shutter")
PHILIPS_TOP_SHUTTER = _philips("009", "Top Shutter")
PHILIPS_WEDGE_1_DISTANCE = _philips("010", "Distance Wedge 1")
PHILIPS_WEDGE_2_DISTANCE = _philips("011", "Distance Wedge 2")
PHILIPS_WEDGE_1_ANGLE = _philips("012", "Angle Wedge 1")
PHILIPS_WEDGE_2_ANGLE = _philips("013", "Angle Wedge 2")
PHILIPS_BEAM_LONGITUDINAL = _philips("015", "Longitudinal Beam Position")
PHILIPS_BEAM_LATERAL = _philips("016", "Lateral Beam Position")
PHILIPS_BEAM_ANGLE = _philips("017", "Beam Angle")
PHILIPS_FINAL_SID = _philips("018", "Final Distance Source to Detector")
PHILIPS_FINAL_CRADLE_ANGLE = _philips("019", "Final Table Cradle Angle")
PHILIPS_FINAL_TABLE_HEIGHT = _philips("020", "Final Table Height")
PHILIPS_TABLE_HEIGHT = _philips("021", "Table Height Position")
PHILIPS_FINAL_TABLE_TILT = _philips("022", "Final Table Tilt")
PHILIPS_DETECTOR_FIELD_X = _philips("024", "Detector field X side")
PHILIPS_DETECTOR_FIELD_Y = _philips("025", "Detector field Y side")
PHILIPS_OBJECT_THICKNESS = _philips("026", "Object Thickness")
PHILIPS_PERFORMING_PHYSICIAN = _philips("027", "Performing Physicians Name")
PHILIPS_APPLICATION_GROUP = _philips("028", "Applicationgroup")
PHILIPS_APPLICATION = _philips("029", "Application")
PHILIPS_FLUORO_FLAVOUR = _philips("030", "Fluoro Flavour")

# Siemens Arcadis Varic
ARCADIS_REPORT = _arcadis("C-10", "Radiation Summary")
ARCADIS_EXPOSURES = _arcadis("C-200", "Number of Exposures")
ARCADIS_FLUORO_TIME = _arcadis("C-202", "Fluoro Time")
ARCADIS_KAP = _arcadis("C-204", "Cumulative Dose Area Product")
ARCADIS_START = _arcadis("C-206", "Start")
ARCADIS_END = _arcadis("C-208", "End")
ARCADIS_AIR_KERMA = _arcadis("C-210", "Cumulative Air Kerma")

# Siemens PET-CT radiopharmaceutical reports
SIEMENS_EFFECTIVE_DOSE = Concept("220001", "99SHS", "Effective Dose Information")
