"""Writes dose objects as real devices do: records in, DICOM files out."""

from __future__ import annotations

from dose_lib.simulate.writer.dialect import Dialect, dialect_names, find_dialect
from dose_lib.simulate.writer.factories import make_ct_rdsr
from dose_lib.simulate.writer.report import write_rdsr

__all__ = ["Dialect", "dialect_names", "find_dialect", "make_ct_rdsr", "write_rdsr"]
