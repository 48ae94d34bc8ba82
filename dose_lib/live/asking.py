"""A box to ask in plain language: a conversation on a live page, one worked answer in a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from html import escape
from typing import Any

from dose_lib.charts import mode
from dose_lib.charts.fragments import Html, message
from dose_lib.charts.style import CSS
from dose_lib.errors import DoseError

_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="ask")
_LOG_CSS = CSS + (
    ".dl.question{background:#e6f1f8;border-radius:.9em .9em .2em .9em;padding:.45em .9em;"
    "display:inline-block;font-weight:560}:host{margin-top:.6em}"
)


def ask_box(
    question: str,
    *,
    follow_ups: Sequence[str] = (),
    ask: Callable[..., Any] | None = None,
) -> Any:
    """A question with its answer, and on a live page a box to go on asking.

    Parameters
    ----------
    question
        The first question, answered at once.
    follow_ups
        Refinements: answered in turn in a report, offered as buttons on a live page.
    ask
        Default `dose_lib.ask`.

    Returns
    -------
    AskBox or Answers
        What the present life of the notebook shows.
    """
    if ask is None:
        import dose_lib

        ask = dose_lib.ask
    if mode() == "report":
        return answer_all(question, follow_ups, ask)
    return AskBox(question, follow_ups, ask)


def answer_all(question: str, follow_ups: Sequence[str], ask: Callable[..., Any]) -> Html:
    """Question and refinements with their answers, one below the other."""
    parts, texts, previous = [], [], None
    for words in (question, *follow_ups):
        answered = _answered(ask, words, previous)
        parts.append(f'<div class="asked"><b>“{escape(words)}”</b></div>{_as_html(answered)}')
        texts.append(f"{words}\n{answered!r}")
        previous = None if isinstance(answered, Html) else answered
    return Html("".join(parts), "\n\n".join(texts))


def _answered(ask: Callable[..., Any], words: str, previous: Any, **options: Any) -> Any:
    """The answer, or a message why there is none."""
    try:
        return ask(words, previous=previous, **options)
    except DoseError as error:
        return message(error.seen, tone="fair", details=[t for t in (error.todo,) if t])


def _as_html(answered: Any) -> str:
    if isinstance(answered, Html):
        return answered.body
    if hasattr(answered, "_repr_html_"):
        return str(answered._repr_html_())
    bundle = answered._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    return str(data.get("text/html") or f"<pre>{escape(str(data.get('text/plain', '')))}</pre>")


class AskBox:
    """A conversation: each answer can be refined by the next question.

    Parameters
    ----------
    question, follow_ups, ask
        As in `ask_box`.
    """

    def __init__(self, question: str, follow_ups: Sequence[str], ask: Callable[..., Any]) -> None:
        self._question, self._follow_ups, self._ask = question, tuple(follow_ups), ask
        self._previous: Any = None
        self._view: Any = None
        # A refreshed page keeps the conversation while the notebook asks the same.
        self.stays = (question, self._follow_ups)

    def __repr__(self) -> str:
        return f"A box to ask in, beginning with: {self._question}"

    def __panel__(self) -> Any:
        if self._view is None:
            self._view = self._build()
            self.ask(self._question)
        return self._view

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return self.__panel__()._repr_mimebundle_(include, exclude)

    def _build(self) -> Any:
        import panel as pn

        self._log = pn.Column(sizing_mode="stretch_width", margin=0)
        self._input = pn.widgets.TextInput(
            placeholder="Ask about doses, or refine the last answer: break it down by operator",
            sizing_mode="stretch_width",
            margin=(8, 10, 8, 0),
        )
        self._input.param.watch(self._entered, "value")
        send = pn.widgets.Button(label="Ask", color="primary", width=90, margin=(8, 0))
        send.on_click(lambda _: self._entered(None))
        again = pn.widgets.Button(label="Start over", width=100, margin=(8, 0, 8, 8))
        again.on_click(lambda _: self._start_over())
        offers = pn.FlexBox(*(self._offer(words) for words in self._follow_ups))
        row = pn.Row(self._input, send, again, sizing_mode="stretch_width", margin=0)
        return pn.Column(self._log, offers, row, sizing_mode="stretch_width", margin=0)

    def _offer(self, words: str) -> Any:
        import panel as pn

        button = pn.widgets.Button(label=words, margin=(4, 8, 4, 0), variant="outline")
        button.on_click(lambda _: self.ask(words))
        return button

    def _entered(self, event: Any) -> None:
        words = (self._input.value or "").strip()
        if words:
            self._input.value = ""
            self.ask(words)

    def _start_over(self) -> None:
        self._previous = None
        self._log.clear()

    def ask(self, words: str) -> None:
        """Ask; the answer appears below when it is there."""
        import panel as pn

        asked = pn.pane.HTML(
            f'<div class="dl question">{escape(words)}</div>', stylesheets=[_LOG_CSS], margin=0
        )
        place = pn.Column(message("…").__panel__(), sizing_mode="stretch_width", margin=0)
        self._log.extend([asked, place])
        document = pn.state.curdoc
        # A typed question may be a new one; a page of the server is seen by others.
        is_page = document is not None and document.session_context is not None
        options = {"guess_follow_up": words not in self._follow_ups, "is_shared": is_page}

        def work() -> None:
            answered = _answered(self._ask, words, self._previous, **options)
            self._in_page(document, lambda: self._answer(place, answered))

        if is_page:
            _THREADS.submit(work)
        else:
            # What a notebook's kernel sends before the cell's output is drawn, nobody hears.
            self._answer(place, _answered(self._ask, words, self._previous, **options))

    def _answer(self, place: Any, answered: Any) -> None:
        import panel as pn

        if not isinstance(answered, Html):
            self._previous = answered
        shown = answered if hasattr(answered, "__panel__") else Html(_as_html(answered), "answer")
        place[:] = [pn.panel(shown)]

    @staticmethod
    def _in_page(document: Any, action: Callable[[], None]) -> None:
        """In the page's own thread, the only one that may change it."""
        from panel.io.state import set_curdoc

        def in_page() -> None:
            with set_curdoc(document):
                action()

        document.add_next_tick_callback(in_page)
