"""Verdicts against reference levels as a table: a line a room, grouped by procedure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, TypeAlias

from dose_lib.charts.captions import limit_of_site
from dose_lib.charts.fragments import Html, chip, message
from dose_lib.charts.style import STATUS_MARKS, mark
from dose_lib.charts.tables import framed, head_cells, small
from dose_lib.charts.words import is_missing, number, printed_unit, word

if TYPE_CHECKING:
    import pandas as pd

Row: TypeAlias = Mapping[str, Any]

# From the verdict to act on to the one that is none.
_GRAVE = ("consistently_exceeds", "exceeds", "optimise", "within", "no_verdict")
_NOTE = "The dot is the median with its 95 % interval, the upright stroke the level."


def verdicts(
    rows: pd.DataFrame, *, title: str | None = None, small_cell_n: int | None = None
) -> Html:
    """Verdicts of a practice, with sign, word and reason, what is to be acted on first.

    Parameters
    ----------
    rows
        Columns of `Comparison.to_frame`: `procedure_name, band, unit, name, quantity, n,
        median, ci_low, ci_high, dose_unit, level, level_name, status, text, notes`. The
        quantities of one room stand in one line, which shows the gravest verdict of them.
    title
        Words above the table.
    small_cell_n
        Medians of fewer exams are hidden; default: the site's setting.
    """
    if rows.empty:
        return message("No practice could be compared: there are no exams in this selection.")
    limit = limit_of_site() if small_cell_n is None else small_cell_n
    records: list[Row] = [{str(k): v for k, v in r.items()} for r in rows.to_dict("records")]
    quantities = list(dict.fromkeys(str(r["quantity"]) for r in records))
    quantities.sort(key=lambda q: q != "dlp")
    heads = ["Procedure", "Room", "Exams", *(word(q).label for q in quantities), "Verdict"]
    aligned = [False, False, True, *(False for _ in quantities), False]
    groups = _by_procedure(records)
    body = "".join(_procedure(group, quantities, limit) for group in groups)
    return Html(
        framed(title, head_cells(heads, aligned), body, _notes(records)),
        f"{title or 'Verdicts'}: {_in_words(groups)}",
    )


def _by_procedure(records: Iterable[Row]) -> list[list[list[Row]]]:
    """Procedures, in each its rooms, in each the rows of its quantities; gravest first."""
    rooms: dict[tuple[str, ...], list[Row]] = {}
    for row in records:
        key = tuple(str(row.get(k)) for k in ("procedure_name", "band", "unit", "name"))
        rooms.setdefault(key, []).append(row)
    procedures: dict[tuple[str, ...], list[list[Row]]] = {}
    for key, room in rooms.items():
        procedures.setdefault(key[:2], []).append(sorted(room, key=_grave))
    for group in procedures.values():
        group.sort(key=lambda room: (room[0].get("unit") == "facility", _grave(room[0])))
    return sorted(procedures.values(), key=lambda group: min(_grave(r[0]) for r in group))


def _grave(row: Row) -> int:
    status = str(row["status"])
    return _GRAVE.index(status) if status in _GRAVE else len(_GRAVE)


def _in_words(groups: Iterable[Sequence[Sequence[Row]]]) -> str:
    statuses = [str(room[0]["status"]) for g in groups for room in g]
    counted = {s: statuses.count(s) for s in STATUS_MARKS if s in statuses}
    return "; ".join(f"{STATUS_MARKS[s].word}: {n}" for s, n in counted.items())


def _notes(records: Iterable[Row]) -> list[str]:
    names = sorted({str(r["level_name"]) for r in records if not is_missing(r.get("level_name"))})
    levels = [f"Levels: {', '.join(n for n in names if n)}."] if any(names) else []
    return [_NOTE, *levels]


def _procedure(group: Sequence[Sequence[Row]], quantities: Sequence[str], limit: int) -> str:
    """The lines of one procedure; its name stands beside all of them."""
    first = group[0][0]
    band = first.get("band")
    remarks = {
        str(r.get("notes")) for room in group for r in room if not is_missing(r.get("notes"))
    }
    remark = small("; ".join(sorted(remarks - {""})))
    name = escape(str(first.get("procedure_name") or "not mapped"))
    head = (
        f'<th scope="rowgroup" class="group" rowspan="{len(group)}">{name}'
        f"{'' if band == 'no band' else small(band)}{remark}</th>"
    )
    lines = [_room(room, quantities, limit) for room in group]
    return "".join(f"<tr>{head if i == 0 else ''}{line}</tr>" for i, line in enumerate(lines))


def _room(room: Sequence[Row], quantities: Sequence[str], limit: int) -> str:
    gravest = room[0]
    is_facility = gravest.get("unit") == "facility"
    is_all = gravest.get("unit") in ("facility", "procedure")
    where = "All rooms" if is_all else escape(str(gravest.get("name")))
    n, n_all = (max(_count(row, name) for row in room) for name in ("n", "n_all"))
    by_quantity = {str(row["quantity"]): row for row in room}
    cells = [
        f"<td>{where}{small('median of the rooms’ medians') if is_facility else ''}</td>",
        f'<td class="num">{_compared(n, n_all, limit)}</td>',
        *(_quantity(by_quantity.get(q), limit) for q in quantities),
        f"<td>{chip(gravest['status'])}{small(_reason(gravest))}</td>",
    ]
    return "".join(cells)


def _count(row: Row, name: str) -> int:
    value = row.get(name)
    return 0 if is_missing(value) or value is None else int(value)


def _compared(n: int, n_all: int, limit: int) -> str:
    """Exams compared, and of how many where some were left out (size, phantom, ...)."""
    if max(n, n_all) < limit:
        return f"&lt; {limit}"
    return f"{n:,}{small(f'of {n_all:,}')}" if n_all > n > 0 else f"{max(n, n_all):,}"


def _reason(row: Row) -> Any:
    return row.get("text") if mark(row["status"]).tone == "none" else None


def _quantity(row: Row | None, limit: int) -> str:
    """Median, interval and level of one quantity, and where they lie on one scale."""
    if row is None:
        return "<td></td>"
    n = _count(row, "n")
    unit = printed_unit(row.get("dose_unit"))
    shown: list[Any] = [row.get(k) for k in ("median", "ci_low", "ci_high")]
    median, *interval = shown if n >= limit else [None] * 3
    level: Any = row.get("level")
    if is_missing(level):
        return f'<td class="muted">{small("no level")}</td>'
    ends = [number(e) for e in interval if e is not None and not is_missing(e)]
    said = [" to ".join(ends)] if len(ends) == 2 else []
    said.append(f"level {float(level):g}")
    status = str(row["status"])
    return (
        f'<td class="dose"><b>{escape(number(median, unit))}</b> '
        f'<span class="tone-{mark(status).tone}" title="{escape(mark(status).word)}">'
        f"{escape(mark(status).sign)}</span>{small('; '.join(said))}"
        f"{_bullet(median, interval, level, mark(status).tone)}</td>"
    )


def _bullet(median: Any, interval: Sequence[Any], level: Any, tone: str) -> str:
    """A median with its interval on a scale whose upright stroke is the level."""
    if is_missing(median) or not float(level):
        return ""
    ends = [median if is_missing(e) else e for e in interval]
    top = max(1.6 * float(level), 1.08 * max(float(median), *map(float, ends)))
    at = [4 + 112 * float(v) / top for v in (median, *ends, level)]
    return (
        '<svg class="bullet" viewBox="0 0 120 16" aria-hidden="true" '
        f'style="color:var(--{escape(tone)})">'
        '<line x1="4" y1="8" x2="116" y2="8" stroke="var(--rule)" stroke-width="3"/>'
        f'<line x1="{at[1]:.1f}" y1="8" x2="{at[2]:.1f}" y2="8" stroke="currentColor" '
        'stroke-width="3" opacity=".55"/>'
        f'<line x1="{at[3]:.1f}" y1="0" x2="{at[3]:.1f}" y2="16" stroke="var(--ink)" '
        'stroke-width="2"/>'
        f'<circle cx="{at[0]:.1f}" cy="8" r="4.5" fill="currentColor"/></svg>'
    )
