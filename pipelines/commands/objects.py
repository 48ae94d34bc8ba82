"""`dose inspect`, `dose ingest`, `dose quarantine`: objects, from a file to the store."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

import dose_lib
from dose_lib import DoseError
from dose_lib.errors import NoDoseError, NotDicomError, ReadError, UsageError
from dose_lib.records import Identity, Part
from pipelines import inspection
from pipelines.archive import Quarantine
from pipelines.commands.terminal import err, out, progress_bars, say, settings, show_error
from pipelines.computed import compute, with_slice
from pipelines.exam_table import show_exams

if TYPE_CHECKING:
    from pipelines.archive import Quarantined
    from pipelines.collect.merges import Kept
    from pipelines.folder import Taken


_FEW = 3  # exams shown whole; more are rows of a table


def inspect(  # noqa: PLR0917
    files: Annotated[list[Path], typer.Argument(help="Files, or folders at any depth.")],
    json: Annotated[bool, typer.Option("--json", help="A JSON list of parts.")] = False,
    trace: Annotated[
        str | None,
        typer.Option(help="Show where values came from: a name, a place or a pattern."),
    ] = None,
    identity: Annotated[
        bool, typer.Option("--identity", help="Show names and IDs too; they go nowhere else.")
    ] = False,
    each: Annotated[
        bool, typer.Option("--each", help="Show each object alone, without merging exams.")
    ] = False,
    details: Annotated[
        bool, typer.Option("--details", help="Events and issues of all, however many exams.")
    ] = False,
) -> None:
    """Show what objects say about dose, without any store.

    Objects of one exam are merged into one part, as the store does it. A few exams are shown
    with events, issues and what is computed from them (size of the patient, SSDE, effective dose,
    each with its method), more as tables with one row an exam. JSON holds what objects say.

    dose inspect report.dcm
    dose inspect folder/
    dose inspect exam/ --json | jq '.[].totals.dlp_total_mgy_cm'
    dose inspect report.dcm --trace ctdi_vol_mgy

    Exit codes: 0 all read, 2 wrong use, 3 a file could not be read or carries no dose.
    """
    parts, identities, has_trouble = _read_all(files, is_measured=not json)
    merged = list(parts if each or len(parts) < 2 else dose_lib.merge(parts))
    who = identities if identity else []
    if trace is not None and merged:
        traces = inspection.find_traces(merged, trace)
        if json:
            typer.echo(inspection.traces_as_json(traces))
        else:
            out.print(inspection.show_traces(traces))
    elif json:
        typer.echo(inspection.as_json(merged, who))
    else:
        is_long = len(merged) > _FEW and not details
        out.print(
            show_exams(merged, out.width)
            if is_long
            else inspection.show_parts(compute(merged, settings()), out.width)
        )
        for one in who:
            out.print(inspection.show_identity(one))
    if has_trouble:
        raise typer.Exit(ReadError.exit_code)


def _read_all(files: list[Path], *, is_measured: bool) -> tuple[list[Part], list[Identity], bool]:
    parts: list[Part] = []
    identities: list[Identity] = []
    left_out: Counter[str] = Counter()
    has_trouble = False
    for path, is_named in _find(files):
        try:
            found, who = dose_lib.read_file(path)
        except (NotDicomError, NoDoseError) as error:
            if is_named:
                has_trouble = True
                show_error(error)
            else:
                left_out[error.seen] += 1
        except DoseError as error:
            has_trouble = True
            show_error(error)
        else:
            parts += with_slice(found, path, every=1) if is_measured else found
            identities.append(who)
    for reason, n in left_out.items():
        say(f"{n} files left out: {reason}", to=err)
    return parts, identities, has_trouble


def _find(files: list[Path]) -> Iterator[tuple[Path, bool]]:
    for path in files:
        if path.is_dir():
            for place, folders, names in os.walk(path):
                folders.sort()
                yield from ((Path(place) / name, False) for name in sorted(names))
        elif path.exists():
            yield path, True
        else:
            raise UsageError(f"there is no file or folder {path}", todo="Check the path")


def ingest(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Files, folders at any depth, zip and tar archives, DICOMDIRs."),
    ],
) -> None:
    """Take files and folders into the store; works with and without a running service.

    The same file again is a duplicate, not an error, and is counted once. Archives are
    unpacked in memory, within limits; of a DICOMDIR the files it names are taken, and those
    that are missing are told.

    dose ingest /media/cd
    dose ingest exports/2026-11/ report.dcm
    dose ingest exports.tar.gz /media/cd/DICOMDIR

    Exit codes: 0 all taken in, 2 wrong use, 3 files that could not be read, 4 store,
    5 no room, 6 service.
    """
    from pipelines.folder import ingest_paths

    with progress_bars() as progress:
        taken = ingest_paths(paths, settings(), progress=progress)
    out.print(_summary(taken))
    for trouble in taken.troubles:
        say(f"{trouble.path}: {trouble.reason}", to=err)
    if taken.troubles:
        raise typer.Exit(ReadError.exit_code)


def _summary(taken: Taken) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("files", justify="right")
    table.add_column("what became of them")
    total = len(taken.files) + len(taken.skipped)
    reasons = Counter((f.status.value.replace("_", " "), f.reason) for f in taken.files)
    for (status, reason), n in sorted(reasons.items(), key=str):
        table.add_row(str(n), Text(f"{status}: {reason}" if reason else status))
    for reason, n in Counter(s.reason for s in taken.skipped).items():
        table.add_row(str(n), Text(f"left out: {reason}"))
    table.add_section()
    table.add_row(str(total), "in all")
    return table


def trace(
    part_key: Annotated[str, typer.Argument(help="Key of the exam part, as `studies` shows it.")],
    name: Annotated[
        str | None, typer.Argument(help="A quantity, such as dlp_total_mgy_cm; default: all.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show where stored numbers came from: object, content item, value as recorded, conversion.

    dose trace 2ee3b93e1aa881c0a079 dlp_total_mgy_cm
    dose trace 2ee3b93e1aa881c0a079 events[1].ctdi_vol_mgy --json

    Exit codes: 0, 2 no such part or quantity, 4 store.
    """
    import msgspec

    found = dose_lib.trace(part_key, name, con=dose_lib.connect(settings=settings()))
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found)))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("name", "path", "recorded", "unit", "× factor", "rule"):
        table.add_column(head, overflow="fold")
    for one in found:
        factor = "" if one.factor is None else f"{one.factor:g}"
        table.add_row(one.name, one.path, Text(one.recorded), one.unit, factor, one.rule)
    out.print(table)


