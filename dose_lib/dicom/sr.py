"""The content tree of a structured report, straight from bytes.

One pass makes a light tree: each node knows its concept by its folded key, its value as
sent, its unit and its place. Concept names, coded values and measured values repeat
thousands of times in a report, so they are decoded once for equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from dose_lib import codes as c
from dose_lib.codes import fold
from dose_lib.dicom import tags as t
from dose_lib.dicom.elements import DataSet, Span, most_items
from dose_lib.dicom.text import decode
from dose_lib.errors import ReadError
from dose_lib.records.source import Code
from dose_lib.units import is_unit

# A code as sent with its folded key (empty where the item is empty).
Coded = tuple[str, Code]
NO_CODE: Coded = ("", Code())
# (value as sent, unit as sent, folded key of the value's qualifier)
Measured = tuple[str, str | None]


class Node:
    """One content item.

    Attributes
    ----------
    value_type, relation
        As sent, such as ``NUM`` and ``CONTAINS``.
    key, name
        Folded key of the concept name, and the name as sent.
    value
        Text of NUM, TEXT, UIDREF, DATETIME, DATE, TIME and PNAME as sent.
    coded
        Value of CODE with its folded key; of NUM the qualifier (why there is no number).
    unit
        Unit code of NUM as sent.
    references
        SOP instance UIDs of IMAGE, COMPOSITE and WAVEFORM.
    children, by_key
        Content items below, in order and by folded key.
    parent, nth
        The item above, and the place among its children with the same key.
    is_taken
        True once a record has taken the value up; the others become extras.
    rule
        Dialect rule that gave the item its concept.
    """

    __slots__ = (
        "_path",
        "by_key",
        "children",
        "coded",
        "is_taken",
        "key",
        "name",
        "nth",
        "parent",
        "references",
        "relation",
        "rule",
        "table",
        "unit",
        "value",
        "value_type",
    )

    def __init__(self, key: str, name: Code, value_type: str, relation: str) -> None:
        self.key, self.name = key, name
        self.value_type, self.relation = value_type, relation
        self.value: str | None = None
        self.unit: str | None = None
        self.coded: Coded = NO_CODE
        self.references: tuple[str, ...] = ()
        self.table: DataSet | None = None
        self.children: list[Node] = []
        self.by_key: dict[str, list[Node]] = {}
        self.parent: Node | None = None
        self.nth = 0
        self.is_taken = False
        self.rule: str | None = None
        self._path: str | None = None

    def add(self, child: Node) -> None:
        """Append a content item below this one."""
        child.parent = self
        same = self.by_key.get(child.key)
        if same is None:
            self.by_key[child.key] = [child]
        else:
            child.nth = len(same)
            same.append(child)
        self.children.append(child)

    def all(self, key: str) -> list[Node]:
        """Content items directly below with this concept."""
        return self.by_key.get(key, [])

    def first(self, *keys: str) -> Node | None:
        """First content item directly below with one of these concepts."""
        for key in keys:
            if found := self.by_key.get(key):
                return found[0]
        return None

    def walk(self) -> Iterator[Node]:
        """The content item and all below it, in order."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))

    def containers(self, key: str) -> list[Node]:
        """Items with this concept, however deep, in order; none within another one."""
        found: list[Node] = []
        for child in self.children:
            if child.key == key:
                found.append(child)
            elif child.children:
                found += child.containers(key)
        return found

    @property
    def path(self) -> str:
        """Place in the report: code values from the root, `[n]` from 0 where one repeats."""
        if self._path is None:
            word, above = self.name.value or "?", self.parent
            if above is None:
                self._path = f"/{word}"
            elif len(above.by_key.get(self.key, ())) > 1:
                self._path = f"{above.path}/{word}[{self.nth}]"
            else:
                self._path = f"{above.path}/{word}"
        return self._path


# Devices send the same few hundred codes in every report: what equal bytes mean is kept
# from report to report, by character set and encoding.
_MAX_KNOWN = 20_000


@cache
def _known_codes(codecs: tuple[str, ...], explicit: bool) -> dict[bytes, Coded]:
    return {}


