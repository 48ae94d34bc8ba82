"""The house of DESIGN §3: every module has a layer, imports point down, no cycles."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import dose_lib

ROOT = Path(__file__).parents[1]

# The first prefix that fits decides. A module that none fits fails the test.
LAYERS = (
    ("dose_lib.errors", 0),
    ("dose_lib.units", 0),
    ("dose_lib.codes", 0),
    ("dose_lib.settings", 0),
    ("dose_lib.records", 1),
    ("dose_lib.keys", 1),
    ("dose_lib.dicom.elements", 2),
    ("dose_lib.dicom.encoding", 2),
    ("dose_lib.dicom.tags", 2),
    ("dose_lib.dicom.text", 2),
    ("dose_lib.dicom.tolerant", 2),
    ("dose_lib.dicom.transcoding", 2),
    ("dose_lib.dicom.sr", 2),
    ("dose_lib.dicom.identify", 2),
    ("dose_lib.dicom", 3),
    ("dose_lib.history", 4),
    ("dose_lib.normalise", 4),
    ("dose_lib.store", 5),
    ("dose_lib.vault", 5),
    ("dose_lib.reference", 5),
    ("dose_lib.derived", 5),
    ("dose_lib.metrics", 6),
    ("dose_lib.compare", 6),
    ("dose_lib.lake", 6),
    ("dose_lib.detect", 6),
    ("dose_lib.findings", 7),
    ("dose_lib.charts", 7),
    ("dose_lib.overview", 7),
    ("dose_lib.mapping", 7),
    ("dose_lib.equipment", 7),
    ("dose_lib.questions", 8),
    ("dose_lib.report", 8),
    ("dose_lib.live", 8),
    ("dose_lib.simulate", 8),
    ("dose_lib", 9),
    ("pipelines", 10),
)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    files = [p for top in ("dose_lib", "pipelines") for p in (ROOT / top).rglob("*.py")]
    return {module_name(p): p for p in files}


def layer(name: str) -> int:
    for prefix, number in LAYERS:
        exact_only = prefix == "dose_lib"
        if name == prefix or (not exact_only and name.startswith(prefix + ".")):
            return number
    raise AssertionError(f"{name} has no layer: add it to LAYERS and to docs/architecture.md")


def running_code(tree: ast.Module) -> Iterator[ast.AST]:
    """Every node but those below ``if TYPE_CHECKING``, which never run."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        yield node
        for child in ast.iter_child_nodes(node):
            is_for_types = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            if not is_for_types:
                stack.append(child)


@cache
def imports(path: Path) -> set[str]:
    """Modules of ours that a file imports when it runs, at any depth."""
    found: set[str] = set()
    known = modules()
    for node in running_code(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: write imports in full"
            deeper = {f"{node.module}.{a.name}" for a in node.names}
            found |= (deeper & set(known)) or {node.module}
    return {f for f in found if f.split(".")[0] in ("dose_lib", "pipelines") and f in known}


def test_imports_point_down() -> None:
    wrong = [
        f"{name} (layer {layer(name)}) imports {other} (layer {layer(other)})"
        for name, path in modules().items()
        if name != "dose_lib"
        for other in imports(path)
        if other != "dose_lib" and layer(other) > layer(name)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_cycles() -> None:
    graph = {n: imports(p) - {n, "dose_lib"} for n, p in modules().items() if n != "dose_lib"}
    packages = {n for n in graph if modules()[n].name == "__init__.py"}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, "cycle: " + " → ".join([*trail, name])
        if name in done:
            return
        for other in graph.get(name, ()):
            # A package's face imports its own modules; they may not import the face.
            visit(other, (*trail, name))
        done.add(name)

    for name in sorted(graph, key=lambda n: (n in packages, n)):
        visit(name, ())


def test_pipelines_use_public_names_only() -> None:
    private = [
        f"{path.relative_to(ROOT)}:{node.lineno} {alias.name}"
        for name, path in modules().items()
        if name.startswith("pipelines")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dose_lib")
        for alias in node.names
        if alias.name.startswith("_")
    ]
    assert not private, "\n".join(private)


def test_no_drawer_modules() -> None:
    drawers = {"utils", "util", "helpers", "common", "misc", "tools"}
    assert not [n for n in modules() if n.rsplit(".", 1)[-1] in drawers]


def test_public_face_is_sorted_and_complete() -> None:
    assert dose_lib.__all__ == sorted(dose_lib.__all__)
    assert set(dose_lib.__all__) == set(dose_lib._PUBLIC)
    for name in dose_lib.__all__:
        assert getattr(dose_lib, name) is not None


def test_import_is_light() -> None:
    """Importing the package loads no heavy library; measured by what is in sys.modules."""
    code = (
        "import sys, dose_lib, dose_lib.errors, dose_lib.records, dose_lib.keys\n"
        "heavy = {'pandas','numpy','duckdb','ibis','panel','pydicom','langchain','matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert out.stdout.strip() == "[]"
