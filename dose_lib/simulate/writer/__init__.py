"""Writes dose objects as real devices do: records in, DICOM files out."""

from __future__ import annotations

from dose_lib.simulate.writer.dialect import Dialect
from dose_lib.simulate.writer.factories import make_ct_part, make_ct_rdsr, make_part, make_rdsr
from dose_lib.simulate.writer.images import write_image
from dose_lib.simulate.writer.makers import dialect_names, find_dialect
from dose_lib.simulate.writer.report import write_rdsr
from dose_lib.simulate.writer.steps import write_step
from dose_lib.simulate.writer.transfer import transcode

__all__ = [
    "Dialect",
    "dialect_names",
    "find_dialect",
    "make_ct_part",
    "make_ct_rdsr",
    "make_part",
    "make_rdsr",
    "transcode",
    "write_image",
    "write_rdsr",
    "write_step",
]
