"""Asking the vault from any process: through its desk, or, where none runs, from the file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from dose_lib.errors import LookUpRefusedError, VaultError, VaultInUseError
from dose_lib.records import Decision
from dose_lib.settings import Settings, load_settings
from dose_lib.vault import protocol as say
from dose_lib.vault.desk import connect, socket_file
from dose_lib.vault.dispatch import answer
from dose_lib.vault.payloads import Cause, Scope
from dose_lib.vault.people import Caller
from dose_lib.vault.records import AuditRow, Erasure, Identification, Match, VaultFacts
from dose_lib.vault.search import By
from dose_lib.vault.vault import Vault

TOKEN_VARIABLE = "DOSE_PERSON_TOKEN"  # noqa: S105 - the name of a variable
_START_S = 5.0  # as long as the vault's process may need from opening the file to its desk


class Client:
    """Asks the vault; each method is one question of the desk.

    Parameters
    ----------
    settings
        Of the installation; default: as found.
    token
        Shows who asks, where the account does not; default: the variable DOSE_PERSON_TOKEN.
    timeout
        Seconds to wait for an answer.
    """

    def __init__(
        self, settings: Settings | None = None, *, token: str | None = None, timeout: float = 30.0
    ) -> None:
        self._settings = settings or load_settings()
        self._token = token or os.environ.get(TOKEN_VARIABLE) or None
        self._timeout = timeout

    def identify(self, keys: str | Sequence[str], reason: str) -> tuple[Identification, ...]:
        """Whom keys stand for; see `Vault.identify`."""
        several = (keys,) if isinstance(keys, str) else tuple(keys)
        found = self._ask(say.Identify(keys=several, reason=reason, token=self._token))
        return cast("tuple[Identification, ...]", found)

    def search(self, by: By, value: str, reason: str) -> tuple[Match, ...]:
        """Keys of someone by name or number; see `Vault.search`."""
        ask = say.Search(by=by, value=value, reason=reason, token=self._token)
        return cast("tuple[Match, ...]", self._ask(ask))

    def staff_names(self) -> Mapping[str, str]:
        """Names of staff by key, where the site shows them; see `Vault.staff_names`."""
        return cast("dict[str, str]", self._ask(say.StaffNames(token=self._token)))

    def same_staff(self) -> tuple[tuple[str, ...], ...]:
        """Staff keys that are very likely one person."""
        found = self._ask(say.SameStaff(token=self._token))
        return cast("tuple[tuple[str, ...], ...]", found)

    def merge(self, surviving: str, losing: str, reason: str) -> Decision:
        """Make two patients one; see `Vault.merge`."""
        ask = say.Merge(surviving=surviving, losing=losing, reason=reason, token=self._token)
        return cast("Decision", self._ask(ask))

    def unmerge(self, surviving: str, losing: str, reason: str) -> Decision:
        """Take a merge back; see `Vault.unmerge`."""
        ask = say.Unmerge(surviving=surviving, losing=losing, reason=reason, token=self._token)
        return cast("Decision", self._ask(ask))

    def erase(
        self, key: str, reason: str, *, cause: Cause = "request", scope: Scope = "identities"
    ) -> Erasure:
        """Erase a patient or a member of staff; see `Vault.erase`."""
        ask = say.Erase(key=key, reason=reason, cause=cause, scope=scope, token=self._token)
        return cast("Erasure", self._ask(ask))

    def expire(self, before: datetime) -> Erasure | None:
        """Drop the identities of exams before a moment; see `Vault.expire`."""
        return cast("Erasure | None", self._ask(say.Expire(before=before, token=self._token)))

    def apply(self, decisions: Iterable[Decision]) -> int:
        """Hand over decisions made elsewhere; returns how many were new."""
        given = tuple(decisions)
        return sum(
            int(self._ask(say.Apply(decisions=given[i : i + say.MAX_DECISIONS], token=self._token)))
            for i in range(0, len(given), say.MAX_DECISIONS)
        )

    def decisions(self) -> tuple[Decision, ...]:
        """All merges, erasures and expiries, oldest first."""
        return cast("tuple[Decision, ...]", self._ask(say.Decisions(token=self._token)))

    def audit(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        key: str | None = None,
        limit: int = 1000,
    ) -> tuple[AuditRow, ...]:
        """Rows of the audit, the newest first; see `Vault.audit`."""
        ask = say.ReadAudit(since=since, until=until, key=key, limit=limit, token=self._token)
        return cast("tuple[AuditRow, ...]", self._ask(ask))

    def verify(self) -> tuple[int, str]:
        """Check the audit's chain; see `Vault.verify`."""
        return cast("tuple[int, str]", self._ask(say.Verify(token=self._token)))

    def status(self) -> VaultFacts:
        """Numbers about the vault."""
        return cast("VaultFacts", self._ask(say.Status(token=self._token)))

    def drain(self) -> int:
        """Let the vault take in what waits, now; returns how many files."""
        return int(self._ask(say.Drain(token=self._token)))

    def copy_to(self, path: Path) -> None:
        """Let the vault write an encrypted copy for a backup."""
        self._ask(say.Copy(path=str(path.absolute()), token=self._token))

    def rekey(self, reason: str) -> None:
        """Let the vault encrypt with a fresh key; back up the key file again afterwards."""
        self._ask(say.Rekey(reason=reason, token=self._token))

    def _ask(self, request: say.Request) -> Any:
        """Ask the desk; where none is, the file; where it is about to be, wait a little."""
        deadline = time.monotonic() + min(_START_S, self._timeout)
        while True:
            try:
                return say.decode_answer(request, self._at_desk(request))
            except (FileNotFoundError, ConnectionRefusedError):
                pass
            try:
                return self._at_file(request)
            except VaultInUseError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _at_desk(self, request: say.Request) -> bytes:
        path = socket_file(self._settings)
        try:
            with connect(path, self._timeout) as connection, connection.makefile("rb") as lines:
                connection.sendall(say.encode(request))
                line = lines.readline()
        except PermissionError:
            raise LookUpRefusedError(
                "this account may not connect to the identity vault",
                where=str(path),
                todo="Ask as DoseLoop's account, or let the administrator set vault_group",
            ) from None
        except TimeoutError:
            raise VaultError(
                f"the identity vault gave no answer within {self._timeout:g} s", where=str(path)
            ) from None
        if not line.endswith(b"\n"):
            raise VaultError(
                "the identity vault ended without an answer",
                where=str(path),
                todo="Its log says why; ask again",
            )
        return line

    def _at_file(self, request: say.Request) -> Any:
        _check_owner(self._settings.home)
        with Vault.open(self._settings) as vault:
            vault.drain()
            return answer(vault, request, Caller(os.getuid(), os.getpid()))


