"""One object being read: what is found, where it stood, and what was noticed on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

import msgspec

from dose_lib import codes as c
from dose_lib import units
from dose_lib.dicom.fields import Field, Kind
from dose_lib.dicom.issues import KINDS
from dose_lib.dicom.sr import Node
from dose_lib.dicom.text import read_datetime, read_numbers
from dose_lib.keys import staff_key
from dose_lib.records import Code, Device, Extra, IdentifyingText, Issue, Provenance, Staff

# Where the template has a row of each kind (TID 10012, 10022, 10023).
_CODE_OR_TEXT = {c.REFERENCE_AUTHORITY.key}
# Provenance shows where a name stood, never the name.
HIDDEN = "(in the identity vault)"

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


class Reading:
    """State of reading one object.

    Attributes
    ----------
    zone
        Time zone of the object (0008,0201), for times that name none.
    clean
        Takes identifiers out of a free text; see `dose_lib.dicom.identity`.
    devices
        Device participants (TID 1021) met in events and totals.
    identity
        Names of `Identity` met in the content, such as a prescription identifier.
    """

    def __init__(
        self,
        *,
        site_key: bytes | None = None,
        zone: timezone | None = None,
        clean: Callable[[str], str] | None = None,
    ) -> None:
        self.site_key = site_key
        self.zone = zone
        self._clean = clean
        self.issues: list[Issue] = []
        self.provenance: list[Provenance] = []
        self.extras: list[Extra] = []
        self.staff: list[Staff] = []
        self.texts: list[IdentifyingText] = []
        self.rules: dict[str, None] = {}  # an ordered set
        self.devices: list[Device] = []
        self.identity: dict[str, Any] = {}

    def note(
        self, code: str, where: str | None, seen: str | None = None, rule: str | None = None
    ) -> None:
        """Leave an issue; `code` is one of `dose_lib.dicom.issues.KINDS`."""
        kind = KINDS[code]
        self.issues.append(
            Issue(
                code=code,
                severity=kind.severity,
                where=where,
                seen=seen,
                message=kind.message,
                source=0,
                rule=rule,
            )
        )

    def trace(
        self,
        name: str,
        path: str,
        recorded: str,
        *,
        unit: str | None = None,
        factor: float | None = None,
        rule: str | None = None,
    ) -> None:
        """Remember where the value of a contract name stood."""
        self.provenance.append(
            Provenance(
                name=name,
                source=0,
                path=path,
                recorded=recorded,
                unit=unit,
                factor=factor,
                rule=rule,
            )
        )

    def cleaned(self, text: str, where: str) -> str:
        """A free text without identifiers; the text as it was goes to the identity."""
        if self._clean is None:
            return text
        cleaned = self._clean(text)
        if cleaned != text:
            self.texts.append(IdentifyingText(where=where, text=text))
            self.note("identifier_in_text", where)
        return cleaned

    def add_staff(self, staff: Staff) -> str | None:
        """Remember a person; returns the pseudonymous key, None without a site key."""
        key = None
        if self.site_key is not None:
            key = staff_key(self.site_key, staff.staff_name, staff.staff_id)
        self.staff.append(msgspec.structs.replace(staff, staff_key=key))
        return key

    def keep_extra(self, node: Node) -> None:
        """Keep a content item that has no name in the model."""
        if node.is_taken:
            return
        value = node.value
        if node.value_type == "CODE":
            value = node.coded[1].meaning or node.coded[1].value
        elif node.references:
            value = "\\".join(node.references)
        path = node.path
        if node.value_type == "PNAME":
            if value:
                self.add_staff(Staff(staff_name=value, staff_where=path))
            value = HIDDEN
        elif value and node.value_type in ("TEXT", "CODE"):
            value = self.cleaned(value, path)
        name = node.name
        self.extras.append(
            Extra(
                path=path,
                code=name.value,
                scheme=name.scheme,
                meaning=name.meaning,
                value_type=node.value_type,
                value=value,
                unit=node.unit,
            )
        )


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
            if found is not None:
                self.put(field.name, round(found[0]), node)
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
        node.is_taken = True
        text = node.value
        if not text:
            seen = node.coded[1].meaning or node.coded[1].value
            self.reading.note("no_value", node.path, seen)
            return None
        values, is_legal = read_numbers(text)
        if not values:
            self.reading.note("unreadable_number", node.path, text)
            return None
        if not is_legal:
            self.reading.note("illegal_number", node.path, text)
        if node.unit is None:
            self.reading.note("unit_missing", node.path, text)
            return values, None
        factor = factor_of(node.unit, unit)
        if factor is None:
            self.reading.note("unknown_unit", node.path, f"{text} {node.unit}")
            return None
        if factor == 1.0:
            return values, None
        # A double holds 15 digits; the product's last bits are noise of the conversion.
        return tuple(float(f"{v * factor:.15g}") for v in values), factor

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


def shown_code(code: Code) -> str:
    """A code as provenance shows it."""
    return f"({code.value}, {code.scheme}, {code.meaning})"


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
    if key in field.choices:
        fields.put(field.name, field.choices[key], node, recorded=shown_code(code))
    elif key or node.value:
        seen = shown_code(code) if key else node.value
        fields.reading.note("unknown_code", node.path, seen)
        node.is_taken = False
        fields.reading.keep_extra(node)


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