_WORDS = {
    raw: word
    for word in (
        *("NUM", "CODE", "TEXT", "CONTAINER", "UIDREF", "DATETIME", "PNAME", "IMAGE", "COMPOSITE"),
        *("CONTAINS", "HAS CONCEPT MOD", "HAS OBS CONTEXT", "HAS PROPERTIES", "INFERRED FROM"),
    )
    for raw in (word.encode(), word.encode() + b" ")
}


# What becomes a large record counts for several items: real events have dozens below them.
_WEIGHTS = dict.fromkeys(
    (
        c.CT_ACQUISITION.key,
        c.IRRADIATION_EVENT_XRAY_DATA.key,
        c.IRRADIATION_EVENT_SUMMARY_DATA.key,
        c.ACCUMULATED_XRAY_DOSE_DATA.key,
        c.ACCUMULATED_DOSE_DATA.key,
        c.RADIOPHARMACEUTICAL_ADMINISTRATION.key,
        c.RADIATION_DOSE_ESTIMATE.key,
    ),
    6,
)


class TreeReader:
    """Reads content items of one object; remembers what equal bytes mean."""

    def __init__(self, data_set: DataSet) -> None:
        self.source = data_set.source
        self.codecs = data_set.codecs
        self._codes = _known_codes(self.codecs, self.source.explicit)
        self._left = most_items(len(self.source.data))
        self._measured: dict[bytes, Measured] = {}

    def root(self, data_set: DataSet) -> Node:
        """The whole tree; the data set itself is the root item."""
        node = self._node(data_set.spans)
        self._add_children(node, data_set.spans, 1)
        return node

    def _add_children(self, node: Node, spans: dict[int, Span], depth: int) -> None:
        span = spans.get(t.ContentSequence)
        if span is None:
            return
        source = self.source
        for first, last in source.items(span[1], span[2], depth):
            below = source.spans(first, last, depth)
            if not below:
                continue
            child = self._node(below)
            node.add(child)
            self._left -= _WEIGHTS.get(child.key, 1)
            if self._left < 0:
                raise ReadError("more content items than a real report", where=f"byte {first}")
            if t.ContentSequence in below:
                self._add_children(child, below, depth + 1)

    def _node(self, spans: dict[int, Span]) -> Node:
        value_type = self._word(spans.get(t.ValueType))
        key, name = self._code(spans.get(t.ConceptNameCodeSequence))
        node = Node(key, name, value_type, self._word(spans.get(t.RelationshipType)))
        if value_type not in _VALUE_TYPES:
            # Some send a relationship here, or words of their own: the value shows what it is.
            node.value_type = value_type = _type_of_value(spans, value_type)
        if value_type == "NUM":
            self._take_number(node, spans)
        elif value_type == "CODE":
            node.coded = self._code(spans.get(t.ConceptCodeSequence))
        elif value_type != "CONTAINER":
            self._take_other(node, spans)
        return node

    def _take_number(self, node: Node, spans: dict[int, Span]) -> None:
        span = spans.get(t.MeasuredValueSequence)
        if span is not None:
            raw = self.source.data[span[1] : span[2]]
            found = self._measured.get(raw)
            if found is None:
                found = self._measured[raw] = self._read_measured(span)
            node.value, node.unit = found
        elif t.NumericValue in spans or t.FloatingPointValue in spans:
            node.value, node.unit = self._read_value(DataSet(self.source, spans, self.codecs))
        if t.NumericValueQualifierCodeSequence in spans:
            node.coded = self._code(spans[t.NumericValueQualifierCodeSequence])

    def _read_measured(self, span: Span) -> Measured:
        source = self.source
        found = [
            self._read_value(DataSet(source, source.spans(first, last, 1), self.codecs))
            for first, last in source.items(span[1], span[2], 1)
        ]
        if not found:
            return "", None
        # One value has one item (PS3.3 C.18.1); several in one unit are values in order.
        unit = found[0][1]
        return "\\".join(value for value, its_unit in found if its_unit == unit), unit

    def _read_value(self, item: DataSet) -> Measured:
        value = item.shown(t.NumericValue) if t.NumericValue in item else ""
        if not value and t.FloatingPointValue in item:
            value = item.shown(t.FloatingPointValue)
        unit = self._code(item.spans.get(t.MeasurementUnitsCodeSequence))[1]
        for word in (unit.value, unit.meaning):
            if word and is_unit(word):
                return value, word
        return value, unit.value or unit.meaning

    def _take_other(self, node: Node, spans: dict[int, Span]) -> None:
        for tag in _TEXT_VALUES:
            if tag in spans:
                node.value = self._text(spans[tag])
                break
        if t.ReferencedSOPSequence in spans:
            below = DataSet(self.source, spans, self.codecs).items(t.ReferencedSOPSequence)
            uids = (item.text(t.ReferencedSOPInstanceUID) for item in below)
            node.references = tuple(uid for uid in uids if uid)
        if t.TabulatedValuesSequence in spans:
            node.table = DataSet(self.source, spans, self.codecs).item(t.TabulatedValuesSequence)

    def _code(self, span: Span | None) -> Coded:
        """First item of a code sequence."""
        if span is None:
            return NO_CODE
        raw = self.source.data[span[1] : span[2]]
        found = self._codes.get(raw)
        if found is None:
            found = self._read_code(span)
            if len(raw) < 512:
                if len(self._codes) >= _MAX_KNOWN:
                    self._codes.clear()
                self._codes[raw] = found
        return found

    def _read_code(self, span: Span) -> Coded:
        source = self.source
        for first, last in source.items(span[1], span[2], 1):
            return coded_item(DataSet(source, source.spans(first, last, 1), self.codecs))
        return NO_CODE

    def _word(self, span: Span | None) -> str:
        """A short word: value type, relationship."""
        if span is None:
            return ""
        raw = self.source.data[span[1] : span[2]]
        return _WORDS.get(raw) or decode(raw).strip().upper()

    def _text(self, span: Span | None) -> str | None:
        if span is None:
            return None
        return self.source.text(self.source.data[span[1] : span[2]], self.codecs)


