"""Decisions of people: checked, appended, applied by the views; the door for other processes."""

from __future__ import annotations

import http.client
import json
import stat
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from dose_lib.errors import UsageError
from dose_lib.records import Decision, Finding, Severity, finding_id
from dose_lib.settings import Settings
from dose_lib.store import Store, submit_decision
from dose_lib.store.connect import connect
from dose_lib.store.door import MAX_BODY_BYTES
from dose_lib.store.endpoint import Endpoint, door_endpoint_file, read_endpoint
from tests.store.conftest import StartOwner
from tests.store.exams import ct_part, incoming, merge, unchanged

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SUBJECT = finding_id("protocol_child", "abc", "1")


def decision(**given: Any) -> Decision:
    values: dict[str, Any] = {
        "kind": "finding_state",
        "subject": SUBJECT,
        "payload": {"state": "acknowledged", "note": "looked at"},
        "author": "physicist",
        "decided_at": NOON,
    }
    return Decision(**(values | given))


def a_finding(**given: Any) -> Finding:
    values: dict[str, Any] = {
        "finding_id": SUBJECT,
        "detector": "protocol_child",
        "rule_version": "1",
        "severity": Severity.WARNING,
        "subject": "abc",
        "title": "Adult protocol on a child",
        "summary": "A child of 6 years was scanned with an adult protocol.",
        "evidence": {"age_y": 6.2, "protocols": ["Adult chest"]},
        "part_key": "abc",
        "device_key": "d",
        "device": "CT1",
        "procedure_name": "CT Chest",
        "occurred_at": datetime(2026, 3, 2, 8, 0),
    }
    return Finding(**(values | given))


def test_the_latest_decision_holds(store: Store) -> None:
    store.add_findings([a_finding()])
    state = "SELECT state, state_by, state_note, state_at FROM findings"
    assert store.sql(state) == [("open", None, None, None)]
    store.decide(decision())
    assert store.sql(state) == [("acknowledged", "physicist", "looked at", NOON)]
    later = NOON + timedelta(minutes=1)
    store.decide(decision(payload={"state": "closed"}, decided_at=later, author="head"))
    assert store.sql(state) == [("closed", "head", None, later)]
    # Handed in late, taken early: what was decided last still holds.
    store.decide(decision(payload={"state": "open"}, decided_at=NOON - timedelta(days=1)))
    assert store.sql(state) == [("closed", "head", None, later)]
    assert store.sql("SELECT count(*) FROM decisions") == [(3,)]


def test_a_decision_handed_in_twice_is_kept_once(store: Store) -> None:
    store.decide(decision(), decision())
    store.decide(decision())
    assert store.sql("SELECT count(*) FROM decisions") == [(1,)]


