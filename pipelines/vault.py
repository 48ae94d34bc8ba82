"""The vault's own process: takes in sealed identities, answers at the desk, forgets in time.

The only process that opens the identities (`python -m pipelines.vault`). It speaks on a Unix
socket, to accounts of this machine, and opens no network port.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from dose_lib import Settings, submit_decision
from dose_lib.errors import DoseError, VaultError
from dose_lib.records import Decision
from dose_lib.store.endpoint import door_endpoint_file, read_endpoint
from dose_lib.store.journal import Journals
from dose_lib.vault import Desk, Vault, allocate_codes
from dose_lib.vault.groups import KINDS
from pipelines.heartbeat import Heartbeat, Value
from pipelines.memory import go_without
from pipelines.process import Stop, run_part
from pipelines.rest import Rest

log = logging.getLogger(__name__)

PART = "vault"
CODE = "operator_code"

_LOOK_S = 0.5  # between looks into the inbox
_RETRY_S = 5.0  # while the vault cannot be written
_HAND_ON_S = 60.0  # between attempts to hand a decision to the store
_DAY_S = 86_400.0
_CODES_S = 2.0  # between looks whether someone has no code yet
_AT_ONCE = 100  # decisions in one request to the store
_PR_SET_DUMPABLE = 4  # prctl(2)

HandOn = Callable[[Sequence[Decision]], None]
Take = Callable[[], Iterable[Decision]]


class Keeper:
    """Does what the vault has to do by itself.

    Parameters
    ----------
    settings
        Settings of the installation.
    vault
        The opened vault.
    hand_on
        Gives decisions to the store, which keeps each once; raises DoseError if it cannot.
    take
        Gives the decisions that the store got since the last call: merges from other systems,
        and after a restore what the vault no longer knows.
    """

    def __init__(self, settings: Settings, vault: Vault, hand_on: HandOn, take: Take) -> None:
        self._settings, self._vault = settings, vault
        self._hand_on, self._take = hand_on, take
        self._known = 0
        self._codes: dict[str, str] = {}
        self._coded = -1  # files taken in when codes were last looked at
        self._expire_at = self._hand_on_at = self._codes_at = 0.0
        self.taken = 0
        self.problem: str | None = None

    def facts(self) -> dict[str, Value]:
        """Counters, for the heartbeat; nothing that identifies."""
        n_audit, head = self._vault.audit_head()
        waiting, unopened = self._vault.n_waiting()
        return {
            "waiting": waiting,
            "unopened": unopened,
            "taken": self.taken,
            "audit_rows": n_audit,
            "audit_head": head[:16],
        }

    def step(self) -> bool:
        """Do what can be done now; True if there may be more.

        Raises
        ------
        VaultError
            If the vault cannot be written; everything stays where it is.
        """
        taken = self._vault.drain()
        self.taken += taken
        now = time.monotonic()
        if now >= self._expire_at:
            self._expire()
            self._expire_at = now + _DAY_S
        self._exchange(now)
        return taken > 0

    def _expire(self) -> None:
        n_audit, head = self._vault.audit_head()
        log.info("audit", extra={"count": n_audit, "sha256": head})
        days = self._settings.identity_retention_days
        if days is None:
            return
        erasure = self._vault.expire(datetime.now(UTC) - timedelta(days=days))
        if erasure is not None:
            log.info("identities expired", extra={"count": len(erasure.part_keys)})

    def _exchange(self, now: float) -> None:
        """Store and vault come to know the same merges and erasures, and rebuild applies them."""
        try:
            taken = list(self._take())
            if self._vault.apply(d for d in taken if d.kind in KINDS):
                log.info("decisions taken over from the store")
            self._codes |= {d.subject: str(d.payload["code"]) for d in taken if d.kind == CODE}
            if now >= self._codes_at and self.taken != self._coded:
                self._codes_at = now + _CODES_S
                self._give_codes()
            decisions = self._vault.decisions()
            if now >= self._hand_on_at or len(decisions) != self._known:
                self._known, self._hand_on_at = len(decisions), now + _HAND_ON_S
                for start in range(0, len(decisions), _AT_ONCE):
                    self._hand_on(decisions[start : start + _AT_ONCE])
                self.problem = None
        except VaultError:
            raise
        except DoseError as error:
            self.problem = f"decisions are not exchanged with the store: {error.seen}"
            log.warning("decisions are not exchanged", extra={"reason": type(error).__name__})

    def _give_codes(self) -> None:
        """A code for everyone who irradiates and has none: from keys, without any name."""
        fresh = allocate_codes(self._codes, self._vault.operators(), same=self._vault.same_staff())
        at = datetime.now(UTC)
        self._hand_on(
            [
                Decision(kind=CODE, subject=k, payload={"code": c}, author=PART, decided_at=at)
                for k, c in sorted(fresh.items())
            ]
        )
        # Without a store to keep them they are not in its journal, and are made again.
        if not fresh:
            self._coded = self.taken


def hand_to_store(settings: Settings) -> HandOn:
    """Hands decisions to the running owner of the store; without one they wait."""

    def hand_on(decisions: Sequence[Decision]) -> None:
        if decisions and read_endpoint(door_endpoint_file(settings)) is not None:
            submit_decision(settings, *decisions)

    return hand_on


def take_from_journal(settings: Settings) -> Take:
    """Reads the store's journal of decisions whenever it has changed."""
    journal = Journals(settings.journal_dir).decisions
    seen: tuple[int, int] | None = None

    def take() -> Iterable[Decision]:
        nonlocal seen
        try:
            facts = (settings.journal_dir / "decisions.jsonl").stat()
        except FileNotFoundError:
            return ()
        if (facts.st_mtime_ns, facts.st_size) == seen:
            return ()
        found = journal.read()
        seen = (facts.st_mtime_ns, facts.st_size)
        return found

    return take


def forbid_looking_in() -> None:
    """Let no other process of this account read our memory, and leave no core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def serve(settings: Settings, stop: Stop) -> None:
    """Hold the vault open until `stop` is set, then take in what still waits."""
    os.umask(0o077)
    go_without("pandas")
    with Vault.open(settings) as vault:
        keeper = Keeper(settings, vault, hand_to_store(settings), take_from_journal(settings))
        desk = Desk(vault)
        forbid_looking_in()
        try:
            with Heartbeat(settings.run_dir, PART, keeper.facts, lambda: keeper.problem):
                _run(keeper, vault, stop)
                while keeper.step():
                    pass
        finally:
            desk.stop()


def _run(keeper: Keeper, vault: Vault, stop: Stop) -> None:
    rest = Rest(lambda: keeper.taken)
    while not stop.is_set():
        try:
            rest.look()
            if not keeper.step():
                stop.wait(_LOOK_S)
        except VaultError as error:
            if vault.is_broken:
                raise
            log.error("vault cannot be written", extra={"reason": error.seen})
            keeper.problem = str(error)
            stop.wait(_RETRY_S)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of the process."""
    return run_part(PART, serve, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
