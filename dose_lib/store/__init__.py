"""The store: one DuckDB file, one process that writes, every other reads through it.

`Store.open` makes its caller the owner; `connect` reads from anywhere; `submit_decision`
hands the owner what a person decided.
"""

from __future__ import annotations

from dose_lib.store.keyfile import site_key
from dose_lib.store.ledger import Incoming, Outcome, Status
from dose_lib.store.owner import Store
from dose_lib.store.submit import submit_decision
from dose_lib.store.trace import trace

__all__ = ["Incoming", "Outcome", "Status", "Store", "site_key", "submit_decision", "trace"]
