"""`dose serve`, `dose status`, `dose dashboards`, `dose settings`: the running installation."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich import box
from rich.table import Table
from rich.text import Text

from dose_lib import DoseError, Settings
from dose_lib.errors import ServiceError, UsageError
from pipelines.commands.terminal import err, out, say, settings, show_error
from pipelines.status import (
    Accounts,
    PartState,
    ServiceState,
    parts_of,
    read_state,
    readiness,
    try_accounts,
)

if TYPE_CHECKING:
    from pipelines.timetable import Entry

Port = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="Instead of the setting; 0 chooses a free one."),
]


def serve(
    dicom_port: Port = None,
    dashboards_port: Port = None,
    health_port: Port = None,
    without: Annotated[
        list[str] | None, typer.Option(help="A part not to start: scheduler, dashboards.")
    ] = None,
) -> None:
    """Run the service: listener, store, reports on a timetable, dashboards.

    Ends at Ctrl-C or SIGTERM, after everything received is stored.

    dose serve
    dose --home /var/lib/doseloop serve --dicom-port 11112
    dose serve --without dashboards

    Exit codes: 0 stopped, 2 a setting, 4 the store, 6 a port or another service.
    """
    chosen = settings(
        dicom_port=dicom_port, dashboards_port=dashboards_port, health_port=health_port
    )
    left_out = set(without or ())
    if unknown := left_out - {"scheduler", "dashboards"}:
        raise UsageError(
            f"{unknown.pop()!r} cannot be left out",
            expected="scheduler or dashboards",
            where="--without",
        )

    parts = [p for p in parts_of(chosen) if p not in left_out]
    # The supervisor lives for months: it gets a process that holds none of the other commands.
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", __name__, *parts])  # noqa: S606


def _supervise(parts: list[str]) -> int:
    """Run the service in this process; the exit code."""
    from pipelines.service import serve as run

    def ready(state: ServiceState) -> None:
        say(f"DoseLoop serves {chosen.home}. Ctrl-C stops it.")
        out.print(_parts_table(state))

    try:
        chosen = settings()
        run(chosen, parts=parts, on_ready=ready)
    except DoseError as error:
        show_error(error)
        return error.exit_code
    say("Stopped; everything received is stored.")
    return 0


def status(json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Show how the service is, and where every received object is.

    received = stored + superseded + duplicate + no dose + quarantined + erased + waiting

    The receivers count every object by themselves; `missing` is how many of these are neither
    in the spool nor in the ledger, and is always 0.

    dose status
    dose status --json

    Exit codes: 0 all parts do their work, 6 the service does not run, a part is in trouble, or
    objects are missing.
    """
    chosen = settings()
    state, accounts = read_state(chosen), try_accounts(chosen)
    if json:
        content = msgspec.to_builtins(state)
        content |= {"is_healthy": state.is_healthy, "objects": msgspec.to_builtins(accounts)}
        content |= {"timetable": msgspec.to_builtins(_timetable(chosen))}
        typer.echo(msgspec.json.format(msgspec.json.encode(content)))
    else:
        _show(chosen, state, accounts)
    is_missing = isinstance(accounts, Accounts) and accounts.missing > 0
    if is_missing or not state.is_healthy:
        raise typer.Exit(ServiceError.exit_code)


def _show(chosen: Settings, state: ServiceState, accounts: Accounts | str) -> None:
    say(f"{chosen.home}: {readiness(state)}")
    if state.parts:
        out.print(_parts_table(state))
    if isinstance(accounts, str):
        say(accounts, to=err)
    else:
        out.print(_accounts_table(accounts))
        if accounts.missing:
            say(
                f"{accounts.missing} objects were taken in and are neither in the spool nor in"
                f" the ledger: check the disk, and ask the senders to send again what came since"
                f" the last backup; `dose rebuild` makes the ledger again from the archive",
                to=err,
            )
    for peer in state.pending_peers:
        say(
            f"pending device: {peer.ae_title}@{peer.address}, {peer.attempts} attempts, "
            f"last {peer.last_seen:%Y-%m-%d %H:%M}; allow it in dicom_peers",
        )
    _show_timetable(_timetable(chosen))
    if state.in_quarantine:
        days = chosen.quarantine_retention_days
        kept = f"kept for {days} days" if days else "kept for good"
        say(f"{state.in_quarantine} in quarantine, {kept}; `dose quarantine list` tells why")
    if state.merges_waiting:
        say(f"{state.merges_waiting} merges of patients wait for a person: `dose quarantine list`")
    say(f"{state.disk_free_bytes / 1e9:.1f} GB free on the disk")


