"""The page about the simulation says what the code does."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any, get_args

from dose_lib.simulate import Hospital, scenario_names
from dose_lib.simulate.injections import HARMLESS, Injection
from dose_lib.simulate.scenario import Scenario
from dose_lib.simulate.writer import dialect_names

PAGE = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def first_cells(heading: str) -> list[str]:
    """Code words in the first column of the table below a heading."""
    section = PAGE.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    return [
        n for cell in re.findall(r"^\| (`.*?) \|", section, re.M) for n in cell.split("`")[1::2]
    ]


def test_examples_run(tmp_path: Path) -> None:
    names: dict[str, Any] = {"folder": tmp_path}
    for example in blocks("python"):
        exec(example, names)
    assert list(tmp_path.glob("*/*.dcm"))
    assert names["report"] != names["big_endian"]


def test_the_scenario_of_the_page_can_be_used(tmp_path: Path) -> None:
    (text,) = blocks("toml")
    file = tmp_path / "worn-tube.toml"
    file.write_text(text)
    hospital = Hospital.load(file, end=date(2026, 11, 20), days=3)
    found = {t.truth_id for e in hospital.exams() for t in e.truths}
    assert found >= {"tube", "rotation"}
    assert hospital.scenario.days == 120


def test_tables_are_complete() -> None:
    assert set(first_cells("## Scenarios")) == set(scenario_names())
    assert set(first_cells("## The writer")) == set(dialect_names())
    keys = set(first_cells("### Writing one"))
    assert keys - {"sites"} <= set(Scenario.model_fields)
    kinds = {
        get_args(k.model_fields["kind"].annotation)[0] for k in get_args(get_args(Injection)[0])
    }
    assert set(first_cells("### Truths")) == kinds


def test_harmless_kinds_are_marked() -> None:
    for kind in HARMLESS - {"quality_control"}:
        assert re.search(rf"^\| `{kind}` \|.*\| no \|$", PAGE, re.M)
