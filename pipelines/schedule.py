"""Reports and tasks on a timetable: `site/schedule.toml` says what runs, and when.

    [[report]]
    notebook = "how_do_our_ct_doses_compare"
    cron = "30 6 * * mon"
    parameters = { weeks = 6 }

    [[task]]
    run = "reconcile --pacs main"
    cron = "15 7 * * *"

Times are those of the site's zone. A run is a process of its own; its record lies beside
the report, and one line of `reports/runs.jsonl` says what became of it. An hour that passed
while the service was down, or a run that its end cut off, is made up for once.
"""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from dose_lib import Settings
from dose_lib.errors import DoseError, SettingsError, did_you_mean
from dose_lib.report import check_parameters, find_notebook, read_parameters
from pipelines.heartbeat import Heartbeat, Value
from pipelines.process import Stop, run_part
from pipelines.tasks import Task, own_tasks, read_task, run_task
from pipelines.turns import Turns
from pipelines.watched import Watched

log = logging.getLogger(__name__)

PART = "scheduler"

_KINDS = ("report", "task")
_FIELDS = ("notebook", "cron", "parameters", "pdf")
_LOOK_S = 5.0  # between looks whether the timetable was changed
_GRACE_S = 60  # the scheduler starts late by so much; `make_up` does what is later
_LIMIT_S = 3600
_PATIENCE = timedelta(seconds=90)  # a run that is later than this was missed
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the timetable."""

    notebook: str
    cron: str
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    pdf: bool = False


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a scheduled run; `missed_at` is the hour that it makes up for."""

    notebook: str
    started_at: datetime
    seconds: float
    is_done: bool
    problem: str | None = None
    html: str | None = None
    missed_at: datetime | None = None


def schedule_file(settings: Settings) -> Path:
    """The timetable."""
    return settings.site_dir / "schedule.toml"


def runs_file(settings: Settings) -> Path:
    """What became of the runs, one JSON object a line."""
    return settings.reports_dir / "runs.jsonl"


def read_schedule(settings: Settings) -> list[Planned]:
    """The timetable, each entry checked; empty without a file.

    Raises
    ------
    SettingsError
        With file, entry and field, for what cannot be run.
    """
    entries = _entries(settings, "report")
    return [_read_entry(e, where, settings) for e, where in entries]


def read_tasks(settings: Settings) -> list[Task]:
    """The tasks of the timetable; see `read_schedule`."""
    tasks = []
    for entry, where in _entries(settings, "task"):
        task = read_task(entry, where)
        trigger_of(task.cron, settings.timezone, where)
        tasks.append(task)
    return tasks


def all_tasks(settings: Settings) -> list[Task]:
    """The tasks of the timetable, and those that run without an entry.

    Raises
    ------
    SettingsError
        As `read_tasks`, and for a setting that is no time.
    """
    entries = read_tasks(settings)
    own = own_tasks(settings, entries)
    for task in own:
        trigger_of(task.cron, settings.timezone, "setting learn_names_cron")
    return [*entries, *own]


def _entries(settings: Settings, kind: str) -> list[tuple[dict[str, Any], str]]:
    """Entries of a kind, and where each stands."""
    file = schedule_file(settings)
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"the timetable cannot be read ({error})", expected="TOML", where=str(file)
        ) from None
    for name, entries in content.items():
        if name not in _KINDS or not isinstance(entries, list):
            raise SettingsError(
                f"{name!r} is no list of entries",
                expected="entries that begin with [[report]] or [[task]]",
                where=str(file),
            )
    word = "entry" if kind == "report" else kind
    return [(e, f"{file}, {word} {n}") for n, e in enumerate(content.get(kind, []), 1)]


