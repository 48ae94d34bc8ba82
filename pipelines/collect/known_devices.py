"""Which device of the store an archive means: by what it calls its stations and models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from dose_lib import keys
from pipelines.collect.performed import Performed
from pipelines.collect.stored import StoredDevice, StoredPart


class KnownDevices:
    """Which device of the store an archive's series are of.

    By station name, else by maker and model if only one device has them; what the studies on
    both sides show comes first.
    """

    def __init__(self, devices: Sequence[StoredDevice]) -> None:
        self._names = {d.device_key: d.device or d.device_key for d in devices}
        self._seen: dict[tuple[str, ...], Counter[str]] = {}
        self._by_station = _unique((_word(d.station), d.device_key) for d in devices if d.station)
        self._by_model = _unique((_model(d), d.device_key) for d in devices)

    def learn(self, performed: Performed, part: StoredPart) -> None:
        """The same examination on both sides."""
        if part.device_key is not None and any(_look(performed)):
            self._seen.setdefault(_look(performed), Counter())[part.device_key] += 1

    def of(self, performed: Performed) -> tuple[str | None, str]:
        """Device key, if it is known, and name."""
        seen = self._seen.get(_look(performed))
        key = seen.most_common(1)[0][0] if seen else None
        key = key or self._by_station.get(_word(performed.station)) if performed.station else key
        key = key or self._by_model.get(_model(performed))
        if key is not None:
            return key, self._names.get(key, key)
        model = " ".join(w for w in (performed.manufacturer, performed.model) if w)
        return None, performed.station or model or "device not named by the archive"


def _word(text: str | None) -> str:
    return keys.normalise_id(text)


def _model(of: Performed | StoredDevice) -> str:
    return " ".join((_word(of.manufacturer), _word(of.model))).strip()


def _look(performed: Performed) -> tuple[str, ...]:
    return (_word(performed.station), _model(performed))


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Words that stand for one key only."""
    found: dict[str, set[str]] = {}
    for word, key in pairs:
        found.setdefault(word, set()).add(key)
    return {word: next(iter(some)) for word, some in found.items() if len(some) == 1}
