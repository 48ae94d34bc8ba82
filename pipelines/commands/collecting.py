"""`dose collect`, `dose backfill`, `dose pacs`: what lies in archives, and what became of it.

`add_to(app)` puts the commands into the `dose` command.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
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
    from pipelines.collect.collect import Summary
    from pipelines.process import Stop

Name = Annotated[
    str | None, typer.Argument(help="Name in site/pacs.toml; may be left out if there is one.")
]
DayOption = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="YYYY-MM-DD.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]

_SHOWN = 20


def collect(
    name: Name = None,
    *,
    days: Annotated[int, typer.Option(min=1, help="So many days back, today included.")] = 3,
    day: DayOption = None,
    again: Annotated[
        bool, typer.Option("--again", help="Ask for studies that are settled, too.")
    ] = False,
    mind_hours: Annotated[
        bool, typer.Option("--mind-hours", help="Leave quiet hours alone, as the timetable does.")
    ] = False,
    json: Json = False,
) -> None:
    """Fetch the dose reports of the last days from an archive, once each.

    What is here already is not fetched again; of every study the outcome and its reason are
    kept (`dose pacs studies`). Works with and without a running service.

    dose collect
    dose collect main --days 7
    dose collect main --day 2026-11-22 --again

    Exit codes: 0 all settled, 2 wrong use, 4 store, 5 no room, 6 our listener,
    13 something is open: the archive failed, or refused.
    """
    from pipelines.collect.pacs import find_archive
    from pipelines.collect.run import collect_days, last_days

    chosen = settings()
    archive = find_archive(chosen, name)
    wanted = [day.date()] if day else last_days(chosen, days)
    with _watched(chosen) as stop, progress_bars() as progress:
        summary = collect_days(
            archive,
            chosen,
            wanted,
            stop=stop,
            progress=progress,
            is_again=again,
            minds_hours=mind_hours,
        )
    _finish(summary, json=json)


def backfill(
    name: Name = None,
    *,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], help="Last day; default yesterday."),
    ] = None,
    years: Annotated[int | None, typer.Option(min=1, help="Instead of --from.")] = None,
    now: Annotated[bool, typer.Option("--now", help="Also during quiet hours.")] = False,
    oldest_first: Annotated[
        bool, typer.Option("--oldest-first", help="Default: the newest day first.")
    ] = False,
    json: Json = False,
) -> None:
    """Fetch years of dose reports from an archive, slowly, going on where it stopped.

    Day by day, at the pace and outside the quiet hours of site/pacs.toml. It may be stopped
    at any time; days that are complete are not asked for again.

    dose backfill main --years 5
    dose backfill main --from 2019-01-01 --to 2024-12-31

    Exit codes: 0 all settled, the others as for `dose collect`.
    """
    from pipelines.collect.pacs import find_archive
    from pipelines.collect.run import backfill as run
    from pipelines.collect.run import last_days

    chosen = settings()
    archive = find_archive(chosen, name)
    today = last_days(chosen, 1)[0]
    if (first is None) == (years is None):
        raise UsageError("no first day is named", expected="--from or --years, not both")
    start = first.date() if first else _years_before(today, years or 1)
    end = last.date() if last else today - timedelta(days=1)
    with _watched(chosen) as stop, progress_bars() as progress:
        summary = run(
            archive,
            chosen,
            start,
            end,
            stop=stop,
            progress=progress,
            on_quiet=lambda until: say(f"Quiet hours until {until:%a %H:%M}.", to=err),
            minds_hours=not now,
            oldest_first=oldest_first,
        )
    _finish(summary, json=json)


def pacs_list(json: Json = False) -> None:
    """Show the archives that are collected from, and how far that has come.

    dose pacs list

    Exit codes: 0, 2 site/pacs.toml cannot be used.
    """
    from pipelines.collect.journal import Journal
    from pipelines.collect.pacs import Pacs, pacs_file, read_peers

    chosen = settings()
    archives = read_peers(chosen).archives
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode([a.name for a in archives])))
        return
    if not archives:
        say(f"None is described in {pacs_file(chosen)}; docs/collecting.md shows how.")
        return
    table = _table("archive", "where", "how", "taken", "here", "nothing", "failed", "given up")
    with Journal(chosen) as journal:
        for archive in archives:
            if isinstance(archive, Pacs):
                where = f"{archive.ae_title} at {archive.host}:{archive.port}"
                how: str = archive.retrieve
            else:
                where, how = archive.url, "dicomweb"
            counts = [str(n) for n in journal.counts(archive.name).values()]
            table.add_row(archive.name, where, how, *counts)
    out.print(table)


def pacs_check(name: Name = None, json: Json = False) -> None:
    """Ask an archive what it can do, step by step, and what belongs into site/pacs.toml.

    Nothing is fetched.

    dose pacs check main

    Exit codes: 0 all that is needed works, 2 wrong use, 13 something does not.
    """
    from pipelines.collect.check import check_archive
    from pipelines.collect.pacs import find_archive

    chosen = settings()
    result = check_archive(find_archive(chosen, name), chosen)
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(result)))
    else:
        table = _table("step", "", "what was seen")
        for step in result.steps:
            mark = Text("yes", "green") if step.is_good else Text("no", "red")
            table.add_row(step.name, mark if step.counts else Text("-", "dim"), Text(step.seen))
        out.print(table)
        if result.like:
            say(f"In site/pacs.toml: like = {list(result.like)}".replace("'", '"'))
    if not result.is_good:
        raise typer.Exit(CollectError.exit_code)


def pacs_studies(
    name: Name = None,
    *,
    day: DayOption = None,
    days: Annotated[int, typer.Option(min=1, help="So many days back.")] = 7,
    failed: Annotated[bool, typer.Option("--failed", help="Only what is open.")] = False,
    json: Json = False,
) -> None:
    """Show what became of every study of an archive, and why nothing was taken.

    dose pacs studies main --day 2026-11-22
    dose pacs studies main --failed --days 3650

    Exit codes: 0, 2 wrong use.
    """
    from pipelines.collect.journal import Fate, Journal
    from pipelines.collect.pacs import find_archive
    from pipelines.collect.run import last_days

    chosen = settings()
    archive = find_archive(chosen, name)
    span = [day.date()] if day else last_days(chosen, days)
    outcomes = (Fate.FAILED, Fate.GIVEN_UP) if failed else ()
    with Journal(chosen) as journal:
        entries = journal.entries(archive.name, span[-1], span[0], outcomes)
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(entries)))
        return
    table = _table("day", "study", "modalities", "outcome", "why")
    for e in entries:
        table.add_row(
            f"{e.day}", e.study_uid, " ".join(e.modalities), _plain(e.outcome), Text(e.reason or "")
        )
    out.print(table)
    say(f"{len(entries)} studies")


@contextmanager
def _watched(chosen: Settings) -> Iterator[Stop]:
    """Ctrl-C ends after the study at hand; the log goes where the service's logs are."""
    from pipelines.logs import configure_logs
    from pipelines.process import Stop

    configure_logs(chosen.logs_dir, "collect")
    stop = Stop()
    stop.watch_signals()
    yield stop


