"""The timetable: read strictly, obeyed in the site's zone, changed while it runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import nbformat
import pytest

from dose_lib.errors import SettingsError
from dose_lib.settings import Settings
from pipelines.schedule import (
    Covered,
    Planned,
    Run,
    Timetable,
    read_schedule,
    run_apart,
    runs_file,
    schedule_file,
    trigger_of,
)

LONDON = ZoneInfo("Europe/London")


@pytest.fixture
def notebook(settings: Settings) -> Path:
    """A notebook of the site with one parameter."""
    parameters = nbformat.v4.new_code_cell("weeks: int = 6  # Weeks looked back")
    parameters.metadata["tags"] = ["parameters"]
    book = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("# What happened?\n\nA test."),
            parameters,
            nbformat.v4.new_code_cell("weeks"),
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    file = settings.site_dir / "notebooks" / "what_happened.ipynb"
    file.parent.mkdir(parents=True)
    nbformat.write(book, file)
    return file


def write(settings: Settings, text: str) -> None:
    file = schedule_file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


GOOD = (
    '[[report]]\nnotebook = "what_happened"\ncron = "30 6 * * mon"\nparameters = { weeks = 12 }\n'
)


def test_entries_are_read(settings: Settings, notebook: Path) -> None:
    assert read_schedule(settings) == []
    write(settings, GOOD)
    assert read_schedule(settings) == [
        Planned(notebook="what_happened", cron="30 6 * * mon", parameters={"weeks": 12})
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[report", "cannot be read"),
        ('[[reports]]\nnotebook = "x"', r"'reports' .*begin with \[\[report\]\]"),
        (GOOD.replace("cron", "crone"), r"entry 1: unknown field 'crone'.*did you mean 'cron'"),
        (GOOD.replace("30 6 * * mon", "every day"), r"entry 1: cron = 'every day'"),
        (GOOD.replace("30 6", "99 6"), "entry 1: cron"),
        (GOOD.replace("what_happened", "what_hapened"), r"no notebook.*did you mean"),
        (GOOD.replace("weeks", "week"), r"week.*did you mean 'weeks'"),
        (GOOD.replace('cron = "30 6 * * mon"', ""), "cron"),
    ],
)
def test_what_cannot_be_run_is_said_with_its_place(
    settings: Settings, notebook: Path, text: str, message: str
) -> None:
    write(settings, text)
    with pytest.raises(SettingsError, match=message) as caught:
        read_schedule(settings)
    assert "schedule.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("cron", "day"),
    [
        ("0 6 * * 0", 29),
        ("0 6 * * 7", 29),
        ("0 6 * * 1", 23),
        ("0 6 * * sat", 28),
        ("0 6 * * 1-5", 23),
    ],
)
def test_days_of_the_week_are_those_of_cron(cron: str, day: int) -> None:
    """2026-11-22 is a Sunday; cron counts it 0 and 7, the scheduler's library 6."""
    now = datetime(2026, 11, 22, 12, 0, tzinfo=LONDON)
    following = trigger_of(cron, "Europe/London").get_next_fire_time(None, now)
    assert following == datetime(2026, 11, day, 6, 0, tzinfo=LONDON)


def test_timetable_follows_the_file_and_keeps_the_last_good_one(
    settings: Settings, notebook: Path
) -> None:
    timetable = Timetable(settings.model_copy(update={"learn_names_cron": ""}))
    timetable.start()
    try:
        assert timetable.facts()["planned"] == 0
        write(settings, GOOD)
        timetable.refresh()
        assert timetable.facts()["planned"] == 1
        assert "T06:30:00" in str(timetable.facts()["next"])
        write(settings, GOOD + "[[report]]\n")
        timetable.refresh()
        assert "entry 2" in (timetable.problem or "")
        assert timetable.facts()["planned"] == 1
        write(settings, "")
        timetable.refresh()
        assert timetable.problem is None
        assert timetable.facts()["planned"] == 0
    finally:
        timetable.stop()


def test_an_hour_missed_while_the_service_was_down_is_made_up_for_once(
    settings: Settings, notebook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Down for three Mondays: one run, that says which hour it makes up for."""
    runs: list[tuple[str, datetime | None]] = []

    def run(planned: Planned, chosen: Settings, missed_at: datetime | None) -> Run:
        runs.append((planned.notebook, missed_at))
        started = datetime.now(UTC)
        return Run(notebook=planned.notebook, started_at=started, seconds=0.1, is_done=True)

    monkeypatch.setattr("pipelines.schedule.run_apart", run)
    write(settings, GOOD)
    with timetable_of(settings) as timetable:
        assert timetable.made_up == 0, "an entry that was never seen has missed nothing"
    covered = settings.reports_dir / "covered.json"
    (key,) = msgspec.json.decode(covered.read_bytes())
    covered.write_bytes(msgspec.json.encode({key: datetime.now(UTC) - timedelta(days=21)}))
    with timetable_of(settings) as timetable:
        timetable.make_up()  # the run has begun: nothing is missed any more
        assert timetable.facts()["made_up"] == 1
    (only,) = runs
    assert only[0] == "what_happened"
    assert only[1] is not None and (datetime.now(UTC) - only[1]).days > 13
    with timetable_of(settings) as timetable:
        assert timetable.made_up == 0


def test_a_run_that_was_cut_off_is_made_up_for(settings: Settings, notebook: Path) -> None:
    covered = Covered(settings)
    now = datetime.now(UTC)
    covered.note("entry", now)
    covered.keep({"entry"})
    assert Covered(settings).until("entry", now + timedelta(hours=1)) == now
    assert Covered(settings).until("entry", now - timedelta(days=1)) < now, "the clock ran ahead"
    (settings.reports_dir / "covered.json").write_text("{")
    assert Covered(settings).until("entry", now) == now


@contextmanager
def timetable_of(settings: Settings) -> Iterator[Timetable]:
    timetable = Timetable(settings)
    timetable.start()
    try:
        yield timetable
    finally:
        timetable.stop()
        timetable.make_up()


@pytest.mark.slow
def test_run_is_a_process_of_its_own_with_a_record(settings: Settings, notebook: Path) -> None:
    run = run_apart(Planned(notebook="what_happened", cron="* * * * *"), settings)
    assert run.is_done, run.problem
    assert run.html is not None and Path(run.html).is_file()
    wrong = Planned(notebook="what_happened", cron="* * * * *", parameters={"weeks": "six"})
    failed = run_apart(wrong, settings)
    assert not failed.is_done
    assert "weeks" in (failed.problem or "")
    lines = [json.loads(line) for line in runs_file(settings).read_text().splitlines()]
    assert [line["is_done"] for line in lines] == [True, False]
