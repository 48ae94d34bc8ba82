"""Parameters of a notebook: read from its cell, checked before anything runs."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import nbformat
import pytest

from dose_lib.errors import UsageError
from dose_lib.report.parameters import (
    Parameter,
    check_parameters,
    parse_cell,
    read_notebook,
    read_parameters,
)

CELL = """
from typing import Literal
days: int = 84  # Days looked back
until: "date | None" = None  # Last day
device: str | None = None
level: Literal["national", "local"] = "national"  # Levels to compare with
limit = 2.5
verbose: bool = False
names: list[str] = ["a", "b"]  # "quoted # not a comment"
"""


def parameters() -> dict[str, Parameter]:
    return {p.name: p for p in parse_cell(CELL)}


def test_kinds_defaults_and_help_are_read() -> None:
    found = parameters()
    assert found["days"] == Parameter("days", "int", 84, help="Days looked back")
    assert found["until"].kind == "date"
    assert found["until"].is_optional
    assert found["device"] == Parameter("device", "str", None, is_optional=True)
    assert found["level"].choices == ("national", "local")
    assert found["limit"].kind == "float"
    assert found["verbose"].kind == "bool"
    assert found["names"].default == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "given", "used"),
    [
        ("days", "28", 28),
        ("days", 28, 28),
        ("days", 28.0, 28),
        ("until", "2026-11-22", "2026-11-22"),
        ("until", date(2026, 11, 22), "2026-11-22"),
        ("until", "none", None),
        ("device", "Scanner 3", "Scanner 3"),
        ("device", None, None),
        ("level", "local", "local"),
        ("limit", "3", 3.0),
        ("verbose", "yes", True),
        ("verbose", "false", False),
        ("names", "x, y", ["x", "y"]),
        ("names", ["x"], ["x"]),
    ],
)
def test_values_become_of_their_kind(name: str, given: Any, used: Any) -> None:
    assert check_parameters(tuple(parse_cell(CELL)), {name: given}, where="n") == {name: used}


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("days", "many"),
        ("days", 2.5),
        ("days", True),
        ("days", None),
        ("until", "22.11.2026"),
        ("until", "2026-13-01"),
        ("device", 3),
        ("level", "regional"),
        ("limit", "high"),
        ("verbose", "perhaps"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(name: str, given: Any) -> None:
    with pytest.raises(UsageError) as caught:
        check_parameters(tuple(parse_cell(CELL)), {name: given}, where="my.ipynb")
    assert name in str(caught.value)
    assert "my.ipynb" in str(caught.value)
    assert caught.value.expected
    assert caught.value.exit_code == 2


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'device'"):
        check_parameters(tuple(parse_cell(CELL)), {"devcie": "x"}, where="n")


def test_choices_get_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'national'"):
        check_parameters(tuple(parse_cell(CELL)), {"level": "natoinal"}, where="n")


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("days = 7 * 12", "computed"),
        ("days: dict = {}", "kind"),
        ("days = (", "no Python"),
    ],
)
def test_cells_that_cannot_be_understood_are_said_to_be(cell: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_cell(cell)


def test_files_that_are_no_notebooks(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such notebook"):
        read_notebook(tmp_path / "gone.ipynb")
    wrong = tmp_path / "wrong.ipynb"
    wrong.write_text("not json", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be read as a notebook"):
        read_notebook(wrong)


def test_a_notebook_without_the_cell_has_no_parameters(tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    nbformat.write(nbformat.v4.new_notebook(), path)
    assert read_parameters(path) == ()
