"""Where the running owner is reached: files in `run/` that only the site's user can read."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import msgspec

from dose_lib.errors import PortInUseError
from dose_lib.settings import Settings
from dose_lib.store.keyfile import write_private

LOOPBACK = "127.0.0.1"


class Endpoint(msgspec.Struct, frozen=True):
    """Address, secret and process of a server; the secret is new at each start."""

    url: str
    token: str
    pid: int

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r}, token hidden, {self.pid})"


def store_endpoint_file(settings: Settings) -> Path:
    """`run/store.json`: where queries go."""
    return settings.run_dir / "store.json"


def door_endpoint_file(settings: Settings) -> Path:
    """`run/door.json`: where decisions go."""
    return settings.run_dir / "door.json"


def write_endpoint(path: Path, endpoint: Endpoint) -> None:
    """Publish an endpoint; the file has mode 0600 from the first byte."""
    write_private(path, msgspec.json.encode(endpoint))


def read_endpoint(path: Path) -> Endpoint | None:
    """The endpoint in a file; None if there is none or its process has ended."""
    try:
        endpoint = msgspec.json.decode(path.read_bytes(), type=Endpoint)
    except (OSError, msgspec.MsgspecError):
        return None
    return endpoint if is_running(endpoint.pid) else None


def remove_endpoint(path: Path, endpoint: Endpoint) -> None:
    """Remove the file if it is still ours."""
    if read_endpoint(path) == endpoint:
        path.unlink(missing_ok=True)


def is_running(pid: int) -> bool:
    """True if a process of this number exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def free_port(wanted: int, what: str) -> int:
    """The wanted loopback port, or any free one for 0.

    Two servers can bind one port with SO_REUSEPORT without an error, so a port on which
    anything answers is refused.

    Raises
    ------
    PortInUseError
        If another process answers there.
    """
    if wanted and _answers(wanted):
        raise PortInUseError(
            f"another process answers on port {wanted}",
            expected=f"a free port for {what}",
            where=f"{LOOPBACK}:{wanted}",
            todo=f"Stop it, or choose another port: `ss -ltnp 'sport = :{wanted}'` names it",
        )
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, wanted))
        except OSError as error:
            raise PortInUseError(
                f"port {wanted} cannot be used for {what} ({error.strerror})",
                where=f"{LOOPBACK}:{wanted}",
                todo="Choose another port in the settings",
            ) from None
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0
