"""Detectors: each looks at exams as they arrive and opens findings with their evidence."""

from __future__ import annotations

from typing import Any

from dose_lib.compare import triggers_of
from dose_lib.detect.adult_protocol import AdultProtocolOnChild
from dose_lib.detect.detector import Detector, History
from dose_lib.detect.dose_trigger import DoseTrigger
from dose_lib.detect.equipment import NewDevice, NewSoftware
from dose_lib.detect.expected_dose import ExpectedDose
from dose_lib.reference import load_levels
from dose_lib.settings import Settings, load_settings

__all__ = [
    "AdultProtocolOnChild",
    "Detector",
    "DoseTrigger",
    "ExpectedDose",
    "History",
    "NewDevice",
    "NewSoftware",
    "detectors",
]


def detectors(settings: Settings | None = None, *, con: Any = None) -> tuple[Detector, ...]:
    """All detectors of an installation, ready to look.

    Parameters
    ----------
    settings
        Of the installation; its country, ages and own levels count.
    con
        ibis backend for sign-offs; None where the store is not open yet.
    """
    settings = settings or load_settings()
    levels = load_levels(settings, con=con)
    triggers = triggers_of(levels, settings.trigger_sets)
    return (
        AdultProtocolOnChild(levels, country=settings.country, child_age_y=settings.child_age_y),
        DoseTrigger(triggers, child_age_y=settings.child_age_y),
        ExpectedDose(
            levels,
            sets=settings.trigger_sets,
            child_age_y=settings.child_age_y,
            minimum_n=settings.minimum_n,
        ),
        NewDevice(),
        NewSoftware(),
    )
