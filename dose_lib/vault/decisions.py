"""Decisions about people: checked and appended. They hold keys, never identities."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import duckdb
import msgspec
from pydantic import ValidationError

from dose_lib.errors import UsageError, did_you_mean
from dose_lib.records import Decision
from dose_lib.store.decision import decision_id
from dose_lib.vault.payloads import PAYLOADS, SUBJECTS


def check(given: Decision) -> Decision:
    """A decision whose kind, subject and payload are right.

    Raises
    ------
    UsageError
        With what is wrong.
    """
    if given.kind not in PAYLOADS:
        hint = did_you_mean(given.kind, PAYLOADS)
        raise UsageError(f"the vault decides nothing under the name {given.kind!r}", todo=hint)
    if not re.match(SUBJECTS[given.kind], given.subject):
        # What is no key may be an ID typed by mistake: it is not repeated.
        raise UsageError(
            "the subject is no key", expected="a key in full", where=f"decision {given.kind}"
        )
    try:
        payload = PAYLOADS[given.kind].model_validate(dict(given.payload))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(p) for p in first["loc"])
        raise UsageError(
            f"the decision is not usable: {first['msg']}", where=f"decision {given.kind}, {place}"
        ) from None
    if getattr(payload, "surviving", None) == given.subject:
        raise UsageError("a patient cannot be merged with itself", where=f"decision {given.kind}")
    return msgspec.structs.replace(given, payload=payload.model_dump(mode="json"))


def make(
    kind: str,
    subject: str,
    payload: Mapping[str, object],
    author: str,
    *,
    now: datetime,
    after: Iterable[Decision],
) -> Decision:
    """A checked decision that comes after all those that are there, whatever the clock says."""
    latest = max((d.decided_at for d in after if d.decided_at), default=None)
    at = now.astimezone(UTC)
    if latest is not None and latest >= at:
        at = latest.astimezone(UTC) + timedelta(microseconds=1)
    return check(
        Decision(kind=kind, subject=subject, payload=payload, author=author, decided_at=at)
    )


def unknown(given: Iterable[Decision], known: Iterable[Decision]) -> list[Decision]:
    """Those of `given`, checked, that are not in `known`; each once.

    Raises
    ------
    UsageError
        If one of them is not right or has no time.
    """
    seen = {decision_id(d) for d in known}
    fresh: dict[str, Decision] = {}
    for decision in map(check, given):
        if decision.decided_at is None:
            raise UsageError("a decision made elsewhere has no time", where=decision.kind)
        if (key := decision_id(decision)) not in seen:
            fresh[key] = decision
    return list(fresh.values())


def append(con: duckdb.DuckDBPyConnection, decisions: Iterable[Decision]) -> None:
    """Append decisions within the open transaction."""
    for decision in decisions:
        con.execute(
            "INSERT INTO decision VALUES (?, ?, ?, ?, ?, ?)",
            [
                decision_id(decision),
                decision.kind,
                decision.subject,
                msgspec.json.encode(decision.payload, order="sorted").decode(),
                decision.author,
                decision.decided_at,
            ],
        )
