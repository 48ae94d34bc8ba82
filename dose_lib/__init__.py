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
    "Settings": "dose_lib.settings",
    "contract": "dose_lib.records",
    "load_settings": "dose_lib.settings",
}

__all__ = [
    "DoseError",
    "Settings",
    "contract",
    "load_settings",
]

if TYPE_CHECKING:
    from dose_lib.errors import DoseError
    from dose_lib.records import contract
    from dose_lib.settings import Settings, load_settings


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
