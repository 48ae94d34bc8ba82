"""Files that a person may change while the service runs."""

from __future__ import annotations

from pathlib import Path


class Watched:
    """Tells whether files have changed since it was last asked.

    Parameters
    ----------
    *files
        Any of them may be missing, appear and go.
    """

    def __init__(self, *files: Path) -> None:
        self._files = files
        self._seen = self._version()

    def has_changed(self) -> bool:
        """True once for each change."""
        now = self._version()
        if now == self._seen:
            return False
        self._seen = now
        return True

    def _version(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_version_of(file) for file in self._files)


def _version_of(file: Path) -> tuple[int, int, int] | None:
    try:
        facts = file.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino
