"""Run one notebook with checked parameters into HTML, PDF and a run record.

Names are loaded when first used: the scheduler, which lives for months, checks parameters and
runs nothing itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# name -> module that defines it
_PUBLIC = {
    "Parameter": "dose_lib.report.parameters",
    "RunRecord": "dose_lib.report.record",
    "check_parameters": "dose_lib.report.parameters",
    "find_notebook": "dose_lib.report.files",
    "notebooks": "dose_lib.report.files",
    "read_notebook": "dose_lib.report.parameters",
    "read_parameters": "dose_lib.report.parameters",
    "run_notebook": "dose_lib.report.run",
}

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

if TYPE_CHECKING:
    from dose_lib.report.files import find_notebook, notebooks
    from dose_lib.report.parameters import (
        Parameter,
        check_parameters,
        read_notebook,
        read_parameters,
    )
    from dose_lib.report.record import RunRecord
    from dose_lib.report.run import run_notebook


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
