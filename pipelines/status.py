"""How the service is, and where every received object is: for `dose status` and health."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import dose_lib
from dose_lib import DoseError, Settings
from pipelines.archive import Quarantine
from pipelines.envelope import DamagedFileError, Receipt
from pipelines.heartbeat import Value, read_beat
from pipelines.peers import Pending, read_pending
from pipelines.receipts import Noted, receipts_of
from pipelines.spool import SUFFIX, TEMPORARY, Spool, read_receipt_of

if TYPE_CHECKING:  # the supervisor reads states, and needs no store for that
    from dose_lib.store import Status

PARTS = ("receiver", "store", "vault", "scheduler", "dashboards")
HL7, STOW, COLLECTOR, WATCHER = "hl7", "stow", "collector", "watcher"
_SECOND_LOOK_S = 0.3
_SILENT_S = 15.0  # a part that said nothing for so long is not well


class PartState(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the service: its process and what it says."""

    part: str
    is_ready: bool
    pid: int | None = None
    since: datetime | None = None
    problem: str | None = None
    restarts: int = 0
    facts: dict[str, Value] = msgspec.field(default_factory=dict)


class ServiceFile(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor says of itself, in `run/service.json`."""

    pid: int
    started_at: datetime
    version: str
    health: str | None
    pids: dict[str, int | None] = msgspec.field(default_factory=dict)
    restarts: dict[str, int] = msgspec.field(default_factory=dict)


class Accounts(msgspec.Struct, frozen=True, kw_only=True):
    """Every received object, by what became of it; `received` is their sum.

    `missing` are objects that the receivers have counted by themselves, in this month or the
    last, and that are neither in the spool nor in the ledger. It must be 0.
    """

    received: int
    stored: int
    superseded: int
    duplicate: int
    no_dose: int
    quarantined: int
    erased: int
    waiting: int
    missing: int = 0


class ServiceState(msgspec.Struct, frozen=True, kw_only=True):
    """The whole service at one moment."""

    at: datetime
    is_running: bool
    service: ServiceFile | None
    parts: list[PartState]
    in_quarantine: int
    merges_waiting: int  # HL7 messages that could not be applied
    pending_peers: list[Pending]
    disk_free_bytes: int

    @property
    def is_healthy(self) -> bool:
        """True if the service runs and every part does its work."""
        return self.is_running and all(p.is_ready for p in self.parts)


def parts_of(settings: Settings) -> tuple[str, ...]:
    """Parts of an installation's service; those that not every site needs, where it has them.

    HL7 and STOW-RS need a port, the collector archives in `site/pacs.toml`, the watcher
    folders.
    """
    more = {
        HL7: settings.hl7_port is not None,
        STOW: settings.stow_port is not None,
        COLLECTOR: (settings.site_dir / "pacs.toml").exists(),
        WATCHER: bool(settings.watch_folders),
    }
    return (*PARTS, *(part for part, is_wanted in more.items() if is_wanted))


def service_file(settings: Settings) -> Path:
    """`run/service.json`."""
    return settings.run_dir / "service.json"


def lock_file(settings: Settings) -> Path:
    """Locked by the service and all its parts as long as one of them lives."""
    return settings.run_dir / "service.lock"


def is_running(settings: Settings) -> bool:
    """True if a service, or a part left of one, lives on this home folder."""
    try:
        handle = os.open(lock_file(settings), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def read_service_file(settings: Settings) -> ServiceFile | None:
    """What the running supervisor says of itself; None if there is none."""
    try:
        said = msgspec.json.decode(service_file(settings).read_bytes(), type=ServiceFile)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return said if _lives(said.pid) else None  # kill -9 leaves the file behind


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def read_state(settings: Settings) -> ServiceState:
    """The service at this moment, from its files; needs no answer from any process."""
    running = is_running(settings)
    service = read_service_file(settings) if running else None
    started = list(service.pids) if service else []
    home = settings.home if settings.home.exists() else Path.home()
    quarantine = settings.quarantine_dir
    return ServiceState(
        at=datetime.now(UTC),
        is_running=running,
        service=service,
        parts=[_part_state(settings, name, service) for name in started],
        in_quarantine=len(Quarantine(quarantine).items()) if quarantine.exists() else 0,
        merges_waiting=sum(1 for _ in (quarantine / "hl7").glob("*.hl7")),
        pending_peers=read_pending(settings.run_dir / "pending_peers.json"),
        disk_free_bytes=shutil.disk_usage(home).free,
    )


def _part_state(settings: Settings, name: str, service: ServiceFile | None) -> PartState:
    pid = service.pids.get(name) if service else None
    restarts = service.restarts.get(name, 0) if service else 0
    beat = read_beat(settings.run_dir, name)
    if beat is None:
        return PartState(part=name, is_ready=False, pid=pid, problem="starting", restarts=restarts)
    problem = beat.problem
    if beat.pid != pid and problem is None:
        problem = "starting"
    if beat.exit_code is None and beat.age_s > _SILENT_S:
        problem = f"said nothing for {beat.age_s:.0f} s"
    return PartState(
        part=name,
        is_ready=problem is None,
        pid=pid,
        since=beat.started_at,
        problem=problem,
        restarts=restarts,
        facts=beat.facts,
    )


def read_accounts(settings: Settings) -> Accounts:
    """Where every received object is.

    Raises
    ------
    StoreError
        If the ledger cannot be read.
    """
    from dose_lib.store import Status

    # The receivers' count first, then the spool, then the ledger: an object that moves in
    # between is found further on. The ledger is asked once: what is committed between two
    # questions would be in neither the counts of the first nor, with the second, waiting.
    noted = receipts_of(settings.spool_dir).recent()
    spooled = _receipts(settings)
    moments = [r.received_at for r in spooled.values()] + [n.received_at for n in noted]
    counts, known = _ledger(settings, min(moments, default=datetime.now(UTC)))
    waiting = sum((r.sha256[:16], r.received_at) not in known for r in spooled.values())
    counts[Status.WAITING] += waiting
    lost = [n for n in noted if n.stem not in spooled and not _is_known(n, known)]
    return Accounts(
        received=sum(counts.values()),
        missing=len(_still_missing(settings, lost)),
        **{s.value: n for s, n in counts.items()},
    )


def _ledger(
    settings: Settings, since: datetime
) -> tuple[dict[Status, int], set[tuple[str, datetime]]]:
    """Objects by status; beginning of the hash, and time, of what was received since then."""
    from dose_lib.store import Status

    counts, keys = dict.fromkeys(Status, 0), set[tuple[str, datetime]]()
    if not settings.store_file.exists():
        return counts, keys
    objects = dose_lib.connect(settings=settings).table("objects")
    is_recent = objects.received_at >= since
    found = objects.group_by("status").agg(
        n=objects.count(),
        hashes=objects.sha256.collect(where=is_recent, order_by=objects.receipt_id),
        moments=objects.received_at.collect(where=is_recent, order_by=objects.receipt_id),
    )
    for row in found.to_pyarrow().to_pylist():
        counts[Status(row["status"])] = row["n"]
        hashes = [h[:16] for h in row["hashes"] or ()]
        keys |= set(zip(hashes, row["moments"] or (), strict=True))
    return counts, keys


def _is_known(noted: Noted, known: set[tuple[str, datetime]]) -> bool:
    return (noted.hash_start, noted.received_at) in known


def _still_missing(settings: Settings, lost: Sequence[Noted]) -> list[Noted]:
    """Those that a second look does not find either: a listing can miss what is renamed."""
    if not lost:
        return []
    time.sleep(_SECOND_LOOK_S)
    places = (settings.spool_dir, settings.quarantine_dir)
    files = [f"{n.stem}{suffix}" for n in lost for suffix in (SUFFIX, TEMPORARY)]
    here = {name.split(".")[0] for name in files for p in places if (p / name).exists()}
    _, known = _ledger(settings, min(n.received_at for n in lost))
    return [n for n in lost if n.stem not in here and not _is_known(n, known)]


def _receipts(settings: Settings) -> dict[str, Receipt]:
    """Receipts of what waits in the spool, by the name of the file."""
    if not settings.spool_dir.exists():
        return {}
    found: dict[str, Receipt] = {}
    for path in Spool(settings.spool_dir).waiting():
        try:
            found[path.stem] = read_receipt_of(path)
        except (FileNotFoundError, DamagedFileError):
            continue
    return found


def readiness(state: ServiceState) -> str:
    """One line that says how the service is."""
    if not state.is_running:
        return "not running"
    troubled = [f"{p.part}: {p.problem}" for p in state.parts if not p.is_ready]
    return "; ".join(troubled) or "all parts do their work"


def try_accounts(settings: Settings) -> Accounts | str:
    """The accounts, or why they cannot be read now."""
    try:
        return read_accounts(settings)
    except DoseError as error:
        return str(error)
