"""`dose silence`: which devices keep their rhythm, and which have fallen silent.

`add_to(app)` puts the command into the `dose` command.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich import box
from rich.table import Table
from rich.text import Text

from pipelines.commands.terminal import help_of, out, say, settings


def silence(json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Look now whether a device has fallen silent against its own rhythm.

    The service looks by itself every quarter of an hour (`silence_minutes`). A device is
    silent when so many exams are overdue that chance alone would do it once a year.

    dose silence

    Exit codes: 0, 4 the store cannot be read.
    """
    from pipelines.silence import look_for_silence

    found = look_for_silence(settings())
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found)))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("device", "last exam", "exams a week", "overdue", "alarm at", ""):
        table.add_column(head)
    for one in found.silences:
        table.add_row(
            Text(one.device),
            f"{one.last:%a %d %b %H:%M}",
            f"{one.rhythm.sums[-1]:.0f}",
            f"{one.expected:.1f}",
            f"{one.limit:.1f}",
            Text("silent", "red") if one.is_alarm else "",
        )
    out.print(table)
    if found.unwatched:
        say(f"Not watched, too few exams or not day by day: {', '.join(found.unwatched)}")
    for finding in found.opened:
        say(finding.title)
    if found.closed:
        say(f"{len(found.closed)} findings closed: exams arrive again")


def add_to(app: typer.Typer) -> None:
    """Put the command into the `dose` command."""
    app.command("silence", help=help_of(silence))(silence)
