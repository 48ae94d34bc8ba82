"""A notebook run again and again in this process: cells in, what they show out.

A dashboard shows what each cell's last line gives and what `display` is called with, as
JupyterLab does. The notebook needs no code of its own to become live: when data arrive or a
parameter is changed, it is simply run again and the page takes over what has changed.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple

from dose_lib.errors import UsageError
from dose_lib.report.page import title_of
from dose_lib.report.parameters import TAG, Parameter, parse_cell, read_notebook

if TYPE_CHECKING:
    from nbformat import NotebookNode

# Set in the cells' namespace; `set_up_notebook` finds by it that a page runs them already.
MARK = "__dose_dashboard__"


class Cell(NamedTuple):
    """One cell, compiled.

    Attributes
    ----------
    body, last
        Statements, and the expression that ends the cell, None if it ends otherwise.
    """

    number: int
    kind: str
    source: str
    tags: frozenset[str]
    body: CodeType | None = None
    last: CodeType | None = None


class Shown(NamedTuple):
    """What a cell shows; `error` is the exception that ended it."""

    cell: Cell
    outputs: tuple[Any, ...]
    error: Exception | None = None


class Notebook(NamedTuple):
    """A notebook ready to be run."""

    path: Path
    title: str
    cells: tuple[Cell, ...]
    parameters: tuple[Parameter, ...]


def load_notebook(path: Path) -> Notebook:
    """Read and compile a notebook.

    Raises
    ------
    UsageError
        If the file is no notebook or a cell is no Python.
    """
    node = read_notebook(path)
    cells = tuple(_compiled(node, number, path) for number in range(len(node.cells)))
    source = next((c.source for c in cells if TAG in c.tags), "")
    return Notebook(path, title_of(node, path.stem), cells, parse_cell(source, where=path.name))


def _compiled(node: NotebookNode, number: int, path: Path) -> Cell:
    raw = node.cells[number]
    cell = Cell(number, raw.cell_type, raw.source, frozenset(raw.metadata.get("tags", ())))
    if cell.kind != "code":
        return cell
    name = f"<{path.name} cell {number + 1}>"
    # Tracebacks then show the line of the cell.
    linecache.cache[name] = (len(raw.source), None, raw.source.splitlines(keepends=True), name)
    try:
        tree = ast.parse(raw.source, name)
    except SyntaxError as error:
        raise UsageError(
            f"the cell is no plain Python (line {error.lineno}: {error.msg})",
            where=f"{path.name}, cell {number + 1}",
            todo="Dashboards run notebooks without IPython's magics",
        ) from None
    last, end = None, tree.body[-1] if tree.body else None
    if isinstance(end, ast.Expr) and not _is_quiet(raw.source):
        tree.body.pop()
        last = compile(ast.Expression(end.value), name, "eval")
    return cell._replace(body=compile(tree, name, "exec"), last=last)


def _is_quiet(source: str) -> bool:
    return source.rstrip().endswith(";")


def run_cells(
    notebook: Notebook, values: Mapping[str, Any], on_done: Callable[[], None] | None = None
) -> Iterator[Shown]:
    """Run every cell in a new namespace and give what each shows, in order.

    Parameters
    ----------
    notebook
        From `load_notebook`.
    values
        Parameters, set right after the parameters cell as papermill does.
    on_done
        Called when the run ends, however it ends, before connections are closed.

    Notes
    -----
    A cell that fails is the last one. Connections that the cells opened are closed at the
    end: an open reader would keep the service from opening the store.
    """
    namespace: dict[str, Any] = {"__name__": "__main__", MARK: True}
    try:
        for cell in notebook.cells:
            if cell.kind == "markdown":
                yield Shown(cell, (cell.source,))
            elif cell.kind == "code":
                shown = _run(cell, namespace)
                yield shown
                if shown.error is not None:
                    return
                if TAG in cell.tags:
                    namespace.update(values)
    finally:
        if on_done is not None:
            on_done()
        _close_connections(namespace)


def _run(cell: Cell, namespace: dict[str, Any]) -> Shown:
    outputs: list[Any] = []

    def display(*items: Any, **_: Any) -> None:
        outputs.extend(items)

    namespace["display"] = display
    namespace["print"] = lambda *words, sep=" ", **_: outputs.append(sep.join(map(str, words)))
    try:
        if cell.body is not None:
            exec(cell.body, namespace)  # noqa: S102  the site's own notebook, run as Jupyter does
        last = None if cell.last is None else eval(cell.last, namespace)  # noqa: S307
    except Exception as error:  # noqa: BLE001  whatever a cell does is shown in its place
        return Shown(cell, tuple(outputs), error)
    return Shown(cell, (*outputs, *(() if last is None else (last,))))


def _close_connections(namespace: Mapping[str, Any]) -> None:
    for value in list(namespace.values()):
        if hasattr(value, "disconnect") and hasattr(value, "table"):
            value.disconnect()
