"""`dose drl`: reference levels held, imported, signed off, made from the site's own data.

`add_to(app)` puts the commands into the `dose` command.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from dose_lib import Settings, connect, load_levels, submit_decision
from dose_lib.errors import LevelError, UsageError
from pipelines.commands.terminal import help_of, out, plain, say, settings, table_of

if TYPE_CHECKING:
    from dose_lib.compare import LocalLevels
    from dose_lib.records import Decision
    from dose_lib.reference import Level

By = Annotated[str, typer.Option("--by", help="Who decides; kept with the decision.")]
Note = Annotated[str | None, typer.Option(help="What was checked, against which copy.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
First = Annotated[
    datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day of the data.")
]
Last = Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.")]
Procedures = Annotated[
    list[str] | None, typer.Option("--procedure", "-p", help="Only this; may be repeated.")
]
Site = Annotated[str | None, typer.Option(help="One facility; default all.")]
How = Annotated[
    str | None,
    typer.Option("--method", help="typical, p75_of_rooms, p75_of_patients; default by rooms."),
]
ByDevice = Annotated[bool, typer.Option("--by-device", help="Count devices, not rooms.")]


def drl_list(
    kind: Annotated[str | None, typer.Option(help="national, local, european, ...")] = None,
    country: Annotated[str | None, typer.Option(help="ISO code, such as GB.")] = None,
    json: Json = False,
) -> None:
    """Show the sets of reference levels, and how many rows of each give verdicts here.

    dose drl list --country GB

    Exit codes: 0, 4 store, 7 a file of the site cannot be read.
    """
    rows = [
        _of_set(levels)
        for levels in _by_edition(_library()).values()
        if kind in (None, levels[0].kind.value) and country in (None, levels[0].country or "")
    ]
    if json:
        _print_json(rows)
        return
    table = table_of("set", "edition", "kind", "country", "from", "to", "rows", "in use", "by")
    for row in rows:
        table.add_row(*plain(*row.values()))
    out.print(table)
    say("In use: rows that give verdicts; the others wait for `dose drl sign` (`dose drl show`).")


def _by_edition(levels: Iterable[Level]) -> dict[tuple[str, str], list[Level]]:
    found: dict[tuple[str, str], list[Level]] = defaultdict(list)
    for level in levels:
        found[level.set_id, level.edition].append(level)
    return found


def _of_set(levels: Sequence[Level]) -> dict[str, Any]:
    from dose_lib.reference import unusable

    first = levels[0]
    usable = [x for x in levels if unusable(x) is None and x.is_comparable]
    return {
        "set": first.set_id,
        "edition": first.edition,
        "kind": first.kind.value,
        "country": first.country,
        "valid_from": first.valid_from,
        "valid_to": first.valid_to,
        "rows": len(levels),
        "in_use": len(usable),
        "signed_by": ", ".join(sorted({x.signed_by for x in levels if x.signed_by})) or None,
    }


def drl_show(
    name: Annotated[str, typer.Argument(help="A set, or a procedure as in 'CT Chest'.")],
    json: Json = False,
) -> None:
    """Show the rows of a set, or all levels for a procedure, and why a row gives no verdict.

    dose drl show GB-UKHSA-NDRL
    dose drl show "CT Chest"

    Exit codes: 0, 4 store, 7 there is no such set or procedure.
    """
    from dose_lib.errors import did_you_mean

    library = _library()
    rows = [x for x in library if name in (x.set_id, x.procedure_name)]
    if not rows:
        known = {x.set_id for x in library} | {x.procedure_name or "" for x in library}
        raise LevelError(f"no set and no procedure {name!r}", todo=did_you_mean(name, known))
    if json:
        _print_json([{**msgspec.to_builtins(x), "in_use": _state(x)} for x in rows])
        return
    _print_levels(rows)


def _print_levels(rows: Iterable[Level]) -> None:
    table = table_of("row", "examination", "for", "level", "per", "confidence", "in use")
    for x in rows:
        what = ", ".join(w for w in (x.source_procedure, x.indication, x.contrast) if w)
        phantom = f" ({x.phantom})" if x.phantom else ""
        value = f"{x.quantity} {x.value:g} {x.unit}{phantom} {x.statistic}"
        cells = (x.row_id, what, x.band, value, x.per.value, x.confidence.value, _state(x))
        table.add_row(*plain(*cells))
    out.print(table)


def _state(level: Level) -> str:
    from dose_lib.reference import unusable

    if not level.is_comparable:
        return f"no: {level.detail or level.kind.value}"
    if barred := unusable(level):
        return f"no: {barred.text}".replace(f"{level.row_id} ", "")
    return f"signed off by {level.signed_by}" if level.signed_by else "yes"


def drl_template(
    file: Annotated[Path | None, typer.Argument(help="File to write; default: print it.")] = None,
) -> None:
    """Write a file of levels to begin with; columns are told in docs/reference_levels.md.

    dose drl template levels.csv

    Exit codes: 0, 2 the file is there already.
    """
    from dose_lib.reference import template

    if file is None:
        typer.echo(template(), nl=False)
        return
    if file.exists():
        raise UsageError("the file is there already", where=str(file))
    file.write_text(template(), encoding="utf-8")
    say(f"Written: {file}")


def drl_import(
    file: Annotated[Path, typer.Argument(help="CSV in the template's columns.")],
    name: Annotated[str | None, typer.Option("--as", help="Under which name it is kept.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Instead of the one here.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only read it.")] = False,
    json: Json = False,
) -> None:
    """Take in the site's own levels, or national ones that we do not hold.

    Nothing is taken from a file with a fault; every fault is told with line and column.

    dose drl import levels.csv --check
    dose drl import levels.csv

    Exit codes: 0 taken in, 2 the name is taken, 7 a line cannot be read.
    """
    from dose_lib.reference import import_levels

    done = import_levels(settings(), file, name=name, is_replacing=replace, is_check=check)
    if json:
        _print_json(done.levels)
        return
    _print_levels(done.levels)
    verb = "read without a fault" if check else "replaced" if done.is_replaced else "taken in"
    where = f"; nothing was kept of {file}" if check else f": {done.file}"
    say(f"{len(done.levels)} levels {verb}{where}")


def drl_sign(
    name: Annotated[str, typer.Argument(metavar="SET", help="As `dose drl list` names it.")],
    by: By,
    *,
    row: Annotated[
        list[str] | None, typer.Option(help="Only this row; may be repeated. Default: all.")
    ] = None,
    phantom: Annotated[
        str | None, typer.Option(help="16cm or 32cm, of rows whose source names none.")
    ] = None,
    also_for: Annotated[
        list[str] | None, typer.Option(help="Procedure the rows are for here, besides their own.")
    ] = None,
    note: Note = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take a sign-off back.")] = False,
    yes: Yes = False,
) -> None:
    """Sign off rows after comparing them with the publication; only then do they give verdicts.

    A sign-off is of the value that is shown, and lapses when the row is corrected.

    dose drl sign GB-UKHSA-NDRL --by "A. Physicist" --note "page of 20 Nov 2024"

    Exit codes: 0 signed, 1 not confirmed, 4 store, 7 there is no such set or row.
    """
    from dose_lib.reference import sign_off

    chosen = settings()
    library = _library(chosen)
    decision = sign_off(
        library, name, author=by, rows=row, phantom=phantom, also_for=also_for or (), note=note,
        is_revoked=revoke,
    )  # fmt: skip
    rows: Any = decision.payload["rows"]
    _print_levels(x for x in library if x.row_id in rows)
    verb = "Take back the sign-off of" if revoke else "Sign off"
    _decide(chosen, (decision,), f"{verb} these {len(rows)} rows of {name} as {by}?", yes=yes)


def drl_local(
    first: First,
    last: Last,
    *,
    procedure: Procedures = None,
    site: Site = None,
    method: How = None,
    by_device: ByDevice = False,
    typical: Annotated[
        bool, typer.Option("--typical", help="The value of each room or device instead.")
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Write them to this file.")] = None,
    json: Json = False,
) -> None:
    """Show the levels that the site's own data suggest: median, its interval, quartiles, n.

    dose drl local --from 2025-01-01 --to 2025-12-31
    dose drl local --from 2025-01-01 --to 2025-12-31 -p "CT Chest" --typical --by-device

    Exit codes: 0, 4 store.
    """
    proposed = _proposals(first, last, procedure, site, method, by_device=by_device)
    frame = proposed.typical_values() if typical else proposed.to_frame()
    if csv is not None:
        frame.to_csv(csv, index=False)
        say(f"Written: {csv} ({len(frame)} rows)")
        return
    if json:
        typer.echo(frame.to_json(orient="records", indent=2, date_format="iso"))
        return
    table = table_of(*frame.columns)
    for cells in frame.astype(object).where(frame.notna(), "").itertuples(index=False):
        table.add_row(*plain(*(f"{c:.4g}" if isinstance(c, float) else c for c in cells)))
    out.print(table)
    say("`dose drl adopt` makes them the site's own levels.")


def _proposals(
    first: datetime,
    last: datetime,
    procedures: list[str] | None,
    site: str | None,
    method: str | None,
    *,
    by_device: bool,
) -> LocalLevels:
    from dose_lib.compare import Method, local_levels

    if method is not None and method not in tuple(Method):
        raise UsageError(f"unknown method {method!r}", expected=", ".join(Method))
    return local_levels(
        connect(settings=settings()),
        start=first.date(),
        end=last.date(),
        procedure_name=procedures or None,
        site=site,
        method=method,
        by_device=by_device,
        settings=settings(),
    )


def drl_adopt(
    name: Annotated[str, typer.Argument(metavar="SET", help="Name of the site's set.")],
    by: By,
    first: First,
    last: Last,
    valid_from: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="First day of exams they are for.")
    ],
    *,
    edition: Annotated[str | None, typer.Option(help="Default: the day it holds from.")] = None,
    procedure: Procedures = None,
    site: Site = None,
    method: How = None,
    digits: Annotated[int, typer.Option(min=1, help="Significant digits.")] = 3,
    note: Note = None,
    yes: Yes = False,
) -> None:
    """Make the proposals of `dose drl local` the site's levels, as a signed, dated edition.

    A later edition of the same set ends the one before; `dose drl withdraw` undoes it.

    dose drl adopt MAIN-LOCAL --by "A. Physicist" --from 2025-01-01 --to 2025-12-31
    --valid-from 2026-02-01

    Exit codes: 0 adopted, 1 not confirmed, 4 store, 7 there is nothing to adopt.
    """
    proposed = _proposals(first, last, procedure, site, method, by_device=False)
    decisions = proposed.adopt(
        name,
        author=by,
        valid_from=valid_from.date(),
        edition=edition,
        digits=digits,
        note=note,
    )
    from dose_lib.reference import adopted_levels

    levels = adopted_levels(decisions)
    _print_levels(levels)
    _decide(settings(), decisions, f"Adopt these {len(levels)} levels as {by}?", yes=yes)


def drl_withdraw(
    name: Annotated[str, typer.Argument(metavar="SET", help="Name of the site's set.")],
    edition: Annotated[str, typer.Argument(help="Its edition.")],
    by: By,
    *,
    note: Note = None,
    yes: Yes = False,
) -> None:
    """Take an adopted edition back; the one before is in force again.

    dose drl withdraw MAIN-LOCAL 2026-02-01 --by "A. Physicist" --note "wrong period"

    Exit codes: 0 withdrawn, 1 not confirmed, 4 store, 7 there is no such edition.
    """
    from dose_lib.reference import ADOPTION, adopted_levels, read_decisions, revoke

    chosen = settings()
    held = adopted_levels(read_decisions(connect(settings=chosen), ADOPTION))
    rows = [x for x in held if (x.set_id, x.edition) == (name, edition)]
    if not rows:
        known = ", ".join(sorted({f"{x.set_id} {x.edition}" for x in held})) or "none"
        raise LevelError(f"no adopted edition {name} {edition}", expected=known)
    _print_levels(rows)
    decision = revoke(name, edition, author=by, note=note)
    _decide(chosen, (decision,), f"Withdraw these {len(rows)} levels as {by}?", yes=yes)


def _decide(chosen: Settings, decisions: Sequence[Decision], question: str, *, yes: bool) -> None:
    if not yes and not typer.confirm(question):
        raise typer.Exit(1)
    kept = submit_decision(chosen, *decisions)
    at = next((d.decided_at for d in kept if d.decided_at), None)
    say(f"Decided by {kept[0].author} at {at:%Y-%m-%d %H:%M %Z}." if at else "Decided.")


def _library(chosen: Settings | None = None) -> tuple[Level, ...]:
    chosen = chosen or settings()
    con = connect(settings=chosen) if chosen.store_file.exists() else None
    return load_levels(chosen, con=con)


def _print_json(content: object) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(content)))


def add_to(app: typer.Typer) -> None:
    """Put these commands into the `dose` command."""
    drl = typer.Typer(no_args_is_help=True, help="Diagnostic reference levels.")
    app.add_typer(drl, name="drl")
    for command, name in (
        (drl_list, "list"),
        (drl_show, "show"),
        (drl_template, "template"),
        (drl_import, "import"),
        (drl_sign, "sign"),
        (drl_local, "local"),
        (drl_adopt, "adopt"),
        (drl_withdraw, "withdraw"),
    ):
        drl.command(name, help=help_of(command))(command)
