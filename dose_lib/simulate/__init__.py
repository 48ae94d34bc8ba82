"""A hospital that sends real DICOM, with known truth."""

from __future__ import annotations
