"""`dose import-history`: years from other dose systems, before DICOM came here."""

from __future__ import annotations

import getpass
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich import box
from rich.table import Table
from rich.text import Text

import dose_lib
from dose_lib.errors import ReadError, UsageError, did_you_mean
from pipelines.commands.terminal import err, help_of, out, progress_bars, say, settings

if TYPE_CHECKING:
    from dose_lib import Settings
    from pipelines.collect.imports import Opened, Tally

_SHOWN = 20
_PATIENCE_S = 3600.0


def import_history(
    file: Annotated[
        Path | None, typer.Argument(help="A csv or xlsx export of another dose system.")
    ] = None,
    *,
    mapping: Annotated[
        str | None,
        typer.Option(help="A mapping: its name, or a TOML file; default: found by the heads."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be taken; store nothing.")
    ] = False,
    delimiter: Annotated[
        str | None, typer.Option(help="Sign between columns of a csv file; default: found out.")
    ] = None,
    mappings: Annotated[
        bool, typer.Option("--mappings", help="Show the mappings that come with DoseLoop.")
    ] = False,
    imports: Annotated[bool, typer.Option("--list", help="Show earlier imports.")] = False,
    undo: Annotated[
        str | None, typer.Option(metavar="IMPORT_ID", help="Exams of this import count no longer.")
    ] = None,
    redo: Annotated[str | None, typer.Option(metavar="IMPORT_ID", help="They count again.")] = None,
) -> None:
    """Take exams from an export of another dose system, such as OpenREM's.

    They are marked as history, give way to the same exams from DICOM, and open no findings.
    Works with and without a running service; the same file again changes nothing.

    dose import-history ctexport.csv --dry-run
    dose import-history ctexport.csv
    dose import-history old_system.xlsx --mapping ours.toml
    dose import-history --undo 3f2a9c7e01b4

    Exit codes: 0 all rows taken, 2 wrong use, 3 rows were left out, 4 store, 5 no room, 6 service.
    """
    if mappings:
        out.print(_mappings())
    elif imports:
        _show_imports(settings())
    elif undo is not None or redo is not None:
        _decide(settings(), undo or redo or "", is_undone=undo is not None)
    elif file is None:
        raise UsageError("no file is named", expected="FILE, --mappings, --list, --undo or --redo")
    else:
        _import(file, mapping, delimiter, is_dry=dry_run)


def _import(file: Path, name: str | None, delimiter: str | None, *, is_dry: bool) -> None:
    from pipelines.collect.imports import find_mapping, look, open_export, rejects_file, take

    chosen = settings()
    found = find_mapping(name) if name is not None else None
    opened = open_export(file, found, delimiter=delimiter)
    say(f"{file.name}: mapping {opened.mapping.name}, import {opened.import_id}", to=err)
    _warn_if_undone(chosen, opened.import_id)
    begin = time.monotonic()
    with progress_bars() as progress:
        tally = (look if is_dry else take)(opened, chosen, progress)
    out.print(_counts(tally, is_dry=is_dry))
    if is_dry:
        _show_first(tally)
        _show_unmapped(opened)
    else:
        _link_devices(chosen)
    _show_problems(tally)
    seconds = max(time.monotonic() - begin, 1e-9)
    say(f"{tally.n_rows} rows in {seconds:.1f} s ({tally.n_rows / seconds:.0f} a second)", to=err)
    if tally.n_left_out:
        if not is_dry:
            say(f"Rows left out are kept in {rejects_file(chosen, opened.import_id)}", to=err)
        raise typer.Exit(ReadError.exit_code)


def _link_devices(chosen: Settings) -> None:
    """Devices of the export that DICOM knows, too: joined where sure, else named."""
    from dose_lib.equipment import find_twins, link_sure_twins

    if not chosen.store_file.exists():
        return
    con = dose_lib.connect(settings=chosen)
    for one in link_sure_twins(con, settings=chosen):
        say(f"Device {one.device} of the export is {one.same_device}: {one.evidence}")
    if waiting := find_twins(con):
        names = ", ".join(dict.fromkeys(t.device for t in waiting))
        say(f"Perhaps known from DICOM, too: {names} (see `dose device twins`)")


def _counts(tally: Tally, *, is_dry: bool) -> Table:
    table = _table("exams", "modality", "years")
    by_modality: dict[str, list[int]] = {}
    for modality, year in tally.by_year:
        by_modality.setdefault(modality, []).append(year)
    for modality, years in sorted(by_modality.items()):
        n = sum(tally.by_year[modality, y] for y in years)
        split = ", ".join(f"{y}: {tally.by_year[modality, y]}" for y in sorted(years))
        table.add_row(str(n), modality, split)
    table.add_section()
    for device, n in tally.by_device.most_common(_SHOWN):
        table.add_row(str(n), "", Text(device))
    table.add_section()
    verb = "would be taken" if is_dry else "taken"
    table.add_row(str(tally.n_exams), "", f"{verb}, from {tally.n_rows} rows")
    if tally.n_known:
        table.add_row(str(tally.n_known), "", "of them were here from this import already")
    if tally.n_left_out:
        table.add_row(str(tally.n_left_out), "", "rows left out")
    return table


def _show_first(tally: Tally) -> None:
    table = _table("row", "start", "modality", "device", "exam", "protocols", "dose")
    for exam in tally.first:
        part, totals = exam.part, exam.part.totals
        doses = {
            "DLP {:g} mGy.cm": totals.dlp_total_mgy_cm,
            "KAP {:g} Gy.cm²": totals.kap_gy_cm2,
            "AGD left {:g} mGy": totals.agd_left_mgy,
            "AGD right {:g} mGy": totals.agd_right_mgy,
        }
        shown = [text.format(value) for text, value in doses.items() if value is not None]
        activity = [a.administered_activity_mbq for a in part.administrations]
        shown += [f"{a:g} MBq" for a in activity if a is not None]
        table.add_row(
            str(exam.rows[0]),
            f"{part.started_at:%Y-%m-%d %H:%M}" if part.started_at else "",
            part.modality.value,
            Text(part.device.display_name or part.device.station_name or ""),
            Text(part.study_description or ""),
            Text(", ".join(part.protocol_names)),
            Text(", ".join(shown) or "none"),
        )
    say("The first exams:")
    out.print(table)


def _show_unmapped(opened: Opened) -> None:
    if opened.plan.unmapped:
        names = ", ".join(opened.plan.unmapped)
        say(f"Columns that nothing is taken from ({len(opened.plan.unmapped)}): {names}")


def _show_problems(tally: Tally) -> None:
    if not tally.n_problems:
        return
    table = _table("times", "column", "expected", "", "first seen")
    first: dict[tuple[str, str, bool], str] = {}
    for p in tally.problems:
        first.setdefault((p.column, p.expected, p.is_fatal), f"row {p.row}: {p.seen}")
    for key, n in tally.n_problems.most_common(_SHOWN):
        column, expected, is_fatal = key
        what = "row left out" if is_fatal else "value left out"
        table.add_row(str(n), Text(column), Text(expected), what, Text(first.get(key, "")))
    err.print(table)


def _mappings() -> Table:
    from dose_lib.history import shipped_mappings

    table = _table("mapping", "for", "known by")
    for one in shipped_mappings():
        heads = " and ".join(one.all_of)
        some = " or ".join(one.any_of)
        table.add_row(one.name, one.title, Text(f"{heads}; {some}" if some else heads))
    return table


def _show_imports(chosen: Settings) -> None:
    from pipelines.collect.imports import import_uid, read_notes

    notes = read_notes(chosen)
    if not notes:
        say("Nothing was imported.")
        return
    undone = _undone(chosen)
    counting = _counting(chosen)
    table = _table("import", "when", "file", "mapping", "exams", "count now", "left out", "")
    for n in notes:
        uid = import_uid(n.import_id)
        table.add_row(
            n.import_id,
            f"{n.started_at:%Y-%m-%d %H:%M}",
            Text(n.file_name),
            n.mapping,
            str(n.n_exams),
            str(counting[uid]),
            str(n.n_left_out),
            "undone" if uid in undone else "",
        )
    out.print(table)


def _undone(chosen: Settings) -> set[str]:
    rows = dose_lib.connect(settings=chosen).table("latest_decisions")
    found = rows.filter(rows.kind == "history_import").select("subject", "payload").to_pyarrow()
    return {r["subject"] for r in found.to_pylist() if _says_undone(r["payload"])}


def _says_undone(payload: object) -> bool:
    given = msgspec.json.decode(payload) if isinstance(payload, str) else payload
    return bool(given["is_undone"])  # type: ignore[index]


def _counting(chosen: Settings) -> Counter[str]:
    """Exams that count, by import."""
    con = dose_lib.connect(settings=chosen)
    history, objects = con.table("history"), con.table("objects")
    here = objects.filter(objects.status == "stored").select("sha256").distinct()
    found = history.semi_join(here, "sha256").group_by("import_uid").agg(n=lambda t: t.count())
    return Counter({r["import_uid"]: r["n"] for r in found.to_pyarrow().to_pylist()})


def _warn_if_undone(chosen: Settings, import_id: str) -> None:
    from pipelines.collect.imports import import_uid

    if chosen.store_file.exists() and import_uid(import_id) in _undone(chosen):
        say(f"This import was undone; `--redo {import_id}` lets its exams count again.", to=err)


def _decide(chosen: Settings, import_id: str, *, is_undone: bool) -> None:
    from dose_lib.records import Decision
    from dose_lib.store import submit_decision
    from pipelines.collect.imports import import_uid, read_notes

    known = {n.import_id: n for n in read_notes(chosen)}
    if import_id not in known:
        raise UsageError(f"there was no import {import_id!r}", todo=did_you_mean(import_id, known))
    decision = Decision(
        kind="history_import",
        subject=import_uid(import_id),
        payload={"is_undone": is_undone},
        author=getpass.getuser(),
    )
    submit_decision(chosen, decision)
    say(
        f"{known[import_id].n_exams} exams of import {import_id} "
        + ("count no longer." if is_undone else "count again, unless DICOM has them.")
    )


def _table(*heads: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


def add_to(app: typer.Typer) -> None:
    """Put this command into the `dose` command."""
    app.command("import-history", help=help_of(import_history))(import_history)
