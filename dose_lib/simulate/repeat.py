"""Multiplies what a store holds, inside the database: years of exams in seconds.

For measuring queries at a size that simulating each exam would take hours to reach. Each
repetition lies one period further back, under keys of its own; doses, devices and people are
those of the original, so that figures of the whole equal those of one period. What each object
said (`reading`) and where values came from (`provenance`) are not repeated: such a store can be
asked, not rebuilt.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pyarrow as pa

from dose_lib.errors import SimulationError
from dose_lib.settings import Settings
from dose_lib.store.columns import child_columns, event_columns, part_columns
from dose_lib.store.engine import open_file

# What one statement adds, and the memory it may take: both hold at any number of repetitions.
_PARTS_AT_ONCE = 50_000
_MEMORY = "2GB"
_PART_TIMES = ("started_at", "ended_at", "started_at_utc")


def repeat_exams(
    settings: Settings,
    times: int,
    *,
    period_days: int = 364,
    on_done: Callable[[int], None] | None = None,
) -> int:
    """Add repetitions of every exam of a store that no process owns.

    Parameters
    ----------
    settings
        Of the installation whose store it is.
    times
        How often each exam stands there afterwards, the original included.
    period_days
        Distance of the repetitions; whole weeks keep weekdays where they are.
    on_done
        Called with how often each exam stands there so far.

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
    with closing(open_file(settings.store_file)) as con:
        original = con.execute("SELECT part_key FROM part").to_arrow_table()
    step = max(1, _PARTS_AT_ONCE // max(1, original.num_rows))
    for first in range(1, times, step):
        until = min(first + step, times)
        _repeat(settings, original, period_days, (first, until))
        if on_done is not None:
            on_done(until)
    with closing(open_file(settings.store_file)) as con:
        (count,) = con.execute("SELECT count(*) FROM part").fetchone() or (0,)
    return int(count)


def _repeat(
    settings: Settings, original: pa.Table, period_days: int, repetitions: tuple[int, int]
) -> None:
    """Add some repetitions, over a connection of their own.

    What DuckDB keeps of the segments it has written counts towards no limit; closing frees it.
    """
    first, until = repetitions
    with closing(open_file(settings.store_file)) as con:
        con.execute("SET memory_limit = ?", [_MEMORY])
        con.execute("SET preserve_insertion_order = false")
        con.register("original", original)
        for statement in _statements(period_days):
            con.execute(statement, {"first": first, "until": until})
        con.unregister("original")
        con.execute("CHECKPOINT")


def _statements(period_days: int) -> list[str]:
    """Repetitions `$first` to before `$until` of every table, each a statement of its own."""
    back = f"- to_days(CAST(n * {period_days} AS INTEGER))"
    part = {name: f"{name} {back}" for name in _PART_TIMES if name in part_columns()}
    part |= {"part_key": _key("part_key"), "study_uid": "study_uid || '.' || n"}
    event = {"part_key": _key("part_key"), "event_uid": "event_uid || '.' || n"}
    event |= {t: f"{t} {back}" for t in ("started_at", "ended_at") if t in event_columns()}
    event |= {"exam_study_uid": "exam_study_uid || '.' || n"}
    event |= {"exam_started_at": f"exam_started_at {back}"}
    others = (table for table in child_columns() if table != "event")
    made = [
        _copy("part", part),
        _copy("event", event),
        *(_copy(table, {"part_key": _key("part_key")}) for table in others),
    ]
    received = {
        "receipt_id": "receipt_id || '.' || n",
        "sha256": "sha256 || '.' || n",
        "study_uid": "study_uid || '.' || n",
        "received_at": f"received_at {back}",
        "part_keys": f"list_transform(part_keys, lambda k: {_key('k')})",
    }
    # A receipt that was repeated has a dot; those of received objects are hexadecimal.
    made.append(_copy("object", received, "NOT contains(receipt_id, '.')"))
    return made


def _key(column: str) -> str:
    return f"left(md5({column} || '.' || n), 20)"


def _copy(table: str, replaced: dict[str, str], where: str | None = None) -> str:
    columns = ", ".join(f"{expression} AS {name}" for name, expression in replaced.items())
    chosen = where or "part_key IN (SELECT part_key FROM original)"
    # Table and column names are ours: nothing of a user's stands here.
    return (
        f"INSERT INTO {table} SELECT t.* REPLACE ({columns})"  # noqa: S608
        f" FROM {table} AS t, range($first, $until) AS r(n) WHERE {chosen}"
    )
