"""Multiplies what a store holds, inside the database: years of exams in seconds.

For measuring queries at a size that simulating each exam would take hours to reach. Each
repetition lies one period further back, under keys of its own; doses, devices and people are
those of the original, so that figures of the whole equal those of one period. What each object
said (`reading`) and where values came from (`provenance`) are not repeated: such a store can be
asked, not rebuilt.

The originals are copied to a file beside the store first, so that a step costs the same however
large the store has become; a run that was ended goes on where it stood.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from dose_lib.errors import SimulationError
from dose_lib.settings import Settings
from dose_lib.store.columns import child_columns, event_columns, part_columns
from dose_lib.store.engine import open_file

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# What one transaction adds, and the memory it may take: both hold at any number of repetitions.
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
    with tempfile.TemporaryDirectory(dir=settings.store_file.parent, prefix="repeat-") as folder:
        kept = Path(folder) / "original.duckdb"
        n_parts, done = _keep_originals(settings, kept)
        step = max(1, _PARTS_AT_ONCE // max(1, n_parts))
        for first in range(done, times, step):
            until = min(first + step, times)
            _repeat(settings, kept, period_days, (first, until))
            if on_done is not None:
                on_done(until)
    with closing(open_file(settings.store_file)) as con:
        (count,) = con.execute("SELECT count(*) FROM part").fetchone() or (0,)
    return int(count)


def _keep_originals(settings: Settings, kept: Path) -> tuple[int, int]:
    """Copy what is no repetition; returns its parts, and how often each stands there.

    A receipt that was repeated has a dot; those of received objects are hexadecimal.
    """
    with closing(_open(settings, kept)) as con:
        con.execute(
            "CREATE TEMP TABLE original_key AS SELECT DISTINCT unnest(part_keys) AS part_key"
            " FROM object WHERE NOT contains(receipt_id, '.')"
        )
        for table in _tables():
            chosen = "part_key IN (FROM original_key)"
            if table == "object":
                chosen = "NOT contains(receipt_id, '.')"
            con.execute(f"CREATE TABLE kept.{table} AS FROM {table} WHERE {chosen}")
        (n_parts, n_objects, n_all) = con.execute(
            "SELECT (SELECT count(*) FROM kept.part), (SELECT count(*) FROM kept.object),"
            " (SELECT count(*) FROM object)"
        ).fetchone() or (0, 0, 0)
    return n_parts, max(1, n_all // max(1, n_objects))


def _open(settings: Settings, kept: Path) -> DuckDBPyConnection:
    con = open_file(settings.store_file)
    con.execute("SET memory_limit = ?", [_MEMORY])
    con.execute("SET preserve_insertion_order = false")
    quoted = str(kept).replace("'", "''")
    con.execute(f"ATTACH '{quoted}' AS kept")
    return con


def _tables() -> list[str]:
    return ["part", *child_columns(), "object"]


def _repeat(settings: Settings, kept: Path, period_days: int, repetitions: tuple[int, int]) -> None:
    """Add some repetitions, all or none, over a connection of their own.

    What DuckDB keeps of the segments it has written counts towards no limit; closing frees it.
    """
    first, until = repetitions
    with closing(_open(settings, kept)) as con:
        con.begin()
        for statement in _statements(period_days):
            con.execute(statement, {"first": first, "until": until})
        con.commit()
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
    made.append(_copy("object", received))
    return made


def _key(column: str) -> str:
    return f"left(md5({column} || '.' || n), 20)"


def _copy(table: str, replaced: dict[str, str]) -> str:
    columns = ", ".join(f"{expression} AS {name}" for name, expression in replaced.items())
    # Table and column names are ours: nothing of a user's stands here.
    return (
        f"INSERT INTO {table} SELECT t.* REPLACE ({columns})"  # noqa: S608
        f" FROM kept.{table} AS t, range($first, $until) AS r(n)"
    )
