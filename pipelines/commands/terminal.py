"""What all commands share: the installation they work on, and how they speak."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from dose_lib import DoseError, Settings, load_settings

_PIPED_WIDTH = 160  # columns where nobody's window says how many there are


def _console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPED_WIDTH
    return console


out, err = _console(), _console(stderr=True)

_chosen: dict[str, Path | None] = {"home": None}


def say(text: str, *, to: Console = out) -> None:
    """Print a line as it is: no markup, and no breaks, so that paths can be copied."""
    to.print(text, markup=False, soft_wrap=True)


def choose_home(home: Path | None) -> None:
    """Remember the home folder named on the command line, also for child processes."""
    _chosen["home"] = home
    if home is not None:
        os.environ["DOSE_HOME"] = str(home.expanduser().resolve())


def chosen_home() -> Path | None:
    """The home folder named on the command line."""
    return _chosen["home"]


def settings(**overrides: Any) -> Settings:
    """Settings of the chosen installation; overrides reach its child processes too."""
    given = {name: value for name, value in overrides.items() if value is not None}
    for name, value in given.items():
        os.environ[f"DOSE_{name.upper()}"] = str(value)
    home = _chosen["home"]
    return load_settings(home.expanduser().resolve() if home else None, **given)


def table_of(*heads: str) -> Table:
    """An empty table in the style of all commands; fill it with `plain` cells."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


def plain(*cells: object) -> tuple[Text, ...]:
    """Cells as they are, without markup; nothing for what is missing."""
    return tuple(Text("" if c is None else str(c)) for c in cells)


def show_error(error: DoseError) -> None:
    """The message of an error on purpose, without a traceback."""
    err.print(Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=True)
    for note in getattr(error, "__notes__", ()):
        say(note, to=err)


def help_of(command: Callable[..., object]) -> str:
    """Help of a command from its docstring; lines of examples stay lines."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    kept = ("\b\n" + p if p.startswith("dose ") else p for p in paragraphs)
    return "\n\n".join(kept)


Advance = Callable[[str, int, int], None]


@contextmanager
def progress_bars() -> Iterator[Advance]:
    """A bar for each stage of long work; nothing where nobody watches."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=err, transient=False, disable=not err.is_terminal) as bars:

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield advance
