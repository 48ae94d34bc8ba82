"""Recurring work that is no report: `[[task]]` entries of `site/schedule.toml`.

    [[task]]
    run = "collect main --days 3 --mind-hours"
    cron = "*/30 * * * *"

    [[task]]
    run = "reconcile --pacs main"
    cron = "15 7 * * *"

Each run is a process of its own; one line of `reports/tasks.jsonl` says what became of it.
"""

from __future__ import annotations

import logging
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from dose_lib import Settings
from dose_lib.errors import SettingsError, did_you_mean

log = logging.getLogger(__name__)

# What may be put on the timetable, by its first words: work that asks nobody and harms nothing.
ALLOWED = ("collect", "reconcile", "silence", "sizes worklist", "sizes import", "map learn")
LEARN = "map learn"
_LIMIT_S = 6 * 3600
_KEPT_TEXT = 2000


class Task(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry: words after `dose`, and when."""

    run: str
    cron: str


class TaskRun(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a run; `problem` is what it said where it did not end well."""

    run: str
    started_at: datetime
    seconds: float
    exit_code: int | None
    problem: str | None = None


def tasks_file(settings: Settings) -> Path:
    """What became of the runs, one JSON object a line."""
    return settings.reports_dir / "tasks.jsonl"


def read_task(entry: dict[str, Any], where: str) -> Task:
    """An entry of the timetable, checked but for its time.

    Raises
    ------
    SettingsError
        With entry and field, for what cannot be run.
    """
    try:
        task = msgspec.convert(entry, Task)
        words = shlex.split(task.run)
    except (msgspec.ValidationError, ValueError) as error:
        raise SettingsError(str(error), where=where) from None
    if not any(words[: len(a.split())] == a.split() for a in ALLOWED):
        raise SettingsError(
            f"{task.run!r} cannot be put on the timetable",
            expected=f"one that begins with {', '.join(ALLOWED)}",
            where=where,
            todo=did_you_mean(words[0] if words else "", ALLOWED),
        )
    return task


def own_tasks(settings: Settings, entries: Sequence[Task]) -> list[Task]:
    """Tasks that run without an entry: learning of names, unless an entry says when.

    It takes what the site's rules accept already, `accept_names_from` or surer, and leaves all
    other names to a person; `dose map undo` takes one back.
    """
    is_said = any(shlex.split(t.run)[:2] == LEARN.split() for t in entries)
    if is_said or not settings.learn_names_cron.strip():
        return []
    return [Task(run=LEARN, cron=settings.learn_names_cron)]


def run_task(task: Task, settings: Settings) -> TaskRun:
    """Run one entry in a process of its own and note what became of it."""
    started, clock = datetime.now(UTC), time.monotonic()
    command = [sys.executable, "-m", "pipelines.cli", "--home", str(settings.home)]
    code: int | None = None
    try:
        ended = subprocess.run(  # noqa: S603 - our own command, its first word from a list
            [*command, *shlex.split(task.run)],
            check=False,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
        )
        code = ended.returncode
        problem = ended.stderr.strip()[-_KEPT_TEXT:] if code else None
    except subprocess.TimeoutExpired:
        problem = f"stopped after {_LIMIT_S} s"
    run = TaskRun(
        run=task.run,
        started_at=started,
        seconds=round(time.monotonic() - clock, 1),
        exit_code=code,
        problem=problem,
    )
    settings.reports_dir.mkdir(parents=True, exist_ok=True)
    with tasks_file(settings).open("ab") as file:
        file.write(msgspec.json.encode(run) + b"\n")
    level = logging.INFO if code == 0 else logging.ERROR
    log.log(level, "task run", extra={"run": task.run, "exit_code": code})
    return run