def _check_owner(home: Path) -> None:
    """Files that another account writes here would shut the service out of its own vault."""
    try:
        owner = home.stat().st_uid
    except FileNotFoundError:
        return
    if owner != os.getuid():
        name = Caller(owner, 0).os_user
        raise LookUpRefusedError(
            "the identity vault does not run, and its file is another account's",
            expected=f"the running service, or the account {name}",
            where=str(home),
            todo=f"Start the service, or ask as {name} (sudo -u {name} ...)",
        )


def identify(
    keys: str | Sequence[str],
    reason: str,
    *,
    settings: Settings | None = None,
    token: str | None = None,
) -> tuple[Identification, ...]:
    """Whom pseudonymous keys stand for: patients, exams or staff.

    Parameters
    ----------
    keys
        One or several of `patient_key`, `part_key`, `operator_keys` ..., or the first eight
        digits or more of one.
    reason
        Why; it is kept in the audit with your name.
    settings, token
        As for `Client`.

    Returns
    -------
    tuple of Identification
        One for each key. Their `repr` is empty on purpose: ask for a field by its name, so that
        a notebook does not keep a name that nobody meant to keep.

    Raises
    ------
    LookUpRefusedError
        If your role does not reach it, no reason is given, or a report is being made: reports
        carry no identities.
    UsageError
        If something is no key.
    """
    if os.environ.get("DOSE_RENDER") == "report":
        raise LookUpRefusedError(
            "a report carries no identities",
            todo="Leave the look-up to the reader of the report: `dose identify KEY --reason ...`",
        )
    return Client(settings, token=token).identify(keys, reason)
