"""The part of the service that collects by itself: rhythm, quiet hours, changes of the file."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import datetime

import pytest

from dose_lib.errors import CollectError
from dose_lib.settings import Settings
from pipelines.collect.collect import Summary
from pipelines.collect.collector import Collector
from pipelines.collect.pacs import Pacs, WebArchive
from pipelines.process import Stop
from pipelines.status import parts_of

WEB = '[[web]]\nname = "{name}"\nurl = "http://127.0.0.1:9/rs"\n{more}\n'
Describe = Callable[[str], None]


class Runs:
    """Stands for the collections: notes what was started, and answers as it is told."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.summary = Summary(pacs="x", n_objects=3)
        self.error: CollectError | None = None
        self.release = threading.Event()
        self.release.set()

    def __call__(self, archive: Pacs | WebArchive, stop: Stop) -> Summary:
        self.names.append(archive.name)
        assert self.release.wait(10)
        if self.error:
            raise self.error
        return self.summary


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture
def collector(collecting: Settings, runs: Runs, now: list[float]) -> Collector:
    return Collector(collecting, Stop(), run=runs, clock=lambda: now[0])


def look(collector: Collector) -> None:
    collector.look()
    collector.join()


def test_each_archive_has_its_own_rhythm(
    collector: Collector, describe: Describe, runs: Runs, now: list[float]
) -> None:
    describe(
        WEB.format(name="often", more="every_minutes = 10")
        + WEB.format(name="seldom", more="every_minutes = 60")
        + WEB.format(name="never", more="every_minutes = 0")
    )
    for minute in range(0, 61, 5):
        now[0] = 60.0 * minute
        look(collector)
    assert runs.names.count("often") == 7
    assert runs.names.count("seldom") == 2
    assert "never" not in runs.names
    assert collector.facts()["collections"] == 9
    assert collector.facts()["collected"] == 27


def test_a_slow_archive_keeps_no_other_waiting_and_is_not_asked_twice(
    collector: Collector, describe: Describe, runs: Runs, now: list[float]
) -> None:
    describe(WEB.format(name="a", more="") + WEB.format(name="b", more=""))
    runs.release.clear()
    collector.look()
    now[0] = 7200.0
    collector.look()
    assert sorted(runs.names) == ["a", "b"]
    runs.release.set()
    collector.join()


def test_trouble_is_said_and_passes(
    collector: Collector, describe: Describe, runs: Runs, now: list[float]
) -> None:
    describe(WEB.format(name="a", more=""))
    runs.error = CollectError("another collection runs")
    look(collector)
    assert "another collection" in str(collector.facts()["trouble"])
    runs.error, runs.summary.problem = None, "it cannot be reached"
    now[0] += 3600
    look(collector)
    assert collector.facts()["trouble"] == "a: it cannot be reached"
    assert collector.problem() is None, "a silent archive is no trouble of the service's"
    runs.summary.problem = None
    now[0] += 3600
    look(collector)
    assert collector.facts()["archives_in_trouble"] == 0


def test_changes_of_the_file_are_followed(
    collector: Collector, describe: Describe, collecting: Settings, runs: Runs, now: list[float]
) -> None:
    describe(WEB.format(name="a", more=""))
    look(collector)
    describe("[[web]\n")
    now[0] += 3600
    look(collector)
    assert "cannot be read" in str(collector.problem())
    assert runs.names == ["a", "a"], "the last good one counts"
    describe(WEB.format(name="b", more=""))
    os.utime(collecting.site_dir / "pacs.toml", (time.time() + 5, time.time() + 5))
    look(collector)
    assert collector.problem() is None
    assert runs.names == ["a", "a", "b"]


def test_quiet_hours_are_left_alone(
    collecting: Settings, describe: Describe, runs: Runs, now: list[float]
) -> None:
    describe(WEB.format(name="a", more='quiet_hours = ["07:30-18:00"]'))
    local = [datetime(2026, 11, 20, 12)]
    collector = Collector(
        collecting, Stop(), run=runs, clock=lambda: now[0], local=lambda _: local[0]
    )
    look(collector)
    assert runs.names == []
    local[0] = datetime(2026, 11, 20, 18)
    look(collector)
    assert runs.names == ["a"]


def test_it_is_part_of_the_service_where_there_is_something_to_collect(
    collecting: Settings, describe: Describe
) -> None:
    assert "collector" not in parts_of(collecting)
    describe(WEB.format(name="a", more=""))
    assert "collector" in parts_of(collecting)
