"""`%ask` and `%%ask` in notebooks: `%load_ext dose_lib.questions.magics`."""

from __future__ import annotations

from typing import Any

_LAST = "_dose_answer"


def load_ipython_extension(shell: Any) -> None:
    """Register `%ask` and `%%ask`.

    `%ask CT doses last month` asks; `%ask + by operator` refines the last answer. The answer
    is the value of the cell and stays in `_`.
    """

    def ask_magic(line: str, cell: str | None = None) -> Any:
        from dose_lib.questions.answer import ask

        words = " ".join(f"{line} {cell or ''}".split())
        last = shell.user_ns.get(_LAST)
        if words.startswith("+") and last is not None:
            answer = last.refine(words[1:].strip())
        else:
            answer = ask(words.removeprefix("+").strip(), con=shell.user_ns.get("con"))
        if answer.query is not None:
            shell.user_ns[_LAST] = answer
        return answer

    shell.register_magic_function(ask_magic, magic_kind="line_cell", magic_name="ask")
