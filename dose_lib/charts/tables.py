"""Tables to read: numbers with units, findings in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from html import escape
from numbers import Number
from typing import TYPE_CHECKING, Any

from dose_lib.charts.fragments import Html, chip, message
from dose_lib.charts.words import MISSING, is_missing, number, word

if TYPE_CHECKING:
    import pandas as pd

_LONG = 160


def table(
    rows: pd.DataFrame,
    *,
    columns: Mapping[str, str] | Sequence[str] | None = None,
    title: str | None = None,
    source: str | None = None,
    max_rows: int = 50,
    empty: str = "There are no rows in this selection.",
) -> Html:
    """Rows as a table with labels, units and three significant digits.

    Parameters
    ----------
    rows
        What to show.
    columns
        Columns in order; a mapping also gives the heads. Default: all, heads by name.
    title, source
        Words above and below.
    max_rows
        Rows shown; a line below says how many are left out.
    empty
        What is said where there is no row.
    """
    if rows.empty:
        return message(empty)
    names = list(columns) if columns is not None else [str(c) for c in rows.columns]
    given = columns if isinstance(columns, Mapping) else {}
    heads = [given.get(name) or word(name).axis for name in names]
    aligned = [_is_numeric(rows[name]) for name in names]
    shown = rows[names].head(max_rows)
    columns_of_cells = [
        [_cell(value, num) for value in _dates_if_all(shown[name])]
        for name, num in zip(names, aligned, strict=True)
    ]
    lines = zip(*columns_of_cells, strict=True)
    body = "".join(f"<tr>{''.join(line)}</tr>" for line in lines)
    left = len(rows) - max_rows
    notes = [f"{left:,} more rows are not shown."] if left > 0 else []
    notes += [f"Source: {source}."] if source else []
    text = f"{title or 'Table'}: {len(rows):,} rows of {', '.join(heads)}."
    return Html(framed(title, head_cells(heads, aligned), body, notes), text)


def _is_numeric(column: pd.Series) -> bool:
    values = [v for v in column.head(50) if not is_missing(v)]
    is_truth = any(type(v).__name__ in ("bool", "bool_") for v in values)
    return bool(values) and not is_truth and all(_is_number(v) for v in values)


def _is_number(value: object) -> bool:
    return isinstance(value, Number)


def _dates_if_all(column: pd.Series) -> list[Any]:
    """Midnights as dates, if a column holds nothing else: days, weeks, months."""
    values = list(column)
    known = [v for v in values if not is_missing(v)]
    if known and all(isinstance(v, datetime) and v.time() == time() for v in known):
        return [None if is_missing(v) else v.date() for v in values]
    return values


def _cell(value: object, is_right: bool) -> str:
    text = number(value)
    shown = text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"
    kind = ' class="num"' if is_right else ' class="fixed"' if isinstance(value, date) else ""
    return f"<td{kind}>{escape(shown)}</td>"


def head_cells(heads: Sequence[str], is_right: Sequence[bool]) -> str:
    """Heads of a table as HTML; numbers stand on the right."""
    kinds = [' class="num"' if r else "" for r in is_right]
    pairs = zip(heads, kinds, strict=True)
    return "".join(f'<th scope="col"{kind}>{escape(head)}</th>' for head, kind in pairs)


def framed(title: str | None, head: str, body: str, notes: Iterable[str]) -> str:
    """A table with its title and the notes below."""
    above = f'<div class="title">{escape(title)}</div>' if title else ""
    below = " ".join(notes)
    return (
        f'{above}<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
        + (f'<p class="caption">{escape(below)}</p>' if below else "")
    )


def small(text: object) -> str:
    """A remark in small type, whole where a pointer rests on it; nothing for nothing."""
    if is_missing(text) or not text:
        return ""
    words = str(text)
    cut = words if len(words) <= _LONG else f"{words[: _LONG - 1]}…"
    return f'<small title="{escape(words, quote=True)}">{escape(cut)}</small>'


def findings(rows: pd.DataFrame, *, title: str | None = None, max_rows: int = 12) -> Html:
    """Findings with severity in sign and word, newest first.

    Parameters
    ----------
    rows
        Columns of the view `findings`.
    title
        Words above the table.
    max_rows
        Findings shown.
    """
    if rows.empty:
        return message("✓ No finding is open for this selection.", tone="good")
    ordered = rows.sort_values("opened_at", ascending=False)
    heads = ["Severity", "Finding", "Where", "Opened", "State"]
    body = "".join(_finding_row(r) for r in ordered.head(max_rows).to_dict("records"))
    left = len(rows) - max_rows
    notes = [f"{left:,} more findings are not shown."] if left > 0 else []
    text = "; ".join(str(t) for t in ordered["title"].head(max_rows))
    return Html(framed(title, head_cells(heads, [False] * 5), body, notes), f"Findings: {text}")


def _finding_row(row: Mapping[Any, Any]) -> str:
    where = [str(row[k]) for k in ("device", "procedure_name") if not is_missing(row.get(k))]
    state = str(getattr(row.get("state"), "value", row.get("state") or "open"))
    cells = [
        f"<td>{chip(row.get('severity'))}</td>",
        f"<td><b>{escape(str(row.get('title') or ''))}</b>{small(row.get('summary'))}</td>",
        f"<td>{escape(', '.join(where)) or MISSING}</td>",
        f'<td class="fixed">{escape(number(row.get("opened_at")))}</td>',
        f"<td>{escape(state)}</td>",
    ]
    return f"<tr>{''.join(cells)}</tr>"
