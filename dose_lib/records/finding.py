"""Findings and the human decisions about them: what detectors open and people answer.

Both are values. Detectors make findings, the store keeps them, people change their state
by decisions that are only ever appended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from dose_lib.records.enums import Severity


class FindingState(StrEnum):
    """State of a finding; `open` until a decision changes it."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    DISMISSED = "dismissed"
    CLOSED = "closed"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the dose data that a person should look at.

    Attributes
    ----------
    finding_id
        `finding_id(detector, subject, rule_version)`: the same again for the same subject.
    detector, rule_version
        Who found it, by which version of its rule.
    severity
        info, warning or error.
    subject
        What it is about: a part key for a single exam, else device and protocol.
    part_key, device_key, device, procedure_name
        The exam and the device concerned, where there is one.
    title
        One line, without identifiers.
    summary
        Likely cause and what to do, a few sentences.
    evidence
        The numbers and texts it rests on, by name; JSON values only.
    occurred_at
        When the exam or the change happened, local time as recorded.
    opened_at
        When it was found; None until the store writes it.
    """

    finding_id: str
    detector: str
    rule_version: str
    severity: Severity
    subject: str
    title: str
    summary: str
    evidence: Mapping[str, object] = msgspec.field(default_factory=dict)
    part_key: str | None = None
    device_key: str | None = None
    device: str | None = None
    procedure_name: str | None = None
    occurred_at: datetime | None = None
    opened_at: datetime | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What a person decided; append-only, applied again by every rebuild.

    Attributes
    ----------
    kind
        What is decided: `finding_state`, `drl_sign_off`, `device_name`, `procedure_mapping`.
    subject
        What it is decided about: finding id, set id, device key, text.
    payload
        The decision itself; JSON values only.
    author
        Who decided: a role or a name the site may store.
    decided_at
        When, with zone; None: the store sets it.
    """

    kind: str
    subject: str
    payload: Mapping[str, object] = msgspec.field(default_factory=dict)
    author: str
    decided_at: datetime | None = None


def finding_id(detector: str, subject: str, rule_version: str) -> str:
    """Key of a finding: 16 hexadecimal digits of (detector, subject, rule version).

    The same object seen again, from any route and in any order, gives the same key, so
    that it opens no second finding; a new version of the rule may look at it afresh.
    """
    words = "\x1f".join((detector, subject, rule_version))
    return hashlib.sha256(words.encode()).hexdigest()[:16]
