"""The last way round, for layouts that break the rules: pydicom reads, and rewrites.

pydicom's long experience with those is worth more than speed. What it reads is written
anew as explicit VR little endian, so that there is one reader of content only.
"""

from __future__ import annotations

import struct
import warnings
from io import BytesIO

import pydicom
from pydicom import config
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian

from dose_lib.errors import ReadError

# What pydicom raises on broken data; none of these is a mistake of ours.
_BROKEN = (
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    KeyError,
    IndexError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)


def rewrite(data: bytes) -> bytes:
    """The same data set as a file in explicit VR little endian, without pixels.

    Raises
    ------
    ReadError
        If pydicom cannot read it either.
    """
    try:
        with warnings.catch_warnings(), config.disable_value_validation():
            warnings.simplefilter("ignore")
            data_set = pydicom.dcmread(BytesIO(data), force=True, stop_before_pixels=True)
            data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            out = BytesIO()
            pydicom.dcmwrite(
                out, data_set, implicit_vr=False, little_endian=True, enforce_file_format=False
            )
    except _BROKEN as error:
        raise ReadError(
            f"neither reader understands the encoding ({type(error).__name__})",
            expected="a DICOM data set",
            todo="Check how it was exported; other tools may show where it breaks",
        ) from None
    return out.getvalue()
