"""The README's words are run: its notebook cell, its commands, its links and its picture."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import dose_lib as dl
from dose_lib.settings import Settings
from dose_lib.simulate import Hospital
from dose_lib.simulate.fill import fill_store
from pipelines.demo import prepare_home

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def department(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The demo's department in a store, as `make demo` would leave it."""
    home = prepare_home(tmp_path / "demo")
    monkeypatch.setenv("DOSE_HOME", str(home))
    own = dl.load_settings(home)
    with dl.Store.open(own) as store:
        fill_store(Hospital.load("demo"), store, site_key=dl.site_key(own))
    return own


@pytest.mark.slow
@pytest.mark.usefixtures("department")
def test_the_cell_of_a_notebook_does_what_it_says() -> None:
    (cell,) = blocks("python")
    names: dict[str, object] = {}
    exec(compile(cell, "README.md", "exec"), names)
    answer = names["answer"]
    assert len(answer.df) > 1  # type: ignore[attr-defined]
    assert not answer.unused_words  # type: ignore[attr-defined]
    assert "Scanner 3" in answer.explain()  # type: ignore[attr-defined]
    third = answer.refine("break it down by technician").refine("show only patients over 80 kg")  # type: ignore[attr-defined]
    assert "80 kg" in third.explain()
    con = dl.connect()
    assert not dl.compare_practice(con).to_frame().empty


def test_its_first_screen_has_the_two_commands() -> None:
    head = TEXT.splitlines()[:24]
    assert any(line.startswith("make demo") for line in head)
    assert any(line.startswith("make test") for line in head)
    assert any("docs/images/" in line for line in head)


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]


def test_every_command_exists() -> None:
    from typer.main import get_command

    from pipelines.cli import app

    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    used = {shlex.split(line, comments=True)[1] for line in lines if line.startswith("dose ")}
    assert used
    assert used <= known
