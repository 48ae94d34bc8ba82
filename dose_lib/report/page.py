"""An executed notebook as one self-contained page that asks nothing of any network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dose_lib.charts.fragments import STYLE
from dose_lib.charts.style import CSS, DARK_CSS
from dose_lib.report.parameters import Parameter

if TYPE_CHECKING:
    from nbformat import NotebookNode

_TEMPLATES = Path(__file__).parent / "templates"
PERIOD_TAG = "period"


class Head(NamedTuple):
    """What the head of a page says."""

    title: str
    site: str
    period: str | None
    made: str
    notebook: str
    version: str
    parameters: Sequence[tuple[str, str, str]]


def title_of(notebook: NotebookNode, otherwise: str) -> str:
    """First heading of a notebook, else its name in words."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                if line.startswith("# "):
                    return str(line[2:].strip())
    words = otherwise.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def words_below_title(notebook: NotebookNode) -> str:
    """What the first markdown cell says besides the title."""
    first = next((c for c in notebook.cells if c.cell_type == "markdown"), None)
    if first is None or first is not notebook.cells[0]:
        return ""
    lines = [line for line in first.source.splitlines() if not line.startswith("# ")]
    return "\n".join(lines).strip()


def period_of(notebook: NotebookNode) -> str | None:
    """The period a notebook looked at: what its cell tagged `period` shows."""
    for cell in notebook.cells:
        if PERIOD_TAG in cell.metadata.get("tags", ()):
            for output in cell.get("outputs", ()):
                text = output.get("data", {}).get("text/plain")
                if text:
                    return str(text).strip().strip("'\"")
    return None


def parameter_rows(
    parameters: Sequence[Parameter], used: Mapping[str, Any]
) -> list[tuple[str, str, str]]:
    """Name, value used and help of each parameter."""
    return [(p.label, _plain(used.get(p.name, p.default)), p.help) for p in parameters]


def _plain(value: Any) -> str:
    if value is None:
        return "not set"
    return ", ".join(value) if isinstance(value, list) else str(value)


def made_at(started_at: datetime) -> str:
    """A time as the head writes it."""
    return f"{started_at:%d %B %Y, %H:%M} ({started_at.tzname()})".lstrip("0")


def render(notebook: NotebookNode, head: Head) -> str:
    """The page of an executed notebook.

    Parameters
    ----------
    notebook
        With outputs.
    head
        Title, site, period, time, parameters.

    Returns
    -------
    str
        HTML without scripts and without anything to fetch; a policy in its head forbids both.
    """
    from nbconvert.exporters import HTMLExporter

    exporter = HTMLExporter(
        template_name="doseloop",
        extra_template_basedirs=[str(_TEMPLATES)],
        exclude_anchor_links=True,
    )
    page = {**head._asdict(), "css": _css(), "first_words": words_below_title(notebook)}
    html, _ = exporter.from_notebook_node(notebook, resources={"page": page})
    # Each output carries the style sheet, so that it also looks right in JupyterLab. One is
    # enough here, and a later one would undo the dark colours.
    return str(html).replace(STYLE, "").replace(f"<style>{CSS}</style>", "")


def _css() -> str:
    own = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
    return f"{own}\n{CSS}\n@media screen and (prefers-color-scheme:dark){{{DARK_CSS}}}"
