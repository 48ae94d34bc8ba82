"""Has the store changed? One short look, shared by every page of the process."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from dose_lib.settings import Settings


_LOOK = """
    SELECT count(*) AS n_objects, max(stored_at) AS last,
           (SELECT count(*) FROM findings) AS n_findings,
           (SELECT count(*) FROM decisions) AS n_decisions
    FROM objects
"""


class Beat(NamedTuple):
    """What changes whenever something is stored, found or decided."""

    n_objects: int
    last_stored_at: Any
    n_findings: int
    n_decisions: int


class Pulse:
    """Looks at the store at most every `every_s` seconds, however many pages ask.

    Parameters
    ----------
    settings
        Of the installation.
    every_s
        Seconds for which a look is good; default half the refresh time of dashboards.
    """

    def __init__(self, settings: Settings, every_s: float | None = None) -> None:
        self._settings = settings
        self._every_s = settings.dashboards_refresh_s / 2 if every_s is None else every_s
        self._lock = threading.Lock()
        self._looked_at = -1e9
        self._beat: Beat | None = None

    def beat(self) -> Beat:
        """The present state of the store.

        Raises
        ------
        StoreError
            If the store cannot be reached.
        """
        with self._lock:
            now = time.monotonic()
            if self._beat is None or now - self._looked_at >= self._every_s:
                self._beat = look(self._settings)
                self._looked_at = now
            return self._beat


def look(settings: Settings) -> Beat:
    """One look at the store; the connection is closed again."""
    import dose_lib

    con = dose_lib.connect(settings=settings)
    try:
        row = con.query(_LOOK).to_pylist()[0]
    finally:
        con.disconnect()
    return Beat(row["n_objects"], row["last"], row["n_findings"], row["n_decisions"])
