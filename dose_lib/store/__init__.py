"""The store: one DuckDB file, one process that writes, every other reads through it.

`Store.open` makes its caller the owner; `connect` reads from anywhere; `submit_decision`
hands the owner what a person decided.
"""

from __future__ import annotations

from dose_lib.store.backup import Manifest, backup, restore
from dose_lib.store.decision import decision_id
from dose_lib.store.keyfile import site_key
from dose_lib.store.ledger import Incoming, Outcome, Status
from dose_lib.store.owner import Store
from dose_lib.store.rebuild import Rebuilt, rebuild
from dose_lib.store.reviewing import LookedAt
from dose_lib.store.submit import backup_store, submit_decision, submit_findings
from dose_lib.store.trace import trace

__all__ = [
    "Incoming",
    "LookedAt",
    "Manifest",
    "Outcome",
    "Rebuilt",
    "Status",
    "Store",
    "backup",
    "backup_store",
    "decision_id",
    "rebuild",
    "restore",
    "site_key",
    "submit_decision",
    "submit_findings",
    "trace",
]
