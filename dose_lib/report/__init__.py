"""Run one notebook with checked parameters into HTML, PDF and a run record."""

from __future__ import annotations

from dose_lib.report.files import find_notebook, notebooks
from dose_lib.report.parameters import Parameter, check_parameters, read_notebook, read_parameters
from dose_lib.report.record import RunRecord
from dose_lib.report.run import run_notebook

__all__ = [
    "Parameter",
    "RunRecord",
    "check_parameters",
    "find_notebook",
    "notebooks",
    "read_notebook",
    "read_parameters",
    "run_notebook",
]
