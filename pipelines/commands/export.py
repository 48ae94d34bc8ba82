"""`dose export`: exams as files, for other programs, other hospitals, and people.

`add_to(app)` puts the command into the `dose` command.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from dose_lib import Settings, connect
from dose_lib.errors import UsageError
from pipelines.commands.terminal import help_of, progress_bars, say, settings


def export(
    *,
    lake: Annotated[
        Path | None, typer.Option(help="Bring the Parquet lake here up to date.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write exams to this CSV file.")] = None,
    xlsx: Annotated[Path | None, typer.Option(help="Write exams to this XLSX file.")] = None,
    site_id: Annotated[
        str | None, typer.Option(help="Name in the lake; default from the setting site_name.")
    ] = None,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day (CSV, XLSX).")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day (CSV, XLSX).")
    ] = None,
    modality: Annotated[str | None, typer.Option(help="CT, XA, ... (CSV, XLSX).")] = None,
    procedure: Annotated[str | None, typer.Option(help="As in 'CT Chest' (CSV, XLSX).")] = None,
) -> None:
    """Write exams without identifiers: a lake for Spark and DuckDB, or a sheet.

    Of a lake only the months that changed are written; a file is whole or not there.

    dose export --lake /data/lake --site-id leeds
    dose export --csv chests.csv --procedure "CT Chest" --from 2026-07-01 --to 2026-09-30

    Exit codes: 0 written, 2 wrong use, 4 store, 5 the disk is full or not writable.
    """
    if sum(target is not None for target in (lake, csv, xlsx)) != 1:
        raise UsageError("one target is needed", expected="--lake, --csv or --xlsx")
    chosen = settings()
    if lake is not None:
        _lake(chosen, lake, site_id)
        return
    from dose_lib.lake import read_sheet, write_csv, write_xlsx

    rows = read_sheet(
        connect(settings=chosen),
        start=first.date() if first else None,
        end=last.date() if last else None,
        modality=modality,
        procedure_name=procedure,
    )
    for file, write in ((csv, write_csv), (xlsx, write_xlsx)):
        if file is not None:
            write(rows, file)
            say(f"Written: {file} ({rows.num_rows} exams, {rows.num_columns} columns)")


def _lake(chosen: Settings, folder: Path, site_id: str | None) -> None:
    from dose_lib.lake import export_lake, site_id_of

    with progress_bars() as progress:
        done = export_lake(
            connect(settings=chosen),
            folder,
            site_id or site_id_of(chosen.site_name),
            advance=progress,
        )
    told = ", ".join(f"{n} {name}" for name, n in done.n_rows.items())
    say(f"{done.folder}, site {done.site_id}: {told}")
    say(
        f"{done.n_written} months written, {done.n_unchanged} as they were, "
        f"{done.n_removed} removed."
    )


def add_to(app: typer.Typer) -> None:
    """Put this command into the `dose` command."""
    app.command("export", help=help_of(export))(export)
