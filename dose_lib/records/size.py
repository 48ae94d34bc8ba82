"""Weight and height of a patient that were measured outside any exam."""

from __future__ import annotations

import hashlib
from datetime import datetime

import msgspec

from dose_lib.records.enums import SizeSource


class MeasuredSize(msgspec.Struct, frozen=True, kw_only=True):
    """How heavy and tall a patient was at a moment, from a system that is no imaging device.

    Attributes
    ----------
    patient_key
        Pseudonymous key, as parts carry it.
    measured_at
        When it was measured, local time of the site, without a zone.
    weight_kg, height_cm
        One of them at least.
    source
        worklist, hl7, or manual (a file that people brought).
    received_at
        When it reached us, with zone.
    """

    patient_key: str
    measured_at: datetime
    weight_kg: float | None = None
    height_cm: float | None = None
    source: SizeSource
    received_at: datetime

    @property
    def size_id(self) -> str:
        """Key of the measurement: told twice, it is kept once."""
        words = (
            self.patient_key,
            self.measured_at.isoformat(),
            f"{self.weight_kg}",
            f"{self.height_cm}",
            self.source.value,
        )
        return hashlib.sha256("\x1f".join(words).encode()).hexdigest()[:24]


OUTSIDE_SOURCES = frozenset({SizeSource.WORKLIST, SizeSource.HL7, SizeSource.MANUAL})
"""Sources of sizes that come from outside the exam."""