def quarantine_list(
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show what is in quarantine, why, and since when.

    dose quarantine list

    Exit codes: 0.
    """
    import msgspec

    from pipelines.collect.merges import kept_messages

    folder = settings().quarantine_dir
    items = Quarantine(folder).items() if folder.exists() else []
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(items)))
        return
    messages = kept_messages(settings())
    if items:
        _show_items(items)
    if messages:
        _show_messages(messages)
    if not items and not messages:
        say("Nothing is in quarantine.")


def _show_items(items: list[Quarantined]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("name", "since", "reason", "from", "whose fault"):
        table.add_column(head, overflow="fold")
    for item in items:
        sender = item.receipt.caller or item.receipt.route if item.receipt else ""
        table.add_row(
            item.name,
            f"{item.since:%Y-%m-%d %H:%M}",
            Text(item.failure.seen),
            Text(sender or ""),
            f"DoseLoop {item.version}" if item.is_ours else "the object's",
        )
    out.print(table)


def _show_messages(messages: list[Kept]) -> None:
    """Merges of patients that a person must look at; the files name the patients, this does not."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("HL7 message", "since", "reason", "from", "file"):
        table.add_column(head, overflow="fold")
    for one in messages:
        sender, said = Text(f"{one.sender} {one.control_id}"), Text(one.reason)
        table.add_row(Text(one.event), f"{one.since:%Y-%m-%d %H:%M}", said, sender, Text(one.file))
    out.print(table)
    say("Join the patients by `dose vault merge`, then delete the message and the note beside it.")


def quarantine_retry(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names or their beginnings; none means all.")
    ] = None,
) -> None:
    """Put objects back to be read again, after an upgrade or a change of settings.

    A running service reads them at once, otherwise the next one does.

    dose quarantine retry
    dose quarantine retry 1795381186

    Exit codes: 0 put back, 2 no such object.
    """
    chosen = settings()
    if not chosen.quarantine_dir.exists():
        say("Nothing is in quarantine.")
        return
    released = Quarantine(chosen.quarantine_dir).release(names or [], chosen.spool_dir)
    say(f"{len(released)} objects put back into the spool.")
