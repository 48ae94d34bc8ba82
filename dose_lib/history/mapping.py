"""Mappings: which column of an export fills which name, and in which unit.

A mapping is a TOML file. Those of known systems come with the package; a site writes its own
for others. Nothing is taken from a column that no mapping names.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import msgspec

from dose_lib import units
from dose_lib.errors import UsageError, did_you_mean
from dose_lib.history.cells import Style
from dose_lib.history.columns import Target, targets
from dose_lib.records import Modality, Plane


class Column(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a value stands, and how it is written there.

    Attributes
    ----------
    columns
        Heads of the column in different versions of the export; the first there is counts.
    unit
        Unit of the numbers; needed wherever the name has one.
    values
        What certain texts mean.
    otherwise
        The value where no text of `values` stands, or the cell is empty.
    of_row
        In a list of events: the column may stand once in the row instead of once an event.
    """

    columns: tuple[str, ...] = ()
    unit: str | None = None
    values: Mapping[str, str] = {}
    otherwise: str | None = None
    of_row: bool = False


class Moment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A date and time in one column or in two; the time may be missing."""

    datetime: tuple[str, ...] = ()
    date: tuple[str, ...] = ()
    time: tuple[str, ...] = ()


Fields = Mapping[str, Column]


class Repeated(msgspec.Struct, frozen=True, kw_only=True):
    """Columns that stand once for each event, plane or source.

    Attributes
    ----------
    prefix
        Before each head; ``{n}`` in it counts from 1.
    fields
        Names of the record and their columns, without the prefix.
    sources
        X-ray sources of a CT event, each with a prefix of its own.
    plane
        Of a list of planes: which one.
    """

    prefix: str
    fields: Fields
    sources: tuple[Repeated, ...] = ()
    plane: Plane | None = None


class TableMapping(msgspec.Struct, frozen=True, kw_only=True):
    """How the rows of an export become exams; see `read_mapping`."""

    name: str
    title: str
    system: str
    sha256: str
    modality: Modality | None = None
    modality_column: Column | None = None
    rows: Literal["exam", "event"] = "exam"
    exam_columns: tuple[tuple[str, ...], ...] = ()
    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    sheet: str | None = None
    header_row: int = 1
    style: Style = Style()
    started_at: Moment
    part: Fields = {}
    device: Fields = {}
    patient: Fields = {}
    totals: Fields = {}
    identity: Fields = {}
    administration: Fields = {}
    operators: tuple[str, ...] = ()
    physicians: tuple[str, ...] = ()
    not_patient: tuple[str, ...] = ()
    planes: tuple[Repeated, ...] = ()
    events: Repeated | None = None

    @property
    def event_record(self) -> str:
        """Record that its events are."""
        return "ct_event" if self.modality is Modality.CT else "xray_event"


_TOP = frozenset(
    {
        *("title", "system", "modality", "rows", "exam_columns", "detect", "table", "part"),
        *("device", "patient", "totals", "identity", "administration", "staff", "not_patient"),
        *("planes", "events"),
    }
)


def read_mapping(path: Path) -> TableMapping:
    """A mapping from its TOML file.

    Raises
    ------
    UsageError
        With file and place, if the file cannot be used.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the mapping cannot be read ({type(error).__name__})",
            expected="a TOML file; `dose import-history --mappings` names those that come with us",
            where=str(path),
        ) from None
    return parse_mapping(text, path.stem, str(path))


def shipped_mappings() -> tuple[TableMapping, ...]:
    """Mappings that come with the package, by name."""
    folder = files("dose_lib.history").joinpath("mappings")
    texts = {e.name: e.read_text(encoding="utf-8") for e in folder.iterdir()}
    return tuple(
        parse_mapping(text, name.removesuffix(".toml"), name)
        for name, text in sorted(texts.items())
        if name.endswith(".toml")
    )


def parse_mapping(text: str, name: str, where: str) -> TableMapping:
    """A mapping from its text; `where` stands in messages."""
    try:
        given = tomllib.loads(text)
        return _mapping(given, name, hashlib.sha256(text.encode()).hexdigest())
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the mapping is no TOML ({error})", where=where) from None
    except (msgspec.ValidationError, KeyError) as error:
        seen = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise UsageError(f"the mapping cannot be used: {seen}", where=where) from None
    except UsageError as error:
        raise UsageError(
            error.seen, expected=error.expected, where=where, todo=error.todo
        ) from None


