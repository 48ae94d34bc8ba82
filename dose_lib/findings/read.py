"""Findings of the store, as a table for notebooks or one by one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from dose_lib.errors import UsageError
from dose_lib.records import FindingState

if TYPE_CHECKING:
    import pandas as pd

_FIRST = (
    "finding_id", "occurred_at", "severity", "title", "device", "procedure_name", "state",
)  # fmt: skip


def open_findings(
    con: Any,
    *,
    state: FindingState | str | None = FindingState.OPEN,
    detector: str | None = None,
    device: str | None = None,
    start: date | None = None,
    end: date | None = None,
) -> pd.DataFrame:
    """Findings as a table, the newest exam first.

    Parameters
    ----------
    con
        ibis backend of `dose_lib.connect`.
    state
        Open ones by default; None for all.
    detector, device
        Restrict to one detector or device.
    start, end
        First and last day of the exams, inclusive.

    Returns
    -------
    DataFrame
        Columns of the view `findings`; `evidence` as a dictionary.
    """
    table = con.table("findings")
    for name, wanted in (("state", state), ("detector", detector), ("device", device)):
        if wanted is not None:
            table = table.filter(table[name] == str(wanted))
    if start is not None:
        table = table.filter(table.occurred_at >= datetime.combine(start, time()))
    if end is not None:
        after = datetime.combine(end + timedelta(days=1), time())
        table = table.filter(table.occurred_at < after)
    rest = [n for n in table.columns if n not in _FIRST]
    ordered = table.order_by(table.occurred_at.desc(nulls_first=False), table.finding_id)
    found: pd.DataFrame = ordered.select(*_FIRST, *rest).to_pyarrow().to_pandas()
    found["evidence"] = [_evidence(e) for e in found["evidence"]]
    return found


def find_finding(con: Any, finding_id: str) -> Mapping[str, Any]:
    """One finding with all its columns.

    Raises
    ------
    UsageError
        If there is none of this id.
    """
    table = con.table("findings")
    rows = table.filter(table.finding_id == finding_id).to_pyarrow().to_pylist()
    if not rows:
        raise UsageError(f"no finding {finding_id!r}", todo="Look at open_findings(con)")
    return {**rows[0], "evidence": _evidence(rows[0]["evidence"])}


def _evidence(value: object) -> dict[str, Any]:
    if isinstance(value, str):
        return dict(json.loads(value))
    return dict(value) if isinstance(value, Mapping) else {}
