"""`dose map`: names that wait for a person, and the decisions about them.

`add_to(app)` puts the commands into the `dose` command.
"""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich import box
from rich.table import Table
from rich.text import Text

import dose_lib
from dose_lib.errors import UsageError
from dose_lib.mapping import (
    WaitingName,
    accept_name,
    documentation_mismatches,
    effect_of,
    find_doubtful,
    find_waiting,
    learn_names,
    mismatch_counts,
    name_anew,
    name_history,
    standing_names,
    undo_name,
)
from pipelines.commands.terminal import help_of, out, say, settings

if TYPE_CHECKING:
    import pandas as pd

Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
Name = Annotated[str, typer.Argument(help="The name as written, or SCHEME:code.")]
Because = Annotated[
    str, typer.Option("--because", help="Why; kept with your name. Name no patient here.")
]
Author = Annotated[str | None, typer.Option("--author", help="Who decides; default: the login.")]
OfModality = Annotated[str | None, typer.Option("--modality", help="Only exams of it: CT, XA ...")]


def who(author: str | None) -> str:
    """Who decides: as said, else the login."""
    return author or getpass.getuser()


def review(
    limit: Annotated[int, typer.Option(min=1, help="Names at most.")] = 50,
    author: Author = None,
    json: Json = False,
) -> None:
    """Go through the names that wait for a person, each with evidence and effect.

    Names whose exams nearly always disagree with what was irradiated come after them. In a
    terminal it asks name by name and shows what a decision would do before it is taken; elsewhere
    it prints the list, and `dose map accept` takes a decision.

    dose map review
    dose map review --json

    Exit codes: 0, 4 store.
    """
    con = dose_lib.connect(settings=settings())
    waiting = find_waiting(con, settings=settings())
    doubtful = find_doubtful(con, settings=settings())
    names = [*waiting, *doubtful][:limit]
    if json:
        texts = {w.subject for w in doubtful}
        print_json([_plain(w) | {"is_named": w.subject in texts} for w in names])
    elif not names:
        say("Nothing waits: every exam of a patient has its procedure.")
    elif out.is_terminal:
        _ask_each(con, names, who(author))
    else:
        if waiting:
            out.print(_waiting_table(waiting[:limit]))
        if doubtful:
            say("Words and scans disagree in nearly every exam of these; they may mean another:")
            out.print(_waiting_table(doubtful[:limit]))
        say("Accept one with: dose map accept NAME PROCEDURE --because WHY")


