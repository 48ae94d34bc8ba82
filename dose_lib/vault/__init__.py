"""The identity vault: who the exams were of and by whom, apart from the doses, encrypted.

`Vault` is opened by one process (`pipelines.vault`); all others ask it through `Client`.
Names are loaded when first used, so that parts of the house which need only one of the
light modules here do not load the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# name -> module that defines it
_PUBLIC = {
    "Client": "dose_lib.vault.client",
    "Desk": "dose_lib.vault.desk",
    "Inbox": "dose_lib.vault.inbox",
    "Vault": "dose_lib.vault.vault",
    "VaultEntry": "dose_lib.vault.records",
    "add_person": "dose_lib.vault.people",
    "allocate_codes": "dose_lib.vault.staff_codes",
    "identify": "dose_lib.vault.client",
    "seal_entries": "dose_lib.vault.inbox",
}

__all__ = [
    "Client",
    "Desk",
    "Inbox",
    "Vault",
    "VaultEntry",
    "add_person",
    "allocate_codes",
    "identify",
    "seal_entries",
]

if TYPE_CHECKING:
    from dose_lib.vault.client import Client, identify
    from dose_lib.vault.desk import Desk
    from dose_lib.vault.inbox import Inbox, seal_entries
    from dose_lib.vault.people import add_person
    from dose_lib.vault.records import VaultEntry
    from dose_lib.vault.staff_codes import allocate_codes
    from dose_lib.vault.vault import Vault


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
