"""What was injected, written down: one row for each study it touched."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import msgspec


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """One injected deviation in one study.

    Attributes
    ----------
    truth_id, kind, what
        Which injection, its class, and what happened in words.
    is_problem
        False for what a detector must not report: an upgrade, a season, an improvement.
    device, procedure, operator
        Where it acts; None where it is not bound to one.
    starts_at
        Moment from which it acts.
    effect, unit
        Size: the dose divided by what it would have been (``ratio``), or as `unit` says.
    study_uid, at
        The study it touched, and when.
    """

    truth_id: str
    kind: str
    what: str
    is_problem: bool
    device: str | None = None
    procedure: str | None = None
    operator: str | None = None
    starts_at: datetime | None = None
    effect: float | None = None
    unit: str = "ratio"
    study_uid: str
    at: datetime


def write_truth(rows: Iterable[Truth], file: Path) -> int:
    """Write rows as CSV; returns how many."""
    names = Truth.__struct_fields__
    n = 0
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(names)
        for row in rows:
            cells = (getattr(row, name) for name in names)
            writer.writerow("" if c is None else c for c in cells)
            n += 1
    return n
