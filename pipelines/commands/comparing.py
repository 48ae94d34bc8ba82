"""`dose compare`: a practice against reference levels, each verdict with its reason.

`add_to(app)` puts the command into the `dose` command.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer
from rich.text import Text

from dose_lib import Settings, compare_practice, connect
from dose_lib.errors import UsageError, did_you_mean
from pipelines.commands.terminal import help_of, out, plain, say, settings, table_of

if TYPE_CHECKING:
    from dose_lib.compare import Comparison, Verdict

_STYLES = {
    "within": "green",
    "optimise": "yellow",
    "exceeds": "red",
    "consistently_exceeds": "bold red",
    "no_verdict": "dim",
}
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="YYYY-MM-DD.")]


def compare(
    procedure: Annotated[
        list[str] | None, typer.Argument(help="As in 'CT Chest'; default: all that occur.")
    ] = None,
    *,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], help="Last day; default yesterday."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="Instead of --from: so many days.")] = 90,
    kind: Annotated[
        str,
        typer.Option(
            help="drl (local, else national, else European), national, local, european, "
            "achievable or study."
        ),
    ] = "drl",
    quantity: Annotated[
        list[str] | None, typer.Option(help="dlp, ctdi_vol, kap, ...; default all.")
    ] = None,
    room: Annotated[str | None, typer.Option(help="Only this room.")] = None,
    device: Annotated[str | None, typer.Option(help="Only this device.")] = None,
    site: Annotated[str | None, typer.Option(help="Only this facility.")] = None,
    indication: Annotated[str | None, typer.Option(help="Which of several levels.")] = None,
    contrast: Annotated[str | None, typer.Option(help="with, without or both.")] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="The answer as it was then, site's time."
        ),
    ] = None,
    judged: Annotated[bool, typer.Option("--judged", help="Without `no verdict`.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Write the whole table to this file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Compare medians with reference levels, by procedure, size band and room.

    Every exam of the period is in one of the rows: judged, or with the reason why not.

    dose compare "CT Chest" --days 90
    dose compare --from 2026-07-01 --to 2026-09-30 --kind national --csv quarter.csv
    dose compare "CT Head" --as-of 2026-03-01

    Exit codes: 0, 2 unknown kind or quantity, 4 store, 7 reference levels.
    """
    chosen = settings()
    start, end = _days(chosen, first, last, days)
    names, wanted = _procedures(chosen, procedure), _quantities(quantity)
    of_kind = _kind(kind)
    found = compare_practice(
        connect(settings=chosen),
        procedure_name=names,
        start=start,
        end=end,
        kind=of_kind,
        quantities=wanted,
        room=room,
        device=device,
        site=site,
        indication=indication,
        contrast=contrast,
        settings=chosen,
        as_of=as_of and as_of.replace(tzinfo=ZoneInfo(chosen.timezone)),
    )
    if judged:
        found = found._replace(
            verdicts=tuple(v for v in found.verdicts if v.status != "no_verdict")
        )
    _show(found, csv, json=json)


def _show(found: Comparison, csv: Path | None, *, json: bool) -> None:
    if csv is not None:
        found.to_frame().to_csv(csv, index=False)
        say(f"Written: {csv} ({len(found.verdicts)} rows)")
    elif json:
        typer.echo(found.to_frame().to_json(orient="records", indent=2, date_format="iso"))
    else:
        _print(found)


def _print(found: Comparison) -> None:
    table = table_of(
        "procedure", "band", "where", "n", "median (95 % CI)", "level", "verdict", "because"
    )
    for v in found.verdicts:
        verdict = Text(v.status.value.replace("_", " "), _STYLES[v.status.value])
        row = plain(v.procedure_name, v.band, v.name, v.figures.n or v.n_all, _median(v), _level(v))
        table.add_row(*row, verdict, *plain(_because(v)))
    out.print(table)
    rule = found.rule
    counts: dict[str, int] = {}
    for v in found.verdicts:
        counts[v.status.value] = counts.get(v.status.value, 0) + 1
    told = ", ".join(f"{n} {s.replace('_', ' ')}" for s, n in sorted(counts.items()))
    say(f"{rule.start} to {rule.end}: {told or 'no exams'}.")


def _median(v: Verdict) -> str:
    f = v.figures
    if f.median is None:
        return ""
    interval = "" if f.ci_low is None else f" ({f.ci_low:.4g} to {f.ci_high:.4g})"
    return f"{v.quantity.value} {f.median:.4g}{interval} {v.dose_unit}"


def _level(v: Verdict) -> str:
    """Value, whose it is, and how sure it is."""
    if v.level is None:
        return ""
    signed = f", signed off by {v.level.signed_by}" if v.level.signed_by else ""
    sure = v.level.confidence.value.replace("-", " ")
    return f"{v.level.value:g} {v.level.set_id} {v.level.edition} ({sure}{signed})"


def _because(v: Verdict) -> str:
    if v.reason is not None:
        return v.text or v.reason.value
    ratio = "" if v.ratio is None else f"median is {v.ratio:.2f} of the level"
    before = f"; the period before: {v.previous.value.replace('_', ' ')}" if v.previous else ""
    return ratio + before + "".join(f"; {n}" for n in v.notes)


def _days(
    chosen: Settings, first: datetime | None, last: datetime | None, days: int
) -> tuple[date, date]:
    today = datetime.now(ZoneInfo(chosen.timezone)).date()
    end = last.date() if last else today - timedelta(days=1)
    start = first.date() if first else end - timedelta(days=days - 1)
    if start > end:
        raise UsageError(f"the period ends before it begins ({start} to {end})")
    return start, end


def _procedures(chosen: Settings, given: list[str] | None) -> list[str] | None:
    from dose_lib.normalise import catalogue, projections, read_site

    known = {*catalogue(), *projections(), *read_site(chosen).regions}
    for name in given or ():
        if name not in known:
            raise UsageError(f"unknown procedure {name!r}", todo=did_you_mean(name, known))
    return given or None


def _kind(name: str) -> str:
    from dose_lib.reference import Kind

    known = ("drl", *(k.value for k in Kind))
    if name not in known:
        raise UsageError(f"unknown kind {name!r}", todo=did_you_mean(name, known))
    return name


def _quantities(names: list[str] | None) -> Sequence[str]:
    from dose_lib.compare import QUANTITIES
    from dose_lib.reference import Quantity

    for name in names or ():
        if name not in tuple(Quantity):
            raise UsageError(
                f"unknown quantity {name!r}", todo=did_you_mean(name, [q.value for q in Quantity])
            )
    return names or QUANTITIES


def add_to(app: typer.Typer) -> None:
    """Put this command into the `dose` command."""
    app.command("compare", help=help_of(compare))(compare)
