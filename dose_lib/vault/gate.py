"""The gate: recognises who asks, judges whether they may, and writes it down first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from dose_lib.errors import LookUpRefusedError
from dose_lib.settings import Settings
from dose_lib.vault import audit
from dose_lib.vault.file import VaultFile
from dose_lib.vault.people import Action, Caller, Person, may, people_digest, recognise, service

_REASON_MIN, _REASON_MAX = 5, 500


class Gate:
    """Stands before everything that shows or changes something.

    Parameters
    ----------
    settings
        Of the installation.
    file
        The opened file, where the audit is.
    clock
        Gives the time, with zone.
    """

    def __init__(self, settings: Settings, file: VaultFile, clock: Callable[[], datetime]) -> None:
        self._settings, self._file, self._clock = settings, file, clock

    def recognise(self, caller: Caller) -> Person:
        """The person behind a caller; a changed list of people leaves a row in the audit."""
        person = recognise(caller, self._settings, today=self._clock().date())
        digest = people_digest(self._settings)
        with self._file.reading():
            if self._file.memo("people") != digest:
                with self._file.transaction():
                    self._file.set_memo("people", digest)
                    self.note(service(), Action.ROLES, [(digest, "the list of people changed")])
        return person

    def may(self, who: Person, action: Action) -> bool:
        """True if the role of a person reaches an action."""
        return may(who.role, action, self._settings)

    def check(self, who: Person, action: Action, keys: Sequence[str], why: str | None) -> None:
        """Let a person pass, or refuse and write the refusal down.

        Parameters
        ----------
        who, action, keys
            Who wants what of whom.
        why
            Their reason; None where none is asked for.

        Raises
        ------
        LookUpRefusedError
            If the role does not reach the action, or the reason is missing.
        """
        is_reasoned = why is None or _REASON_MIN <= len(why.strip()) <= _REASON_MAX
        if self.may(who, action) and is_reasoned:
            return
        outcome = "refused: role" if is_reasoned else "refused: no reason"
        with self._file.transaction():
            self.note(who, action, [(key, outcome) for key in keys], (why or "")[:_REASON_MAX])
        if not is_reasoned:
            raise LookUpRefusedError(
                "a look-up needs a reason",
                expected=f"{_REASON_MIN} to {_REASON_MAX} letters that say why",
                todo='Give it as --reason "dose above trigger, protocol review"',
            )
        raise LookUpRefusedError(
            f"{who.os_user} ({who.role.value}) may not: {action.value}",
            where=str(self._settings.people_file),
            todo="An administrator gives the right there (`dose vault allow`); this was noted",
        )

    def note(
        self, who: Person, action: Action, rows: Iterable[tuple[str, str]], why: str | None = None
    ) -> None:
        """Append rows of (key, outcome) to the audit, within the open transaction."""
        audit.append(
            self._file.con,
            self._file.audit_key,
            who,
            action,
            rows,
            at=self._clock(),
            why=why or "",
        )
