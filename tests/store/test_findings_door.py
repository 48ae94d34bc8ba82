"""Findings from other processes, through the owner's door or without an owner."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dose_lib.errors import UsageError
from dose_lib.records import Finding, Severity, finding_id
from dose_lib.settings import Settings
from dose_lib.store import Store, submit_findings


def finding(subject: str = "device 1", **given: Any) -> Finding:
    values: dict[str, Any] = {
        "finding_id": finding_id("silent_device", subject, "1"),
        "detector": "silent_device",
        "rule_version": "1",
        "severity": Severity.WARNING,
        "subject": subject,
        "title": "Nothing from CT 1",
        "summary": "Look at its network.",
        "evidence": {"expected": 12.5},
    }
    return Finding(**(values | given))


def test_each_id_once_with_and_without_an_owner(settings: Settings) -> None:
    (kept,) = submit_findings(settings, finding())
    assert kept.opened_at is not None
    with Store.open(settings) as store:
        store.serve()
        assert submit_findings(settings, finding()) == ()
        assert len(submit_findings(settings, finding(), finding("device 2"))) == 1
        assert store.sql("SELECT count(*) FROM findings") == [(2,)]


@pytest.mark.parametrize("given", [{"finding_id": "0" * 16}, {"summary": "x" * 5000}])
def test_what_may_not_be_kept(settings: Settings, given: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        submit_findings(settings, finding(**given))


def test_the_door_checks_for_itself(settings: Settings) -> None:
    from dose_lib.store.submit import _post

    with Store.open(settings) as store:
        door = store.serve().door_endpoint
        wrong = msgspec.to_builtins(finding()) | {"finding_id": "0" * 16}
        contents: list[Any] = [[wrong], [], {}, [{"finding_id": "x"}]]
        for content in contents:
            with pytest.raises(UsageError):
                _post(door, "findings", content)
        assert store.sql("SELECT count(*) FROM findings") == [(0,)]
