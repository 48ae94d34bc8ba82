"""What the listener takes: SOP classes with dose, always; images, from the peers allowed to."""

from __future__ import annotations

from pynetdicom import ALL_TRANSFER_SYNTAXES
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from pipelines.slices import can_decode
from pipelines.steps import PERFORMED_STEP

# Whole data sets deflated: explicit VR, and two of JPIP.
_DEFLATED = ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205")
# The first that both know is agreed on: explicit VR keeps what private elements are.
_SYNTAXES = sorted(ALL_TRANSFER_SYNTAXES, key=lambda uid: uid != "1.2.840.10008.1.2.1")
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_SR = _STORAGE + "88."

# Objects that carry dose, or say that one was rejected.
DOSE_CLASSES = {
    _SR + "67": "X-Ray Radiation Dose SR",
    _SR + "68": "Radiopharmaceutical Radiation Dose SR",
    _SR + "73": "Patient Radiation Dose SR",
    _SR + "76": "Enhanced X-Ray Radiation Dose SR",
    _SR + "11": "Basic Text SR",
    _SR + "22": "Enhanced SR",
    _SR + "33": "Comprehensive SR",
    _SR + "34": "Comprehensive 3D SR",
    _SR + "35": "Extensible SR",
    _SR + "59": "Key Object Selection Document",
}
# Images whose header carries dose; secondary captures among them, as dose screens.
IMAGE_CLASSES = {
    _STORAGE + "1": "Computed Radiography Image",
    _STORAGE + "1.1": "Digital X-Ray Image for Presentation",
    _STORAGE + "1.1.1": "Digital X-Ray Image for Processing",
    _STORAGE + "1.2": "Digital Mammography X-Ray Image for Presentation",
    _STORAGE + "1.2.1": "Digital Mammography X-Ray Image for Processing",
    _STORAGE + "1.3": "Digital Intra-Oral X-Ray Image for Presentation",
    _STORAGE + "1.3.1": "Digital Intra-Oral X-Ray Image for Processing",
    _STORAGE + "2": "CT Image",
    _STORAGE + "2.1": "Enhanced CT Image",
    _STORAGE + "2.2": "Legacy Converted Enhanced CT Image",
    _STORAGE + "7": "Secondary Capture Image",
    _STORAGE + "12.1": "X-Ray Angiographic Image",
    _STORAGE + "12.1.1": "Enhanced XA Image",
    _STORAGE + "12.2": "X-Ray Radiofluoroscopic Image",
    _STORAGE + "12.2.1": "Enhanced XRF Image",
    _STORAGE + "13.1.1": "X-Ray 3D Angiographic Image",
    _STORAGE + "13.1.2": "X-Ray 3D Craniofacial Image",
    _STORAGE + "13.1.3": "Breast Tomosynthesis Image",
    _STORAGE + "13.1.4": "Breast Projection X-Ray Image for Presentation",
    _STORAGE + "13.1.5": "Breast Projection X-Ray Image for Processing",
    _STORAGE + "20": "Nuclear Medicine Image",
    _STORAGE + "128": "Positron Emission Tomography Image",
    _STORAGE + "128.1": "Legacy Converted Enhanced PET Image",
    _STORAGE + "130": "Enhanced PET Image",
}


def contexts() -> list[PresentationContext]:
    """What every allowed caller may propose."""
    reports = [build_context(uid, _SYNTAXES) for uid in DOSE_CLASSES]
    return [build_context(Verification), build_context(PERFORMED_STEP), *reports]


def image_contexts() -> list[PresentationContext]:
    """What a peer may propose beside, whose images are taken.

    No deflated syntax: in one the pixels cannot be told from the header while they come in. Those
    that can be decoded come first, so that the patient can be measured.
    """
    syntaxes = [uid for uid in _SYNTAXES if uid not in _DEFLATED]
    syntaxes.sort(key=lambda uid: (uid != _SYNTAXES[0], not can_decode(uid)))
    return [build_context(uid, syntaxes) for uid in IMAGE_CLASSES]
