"""What is here already: objects in the spool and in the ledger, by their UID."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import dose_lib
from dose_lib import Settings
from dose_lib.errors import StoreError
from pipelines.envelope import DamagedFileError
from pipelines.spool import Spool, read_receipt_of

_AT_ONCE = 500
_LOOK_S = 0.1


class Arrivals:
    """Looks into the spool and the ledger of one installation.

    Parameters
    ----------
    settings
        Of the installation.
    patience_s
        For so long nothing is said to be missing: between two looks an object may be on its
        way from the spool to the ledger, and an owner of the store may be starting.
    sleep
        Between two looks.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        patience_s: float = 10.0,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.patience_s = patience_s
        self._settings = settings
        self._spool = Spool(settings.spool_dir)
        self._sleep = sleep
        self._spooled: dict[str, str | None] = {}
        self._con: Any = None

    def here(self, uids: Iterable[str]) -> set[str]:
        """Those of these objects that were received, whatever became of them."""
        asked = set(uids)
        # Spool before ledger: what moves in between is found in the ledger.
        found = asked & self._in_spool()
        rest = sorted(asked - found)
        for at in range(0, len(rest), _AT_ONCE):
            found |= self._in_ledger("sop_instance_uid", rest[at : at + _AT_ONCE])
        return found

    def await_all(self, uids: Iterable[str], patience_s: float | None = None) -> set[str]:
        """Like `here`, waiting a little for those that are on their way."""
        asked = set(uids)
        until = time.monotonic() + (self.patience_s if patience_s is None else patience_s)
        found = self.here(asked)
        while asked - found and time.monotonic() < until:
            self._sleep(_LOOK_S)
            found |= self.here(asked - found)
        return found

    def of_studies(self, study_uids: Sequence[str]) -> dict[str, set[str]]:
        """Objects that were received by study; those that wait count for every one of them."""
        # A receipt does not say which study it is of; no object is of two.
        waiting = self._in_spool()
        found = {uid: set(waiting) for uid in study_uids} if waiting else {}
        for at in range(0, len(study_uids), _AT_ONCE):
            for row in self._rows("study_uid", study_uids[at : at + _AT_ONCE]):
                found.setdefault(row["study_uid"], set()).add(row["sop_instance_uid"])
        return found

    def _in_spool(self) -> set[str]:
        """UIDs of what waits; each file is opened once."""
        waiting = self._spool.waiting()
        names = {p.name for p in waiting}
        self._spooled = {n: uid for n, uid in self._spooled.items() if n in names}
        for path in waiting:
            if path.name not in self._spooled:
                try:
                    self._spooled[path.name] = read_receipt_of(path).sop_instance_uid
                except (FileNotFoundError, DamagedFileError):
                    continue
        return {uid for uid in self._spooled.values() if uid}

    def _in_ledger(self, column: str, values: Sequence[str]) -> set[str]:
        return {row["sop_instance_uid"] for row in self._rows(column, values)}

    def strangers(self, caller: str, since: datetime, asked: Iterable[str]) -> list[str]:
        """Objects that `caller` sent us since then and that are not among `asked`."""
        if not self._settings.store_file.exists():
            return []
        objects = self._store().table("objects")
        mine = (objects.caller == caller) & (objects.received_at >= since)
        rows = objects.filter(mine).select("sop_instance_uid").distinct().limit(_AT_ONCE)
        found = {r["sop_instance_uid"] for r in rows.to_pyarrow().to_pylist()}
        return sorted(uid for uid in found - set(asked) if uid)

    def _store(self) -> Any:
        if self._con is None:
            self._con = dose_lib.connect(settings=self._settings)
        return self._con

    def _rows(self, column: str, values: Sequence[str]) -> list[dict[str, str]]:
        if not values or not self._settings.store_file.exists():
            return []
        until = time.monotonic() + self.patience_s
        while True:
            try:
                objects = self._store().table("objects")
                rows: list[dict[str, str]] = (
                    objects.filter(objects[column].isin(list(values)))
                    .select("study_uid", "sop_instance_uid")
                    .distinct()
                    .to_pyarrow()
                    .to_pylist()
                )
            except StoreError:
                if time.monotonic() > until:
                    raise
                self._sleep(_LOOK_S)
            else:
                return [r for r in rows if r["sop_instance_uid"]]
