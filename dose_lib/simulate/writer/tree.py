"""Content items of a structured report, and their encoding in a dialect (PS3.3 C.17.3)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from dose_lib.records import Code
from dose_lib.simulate.writer.codes import dcm
from dose_lib.simulate.writer.dialect import Dialect
from dose_lib.simulate.writer.encode import codec, decimal_string, element, encode, item, pad

CONTAINS, OBS, MOD, PROP, INFERRED = (
    "CONTAINS",
    "HAS OBS CONTEXT",
    "HAS CONCEPT MOD",
    "HAS PROPERTIES",
    "INFERRED FROM",
)


class Item(NamedTuple):
    """One content item; `unit` and `qualifier` belong to numbers."""

    relation: str
    type: str
    concept: Code
    value: Any = None
    unit: str | None = None
    qualifier: Code | None = None
    children: tuple[Item, ...] = ()


Items = tuple[Item, ...]


def container(concept: str, children: Iterable[Item], relation: str = CONTAINS) -> Item:
    """A container of DCM concept `concept`."""
    return Item(relation, "CONTAINER", dcm(concept), children=tuple(children))


def number(
    concept: Code | str,
    value: float | tuple[float, ...] | None,
    unit: str,
    *children: Item,
    relation: str = CONTAINS,
) -> Items:
    """A number, or nothing where there is none."""
    if value is None:
        return ()
    return (Item(relation, "NUM", _code(concept), value, unit, None, children),)


def unmeasured(concept: str, qualifier: Code | None = None) -> Items:
    """A number that is there without a value: no measured value, perhaps why (CID 42)."""
    return (Item(CONTAINS, "NUM", dcm(concept), None, None, qualifier),)


def coded(
    concept: Code | str, value: Code | None, *children: Item, relation: str = CONTAINS
) -> Items:
    """A coded value, or nothing where there is none."""
    if value is None:
        return ()
    return (Item(relation, "CODE", _code(concept), value, None, None, children),)


def text(
    concept: Code | str, value: str | None, *children: Item, relation: str = CONTAINS
) -> Items:
    """A text, or nothing where there is none; an empty text is written empty."""
    if value is None:
        return ()
    return (Item(relation, "TEXT", _code(concept), value, None, None, children),)


def uid(concept: str, value: str | None, relation: str = CONTAINS) -> Items:
    """A UID reference, or nothing where there is none."""
    return () if value is None else (Item(relation, "UIDREF", dcm(concept), value),)


def moment(concept: str, value: datetime | None, relation: str = CONTAINS) -> Items:
    """A date and time, or nothing where there is none."""
    return () if value is None else (Item(relation, "DATETIME", dcm(concept), dt(value)),)


def image(concept: str, sop_class: str, sop_instance: str) -> Item:
    """A reference to an image."""
    return Item(CONTAINS, "IMAGE", dcm(concept), (sop_class, sop_instance))


def _code(concept: Code | str) -> Code:
    return dcm(concept) if isinstance(concept, str) else concept


def dt(when: datetime) -> str:
    """A DICOM DT: milliseconds where there are any, the offset where one is known."""
    fraction = f".{when.microsecond:06d}" if when.microsecond else ""
    offset = when.strftime("%z") if when.tzinfo else ""
    return when.strftime("%Y%m%d%H%M%S") + fraction + offset


def da(when: date) -> str:
    """A DICOM DA."""
    return when.strftime("%Y%m%d")


def tm(when: datetime) -> str:
    """A DICOM TM."""
    return when.strftime("%H%M%S") + (f".{when.microsecond:06d}" if when.microsecond else "")


@lru_cache(maxsize=8192)
def code_item(code: Code, encoding: str, version: str | None = None) -> bytes:
    """One item of a code sequence; a value of more than 16 characters is a long code."""
    value = (code.value or "").encode(encoding)
    long = len(value) > 16
    parts = [] if long else [element(0x00080100, "SH", pad(value))]
    parts.append(element(0x00080102, "SH", pad((code.scheme or "").encode(encoding))))
    if version is not None:
        parts.append(element(0x00080103, "SH", pad(version.encode(encoding))))
    parts.append(element(0x00080104, "LO", pad((code.meaning or "").encode(encoding))))
    if long:
        parts.append(element(0x00080119, "UC", pad(value)))
    return item(b"".join(parts))


@lru_cache(maxsize=8192)
def _head(relation: str, type_: str, concept: Code, encoding: str) -> bytes:
    return b"".join(
        (
            element(0x0040A010, "CS", pad(relation.encode())),
            element(0x0040A040, "CS", pad(type_.encode())),
            element(0x0040A043, "SQ", code_item(concept, encoding)),
        )
    )


class Encoder:
    """Turns items into bytes the way one dialect writes them."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._encoding = codec(dialect.charset)

    def content(self, items: Iterable[Item], parent: str) -> bytes:
        """The value of a content sequence: the items below the concept `parent`."""
        omit = self._dialect.omit
        return b"".join(
            self._item(i, parent)
            for i in items
            if i.concept.value not in omit and f"{parent}>{i.concept.value}" not in omit
        )

    def _item(self, entry: Item, parent: str) -> bytes:
        if entry.type == "UIDREF" and entry.concept.value in self._dialect.texts:
            entry = entry._replace(type="TEXT")
        concept = self._dialect.concept(entry.concept)
        head = _head(entry.relation, entry.type, concept, self._encoding)
        body = self._value(entry, parent)
        if entry.children:
            below = self.content(entry.children, entry.concept.value or "")
            body += element(0x0040A730, "SQ", below) if below else b""
        # Tags ascend: a referenced image (0008,1199) stands before the item's own head.
        return item(body + head if entry.type == "IMAGE" else head + body)

    def _value(self, entry: Item, parent: str) -> bytes:
        if entry.type == "NUM":
            return self._number(entry, parent)
        if entry.type == "CODE":
            return self._code(entry)
        if entry.type == "CONTAINER":
            return element(0x0040A050, "CS", pad(self._dialect.continuity.encode()))
        if entry.type == "IMAGE":
            sop_class, sop_instance = entry.value
            reference = encode({0x00081150: ("UI", sop_class), 0x00081155: ("UI", sop_instance)})
            return element(0x00081199, "SQ", item(reference))
        tag, vr = {
            "TEXT": (0x0040A160, "UT"),
            "UIDREF": (0x0040A124, "UI"),
            "DATETIME": (0x0040A120, "DT"),
            "PNAME": (0x0040A123, "PN"),
        }[entry.type]
        raw = str(entry.value).encode(self._encoding if vr in ("UT", "PN") else "ascii")
        return element(tag, vr, pad(raw, b"\0" if vr == "UI" else b" "))

    def _code(self, entry: Item) -> bytes:
        if self._dialect.empty_target_region and entry.concept.value == "123014":
            return element(0x0040A168, "SQ", b"")
        value = self._dialect.value(entry.value)
        return element(0x0040A168, "SQ", code_item(value, self._encoding))

    def _number(self, entry: Item, parent: str) -> bytes:
        qualifier = b""
        if entry.qualifier is not None:
            why = code_item(entry.qualifier, self._encoding)
            qualifier = element(0x0040A301, "SQ", why)
        if entry.value is None:
            return element(0x0040A300, "SQ", b"") + qualifier
        unit = self._dialect.unit(entry.unit or "1", parent)
        measured = b"".join(
            (
                element(0x004008EA, "SQ", code_item(unit, self._encoding, self._version())),
                element(0x0040A30A, "DS", pad(self._decimals(entry).encode())),
            )
        )
        return element(0x0040A300, "SQ", item(measured)) + qualifier

    def _version(self) -> str | None:
        return self._dialect.unit_version

    def _decimals(self, entry: Item) -> str:
        values = entry.value if isinstance(entry.value, tuple) else (entry.value,)
        scale = self._dialect.scale(entry.unit or "1")
        if scale != 1.0:
            values = tuple(float(f"{v * scale:.12g}") for v in values)
        places = self._dialect.decimals and self._dialect.decimals.get(entry.unit or "1")
        if places is None:
            return "\\".join(decimal_string(v) for v in values)
        return "\\".join(f"{v:.{places}f}" for v in values)
