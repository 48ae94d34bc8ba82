"""From local time as recorded to UTC, with where the zone came from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from dose_lib.records import TzSource


class UtcTime(NamedTuple):
    """A time in UTC; `is_ambiguous` in the hour that is repeated when summer time ends."""

    at: datetime | None
    source: TzSource | None
    is_ambiguous: bool | None


def to_utc(local: datetime | None, site_zone: str, device_zone: str | None = None) -> UtcTime:
    """UTC of a local time.

    Parameters
    ----------
    local
        Time as recorded; with an offset only if one was recorded.
    site_zone, device_zone
        IANA zones; the device's own wins where the site set one.

    Notes
    -----
    In the repeated hour the first of the two instants is taken and flagged. A time in the
    hour that summer time skips is read with the offset before the change (PEP 495).
    """
    if local is None:
        return UtcTime(None, None, None)
    if local.tzinfo is not None:
        return UtcTime(local.astimezone(UTC), TzSource.OBJECT, is_ambiguous=False)
    zone = ZoneInfo(device_zone or site_zone)
    first, second = (local.replace(tzinfo=zone, fold=f).utcoffset() for f in (0, 1))
    # In the skipped hour the offsets differ too, but then the first is the smaller one.
    ambiguous = first is not None and second is not None and first > second
    at = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return UtcTime(at, TzSource.DEVICE if device_zone else TzSource.SITE, ambiguous)
