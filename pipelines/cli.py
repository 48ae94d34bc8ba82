"""The `dose` command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import dose_lib
from dose_lib import DoseError
from pipelines.commands import (
    collecting,
    comparing,
    equipment,
    export,
    history,
    identities,
    keeping,
    levels,
    mapping,
    objects,
    reconciling,
    reports,
    service,
    silence,
    simulation,
    sizes,
)
from pipelines.commands.terminal import choose_home, err, help_of, say, show_error

_EPILOG = (
    "Exit codes: 0 done; 1 a defect of DoseLoop; 2 wrong use or setting; 3 an object could not be "
    "read; 4 store; 5 no room; 6 service or port; 7 reference levels; 8 report; 9 question; "
    "10 simulation; 11 identity vault; 12 look-up refused; "
    "13 collecting."
)

app = typer.Typer(
    name="dose",
    help="Continuous monitoring of radiation dose in medical imaging.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
quarantine = typer.Typer(no_args_is_help=True, help="Objects that could not be read.")
settings = typer.Typer(no_args_is_help=True, help="Settings of the installation.")
app.add_typer(quarantine, name="quarantine")
app.add_typer(settings, name="settings")

for group, name, command in (
    (app, "serve", service.serve),
    (app, "status", service.status),
    (app, "ingest", objects.ingest),
    (app, "inspect", objects.inspect),
    (app, "trace", objects.trace),
    (app, "report", reports.report),
    (app, "dashboards", service.dashboards),
    (app, "ask", reports.ask),
    (app, "demo", simulation.demo),
    (app, "simulate", simulation.simulate),
    (quarantine, "list", objects.quarantine_list),
    (quarantine, "retry", objects.quarantine_retry),
    (settings, "show", service.settings_show),
):
    group.command(name, help=help_of(command))(command)
identities.add_to(app)
collecting.add_to(app)
sizes.add_to(app)
reconciling.add_to(app)
silence.add_to(app)
history.add_to(app)
levels.add_to(app)
comparing.add_to(app)
mapping.add_to(app)
equipment.add_to(app)
export.add_to(app)
keeping.add_to(app)

# What `dose --help` lists together; in the order in which a hospital meets them.
PANELS = {
    "Try": ("demo", "simulate"),
    "Run": ("serve", "status", "dashboards", "settings"),
    "Take in": (
        *("ingest", "collect", "backfill", "pacs", "reconcile", "silence"),
        *("import-history", "sizes", "quarantine"),
    ),
    "Look": ("inspect", "trace", "ask", "compare", "report", "export"),
    "Decide": ("map", "drl", "device"),
    "Keep": ("backup", "restore", "rebuild", "retention"),
    "Identities": ("identify", "vault"),
}
_PANEL_OF = {name: panel for panel, names in PANELS.items() for name in names}
for _command in app.registered_commands:
    _command.rich_help_panel = _PANEL_OF[_command.name or ""]
for _group in app.registered_groups:
    _group.rich_help_panel = _PANEL_OF[_group.name or ""]
app.registered_commands.sort(key=lambda command: list(_PANEL_OF).index(command.name or ""))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"DoseLoop {dose_lib.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    home: Annotated[
        Path | None,
        typer.Option(help="Folder of the installation; default $DOSE_HOME or the data folder."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    choose_home(home)


def main() -> None:
    """Entry of the command: errors on purpose become a message and an exit code."""
    try:
        app()
    except DoseError as error:
        if "--debug" in sys.argv:
            raise
        show_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        say("Interrupted.", to=err)
        sys.exit(130)


if __name__ == "__main__":
    main()