_VALUE_TYPES = frozenset(
    (
        *("NUM", "CODE", "TEXT", "CONTAINER", "UIDREF", "DATETIME", "DATE", "TIME", "PNAME"),
        *("IMAGE", "COMPOSITE", "WAVEFORM", "SCOORD", "SCOORD3D", "TCOORD", "TABLE"),
    )
)
_TYPES_BY_VALUE = (
    (t.MeasuredValueSequence, "NUM"),
    (t.ConceptCodeSequence, "CODE"),
    (t.PersonName, "PNAME"),
    (t.UID, "UIDREF"),
    (t.DateTime, "DATETIME"),
    (t.TextValue, "TEXT"),
    (t.ReferencedSOPSequence, "COMPOSITE"),
    (t.TabulatedValuesSequence, "TABLE"),
    (t.ContentSequence, "CONTAINER"),
)


def _type_of_value(spans: dict[int, Span], sent: str) -> str:
    if sent.startswith("PERSON"):  # a name, also where it stands as a text (Spectrum Dynamics)
        return "PNAME"
    return next((found for tag, found in _TYPES_BY_VALUE if tag in spans), sent)


_TEXT_VALUES = (t.TextValue, t.UID, t.DateTime, t.PersonName, t.Date, t.Time)


def coded_item(item: DataSet) -> Coded:
    """A code sequence item: its folded key, and the code as sent."""
    value = item.text(t.CodeValue) or item.text(t.LongCodeValue) or item.text(t.URNCodeValue)
    scheme = item.text(t.CodingSchemeDesignator)
    return fold(value, scheme), Code(value, scheme, item.text(t.CodeMeaning))


def read_tree(data_set: DataSet) -> Node:
    """The content tree of a structured report.

    Parameters
    ----------
    data_set
        The object's data set.

    Returns
    -------
    Node
        The root; without children where the object holds no content.
    """
    return TreeReader(data_set).root(data_set)
