"""`dose identify` and `dose vault`: who is behind a key, for those who may know.

`add_to(app)` puts the commands into the `dose` command.
"""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich import box
from rich.table import Table
from rich.text import Text

from dose_lib.errors import UsageError
from dose_lib.vault import Client, add_person
from dose_lib.vault.payloads import Cause, Scope
from dose_lib.vault.people import Role
from dose_lib.vault.records import AuditRow, Identification
from dose_lib.vault.search import By
from pipelines.commands.terminal import err, help_of, out, settings

Reason = Annotated[
    str, typer.Option("--reason", help="Why; kept in the audit with your name. Name nobody here.")
]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
Key = Annotated[str, typer.Argument(help="A patient_key or staff_key, in full.")]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="YYYY-MM-DD.")]

_HIDDEN_IN_TABLE = ("first_seen", "last_seen")


def identify(
    keys: Annotated[
        list[str],
        typer.Argument(help="patient_key, part_key or operator key; 8 digits are enough."),
    ],
    reason: Reason,
    json: Json = False,
) -> None:
    """Show whom pseudonymous keys stand for, if your role allows it; the look-up is recorded.

    dose identify 3f9a0c21b7d4 --reason "dose above trigger, protocol review"
    dose identify 3f9a0c21b7d4 --reason "incident 2026-17" --json

    Exit codes: 0, 2 no key, 11 the vault, 12 refused.
    """
    found = Client(settings()).identify(keys, reason)
    if json:
        _print_json(found)
        return
    for one in found:
        _show(one)


def search(
    by: Annotated[By, typer.Argument(help="What to search by.")],
    value: Annotated[str, typer.Argument(help="A number in full, or the beginning of names.")],
    reason: Reason,
    json: Json = False,
) -> None:
    """Find the key of someone by name or number.

    dose vault search patient_id PZ-778-341 --reason "request for erasure"
    dose vault search accession_number A90210 --reason "question of the referrer"

    Exit codes: 0, 2 too little or too much fits, 11 the vault, 12 refused.
    """
    found = Client(settings()).search(by, value, reason)
    if json:
        _print_json(found)
        return
    table = _table("", "key", by.value.replace("_", " "), "first seen", "last seen")
    for one in found:
        table.add_row(
            one.kind,
            one.key,
            Text(one.found),
            f"{one.first_seen:%Y-%m-%d}",
            f"{one.last_seen:%Y-%m-%d}",
        )
    out.print(table if found else "Nobody is known by this.")


def merge(surviving: Key, losing: Key, reason: Reason) -> None:
    """Make two patients one, as the hospital's systems did; both keys stay valid.

    dose vault merge SURVIVING_KEY LOSING_KEY --reason "merged in the PAS, ticket 881"

    Exit codes: 0, 2 no keys, 11 the vault, 12 refused.
    """
    Client(settings()).merge(surviving, losing, reason)
    out.print("They are one patient now. `dose vault unmerge` takes it back.")


def unmerge(surviving: Key, losing: Key, reason: Reason) -> None:
    """Take back the merge of two patients.

    dose vault unmerge SURVIVING_KEY LOSING_KEY --reason "merged by mistake"

    Exit codes: 0, 2 no keys, 11 the vault, 12 refused.
    """
    Client(settings()).unmerge(surviving, losing, reason)
    out.print("They are two patients again.")


