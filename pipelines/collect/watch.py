"""Watched folders: what someone or something puts there is taken in, once it is whole.

A part of the service (`python -m pipelines.collect.watch`). A file counts as whole when its size
and time have not changed for a while; programs that write under a temporary name and rename are
taken at once after that. A file is only moved or deleted when its bytes are safe in the spool.
What was taken is remembered, so that nothing is taken again after a restart.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from watchfiles import watch as watch_files

from dose_lib import Settings
from dose_lib.errors import OutOfRoomError, ReceiveError, SettingsError
from pipelines.collect.dicomdir import is_directory
from pipelines.collect.files import Found, Place, limits_of, read_place
from pipelines.disk import make_folder
from pipelines.envelope import make_receipt
from pipelines.folder import reason_to_leave
from pipelines.heartbeat import Heartbeat, Value
from pipelines.pixels import Pixels
from pipelines.process import Stop, run_part
from pipelines.spool import Spool

log = logging.getLogger(__name__)

PART = "watcher"
TAKEN = ".taken"

_LOOK_MS = 500
_SCAN_S = 30.0  # folders of other machines send no word of changes: they are looked through
_RETRY_S = 5.0
# Names under which programs write what is not finished.
_UNFINISHED = (".part", ".tmp", ".temp", ".filepart", ".crdownload", ".partial", ".swp")


class Look(NamedTuple):
    """A file as it was seen: if it looks so again after a while, it is whole."""

    size: int
    changed_ns: int


class Memory:
    """What was taken, in a small file of its own; names in it may identify people: mode 0600."""

    def __init__(self, settings: Settings) -> None:
        file = make_folder(settings.collect_dir) / "watched.sqlite"
        file.touch(mode=0o600)
        self._db = sqlite3.connect(file)
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS taken"
            " (path TEXT PRIMARY KEY, size INTEGER, changed_ns INTEGER, left_out TEXT)"
        )

    def knows(self, path: Path, look: Look) -> bool:
        """True if the file was taken, or left for good, as it is now."""
        query = "SELECT size, changed_ns FROM taken WHERE path = ?"
        row = self._db.execute(query, [os.fsencode(path).hex()]).fetchone()
        return row is not None and Look(*row) == look

    def note(self, path: Path, look: Look, left_out: str | None) -> None:
        """Remember a file."""
        with self._db:
            self._db.execute(
                "INSERT OR REPLACE INTO taken VALUES (?, ?, ?, ?)",
                [os.fsencode(path).hex(), *look, left_out],
            )

    def close(self) -> None:
        """Close the file."""
        self._db.close()


class Watcher:
    """Looks at the watched folders and takes in what is whole.

    Parameters
    ----------
    settings
        Of the installation.

    Raises
    ------
    SettingsError
        If a watched folder cannot be one: it would take in our own files.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.folders = watched_folders(settings)
        self._spool = Spool(settings.spool_dir, reserve_bytes=settings.spool_reserve_mb * 1_000_000)
        self._pixels = Pixels(settings.measure_every_image)
        self._memory = Memory(settings)
        self._waiting: dict[Path, tuple[Look, float]] = {}
        self._scanned = -_SCAN_S
        self._not_before = 0.0
        self.n_taken = self.n_left_out = 0
        self.problem: str | None = None

    def __enter__(self) -> Watcher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pixels.close()
        self._memory.close()

    def facts(self) -> dict[str, Value]:
        """Counters, for the heartbeat."""
        return {
            "folders": len(self.folders),
            "waiting": len(self._waiting),
            "taken": self.n_taken,
            "left_out": self.n_left_out,
        }

    def look(self, changed: Iterable[Path] = ()) -> int:
        """Look at what changed, and at everything now and then; returns how many files were taken.

        Parameters
        ----------
        changed
            Files that the system says have changed.
        """
        now = time.monotonic()
        paths = list(changed)
        if now - self._scanned >= _SCAN_S:
            self._scanned = now
            paths += self._scan()
        for path in paths:
            self._consider(path, now)
        return self._take_whole(now) if now >= self._not_before else 0

    def _scan(self) -> Iterator[Path]:
        missing = [f for f in self.folders if not f.is_dir()]
        self.problem = None
        if missing:
            self.problem = f"{len(missing)} of {len(self.folders)} watched folders are not there"
        for folder in self.folders:
            for place, folders, names in os.walk(folder):
                folders[:] = [f for f in folders if f != TAKEN]
                yield from (Path(place) / name for name in names)

    def _consider(self, path: Path, now: float) -> None:
        look = _look_at(path)
        is_ours = TAKEN in path.parts
        # A DICOMDIR comes before the files it names; what it lists is found here anyway.
        is_name = not is_directory(path.name)
        is_name = (
            is_name and not path.name.startswith(".") and path.suffix.casefold() not in _UNFINISHED
        )
        if look is None or is_ours or not is_name or self._memory.knows(path, look):
            self._waiting.pop(path, None)
        elif path not in self._waiting:
            self._waiting[path] = (look, now)

    def _take_whole(self, now: float) -> int:
        taken = 0
        for path, (before, since) in list(self._waiting.items()):
            look = _look_at(path)
            if look is None:
                del self._waiting[path]
            elif look != before:
                self._waiting[path] = (look, now)
            elif now - since >= self._settings.watch_settle_s:
                try:
                    taken += self._take(path, look)
                except OutOfRoomError as error:
                    self._pause(error.seen)
                    return taken
                except ReceiveError as error:
                    self._pause(error.seen)
                    return taken
                del self._waiting[path]
        return taken

    def _pause(self, why: str) -> None:
        """Nothing is lost: the files stay where they are, and are tried again."""
        log.error("cannot take files in", extra={"reason": why})
        self.problem, self._not_before = why, time.monotonic() + _RETRY_S

    def _take(self, path: Path, look: Look) -> int:
        """Put a file, or the files of an archive, into the spool; then do with it as was set."""
        root = next(f for f in self.folders if path.is_relative_to(f))
        n, reasons, is_whole = 0, [], True
        for found in read_place(Place(path, root), limits_of(self._settings)):
            reason = found.reason if not isinstance(found, Found) else reason_to_leave(found.data)
            if reason is None and isinstance(found, Found):
                kept = self._pixels.keep(found.data)
                receipt = make_receipt(kept.data, "folder", derived=kept.derived)
                self._spool.put(kept.data, receipt)
                n, is_whole = n + 1, is_whole and not kept.has_dropped
            elif reason is not None:
                reasons.append(reason)
        self.n_taken += n
        self.n_left_out += len(reasons)
        if _look_at(path) == look:
            # Where anything was left out, the file stays: someone may want to see why.
            if n and not reasons:
                self._put_away(path, root, is_whole=is_whole)
            self._memory.note(path, look, "; ".join(dict.fromkeys(reasons)) or None)
        for reason in dict.fromkeys(reasons):
            log.warning("left out of a watched folder", extra={"reason": reason})
        return n

    def _put_away(self, path: Path, root: Path, *, is_whole: bool) -> None:
        how = self._settings.watch_afterwards
        try:
            # An image whose pixels we dropped is nowhere safe but here.
            if how == "delete" and is_whole:
                path.unlink()
            elif how == "move":
                place = _free_name(root / TAKEN / path.relative_to(root))
                place.parent.mkdir(parents=True, exist_ok=True)
                path.rename(place)
        except OSError as error:
            # It is remembered as taken, and so not taken again.
            log.warning("a file that was taken stays", extra={"reason": error.strerror})