def _read_entry(entry: dict[str, Any], where: str, settings: Settings) -> Planned:
    for name in entry:
        if name not in _FIELDS:
            raise SettingsError(
                f"unknown field {name!r}", where=where, todo=did_you_mean(name, _FIELDS)
            )
    try:
        planned = msgspec.convert(entry, Planned)
    except msgspec.ValidationError as error:
        raise SettingsError(str(error), where=where) from None
    trigger_of(planned.cron, settings.timezone, where)
    try:
        known = read_parameters(find_notebook(planned.notebook, settings))
        check_parameters(known, planned.parameters, where=planned.notebook)
    except DoseError as error:
        raise SettingsError(
            error.seen, expected=error.expected, where=where, todo=error.todo
        ) from error
    return planned


def trigger_of(cron: str, timezone: str, where: str = "cron") -> CronTrigger:
    """Five fields of cron, with cron's own numbers for the days of the week.

    Parameters
    ----------
    cron
        Minute, hour, day, month, day of the week; 0 and 7 are Sunday.
    timezone
        IANA zone of the times.
    where
        For the message.

    Raises
    ------
    SettingsError
        If it is none.
    """
    fields = cron.split()
    try:
        if len(fields) == 5:
            # APScheduler counts from Monday = 0; cron, and everyone who writes it, from Sunday.
            fields[4] = re.sub(r"(?<![\w/])[0-7](?!\w)", lambda m: _DAYS[int(m[0])], fields[4])
        return CronTrigger.from_crontab(" ".join(fields), timezone=timezone)
    except ValueError as error:
        raise SettingsError(
            f"cron = {cron!r} is no time ({error})",
            expected="minute hour day month weekday, such as '30 6 * * mon'",
            where=where,
        ) from None


class Timetable:
    """Keeps APScheduler in step with the file."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._scheduler = BackgroundScheduler(timezone=settings.timezone)
        self._file: Watched | None = None
        self._planned: dict[str, Planned] = {}
        self._covered = Covered(settings)
        self._running: set[str] = set()
        self.problem: str | None = None
        self.runs = 0
        self.failures = 0
        self.made_up = 0

    def start(self) -> None:
        """Begin; runs start at their times."""
        self.refresh()
        self.make_up(timedelta(0))
        self._scheduler.start()

    def refresh(self) -> None:
        """Read the timetable again if it was changed; a bad one leaves the last good one."""
        if self._file is None:
            self._file = Watched(schedule_file(self._settings))
        elif not self._file.has_changed():
            return
        try:
            planned, tasks = read_schedule(self._settings), all_tasks(self._settings)
        except SettingsError as error:
            self.problem = str(error)
            log.error("timetable cannot be used", extra={"reason": str(error)})
            return
        self.problem = None
        self._planned = {_key_of(entry): entry for entry in planned}
        self._scheduler.remove_all_jobs()
        for entry in planned:
            self._scheduler.add_job(
                self._run,
                trigger_of(entry.cron, self._settings.timezone),
                args=[entry],
                coalesce=True,
                max_instances=1,
                misfire_grace_time=_GRACE_S,
            )
        for task in tasks:
            self._scheduler.add_job(
                self._run_task,
                trigger_of(task.cron, self._settings.timezone),
                args=[task],
                coalesce=True,
                max_instances=1,
                misfire_grace_time=_GRACE_S,
            )
        log.info("timetable read", extra={"count": len(planned) + len(tasks)})

    def facts(self) -> dict[str, Value]:
        """Counters, for the heartbeat."""
        jobs = self._scheduler.get_jobs()
        times = [t for j in jobs if (t := getattr(j, "next_run_time", None))]
        upcoming = min(times).isoformat() if times else None
        return {
            "planned": len(jobs),
            "next": upcoming,
            "runs": self.runs,
            "failures": self.failures,
            "made_up": self.made_up,
        }

    def make_up(self, patience: timedelta = _PATIENCE) -> None:
        """Start what should have run and did not, once however many times were missed.

        Parameters
        ----------
        patience
            How late the scheduler itself may be.
        """
        now = datetime.now(UTC)
        for key, entry in self._planned.items():
            if key in self._running:
                continue
            trigger = trigger_of(entry.cron, self._settings.timezone)
            due = trigger.get_next_fire_time(None, self._covered.until(key, now))
            if due is None or due > now:
                self._covered.note(key, now)
            elif now - due >= patience:
                self.made_up += 1
                self._running.add(key)
                self._scheduler.add_job(self._run, args=[entry, due], misfire_grace_time=None)
                log.warning("a missed run is made up for", extra={"notebook": entry.notebook})
        self._covered.keep(set(self._planned))

    def stop(self) -> None:
        """End; a run under way is waited for."""
        self._scheduler.shutdown(wait=True)

    def _run(self, planned: Planned, missed_at: datetime | None = None) -> None:
        key, began = _key_of(planned), datetime.now(UTC)
        self._running.add(key)
        try:
            run = run_apart(planned, self._settings, missed_at)
            self._covered.note(key, began)
        finally:
            self._running.discard(key)
        self.runs += 1
        self.failures += not run.is_done

    def _run_task(self, task: Task) -> None:
        run = run_task(task, self._settings)
        self.runs += 1
        self.failures += run.exit_code != 0


class Covered:
    """Until when each entry's hours have been run or needed no run; survives the service."""

    def __init__(self, settings: Settings) -> None:
        self._file = settings.reports_dir / "covered.json"
        try:
            content = self._file.read_bytes()
            self._until = msgspec.json.decode(content, type=dict[str, datetime])
        except (FileNotFoundError, msgspec.DecodeError):
            self._until = {}

    def until(self, key: str, now: datetime) -> datetime:
        """When to look from; for a new entry, and after a clock that ran ahead, now."""
        return min(self._until.get(key, now), now)

    def note(self, key: str, at: datetime) -> None:
        """Everything before `at` is covered."""
        self._until[key] = at

    def keep(self, keys: set[str]) -> None:
        """Write down what is known of the entries there are."""
        content = {key: at for key, at in self._until.items() if key in keys}
        if content or self._file.exists():
            self._file.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._file.with_suffix(".part")
            temporary.write_bytes(msgspec.json.encode(content))
            temporary.replace(self._file)


