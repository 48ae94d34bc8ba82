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
    "Settings": "dose_lib.settings",
    "Store": "dose_lib.store",
    "connect": "dose_lib.store.connect",
    "contract": "dose_lib.records",
    "load_settings": "dose_lib.settings",
    "site_key": "dose_lib.store",
    "submit_decision": "dose_lib.store",
    "trace": "dose_lib.store.trace",
}

__all__ = [
    "DoseError",
    "Incoming",
    "Outcome",
    "Settings",
    "Store",
    "connect",
    "contract",
    "load_settings",
    "site_key",
    "submit_decision",
    "trace",
]

if TYPE_CHECKING:
    from dose_lib.errors import DoseError
    from dose_lib.records import contract
    from dose_lib.settings import Settings, load_settings
    from dose_lib.store import Incoming, Outcome, Store, site_key, submit_decision
    from dose_lib.store.connect import connect
    from dose_lib.store.trace import trace


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
