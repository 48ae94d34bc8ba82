"""DoseLoop: continuous monitoring of radiation dose in medical imaging.

The names below are the public face; everything a notebook needs is here. They are
loaded when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# name -> module that defines it; a test holds it to __all__
_PUBLIC = {
    "DoseError": "dose_lib.errors",
    "Incoming": "dose_lib.store",
    "Outcome": "dose_lib.store",
    "RunRecord": "dose_lib.report",
    "Settings": "dose_lib.settings",
    "Store": "dose_lib.store",
    "acknowledge": "dose_lib.findings",
    "ask": "dose_lib.questions",
    "ask_box": "dose_lib.live",
    "compare_practice": "dose_lib.compare",
    "connect": "dose_lib.store.connect",
    "contract": "dose_lib.records",
    "dashboard_command": "dose_lib.live",
    "dashboard_environment": "dose_lib.live",
    "detectors": "dose_lib.detect",
    "dismiss": "dose_lib.findings",
    "export_lake": "dose_lib.lake",
    "identify": "dose_lib.vault.client",
    "load_levels": "dose_lib.reference",
    "load_settings": "dose_lib.settings",
    "merge": "dose_lib.dicom.merge",
    "normalise_part": "dose_lib.normalise",
    "open_findings": "dose_lib.findings",
    "open_lake": "dose_lib.lake",
    "read_bytes": "dose_lib.dicom.read",
    "read_file": "dose_lib.dicom.read",
    "read_site": "dose_lib.normalise",
    "run_notebook": "dose_lib.report",
    "set_up_notebook": "dose_lib.live",
    "sign_off": "dose_lib.reference",
    "site_key": "dose_lib.store",
    "submit_decision": "dose_lib.store",
    "trace": "dose_lib.store.trace",
}

__all__ = [
    "DoseError",
    "Incoming",
    "Outcome",
    "RunRecord",
    "Settings",
    "Store",
    "acknowledge",
    "ask",
    "ask_box",
    "compare_practice",
    "connect",
    "contract",
    "dashboard_command",
    "dashboard_environment",
    "detectors",
    "dismiss",
    "export_lake",
    "identify",
    "load_levels",
    "load_settings",
    "merge",
    "normalise_part",
    "open_findings",
    "open_lake",
    "read_bytes",
    "read_file",
    "read_site",
    "run_notebook",
    "set_up_notebook",
    "sign_off",
    "site_key",
    "submit_decision",
    "trace",
]

if TYPE_CHECKING:
    from dose_lib.compare import compare_practice
    from dose_lib.detect import detectors
    from dose_lib.dicom.merge import merge
    from dose_lib.dicom.read import read_bytes, read_file
    from dose_lib.errors import DoseError
    from dose_lib.findings import acknowledge, dismiss, open_findings
    from dose_lib.lake import export_lake, open_lake
    from dose_lib.live import ask_box, dashboard_command, dashboard_environment, set_up_notebook
    from dose_lib.normalise import normalise_part, read_site
    from dose_lib.questions import ask
    from dose_lib.records import contract
    from dose_lib.reference import load_levels, sign_off
    from dose_lib.report import RunRecord, run_notebook
    from dose_lib.settings import Settings, load_settings
    from dose_lib.store import Incoming, Outcome, Store, site_key, submit_decision
    from dose_lib.store.connect import connect
    from dose_lib.store.trace import trace
    from dose_lib.vault.client import identify


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
