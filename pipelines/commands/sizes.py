"""`dose sizes`: weight and height of patients from outside their exams.

`add_to(app)` puts the commands into the `dose` command.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich import box
from rich.table import Table

from dose_lib import Settings
from dose_lib.errors import UsageError
from pipelines.commands.terminal import err, help_of, out, say, settings

Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
_SHOWN = 20


def import_file(
    file: Annotated[Path, typer.Argument(help="CSV with a line of column names.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it holds.")] = False,
    json: Json = False,
) -> None:
    """Take in sizes from a CSV file: patient_id, measured_at, weight_kg, height_cm.

    Other units by the column's name (weight_lb, height_m, height_in) or a column beside it
    (weight_unit, height_unit). IDs become keys before anything is written; what a device
    recorded is never replaced.

    dose sizes import sizes.csv --dry-run
    dose sizes import sizes.csv

    Exit codes: 0 all lines taken, 2 wrong use or no such table, 4 store, 5 no room,
    13 lines that could not be used.
    """
    from dose_lib.errors import CollectError
    from dose_lib.records import SizeSource
    from pipelines.collect.size_table import read_size_table
    from pipelines.collect.sizes import Pseudonyms, SizeInbox

    chosen = settings()
    table = read_size_table(file, chosen.timezone)
    sizes = Pseudonyms(chosen).pseudonymise(table.sizes, SizeSource.MANUAL)
    changed = None
    if not dry_run:
        SizeInbox(chosen).put(sizes)
        changed = _keep(chosen)
    facts = {
        "lines": table.n_lines,
        "sizes": len(table.sizes),
        "problems": table.problems,
        "exams_changed": changed,
    }
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(facts)))
    else:
        say(f"{table.n_lines} lines, {len(table.sizes)} sizes{_changed(changed, dry_run)}")
        for problem in table.problems[:_SHOWN]:
            say(problem, to=err)
        if len(table.problems) > _SHOWN:
            say(f"... and {len(table.problems) - _SHOWN} more", to=err)
    if table.problems:
        raise typer.Exit(CollectError.exit_code)


def worklist(
    name: Annotated[
        str | None, typer.Argument(help="Name in site/pacs.toml; may be left out if one is there.")
    ] = None,
    *,
    days: Annotated[int, typer.Option(min=1, max=31, help="So many days, from today on.")] = 1,
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day instead of today.")
    ] = None,
    json: Json = False,
) -> None:
    """Ask a modality worklist for the sizes of the patients of the day.

    dose sizes worklist
    dose sizes worklist ris --day 2026-11-22 --days 2

    Exit codes: 0, 2 wrong use, 4 store, 5 no room, 13 the worklist failed or refused.
    """
    from pipelines.collect.pacs import find_worklist
    from pipelines.collect.run import last_days
    from pipelines.collect.worklist import ask_worklist

    chosen = settings()
    peer = find_worklist(chosen, name)
    first = day.date() if day else last_days(chosen, 1)[0]
    summary = ask_worklist(peer, chosen, [first + timedelta(days=n) for n in range(days)])
    changed = _keep(chosen)
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(summary)))
        return
    say(
        f"{summary.n_steps} scheduled steps, {summary.n_sizes} with a size"
        f"{_changed(changed, False)}"
    )
    if summary.n_unused:
        say(f"{summary.n_unused} with a size that cannot be used: no ID, or impossible", to=err)


def show(json: Json = False) -> None:
    """Show how many exams know their patient's size, and from where.

    dose sizes show

    Exit codes: 0, 4 the store cannot be read.
    """
    import dose_lib

    chosen = settings()
    if not chosen.store_file.exists():
        raise UsageError("there is no store yet", where=str(chosen.store_file))
    studies = dose_lib.connect(settings=chosen).table("studies")
    studies = studies.filter(studies.is_patient.fill_null(True))
    rows = (
        studies.mutate(
            source=studies.size_source.fill_null("none"),
            size=studies.weight_kg.notnull().ifelse(
                studies.height_cm.notnull().ifelse("weight and height", "weight"),
                studies.height_cm.notnull().ifelse("height", "nothing"),
            ),
        )
        .group_by("modality", "source", "size")
        .agg(n=lambda t: t.count())
        .order_by("modality", "source", "size")
        .to_pyarrow()
        .to_pylist()
    )
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(rows)))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("modality", "known from", "what", "exams"):
        table.add_column(head)
    for row in rows:
        table.add_row(row["modality"], row["source"], row["size"], str(row["n"]))
    out.print(table)


def _keep(chosen: Settings) -> int | None:
    from pipelines.collect.sizes import keep_now

    return keep_now(chosen)


def _changed(changed: int | None, dry_run: bool) -> str:
    if dry_run:
        return "; nothing is kept (--dry-run)"
    if changed is None:
        return "; the service takes them in"
    return f"; {changed} exams have another size now"


def add_to(app: typer.Typer) -> None:
    """Put these commands into the `dose` command."""
    sizes = typer.Typer(no_args_is_help=True, help="Sizes of patients from outside their exams.")
    app.add_typer(sizes, name="sizes")
    for command, name in ((import_file, "import"), (worklist, "worklist"), (show, "show")):
        sizes.command(name, help=help_of(command))(command)
