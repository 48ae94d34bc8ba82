"""Findings in the store: written once each, by their id."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb
import msgspec
import pyarrow as pa

from dose_lib.errors import UsageError
from dose_lib.records import Finding, finding_id

_SCHEMA = pa.schema(
    [
        ("finding_id", pa.string()),
        ("detector", pa.string()),
        ("rule_version", pa.string()),
        ("severity", pa.string()),
        ("subject", pa.string()),
        ("title", pa.string()),
        ("summary", pa.string()),
        ("evidence", pa.string()),
        ("part_key", pa.string()),
        ("device_key", pa.string()),
        ("device", pa.string()),
        ("procedure_name", pa.string()),
        ("occurred_at", pa.timestamp("us")),
        ("opened_at", pa.timestamp("us", tz="UTC")),
    ]
)


_MOST_TEXT, _MOST_EVIDENCE = 4000, 100_000


def check_finding(finding: Finding) -> Finding:
    """A finding that came in at the door, if it may be kept.

    Raises
    ------
    UsageError
        If its id is not that of its subject, or it is too long.
    """
    key = finding_id(finding.detector, finding.subject, finding.rule_version)
    if finding.finding_id != key:
        raise UsageError("a finding has an id of its own", expected=key, where=finding.detector)
    texts = (finding.detector, finding.subject, finding.title, finding.summary)
    too_long = any(len(t) > _MOST_TEXT for t in texts)
    if too_long or len(msgspec.json.encode(finding.evidence)) > _MOST_EVIDENCE:
        raise UsageError("a finding is too long", where=finding.detector)
    return finding


def add_findings(
    con: duckdb.DuckDBPyConnection, findings: Sequence[Finding], now: datetime
) -> list[Finding]:
    """Write the findings the store does not have, and return these with their `opened_at`."""
    asked = {f.finding_id: f for f in reversed(findings)}
    rows = con.execute(
        "SELECT finding_id FROM finding WHERE finding_id IN (SELECT unnest(?))", [list(asked)]
    ).fetchall()
    known = {row[0] for row in rows}
    new = [
        f if f.opened_at else msgspec.structs.replace(f, opened_at=now)
        for f in (asked[key] for key in dict.fromkeys(x.finding_id for x in findings))
        if f.finding_id not in known
    ]
    if new:
        con.register("incoming_rows", pa.Table.from_pylist([_row(f) for f in new], _SCHEMA))
        try:
            con.execute("INSERT INTO finding BY NAME SELECT * FROM incoming_rows")
        finally:
            con.unregister("incoming_rows")
    return new


def _row(finding: Finding) -> dict[str, object]:
    row = {name: getattr(finding, name) for name in finding.__struct_fields__}
    row["severity"] = finding.severity.value
    row["evidence"] = msgspec.json.encode(finding.evidence, order="sorted").decode()
    if finding.occurred_at is not None:
        row["occurred_at"] = finding.occurred_at.replace(tzinfo=None)
    return row
