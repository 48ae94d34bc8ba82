"""`dose reconcile`: what an archive says was done beside what is stored.

`add_to(app)` puts the command into the `dose` command.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich import box
from rich.table import Table
from rich.text import Text

from dose_lib import Settings
from dose_lib.errors import CollectError, UsageError
from pipelines.commands.terminal import err, help_of, out, progress_bars, say, settings

if TYPE_CHECKING:
    from pipelines.collect.reconciliation import Reconciliation

_SHOWN = 50
_MOST_DAYS = 366
_FORMAT = ["%Y-%m-%d"]
Day = Annotated[datetime | None, typer.Option(formats=_FORMAT, help="YYYY-MM-DD.")]


def reconcile(
    pacs: Annotated[
        str | None, typer.Option(help="Name in site/pacs.toml; may be left out if there is one.")
    ] = None,
    *,
    day: Day = None,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=_FORMAT, help="First day.")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=_FORMAT, help="Last day; default yesterday.")
    ] = None,
    identity: Annotated[
        bool, typer.Option("--identity", help="Show Study UIDs instead of pseudonyms.")
    ] = False,
    findings: Annotated[
        bool, typer.Option(help="Open a finding for each device and day with gaps.")
    ] = True,
    mind_hours: Annotated[
        bool, typer.Option("--mind-hours", help="Leave quiet hours alone, as the timetable does.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option(help="Write a page to hand on; it needs no network.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Compare what an archive says was done with what is stored, device by device.

    Without days: yesterday. Every gap has its reason: no report in the archive, not fetched,
    could not be read, ... Gaps become findings, one a device and day; a later run closes
    those that are filled.

    dose reconcile
    dose reconcile --pacs main --day 2026-11-22
    dose reconcile --from 2026-11-01 --to 2026-11-22 --json
    dose reconcile --from 2026-11-01 --to 2026-11-22 --html november.html

    Exit codes: 0 nothing is missing, 2 wrong use, 4 store, 13 something is missing, or the
    archive failed.
    """
    from pipelines.collect.gaps import keep_findings
    from pipelines.collect.pacs import find_archive
    from pipelines.collect.reconcile import reconcile_days

    chosen = settings()
    archive = find_archive(chosen, pacs)
    days = _days(chosen, day, first, last)
    with progress_bars() as progress:
        result = reconcile_days(
            archive,
            chosen,
            days,
            with_identity=identity,
            minds_hours=mind_hours,
            progress=progress,
        )
    new = keep_findings(result, chosen) if findings and chosen.store_file.exists() else ()
    if html is not None:
        _write_page(result, chosen, html)
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(result)))
    else:
        show(result, is_by_day=len(days) > 1)
        if new:
            say(f"{len(new)} findings opened")
    if result.n_missing or result.complaints:
        raise typer.Exit(CollectError.exit_code)


def _write_page(result: Reconciliation, chosen: Settings, file: Path) -> None:
    from dose_lib.report.files import write_whole
    from pipelines.collect.reconcile_page import page_of

    write_whole(file, page_of(result, chosen).encode())
    say(f"Written: {file}", to=err)


def show(result: Reconciliation, *, is_by_day: bool = False) -> None:
    """Print a reconciliation: devices first, then each gap."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    heads = ["device", "modality", "in archive", "stored", "missing", "only here", "why"]
    for head in (["day"] if is_by_day else []) + heads:
        table.add_column(head, overflow="fold", justify="right" if head in heads[2:6] else "left")
    for row in result.rows:
        counts = [f"{n}" for n in (row.n_pacs, row.n_stored)]
        lost = [Text(f"{n}" if n else "", "red") for n in (row.n_missing, row.n_only_here)]
        why = "; ".join(f"{n} {w}" for w, n in row.why.items())
        day = [f"{row.day}"] if is_by_day else []
        table.add_row(*day, Text(row.device), row.modality, *counts, *lost, Text(why))
    table.add_section()
    total = [sum(getattr(r, n) for r in result.rows) for n in _COUNTS]
    ends = [""] if is_by_day else []
    table.add_row(*ends, "all", "", *map(str, total), "")
    out.print(table)
    if result.gaps:
        out.print(_gaps(result))
    if result.n_tests:
        say(f"{result.n_tests} exposures of phantoms are only here; they are no gaps")
    for complaint in result.complaints[:_SHOWN]:
        say(str(complaint), to=err)


_COUNTS = ("n_pacs", "n_stored", "n_missing", "n_only_here")


def _gaps(result: Reconciliation) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("study", "day", "time", "modality", "device", "why"):
        table.add_column(head, overflow="fold")
    for gap in result.gaps[:_SHOWN]:
        why = gap.why.value + (f": {gap.detail}" if gap.detail else "")
        table.add_row(
            gap.study_uid or gap.study_key,
            f"{gap.day}",
            gap.time or "",
            gap.modality or "",
            Text(gap.device),
            Text(why),
        )
    return table


def _days(
    chosen: Settings, day: datetime | None, first: datetime | None, last: datetime | None
) -> list[date]:
    from pipelines.collect.run import last_days

    yesterday = last_days(chosen, 2)[-1]
    if day is not None and (first or last):
        raise UsageError("--day and --from or --to", expected="one of them")
    if day is not None:
        return [day.date()]
    end = last.date() if last else yesterday
    begin = first.date() if first else end
    n = (end - begin).days + 1
    if not 1 <= n <= _MOST_DAYS:
        raise UsageError(f"{begin} to {end}", expected=f"1 to {_MOST_DAYS} days")
    return [begin + timedelta(days=k) for k in range(n)]


def add_to(app: typer.Typer) -> None:
    """Put the command into the `dose` command."""
    app.command("reconcile", help=help_of(reconcile))(reconcile)
