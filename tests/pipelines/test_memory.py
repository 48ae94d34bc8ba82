"""What the parts of the service hold in memory: nothing that they do not need for long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dose_lib.settings import Settings
from pipelines.memory import give_back
from pipelines.rest import Rest
from pipelines.turns import Turns

# Each of these takes 10 to 150 MB, and comes along with one careless import.
HEAVY = (
    *("bokeh", "duckdb", "holoviews", "ibis", "langchain_core", "matplotlib", "nbformat", "numpy"),
    *("pandas", "panel", "pyarrow", "pydicom", "pynetdicom", "scipy", "sqlglot"),
)
STORE = {"duckdb", "numpy", "pyarrow"}
DICOM = {"numpy", "pydicom", "pynetdicom"}


@pytest.mark.parametrize(
    ("module", "needed"),
    [
        ("pipelines.commands.service", set()),  # the supervisor
        ("pipelines.service", set()),
        ("pipelines.schedule", set()),
        ("pipelines.dashboards", set()),
        ("pipelines.receive", DICOM),
        ("pipelines.stow", DICOM),
        ("pipelines.vault", STORE),
        ("pipelines.owner", STORE),
        ("pipelines.worker", STORE),
    ],
)
def test_a_part_loads_what_it_needs_for_long(module: str, needed: set[str]) -> None:
    code = (
        f"import {module}, json, sys; print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert set(json.loads(told.stdout)) <= needed


def test_values_in_and_out_of_duckdb_and_arrow_do_not_bring_pandas() -> None:
    code = """
        import sys, duckdb, pyarrow as pa
        from pipelines.memory import give_back, go_without
        go_without("pandas")
        con = duckdb.connect()
        con.execute("CREATE TABLE t AS SELECT ? AS a, ? AS b, now() AS c", ["x", 1.5])
        assert len(con.execute("SELECT * FROM t WHERE a = ?", ["x"]).fetchall()) == 1
        assert con.execute("SELECT a FROM t").to_arrow_table().num_rows == 1
        assert pa.Table.from_pylist([{"a": 1}], schema=pa.schema([("a", pa.int64())])).num_rows == 1
        give_back()
        assert con.execute("SELECT count(*) FROM t").fetchone() == (1,)
        assert "pandas" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_rest_comes_once_after_work() -> None:
    work, tidied = [0], []
    rest = Rest(lambda: work[0], lambda: tidied.append(work[0]), quiet_s=0.0)
    rest.look()
    assert tidied == [], "nothing was done"
    work[0] = 5
    rest.look()
    assert tidied == [], "it may go on"
    rest.look()
    rest.look()
    assert tidied == [5]
    work[0] = 6
    rest.look()
    rest.look()
    assert tidied == [5, 6]
    give_back()


def test_devices_are_looked_at_in_a_process_that_ends(settings: Settings, tmp_path: Path) -> None:
    note = tmp_path / "looked"
    code = f"import os, pathlib; pathlib.Path({str(note)!r}).write_text(str(os.getpid()))"
    turns = Turns(settings, [sys.executable, "-c", code], first_s=0.0)
    _until(turns.look, lambda: turns.looks == 1)
    assert int(note.read_text()) != os.getpid()
    note.unlink()
    turns.look()
    turns.stop()
    assert not note.exists(), "the next look is minutes away"


def test_a_look_under_way_ends_with_the_scheduler(settings: Settings) -> None:
    code = "import sys, time; time.sleep(600)"
    turns = Turns(settings, [sys.executable, "-c", code], first_s=0.0)
    turns.look()
    process = turns._process
    assert process is not None
    turns.look()
    turns.stop()
    assert process.poll() is not None
    assert turns.looks == 0


def _until(step: Callable[[], None], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        step()
        time.sleep(0.01)
