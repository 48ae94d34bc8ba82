"""The question box as a chat for dashboards (Panel 1.9)."""

from __future__ import annotations

from typing import Any

from dose_lib.errors import DoseError
from dose_lib.questions.answer import Answer, ask

_HELLO = (
    "Ask about recorded dose, for example: *CT chest doses on Scanner 3 over the last six weeks "
    "compared to our local DRL*. Then refine: *break it down by technician*."
)


def chat(*, con: Any = None, settings: Any = None, first: str | None = None, **options: Any) -> Any:
    """A chat in which each question may refine the one before.

    Panel 1.10 moves this class; that is why it is behind one function.

    Parameters
    ----------
    con, settings
        As in `ask`.
    first
        A question to begin with.
    **options
        For `panel.chat.ChatInterface`.
    """
    import panel as pn

    state: dict[str, Answer] = {}

    def reply(contents: str, user: str, instance: Any) -> Any:
        del user, instance
        try:
            answer = ask(
                str(contents),
                con=con,
                settings=settings,
                previous=state.get("last"),
                guess_follow_up=True,
            )
        except DoseError as error:
            return pn.pane.Str(str(error))
        if answer.query is not None:
            state["last"] = answer
        return answer.__panel__()

    given = {"callback": reply, "callback_user": "DoseLoop", "show_undo": False} | options
    interface = pn.chat.ChatInterface(**given)
    interface.send(_HELLO, user="DoseLoop", respond=False)
    if first:
        interface.send(first, user="You", respond=True)
    return interface
