"""The audit: every look-up, also the refused ones; written before anyone is answered.

Rows are only ever appended, and each carries a keyed hash over itself and the row before:
a row that was changed, taken out or put in between breaks the chain. The newest hash is
given to the service's log and health page; a copy of it elsewhere shows that the end of
the audit was cut off.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import duckdb
import msgspec

from dose_lib.errors import VaultError
from dose_lib.vault.people import Action, Person
from dose_lib.vault.records import AuditRow

_NAMES = AuditRow.__struct_fields__


def append(
    con: duckdb.DuckDBPyConnection,
    secret: bytes,
    who: Person,
    action: Action,
    rows: Iterable[tuple[str, str]],
    *,
    at: datetime,
    why: str = "",
) -> None:
    """Append rows of (key, outcome) within the open transaction."""
    n, chain = head(con)
    for key, outcome in rows:
        n += 1
        row = AuditRow(
            n=n,
            asked_at=at.astimezone(UTC),
            person=who.name,
            role=who.role.value,
            os_user=who.os_user,
            pid=who.pid,
            action=action.value,
            key=key,
            reason=why,
            outcome=outcome,
        )
        chain = _link(secret, chain, row)
        values = [getattr(row, name) for name in _NAMES[:-1]]
        con.execute(
            f"INSERT INTO audit ({', '.join(_NAMES)})"  # noqa: S608 - names of our record
            f" VALUES ({', '.join('?' * len(_NAMES))})",
            [*values, chain],
        )


def head(con: duckdb.DuckDBPyConnection) -> tuple[int, str]:
    """Number of rows and the newest hash."""
    found = con.execute("SELECT n, chain FROM audit ORDER BY n DESC LIMIT 1").fetchone()
    return (int(found[0]), str(found[1])) if found else (0, "")


def read(
    con: duckdb.DuckDBPyConnection,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    key: str | None = None,
    limit: int = 10_000,
) -> tuple[AuditRow, ...]:
    """Rows in a period (from `since`, before `until`) or of a key, the newest first."""
    found = con.execute(
        f"SELECT {', '.join(_NAMES)} FROM audit"  # noqa: S608 - names of our record
        " WHERE ($1 IS NULL OR asked_at >= $1) AND ($2 IS NULL OR asked_at < $2)"
        " AND ($3 IS NULL OR key = $3)"
        " ORDER BY n DESC LIMIT $4",
        [since, until, key, limit],
    ).fetchall()
    return tuple(_row(values) for values in found)


def verify(con: duckdb.DuckDBPyConnection, secret: bytes) -> tuple[int, str]:
    """Number of rows and newest hash of an audit whose chain holds.

    Raises
    ------
    VaultError
        With the first row that does not fit.
    """
    chain, expected = "", 1
    query = f"SELECT {', '.join(_NAMES)} FROM audit ORDER BY n"  # noqa: S608
    cursor = con.execute(query)
    while batch := cursor.fetchmany(5000):
        for row in map(_row, batch):
            chain = _link(secret, chain, row)
            if row.n != expected or not hmac.compare_digest(chain, row.chain):
                raise VaultError(
                    f"row {row.n} of the audit does not follow from the rows before it",
                    expected=f"row {expected} with an unbroken chain",
                    todo="Someone changed the audit: keep the file, compare with a backup",
                )
            expected += 1
    return expected - 1, chain


def _link(secret: bytes, chain: str, row: AuditRow) -> str:
    content = msgspec.json.encode([chain, *(getattr(row, name) for name in _NAMES[:-1])])
    return hmac.new(secret, content, hashlib.sha256).hexdigest()


def _row(values: Sequence[object]) -> AuditRow:
    row = AuditRow(**dict(zip(_NAMES, values, strict=True)))  # type: ignore[arg-type]
    return msgspec.structs.replace(row, asked_at=row.asked_at.astimezone(UTC))
