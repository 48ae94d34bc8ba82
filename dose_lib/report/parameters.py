"""The parameters cell of a notebook: what can be set, of which kind, checked before a run.

The cell is read, never executed. An annotation gives the kind, the comment behind the line
the help text; without an annotation the kind is that of the default. Papermill would only
warn about a parameter that does not exist; here it stops the run.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dose_lib.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from nbformat import NotebookNode

TAG = "parameters"
_KINDS = ("bool", "int", "float", "str", "date", "list[str]")
_WORDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "date": "a date as 2026-11-22",
    "list[str]": "texts with commas between",
}
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Parameter(NamedTuple):
    """One name of the parameters cell.

    Attributes
    ----------
    kind
        `bool`, `int`, `float`, `str`, `date` or `list[str]`.
    choices
        Texts it may be, None where any is allowed.
    help
        The comment behind it.
    """

    name: str
    kind: str
    default: Any
    is_optional: bool = False
    choices: tuple[str, ...] | None = None
    help: str = ""

    @property
    def label(self) -> str:
        """The name in words."""
        text = self.name.replace("_", " ")
        return text[:1].upper() + text[1:]

    @property
    def expected(self) -> str:
        """What a value has to be, in words."""
        words = f"one of {', '.join(self.choices)}" if self.choices else _WORDS[self.kind]
        return f"{words}, or none" if self.is_optional else words


def read_notebook(path: Path) -> NotebookNode:
    """The notebook of a file.

    Raises
    ------
    UsageError
        If there is no file or it is no notebook.
    """
    import nbformat

    try:
        text = path.read_text(encoding="utf-8")
        return nbformat.reads(text, as_version=4)
    except FileNotFoundError:
        raise UsageError("there is no such notebook", where=str(path)) from None
    except (OSError, UnicodeDecodeError, nbformat.reader.NotJSONError) as error:
        raise UsageError(
            f"the file cannot be read as a notebook ({type(error).__name__})",
            expected="a Jupyter notebook (.ipynb)",
            where=str(path),
        ) from None


def read_parameters(path: Path) -> tuple[Parameter, ...]:
    """The parameters of a notebook, in the order of its cell; empty if it has none.

    Raises
    ------
    UsageError
        If the file is no notebook or its parameters cell cannot be understood.
    """
    cells = [c for c in read_notebook(path).cells if TAG in c.metadata.get("tags", ())]
    return parse_cell(cells[0].source, where=str(path)) if cells else ()


def parse_cell(source: str, *, where: str = "parameters cell") -> tuple[Parameter, ...]:
    """The parameters that a cell assigns.

    Parameters
    ----------
    source
        Text of the cell.
    where
        Named in errors.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise UsageError(
            f"the parameters cell is no Python (line {error.lineno}: {error.msg})", where=where
        ) from None
    comments = _comments(source)
    found = [_parse_line(node, comments, where) for node in tree.body]
    return tuple(p for p in found if p is not None)


def _parse_line(node: ast.stmt, comments: dict[int, str], where: str) -> Parameter | None:
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
        name, value, annotation = node.target.id, node.value, ast.unparse(node.annotation)
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        name, value, annotation = node.targets[0].id, node.value, None
    else:
        return None
    try:
        default = ast.literal_eval(value)
    except ValueError:
        raise UsageError(
            f"the default of {name} is computed", expected="a plain value", where=where
        ) from None
    kind, is_optional, choices = _kind(annotation, default)
    if kind not in _KINDS:
        raise UsageError(f"{name} is of kind {kind}", expected=", ".join(_KINDS), where=where)
    note = comments.get(node.end_lineno or node.lineno, "")
    return Parameter(name, kind, default, is_optional, choices, note)


def _kind(annotation: str | None, default: Any) -> tuple[str, bool, tuple[str, ...] | None]:
    """Kind, whether None is allowed, and the choices of a `Literal`."""
    if annotation is None:
        if default is None:
            return "str", True, None
        return ("list[str]" if isinstance(default, list) else type(default).__name__), False, None
    parts = [p.strip() for p in annotation.strip("'\"").split("|")]
    is_optional = "None" in parts
    kind = next((p for p in parts if p != "None"), "str")
    if kind.startswith("Literal["):
        choices = ast.literal_eval(f"({kind[8:-1]},)")
        return "str", is_optional, tuple(str(c) for c in choices)
    return kind, is_optional, None


def _comments(source: str) -> dict[int, str]:
    """Comment of each line."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ").strip() for t in tokens if t.type == tokenize.COMMENT}


def check_parameters(
    parameters: tuple[Parameter, ...], given: Mapping[str, Any], *, where: str
) -> dict[str, Any]:
    """The given values, each converted to the kind of its parameter.

    Parameters
    ----------
    parameters
        Of the notebook.
    given
        Values by name; texts are converted, as they come from a command line.
    where
        The notebook, named in errors.

    Raises
    ------
    UsageError
        For a name the notebook does not have (with the nearest ones) and for a value that
        does not fit.
    """
    known = {p.name: p for p in parameters}
    for name in given:
        if name not in known:
            raise UsageError(
                f"the notebook has no parameter {name!r}",
                where=where,
                todo=did_you_mean(name, known),
            )
    return {name: convert(known[name], value, where=where) for name, value in given.items()}


def convert(parameter: Parameter, value: Any, *, where: str) -> Any:
    """A value as its parameter needs it; dates as ISO text.

    Raises
    ------
    UsageError
        If it does not fit.
    """
    if value is None or (isinstance(value, str) and value.strip().lower() in ("none", "")):
        if parameter.is_optional:
            return None
        raise _misfit(parameter, value, where)
    try:
        fitted = _CONVERT[parameter.kind](value)
    except (ValueError, TypeError, KeyError):
        raise _misfit(parameter, value, where) from None
    if parameter.choices and fitted not in parameter.choices:
        raise _misfit(parameter, value, where)
    return fitted


def _misfit(parameter: Parameter, value: Any, where: str) -> UsageError:
    hint = did_you_mean(str(value), parameter.choices) if parameter.choices else None
    return UsageError(
        f"{parameter.name} = {value!r} does not fit",
        expected=parameter.expected,
        where=where,
        todo=hint,
    )


def _to_bool(value: Any) -> bool:
    return value if isinstance(value, bool) else _TRUTH[str(value).strip().lower()]


def _to_int(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError
    return int(value)


def _to_float(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError
    return float(value)


def _to_str(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _to_date(value: Any) -> str:
    return (value if isinstance(value, date) else date.fromisoformat(str(value))).isoformat()[:10]


def _to_list(value: Any) -> list[str]:
    items = value.split(",") if isinstance(value, str) else list(value)
    return [str(item).strip() for item in items if str(item).strip()]


_CONVERT = {
    "bool": _to_bool,
    "int": _to_int,
    "float": _to_float,
    "str": _to_str,
    "date": _to_date,
    "list[str]": _to_list,
}