def watched_folders(settings: Settings) -> tuple[Path, ...]:
    """The watched folders, checked.

    Raises
    ------
    SettingsError
        If one holds, or lies in, the home folder.
    """
    home = settings.home.resolve()
    folders = tuple(Path(f).expanduser().resolve() for f in settings.watch_folders)
    for folder in folders:
        if home.is_relative_to(folder) or folder.is_relative_to(home):
            raise SettingsError(
                f"watch_folders: {folder} and the home folder overlap",
                expected="a folder apart from it",
                where=str(settings.config_file),
            )
    return folders


def _look_at(path: Path) -> Look | None:
    """Size and time of a regular file; None for anything else, and if it is gone."""
    try:
        state = path.stat()
    except OSError:
        return None
    return Look(state.st_size, state.st_mtime_ns) if stat.S_ISREG(state.st_mode) else None


def _free_name(place: Path) -> Path:
    """The place, or one beside it if a file of that name was taken before."""
    found, number = place, 1
    while found.exists():
        number += 1
        found = place.with_name(f"{place.stem}-{number}{place.suffix}")
    return found


def serve(settings: Settings, stop: Stop) -> None:
    """Watch until `stop` is set."""
    with (
        Watcher(settings) as watcher,
        Heartbeat(settings.run_dir, PART, watcher.facts, lambda: watcher.problem),
    ):
        while not stop.is_set():
            there = [f for f in watcher.folders if f.is_dir()]
            if not there:
                watcher.look()
                stop.wait(_RETRY_S)
                continue
            # Anew after each problem: a folder may have come back, on another disk.
            for changes in watch_files(
                *there,
                stop_event=stop,
                rust_timeout=_LOOK_MS,
                yield_on_timeout=True,
                ignore_permission_denied=True,
                raise_interrupt=False,
            ):
                watcher.look(Path(path) for _, path in changes)
                if watcher.problem is not None:
                    stop.wait(1.0)
                    break


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of the process."""
    return run_part(PART, serve, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
