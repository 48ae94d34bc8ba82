"""Handing a decision in, from any process: through the owner's door, else by oneself."""

from __future__ import annotations

import time
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

import msgspec

from dose_lib.errors import DoseError, ServiceError, StoreInUseError, UsageError
from dose_lib.records import Decision, Part
from dose_lib.settings import Settings, load_settings
from dose_lib.store.decision import check_decision
from dose_lib.store.endpoint import Endpoint, door_endpoint_file, read_endpoint
from dose_lib.store.owner import Store

_PATIENCE_S = 8.0
_PAUSE_S = 0.1
_TIMEOUT_S = 20.0


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
    until = time.monotonic() + _PATIENCE_S
    while True:
        endpoint = read_endpoint(door_endpoint_file(here))
        try:
            if endpoint is not None:
                return _post(endpoint, checked)
            with Store.open(here, merge=tuple, normalise=_as_it_is) as store:
                return tuple(store.decide(*checked))
        except (StoreInUseError, ServiceError):
            # Between two starts of the owner; it will be back, or gone for good.
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE_S)


def _as_it_is(part: Part) -> Part:
    return part


def _post(endpoint: Endpoint, decisions: tuple[Decision, ...]) -> tuple[Decision, ...]:
    address = urlsplit(endpoint.url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=_TIMEOUT_S)
    try:
        connection.request(
            "POST",
            address.path,
            body=msgspec.json.encode(decisions),
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
        return msgspec.json.decode(body, type=tuple[Decision, ...])
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
