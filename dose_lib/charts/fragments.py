"""Pieces of a page: sentences, messages, figures in cards. Text in, HTML out, escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, NamedTuple

from dose_lib.charts.style import CSS, mark
from dose_lib.charts.words import number

# Written once a page by the report, once an output by JupyterLab.
STYLE = f'<style data-dl="1">{CSS}</style>'


class Html:
    """A finished piece of HTML that shows itself in JupyterLab, reports and dashboards.

    Parameters
    ----------
    body
        HTML whose data is already escaped.
    text
        The same for a terminal or a log.
    """

    __slots__ = ("body", "text")

    def __init__(self, body: str, text: str) -> None:
        self.body = f'<div class="dl">{body}</div>'
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return STYLE + self.body

    def __panel__(self) -> Any:
        import panel as pn

        return pn.pane.HTML(self.body, stylesheets=[CSS], sizing_mode="stretch_width", margin=0)


class Kpi(NamedTuple):
    """One figure of a row of key figures."""

    label: str
    value: object
    unit: str | None = None
    note: str = ""


def kpis(figures: Sequence[Kpi]) -> Html:
    """A row of key figures, each with its unit and a short note.

    Parameters
    ----------
    figures
        Label, value, unit and note of each.
    """
    cards = "".join(_card(f) for f in figures)
    text = "; ".join(f"{f.label}: {number(f.value, f.unit)}" for f in figures)
    return Html(f'<div class="kpis">{cards}</div>', text)


def _card(figure: Kpi) -> str:
    unit = f"<small>{escape(figure.unit)}</small>" if figure.unit else ""
    note = f"<span>{escape(figure.note)}</span>" if figure.note else ""
    return (
        f'<div class="kpi"><span>{escape(figure.label)}</span>'
        f"<b>{escape(number(figure.value))}{unit}</b>{note}</div>"
    )


def message(text: str, *, tone: str = "none", details: Iterable[str] = ()) -> Html:
    """A remark to the reader: why there is nothing to see, or what needs attention.

    Parameters
    ----------
    text
        The remark.
    tone
        `none`, `good`, `fair` or `bad`.
    details
        Further lines, listed below it.
    """
    lines = list(details)
    below = "".join(f'<p class="muted">{escape(line)}</p>' for line in lines)
    return Html(
        f'<div class="message {escape(tone)}" role="status"><p>{escape(text)}</p>{below}</div>',
        "\n".join([text, *lines]),
    )


def sentence(text: str, *, details: Iterable[str] = ()) -> Html:
    """The answer of a page in one sentence, in large type.

    Parameters
    ----------
    text
        The sentence; `**words**` are set bold.
    details
        Lines in small type below.
    """
    parts = escape(text).split("**")
    body = "".join(f"<b>{p}</b>" if i % 2 else p for i, p in enumerate(parts))
    lines = list(details)
    below = "".join(f'<p class="muted">{escape(line)}</p>' for line in lines)
    return Html(
        f'<p class="lead">{body}</p>{below}',
        "\n".join([text.replace("**", ""), *lines]),
    )


def chip(status: object) -> str:
    """A status as sign and word, coloured: HTML."""
    shown = mark(status)
    return f'<span class="verdict {shown.tone}">{escape(shown.sign)} {escape(shown.word)}</span>'
