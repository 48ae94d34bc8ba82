"""Every notebook of the project: its form, and that its cells run and say the same again."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from dose_lib.report.parameters import read_parameters
from tests.conftest import ROOT
from tests.notebooks.conftest import environment_of

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# What a key cell says on the prepared store, and a number to spoil.
KEY_WORDS = {
    "how_do_our_ct_doses_compare": (
        "practices are above the national level", "of 8 practices", "of 9 practices",
    ),
    "which_names_need_a_decision": ("1 name waits for a decision", "1 name waits", "2 names wait"),
}  # fmt: skip
pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


def test_form(path: Path) -> None:
    """Title as a question, one parameters cell, short cells, no functions, no outputs."""
    node = nbformat.read(path, as_version=4)
    nbformat.validate(node)
    title = node.cells[0].source.splitlines()[0]
    assert title.startswith("# ")
    assert title.endswith("?")
    assert title[2:-1].lower().replace(" ", "_").replace(",", "") == path.stem
    tags = [t for c in node.cells for t in c.metadata.get("tags", [])]
    assert tags.count("parameters") == 1
    assert tags.count("period") == 1
    for cell in code_cells(path):
        assert cell.outputs == []
        assert cell.execution_count is None
        tree = ast.parse(cell.source)
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.For)
        assert not [n for n in ast.walk(tree) if isinstance(n, kinds)], cell.source
        assert len(cell.source.splitlines()) <= 12
    for parameter in read_parameters(path):
        assert parameter.help, f"{parameter.name} has no comment"
    assert "ask" in code_cells(path)[-1].source


def test_numbers_come_from_the_library(path: Path) -> None:
    """Only public modules of dose_lib are imported, and nothing is computed in a cell."""
    for cell in code_cells(path):
        for part in ast.walk(ast.parse(cell.source)):
            if isinstance(part, ast.Import):
                assert {a.name for a in part.names} <= {"dose_lib"}
            elif isinstance(part, ast.ImportFrom):
                assert part.module in ("dose_lib", "datetime", "typing")
            assert not isinstance(part, ast.BinOp) or isinstance(part.op, ast.BitOr)


def _prepared(path: Path, folder: Path) -> Path:
    """A copy whose period ends with the exams of the prepared store."""
    node = nbformat.read(path, as_version=4)
    for cell in node.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source += '\nuntil = "2026-11-22"'
    copy = folder / path.name
    nbformat.write(node, copy)
    return copy


def _nbval(path: Path, home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    # Not with the project's own options: warnings of a notebook are not errors of a test.
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    command += ["-c", "/dev/null", "--rootdir", str(path.parent), "-q", "-p", "no:randomly"]
    return subprocess.run(
        [*command, *options, str(path)],
        capture_output=True,
        text=True,
        env=environment_of(home) | {"DOSE_RENDER": "report"},
        cwd=path.parent,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nbval_runs_every_cell(path: Path, filled_home: Path, tmp_path: Path) -> None:
    copy = _prepared(path, tmp_path)
    done = _nbval(copy, filled_home, "--nbval-lax")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(code_cells(path))} passed" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_key_cells_say_what_was_stored(path: Path, filled_home: Path, tmp_path: Path) -> None:
    """Sentences and figures of a test copy with outputs equal those of a new run."""
    from nbclient import NotebookClient

    stored = _prepared(path, tmp_path)
    node = nbformat.read(stored, as_version=4)
    environment = environment_of(filled_home) | {"DOSE_RENDER": "report"}
    NotebookClient(node, kernel_name="python3").execute(env=environment, cwd=str(tmp_path))
    keys = [c for c in node.cells if c.cell_type == "code" and _is_key(c)]
    assert len(keys) >= 5
    for cell in node.cells:
        if cell.cell_type == "code" and not _is_key(cell):
            cell.outputs = []
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "nbval-ignore-output"]
    nbformat.write(node, stored)
    said, true, false = KEY_WORDS[path.stem]
    assert said in stored.read_text(encoding="utf-8")
    done = _nbval(stored, filled_home, "--nbval")
    assert done.returncode == 0, done.stdout + done.stderr
    spoilt = stored.read_text(encoding="utf-8").replace(true, false)
    stored.write_text(spoilt, encoding="utf-8")
    assert _nbval(stored, filled_home, "--nbval").returncode != 0


def _is_key(cell: nbformat.NotebookNode) -> bool:
    """Cells of numbers and words; those of pictures and of measured times are not."""
    words = ("sentence", "kpis", "verdicts", "findings", "table", "provenance", "period\n")
    return any(f"{w}(" in cell.source for w in words) and "opened_at" not in cell.source
