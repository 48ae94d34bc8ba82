"""What each request does, and as whom."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from dose_lib.errors import LookUpRefusedError
from dose_lib.vault import protocol as say
from dose_lib.vault.people import Caller, Person, Role, service
from dose_lib.vault.vault import Vault

_Does = Callable[[Vault, Any, Person], Any]

# Shows keys and numbers only: for DoseLoop itself and for administrators.
_KEYS_ONLY: Mapping[type[say.Ask], _Does] = {
    say.Drain: lambda vault, ask, who: vault.drain(),
    say.SameStaff: lambda vault, ask, who: vault.same_staff(),
    say.Decisions: lambda vault, ask, who: vault.decisions(),
    say.Verify: lambda vault, ask, who: vault.verify(),
}
# Keeps the house running; the vault itself judges who may.
_HOUSEWORK: Mapping[type[say.Ask], _Does] = {
    say.StaffNames: lambda vault, ask, who: vault.staff_names(who),
    say.Expire: lambda vault, ask, who: vault.expire(ask.before, who),
    say.Apply: lambda vault, ask, who: vault.apply(ask.decisions, who),
    say.Copy: lambda vault, ask, who: vault.copy_to(Path(ask.path), who),
}
# Shows or changes a person: asked by a person.
_ASKED: Mapping[type[say.Ask], _Does] = {
    say.Identify: lambda vault, ask, who: vault.identify(ask.keys, who, ask.reason),
    say.Search: lambda vault, ask, who: vault.search(ask.by, ask.value, who, ask.reason),
    say.Merge: lambda vault, ask, who: vault.merge(ask.surviving, ask.losing, who, ask.reason),
    say.Unmerge: lambda vault, ask, who: vault.unmerge(ask.surviving, ask.losing, who, ask.reason),
    say.Erase: lambda vault, ask, who: vault.erase(
        ask.key, who, ask.reason, cause=ask.cause, scope=ask.scope
    ),
    say.ReadAudit: lambda vault, ask, who: vault.audit(
        who, since=ask.since, until=ask.until, key=ask.key, limit=ask.limit
    ),
    say.Rekey: lambda vault, ask, who: vault.rekey(who, ask.reason),
}


def answer(vault: Vault, request: say.Request, caller: Caller) -> Any:
    """Do what is asked, as whoever the caller is.

    DoseLoop's own account, without a token, does the housework; everything that shows or
    changes a person is asked by a person of the site's list, whatever the account.

    Raises
    ------
    DoseError
        If it is refused or cannot be done.
    """
    kind = type(request)
    if kind is say.Status:
        return vault.facts()
    is_ours = caller.uid == os.getuid() and request.token is None
    if is_ours and kind not in _ASKED:
        who = service()  # works, too, while the list of people is broken
    else:
        who = vault.recognise(msgspec.structs.replace(caller, token=request.token))
    if kind in _KEYS_ONLY and who.role not in (Role.SERVICE, Role.ADMIN):
        raise LookUpRefusedError(
            f"{who.os_user} ({who.role.value}) may not ask this",
            expected="DoseLoop's own account, or an administrator",
        )
    return {**_KEYS_ONLY, **_HOUSEWORK, **_ASKED}[kind](vault, request, who)
