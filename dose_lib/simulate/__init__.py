"""A hospital that sends real DICOM, with known truth."""

from __future__ import annotations

from dose_lib.simulate.exam import Exam, SimObject
from dose_lib.simulate.fill import FillResult, fill_store
from dose_lib.simulate.hospital import Hospital
from dose_lib.simulate.loading import load_scenario, scenario_names
from dose_lib.simulate.repeat import repeat_exams
from dose_lib.simulate.send import SendResult, send, write_files
from dose_lib.simulate.truth import Truth, write_truth

__all__ = [
    "Exam",
    "FillResult",
    "Hospital",
    "SendResult",
    "SimObject",
    "Truth",
    "fill_store",
    "load_scenario",
    "repeat_exams",
    "scenario_names",
    "send",
    "write_files",
    "write_truth",
]
