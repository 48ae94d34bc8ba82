"""The size of the patient on one CT image, while its pixels are still there (AAPM report 220).

What is kept is a number with its formula and version, never a picture. Only every n-th axial
image of a series is measured: the trunk changes little from slice to slice. Whoever takes in an
image asks `look_at` whether it is one of these, from its header alone; `measure` decodes pixels
and runs in a process of its own (see `measuring`).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from io import BytesIO
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from dose_lib.derived import Place, derived_slice, slice_name, slice_not_measured, slice_size
from dose_lib.records import DerivedValue

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
_MULTI_FRAME = frozenset({CT_IMAGE + ".1", CT_IMAGE + ".2"})
_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_PLACE = [
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "ImageType", "InstanceNumber",
    "SamplesPerPixel", "RescaleType", "ImagePositionPatient", "ImageOrientationPatient",
    "IrradiationEventUID", "AcquisitionNumber", "AcquisitionDateTime", "AcquisitionDate",
    "AcquisitionTime",
]  # fmt: skip
_LARGEST = 2048  # rows or columns of an axial image
_PLAUSIBLE_MM = (30.0, 900.0)  # outline of a patient, from a newborn's limb on
_META = 1024  # bytes in which the file meta information names the class
MOST_PIXELS = 2 * _LARGEST * _LARGEST  # bytes held of one image until it is measured
_AXIAL = 0.94  # cosine of 20 degrees: a tilted gantry is still axial
# Words of Image Type that say that values are no attenuation of the patient.
_NOT_ATTENUATION = ("LOCALIZER", "PERF", "MAP", "SUBTR", "IODINE", "MIP", "VRT", "SCREEN", "FUSION")
# What a header may do to a reader; a size is never worth an object.
TROUBLE = (
    InvalidDicomError, ValueError, TypeError, AttributeError, KeyError, IndexError, RuntimeError,
    OverflowError, EOFError, MemoryError, struct.error, ZeroDivisionError, OSError,
)  # fmt: skip

Derived = Mapping[str, DerivedValue]


class Wanted(msgspec.Struct, frozen=True):
    """An image to be measured: its UID, its encoding, what it says of its place in the exam."""

    uid: str
    transfer_syntax: str
    place: Place
    is_single: bool = True

    def given_up(self, reason: str) -> Derived:
        """That it could not be measured, and why."""
        return {slice_name(self.uid): slice_not_measured(reason, self.place)}


def can_measure(sop_class: str, transfer_syntax: str) -> bool:
    """True for images whose pixels are worth keeping until the header is known."""
    return sop_class == CT_IMAGE and can_decode(transfer_syntax)


@cache
def can_decode(transfer_syntax: str) -> bool:
    """True for encodings of pixels that can be undone with what is installed."""
    if transfer_syntax in _NATIVE:
        return True
    from pydicom.pixels.decoders.base import get_decoder

    try:
        return bool(get_decoder(UID(transfer_syntax)).is_available)
    except NotImplementedError:
        return False


def why_not_decoded(transfer_syntax: str) -> str:
    """What to do about pixels that cannot be decoded."""
    name = UID(transfer_syntax).name
    called = transfer_syntax if name == transfer_syntax else f"{name} ({transfer_syntax})"
    return (
        f"no decoder for {called}: have it sent as Explicit VR Little Endian, or install"
        " doseloop[pixels]"
    )


def look_at(header: bytes, *, every: int) -> Wanted | None:
    """The image, if its header says that it is to be measured.

    Parameters
    ----------
    header
        A Part 10 file, with or without its pixels.
    every
        Measure only images whose number is a multiple of it, and the first; 0: none.

    Returns
    -------
    Wanted or None
        None for everything but axial CT images in Hounsfield units.
    """
    if every < 1 or CT_IMAGE.encode() not in header[:_META]:
        return None  # reports are not parsed a second time
    try:
        image = dcmread(BytesIO(header), specific_tags=_PLACE)
        syntax, sop_class = str(image.file_meta.TransferSyntaxUID), str(image.SOPClassUID)
        is_single = sop_class == CT_IMAGE
        if not _shows_attenuation(image) or not (is_single or sop_class in _MULTI_FRAME):
            return None
        if is_single and not (_is_axial(image) and _is_in_turn(image, every)):
            return None
        return Wanted(str(image.SOPInstanceUID), syntax, _place(image), is_single)
    except TROUBLE:
        return None


def _shows_attenuation(image: Dataset) -> bool:
    """True for grey images in Hounsfield units that are neither localiser nor map."""
    kinds = [str(kind).upper() for kind in image.get("ImageType") or ()]
    is_other = any(word in kind for kind in kinds for word in _NOT_ATTENUATION)
    unit = str(image.get("RescaleType") or "HU").strip().upper()
    return not is_other and unit == "HU" and image.get("SamplesPerPixel", 1) == 1


def _is_in_turn(image: Dataset, every: int) -> bool:
    number = image.get("InstanceNumber")
    return number is None or int(number) == 1 or int(number) % every == 0


def _is_axial(image: Dataset) -> bool:
    cosines = image.get("ImageOrientationPatient")
    if not cosines:
        return False
    row, column = (np.array([float(c) for c in cosines[i : i + 3]]) for i in (0, 3))
    return bool(abs(np.cross(row, column)[2]) >= _AXIAL)


def _place(image: Dataset) -> Place:
    event, number = image.get("IrradiationEventUID"), image.get("AcquisitionNumber")
    at = image.get("ImagePositionPatient")
    kinds = image.get("ImageType") or ("ORIGINAL",)
    return Place(
        event_uid=str(event) if isinstance(event, str) and event else None,
        acquisition=None if number is None else str(number),
        acquired_at=_acquired_at(image),
        series_uid=str(image.get("SeriesInstanceUID") or "") or None,
        is_original=str(kinds[0]).upper() == "ORIGINAL",
        z_mm=float(at[2]) if at else None,
    )


def _acquired_at(image: Dataset) -> datetime | None:
    """Acquisition Date and Time, else Acquisition DateTime: local time as recorded."""
    joined = f"{image.get('AcquisitionDate') or ''}{image.get('AcquisitionTime') or ''}"
    for text in (joined, str(image.get("AcquisitionDateTime") or "")):
        try:
            return datetime.strptime(text[:14], "%Y%m%d%H%M%S")
        except ValueError:
            continue
    return None


def measure(data: bytes, wanted: Wanted) -> Derived:
    """Water-equivalent diameter on an axial CT image, under the name of its slice.

    Parameters
    ----------
    data
        A Part 10 file with its pixels.
    wanted
        What `look_at` made of its header.

    Returns
    -------
    mapping
        Without a value, and with the reason, where header and pixels do not fit; empty where
        the image shows nobody.
    """
    try:
        return _measured(dcmread(BytesIO(data)), wanted)
    except TROUBLE as error:
        return wanted.given_up(f"header and pixels do not fit ({type(error).__name__})")


def _measured(image: Dataset, wanted: Wanted) -> Derived:
    rows, columns = int(image.Rows), int(image.Columns)
    if not (8 <= rows <= _LARGEST and 8 <= columns <= _LARGEST) or image.BitsAllocated != 16:
        seen = f"{rows} × {columns} pixels of {image.BitsAllocated} bits"
        return wanted.given_up(f"{seen}; up to {_LARGEST} × {_LARGEST} of 16 are measured")
    down, across = (float(s) for s in image.PixelSpacing)
    if not (0.05 <= down <= 10 and 0.05 <= across <= 10):
        return wanted.given_up(f"pixels of {down:g} mm × {across:g} mm")
    size = slice_size(
        _stored(image, rows, columns),
        (down, across),
        slope=float(image.RescaleSlope),
        intercept=float(image.RescaleIntercept),
        padding=_padding(image),
    )
    if size is None or not _PLAUSIBLE_MM[0] <= size.effective_diameter_mm <= _PLAUSIBLE_MM[1]:
        return {}
    return {slice_name(wanted.uid): derived_slice(size, wanted.place)}


def _stored(image: Dataset, rows: int, columns: int) -> npt.NDArray[Any]:
    """Stored values, decoded where they are compressed."""
    syntax = str(image.file_meta.TransferSyntaxUID)
    if syntax in _NATIVE:
        kind = np.dtype(np.int16 if image.PixelRepresentation else np.uint16)
        kind = kind.newbyteorder(">" if syntax == _BIG_ENDIAN else "<")
        stored = np.frombuffer(image.PixelData, kind, rows * columns)
        return stored.reshape(rows, columns)
    from pydicom.pixels.utils import pixel_array

    decoded: npt.NDArray[Any] = pixel_array(image, raw=True)
    if decoded.shape != (rows, columns):
        raise ValueError("more or fewer pixels than the header says")
    return decoded


def _padding(image: Dataset) -> tuple[float, float] | None:
    """Range of stored values that stand for no measurement."""
    value = _as_stored(image, "PixelPaddingValue")
    if value is None:
        return None
    limit = _as_stored(image, "PixelPaddingRangeLimit")
    return (value, value) if limit is None else (min(value, limit), max(value, limit))


def _as_stored(image: Dataset, keyword: str) -> float | None:
    """A value in the representation of the pixels, whatever the element's VR says."""
    value = image.get(keyword)
    if isinstance(value, bytes):  # implicit VR leaves open which it is
        is_big = str(image.file_meta.TransferSyntaxUID) == _BIG_ENDIAN
        value = int.from_bytes(value[:2], "big" if is_big else "little")
    if not isinstance(value, int):
        return None
    is_signed = bool(image.PixelRepresentation)
    low = value & 0xFFFF
    return float(low - 0x10000 if is_signed and low >= 0x8000 else low)