def erase(
    key: Key,
    reason: Reason,
    cause: Annotated[Cause, typer.Option(help="What gave rise to it.")] = "request",
    scope: Annotated[
        Scope, typer.Option(help="identities, or everything: the doses and received objects too.")
    ] = "identities",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase a patient, or a member of staff, for good.

    Everything of theirs until now; a later visit is kept as of anyone. What comes late from
    before, or from a rebuild, stays out.

    dose vault erase PATIENT_KEY --reason "request of 4 May, letter 17" --scope everything

    Exit codes: 0, 1 not confirmed, 2 no key, 11 the vault, 12 refused.
    """
    if not yes:
        typer.confirm(f"Erase {key[:12]}… for good ({scope})?", abort=True)
    done = Client(settings()).erase(key, reason, cause=cause, scope=scope)
    out.print(
        f"Erased from the vault: {len(done.patient_keys) or 1} key(s), {len(done.part_keys)}"
        f" exam(s). {len(done.objects)} received object(s) tell of them."
    )


def audit(
    *,
    since: Day = None,
    until: Day = None,
    key: Annotated[str | None, typer.Option(help="Only look-ups of this key.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    to_csv: Annotated[Path | None, typer.Option("--csv", help="Write a CSV file.")] = None,
    json: Json = False,
) -> None:
    """Show who looked up, searched, merged or erased whom, when and why; the newest first.

    dose vault audit --since 2026-05-01
    dose vault audit --csv audit.csv --limit 100000

    Exit codes: 0, 11 the vault, 12 refused.
    """
    chosen = settings()
    zone = ZoneInfo(chosen.timezone)
    rows = Client(chosen).audit(
        since=since and since.replace(tzinfo=zone),
        until=until and until.replace(tzinfo=zone) + timedelta(days=1),
        key=key,
        limit=limit,
    )
    if to_csv is not None:
        _write_csv(to_csv, rows)
        out.print(f"{len(rows)} rows in {to_csv}", markup=False)
    elif json:
        _print_json(rows)
    else:
        out.print(_audit_table(rows, zone))


def check(json: Json = False) -> None:
    """Show what the vault holds, in numbers, and check that no row of its audit was changed.

    dose vault check

    Exit codes: 0 all fits, 11 a row was changed, or the vault.
    """
    client = Client(settings())
    n_rows, head = client.verify()
    facts = client.status()
    if json:
        _print_json(facts)
        return
    table = _table(*(n.removeprefix("n_").replace("_", " ") for n in _NUMBERS))
    table.add_row(*(str(getattr(facts, name)) for name in _NUMBERS))
    out.print(table)
    out.print(f"{n_rows} rows of the audit form an unbroken chain; its head is {head[:16]}.")
    if facts.n_unopened:
        err.print(f"{facts.n_unopened} file(s) could not be opened: was the key replaced?")


_NUMBERS = ("n_patients", "n_exams", "n_staff", "n_objects", "n_waiting", "n_unopened")


def allow(
    name: Annotated[str, typer.Argument(help="As the audit shall name the person.")],
    role: Annotated[Role, typer.Option(help="What they may do.")],
    account: Annotated[
        str | None, typer.Option(help="Their account on this machine; without it a token is made.")
    ] = None,
    until: Day = None,
) -> None:
    """Add a person to site/people.toml: who may look up identities.

    admin: all. physicist: patients, exams, search. radiographer: numbers of an exam.

    dose vault allow "P. Physicist" --role physicist --account pphys
    dose vault allow "Locum" --role radiographer --until 2026-12-31

    Exit codes: 0, 2 the account is listed already.
    """
    chosen = settings()
    if role is Role.SERVICE:
        raise UsageError("the role `service` belongs to DoseLoop itself")
    last = until.date() if until else None
    token = add_person(chosen, name, role, user=account, until=last)
    out.print(f"{name}: {role.value}, in {chosen.people_file}", markup=False)
    if token is not None:
        out.print("Their token, shown this once; they set it as DOSE_PERSON_TOKEN:")
        out.print(token, markup=False)


def rekey(reason: Reason) -> None:
    """Encrypt the vault with a fresh key; back up keys/vault.key again afterwards.

    dose vault rekey --reason "yearly change"

    Exit codes: 0, 11 the vault, 12 refused.
    """
    chosen = settings()
    Client(chosen, timeout=600).rekey(reason)
    out.print(f"Done. Back up {chosen.keys_dir / 'vault.key'} now.", markup=False)


def add_to(app: typer.Typer) -> None:
    """Put these commands into the `dose` command."""
    vault = typer.Typer(
        no_args_is_help=True, help="Identities: who is behind a key, and who asked."
    )
    app.add_typer(vault, name="vault")
    app.command("identify", help=help_of(identify))(identify)
    for command in (search, merge, unmerge, erase, audit, check, allow, rekey):
        vault.command(command.__name__, help=help_of(command))(command)


def _show(one: Identification) -> None:
    if not one.is_known:
        out.print(f"{one.key}: nothing is known; never received, erased or expired.", markup=False)
        return
    title = f"{one.kind} {one.key}"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for record in (*one.patients, *one.exams, *one.staff):
        for name, value in msgspec.to_builtins(record).items():
            if value and name not in _HIDDEN_IN_TABLE:
                table.add_row(name.replace("_", " "), Text(_plain(value)))
        table.add_row("seen", _period(record), end_section=True)
    out.print(table)
    if len(one.patient_keys) > 1:
        out.print(f"Merged from {len(one.patient_keys)} keys: {', '.join(one.patient_keys)}")


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(_plain(v) for v in value)
    if isinstance(value, dict):
        return ", ".join(str(v) for v in value.values() if v)
    return str(value)


def _period(record: Any) -> str:
    first, last = (f"{getattr(record, name):%Y-%m-%d}" for name in _HIDDEN_IN_TABLE)
    return first if first == last else f"{first} to {last}"


def _audit_table(rows: tuple[AuditRow, ...], zone: ZoneInfo) -> Table:
    table = _table("when", "who", "role", "what", "whom", "outcome", "why")
    for row in rows:
        table.add_row(
            f"{row.asked_at.astimezone(zone):%Y-%m-%d %H:%M:%S}",
            Text(f"{row.person} ({row.os_user})"),
            row.role,
            row.action,
            row.key[:16],
            row.outcome,
            Text(row.reason),
        )
    return table


def _table(*heads: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


def _write_csv(path: Path, rows: tuple[AuditRow, ...]) -> None:
    if path.exists():
        raise UsageError("the file exists already", where=str(path))
    with path.open("x", encoding="utf-8", newline="") as file:
        path.chmod(0o600)
        writer = csv.writer(file)
        writer.writerow(AuditRow.__struct_fields__)
        for row in rows:
            values = msgspec.to_builtins(row)
            writer.writerow([_harmless(values[n]) for n in AuditRow.__struct_fields__])


def _harmless(value: object) -> object:
    """A cell that a spreadsheet does not take for a formula."""
    text = str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _print_json(content: object) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(content)))
