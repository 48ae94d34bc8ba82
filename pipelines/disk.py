"""The file system as the spool sees it: few calls, in an order that a test can record."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

# Errors that say "no room", of the disk, of a quota or of the largest file allowed.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Disk:
    """Calls to the file system; the one seam between the spool and the disk.

    A test passes a recording disk to prove the order of the calls, or a full one to see
    what happens without room.
    """

    def create(self, path: Path) -> int:
        """Open a new file for writing, readable by its owner only; it must not exist."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, handle: int, data: bytes) -> None:
        """Write all of `data`."""
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]

    def hold(self, handle: int) -> bool:
        """Mark a file as being written until it is closed; False if another process does."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def flush(self, handle: int) -> None:
        """Return once the content of the file is on the disk (fsync)."""
        os.fsync(handle)

    def close(self, handle: int) -> None:
        """Close a file."""
        os.close(handle)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file its final name, replacing what had it."""
        source.replace(target)

    def flush_folder(self, folder: Path) -> None:
        """Return once the names in `folder` are on the disk (fsync of the folder)."""
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def remove(self, path: Path) -> None:
        """Remove a file; one that is gone already is no error."""
        path.unlink(missing_ok=True)

    def free_bytes(self, folder: Path) -> int:
        """Bytes that we may still write on the file system of `folder`."""
        facts = os.statvfs(folder)
        return facts.f_bavail * facts.f_frsize


class FolderFlush:
    """Flushes of one folder, shared by the threads that wait for it at the same time.

    A flush covers every rename made before it began. So a thread joins the next flush that
    has not begun yet; while one runs, all who arrive wait for a single further one. The
    promise to each thread is the same as if it had flushed alone.
    """

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder, self._disk = folder, disk
        self._turn = threading.Condition()
        self._begun = self._done = 0
        self._is_running = False

    def wait(self) -> None:
        """Return once every rename made in the folder before this call is on the disk.

        Raises
        ------
        OSError
            If the flush failed: nothing is promised then.
        """
        with self._turn:
            wanted = self._begun + 1
            while self._done < wanted:
                if self._is_running:
                    self._turn.wait()
                else:
                    self._lead()

    def _lead(self) -> None:
        """Flush, on behalf of all who wait; called with the lock held."""
        self._is_running = True
        self._begun += 1
        mine = self._begun
        self._turn.release()
        try:
            self._disk.flush_folder(self._folder)
        except BaseException:
            self._turn.acquire()
            raise
        else:
            self._turn.acquire()
            self._done = mine
        finally:
            self._is_running = False
            self._turn.notify_all()


def make_folder(folder: Path) -> Path:
    """Create a folder and its parents, open to its owner only, and return it."""
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
    if missing and folder.stat().st_uid == os.getuid():
        folder.chmod(0o700)  # mkdir's mode is cut by the umask, never widened; be exact
    return folder
