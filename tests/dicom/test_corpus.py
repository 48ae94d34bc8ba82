"""Real objects of 12 vendors: every number that the reference table holds.

`expected.csv` says what each file contains, in the names of the contract; `recorded`
values must come out of the JSON form of our parts to a relative 1e-6.
"""

from __future__ import annotations

import csv
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

import dose_lib
from dose_lib.errors import NoDoseError
from tests.conftest import corpus_folder

pytestmark = pytest.mark.corpus

FILES = sorted(p.name for p in corpus_folder().glob("*.dcm"))


@cache
def as_json(path: Path) -> list[dict[str, Any]]:
    parts, _ = dose_lib.read_file(path, site_key=b"a key for tests")
    found: list[dict[str, Any]] = json.loads(msgspec.json.encode(parts))
    return found


def rows(corpus: Path, name: str) -> list[dict[str, str]]:
    with (corpus / "expected.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["file"] == name]


def event_of(part: dict[str, Any], uid: str) -> dict[str, Any]:
    """An event by UID, or by order (`#1`); administrations count as events."""
    events = part["events"] or part["administrations"]
    if uid.startswith("#"):
        return dict(events[int(uid[1:]) - 1])
    key = "event_uid" if part["events"] else "administration_uid"
    return next(e for e in events if e[key] == uid)


def value_of(part: dict[str, Any], row: dict[str, str]) -> Any:
    if row["scope"] == "total":
        return part["totals"][row["quantity"]]
    return event_of(part, row["event_uid"])[row["quantity"]]


@pytest.mark.parametrize("name", FILES)
def test_every_recorded_value_is_read(corpus: Path, name: str) -> None:
    expected = [r for r in rows(corpus, name) if r["basis"] == "recorded"]
    if not expected:
        pytest.skip("the table has no recorded value for this file")
    (part,) = as_json(corpus / name)
    wrong = []
    for row in expected:
        ours, theirs = value_of(part, row), float(row["value"])
        if ours is None or not math.isclose(ours, theirs, rel_tol=1e-6):
            wrong.append(f"{row['event_uid']} {row['quantity']}: {ours}, expected {theirs}")
    assert not wrong, f"{len(wrong)} of {len(expected)}\n" + "\n".join(wrong[:20])


def test_what_holds_no_dose_says_so(corpus: Path) -> None:
    with pytest.raises(NoDoseError, match="no dose report"):
        dose_lib.read_file(corpus / "ESR_non-dose.dcm")
