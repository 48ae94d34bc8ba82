"""`dose map` and `dose device` as a person and as a script use them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from click.testing import Result
from typer.testing import CliRunner

import dose_lib
from dose_lib.settings import Settings
from pipelines.cli import app
from tests.mapping.department import ODD, department, exam, fill, received

Run = Callable[..., Result]


@pytest.fixture
def run(settings: Settings) -> Run:
    """Runs a command on the department."""
    fill(settings, department())

    def call(*arguments: str, said: str | None = None) -> Result:
        command = ["--home", str(settings.home), *arguments]
        return CliRunner().invoke(app, command, input=said, catch_exceptions=False)

    return call


def named(settings: Settings) -> int:
    """Exams that have a procedure."""
    studies = dose_lib.connect(settings=settings).table("studies")
    return int(studies.filter(studies.procedure_name.notnull()).count().to_pyarrow().as_py())


def test_a_name_from_the_list_to_its_history(run: Run, settings: Settings) -> None:
    listed = json.loads(run("map", "review", "--json").output)
    assert [(w["text"], w["n_exams"]) for w in listed] == [(ODD, 25)]
    assert ODD in run("map", "review").output, "not a terminal: the list, and no question"
    because = ("--because", "asked", "--author", "mp")
    dry = json.loads(run("map", "accept", ODD, "CT Chest", "--dry-run", "--json", *because).output)
    assert dry["effect"]["n_moved"] == 25
    assert dry["in_words"].startswith("moves 25 of 25 exams; ratio to DRL 0.61")
    assert named(settings) == 30
    done = run("map", "accept", ODD, "CT Chest", *because).output
    assert "ratio to DRL 0.61 (n = 30) → 0.71 (n = 55)" in done
    assert named(settings) == 55
    (standing,) = json.loads(run("map", "list", "--json").output)
    assert (standing["procedure_name"], standing["author"]) == ("CT Chest", "mp")
    assert "Nothing waits" in run("map", "review").output
    assert "unmapped again" in run("map", "undo", ODD, *because).output
    told = json.loads(run("map", "history", "--json").output)
    assert [t["decided"] for t in told] == ["taken back", "CT Chest"]


def test_history_is_made_anew_after_a_change_of_the_files(run: Run, settings: Settings) -> None:
    (settings.site_dir / "procedures.toml").write_text(
        f'[[procedure]]\nname = "CT Chest"\ntexts = ["{ODD}"]\n', encoding="utf-8"
    )
    run("map", "recompute", "--because", "the list of the RIS", "--author", "mp")
    assert named(settings) == 55
    (told,) = json.loads(run("map", "history", "--json").output)
    assert (told["decided"], told["n_renamed"], told["because"]) == (
        "all named anew", 25, "the list of the RIS",
    )  # fmt: skip


def test_going_through_the_names_in_a_terminal(
    run: Run, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    from pipelines.commands import mapping

    monkeypatch.setattr(mapping, "out", Console(force_terminal=True, width=200))
    answers = "CT Chset\n1\ny\nas the radiographers say\n"
    shown = run("map", "review", "--author", "mp", said=answers).output
    assert "did you mean 'CT Chest'" in shown
    assert "moves 25 of 25 exams" in shown
    assert named(settings) == 55


def test_exams_whose_words_and_scans_disagree(settings: Settings, run: Run) -> None:
    long = exam(300, "CT Thorax", 700.0)
    spiral = msgspec.structs.replace(long.events[0], scanning_length_mm=660.0)
    with dose_lib.Store.open(settings) as store:
        store.commit([received(msgspec.structs.replace(long, events=(spiral,)))])
    (row,) = json.loads(run("map", "mismatches", "--exams", "--json").output)
    assert (row["about"], row["name"], row["is_habit"]) == ("length", "CT Thorax", False)
    assert "660 mm scanned, 450 at most" in row["seen"]


def test_a_unit_gets_its_name_and_its_timeline(run: Run, settings: Settings) -> None:
    (unit,) = json.loads(run("device", "list", "--json").output)
    assert unit["n_parts"] == 56
    run("device", "name", "CT1", "Scanner 2", "--room", "CT 2", "--author", "mp")
    run("device", "name", "Scanner 2", "--site", "Main", "--author", "mp")
    run("device", "event", "Scanner 2", "tube replaced", "--category", "part replaced",
        "--at", "2026-03-03", "--author", "mp")  # fmt: skip
    rows: list[dict[str, Any]] = json.loads(run("device", "timeline", "Scanner 2", "--json").output)
    assert ("part replaced", "tube replaced") in [(r["what"], r["value"]) for r in rows]
    (shown,) = json.loads(run("device", "list", "--json").output)
    assert (shown["device"], shown["room"], shown["site"]) == ("Scanner 2", "CT 2", "Main")
