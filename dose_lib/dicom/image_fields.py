"""Header attributes of projection images and the names they become (PS3.3 C.8)."""

from __future__ import annotations

from dose_lib import codes as c
from dose_lib.dicom import tags as t
from dose_lib.dicom.attributes import Attribute
from dose_lib.dicom.fields import Kind
from dose_lib.records import CtAcquisitionType, Laterality

# The finer attribute of a pair comes first: the first that is there is taken.
PROJECTION = (
    Attribute(t.IrradiationEventUID, "event_uid", Kind.WORD),
    Attribute(t.AcquisitionDateTime, "started_at", Kind.TIME),
    Attribute(t.KVP, "kvp_kv"),
    Attribute(t.XRayTubeCurrentInmA, "tube_current_ma"),
    Attribute(t.XRayTubeCurrent, "tube_current_ma"),
    Attribute(t.XRayTubeCurrentInuA, "tube_current_ma", factor=1e-3),
    Attribute(t.ExposureTimeInms, "exposure_time_ms"),
    Attribute(t.ExposureTimeInuS, "exposure_time_ms", factor=1e-3),
    Attribute(t.ExposureTime, "exposure_time_ms"),
    Attribute(t.ExposureInmAs, "exposure_mas"),
    Attribute(t.ExposureInuAs, "exposure_mas", factor=1e-3),
    Attribute(t.Exposure, "exposure_mas"),
    Attribute(t.AveragePulseWidth, "pulse_width_ms"),
    Attribute(t.CineRate, "frame_rate_hz"),
    Attribute(t.NumberOfFrames, "n_frames", Kind.COUNT),
    # dGy.cm2 (PS3.3 C.8.7.8); of the image first, since the other may include fluoroscopy
    Attribute(t.AcquiredImageAreaDoseProduct, "kap_gy_cm2", factor=0.1),
    Attribute(t.ImageAndFluoroscopyAreaDoseProduct, "kap_gy_cm2", factor=0.1),
    Attribute(t.HalfValueLayer, "half_value_layer_mm"),
    Attribute(t.FocalSpots, "focal_spot_mm"),
    Attribute(t.DistanceSourceToDetector, "sid_mm"),
    Attribute(t.DistanceSourceToEntrance, "source_entrance_mm"),
    Attribute(t.DistanceSourceToIsocenter, "source_isocenter_mm"),
    Attribute(t.IntensifierSize, "ii_diameter_mm"),
    Attribute(t.ExposureIndex, "exposure_index"),
    Attribute(t.TargetExposureIndex, "target_exposure_index"),
    Attribute(t.DeviationIndex, "deviation_index"),
    Attribute(t.ExposureControlMode, "exposure_control_mode", Kind.TEXT),
    Attribute(t.ExposureControlModeDescription, "exposure_control_description", Kind.TEXT),
    Attribute(t.PositionerPrimaryAngle, "primary_angle_deg"),
    Attribute(t.PositionerSecondaryAngle, "secondary_angle_deg"),
    Attribute(t.ColumnAngulation, "column_angulation_deg"),
    Attribute(t.PositionerIsocenterPrimaryAngle, "isocenter_primary_angle_deg"),
    Attribute(t.PositionerIsocenterSecondaryAngle, "isocenter_secondary_angle_deg"),
    Attribute(t.PositionerIsocenterDetectorRotationAngle, "isocenter_detector_rotation_deg"),
    Attribute(t.TableHeight, "table_height_mm"),
    Attribute(t.TableHeadTiltAngle, "table_head_tilt_deg"),
    Attribute(t.TableCradleTiltAngle, "table_cradle_tilt_deg"),
    Attribute(t.TableHorizontalRotationAngle, "table_horizontal_rotation_deg"),
    Attribute(t.EstimatedRadiographicMagnificationFactor, "magnification"),
    Attribute(t.GridAbsorbingMaterial, "grid_absorbing_material", Kind.TEXT),
    Attribute(t.GridSpacingMaterial, "grid_spacing_material", Kind.TEXT),
    Attribute(t.GridThickness, "grid_thickness_mm"),
    Attribute(t.GridPitch, "grid_pitch_mm"),
    Attribute(t.GridPeriod, "grid_period_ms"),
    Attribute(t.GridFocalDistance, "grid_focal_distance_mm"),
    Attribute(t.CTDIvol, "ctdi_vol_mgy"),
    Attribute(t.AnatomicRegionSequence, "anatomical_structure", Kind.CODE),
    Attribute(t.ViewCodeSequence, "view", Kind.CODE),
    Attribute(t.PatientOrientationCodeSequence, "orientation", Kind.CODE),
    Attribute(t.ImageComments, "comment", Kind.TEXT),
)
MAMMOGRAPHY = (
    Attribute(t.OrganDose, "agd_mgy", factor=100.0),  # dGy (PS3.3 C.8.31.5)
    Attribute(t.BodyPartThickness, "compressed_thickness_mm"),
    Attribute(t.CompressionForce, "compression_force_n"),
    Attribute(t.CompressionPressure, "compression_pressure_kpa"),
    Attribute(t.CompressionContactArea, "compression_area_mm2"),
    Attribute(t.DistanceSourceToPatient, "source_patient_mm"),
)
RADIOGRAPHY = (
    Attribute(t.BodyPartThickness, "body_part_thickness_mm"),
    Attribute(t.DistanceSourceToPatient, "source_patient_mm"),
)
# In XA and RF images the "patient" of this distance is the isocentre (PS3.3 C.8.7.5).
ANGIOGRAPHY = (Attribute(t.DistanceSourceToPatient, "source_isocenter_mm"),)

