"""Findings for people: read them, and answer them by decisions that are never overwritten."""

from __future__ import annotations

from dose_lib.findings.answer import acknowledge, close_finding, dismiss, reopen
from dose_lib.findings.read import find_finding, open_findings
from dose_lib.records import Finding, FindingState, finding_id

__all__ = [
    "Finding",
    "FindingState",
    "acknowledge",
    "close_finding",
    "dismiss",
    "find_finding",
    "finding_id",
    "open_findings",
    "reopen",
]