def _parts_table(state: ServiceState) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("part", "state", "process", "since", "restarts", "facts"):
        table.add_column(head)
    for part in state.parts:
        table.add_row(
            part.part,
            Text("ready", style="green")
            if part.is_ready
            else Text(part.problem or "", style="red"),
            str(part.pid or ""),
            f"{part.since.astimezone():%Y-%m-%d %H:%M:%S}" if part.since else "",
            str(part.restarts),
            _facts(part),
        )
    if state.service and state.service.health:
        table.caption = f"health: {state.service.health}/health"
    return table


def _timetable(chosen: Settings) -> list[Entry] | str:
    from pipelines.timetable import try_timetable  # loads the scheduler and the notebooks' reader

    return try_timetable(chosen)


def _show_timetable(entries: list[Entry] | str) -> None:
    if isinstance(entries, str):
        say(entries, to=err)
        return
    if not entries:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="timetable", title_justify="left")
    for head in ("run", "when", "next", "last"):
        table.add_column(head)
    for entry in entries:
        last = "" if entry.last_at is None else f"{entry.last_at.astimezone():%Y-%m-%d %H:%M}"
        ended = {None: "", True: ", done", False: ", failed"}[entry.is_done]
        table.add_row(
            f"{entry.kind} {entry.run}",
            entry.cron + (" (default)" if entry.is_default else ""),
            f"{entry.next_at:%Y-%m-%d %H:%M}" if entry.next_at else "never",
            last + ended,
        )
    out.print(table)


def _facts(part: PartState) -> Text:
    shown = [f"{n.replace('_', ' ')} {v}" for n, v in part.facts.items() if v not in (0, None)]
    return Text(", ".join(shown))


def _accounts_table(accounts: Accounts) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="objects", title_justify="left")
    for name in accounts.__struct_fields__:
        table.add_column(name.replace("_", " "), justify="right")
    table.add_row(*(str(getattr(accounts, n)) for n in accounts.__struct_fields__))
    return table


def dashboards(dashboards_port: Annotated[int | None, typer.Option("--port")] = None) -> None:
    """Serve the notebooks as live pages, without the rest of the service.

    Where the service runs, they are served already: `dose status` shows the address.

    dose dashboards
    dose dashboards --port 5007

    Exit codes: 0 stopped, 2 a setting, 6 a port in use.
    """
    from pipelines.dashboards import open_door, page_url
    from pipelines.logs import configure_logs
    from pipelines.pages import serve as run
    from pipelines.process import Stop

    chosen = settings(dashboards_port=dashboards_port)
    with open_door(chosen) as door:
        configure_logs(chosen.logs_dir, "dashboards")
        stop = Stop()
        stop.watch_signals()
        say(f"Dashboards: {page_url(chosen, door.getsockname()[1])}   Ctrl-C stops them.")
        run(chosen, stop, door)


def settings_show(json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Show every setting with its value, and whether it was changed.

    dose settings show

    Exit codes: 0, 2 a setting cannot be used.
    """
    chosen = settings()
    if json:
        typer.echo(chosen.model_dump_json(indent=2))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("setting", "value", "", "meaning"):
        table.add_column(head, overflow="fold")
    for name, field in Settings.model_fields.items():
        value = getattr(chosen, name)
        is_changed = field.default_factory is None and value != field.default
        shown = Text("" if value is None else str(value), style="bold" if is_changed else "")
        table.add_row(name, shown, "changed" if is_changed else "", Text(field.description or ""))
    out.print(table)
    say(f"Settings file: {chosen.config_file}")


if __name__ == "__main__":
    raise SystemExit(_supervise(sys.argv[1:]))
