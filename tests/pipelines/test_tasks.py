"""Tasks on the timetable: what may run, what is refused, what became of it."""

from __future__ import annotations

import json

import pytest

from dose_lib.errors import SettingsError
from dose_lib.settings import Settings
from pipelines.schedule import read_schedule, read_tasks, schedule_file
from pipelines.tasks import Task, read_task, run_task, tasks_file


def write(settings: Settings, text: str) -> None:
    settings.site_dir.mkdir(parents=True, exist_ok=True)
    schedule_file(settings).write_text(text)


def test_tasks_beside_reports(settings: Settings) -> None:
    write(settings, '[[task]]\nrun = "reconcile --pacs main"\ncron = "15 7 * * *"\n')
    assert read_tasks(settings) == [Task(run="reconcile --pacs main", cron="15 7 * * *")]
    assert read_schedule(settings) == []


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
