"""Tags of the data elements that are read; the constant is the standard's keyword."""

from __future__ import annotations

AffectedSOPInstanceUID = 0x00001000
MediaStorageSOPClassUID = 0x00020002
MediaStorageSOPInstanceUID = 0x00020003
TransferSyntaxUID = 0x00020010
ImplementationVersionName = 0x00020013
SourceApplicationEntityTitle = 0x00020016
SpecificCharacterSet = 0x00080005
ImageType = 0x00080008
SOPClassUID = 0x00080016
SOPInstanceUID = 0x00080018
StudyDate = 0x00080020
SeriesDate = 0x00080021
AcquisitionDate = 0x00080022
ContentDate = 0x00080023
AcquisitionDateTime = 0x0008002A
StudyTime = 0x00080030
SeriesTime = 0x00080031
AcquisitionTime = 0x00080032
ContentTime = 0x00080033
AccessionNumber = 0x00080050
IssuerOfAccessionNumberSequence = 0x00080051
StationAETitle = 0x00080055
Modality = 0x00080060
ModalitiesInStudy = 0x00080061
PresentationIntentType = 0x00080068
Manufacturer = 0x00080070
InstitutionName = 0x00080080
InstitutionAddress = 0x00080081
ReferringPhysicianName = 0x00080090
ReferringPhysicianIdentificationSequence = 0x00080096
CodeValue = 0x00080100
CodingSchemeDesignator = 0x00080102
CodeMeaning = 0x00080104
LongCodeValue = 0x00080119
URNCodeValue = 0x00080120
TimezoneOffsetFromUTC = 0x00080201
StationName = 0x00081010
StudyDescription = 0x00081030
ProcedureCodeSequence = 0x00081032
SeriesDescription = 0x0008103E
InstitutionalDepartmentName = 0x00081040
PhysiciansOfRecord = 0x00081048
PerformingPhysicianName = 0x00081050
PerformingPhysicianIdentificationSequence = 0x00081052
NameOfPhysiciansReadingStudy = 0x00081060
OperatorsName = 0x00081070
OperatorIdentificationSequence = 0x00081072
AdmittingDiagnosesDescription = 0x00081080
ManufacturerModelName = 0x00081090
ReferencedStudySequence = 0x00081110
ReferencedPerformedProcedureStepSequence = 0x00081111
ReferencedSeriesSequence = 0x00081115
ReferencedPatientSequence = 0x00081120
ReferencedSOPClassUID = 0x00081150
ReferencedSOPInstanceUID = 0x00081155
ReferencedSOPSequence = 0x00081199
DerivationDescription = 0x00082111
AnatomicRegionSequence = 0x00082218
IrradiationEventUID = 0x00083010
RadiopharmaceuticalAdministrationEventUID = 0x00083012
PatientName = 0x00100010
PatientID = 0x00100020
IssuerOfPatientID = 0x00100021
IssuerOfPatientIDQualifiersSequence = 0x00100024
PatientBirthDate = 0x00100030
PatientSex = 0x00100040
OtherPatientIDs = 0x00101000
OtherPatientNames = 0x00101001
OtherPatientIDsSequence = 0x00101002
PatientAge = 0x00101010
PatientSize = 0x00101020
PatientWeight = 0x00101030
PregnancyStatus = 0x001021C0
PatientComments = 0x00104000
PatientIdentityRemoved = 0x00120062
ContrastBolusAgent = 0x00180010
BodyPartExamined = 0x00180015
ScanOptions = 0x00180022
Radiopharmaceutical = 0x00180031
CineRate = 0x00180040
SliceThickness = 0x00180050
KVP = 0x00180060
DataCollectionDiameter = 0x00180090
DeviceSerialNumber = 0x00181000
DeviceUID = 0x00181002
GantryID = 0x00181008
SoftwareVersions = 0x00181020
ProtocolName = 0x00181030
ContrastBolusVolume = 0x00181041
SpatialResolution = 0x00181050
RadiopharmaceuticalRoute = 0x00181070
RadiopharmaceuticalVolume = 0x00181071
RadiopharmaceuticalStartTime = 0x00181072
RadiopharmaceuticalStopTime = 0x00181073
RadionuclideTotalDose = 0x00181074
RadionuclideHalfLife = 0x00181075
RadiopharmaceuticalSpecificActivity = 0x00181077
RadiopharmaceuticalStartDateTime = 0x00181078
RadiopharmaceuticalStopDateTime = 0x00181079
ReconstructionDiameter = 0x00181100
DistanceSourceToDetector = 0x00181110
DistanceSourceToPatient = 0x00181111
EstimatedRadiographicMagnificationFactor = 0x00181114
GantryDetectorTilt = 0x00181120
TableHeight = 0x00181130
TableMotion = 0x00181134
FieldOfViewDimensions = 0x00181149
ExposureTime = 0x00181150
XRayTubeCurrent = 0x00181151
Exposure = 0x00181152
ExposureInuAs = 0x00181153
AveragePulseWidth = 0x00181154
RadiationMode = 0x0018115A
ImageAndFluoroscopyAreaDoseProduct = 0x0018115E
FilterType = 0x00181160
IntensifierSize = 0x00181162
Grid = 0x00181166
FocalSpots = 0x00181190
AnodeTargetMaterial = 0x00181191
BodyPartThickness = 0x001811A0
CompressionForce = 0x001811A2
CompressionPressure = 0x001811A3
CompressionContactArea = 0x001811A5
DateOfLastCalibration = 0x00181200
TimeOfLastCalibration = 0x00181201
ConvolutionKernel = 0x00181210
ActualFrameDuration = 0x00181242
WaterEquivalentDiameter = 0x00181271
WaterEquivalentDiameterCalculationMethodCodeSequence = 0x00181272
ScanLength = 0x00181302
AcquisitionDeviceProcessingDescription = 0x00181400
AcquisitionDeviceProcessingCode = 0x00181401
RelativeXRayExposure = 0x00181405
ExposureIndex = 0x00181411
TargetExposureIndex = 0x00181412
DeviationIndex = 0x00181413
ColumnAngulation = 0x00181450
TomoLayerHeight = 0x00181460
TomoAngle = 0x00181470
TomoTime = 0x00181480
TomoType = 0x00181490
NumberOfTomosynthesisSourceImages = 0x00181495
PositionerMotion = 0x00181500
PositionerType = 0x00181508
PositionerPrimaryAngle = 0x00181510
PositionerSecondaryAngle = 0x00181511
PatientPosition = 0x00185100
ViewPosition = 0x00185101
Sensitivity = 0x00186000
DetectorType = 0x00187004
DetectorID = 0x0018700A
DateOfLastDetectorCalibration = 0x0018700C
TimeOfLastDetectorCalibration = 0x0018700E
GridAbsorbingMaterial = 0x00187040
GridSpacingMaterial = 0x00187041
GridThickness = 0x00187042
GridPitch = 0x00187044
GridAspectRatio = 0x00187046
GridPeriod = 0x00187048
GridFocalDistance = 0x0018704C
FilterMaterial = 0x00187050
FilterThicknessMinimum = 0x00187052
FilterThicknessMaximum = 0x00187054
ExposureControlMode = 0x00187060
ExposureControlModeDescription = 0x00187062
ExposureTimeInuS = 0x00188150
XRayTubeCurrentInuA = 0x00188151
AcquisitionDuration = 0x00189073
FrameAcquisitionDateTime = 0x00189074
CTAcquisitionTypeSequence = 0x00189301
AcquisitionType = 0x00189302
TubeAngle = 0x00189303
CTAcquisitionDetailsSequence = 0x00189304
RevolutionTime = 0x00189305
SingleCollimationWidth = 0x00189306
TotalCollimationWidth = 0x00189307
CTTableDynamicsSequence = 0x00189308
TableSpeed = 0x00189309
TableFeedPerRotation = 0x00189310
SpiralPitchFactor = 0x00189311
CTGeometrySequence = 0x00189312
CTReconstructionSequence = 0x00189314
CTExposureSequence = 0x00189321
ExposureModulationType = 0x00189323
EstimatedDoseSaving = 0x00189324
CTXRayDetailsSequence = 0x00189325
CTPositionSequence = 0x00189326
ExposureTimeInms = 0x00189328
XRayTubeCurrentInmA = 0x00189330
ExposureInmAs = 0x00189332
ConstantVolumeFlag = 0x00189333
FluoroscopyFlag = 0x00189334
CTDIvol = 0x00189345
CTDIPhantomTypeCodeSequence = 0x00189346
CTAdditionalXRaySourceSequence = 0x00189360
DistanceSourceToIsocenter = 0x00189402
PositionerPositionSequence = 0x00189405
FrameAcquisitionSequence = 0x00189417
AcquisitionProtocolName = 0x00189423
FieldOfViewSequence = 0x00189432
PositionerIsocenterPrimaryAngle = 0x00189463
PositionerIsocenterSecondaryAngle = 0x00189464
PositionerIsocenterDetectorRotationAngle = 0x00189465
TableHorizontalRotationAngle = 0x00189469
TableHeadTiltAngle = 0x00189470
TableCradleTiltAngle = 0x00189471
AcquiredImageAreaDoseProduct = 0x00189473
XRayGeometrySequence = 0x00189476
IrradiationEventIdentificationSequence = 0x00189477
XRay3DAcquisitionSequence = 0x00189507
XRayAcquisitionDoseSequence = 0x00189542
XRayFilterSequence = 0x00189556
RadiopharmaceuticalUsageSequence = 0x00189737
ContributingEquipmentSequence = 0x0018A001
StudyInstanceUID = 0x0020000D
SeriesInstanceUID = 0x0020000E
StudyID = 0x00200010
SeriesNumber = 0x00200011
AcquisitionNumber = 0x00200012
FrameOfReferenceUID = 0x00200052
Laterality = 0x00200060
ImageLaterality = 0x00200062
ImageComments = 0x00204000
FrameAnatomySequence = 0x00209071
FrameLaterality = 0x00209072
FrameContentSequence = 0x00209111
NumberOfFrames = 0x00280008
CorrectedImage = 0x00280051
QualityControlImage = 0x00280300
BreastImplantPresent = 0x00281300
PartialViewCodeSequence = 0x00281352
LossyImageCompression = 0x00282110
ReasonForStudy = 0x00321030
RequestingPhysician = 0x00321032
RequestedProcedureDescription = 0x00321060
RequestedProcedureCodeSequence = 0x00321064
AdmissionID = 0x00380010
CurrentPatientLocation = 0x00380300
ScheduledProcedureStepID = 0x00400009
LocalNamespaceEntityID = 0x00400031
UniversalEntityID = 0x00400032
PerformedStationAETitle = 0x00400241
PerformedStationName = 0x00400242
PerformedProcedureStepStartDate = 0x00400244
PerformedProcedureStepStartTime = 0x00400245
PerformedProcedureStepEndDate = 0x00400250
PerformedProcedureStepEndTime = 0x00400251
PerformedProcedureStepStatus = 0x00400252
PerformedProcedureStepID = 0x00400253
PerformedProcedureStepDescription = 0x00400254
PerformedProtocolCodeSequence = 0x00400260
ScheduledStepAttributesSequence = 0x00400270
RequestAttributesSequence = 0x00400275
CommentsOnThePerformedProcedureStep = 0x00400280
TotalTimeOfFluoroscopy = 0x00400300
TotalNumberOfExposures = 0x00400301
EntranceDose = 0x00400302
ExposedArea = 0x00400303
DistanceSourceToEntrance = 0x00400306
ExposureDoseSequence = 0x0040030E
CommentsOnRadiationDose = 0x00400310
HalfValueLayer = 0x00400314
OrganDose = 0x00400316
PerformedSeriesSequence = 0x00400340
ProtocolContextSequence = 0x00400440
MeasurementUnitsCodeSequence = 0x004008EA
RequestedProcedureID = 0x00401001
ReasonForTheRequestedProcedure = 0x00401002
ReasonForRequestedProcedureCodeSequence = 0x0040100A
PersonIdentificationCodeSequence = 0x00401101
PersonAddress = 0x00401102
PlacerOrderNumberImagingServiceRequest = 0x00402016
FillerOrderNumberImagingServiceRequest = 0x00402017
EntranceDoseInmGy = 0x00408302
EntranceDoseDerivation = 0x00408303
RelationshipType = 0x0040A010
ValueType = 0x0040A040
ConceptNameCodeSequence = 0x0040A043
VerifyingObserverSequence = 0x0040A073
AuthorObserverSequence = 0x0040A078
DateTime = 0x0040A120
Date = 0x0040A121
Time = 0x0040A122
PersonName = 0x0040A123
UID = 0x0040A124
TextValue = 0x0040A160
FloatingPointValue = 0x0040A161
ConceptCodeSequence = 0x0040A168
MeasuredValueSequence = 0x0040A300
NumericValueQualifierCodeSequence = 0x0040A301
NumericValue = 0x0040A30A
PredecessorDocumentsSequence = 0x0040A360
ReferencedRequestSequence = 0x0040A370
CurrentRequestedProcedureEvidenceSequence = 0x0040A375
CompletionFlag = 0x0040A491
ContentTemplateSequence = 0x0040A504
ContentSequence = 0x0040A730
TabulatedValuesSequence = 0x0040A801
NumberOfTableRows = 0x0040A802
NumberOfTableColumns = 0x0040A803
TableRowNumber = 0x0040A804
TableColumnNumber = 0x0040A805
TableColumnDefinitionSequence = 0x0040A807
CellValuesSequence = 0x0040A808
TemplateIdentifier = 0x0040DB00
EnergyWindowRangeSequence = 0x00540013
EnergyWindowLowerLimit = 0x00540014
EnergyWindowUpperLimit = 0x00540015
RadiopharmaceuticalInformationSequence = 0x00540016
NumberOfRRIntervals = 0x00540061
NumberOfTimeSlots = 0x00540071
NumberOfSlices = 0x00540081
NumberOfTimeSlices = 0x00540101
ViewCodeSequence = 0x00540220
ViewModifierCodeSequence = 0x00540222
RadionuclideCodeSequence = 0x00540300
AdministrationRouteCodeSequence = 0x00540302
RadiopharmaceuticalCodeSequence = 0x00540304
PatientOrientationCodeSequence = 0x00540410
PatientOrientationModifierCodeSequence = 0x00540412
ScanProgressionDirection = 0x00540501
SeriesType = 0x00541000
Units = 0x00541001
RandomsCorrectionMethod = 0x00541100
AttenuationCorrectionMethod = 0x00541101
DecayCorrection = 0x00541102
ReconstructionMethod = 0x00541103
ScatterCorrectionMethod = 0x00541105
CoincidenceWindowWidth = 0x00541210
ContentCreatorName = 0x00700084
SelectorAttributeVR = 0x00720050
SharedFunctionalGroupsSequence = 0x52009229
PerFrameFunctionalGroupsSequence = 0x52009230
PixelData = 0x7FE00010

