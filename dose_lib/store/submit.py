"""Asking the owner of the store for something, from any process; without one, doing it oneself."""

from __future__ import annotations

import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from dose_lib.errors import DoseError, ServiceError, StoreInUseError, UsageError
from dose_lib.records import Decision, Finding
from dose_lib.settings import Settings, load_settings
from dose_lib.store.backup import Manifest, backup
from dose_lib.store.decision import check_decision
from dose_lib.store.endpoint import Endpoint, door_endpoint_file, read_endpoint
from dose_lib.store.engine import missing
from dose_lib.store.findings import check_finding
from dose_lib.store.owner import Store

_PATIENCE_S = 8.0
_PAUSE_S = 0.1
_TIMEOUT_S = 20.0
_BACKUP_S = 3600.0


def submit_decision(settings: Settings | None = None, *given: Decision) -> tuple[Decision, ...]:
    """Hand decisions to the owner of the store, or append them where no owner runs.

    Parameters
    ----------
    settings
        Of the installation; default: this user's.
    *given
        One decision or several, kept all or none.

    Returns
    -------
    tuple of Decision
        As kept, with the time they were taken.

    Raises
    ------
    UsageError
        If a decision is not usable; nothing is kept then.
    StoreInUseError
        If another process has the store open and does not serve it.
    ServiceError
        If the owner does not answer.
    """
    here = settings or load_settings()
    checked = tuple(check_decision(d) for d in given)
    body = _ask_owner(here, "decisions", checked, lambda store: store.decide(*checked))
    return msgspec.json.decode(body, type=tuple[Decision, ...])


def submit_findings(settings: Settings | None = None, *given: Finding) -> tuple[Finding, ...]:
    """Hand findings to the owner of the store, or write them where no owner runs.

    For whoever looks at the store beside its owner, such as the watch over silent devices.

    Returns
    -------
    tuple of Finding
        Those that are new; a finding of a known id changes nothing.

    Raises
    ------
    UsageError
        If a finding is not usable; nothing is kept then.
    StoreInUseError, ServiceError
        As for `submit_decision`.
    """
    here = settings or load_settings()
    checked = [check_finding(f) for f in given]
    if not checked:
        return ()
    body = _ask_owner(here, "findings", checked, lambda store: store.add_findings(checked))
    return msgspec.json.decode(body, type=tuple[Finding, ...])


def backup_store(folder: Path, settings: Settings | None = None) -> Manifest:
    """Copy the store into a new folder, by its owner or, where none runs, directly.

    Raises
    ------
    UsageError
        If the folder has something in it.
    StoreError
        If it cannot be written, or another process has the store open.
    """
    here = settings or load_settings()
    if not here.store_file.exists():
        raise missing(here.store_file)
    full = folder.expanduser().absolute()
    body = _ask_owner(here, "backup", str(full), lambda store: backup(store, full))
    return msgspec.json.decode(body, type=Manifest)


def _ask_owner(
    settings: Settings,
    what: str,
    content: object,
    directly: Callable[[Store], object],
) -> bytes:
    """JSON of the answer, from the owner's door or done on the store opened here.

    Opened with the site's own steps: opening may make exams anew, and so may a decision.
    """
    until = time.monotonic() + _PATIENCE_S
    while True:
        endpoint = read_endpoint(door_endpoint_file(settings))
        try:
            if endpoint is not None:
                return _post(endpoint, what, content)
            with Store.open(settings) as store:
                return msgspec.json.encode(directly(store))
        except (StoreInUseError, ServiceError):
            # Between two starts of the owner; it will be back, or gone for good.
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE_S)


def _post(endpoint: Endpoint, what: str, content: object) -> bytes:
    address = urlsplit(endpoint.url)
    seconds = _BACKUP_S if what == "backup" else _TIMEOUT_S
    connection = HTTPConnection(address.hostname or "", address.port, timeout=seconds)
    try:
        connection.request(
            "POST",
            f"/{what}",
            body=msgspec.json.encode(content),
            headers={
                "Authorization": f"Bearer {endpoint.token}",
                "Content-Type": "application/json",
            },
        )
        response = connection.getresponse()
        body = response.read()
    except (OSError, HTTPException) as error:
        raise ServiceError(
            f"the owner's door does not answer ({error})",
            where=endpoint.url,
            todo="Look at `dose status`",
        ) from None
    finally:
        connection.close()
    if response.status == 200:
        return body
    raise _refusal(response.status, body)


def _refusal(status: int, body: bytes) -> DoseError:
    try:
        fields = msgspec.json.decode(body, type=dict[str, str | None])
    except msgspec.MsgspecError:
        fields = {}
    seen = fields.pop("seen", None) or f"status {status}"
    # A token of an earlier start is no mistake of the caller: the next look will be right.
    kind = UsageError if status == 422 else ServiceError
    known = {n: fields.get(n) for n in ("expected", "where", "todo")}
    return kind(seen, **known)
