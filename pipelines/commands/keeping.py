"""`dose backup`, `dose restore`, `dose rebuild`, `dose retention`: what is kept, and for how long.

`add_to(app)` puts the commands into the `dose` command.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich import box
from rich.table import Table

from dose_lib import DoseError, Settings
from dose_lib.errors import ServiceError
from pipelines.commands.terminal import err, help_of, out, progress_bars, say, settings

Folder = Annotated[Path, typer.Argument(help="Folder of the backup.")]
if TYPE_CHECKING:
    from pipelines.keeping import Due

_VAULT = "vault"
_COPIED = ("site", "doseloop.toml")


def backup(folder: Folder) -> None:
    """Copy store, journals, base, identities and the site's files into a new folder.

    Works while the service runs: commits wait while the file is copied, readers do not notice.
    Identities stay encrypted. Keys are not in it: back up keys/ apart, on another medium. The
    archive is plain files that never change: copy archive/ by any means, such as rsync.

    dose backup /mnt/backup/2026-11-22

    Exit codes: 0 whole, 2 the folder has something in it, 4 store, 6 service, 11 identities are
    missing in it.
    """
    from dose_lib.store import backup_store

    here, target = settings(), folder.expanduser().absolute()
    manifest = backup_store(target, here)
    for name in _COPIED:
        _copy(here.home / name, target / name)
    size = sum(f.size_bytes for f in manifest.files)
    say(f"{len(manifest.files)} files of the store, {size / 1e6:.1f} MB, in {target}")
    if (here.vault_dir / "identities.duckdb").exists() or _is_sealed(here):
        _copy_vault(here, target / _VAULT)
    say(f"Not in it: {here.archive_dir}, and {here.keys_dir}, which is backed up apart.")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.exists():
        shutil.copy2(source, target)


def _is_sealed(here: Settings) -> bool:
    """True if identities wait that no vault has taken in yet."""
    from dose_lib.vault import Inbox

    return here.vault_dir.exists() and bool(Inbox(here).waiting())


def _copy_vault(here: Settings, folder: Path) -> None:
    from dose_lib.store.keyfile import private_folder
    from dose_lib.vault import Client

    file = private_folder(folder) / "identities.duckdb"
    try:
        client = Client(here, timeout=600)
        while client.drain():  # what waits belongs to the exams that were copied
            pass
        client.copy_to(file)
    except DoseError as error:
        say("The backup holds no identities:", to=err)
        raise error
    say(f"Identities, encrypted, {file.stat().st_size / 1e6:.1f} MB.")


def restore(folder: Folder) -> None:
    """Put a backup in the place of the store; what was there is kept under another name.

    Decisions made since the backup stay, from the journal. Identities and the site's files are
    put back where there are none. No service may run.

    dose restore /mnt/backup/2026-11-22

    Exit codes: 0, 4 no whole backup, or the store is in use, 6 the service runs.
    """
    from dose_lib.store import restore as put_back
    from dose_lib.store.keyfile import private_folder
    from pipelines.status import is_running

    here, source = settings(), folder.expanduser().absolute()
    if is_running(here):
        raise ServiceError("the service is running", todo="Stop it, then restore")
    manifest = put_back(here, source)
    say(f"The store of {manifest.made_at:%Y-%m-%d %H:%M} UTC is back in {here.store_file}")
    for name in _COPIED:
        if not (here.home / name).exists():
            _copy(source / name, here.home / name)
    identities = source / _VAULT / "identities.duckdb"
    place = here.vault_dir / identities.name
    if identities.exists() and not place.exists():
        private_folder(place.parent)
        shutil.copyfile(identities, place)
        place.chmod(0o600)
        say("Identities are back; they open with the key they were encrypted with.")
    say("What was received since then comes in again by `dose rebuild`.")


def rebuild(
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Make the store anew from archive, quarantine, base and journals.

    After damage, or after an upgrade whose reader understands more. Every object is read again;
    decisions, erasures, merges and findings are applied again, and nobody is notified. The
    former store is kept under another name. No service may run.

    dose rebuild

    Exit codes: 0 done, 3 done, but files of the archive are damaged, 4 store, 6 the service
    runs.
    """
    from dose_lib.errors import ReadError
    from pipelines.rebuilding import rebuild_store

    with progress_bars() as progress:
        done = rebuild_store(settings(), progress)
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(done, enc_hook=str)))
    else:
        table = _table("receipts", "are now")
        for status, n in sorted(done.rebuilt.counts.items()):
            if n:
                table.add_row(str(n), status.replace("_", " "))
        out.print(table)
        say(f"{done.rebuilt.replayed} read again, {done.rebuilt.carried} from the former store.")
        if done.quarantined or done.released:
            say(f"{done.quarantined} went to quarantine, {done.released} came out of it.")
        if done.rebuilt.former is not None:
            say(f"The former store: {done.rebuilt.former}")
    for path in done.damaged:
        say(f"damaged, no longer what was received: {path}", to=err)
    if done.damaged:
        raise typer.Exit(ReadError.exit_code)


def retention(
    now: Annotated[bool, typer.Option("--now", help="Remove it now; no service may run.")] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show what may no longer be kept of received objects and doses.

    Changes nothing. The service removes it once a day, and what was erased within seconds.
    Limits: raw_retention_days, quarantine_retention_days, dose_retention_days,
    identity_retention_days.

    dose retention
    dose retention --now

    Exit codes: 0, 4 store, 6 the service runs and is to do it (with --now).
    """
    here = settings()
    found = _remove(here) if now else _due(here)
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found)))
        return
    table = _table("kept", "limit", "went" if now else "goes next")
    raw, doses, days = found.raw_before, found.doses_before, here.identity_retention_days
    table.add_row(
        "received objects",
        f"since {raw}" if raw else "for good",
        f"{found.n_objects} objects, {found.n_bytes / 1e6:.1f} MB",
    )
    unread = found.quarantine_before
    table.add_row(
        "quarantine",
        f"since {unread:%Y-%m-%d}" if unread else "for good",
        f"{found.n_quarantined} objects",
    )
    table.add_row("doses", f"since {doses:%Y-%m-%d}" if doses else "for good", f"{found.n_exams}")
    table.add_row("identities", f"{days} days" if days else "until erased", "by the vault")
    if now:
        table.add_row("of erased patients", "", f"{found.n_erased} objects")
    out.print(table)


def _due(here: Settings) -> Due:
    from datetime import UTC, datetime

    from dose_lib import connect
    from pipelines.keeping import due_of

    def n_old(before: datetime) -> int:
        studies = connect(settings=here).table("studies")
        old = studies.filter(studies.started_at < before.replace(tzinfo=None))
        return int(old.count().to_pyarrow().as_py())

    return due_of(here, n_old if here.store_file.exists() else lambda _: 0, datetime.now(UTC))


def _remove(here: Settings) -> Due:
    from dose_lib.store import Store
    from pipelines.keeping import Keeper
    from pipelines.status import is_running

    if is_running(here):
        raise ServiceError(
            "the service is running", todo="It does so by itself; or stop it and try again"
        )
    with Store.open(here) as store:
        return Keeper(here, store).expire()


def _table(*heads: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


def add_to(app: typer.Typer) -> None:
    """Put these commands into the `dose` command."""
    for command in (backup, restore, rebuild, retention):
        app.command(command.__name__, help=help_of(command))(command)
