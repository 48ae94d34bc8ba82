"""A mapping laid over the heads of one table: which cell fills which name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import count

import msgspec

from dose_lib import units
from dose_lib.errors import UsageError
from dose_lib.history.cells import Style
from dose_lib.history.columns import Target, targets
from dose_lib.history.mapping import Column, Fields, Repeated, TableMapping, fold_head
from dose_lib.records import Plane


class Bound(msgspec.Struct, frozen=True):
    """One name and the cell that fills it.

    `factor` turns its numbers into the unit of the name; `is_hidden`: no report may show it;
    `is_shared`: it stands once for all events of the row.
    """

    target: Target
    place: int | None
    head: str
    factor: float | None
    column: Column
    is_hidden: bool = False
    is_shared: bool = False

    @property
    def is_essential(self) -> bool:
        """True for a dose: a row with an unreadable one is not taken."""
        return self.target.unit in ("mGy", "Gy.cm2", "mGy.cm", "mSv", "MBq")


class Group(msgspec.Struct, frozen=True):
    """Cells of one event, plane or source; an event may have sources."""

    cells: tuple[Bound, ...]
    plane: Plane | None = None
    sources: tuple[Group, ...] = ()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is done with each row of a table.

    `unmapped` are the heads that no name is filled from.
    """

    mapping: TableMapping
    style: Style
    heads: tuple[str, ...]
    datetime: int | None
    date: int | None
    time: int | None
    records: Mapping[str, tuple[Bound, ...]]
    modality: Bound | None
    operators: tuple[int, ...]
    physicians: tuple[int, ...]
    not_patient: tuple[int, ...]
    exam: tuple[int, ...]
    planes: tuple[Group, ...]
    events: tuple[Group, ...]
    unmapped: tuple[str, ...]


class _Heads:
    """Heads of a table, found by what they say; remembers which were used."""

    def __init__(self, heads: Sequence[str]) -> None:
        self.heads = tuple(heads)
        self._places: dict[str, int] = {}
        for place, head in enumerate(heads):
            self._places.setdefault(fold_head(head), place)
        self.used: set[int] = set()

    def find(self, names: Iterable[str]) -> int | None:
        """Place of the first of these heads that is there."""
        for name in names:
            place = self._places.get(fold_head(name))
            if place is not None:
                self.used.add(place)
                return place
        return None

    def find_all(self, names: Iterable[str]) -> tuple[int, ...]:
        """Places of those that are there."""
        places = (self.find([name]) for name in names)
        return tuple(p for p in places if p is not None)

    def has_prefix(self, prefix: str) -> bool:
        return any(h.startswith(fold_head(prefix + "x")[:-1]) for h in self._places)


_PLAIN = ("part", "device", "patient", "totals", "administration", "identity")


def make_plan(mapping: TableMapping, heads: Sequence[str]) -> Plan:
    """Lay a mapping over a table.

    Raises
    ------
    UsageError
        If the table has no column for the date of the exam: then nothing could be taken.
    """
    table = _Heads(heads)
    start = mapping.started_at
    moment, day, hour = (table.find(n) for n in (start.datetime, start.date, start.time))
    if moment is None and day is None:
        raise UsageError(
            f"mapping {mapping.name!r} finds no date of the exam",
            expected="a column " + " or ".join(map(repr, (*start.datetime, *start.date))),
            todo="Check that the mapping is the one of this export",
        )
    records = {r: _bind(getattr(mapping, r), r, table) for r in _PLAIN}
    modality = None
    if mapping.modality_column is not None:
        modality = _bound(mapping.modality_column, targets("part")["modality"], table, "")
    plan = Plan(
        mapping=mapping,
        style=mapping.style,
        heads=table.heads,
        datetime=moment,
        date=day,
        time=hour,
        records=records,
        modality=modality,
        operators=table.find_all(mapping.operators),
        physicians=table.find_all(mapping.physicians),
        not_patient=table.find_all(mapping.not_patient),
        exam=_exam(mapping, table) or _telling(records, (moment, day, hour)),
        planes=_planes(mapping, table),
        events=_events(mapping, table),
        unmapped=(),
    )
    left = tuple(h for n, h in enumerate(table.heads) if n not in table.used and h)
    return msgspec.structs.replace(plan, unmapped=left)


def _exam(mapping: TableMapping, table: _Heads) -> tuple[int, ...]:
    """Places of what tells exams apart, as the mapping says."""
    found = (table.find(names) for names in mapping.exam_columns)
    return tuple(p for p in found if p is not None)


def _telling(
    records: Mapping[str, tuple[Bound, ...]], moment: Iterable[int | None]
) -> tuple[int, ...]:
    """Columns that tell exams apart where the mapping names none."""
    names = ("study_uid", "patient_id", "accession_number", "station_name", "serial_number")
    cells = [b.place for some in records.values() for b in some if b.target.name in names]
    return tuple(p for p in (*cells, *moment) if p is not None)


def _bind(fields: Fields, record: str, table: _Heads, prefix: str = "") -> tuple[Bound, ...]:
    known = targets(record)
    is_hidden = record == "identity"
    found = (_bound(c, known[n], table, prefix, is_hidden) for n, c in fields.items())
    return tuple(b for b in found if b.place is not None or b.column.otherwise is not None)


def _bound(
    column: Column, target: Target, table: _Heads, prefix: str, is_hidden: bool = False
) -> Bound:
    place = table.find(prefix + name for name in column.columns)
    is_shared = place is None and column.of_row
    if is_shared:
        place = table.find(column.columns)
    factor = None
    if column.unit is not None and target.unit is not None:
        factor = units.factor(column.unit, target.unit)
    head = table.heads[place] if place is not None else ""
    return Bound(target, place, head, factor, column, is_hidden, is_shared)


def _planes(mapping: TableMapping, table: _Heads) -> tuple[Group, ...]:
    groups = (
        Group(_bind(p.fields, "totals_plane", table, p.prefix), p.plane) for p in mapping.planes
    )
    return tuple(g for g in groups if g.cells)


def _events(mapping: TableMapping, table: _Heads) -> tuple[Group, ...]:
    events = mapping.events
    if events is None:
        return ()
    found = []
    for prefix in _prefixes(events, table):
        cells = _bind(events.fields, mapping.event_record, table, prefix)
        sources = tuple(
            Group(_bind(s.fields, "ct_source", table, prefix + s.prefix)) for s in events.sources
        )
        found.append(Group(cells, None, tuple(s for s in sources if s.cells)))
    return tuple(found)


def _prefixes(events: Repeated, table: _Heads) -> Iterable[str]:
    if "{n}" not in events.prefix:
        return [events.prefix]
    last = max((int(n) for h in table.heads for n in re.findall(r"\d+", h)[:1]), default=0)
    numbered = (events.prefix.replace("{n}", str(n)) for n in count(1))
    found = []
    for _, prefix in zip(range(last), numbered, strict=False):
        if table.has_prefix(prefix):
            found.append(prefix)
    return found
