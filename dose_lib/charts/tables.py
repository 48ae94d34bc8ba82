"""Tables to read: numbers with units, verdicts with sign and word, findings in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from html import escape
from numbers import Number
from typing import TYPE_CHECKING, Any

from dose_lib.charts.captions import limit_of_site
from dose_lib.charts.fragments import Html, chip, message
from dose_lib.charts.style import mark
from dose_lib.charts.words import MISSING, is_missing, number, printed_unit, word

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
    words = [word(name) for name in names]
    heads = [given.get(n) or w.axis for n, w in zip(names, words, strict=True)]
    right = [_is_numeric(rows[name]) for name in names]
    body = "".join(
        "<tr>" + "".join(_cell(v, r) for v, r in zip(row, right, strict=True)) + "</tr>"
        for row in rows[names].head(max_rows).itertuples(index=False, name=None)
    )
    left = len(rows) - max_rows
    notes = [f"{left:,} more rows are not shown."] if left > 0 else []
    notes += [f"Source: {source}."] if source else []
    text = f"{title or 'Table'}: {len(rows):,} rows of {', '.join(heads)}."
    return Html(_framed(title, _head(heads, right), body, notes), text)


def _is_numeric(column: pd.Series) -> bool:
    values = [v for v in column.head(50) if not is_missing(v)]
    kinds = {type(v).__name__ for v in values}
    return bool(values) and not kinds & {"bool", "bool_"} and all(_is_number(v) for v in values)


def _is_number(value: object) -> bool:
    return isinstance(value, Number)


def _cell(value: object, right: bool) -> str:
    text = number(value)
    shown = text if len(text) <= _LONG else text[: _LONG - 1] + "…"
    kind = _right(right) or (' class="fixed"' if isinstance(value, date) else "")
    return f"<td{kind}>{escape(shown)}</td>"


def _right(right: bool) -> str:
    return ' class="num"' if right else ""


def _head(heads: Sequence[str], right: Sequence[bool]) -> str:
    return "".join(
        f'<th scope="col"{_right(r)}>{escape(h)}</th>' for h, r in zip(heads, right, strict=True)
    )


def _framed(title: str | None, head: str, body: str, notes: Iterable[str]) -> str:
    above = f'<div class="title">{escape(title)}</div>' if title else ""
    below = " ".join(notes)
    return (
        f'{above}<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
        + (f'<p class="caption">{escape(below)}</p>' if below else "")
    )


def verdicts(
    rows: pd.DataFrame, *, title: str | None = None, small_cell_n: int | None = None
) -> Html:
    """Verdicts of a practice against reference levels, with sign, word and reason.

    Parameters
    ----------
    rows
        Columns of `Comparison.to_frame`; `procedure_name, name, unit, band, quantity, n,
        median, ci_low, ci_high, dose_unit, level, level_name, status, text, notes` are shown,
        and one that is missing is left empty.
    title
        Words above the table.
    small_cell_n
        Medians of fewer exams are hidden; default: the site's setting.
    """
    if rows.empty:
        return message("No practice could be compared: there are no exams in this selection.")
    limit = limit_of_site() if small_cell_n is None else small_cell_n
    heads = ["Procedure", "Room", "Exams", "Median (95 % interval)", "Level", "", "Verdict"]
    right = [False, False, True, True, True, False, False]
    records = rows.to_dict("records")
    body = "".join(_verdict_row({str(k): v for k, v in r.items()}, limit) for r in records)
    counted = rows["status"].map(lambda s: mark(s).word).value_counts()
    text = "; ".join(f"{words}: {n}" for words, n in counted.items())
    note = "The dot is the median with its interval, the upright stroke the level."
    return Html(_framed(title, _head(heads, right), body, [note]), f"{title or 'Verdicts'}: {text}")


def _verdict_row(row: Mapping[str, Any], limit: int) -> str:
    unit = printed_unit(row.get("dose_unit"))
    n = 0 if is_missing(row.get("n")) else int(row["n"])
    hidden = n < limit
    median = None if hidden else row.get("median")
    interval = [None if hidden else row.get(k) for k in ("ci_low", "ci_high")]
    level = row.get("level")
    quantity = word(str(row.get("quantity") or "")).label
    band = str(row.get("band") or "")
    facility = row.get("unit") == "facility"
    where = "All rooms (median of medians)" if facility else str(row.get("name") or MISSING)
    reason = row.get("text") if mark(row["status"]).tone == "none" else row.get("notes")
    cells = [
        _two(
            row.get("procedure_name") or "not mapped", ", ".join(x for x in (quantity, band) if x)
        ),
        f"<td>{escape(where)}</td>",
        f'<td class="num">{f"&lt; {limit}" if hidden else f"{n:,}"}</td>',
        _number_cell(median, unit, _interval(interval)),
        _number_cell(level, unit, str(row.get("level_name") or "")),
        f"<td>{_bullet(median, interval, level, mark(row['status']).tone)}</td>",
        f"<td>{chip(row['status'])}{_small(reason)}</td>",
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _two(main: object, below: str) -> str:
    return f"<td>{escape(str(main))}{_small(below)}</td>"


def _small(text: object) -> str:
    return "" if is_missing(text) or not text else f"<small>{escape(str(text))}</small>"


def _number_cell(value: object, unit: str | None, below: str) -> str:
    return f'<td class="num">{escape(number(value, unit))}{_small(below)}</td>'


def _interval(ends: Sequence[Any]) -> str:
    if any(is_missing(e) for e in ends):
        return ""
    low, high = (number(float(e)) for e in ends)
    return f"{low} to {high}"


def _bullet(median: Any, interval: Sequence[Any], level: Any, tone: str) -> str:
    """A median with its interval on a scale whose upright stroke is the level."""
    if is_missing(median) or is_missing(level) or not float(level):
        return ""
    ends = [median if is_missing(e) else e for e in interval]
    top = max(1.6 * float(level), 1.08 * max(float(median), *map(float, ends)))
    at = [4 + 112 * float(v) / top for v in (median, *ends, level)]
    return (
        '<svg class="bullet" viewBox="0 0 120 20" aria-hidden="true" '
        f'style="color:var(--{escape(tone)})">'
        '<line x1="4" y1="10" x2="116" y2="10" stroke="var(--rule)" stroke-width="3"/>'
        f'<line x1="{at[1]:.1f}" y1="10" x2="{at[2]:.1f}" y2="10" stroke="currentColor" '
        'stroke-width="3" opacity=".55"/>'
        f'<line x1="{at[3]:.1f}" y1="1" x2="{at[3]:.1f}" y2="19" stroke="var(--ink)" '
        'stroke-width="2"/>'
        f'<circle cx="{at[0]:.1f}" cy="10" r="4.5" fill="currentColor"/></svg>'
    )


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
    return Html(_framed(title, _head(heads, [False] * 5), body, notes), f"Findings: {text}")


def _finding_row(row: Mapping[Any, Any]) -> str:
    where = [str(row[k]) for k in ("device", "procedure_name") if not is_missing(row.get(k))]
    state = str(getattr(row.get("state"), "value", row.get("state") or "open"))
    cells = [
        f"<td>{chip(row.get('severity'))}</td>",
        f"<td><b>{escape(str(row.get('title') or ''))}</b>{_small(row.get('summary'))}</td>",
        f"<td>{escape(', '.join(where)) or MISSING}</td>",
        f'<td class="num">{escape(number(row.get("opened_at")))}</td>',
        f"<td>{escape(state)}</td>",
    ]
    return f"<tr>{''.join(cells)}</tr>"
