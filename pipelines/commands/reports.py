"""`dose report` and `dose ask`: numbers for people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import dose_lib
from dose_lib.errors import UsageError
from pipelines.commands.terminal import out, progress_bars, say, settings


def report(
    notebook: Annotated[str, typer.Argument(help="File, or name of a notebook.")],
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", help="name=value; may be repeated.")
    ] = None,
    out_dir: Annotated[Path | None, typer.Option(help="Folder of the report.")] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Print a PDF as well.")] = False,
    json: Annotated[bool, typer.Option("--json", help="The run record as JSON.")] = False,
) -> None:
    """Run a notebook into a report that needs no internet.

    dose report how_do_our_ct_doses_compare
    dose report how_do_our_ct_doses_compare -p weeks=12 --pdf

    Exit codes: 0 written, 2 no such notebook or parameter, 4 store, 8 a cell failed.
    """
    given = dict(_pair(text) for text in parameter or [])
    with progress_bars() as progress:
        record = dose_lib.run_notebook(
            notebook,
            given,
            settings(),
            out_dir=out_dir,
            with_pdf=pdf,
            on_cell=lambda done, total: progress("running cells", done, total),
        )
    if json:
        # The record beside the report names its files without folder; a caller needs the path.
        import msgspec

        content = msgspec.json.decode(record.to_json())
        content |= {
            n: str(p) for n in ("html", "ipynb", "pdf", "json") if (p := getattr(record, n))
        }
        typer.echo(msgspec.json.format(msgspec.json.encode(content)))
        return
    say(f"Report: {record.html}")
    if pdf:
        say(f"PDF: {record.pdf or record.pdf_note}")


def _pair(text: str) -> tuple[str, str]:
    name, is_there, value = text.partition("=")
    if not is_there or not name:
        raise UsageError(f"{text!r} is no parameter", expected="name=value", where="-p")
    return name, value


def ask(
    question: Annotated[str, typer.Argument(help="In plain language, in quotation marks.")],
    json: Annotated[bool, typer.Option("--json", help="Understanding and rows as JSON.")] = False,
) -> None:
    """Answer a question about doses, and say how it was understood.

    dose ask "Show me CT chest doses on Scanner 3 over the last six weeks"

    Exit codes: 0 answered, 4 store, 9 the question cannot be answered.
    """
    from pipelines.answers import answer_as_json, show_answer

    answer = dose_lib.ask(question, con=dose_lib.connect(settings=settings()))
    if json:
        typer.echo(answer_as_json(answer))
    else:
        out.print(show_answer(answer))
