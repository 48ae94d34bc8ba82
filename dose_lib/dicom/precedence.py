"""Which source wins: the order of sources, and filling one record from another.

Field by field, the value of the strongest source that has one is taken, and
`field_sources` says which (reference: dicom_dose §1.5). Orders are total, so that the
result does not depend on the order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from dose_lib.records import Part, SourceKind, SourceObject

Record = TypeVar("Record", bound=msgspec.Struct)

_RANK = {
    SourceKind.RDSR: 0,
    SourceKind.ENHANCED_RDSR: 0,
    SourceKind.RRDSR: 0,
    SourceKind.ESR: 1,
    SourceKind.DOSE_SC: 2,
    SourceKind.MPPS: 3,
    SourceKind.IMAGE_HEADER: 4,
    SourceKind.OCR: 5,
    SourceKind.MANUAL: 6,
    SourceKind.P_RDSR: 7,
    SourceKind.HISTORY: 8,
}
_LAST = datetime.max
_FIRST = datetime.min
# Never filled from another source: places and bookkeeping of the record itself.
_OWN = frozenset({"field_sources", "ordinal", "event_uid", "derived", "planes"})


def rank(source: SourceObject) -> int:
    """0 for the strongest kind of source."""
    return _RANK.get(source.kind, 8) if source.kind else 8


def naive(at: datetime | None, missing: datetime = _LAST) -> datetime:
    """A time to order by: without its zone, `missing` where there is none."""
    return at.replace(tzinfo=None) if at is not None else missing


def newness(source: SourceObject) -> tuple[datetime, datetime, str, str]:
    """Orders copies of a report: when its content was made, then its series, then its UID."""
    return (
        naive(source.content_at, _FIRST),
        naive(source.series_started_at, _FIRST),
        source.sop_instance_uid or "",
        source.sha256 or "",
    )


def order_of(part: Part) -> tuple[int, datetime, str, str]:
    """Orders the readings of one exam part: by kind, start, then UID and hash."""
    source = part.sources[0]
    return (
        rank(source),
        naive(part.started_at),
        source.sop_instance_uid or "",
        source.sha256 or "",
    )


def is_filled(value: Any) -> bool:
    """False for None and empty lists, texts and maps: what another source may fill."""
    return bool(value) or value is False or (isinstance(value, (int, float)) and value == 0)


def fill(
    records: Sequence[tuple[int, Record]], *, leave: Iterable[str] = ()
) -> tuple[Record, dict[str, int]]:
    """One record from several, field by field in their order, and where each field came from.

    Parameters
    ----------
    records
        (index of the source, record), strongest first.
    leave
        Names that only the first record may give.
    """
    (first_source, first), *others = records
    left = _OWN | set(leave)
    values: dict[str, Any] = {}
    origin: dict[str, int] = {}
    for name in first.__struct_fields__:
        value = getattr(first, name)
        if is_filled(value):
            origin[name] = first_source
        elif name not in left:
            for source, other in others:
                found = getattr(other, name)
                if is_filled(found):
                    values[name], origin[name] = found, source
                    break
    for name in left:
        origin.pop(name, None)
    return (replace(first, **values) if values else first), origin


def united(lists: Iterable[Iterable[Any]]) -> tuple[Any, ...]:
    """All distinct entries of lists, in order."""
    return tuple(dict.fromkeys(entry for one in lists for entry in one))


def shift(origin: Mapping[str, int], source: int) -> dict[str, int]:
    """`field_sources` of a record that was read from one object, now at index `source`."""
    return dict.fromkeys(origin, source)