def accept(  # noqa: PLR0917 - each is an option of the command
    name: Name,
    procedure: Annotated[
        str, typer.Argument(help="Procedure it means; 'none': exams of it are to have none.")
    ],
    because: Because,
    modality: OfModality = None,
    region: Annotated[
        str | None, typer.Option(help="Body region of a procedure of your own.")
    ] = None,
    author: Author = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what it would do, and change nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Say what a name means here; shows the effect, then names all stored exams anew.

    dose map accept "Spezial 7 b" "CT Chest" --because "asked the lead radiographer"
    dose map accept "Spezial 7 b" "CT Chest" --because "?" --dry-run

    Exit codes: 0, 2 no such procedure or name, 4 store.
    """
    here = settings()
    wanted = None if procedure.casefold() == "none" else procedure
    con = dose_lib.connect(settings=here)
    chosen = modality or _modality_of(con, name)
    effect = effect_of(con, name, wanted, modality=chosen, settings=here) if not region else None
    del con  # the store is written next
    if not dry_run:
        decision = accept_name(
            name, wanted, author=who(author), because=because, modality=chosen,
            body_region=region, settings=here,
        )  # fmt: skip
    if json:
        said = {} if effect is None else {"effect": effect, "in_words": effect.in_words()}
        print_json(said | ({} if dry_run else {"decision": decision}))
        return
    does = "no procedure" if wanted is None else wanted
    told = "" if effect is None else f": {effect.in_words()}"
    say(f"{'Would map' if dry_run else 'Mapped'} '{name}' ({chosen}) to {does}{told}.")
    if not dry_run:
        say("`dose map undo` takes it back; what the exams were called before stays known.")


def undo(name: Name, because: Because, modality: OfModality = None, author: Author = None) -> None:
    """Take back the last decision about a name; what held before it holds again.

    dose map undo "Spezial 7 b" --because "it is a high-resolution chest"

    Exit codes: 0, 2 nothing was decided, 4 store.
    """
    here = settings()
    con = dose_lib.connect(settings=here)
    decision = undo_name(
        con, name, author=who(author), because=because, modality=modality, settings=here
    )
    back = decision.payload.get("procedure_name")
    revoked = decision.payload.get("is_revoked")
    say(f"Taken back: '{name}' " + ("is unmapped again." if revoked else f"means {back} again."))


def list_names(
    as_of: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="As it was at the end of a day: YYYY-MM-DD."),
    ] = None,
    json: Json = False,
) -> None:
    """Show the mappings that hold: by people, learned, and of procedures.toml.

    dose map list
    dose map list --as-of 2026-03-31

    Exit codes: 0, 4 store.
    """
    here = settings()
    con = dose_lib.connect(settings=here)
    moment = None if as_of is None else (as_of + timedelta(days=1)).astimezone()
    found = standing_names(con, as_of=moment, settings=here)
    if json:
        print_json(found)
        return
    table = new_table("name", "modality", "procedure", "by", "since", "because")
    for one in found:
        by = one.author or one.origin
        since = f"{one.decided_at:%Y-%m-%d}" if one.decided_at else ""
        cells = (one.subject, one.modality or "all", one.procedure_name or "none", by, since)
        table.add_row(*map(Text, (*cells, one.because or "")))
    out.print(table if found else "No name was mapped yet.")


def history(
    name: Annotated[str | None, typer.Argument(help="Only this name.")] = None, json: Json = False
) -> None:
    """Show every decision about names, and how many exams each renamed.

    dose map history
    dose map history "Spezial 7 b" --json

    Exit codes: 0, 4 store.
    """
    con = dose_lib.connect(settings=settings())
    show_frame(name_history(con, name), json, empty="No decision about names was taken yet.")


def recompute(because: Because, author: Author = None) -> None:
    """Name all stored exams anew: after an upgrade or a change of procedures.toml or threshold.

    Sizes and derived doses are computed anew, too. What exams were called before stays known, so
    that earlier results can be given again.

    dose map recompute --because "version 0.2 of the catalogue"

    Exit codes: 0, 4 store.
    """
    name_anew(author=who(author), because=because, settings=settings())
    say("Stored exams are named anew; `dose map history` says how many changed.")


def learn(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be learned, and change nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Take those of the waiting names that differ from a known one by spelling alone.

    dose map learn --dry-run
    dose map learn

    Exit codes: 0, 4 store.
    """
    here = settings()
    con = dose_lib.connect(settings=here)
    found = learn_names(con, settings=here, dry_run=dry_run)
    if json:
        print_json(found)
        return
    for one in found:
        said = one.payload
        say(f"'{one.subject}' is {said['procedure_name']} ({said['confidence']}): "
            f"{said['evidence']}")  # fmt: skip
    verb = "would be" if dry_run else "were"
    say(f"{len(found)} names {verb} learned; `dose map undo` takes one back.")


def mismatches(
    days: Annotated[int, typer.Option(min=1, help="Days looked back.")] = 84,
    device: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    exams: Annotated[bool, typer.Option("--exams", help="Exam by exam.")] = False,
    json: Json = False,
) -> None:
    """Show exams whose words and acquisitions disagree: region, length, phases.

    dose map mismatches
    dose map mismatches --exams --days 28 --device "Scanner 2"

    Exit codes: 0, 4 store.
    """
    con = dose_lib.connect(settings=settings())
    scope: dict[str, Any] = {"start": _first_day(con, days), "device": device}
    rows = documentation_mismatches(con, **scope) if exams else mismatch_counts(con, **scope)
    show_frame(rows, json, empty="In no exam do words and acquisitions disagree.")


def _first_day(con: Any, days: int) -> date | None:
    studies = con.table("studies")
    last = studies.aggregate(last=studies.started_at.max()).to_pyarrow().to_pylist()[0]["last"]
    return None if last is None else last.date() - timedelta(days=days - 1)


def _modality_of(con: Any, name: str) -> str:
    """The modality a name stands in, if it is one."""
    from dose_lib.mapping import modalities_of

    found = modalities_of(con, name)
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"no exam bears the name {name!r}", todo="See `dose map review`")
    raise UsageError(f"{name!r} stands in {', '.join(found)}", todo="Say which with --modality")