def test_the_time_is_set_where_none_is_given(store: Store) -> None:
    (kept,) = store.decide(decision(decided_at=None))
    assert kept.decided_at is not None
    assert abs(kept.decided_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_device_gets_its_name_and_room(store: Store) -> None:
    part = ct_part()
    store.commit([incoming(part)])
    key = part.device.device_key or ""
    named = {"display_name": "Scanner 3", "site": "Main", "room": "R12"}
    store.decide(decision(kind="device_name", subject=key, payload=named))
    expected = [("Scanner 3", "Main", "R12")]
    assert store.sql("SELECT device, site, room FROM studies") == expected
    assert store.sql("SELECT device, site, room FROM devices") == expected
    assert store.sql("SELECT DISTINCT device FROM events") == [("Scanner 3",)]


def test_an_operator_gets_a_code(store: Store) -> None:
    store.commit([incoming(ct_part())])
    assert store.sql("SELECT operator FROM studies") == [("Operator 012345",)]
    store.decide(
        decision(kind="operator_code", subject="0123456789abcdef", payload={"code": "T07"})
    )
    assert store.sql("SELECT operator FROM studies") == [("T07",)]


def test_operators_can_be_hidden(settings: Settings) -> None:
    hidden = settings.model_copy(update={"show_operators": "none"})
    with Store.open(hidden, merge=merge, normalise=unchanged) as store:
        store.commit([incoming(ct_part())])
        assert store.sql("SELECT operator FROM studies") == [(None,)]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "finding_stat"}, "did you mean 'finding_state'"),
        ({"payload": {"state": "ignored"}}, "acknowledged"),
        ({"payload": {"state": "open", "sql": "DROP TABLE part"}}, "sql"),
        ({"payload": {}}, "state"),
        ({"kind": "device_name", "payload": {"display_name": ""}}, "at least 1 character"),
        ({"kind": "device_name", "payload": {"display_name": "x" * 81}}, "80 characters"),
        ({"kind": "comment", "payload": {"text": "x" * 2001}}, "2000 characters"),
        ({"kind": "drl_sign_off", "payload": {"note": "x" * 30_000}}, "too long"),
        ({"subject": ""}, "subject"),
        ({"author": "x" * 81}, "author"),
        ({"decided_at": datetime(2026, 1, 1)}, "has no zone"),
    ],
)
def test_what_does_not_fit_is_refused(store: Store, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        store.decide(decision(), decision(**wrong))
    assert store.sql("SELECT count(*) FROM decisions") == [(0,)]


def test_findings_are_written_once(store: Store) -> None:
    one, other = a_finding(), a_finding(finding_id="other", subject="def")
    new = store.add_findings([one, one])
    assert [f.finding_id for f in new] == [SUBJECT]
    assert new[0].opened_at is not None
    assert [f.finding_id for f in store.add_findings([one, other])] == ["other"]
    assert store.add_findings([one, other]) == []
    assert store.add_findings([]) == []
    row = store.sql(
        "SELECT title, severity, evidence->>'age_y', evidence->'protocols'->>0, occurred_at, device"
        f" FROM findings WHERE finding_id = '{SUBJECT}'"
    )
    when = datetime(2026, 3, 2, 8, 0)
    title = "Adult protocol on a child"
    assert row == [(title, "warning", "6.2", "Adult chest", when, "CT1")]


@pytest.fixture
def door(settings: Settings, store: Store) -> Endpoint:
    store.serve()
    endpoint = read_endpoint(door_endpoint_file(settings))
    assert endpoint is not None
    assert stat.S_IMODE(door_endpoint_file(settings).stat().st_mode) == 0o600
    return endpoint


def knock(door: Endpoint, body: bytes, **given: Any) -> tuple[int, Any]:
    address = urlsplit(door.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    headers = {"Authorization": f"Bearer {given.get('token', door.token)}"}
    connection.request(
        given.get("method", "POST"),
        given.get("path", address.path),
        body=body,
        headers=headers | given.get("headers", {}),
    )
    response = connection.getresponse()
    content = response.read()
    connection.close()
    is_json = response.headers.get("Content-Type") == "application/json"
    return response.status, json.loads(content) if is_json else content


BODY = json.dumps(
    {"kind": "comment", "subject": "abc", "payload": {"text": "Looks right."}, "author": "me"}
).encode()


def test_the_door_takes_a_decision(door: Endpoint, store: Store) -> None:
    status, kept = knock(door, BODY)
    assert status == 200
    assert kept[0]["decided_at"]
    assert store.sql("SELECT kind, author FROM decisions") == [("comment", "me")]


@pytest.mark.parametrize(
    ("body", "given", "status"),
    [
        (BODY, {"token": "wrong"}, 401),
        (BODY, {"token": ""}, 401),
        (BODY, {"token": "ü"}, 401),
        (BODY, {"path": "/"}, 404),
        (BODY, {"path": "/decisions/../x"}, 404),
        (BODY, {"method": "GET"}, 501),
        (b"x" * (MAX_BODY_BYTES + 1), {}, 413),
        (BODY, {"headers": {"Content-Length": "-5"}}, 411),
        (b"not json", {}, 422),
        (b"[]", {}, 422),
        (b"[" + b",".join([BODY] * 501) + b"]", {}, 422),
        (b'{"kind": "comment"}', {}, 422),
        (b'{"kind": ["comment"], "subject": 5}', {}, 422),
        (BODY[:-1] + b', "decision_id": "x"}', {}, 422),
        (b"\xff\xfe", {}, 422),
        (b"[" * 100_000, {}, 422),
    ],
)
def test_the_door_refuses_the_rest(
    door: Endpoint, store: Store, body: bytes, given: dict[str, Any], status: int
) -> None:
    assert knock(door, body, **given)[0] == status
    assert store.sql("SELECT count(*) FROM decisions") == [(0,)]
    assert knock(door, BODY)[0] == 200


def test_several_are_kept_all_or_none(door: Endpoint, store: Store) -> None:
    wrong = BODY.replace(b"comment", b"nothing")
    assert knock(door, b"[" + BODY + b"," + wrong + b"]")[0] == 422
    assert store.sql("SELECT count(*) FROM decisions") == [(0,)]


def test_the_reading_token_opens_no_door(door: Endpoint, store: Store) -> None:
    assert store._service is not None
    assert knock(door, BODY, token=store._service.endpoint.token)[0] == 401


@pytest.mark.service
def test_another_process_decides_through_the_owner(
    settings: Settings, start_owner: StartOwner
) -> None:
    owner = start_owner()
    owner.said()
    (kept,) = submit_decision(settings, decision(decided_at=None))
    assert kept.decided_at is not None
    con = connect(settings=settings)
    assert con.table("decisions").subject.execute().to_list() == [SUBJECT]
    with pytest.raises(UsageError, match="did you mean"):
        submit_decision(settings, decision(kind="finding_stat"))


def test_without_an_owner_it_is_appended_directly(settings: Settings) -> None:
    submit_decision(settings, decision(), decision(subject="another"))
    assert connect(settings=settings).table("decisions").count().execute() == 2