def _mapping(given: dict[str, Any], name: str, sha256: str) -> TableMapping:
    for key in given:
        if key not in _TOP:
            raise UsageError(f"unknown entry {key!r}", todo=did_you_mean(key, _TOP))
    modality = given["modality"]
    is_fixed = isinstance(modality, str)
    detect, table, staff = (given.get(k, {}) for k in ("detect", "table", "staff"))
    part = dict(given["part"])
    events = given.get("events")
    record = "ct_event" if modality == "CT" else "xray_event"
    return TableMapping(
        name=name,
        title=given["title"],
        system=given.get("system", given["title"]),
        sha256=sha256,
        modality=msgspec.convert(modality, Modality) if is_fixed else None,
        modality_column=None if is_fixed else _column(modality),
        rows=msgspec.convert(given.get("rows", "exam"), Literal["exam", "event"]),
        exam_columns=tuple(_names(c) for c in given.get("exam_columns", ())),
        all_of=_names(detect.get("all_of", ())),
        any_of=_names(detect.get("any_of", ())),
        sheet=table.get("sheet"),
        header_row=table.get("header_row", 1),
        style=_style(table),
        started_at=_moment(part.pop("started_at")),
        part=_fields(part, "part"),
        operators=_names(staff.get("operators", ())),
        physicians=_names(staff.get("physicians", ())),
        not_patient=_names(given.get("not_patient", ())),
        planes=tuple(_repeated(p, "totals_plane") for p in given.get("planes", ())),
        events=_repeated(events, record) if events else None,
        **{
            r: _fields(given.get(r, {}), r)
            for r in ("device", "patient", "totals", "identity", "administration")
        },
    )


def _style(table: Mapping[str, Any]) -> Style:
    given = {k: v for k, v in table.items() if k not in ("sheet", "header_row")}
    for key in given:
        if key not in Style.__struct_fields__:
            raise UsageError(
                f"unknown entry {key!r} in [table]",
                todo=did_you_mean(key, ("sheet", "header_row", *Style.__struct_fields__)),
            )
    return msgspec.convert(given, Style)


def _names(given: Any) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _column(given: Any) -> Column:
    if not isinstance(given, dict):
        return Column(columns=_names(given))
    plain = {**given, "columns": list(_names(given.get("columns", given.get("column", ()))))}
    plain.pop("column", None)
    column = msgspec.convert(plain, Column)
    folded = {text.strip().casefold(): value for text, value in column.values.items()}
    return msgspec.structs.replace(column, values=folded)


def _moment(given: Any) -> Moment:
    if not isinstance(given, dict):
        return Moment(datetime=_names(given))
    return msgspec.convert({k: list(_names(v)) for k, v in given.items()}, Moment)


def _fields(given: Mapping[str, Any], record: str) -> Fields:
    known = targets(record)
    found = {}
    for name, said in given.items():
        if name not in known:
            raise UsageError(
                f"{name!r} is no name that a column of [{record}] can fill",
                todo=did_you_mean(name, known),
            )
        found[name] = _checked(_column(said), known[name], record)
    return found


def _checked(column: Column, target: Target, record: str) -> Column:
    """A column whose unit fits its name; a count and a ratio need none."""
    needs = target.unit if target.unit not in (None, "1") and target.kind is float else None
    if needs is None:
        return column
    if column.unit is None:
        raise UsageError(
            f"{record}.{target.name} has no unit",
            expected=f'unit = "{needs}", or what its column has',
        )
    if units.factor(column.unit, needs) is None:
        raise UsageError(
            f"{record}.{target.name}: unit {column.unit!r} is none of this quantity",
            expected=f"a unit that can be turned into {needs}",
        )
    return column


def _repeated(given: Mapping[str, Any], record: str) -> Repeated:
    plain = dict(given)
    prefix = plain.pop("prefix", "")
    sources = tuple(_repeated(s, "ct_source") for s in plain.pop("sources", ()))
    plane = plain.pop("plane", None)
    return Repeated(
        prefix=prefix,
        fields=_fields(plain, record),
        sources=sources,
        plane=msgspec.convert(plane, Plane) if plane else None,
    )


def fold_head(head: str) -> str:
    """A column's head without case, spaces and the many ways to write cm²."""
    plain = head.casefold().replace("²", "2").replace("·", ".").replace("^", "")
    return " ".join(plain.replace("\ufeff", "").split())


def fits(mapping: TableMapping, heads: Sequence[str]) -> bool:
    """True if a table with these heads is what the mapping is for."""
    known = {fold_head(h) for h in heads}
    wanted = [fold_head(h) for h in mapping.all_of]
    any_of = [fold_head(h) for h in mapping.any_of]
    is_there = all(h in known for h in wanted) and (not any_of or any(h in known for h in any_of))
    return bool(wanted or any_of) and is_there


def all_columns(mapping: TableMapping) -> Iterator[Column]:
    """Every column that the mapping names outside its lists."""
    for fields in (
        mapping.part,
        mapping.device,
        mapping.patient,
        mapping.totals,
        mapping.identity,
        mapping.administration,
    ):
        yield from fields.values()
    if mapping.modality_column is not None:
        yield mapping.modality_column
