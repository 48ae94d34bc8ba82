"""The same object in another transfer syntax (PS3.5 annex A), as archives and devices send it."""

from __future__ import annotations

import io
from typing import Literal

from pydicom import Dataset, dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

Encoding = Literal["implicit", "big endian", "deflated", "undefined lengths"]

_SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "undefined lengths": ExplicitVRLittleEndian,
}


def transcode(data: bytes, encoding: Encoding) -> bytes:
    """A DICOM file of the same content, encoded otherwise.

    Parameters
    ----------
    data
        A file made by a writer of this package.
    encoding
        ``implicit``, ``big endian`` and ``deflated`` are transfer syntaxes; ``undefined
        lengths`` keeps explicit little endian and delimits sequences and items instead of
        counting them.
    """
    original = dcmread(io.BytesIO(data))
    syntax = _SYNTAXES[encoding]
    # A data set that was never encoded can be written in either byte order.
    object_ = Dataset.from_json(original.to_json_dict())
    object_.file_meta = original.file_meta
    object_.file_meta.TransferSyntaxUID = syntax
    if encoding == "undefined lengths":
        _delimit(object_)
    out = io.BytesIO()
    object_.save_as(
        out,
        enforce_file_format=True,
        implicit_vr=syntax.is_implicit_VR,
        little_endian=syntax.is_little_endian,
    )
    return out.getvalue()


def _delimit(node: Dataset) -> None:
    for element in node:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for entry in element.value:
                entry.is_undefined_length_sequence_item = True
                _delimit(entry)
