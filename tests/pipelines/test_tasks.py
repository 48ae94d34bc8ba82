"""Tasks on the timetable: what may run, what is refused, what became of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

import dose_lib
from dose_lib.errors import SettingsError
from dose_lib.mapping import accept_name, find_waiting, learn_names
from dose_lib.mapping.read import read_decisions
from dose_lib.settings import Settings
from pipelines.schedule import all_tasks, read_schedule, read_tasks, schedule_file
from pipelines.tasks import Task, read_task, run_task, tasks_file
from pipelines.timetable import read_timetable, try_timetable
from tests.mapping.department import ODD, exam, fill


def write(settings: Settings, text: str) -> None:
    settings.site_dir.mkdir(parents=True, exist_ok=True)
    schedule_file(settings).write_text(text)


def test_tasks_beside_reports(settings: Settings) -> None:
    write(settings, '[[task]]\nrun = "reconcile --pacs main"\ncron = "15 7 * * *"\n')
    assert read_tasks(settings) == [Task(run="reconcile --pacs main", cron="15 7 * * *")]
    assert read_schedule(settings) == []


def test_names_are_learned_every_night_unless_the_site_says_when(settings: Settings) -> None:
    assert all_tasks(settings) == [Task(run="map learn", cron="20 2 * * *")]
    write(settings, '[[task]]\nrun = "map learn"\ncron = "0 4 * * sun"\n')
    assert all_tasks(settings) == [Task(run="map learn", cron="0 4 * * sun")]
    write(settings, "")
    assert all_tasks(settings.model_copy(update={"learn_names_cron": ""})) == []
    with pytest.raises(SettingsError, match="learn_names_cron"):
        all_tasks(settings.model_copy(update={"learn_names_cron": "at night"}))


def test_the_timetable_says_what_runs_next_and_what_ran(settings: Settings) -> None:
    """Times of the site's zone; a journal's line that was cut off is passed over."""
    write(settings, '[[task]]\nrun = "collect main"\ncron = "0 1 * * *"\n')
    tasks_file(settings).parent.mkdir(parents=True)
    ran = {"run": "map learn", "started_at": "2026-11-22T02:20:01Z", "seconds": 1, "exit_code": 0}
    failed = {"run": "collect main", "started_at": "2026-11-22T01:00:00Z", "exit_code": 5}
    lines = [json.dumps(x) for x in (ran, failed)]
    tasks_file(settings).write_text("\n".join([*lines, '{"run": "coll']))
    here = settings.model_copy(update={"timezone": "Europe/London"})
    first, second = read_timetable(here, datetime(2026, 11, 22, 12, tzinfo=UTC))
    assert (first.run, first.is_default, first.is_done) == ("collect main", False, False)
    assert first.next_at == datetime(2026, 11, 23, 1, tzinfo=UTC)
    assert (second.run, second.is_default, second.is_done) == ("map learn", True, True)
    assert second.next_at == datetime(2026, 11, 23, 2, 20, tzinfo=UTC)
    write(settings, "[[tasks]]")
    assert "tasks" in str(try_timetable(here))


@pytest.mark.slow
def test_learning_by_the_timetable_takes_what_the_rules_accept(settings: Settings) -> None:
    """The nightly process itself: sure enough is taken, all else waits for a person."""
    spelt, other = "SPEZIAL-ZWICKEL (Adult)", "Spezial Zwickel 2"
    fill(settings, [exam(n, name, 500.0) for n, name in enumerate((ODD, spelt, other))])
    accept_name(ODD, "CT Chest", modality="CT", settings=settings, author="A", because="asked")
    (task,) = all_tasks(settings)
    assert run_task(task, settings).exit_code == 0
    con = dose_lib.connect(settings=settings)
    (learned,) = [d for d in read_decisions(con, "procedure_mapping") if d.author == "DoseLoop"]
    assert learned.subject == spelt.casefold()
    assert float(str(learned.payload["confidence"])) >= settings.accept_names_from
    waiting = [w.text for w in find_waiting(con, settings=settings)]
    assert waiting == [other], "a number may matter: a person decides"
    assert learn_names(con, settings=settings) == (), "the next night finds nothing new"


@pytest.mark.parametrize(
    "entry",
    [
        {"run": "serve", "cron": "* * * * *"},
        {"run": "", "cron": "* * * * *"},
        {"run": "sizes show", "cron": "* * * * *"},
        {"run": "collect 'unbalanced", "cron": "* * * * *"},
        {"run": "collect"},
        {"run": "collect", "cron": "* * * * *", "shell": True},
    ],
)
def test_what_may_not_run(entry: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="task 1"):
        read_task(entry, "schedule.toml, task 1")


@pytest.mark.parametrize(
    "text",
    ['[[task]]\nrun = "collect"\ncron = "soon"\n', "[[tasks]]\n", "task = 1\n"],
)
def test_a_timetable_that_cannot_be_used(settings: Settings, text: str) -> None:
    write(settings, text)
    with pytest.raises(SettingsError):
        read_tasks(settings)


@pytest.mark.slow
def test_a_run_is_noted_with_what_it_said(settings: Settings) -> None:
    run = run_task(Task(run="reconcile --pacs nobody", cron="* * * * *"), settings)
    assert run.exit_code == 2
    assert "no archive is named 'nobody'" in (run.problem or "")
    (line,) = tasks_file(settings).read_text().splitlines()
    assert json.loads(line)["run"] == "reconcile --pacs nobody"
