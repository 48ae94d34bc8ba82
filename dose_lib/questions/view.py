"""An answer as HTML: one sentence, chips, picture, table, folded SQL; every text escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from dose_lib.questions.parser import Interpretation
from dose_lib.questions.result import Result
from dose_lib.questions.words import Chip, headline, sentence

if TYPE_CHECKING:
    import pandas as pd

MAX_TABLE_ROWS = 50
CSS = """
.dlq .said{font-weight:560;margin:.2em 0 .5em}
.dlq .out{font-size:1.08em;margin:.2em 0 .6em}
.dlq .chips{display:flex;flex-wrap:wrap;gap:.35em;margin:.3em 0 .6em}
.dlq .chip{border:1px solid #b9c7d3;border-radius:.9em;padding:.1em .7em;font-size:.9em}
.dlq .chip b{font-weight:560;opacity:.75}
.dlq .chip i{font-style:normal;opacity:.7;font-size:.88em}
.dlq .chip.default{border-style:dashed}
.dlq .chip.typo,.dlq .chip.assumed,.dlq .chip.model{border-color:#b7791f;border-width:2px}
.dlq .unused{opacity:.85;margin:.3em 0}
.dlq .unused mark{background:#fdf0d5;color:inherit;padding:0 .25em;border-radius:.25em}
.dlq ul{margin:.2em 0 .5em 1.2em;padding:0;font-size:.92em}
.dlq details{margin:.5em 0;font-size:.92em}
.dlq pre{white-space:pre-wrap;font-size:.85em}
"""


def head(reading: Interpretation, result: Result | None, chips: tuple[Chip, ...]) -> str:
    """Sentence, chips, words not used and remarks as HTML."""
    if reading.refusal is not None:
        return _refused(reading)
    assert reading.query is not None  # noqa: S101 - a reading is one or the other
    parts = [f'<p class="said">{escape(sentence(reading.query, result))}</p>']
    if result is not None:
        parts.append(f'<p class="out">{escape(headline(reading.query, result))}</p>')
    parts.append('<div class="chips">' + "".join(_chip(c) for c in chips) + "</div>")
    if reading.unused_words:
        words = " ".join(f"<mark>{escape(w)}</mark>" for w in reading.unused_words)
        parts.append(f'<p class="unused">I did not use: {words}</p>')
    if reading.fixes:
        fixed = ", ".join(f"“{escape(f.typed)}” as “{escape(f.read)}”" for f in reading.fixes)
        parts.append(f'<p class="unused">I read {fixed}.</p>')
    notes = dict.fromkeys([*reading.notes, *(result.notes if result else ())])
    if notes:
        parts.append("<ul>" + "".join(f"<li>{escape(n)}</li>" for n in notes) + "</ul>")
    return "".join(parts)


def _refused(reading: Interpretation) -> str:
    assert reading.refusal is not None  # noqa: S101
    offers = "".join(f"<li>{escape(s)}</li>" for s in reading.refusal.suggestions)
    again = f"<p>Perhaps:</p><ul>{offers}</ul>" if offers else ""
    return f'<p class="said">Not answered: {escape(reading.refusal.message)}</p>{again}'


def _chip(chip: Chip) -> str:
    source = escape(chip.source, quote=True)
    origin = escape(chip.origin)
    return (
        f'<span class="chip {source}" title="{escape(chip.origin, quote=True)}">'
        f"<b>{escape(chip.title)}</b> {escape(chip.value)} <i>({origin})</i></span>"
    )


def table(frame: pd.DataFrame) -> str:
    """Rows of the result with labels and units, as `dose_lib.charts` prints them."""
    from dose_lib import charts

    if frame.empty:
        return ""
    shown = frame.drop(columns=[c for c in ("part_key",) if c in frame])
    return str(charts.table(shown, max_rows=MAX_TABLE_ROWS).body)


def foot(reading: Interpretation, result: Result | None, code: str) -> str:
    """Folded SQL and the code that rebuilds the answer."""
    if result is None or not result.asked:
        return ""
    sql = escape("\n\n".join(result.sql))
    said = f"{result.ms:.0f} ms, {len(result.asked)} queries, read {reading.source}"
    return (
        f"<details><summary>How it was computed ({escape(said)})</summary>"
        f"<pre>{escape(code)}</pre><pre>{sql}</pre></details>"
    )


def page(*parts: str) -> str:
    """Parts as one piece with its style."""
    body = "".join(p for p in parts if p)
    return f"<style>{CSS}</style><div class='dlq'>{body}</div>"