# ---- in a terminal --------------------------------------------------------------------------


def _ask_each(con: Any, names: Sequence[WaitingName], author: str) -> None:
    say(f"{len(names)} names wait. For each: a number, a procedure's name, 'none' (no procedure), "
        "Enter to skip, q to stop.")  # fmt: skip
    for number, name in enumerate(names, 1):
        _show(name, f"{number} of {len(names)}")
        while True:
            answer = typer.prompt("Means", default="", show_default=False).strip()
            if answer == "q":
                return
            if not answer or _decide(con, name, answer, author):
                break


def _decide(con: Any, name: WaitingName, answer: str, author: str) -> bool:
    """Show the effect, ask, decide; False to be asked again."""
    here = settings()
    wanted = _meant(name, answer)
    try:
        effect = effect_of(con, name.subject, wanted, modality=name.modality, settings=here)
    except UsageError as error:
        say(str(error))
        return False
    say(f"  → {wanted or 'no procedure'}: {effect.in_words()}")
    if not typer.confirm("  Accept?", default=False):
        return False
    because = typer.prompt("  Because")
    accept_name(
        name.subject, wanted, author=author, because=because, modality=name.modality, settings=here
    )
    return True


def _meant(name: WaitingName, answer: str) -> str | None:
    if answer.isdigit() and 1 <= int(answer) <= len(name.suggestions):
        return name.suggestions[int(answer) - 1].procedure_name
    return None if answer.casefold() == "none" else answer


def _show(name: WaitingName, place: str) -> None:
    out.print()
    line = f"'{name.text}' · {name.modality} · {name.n_exams:,} exams · {', '.join(name.devices)}"
    out.print(Text.assemble((line, "bold"), f"  ({place})"))
    if name.regions:
        say(f"  irradiated: {', '.join(name.regions)}")
    for number, one in enumerate(name.suggestions, 1):
        say(f"  {number}  {one.procedure_name}  {one.confidence:.2f}  {one.evidence}")
    if not name.suggestions:
        say("  nothing like it is known")


# ---- lists ----------------------------------------------------------------------------------


def new_table(*heads: str) -> Table:
    """An empty table in the style of all lists."""
    table = Table(box=box.SIMPLE_HEAD)
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


def _waiting_table(names: Sequence[WaitingName]) -> Table:
    table = new_table("name", "modality", "exams", "perhaps", "sure", "because")
    for name in names:
        best = name.best
        perhaps = ("", "", "") if best is None else (
            best.procedure_name, f"{best.confidence:.2f}", best.evidence
        )  # fmt: skip
        table.add_row(*map(Text, (name.text, name.modality, f"{name.n_exams:,}", *perhaps)))
    return table


def show_frame(rows: pd.DataFrame, as_json: bool, *, empty: str) -> None:
    """Rows as a table or as JSON."""
    if as_json:
        typer.echo(rows.to_json(orient="records", date_format="iso", indent=2))
        return
    if rows.empty:
        say(empty)
        return
    table = new_table(*(str(c).replace("_", " ") for c in rows.columns))
    for row in rows.itertuples(index=False):
        table.add_row(*(Text(_cell(value)) for value in row))
    out.print(table)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return "" if str(value) == "NaT" else f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, bool) or str(type(value).__name__) == "bool":
        return "yes" if value else "no"
    if isinstance(value, float):
        return "" if value != value else f"{value:g}"  # noqa: PLR0124 - NaN
    if hasattr(value, "tolist"):
        return (
            ", ".join(str(v) for v in value.tolist()) if hasattr(value, "__len__") else str(value)
        )
    return "" if value is None else str(value)


def print_json(value: Any) -> None:
    """Any record as JSON."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value)).decode())


def _plain(name: WaitingName) -> dict[str, Any]:
    return {
        **msgspec.structs.asdict(name),
        "suggestions": [s._asdict() for s in name.suggestions],
    }


def add_to(app: typer.Typer) -> None:
    """Put `dose map` into a command."""
    group = typer.Typer(no_args_is_help=True, help="What names mean here: review, accept, undo.")
    for name, command in (
        ("review", review),
        ("accept", accept),
        ("undo", undo),
        ("list", list_names),
        ("history", history),
        ("learn", learn),
        ("recompute", recompute),
        ("mismatches", mismatches),
    ):
        group.command(name, help=help_of(command))(command)
    app.add_typer(group, name="map")