def _finish(summary: Summary, *, json: bool) -> None:
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(summary)))
    else:
        out.print(_outcomes(summary))
        for complaint in summary.complaints[:_SHOWN]:
            say(str(complaint), to=err)
        if len(summary.complaints) > _SHOWN:
            say(f"... and {len(summary.complaints) - _SHOWN} more", to=err)
        for day, why in list(summary.incomplete.items())[:_SHOWN]:
            say(f"{day} is not complete: {why}", to=err)
        if summary.problem:
            say(f"Ended: {summary.problem}", to=err)
        if summary.is_interrupted:
            say("Stopped; the next run goes on from here.", to=err)
    if not summary.is_complete and not summary.is_interrupted:
        raise typer.Exit(CollectError.exit_code)


def _outcomes(summary: Summary) -> Table:
    table = _table("studies", "what became of them")
    if summary.n_unchanged:
        table.add_row(str(summary.n_unchanged), "settled before, and not changed since")
    for outcome, n in sorted(summary.outcomes.items()):
        if outcome != "nothing":
            table.add_row(str(n), _plain(outcome))
    for reason, n in summary.reasons.most_common(_SHOWN):
        table.add_row(str(n), Text(f"nothing to take: {reason}"))
    table.add_section()
    table.add_row(str(summary.n_studies), f"on {summary.n_days} days, in {summary.seconds:.0f} s")
    table.add_row(str(summary.n_objects), "objects fetched")
    return table


def _plain(outcome: str) -> str:
    words = {"taken": "fetched", "here": "were here already", "given_up": "given up"}
    return words.get(outcome, outcome)


def _years_before(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:  # 29 February
        return day.replace(year=day.year - years, day=28)


def _table(*heads: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


def add_to(app: typer.Typer) -> None:
    """Put these commands into the `dose` command."""
    pacs = typer.Typer(no_args_is_help=True, help="Archives that dose reports are fetched from.")
    app.add_typer(pacs, name="pacs")
    app.command("collect", help=help_of(collect))(collect)
    app.command("backfill", help=help_of(backfill))(backfill)
    for command, name in (
        (pacs_list, "list"),
        (pacs_check, "check"),
        (pacs_studies, "studies"),
    ):
        pacs.command(name, help=help_of(command))(command)