PROTOCOLS = (
    t.ProtocolName,
    t.AcquisitionProtocolName,
    t.AcquisitionDeviceProcessingDescription,
    t.SeriesDescription,
)
SIDES = {
    "L": Laterality.LEFT,
    "R": Laterality.RIGHT,
    "B": Laterality.BOTH,
    "U": Laterality.UNILATERAL,
}
FILTER_TYPES = {
    "NONE": c.NO_FILTER,
    "STRIP": c.STRIP_FILTER,
    "WEDGE": c.WEDGE_FILTER,
    "BUTTERFLY": c.BUTTERFLY_FILTER,
    "FLAT": c.FLAT_FILTER,
}
# Spellings that arrive; "CU_0.2_MM" is matched by its beginning (Siemens Multix).
MATERIALS = {
    "CU": c.COPPER,
    "COPPER": c.COPPER,
    "AL": c.ALUMINUM,
    "ALUMINUM": c.ALUMINUM,
    "ALUMINIUM": c.ALUMINUM,
    "MO": c.MOLYBDENUM,
    "MOLYBDENUM": c.MOLYBDENUM,
    "RH": c.RHODIUM,
    "RHODIUM": c.RHODIUM,
    "AG": c.SILVER,
    "SILVER": c.SILVER,
    "SN": c.TIN,
    "TIN": c.TIN,
    "TA": c.TANTALUM,
    "TANTALUM": c.TANTALUM,
    "NB": c.NIOBIUM,
    "NIOBIUM": c.NIOBIUM,
    "EU": c.EUROPIUM,
    "EUROPIUM": c.EUROPIUM,
    "PB": c.LEAD,
    "LEAD": c.LEAD,
    "W": c.TUNGSTEN,
    "TUNGSTEN": c.TUNGSTEN,
}
GRIDS = {
    "FIXED": c.FIXED_GRID,
    "FOCUSED": c.FOCUSED_GRID,
    "RECIPROCATING": c.RECIPROCATING_GRID,
    "PARALLEL": c.PARALLEL_GRID,
    "CROSSED": c.CROSSED_GRID,
    "NONE": c.NO_GRID,
}
CT_TYPES = {
    "SEQUENCED": CtAcquisitionType.SEQUENCED,
    "SPIRAL": CtAcquisitionType.SPIRAL,
    "CONSTANT_ANGLE": CtAcquisitionType.CONSTANT_ANGLE,
    "STATIONARY": CtAcquisitionType.STATIONARY,
    "FREE": CtAcquisitionType.FREE,
}
# Makers' own exposure scales (vendor_deviations §3.2b); never an exposure index.
SCALES = (
    (r"fuji|konica", "S"),
    (r"carestream|kodak", "EI (mbel)"),
    (r"agfa", "lgM"),
    (r"canon", "REX"),
    (r"philips", "EI"),
    (r"siemens", "EXI"),
)