def _key_of(planned: Planned) -> str:
    return msgspec.json.encode(planned, order="sorted").decode()


def run_apart(planned: Planned, settings: Settings, missed_at: datetime | None = None) -> Run:
    """Run one entry in a process of its own and note what became of it."""
    started, clock = datetime.now(UTC), time.monotonic()
    command = [sys.executable, "-m", "pipelines.cli", "--home", str(settings.home), "report"]
    command += [planned.notebook, "--json", *(["--pdf"] if planned.pdf else [])]
    for name, value in planned.parameters.items():
        command += ["-p", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    try:
        ended = subprocess.run(  # noqa: S603 - our own command
            command, check=False, capture_output=True, text=True, timeout=_LIMIT_S
        )
        problem = ended.stderr.strip()[-2000:] if ended.returncode else None
        html = None if ended.returncode else json.loads(ended.stdout)["html"]
    except subprocess.TimeoutExpired:
        problem, html = f"stopped after {_LIMIT_S} s", None
    run = Run(
        notebook=planned.notebook,
        started_at=started,
        seconds=round(time.monotonic() - clock, 1),
        is_done=problem is None,
        problem=problem,
        html=html,
        missed_at=missed_at,
    )
    settings.reports_dir.mkdir(parents=True, exist_ok=True)
    with runs_file(settings).open("ab") as file:
        file.write(msgspec.json.encode(run) + b"\n")
    level = logging.INFO if run.is_done else logging.ERROR
    log.log(level, "report run", extra={"notebook": planned.notebook, "seconds": run.seconds})
    return run


def serve(settings: Settings, stop: Stop) -> None:
    """Run reports at their times until `stop` is set."""
    timetable, turns = Timetable(settings), Turns(settings)
    timetable.start()
    try:
        with Heartbeat(settings.run_dir, PART, timetable.facts, lambda: timetable.problem):
            while not stop.wait(_LOOK_S):
                timetable.refresh()
                timetable.make_up()
                turns.look()
    finally:
        turns.stop()
        timetable.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of the process."""
    return run_part(PART, serve, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
