"""Multiplies what a store holds, inside the database: years of exams in seconds.

For measuring queries at a size that simulating each exam would take hours to reach. Each
repetition lies one period further back, under keys of its own; doses, devices and people are
those of the original, so that figures of the whole equal those of one period. What each object
said (`reading`) and where values came from (`provenance`) are not repeated: such a store can be
asked, not rebuilt.
"""

from __future__ import annotations

from dose_lib.errors import SimulationError
from dose_lib.settings import Settings
from dose_lib.store.columns import child_columns, event_columns, part_columns
from dose_lib.store.engine import open_file

_PART_TIMES = ("started_at", "ended_at", "started_at_utc")


def repeat_exams(settings: Settings, times: int, *, period_days: int = 364) -> int:
    """Add repetitions of every exam of a store that no process owns.

    Parameters
    ----------
    settings
        Of the installation whose store it is.
    times
        How often each exam stands there afterwards, the original included.
    period_days
        Distance of the repetitions; whole weeks keep weekdays where they are.

    Returns
    -------
    int
        Exam parts in the store afterwards.

    Raises
    ------
    SimulationError
        For fewer than one repetition.
    StoreInUseError
        If another process has the store open.
    """
    if times < 1:
        raise SimulationError(f"{times} repetitions", expected="at least 1, the original")
    con = open_file(settings.store_file)
    try:
        con.execute("CREATE TEMP TABLE original AS SELECT part_key FROM part")
        for n in range(1, times):
            for statement in _statements(n, n * period_days):
                con.execute(statement)
        (count,) = con.execute("SELECT count(*) FROM part").fetchone() or (0,)
        con.execute("CHECKPOINT")
    finally:
        con.close()
    return int(count)


def _statements(n: int, days: int) -> list[str]:
    """One repetition of every table, each a statement of its own."""
    back = f"- INTERVAL {days} DAY"
    part = {name: f"{name} {back}" for name in _PART_TIMES if name in part_columns()}
    part |= {"part_key": _key("part_key", n), "study_uid": f"study_uid || '.{n}'"}
    event = {"part_key": _key("part_key", n), "event_uid": f"event_uid || '.{n}'"}
    event |= {t: f"{t} {back}" for t in ("started_at", "ended_at") if t in event_columns()}
    others = (table for table in child_columns() if table != "event")
    made = [
        _copy("part", part),
        _copy("event", event),
        *(_copy(table, {"part_key": _key("part_key", n)}) for table in others),
    ]
    keys = f"list_transform(part_keys, lambda k: {_key('k', n)})"
    received = {
        "receipt_id": f"receipt_id || '.{n}'",
        "sha256": f"sha256 || '.{n}'",
        "study_uid": f"study_uid || '.{n}'",
        "received_at": f"received_at {back}",
        "part_keys": keys,
    }
    # A receipt that was repeated has a dot; those of received objects are hexadecimal.
    made.append(_copy("object", received, "NOT contains(receipt_id, '.')"))
    return made


def _key(column: str, n: int) -> str:
    return f"left(md5({column} || '.{n}'), 20)"


def _copy(table: str, replaced: dict[str, str], where: str | None = None) -> str:
    columns = ", ".join(f"{expression} AS {name}" for name, expression in replaced.items())
    chosen = where or "part_key IN (SELECT part_key FROM original)"
    # Table and column names are ours, numbers are integers: nothing of a user's stands here.
    return f"INSERT INTO {table} SELECT * REPLACE ({columns}) FROM {table} WHERE {chosen}"  # noqa: S608
