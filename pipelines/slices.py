"""The size of the patient on one CT image, measured on arrival, before its pixels are dropped.

What is kept is a number with its formula and version, never a picture (AAPM report 220). Only
every n-th axial image of a series is measured: the trunk changes little from slice to slice, and
a listener must not keep a scanner waiting.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Mapping
from io import BytesIO

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from dose_lib.derived import derived_slice, slice_name, slice_size
from dose_lib.records import DerivedValue

log = logging.getLogger(__name__)

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_WANTED = [
    "SOPClassUID", "SOPInstanceUID", "ImageType", "InstanceNumber", "Rows", "Columns",
    "BitsAllocated", "PixelRepresentation", "SamplesPerPixel", "PixelSpacing", "RescaleSlope",
    "RescaleIntercept", "ImagePositionPatient", "ImageOrientationPatient", "PixelData",
]  # fmt: skip
_LARGEST = 2048  # rows or columns of an axial image
_PLAUSIBLE_MM = (30.0, 900.0)  # outline of a patient, from a newborn's limb on
_META = 1024  # bytes in which the file meta information names the class
MOST_PIXELS = 2 * _LARGEST * _LARGEST  # bytes held of one image until it is measured
_AXIAL = 0.94  # cosine of 20 degrees: a tilted gantry is still axial
# What a header may do to a reader; a size is never worth an object.
_TROUBLE = (
    InvalidDicomError, ValueError, TypeError, AttributeError, KeyError, IndexError,
    NotImplementedError, OverflowError, EOFError, MemoryError, struct.error, ZeroDivisionError,
)  # fmt: skip

Derived = Mapping[str, DerivedValue]


def can_measure(sop_class: str, transfer_syntax: str) -> bool:
    """True for images whose pixels are worth keeping until the header is known."""
    return sop_class == CT_IMAGE and transfer_syntax in _NATIVE


def measure_slice(header: bytes, pixels: bytes, *, every: int) -> Derived:
    """Water-equivalent diameter of an axial CT image, under the name of its slice.

    Parameters
    ----------
    header
        A Part 10 file; its own pixels are used where `pixels` is empty.
    pixels
        Pixel data as sent, native.
    every
        Measure only images whose number is a multiple of it, and the first; 0: none.

    Returns
    -------
    mapping
        Empty where there is nothing to measure: localisers, coronal and sagittal images,
        compressed pixels, a header that does not fit its pixels.
    """
    if every < 1 or CT_IMAGE.encode() + b"\x00" not in header[:_META]:
        return {}  # reports are not parsed a second time
    try:
        image = dcmread(BytesIO(header), specific_tags=_WANTED)
        if not can_measure(str(image.SOPClassUID), str(image.file_meta.TransferSyntaxUID)):
            return {}
        if not _is_wanted(image, every):
            return {}
        return _measured(image, pixels or image.PixelData)
    except _TROUBLE as error:
        log.info("slice not measured", extra={"reason": type(error).__name__})
        return {}


def _is_wanted(image: Dataset, every: int) -> bool:
    kinds = [str(k).upper() for k in image.get("ImageType", ())]
    if "LOCALIZER" in kinds or image.get("SamplesPerPixel", 1) != 1 or not _is_axial(image):
        return False
    number = image.get("InstanceNumber")
    return number is None or int(number) == 1 or int(number) % every == 0


def _is_axial(image: Dataset) -> bool:
    cosines = image.get("ImageOrientationPatient")
    if not cosines:
        return False
    row, column = (np.array([float(c) for c in cosines[i : i + 3]]) for i in (0, 3))
    return bool(abs(np.cross(row, column)[2]) >= _AXIAL)


def _measured(image: Dataset, pixels: bytes) -> Derived:
    rows, columns = int(image.Rows), int(image.Columns)
    if not (8 <= rows <= _LARGEST and 8 <= columns <= _LARGEST) or image.BitsAllocated != 16:
        return {}
    is_big = str(image.file_meta.TransferSyntaxUID) == _BIG_ENDIAN
    kind = np.dtype(np.int16 if image.PixelRepresentation else np.uint16)
    stored = np.frombuffer(pixels, kind.newbyteorder(">" if is_big else "<"), rows * columns)
    down, across = (float(s) for s in image.PixelSpacing)
    size = slice_size(
        stored.reshape(rows, columns),
        (down, across),
        slope=float(image.RescaleSlope),
        intercept=float(image.RescaleIntercept),
    )
    if size is None or not _PLAUSIBLE_MM[0] <= size.effective_diameter_mm <= _PLAUSIBLE_MM[1]:
        return {}
    place = image.get("ImagePositionPatient")
    z = None if not place else float(place[2])
    return {slice_name(str(image.SOPInstanceUID)): derived_slice(size, z)}
