"""Answers of `dose ask` in a terminal: how it was understood, then the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from dose_lib.questions import Answer

_ROWS = 40


def show_answer(answer: Answer) -> RenderableType:
    """Understanding in words, then rows; what was not used is in the words."""
    words = Text(answer.explain())
    if answer.df.empty:
        return words
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in answer.df.columns:
        table.add_column(str(name))
    for row in answer.df.head(_ROWS).itertuples(index=False):
        table.add_row(*(_cell(value) for value in row))
    if len(answer.df) > _ROWS:
        table.caption = f"{len(answer.df) - _ROWS} more rows; --json gives all"
    return Group(words, table)


def _cell(value: object) -> str:
    if value is None or value != value:  # noqa: PLR0124 - NaN is not itself
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def answer_as_json(answer: Answer) -> bytes:
    """Question, understanding, unused words and rows."""
    content = {
        "question": answer.question,
        "understood": answer.explain(),
        "query": answer.query.model_dump(mode="json") if answer.query else None,
        "unused_words": answer.unused_words,
        "rows": msgspec.json.decode(answer.df.to_json(orient="records", date_format="iso")),
    }
    return msgspec.json.format(msgspec.json.encode(content))
