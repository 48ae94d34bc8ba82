"""One row under a plan: values by record, where each came from, and what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time
from typing import Any

import msgspec

from dose_lib.history.cells import (
    Cell,
    UnreadableError,
    is_missing,
    read_date,
    read_datetime,
    read_time,
    read_value,
    shown,
)
from dose_lib.history.plan import Bound, Group, Plan
from dose_lib.records import Code, Provenance

HIDDEN = "(an identifier)"
# Below zero only by mistake, or by a program's sign for "unknown".
_NOT_NEGATIVE = frozenset({"mGy", "Gy.cm2", "mGy.cm", "mSv", "MBq", "a", "kg", "cm", "s", "mA.s"})


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A cell, or a row, that could not be read.

    Attributes
    ----------
    row
        Number in the file, heads included.
    column, seen, expected
        What stands where, and what should; identifiers are not shown.
    is_fatal
        True if the row was not taken for it; else the value was left out.
    """

    row: int
    column: str
    seen: str
    expected: str
    is_fatal: bool = True


class Reader:
    """Reads the cells of one row and takes notes.

    Parameters
    ----------
    plan
        What is done with a row.
    row
        Its number in the file.
    cells
        Its cells.
    """

    def __init__(self, plan: Plan, row: int, cells: Sequence[Cell]) -> None:
        self._plan, self.number, self._cells = plan, row, cells
        self.problems: list[Problem] = []
        self.provenance: list[Provenance] = []

    def cell(self, place: int | None) -> Cell:
        """A cell; None for one that is empty or beyond the end of the row."""
        if place is None or place >= len(self._cells):
            return None
        found = self._cells[place]
        return None if is_missing(found, self._plan.style) else found

    def text(self, places: Sequence[int]) -> str | None:
        """The first text among some cells."""
        found = (self.cell(p) for p in places)
        return next((shown(c) for c in found if c is not None), None)

    def values(self, bound: Sequence[Bound], prefix: str) -> dict[str, Any]:
        """Values of a record by name; `prefix` is its place in the part."""
        found = {}
        for one in bound:
            value = self.value(one, prefix)
            if value is not None:
                name = one.target.name
                found[name] = (value,) if one.target.is_list else value
        return found

    def value(self, bound: Bound, prefix: str) -> Any:
        """One value, in the unit of its name; None if there is none."""
        cell = self.cell(bound.place)
        column, kind = bound.column, bound.target.kind
        if column.otherwise is not None and (
            cell is None or (column.values and shown(cell).casefold() not in column.values)
        ):
            return read_value(column.otherwise, kind, self._plan.style, {})
        if cell is None:
            return None
        try:
            value = read_value(cell, kind, self._plan.style, column.values)
            if isinstance(value, float):
                value = _checked(value, bound)
        except UnreadableError as error:
            self._complain(bound, cell, str(error))
            return None
        self._trace(bound, prefix, cell)
        return value

    def started_at(self) -> tuple[datetime | None, bool]:
        """Start of the exam as the table has it, and whether it has a time."""
        plan = self._plan
        both = self._read(plan.datetime, read_datetime, is_needed=plan.date is None)
        if both is not None:
            self._trace_start(plan.datetime)
            return both, True
        day = self._read(plan.date, read_date, is_needed=plan.date is not None)
        if day is None:
            return None, False
        hour = self._read(plan.time, read_time, is_needed=False)
        self._trace_start(plan.date, plan.time if hour is not None else None)
        return datetime.combine(day, hour or time()), hour is not None

    def _read(self, place: int | None, read: Callable[[Cell, Any], Any], *, is_needed: bool) -> Any:
        if place is None:
            return None
        cell = self.cell(place)
        if cell is None:
            if is_needed:
                self._problem(place, "nothing", "the date of the exam", is_fatal=True)
            return None
        try:
            return read(cell, self._plan.style)
        except UnreadableError as error:
            self._problem(place, shown(cell), str(error), is_fatal=True)
            return None

    def _problem(self, place: int, seen: str, expected: str, *, is_fatal: bool) -> None:
        self.problems.append(
            Problem(
                row=self.number,
                column=self._plan.heads[place],
                seen=seen[:80],
                expected=expected,
                is_fatal=is_fatal,
            )
        )

    def _complain(self, bound: Bound, cell: Cell, expected: str) -> None:
        seen = HIDDEN if bound.is_hidden else shown(cell)
        is_fatal = bound.is_essential or bound.target.name == "modality"
        self._problem(bound.place or 0, seen, expected, is_fatal=is_fatal)

    def _trace(self, bound: Bound, prefix: str, cell: Cell) -> None:
        if bound.is_hidden:
            return
        self.provenance.append(
            Provenance(
                name=prefix + bound.target.name,
                source=0,
                path=self._path(bound.head),
                recorded=shown(cell),
                unit=bound.column.unit,
                factor=bound.factor,
            )
        )

    def _trace_start(self, *places: int | None) -> None:
        there = [p for p in places if p is not None]
        self.provenance.append(
            Provenance(
                name="started_at",
                source=0,
                path=self._path(", ".join(self._plan.heads[p] for p in there)),
                recorded=" ".join(shown(self.cell(p)) for p in there),
            )
        )

    def drop(self, prefix: str) -> None:
        """Forget where the values of an event stood that is none."""
        self.provenance[:] = [p for p in self.provenance if not p.name.startswith(prefix)]

    def _path(self, head: str) -> str:
        return f"row {self.number}, {head}"

    def group(self, group: Group, prefix: str) -> dict[str, Any]:
        """Values of an event or a plane, with its sources; empty if the row has none."""
        values = self.values(group.cells, prefix)
        sources = [
            found
            for n, source in enumerate(group.sources)
            if (found := self.values(source.cells, f"{prefix}sources[{n}]."))
        ]
        if sources:
            values["sources"] = sources
        return values


def _checked(value: float, bound: Bound) -> float:
    if value < 0 and bound.target.unit in _NOT_NEGATIVE:
        raise UnreadableError("a number that is not below zero")
    # 15 digits: without the noise that a conversion adds to binary fractions.
    return value if bound.factor in (None, 1.0) else float(f"{value * bound.factor:.15g}")


def has_own(group: Group, values: Mapping[str, Any]) -> bool:
    """True if an event has more than what stands once in the row."""
    own = {b.target.name for b in group.cells if not b.is_shared and b.place is not None}
    constant = {b.target.name for b in group.cells if b.column.otherwise is not None}
    return bool((own - constant) & set(values) or "sources" in values)


def cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    """A text or the meaning of a code without identifiers; anything else as it is."""
    if type(value) is str:
        return clean(value)
    if isinstance(value, Code) and value.meaning:
        return msgspec.structs.replace(value, meaning=clean(value.meaning))
    if isinstance(value, tuple):
        return tuple(cleaned(v, clean) for v in value)
    return value
