"""What is on the timetable, when it runs next, and how it ended last: for `dose status`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from dose_lib import Settings
from dose_lib.errors import SettingsError
from pipelines.schedule import all_tasks, read_schedule, read_tasks, runs_file, trigger_of
from pipelines.tasks import tasks_file


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the timetable.

    Attributes
    ----------
    kind, run, cron
        ``report`` or ``task``; what runs, and when.
    is_default
        True for what runs without an entry of the site.
    next_at, last_at, is_done
        Next time; start of the last run, and whether it ended well.
    """

    kind: str
    run: str
    cron: str
    is_default: bool = False
    next_at: datetime | None = None
    last_at: datetime | None = None
    is_done: bool | None = None


class _Ran(msgspec.Struct, frozen=True):
    """What both journals of runs say."""

    started_at: datetime
    notebook: str = ""
    run: str = ""
    is_done: bool | None = None
    exit_code: int | None = None


def read_timetable(settings: Settings, now: datetime | None = None) -> list[Entry]:
    """Every entry, the next to run first.

    Raises
    ------
    SettingsError
        If the timetable cannot be used.
    """
    at = now or datetime.now(UTC)
    never = datetime.max.replace(tzinfo=UTC)
    return sorted(_entries(settings, at), key=lambda e: e.next_at or never)


def try_timetable(settings: Settings) -> list[Entry] | str:
    """The timetable, or why it cannot be used."""
    try:
        return read_timetable(settings)
    except SettingsError as error:
        return str(error)


def _entries(settings: Settings, at: datetime) -> Iterator[Entry]:
    reports, tasks = _last(runs_file(settings)), _last(tasks_file(settings))
    for planned in read_schedule(settings):
        name = planned.notebook
        entry = Entry(kind="report", run=name, cron=planned.cron)
        yield _complete(entry, settings, at, reports.get(name))
    own = read_tasks(settings)
    for task in all_tasks(settings):
        entry = Entry(kind="task", run=task.run, cron=task.cron, is_default=task not in own)
        yield _complete(entry, settings, at, tasks.get(task.run))


def _complete(entry: Entry, settings: Settings, at: datetime, ran: _Ran | None) -> Entry:
    upcoming = trigger_of(entry.cron, settings.timezone).get_next_fire_time(None, at)
    return msgspec.structs.replace(
        entry,
        next_at=upcoming,
        last_at=None if ran is None else ran.started_at,
        is_done=None if ran is None else ran.is_done is True or ran.exit_code == 0,
    )


def _last(file: Path) -> dict[str, _Ran]:
    """The last run of each entry; a line that was cut off says nothing."""
    found: dict[str, _Ran] = {}
    try:
        lines = file.read_bytes().splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        try:
            ran = msgspec.json.decode(line, type=_Ran)
        except msgspec.DecodeError:
            continue
        found[ran.notebook or ran.run] = ran
    return found
