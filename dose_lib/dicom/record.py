"""A record being filled from content items, each value with its provenance."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from dose_lib import codes as c
from dose_lib import units
from dose_lib.dicom.fields import OTHER_WORDS, Field, Kind
from dose_lib.dicom.reading import Reading, shown_code
from dose_lib.dicom.sr import Node
from dose_lib.dicom.text import read_datetime, read_numbers
from dose_lib.records import Code, Provenance

# Where the template has a row of each kind (TID 10012, 10022, 10023).
_CODE_OR_TEXT = {c.REFERENCE_AUTHORITY.key}

WITH_UNIT = re.compile(r"\s*([-+.\d][-+.,\deE]*?)\s*([^\W\d_].{0,19})", re.DOTALL)
MOST = 2**31 - 1  # the largest count that is believed, and that a column holds

_factors: dict[tuple[str, str], float | None] = {}


def factor_of(unit: str, to: str) -> float | None:
    """`units.factor` with the answers kept: a report repeats some twenty units."""
    pair = unit, to
    try:
        return _factors[pair]
    except KeyError:
        if len(_factors) > 10_000:
            _factors.clear()
        found = _factors[pair] = units.factor(unit, to)
        return found


class Fields:
    """The values of one record being filled from content items.

    `values` becomes the record: `Record(**fields.values)`. `prefix` is the record's place
    in the part, such as ``events[3].``.
    """

    __slots__ = ("prefix", "reading", "values")

    def __init__(self, reading: Reading, prefix: str = "") -> None:
        self.reading = reading
        self.prefix = prefix
        self.values: dict[str, Any] = {}

    def put(
        self,
        name: str,
        value: Any,
        node: Node,
        factor: float | None = None,
        recorded: str | None = None,
    ) -> None:
        """Set a value and its provenance; the first one stays, a different second is noted."""
        node.is_taken = True
        old = self.values.get(name)
        if old is not None:
            if old != value:
                self.reading.note("value_contradicted", node.path, node.value)
            return
        self.values[name] = value
        if recorded is None:
            recorded = node.value or ""
        self.reading.provenance.append(
            Provenance(
                name=self.prefix + name,
                source=0,
                path=node.path,
                recorded=recorded,
                unit=node.unit,
                factor=factor,
                rule=node.rule,
            )
        )

    def append(self, name: str, value: Any, node: Node, recorded: str | None = None) -> None:
        """Add to a list value."""
        node.is_taken = True
        self.values[name] = (*self.values.get(name, ()), value)
        shown = node.value if recorded is None else recorded
        self.reading.trace(
            f"{self.prefix}{name}[{len(self.values[name]) - 1}]",
            node.path,
            shown or "",
            unit=node.unit,
            rule=node.rule,
        )

    def read(self, nodes: Iterable[Node], table: Mapping[str, Field], handlers: Handlers) -> None:
        """Read content items by a table of concepts; what is in no table becomes an extra.

        Containers without a handler are read through, however deep a maker nests them, and
        so are the items below a value (its modifiers and properties).
        """
        for node in nodes:
            handler = handlers.get(node.key)
            if handler is not None:
                handler(self, node)
                continue
            field = table.get(node.key)
            if field is not None:
                self.take(node, field)
            elif node.value_type != "CONTAINER":
                self.reading.keep_extra(node)
            if node.children:
                self.read(node.children, table, handlers)

    def take(self, node: Node, field: Field) -> None:
        """Set one value from a content item, as its field says."""
        kind = field.kind
        if kind is Kind.NUMBER:
            found = self.number(node, field.unit)
            if found is not None:
                self.put(field.name, found[0], node, found[1])
        elif kind is Kind.COUNT:
            found = self.number(node, "1")
            if found is not None and abs(found[0]) <= MOST:
                self.put(field.name, round(found[0]), node)
            elif found is not None:
                self.reading.note("implausible_value", node.path, node.value)
        else:
            _TAKERS[kind](self, node, field)

    def number(self, node: Node, unit: str) -> tuple[float, float | None] | None:
        """First number of a content item in `unit`, with the factor that was applied."""
        numbers = self.numbers(node, unit)
        if numbers is None:
            return None
        values, factor = numbers
        if len(values) > 1:
            self.reading.note("several_values", node.path, node.value)
        return values[0], factor

    def numbers(self, node: Node, unit: str) -> tuple[tuple[float, ...], float | None] | None:
        """Numbers of a content item in `unit`; None with an issue where there are none."""
        values = self.plain_numbers(node, unit)
        if not values or node.unit is None:
            if values:
                self.reading.note("unit_missing", node.path, node.value)
            return (values, None) if values else None
        factor = factor_of(node.unit, unit)
        if factor is None:
            self.reading.note("unknown_unit", node.path, f"{node.value} {node.unit}")
            return None
        if factor == 1.0:
            return values, None
        # A double holds 15 digits; the product's last bits are noise of the conversion.
        return tuple(float(f"{v * factor:.15g}") for v in values), factor

    def plain_numbers(self, node: Node, unit: str | None = None) -> tuple[float, ...]:
        """Numbers of a content item as sent; empty with an issue where there are none.

        A unit in the text itself is taken off, if one of the quantity `unit` and not
        another one than the item names; an item that names none gets it.
        """
        node.is_taken = True
        text = node.value
        if not text:
            seen = node.coded[1].meaning or node.coded[1].value
            self.reading.note("no_value", node.path, seen)
            return ()
        values, is_legal = read_numbers(text)
        if not values and unit is not None and (own := WITH_UNIT.fullmatch(text)):
            named = factor_of(node.unit or own[2], unit)
            if named is not None and factor_of(own[2], unit) == named:
                node.unit = node.unit or own[2]
                values, is_legal = read_numbers(own[1])[0], False
        if not values:
            self.reading.note("unreadable_number", node.path, text)
        elif not is_legal:
            self.reading.note("illegal_number", node.path, text)
        return values

    def time(self, node: Node) -> datetime | None:
        """Date and time of a content item; None with an issue if it cannot be read."""
        node.is_taken = True
        if not node.value:
            return None
        found = read_datetime(node.value, self.reading.zone)
        if found is None:
            self.reading.note("bad_datetime", node.path, node.value)
        return found

    def text(self, node: Node) -> str | None:
        """Free text of a content item without identifiers."""
        node.is_taken = True
        value = node.value
        if node.value_type == "CODE" and value is None:
            value = node.coded[1].meaning
        return self.reading.cleaned(value, node.path) if value else None

    def code(self, node: Node) -> Code | None:
        """Coded value of a content item; words sent in its place become the meaning."""
        node.is_taken = True
        if node.coded[0]:
            return node.coded[1]
        text = node.coded[1].meaning or node.value
        if not text:
            return None
        if node.value_type != "CODE" and node.key not in _CODE_OR_TEXT:
            self.reading.note("text_for_code", node.path)
        return Code(meaning=self.reading.cleaned(text, node.path))


# A handler may ask for a subclass of Fields, hence Any; its readers pass what it needs.
Handlers = Mapping[str, Callable[[Any, Node], None]]


def _take_code(fields: Fields, node: Node, field: Field) -> None:
    code = fields.code(node)
    if code is not None:
        fields.put(field.name, code, node, recorded=shown_code(code))


def _take_codes(fields: Fields, node: Node, field: Field) -> None:
    code = fields.code(node)
    if code is not None:
        fields.append(field.name, code, node, shown_code(code))


def _take_choice(fields: Fields, node: Node, field: Field) -> None:
    """A closed set, or yes and no."""
    node.is_taken = True
    key, code = node.coded
    found = choose(fields.reading, node, field.choices)
    if found is not None:
        fields.put(field.name, found, node, recorded=shown_code(code) if key else None)
    elif key or code.meaning or node.value:
        fields.reading.note(
            "unknown_code", node.path, _words(node) if not key else shown_code(code)
        )
        node.is_taken = False
        fields.reading.keep_extra(node)


def choose(reading: Reading, node: Node, choices: Mapping[str, Any]) -> Any:
    """The choice that a coded value names: by its code, else by its words; None if neither.

    Within a closed set the standard's words can mean nothing else, whatever code a maker
    puts beside them; that they decided leaves an issue.
    """
    key = node.coded[0]
    if key in choices:
        return choices[key]
    found = _choices_by_meaning(tuple(choices.items())).get(fold_meaning(_words(node)))
    if found is not None:
        reading.note("value_by_meaning", node.path, _words(node))
    return found


def known_choice(key: str, code: Code, choices: Mapping[str, Any]) -> Any:
    """The choice of a code in a header: by its key, else by its words; None if neither."""
    by_words = _choices_by_meaning(tuple(choices.items()))
    return choices.get(key) or by_words.get(fold_meaning(code.meaning))


def _words(node: Node) -> str:
    return node.coded[1].meaning or node.value or ""


@cache
def _choices_by_meaning(choices: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    known = {v.key: v.meaning for v in vars(c).values() if isinstance(v, c.Concept)}
    found = {word: value for _, value in choices for word in OTHER_WORDS.get(value, ())}
    return found | {fold_meaning(known[key]): value for key, value in choices if key in known}


def fold_meaning(meaning: str | None) -> str:
    """A meaning without case, punctuation and spaces."""
    return re.sub(r"[\W_]", "", meaning or "").casefold()


def _take_text(fields: Fields, node: Node, field: Field) -> None:
    text = fields.text(node)
    if text is not None:
        fields.put(field.name, text, node, recorded=text)


def _take_texts(fields: Fields, node: Node, field: Field) -> None:
    text = fields.text(node)
    if text is not None:
        fields.append(field.name, text, node, text)


def _take_word(fields: Fields, node: Node, field: Field) -> None:
    node.is_taken = True
    if node.value:
        fields.put(field.name, node.value, node)


def _take_uids(fields: Fields, node: Node, field: Field) -> None:
    """UIDs of UIDREF (or TEXT), or of the objects that IMAGE and COMPOSITE refer to."""
    node.is_taken = True
    for uid in node.references or ((node.value,) if node.value else ()):
        fields.append(field.name, uid, node, uid)


def _take_time(fields: Fields, node: Node, field: Field) -> None:
    at = fields.time(node)
    if at is not None:
        fields.put(field.name, at, node)


_TAKERS: dict[Kind, Callable[[Fields, Node, Field], None]] = {
    Kind.CODE: _take_code,
    Kind.CODES: _take_codes,
    Kind.CHOICE: _take_choice,
    Kind.TEXT: _take_text,
    Kind.TEXTS: _take_texts,
    Kind.WORD: _take_word,
    Kind.UIDS: _take_uids,
    Kind.TIME: _take_time,
}