# Value representation of binary numbers, which implicit VR does not send.
BINARY = {
    PregnancyStatus: b"US",
    WaterEquivalentDiameter: b"FD",
    AcquisitionDuration: b"FD",
    TubeAngle: b"FD",
    RevolutionTime: b"FD",
    SingleCollimationWidth: b"FD",
    TotalCollimationWidth: b"FD",
    TableSpeed: b"FD",
    TableFeedPerRotation: b"FD",
    SpiralPitchFactor: b"FD",
    EstimatedDoseSaving: b"FD",
    ExposureTimeInms: b"FD",
    XRayTubeCurrentInmA: b"FD",
    ExposureInmAs: b"FD",
    CTDIvol: b"FD",
    DistanceSourceToIsocenter: b"FL",
    PositionerIsocenterPrimaryAngle: b"FL",
    PositionerIsocenterSecondaryAngle: b"FL",
    PositionerIsocenterDetectorRotationAngle: b"FL",
    TableHorizontalRotationAngle: b"FL",
    TableHeadTiltAngle: b"FL",
    TableCradleTiltAngle: b"FL",
    AcquiredImageAreaDoseProduct: b"FL",
    TotalTimeOfFluoroscopy: b"US",
    TotalNumberOfExposures: b"US",
    EntranceDose: b"US",
    ExposedArea: b"US",
    FloatingPointValue: b"FD",
    NumberOfTableRows: b"UL",
    NumberOfTableColumns: b"UL",
    TableRowNumber: b"UL",
    TableColumnNumber: b"UL",
    NumberOfRRIntervals: b"US",
    NumberOfTimeSlots: b"US",
    NumberOfSlices: b"US",
    NumberOfTimeSlices: b"US",
}
